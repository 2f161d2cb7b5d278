"""What a stream does on bad days, on the whole engine with a virtual clock."""

from __future__ import annotations

import asyncio
from collections import Counter

from streamer.core import lifecycle
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.pace import Pace
from streamer.words.model import BudgetTerms, Facts, Stream, StreamState
from streamer.words.money import MILLISECOND_NS, SECOND_NS, parse_duration
from streamer.words.reasons import Halt, Reason
from tests.simulation.world import World

QUICK = Pace(latency_ns=(80 * MILLISECOND_NS, 120 * MILLISECOND_NS))

SLOW = Pace(latency_ns=(400 * MILLISECOND_NS, 600 * MILLISECOND_NS))


def received_once(world: World, receiver: int = 0) -> None:
    """No hash was settled twice at the receiver, and it has exactly what the ledger says was
    paid.
    """
    world.check()
    invoices = world.network.named[f"receiver{receiver}"].invoices.values()
    counts = Counter(invoice.payment_hash for invoice in invoices for _ in invoice.htlcs)
    assert all(count == 1 for count in counts.values())


def equal_books(world: World, *streams: Stream) -> None:
    received_once(world)
    assert world.received_msat() == sum(
        stream.account.settled_msat - stream.account.written_off_msat for stream in streams
    )


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
            nobody = bytes.fromhex(
                "0257892b7a7046bfe0fba5ded89b8ddb24b9eb0658f3de721e35702d3cdea1b2ee"
            )
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
            assert (
                stream.state in (StreamState.ACTIVE, StreamState.STALLED)
                and stream.account.streak > 0
            )
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
            stream = await world.open(
                "1sat/1s", budget=BudgetTerms(30_500, None), fee_floor_msat=500
            )
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
                "1sat/1s",
                budget=BudgetTerms(20_000, parse_duration("1m")),
                fee_floor_msat=0,
                fee_limit_ppm=0,
                catch_up_ns=0,
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
