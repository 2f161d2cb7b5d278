"""What a stream does on bad days, on the whole engine with a virtual clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

from streamer.core import lifecycle
from streamer.model import BudgetTerms, Facts, Mark, PaymentState, Rate, Stream, StreamState
from streamer.money import MILLISECOND_NS, SECOND_NS, parse_duration
from streamer.reasons import Halt, Reason
from streamer.recovery import Patience
from streamer.simulator.books import Failure
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.lightning_node import CallFate
from streamer.simulator.pace import Pace
from tests.simulation.world import World

QUICK = Pace(latency_ns=(80 * MILLISECOND_NS, 120 * MILLISECOND_NS))

SLOW = Pace(latency_ns=(400 * MILLISECOND_NS, 600 * MILLISECOND_NS))


def received_once(world: World, receiver: int = 0) -> None:
    """No hash was settled twice at the receiver, and it has exactly what the ledger says was paid."""
    world.check()
    invoices = world.network.named[f"receiver{receiver}"].invoices.values()
    counts = Counter(invoice.payment_hash for invoice in invoices for _ in invoice.htlcs)
    assert all(count == 1 for count in counts.values())


def equal_books(world: World, *streams: Stream) -> None:
    received_once(world)
    assert world.received_msat() == sum(stream.account.settled_msat - stream.account.written_off_msat for stream in streams)


def test_a_receiver_without_keysend_stalls_at_once_and_is_probed_rarely() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        world.faults.set_keysend("receiver0", accepted=False)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(30)
            assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.RECEIVER_REJECTED)
            assert stream.account.seq == 1
            await asyncio.sleep(3600)
            assert stream.account.seq <= 5
            world.faults.set_keysend("receiver0", accepted=True)
            await world.do(lifecycle.resume, stream)
            await asyncio.sleep(1)
            assert stream.state is StreamState.ACTIVE
            await asyncio.sleep(2)
            # the hour was impossible: five minutes of it are caught up, the rest is skipped
            assert 54 * 60 <= stream.skipped_ns / SECOND_NS <= 56 * 60
            equal_books(world, stream)

    run_virtual(main)


def test_an_unknown_destination_backs_off_for_longer_than_a_penalty_and_stalls() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            nobody = bytes.fromhex("0257892b7a7046bfe0fba5ded89b8ddb24b9eb0658f3de721e35702d3cdea1b2ee")
            stream = await world.open("1sat/1s", destination=nobody)
            await asyncio.sleep(10)
            assert stream.account.failed_count == 1 and stream.state is StreamState.ACTIVE
            assert stream.account.next_attempt_ns - clock.now_ns() > 50 * SECOND_NS
            await asyncio.sleep(3600)
            assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.NO_ROUTE)
            assert stream.account.settled_msat == 0 and stream.account.failed_count < 10

    run_virtual(main)


def test_a_receiver_that_is_away_and_comes_back_is_paid_what_was_possible() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2)
        async with world.running():
            stream = await world.open("1sat/1s")
            other = await world.open("1sat/1s", receiver=1)
            await asyncio.sleep(60)
            world.faults.take_down("receiver0")
            await asyncio.sleep(120)
            assert stream.state in (StreamState.ACTIVE, StreamState.STALLED) and stream.account.streak > 0
            assert world.ahead_ns(other) > -SECOND_NS
            world.faults.bring_up("receiver0")
            await asyncio.sleep(400)
            assert stream.state is StreamState.ACTIVE and stream.skipped_ns == 0
            assert world.ahead_ns(stream) > -SECOND_NS
            equal_books(world, stream)

    run_virtual(main)


def test_a_node_that_is_down_stalls_nobody_and_its_outage_is_skipped_beyond_catch_up() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await world.open("1sat/1s")
            patient = await world.open("1sat/1s", catch_up_ns=None)
            strict = await world.open("1sat/1s", catch_up_ns=0)
            await asyncio.sleep(60)
            world.faults.offline_for("payer", parse_duration("20m"))
            await asyncio.sleep(600)
            assert {stream.state, patient.state, strict.state} == {StreamState.ACTIVE}
            await asyncio.sleep(660)
            assert 895 <= stream.skipped_ns / SECOND_NS <= 930
            assert patient.skipped_ns == 0
            assert 1195 <= strict.skipped_ns / SECOND_NS <= 1232
            for one in (stream, patient, strict):
                assert abs(world.price_now(one) - one.account.settled_msat) <= 2_000
            equal_books(world, stream, patient, strict)

    run_virtual(main)


def test_a_total_budget_ends_the_stream_and_is_never_exceeded() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await world.open("1sat/1s", budget=BudgetTerms(30_500, None), fee_floor_msat=500)
            await asyncio.sleep(60)
            assert (stream.state, stream.reason) == (StreamState.COMPLETED, Reason.BUDGET_SPENT)
            assert 29_000 <= stream.account.settled_msat <= 30_500
            equal_books(world, stream)

    run_virtual(main)


def test_a_renewing_budget_stalls_until_its_period_and_goes_on_by_itself() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await world.open(
                "1sat/1s", budget=BudgetTerms(20_000, parse_duration("1m")), fee_floor_msat=0, fee_limit_ppm=0, catch_up_ns=0
            )
            await asyncio.sleep(50)
            assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.BUDGET_PERIOD)
            assert stream.account.settled_msat <= 40_000
            await asyncio.sleep(610)
            minutes = 11
            assert 20_000 * (minutes - 1) <= stream.account.settled_msat <= 20_000 * (minutes + 1)
            equal_books(world, stream)

    run_virtual(main)


def test_cancel_and_end_time() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            cancelled = await world.open("1sat/1s")
            ends = await world.open("7sat/3s", end_time_ns=clock.now_ns() + 100 * SECOND_NS + 1)
            await asyncio.sleep(20.5)
            await world.do(lifecycle.cancel, cancelled)
            await asyncio.sleep(90)
            assert (cancelled.state, cancelled.reason) == (StreamState.CANCELLED, Reason.USER)
            assert cancelled.account.settled_msat == 21_000
            assert (ends.state, ends.reason) == (StreamState.COMPLETED, Reason.END_TIME)
            assert ends.account.settled_msat == 100 * 7_000 // 3
            equal_books(world, cancelled, ends)

    run_virtual(main)


def test_ttl_pauses_at_its_moment_unless_renewed() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await world.open("1sat/1s", ttl_ns=10 * SECOND_NS)
            await asyncio.sleep(6)
            assert lifecycle.renew(world.book, stream, clock.now_ns(), Facts())
            await asyncio.sleep(6)
            assert stream.state is StreamState.ACTIVE
            await asyncio.sleep(6)
            assert (stream.state, stream.reason) == (StreamState.PAUSED, Reason.TTL_EXPIRED)
            assert stream.account.settled_msat == 16_000
            equal_books(world, stream)

    run_virtual(main)


def test_sending_stopped_pays_nothing_and_goes_on_after() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(10.5)
            world.switch.stop(Halt.OPERATOR, "test", Facts())
            await asyncio.sleep(100)
            assert stream.account.settled_msat == 11_000
            world.switch.lift(Halt.OPERATOR, Facts())
            world.engine.wake()
            await asyncio.sleep(5)
            assert abs(world.price_now(stream) - stream.account.settled_msat) <= 1_000
            equal_books(world, stream)

    run_virtual(main)


def test_the_spend_limit_latches() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        world.book.budgets.spend_limit.limit_msat = 50_000
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(7300)
            assert Halt.SPEND_LIMIT in world.switch.halts
            assert 44_000 <= stream.account.settled_msat <= 50_000
            world.crash()
        async with world.running():
            await asyncio.sleep(100)
            assert Halt.SPEND_LIMIT in world.switch.halts
            assert world.received_msat() <= 50_000

    run_virtual(main)


def test_lost_replies_are_found_out_and_never_paid_twice() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(10.5)
            world.faults.lose_calls("payer", 1, CallFate.ACCEPTED)
            await asyncio.sleep(30)
            world.faults.lose_calls("payer", 1, CallFate.NEVER)
            await asyncio.sleep(30)
            world.faults.lose_calls("payer", 1, CallFate.LATE, 20 * SECOND_NS)
            await asyncio.sleep(400)
            assert stream.state is StreamState.ACTIVE
            assert abs(world.price_now(stream) - stream.account.settled_msat) <= 2_000
            assert not world.book.payments or stream.open_payments == 1
            equal_books(world, stream)

    run_virtual(main)


def test_a_crash_at_any_moment_is_recovered_exactly() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        opened = False
        for turn in range(25):
            async with world.running():
                if not opened:
                    await world.open("1sat/1s")
                    await world.open("3sat/1s")
                    opened = True
                await asyncio.sleep(3 + turn * 0.013)
            world.crash()
        async with world.running():
            await asyncio.sleep(130)
            streams = list(world.book.streams.values())
            for stream in streams:
                assert stream.skipped_ns == 0 and stream.state is StreamState.ACTIVE
                assert abs(world.price_now(stream) - stream.account.settled_msat) <= 3_000, stream
            equal_books(world, *streams)

    run_virtual(main)


def test_orphans_of_a_node_restart_free_their_slot_and_are_written_off() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, SLOW, patience=Patience(orphan_write_off_after_ns=600 * SECOND_NS))
        async with world.running():
            streams = [await world.open("1sat/1s") for _ in range(10)]
            await asyncio.sleep(10.2)
            world.faults.restart("payer", orphan_rate=1.0)
            await asyncio.sleep(200)
            orphans = [payment for payment in world.book.payments.values() if payment.mark is Mark.ORPHAN]
            assert len(orphans) == 10
            for stream in streams:
                assert stream.reserved_msat in (1_000, 2_000) and stream.open_payments <= 1
                assert world.ahead_ns(stream) > -3 * SECOND_NS
            await asyncio.sleep(500)
            assert not [payment for payment in world.book.payments.values() if payment.mark is Mark.ORPHAN]
            assert all(stream.account.written_off_msat == 1_000 for stream in streams)
            received_once(world)
            assert world.received_msat() == sum(stream.account.settled_msat - 1_000 for stream in streams)

    run_virtual(main)


def test_a_receiver_that_holds_blocks_only_itself() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2)
        async with world.running():
            held = [await world.open("1sat/1s") for _ in range(20)]
            other = await world.open("1sat/1s", receiver=1)
            await asyncio.sleep(5)
            world.faults.hold("receiver0")
            await asyncio.sleep(100)
            marked = [payment for payment in world.book.payments.values() if payment.mark is Mark.HELD]
            assert len(marked) == 10
            assert world.ahead_ns(other) > -SECOND_NS
            assert len(world.book.payments) <= 12
            world.faults.release("receiver0")
            await asyncio.sleep(300)
            assert (
                not world.book.payments or max(clock.now_ns() - payment.planned_ns for payment in world.book.payments.values()) < SECOND_NS
            )
            for stream in held:
                assert stream.state is StreamState.ACTIVE
                assert abs(world.price_now(stream) - stream.account.settled_msat) <= 2_000
            equal_books(world, *held)

    run_virtual(main)


def test_a_refusal_fails_with_the_nodes_text_and_stalls_when_it_repeats() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        world.faults.refuse("payer", "custom record not allowed here")
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(120)
            assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.NODE_REFUSED)
            assert stream.last_failure == "custom record not allowed here"
            states = {payment.state for payment in world.observer.payments}
            assert states == {PaymentState.REFUSED}

    run_virtual(main)


def test_insufficient_balance_is_node_wide_only_when_no_channel_can_pay() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2)
        async with world.running():
            greedy = await world.open("90000000sat/1s", max_payment_msat=90_000_000_000)
            modest = await world.open("1sat/1s", receiver=1)
            await asyncio.sleep(120)
            assert world.ahead_ns(modest) > -SECOND_NS
            assert greedy.account.failed_count > 0
            world.check()

    run_virtual(main)


def test_random_failures_end_in_exact_books() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        world.faults.fail_randomly("payer", 0.3, Failure.TIMEOUT)
        async with world.running():
            streams = [await world.open(f"{rate}msat/1s") for rate in (1_000, 333, 7_777)]
            await asyncio.sleep(1200)
            world.faults.fail_randomly("payer", 0.0)
            await asyncio.sleep(600)
            for stream in streams:
                assert stream.account.failed_count > 0 and stream.skipped_ns == 0
                assert abs(world.price_now(stream) - stream.account.settled_msat) <= 8_000
            equal_books(world, *streams)

    run_virtual(main)


def test_a_failed_store_stops_everything_and_a_replay_goes_on() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(10.05)
            world.store.fail("no space left on device")
            await asyncio.sleep(20)
            assert world.failures and world.received_msat() <= 11_000
            paid = world.received_msat()
            await asyncio.sleep(20)
            assert world.received_msat() == paid
            world.crash()
        async with world.running():
            await asyncio.sleep(150)
            stream = world.book.streams[stream.id]
            assert abs(world.price_now(stream) - stream.account.settled_msat) <= 2_000
            equal_books(world, stream)

    run_virtual(main)


def test_a_new_rate_does_not_reprice_unpaid_time() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await world.open("1sat/1s", catch_up_ns=None)
            await asyncio.sleep(10.5)
            world.faults.offline_for("payer", 100 * SECOND_NS)
            await asyncio.sleep(50)
            await world.do(lifecycle.change, stream, replace(stream.terms, rate=Rate(5_000, SECOND_NS, SECOND_NS)))
            await asyncio.sleep(149.5)
            expected = 60_500 + 5 * 149_500
            assert abs(stream.account.settled_msat - expected) <= 6_000
            equal_books(world, stream)

    run_virtual(main)


def test_patience_is_configurable() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=Patience(ghost_after_ns=5 * SECOND_NS))
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(5.5)
            world.faults.lose_calls("payer", 1, CallFate.NEVER)
            await asyncio.sleep(30)
            assert abs(world.price_now(stream) - stream.account.settled_msat) <= 2_000

    run_virtual(main)


def test_a_ghost_that_outlives_its_time_is_posted_late_and_becomes_a_credit() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=Patience(ghost_after_ns=5 * SECOND_NS))
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(10.5)
            world.faults.lose_calls("payer", 1, CallFate.LATE, 60 * SECOND_NS)
            world.faults.fail_randomly("payer", 1.0, Failure.TIMEOUT)
            await asyncio.sleep(20)
            assert stream.account.failed_count >= 1
            world.faults.fail_randomly("payer", 0.0)
            await asyncio.sleep(200)
            [late] = world.observer.late
            assert late.state is PaymentState.SETTLED
            assert abs(world.price_now(stream) - stream.account.settled_msat) <= 2_000
            equal_books(world, stream)

    run_virtual(main)
