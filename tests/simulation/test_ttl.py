"""What a start means for streams that somebody must renew: time to do so, but none to those that ran out while it could be done."""

from __future__ import annotations

import asyncio

import pytest

from streamer.core import lifecycle
from streamer.core.shared import DOORS
from streamer.model import ADMIN, Facts, Stream, StreamState
from streamer.money import SECOND_NS
from streamer.reasons import Reason
from streamer.simulator.clock import VirtualClock, run_virtual
from tests.simulation.beating import beating
from tests.simulation.served import service_of
from tests.simulation.test_scenarios import QUICK, equal_books
from tests.simulation.world import World


def only(world: World) -> Stream:
    [stream] = world.book.streams.values()
    return stream


def test_a_ttl_that_ran_out_while_the_doors_were_open_is_not_revived_by_a_start() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with beating(world), world.running():
            stream = await world.open("1sat/1s", ttl_ns=60 * SECOND_NS)
            expire_ns = stream.expire_time_ns
            await asyncio.sleep(30)
            await service_of(world).sending.stop(False, 0)
            await asyncio.sleep(3600)
        paid = world.received_msat()
        world.crash()
        async with beating(world), world.running():
            await service_of(world).sending.start(b"")
            await asyncio.sleep(120)
            stream = only(world)
            assert (stream.state, stream.reason, stream.state_time_ns) == (StreamState.PAUSED, Reason.TTL_EXPIRED, expire_ns)
            assert world.received_msat() == paid
            equal_books(world, stream)

    run_virtual(main)


@pytest.mark.parametrize("ahead_ns", [0, 24 * 3600 * SECOND_NS])
def test_a_ttl_that_ran_out_while_no_node_was_there_to_check_the_clock_is_not_revived_by_a_start(ahead_ns: int) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with beating(world), world.running():
            stream = await world.open("1sat/1s", ttl_ns=1800 * SECOND_NS, catch_up_ns=None)
            expire_ns = stream.expire_time_ns
            await asyncio.sleep(60.5)
        world.faults.take_down("payer")
        world.crash()
        async with beating(world, clock_checked=False), world.running():
            await asyncio.sleep(6 * 3600)
        assert only(world).expire_time_ns == expire_ns
        if ahead_ns:  # the last of these had a clock that was ahead: it does not count
            await world.store.append(Facts(settings=[(DOORS, str(clock.now_ns() + ahead_ns))]))
        world.crash()
        async with beating(world), world.running():
            assert only(world).expire_time_ns == (clock.now_ns() + lifecycle.TTL_AFTER_START_NS if ahead_ns else expire_ns)
            await asyncio.sleep(20)
            world.faults.bring_up("payer")
            await asyncio.sleep(1800)
            assert (only(world).state, only(world).reason) == (StreamState.PAUSED, Reason.TTL_EXPIRED)
            assert world.received_msat() <= 1_900_000 or ahead_ns
            assert not world.store.load().settings[DOORS]

    run_virtual(main)


def test_a_ttl_that_ran_out_while_the_doors_were_closed_leaves_time_to_renew_over_several_starts() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with beating(world), world.running():
            await world.open("1sat/1s", ttl_ns=90 * SECOND_NS, catch_up_ns=None)  # nothing is skipped, and the stream written with that
            await asyncio.sleep(60)
        await asyncio.sleep(3600)
        for _ in range(2):
            world.crash()
            async with beating(world), world.running():
                began_ns = clock.now_ns()
                await asyncio.sleep(30)
                assert only(world).state is StreamState.ACTIVE
                assert only(world).expire_time_ns == began_ns + lifecycle.TTL_AFTER_START_NS
        world.crash()
        async with beating(world), world.running():
            await asyncio.sleep(30)
            assert await service_of(world).streams.renew(ADMIN, "") == 1
            await asyncio.sleep(60)
            assert only(world).state is StreamState.ACTIVE
            await asyncio.sleep(60)
            assert (only(world).state, only(world).reason) == (StreamState.PAUSED, Reason.TTL_EXPIRED)
            equal_books(world, only(world))

    run_virtual(main)


def test_a_start_takes_nothing_from_a_ttl() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with beating(world), world.running():
            long = await world.open("1sat/1s", ttl_ns=3600 * SECOND_NS)
            short = await world.open("1sat/1s", ttl_ns=20 * SECOND_NS)
            plain = await world.open("1sat/1s")
            await asyncio.sleep(5)
        world.crash()
        began_ns = clock.now_ns()
        found = world.book.streams
        assert found[long.id].expire_time_ns == long.expire_time_ns
        assert found[short.id].expire_time_ns == began_ns + 20 * SECOND_NS
        assert found[plain.id].expire_time_ns == 0

    run_virtual(main)
