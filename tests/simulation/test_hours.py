"""One hour of simulated time each: what was paid is the price of stream time, to within one
payment.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from streamer.core import lifecycle
from streamer.core.streamtime import covered_ns, origin_ns
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.pace import Pace
from streamer.words.model import Rate, Stream
from streamer.words.money import MILLISECOND_NS, SECOND_NS
from tests.prove.volumes import ALL_SEEDS
from tests.simulation.world import World

HOUR = 3600.0


def paid_for(world: World, stream: Stream) -> None:
    """Paid = price(stream time) to within the payment under way, and nothing was skipped."""
    world.check()
    price, paid = world.price_now(stream), stream.account.settled_msat
    assert stream.skipped_ns == 0 and stream.skipped_msat == 0
    largest = max(
        payment.amount_msat for payment in world.observer.payments if payment.owner == stream.id
    )
    assert abs(paid - price) <= largest, (paid, price, largest)


def assert_ahead(world: World, stream: Stream) -> None:
    """paid_until is ahead of now, but for the moment in which the payment for it is under way."""
    world.check()
    if stream.open_payments:
        assert origin_ns(stream) + covered_ns(stream) > world.clock.now_ns()
        assert world.ahead_ns(stream) > -SECOND_NS
    else:
        assert world.ahead_ns(stream) >= 0


def test_99_msat_per_second() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, Pace(latency_ns=(100 * MILLISECOND_NS, 300 * MILLISECOND_NS)))
        async with world.running():
            stream = await world.open("99msat/1s")
            await asyncio.sleep(1)
            while clock.now_ns() < stream.create_time_ns + HOUR * SECOND_NS:
                assert_ahead(world, stream)
                await asyncio.sleep(7.3)
            paid_for(world, stream)
            assert world.received_msat() == stream.account.settled_msat
            assert stream.account.settled_count == 328

    run_virtual(main)


def test_one_sat_per_second_on_a_node_that_needs_three() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, Pace.per_second(1, seconds=3))
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(HOUR + 0.5)
            paid_for(world, stream)
            assert 1_100 <= stream.account.settled_count <= 1_200
            assert stream.account.failed_count == 0

    run_virtual(main)


def test_fifty_sat_per_minute_with_nineteen_pauses() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, Pace(latency_ns=(50 * MILLISECOND_NS, 150 * MILLISECOND_NS)))
        async with world.running():
            stream = await world.open("50sat/1m")
            steady = await world.open("50sat/1m")
            for _ in range(19):
                await asyncio.sleep(100)
                await world.do(lifecycle.pause, stream)
                await asyncio.sleep(80)
                await world.do(lifecycle.resume, stream)
            await asyncio.sleep(180)
            paid_for(world, stream)
            assert stream.account.settled_msat <= steady.account.settled_msat
            assert stream.paused_ns > 0

    run_virtual(main)


def test_pauses_within_bought_time_cost_and_save_nothing() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            stream = await world.open("50sat/1m")
            steady = await world.open("50sat/1m")
            for _ in range(19):
                await asyncio.sleep(30)
                await world.do(lifecycle.pause, stream)
                await asyncio.sleep(10)
                await world.do(lifecycle.resume, stream)
                await asyncio.sleep(20)
            assert stream.account.settled_msat == steady.account.settled_msat
            assert stream.paused_ns == 0

    run_virtual(main)


# 126,000 payments in the whole hour: a minute of computing on a machine that does nothing else
@pytest.mark.timeout(400)
def test_two_thousand_one_second_streams_on_a_node_of_35_per_second() -> None:
    async def main(clock: VirtualClock) -> None:
        seconds = HOUR if ALL_SEEDS else HOUR / 6
        world = World(clock, Pace.per_second(35), receivers=20, per_destination=100)
        async with world.running():
            streams = [await world.open("1sat/1s", number % 20) for number in range(2_000)]
            await asyncio.sleep(seconds)
            world.check()
            for stream in streams:
                assert stream.skipped_ns == 0 and stream.account.failed_count == 0
                late = world.price_now(stream) - stream.account.settled_msat
                assert abs(late) <= 75_000, late
            counts = [stream.account.settled_count for stream in streams]
            assert min(counts) >= max(counts) - 3
            assert 35 * seconds * 0.98 <= sum(counts) <= 35 * seconds * 1.001

    run_virtual(main)


def test_a_rate_raised_and_lowered_every_minute() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, Pace(latency_ns=(100 * MILLISECOND_NS, 200 * MILLISECOND_NS)))
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(0.5)
            for minute in range(60):
                rate = (
                    Rate(3_001, SECOND_NS, SECOND_NS)
                    if minute % 2
                    else Rate(1_000, SECOND_NS, 2 * SECOND_NS)
                )
                await world.do(lifecycle.change, stream, replace(stream.terms, rate=rate))
                await asyncio.sleep(60)
                assert_ahead(world, stream)
            paid_for(world, stream)
            assert len(stream.segments) <= 3

    run_virtual(main)
