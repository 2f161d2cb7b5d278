"""A change to very many streams: a thousand rows a commit, and the payments of others between."""

from __future__ import annotations

import asyncio
import itertools

from streamer.books.desk import STEP_ROWS
from streamer.service import Service
from streamer.service.keys import KeyOrder
from streamer.service.orders import StreamOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.model import ADMIN, Facts, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from tests.simulation.served import service_of
from tests.simulation.test_refused_yet_durable import until_paying
from tests.simulation.world import World

MANY = 4_500
COMMIT_SECONDS = 2.0


def watched(world: World) -> list[Facts]:
    """What is appended from now on, with a disk that takes COMMIT_SECONDS for each commit."""
    appended, append = list[Facts](), world.store.append

    def watch(facts: Facts) -> asyncio.Future[None]:
        appended.append(facts)
        return append(facts)

    world.store.append = watch  # type: ignore[method-assign]
    world.store.commit = lambda: asyncio.sleep(COMMIT_SECONDS)
    return appended


async def many_and_one(world: World, service: Service) -> tuple[str, list[str], str]:
    """A key with very many streams that are due in an hour, and a stream of another that pays each
    second; key, their ids, and its id.
    """
    await until_paying(world)
    key, _ = await service.keys.create(KeyOrder("many", ("streams:read", "streams:write")))
    later_ns = world.clock.now_ns() + 3600 * SECOND_NS
    many = await world.open_many(
        "60sat/60s", [0], MANY, key.key.number, ttl_ns=7200 * SECOND_NS, start_time_ns=later_ns
    )
    order = StreamOrder(
        destination=world.network.named["receiver1"].pubkey,
        amount_msat=1_000,
        interval_ns=SECOND_NS,
    )
    service.streams._stream_keys = itertools.count(100_000)
    other = (await service.streams.create(ADMIN, order, "", validate_only=False)).stream
    await asyncio.sleep(5)
    return key.key.id, [stream.id for stream in many], other.id


def test_a_renewal_of_very_many_is_made_in_steps_and_others_are_paid_between() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, receivers=2)
        async with world.running():
            service = service_of(world)
            _, _, other = await many_and_one(world, service)
            appended, paid = watched(world), world.received_msat(1)
            await asyncio.sleep(COMMIT_SECONDS)
            assert await service.streams.renew(ADMIN, "") == MANY
            renewed = [sum(stream.id != other for stream in facts.streams) for facts in appended]
            assert max(renewed) <= STEP_ROWS and sum(renewed) == MANY
            assert world.received_msat(1) - paid >= 4_000

    run_virtual(main)


def test_a_revoked_key_pays_nothing_from_the_first_step_on_also_after_a_crash_in_between() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, receivers=2)
        async with world.running():
            service = service_of(world)
            key_id, many, _ = await many_and_one(world, service)
            appended = watched(world)
            call = asyncio.ensure_future(service.keys.revoke(key_id))
            await asyncio.sleep(6.5 * COMMIT_SECONDS)
            assert not call.done() and max(len(facts.streams) for facts in appended) <= STEP_ROWS
            call.cancel()
        world.crash()
        paused = [world.book.streams[stream_id].state is StreamState.PAUSED for stream_id in many]
        assert any(paused) and not all(paused), "killed in between"
        async with world.running():
            await until_paying(world)
            await service_of(world).keys.end_expired()
            streams = [world.book.streams[stream_id] for stream_id in many]
            assert {(stream.state, stream.reason) for stream in streams} == {
                (StreamState.PAUSED, Reason.KEY_REVOKED)
            }
            assert world.received_msat(0) == 0

    run_virtual(main)
