"""What a start means for streams that somebody must renew: time to do so, but none to those that
ran out while it could be done.
"""

from __future__ import annotations

import asyncio

import pytest

from streamer.core import lifecycle
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.model import ADMIN, Stream, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from tests.simulation.beating import beating
from tests.simulation.served import service_of
from tests.simulation.test_scenarios import QUICK, equal_books
from tests.simulation.world import World


def only(world: World) -> Stream:
    [stream] = world.book.streams.values()
    return stream


def end_of_the_start(world: World) -> int:
    """When the clock was found right."""
    [(end_ns,)] = world.store.execute("SELECT max(end_ns) FROM outages WHERE cause='DAEMON_DOWN'")
    return int(end_ns)


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
            assert (stream.state, stream.reason, stream.state_time_ns) == (
                StreamState.PAUSED,
                Reason.TTL_EXPIRED,
                expire_ns,
            )
            assert world.received_msat() == paid
            equal_books(world, stream)

    run_virtual(main)


def test_a_ttl_ends_by_no_unchecked_clock_and_a_start_gives_time_from_when_it_is() -> None:
    """While the clock is unchecked no ttl runs out: whoever is to renew has his time after that,
    and not before.
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with beating(world), world.running():
            stream = await world.open("1sat/1s", ttl_ns=1800 * SECOND_NS)
            expire_ns = stream.expire_time_ns
            await asyncio.sleep(60.5)
        world.faults.take_down("payer")
        world.crash()
        async with beating(world), world.running():
            await asyncio.sleep(6 * 3600)
            assert (only(world).state, only(world).expire_time_ns) == (
                StreamState.ACTIVE,
                expire_ns,
            )
        world.crash()
        async with beating(world), world.running():
            await asyncio.sleep(20)
            world.faults.bring_up("payer")
            while not world.timekeeping.known:
                await asyncio.sleep(0.1)
            right_ns = end_of_the_start(world)
            assert only(world).expire_time_ns == right_ns + lifecycle.TTL_AFTER_START_NS
            await asyncio.sleep(1800)
            assert (only(world).state, only(world).reason) == (
                StreamState.PAUSED,
                Reason.TTL_EXPIRED,
            )
            assert world.received_msat() <= 61_000 + 300_000 + 61_000

    run_virtual(main)


def test_a_renewal_while_the_clock_is_not_checked_counts_from_when_it_is() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with beating(world), world.running():
            renewed, other = [await world.open("1sat/1s", ttl_ns=900 * SECOND_NS) for _ in range(2)]
            await asyncio.sleep(60.5)
        world.faults.take_down("payer")
        world.crash()
        async with beating(world), world.running():
            await asyncio.sleep(3600)
            assert await service_of(world).streams.renew(ADMIN, f"id={renewed.id}") == 1
            await asyncio.sleep(3600)
            world.faults.bring_up("payer")
            while not world.timekeeping.known:
                await asyncio.sleep(0.1)
            right_ns, found = end_of_the_start(world), world.book.streams
            assert found[renewed.id].expire_time_ns == right_ns + 900 * SECOND_NS
            assert found[other.id].expire_time_ns == right_ns + lifecycle.TTL_AFTER_START_NS
            durable = {stream.id: stream.expire_time_ns for stream in world.store.load().streams}
            assert durable == {stream.id: stream.expire_time_ns for stream in found.values()}
            await asyncio.sleep(120)
            assert (found[renewed.id].state, found[other.id].state) == (
                StreamState.ACTIVE,
                StreamState.PAUSED,
            )

    run_virtual(main)


def test_a_renewal_while_the_clock_is_not_checked_outlasts_a_crash_in_that_time() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with beating(world), world.running():
            renewed, other, short = [
                await world.open("1sat/1s", ttl_ns=ttl * SECOND_NS) for ttl in (900, 900, 100)
            ]
            await asyncio.sleep(60.5)
            assert await service_of(world).streams.renew(ADMIN, f"id={short.id}") == 1
        world.faults.take_down("payer")
        world.crash()
        async with beating(world), world.running():
            await asyncio.sleep(1)
            assert await service_of(world).streams.renew(ADMIN, f"id={renewed.id}") == 1
            opened = await world.open("1sat/1s", ttl_ns=900 * SECOND_NS)
        world.crash()
        await asyncio.sleep(3600)
        async with beating(world), world.running():
            await asyncio.sleep(60)
            world.faults.bring_up("payer")
            while not world.timekeeping.known:
                await asyncio.sleep(0.1)
            right_ns, found = end_of_the_start(world), world.book.streams
            assert [found[one.id].expire_time_ns - right_ns for one in (renewed, opened)] == [
                900 * SECOND_NS
            ] * 2
            assert [found[one.id].expire_time_ns - right_ns for one in (other, short)] == [
                lifecycle.TTL_AFTER_START_NS
            ] * 2, "in a run that knew the time"

    run_virtual(main)


def test_a_ttl_that_ran_out_behind_closed_doors_leaves_time_to_renew_over_several_starts() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with beating(world), world.running():
            # nothing is skipped, and the stream written with that
            await world.open("1sat/1s", ttl_ns=90 * SECOND_NS, catch_up_ns=None)
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
            assert (only(world).state, only(world).reason) == (
                StreamState.PAUSED,
                Reason.TTL_EXPIRED,
            )
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
        async with beating(world), world.running():
            await asyncio.sleep(1)
        found = world.book.streams
        assert found[long.id].expire_time_ns == long.expire_time_ns
        assert found[short.id].expire_time_ns == began_ns + 20 * SECOND_NS
        assert found[plain.id].expire_time_ns == 0

    run_virtual(main)


@pytest.mark.parametrize("stopped", ["sending", "node"])
def test_what_time_does_to_streams_is_shown_while_nothing_is_sent(stopped: str) -> None:
    """Nobody plans then, who would see it: those that are due, and those that wait for room,
    too.
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2)
        service = service_of(world)
        async with beating(world), world.running():
            start_ns = clock.now_ns()
            expiring = await world.open("1sat/1s", ttl_ns=60 * SECOND_NS)
            ending = await world.open("10sat/30s", end_time_ns=start_ns + 90 * SECOND_NS)
            starting = await world.open("1sat/1s", start_time_ns=start_ns + 60 * SECOND_NS)
            await asyncio.sleep(30.5)
            if stopped == "node":
                world.faults.take_down("payer")
            else:
                await service.sending.stop(False, 0)
            await asyncio.sleep(33)
            paid = world.received_msat()

            async def shown(stream: Stream) -> Stream:
                return (await service.streams.get(ADMIN, stream.id)).stream

            assert [(await shown(stream)).state for stream in (expiring, starting)] == [
                StreamState.PAUSED,
                StreamState.ACTIVE,
            ]
            assert (await shown(expiring)).state_time_ns == start_ns + 60 * SECOND_NS
            await asyncio.sleep(100)
            assert (await shown(ending)).state is StreamState.ACTIVE, (
                "it owes a part of its time, which is still paid"
            )
            assert (
                world.store.load().streams[0].state is StreamState.PAUSED
                and world.received_msat() == paid
            )
            if stopped == "node":
                world.faults.bring_up("payer")
            else:
                await service.sending.start(b"")
            await asyncio.sleep(60)
            assert (await shown(ending)).state is StreamState.COMPLETED
            assert world.received_msat() > paid and starting.account.settled_msat > 60_000
            world.check()

    run_virtual(main)
