"""What a stream does when its node, its store or its receiver is at fault, on the whole engine with
a virtual clock.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from streamer.core import lifecycle
from streamer.doubt.recovery import Patience
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.books import Failure
from streamer.simulator.network.lightning_node import CallFate
from streamer.words.model import Mark, PaymentState, Rate, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from tests.simulation.test_scenarios import QUICK, SLOW, equal_books, received_once
from tests.simulation.world import World


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
            assert len(world.book.payments) == stream.open_payments <= 1
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
            orphans = [
                payment for payment in world.book.payments.values() if payment.mark is Mark.ORPHAN
            ]
            assert len(orphans) == 10
            for stream in streams:
                assert stream.reserved_msat in (1_000, 2_000) and stream.open_payments <= 1
                assert world.ahead_ns(stream) > -3 * SECOND_NS
            await asyncio.sleep(500)
            assert not [
                payment for payment in world.book.payments.values() if payment.mark is Mark.ORPHAN
            ]
            assert all(stream.account.written_off_msat == 1_000 for stream in streams)
            received_once(world)
            assert world.received_msat() == sum(
                stream.account.settled_msat - 1_000 for stream in streams
            )

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
            marked = [
                payment for payment in world.book.payments.values() if payment.mark is Mark.HELD
            ]
            assert len(marked) == 10
            assert world.ahead_ns(other) > -SECOND_NS
            assert len(world.book.payments) <= 12
            world.faults.release("receiver0")
            await asyncio.sleep(300)
            assert (
                max(
                    (
                        clock.now_ns() - payment.planned_ns
                        for payment in world.book.payments.values()
                    ),
                    default=0,
                )
                < SECOND_NS
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
            await world.do(
                lifecycle.change,
                stream,
                replace(stream.terms, rate=Rate(5_000, SECOND_NS, SECOND_NS)),
            )
            await asyncio.sleep(149.5)
            expected = 60_500 + 5 * 149_500
            assert abs(stream.account.settled_msat - expected) <= 6_000
            equal_books(world, stream)

    run_virtual(main)


@pytest.mark.parametrize("seconds", [5, 20])
def test_patience_is_configurable(seconds: int) -> None:
    """What is sent again and fails is not FAILED while a ghost of the first call may live; the node
    is asked at a growing pace.
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=Patience(ghost_after_ns=seconds * SECOND_NS))
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(5.5)
            world.faults.lose_calls("payer", 1, CallFate.NEVER)
            world.faults.fail_randomly("payer", 1.0, Failure.TIMEOUT)
            await asyncio.sleep(seconds)
            assert stream.account.failed_count == 0
            await asyncio.sleep(seconds)
            assert stream.account.failed_count >= 1
            world.faults.fail_randomly("payer", 0.0)
            await asyncio.sleep(100)
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
