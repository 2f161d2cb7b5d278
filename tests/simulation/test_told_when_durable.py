"""A disk that blocks: nobody is told of a change before it is durable, and never of one that does
not become so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from streamer.doubt.recovery import Patience
from streamer.service import Service
from streamer.service.keys import KeyOrder
from streamer.service.orders import StreamOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import StoreFailed
from streamer.words.model import ADMIN, Facts, PaymentState, Single, Stream, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from tests.simulation.served import service_of
from tests.simulation.test_refused_yet_durable import until_paying
from tests.simulation.world import World

LONG_SECONDS = 20.0
"""How long the disk blocks: many turns of the engine."""


@dataclass
class Disk:
    """The journal's disk: stuck from when it blocks until it goes on, or breaks."""

    world: World
    broken: bool = False

    def block(self) -> None:
        self._goes = asyncio.Event()
        self.world.store.commit = self._write

    async def _write(self) -> None:
        await self._goes.wait()
        if self.broken:
            raise StoreFailed("input/output error")

    def go_on(self, broken: bool = False) -> None:
        self.broken = broken
        self._goes.set()


@dataclass
class Scene:
    """A stream that pays, the service, and the key that pays it."""

    world: World
    service: Service
    stream: Stream
    key_id: str

    def create(self) -> Awaitable[Any]:
        order = StreamOrder(
            destination=self.stream.terms.destination, amount_msat=1_000, interval_ns=SECOND_NS
        )
        return self.service.streams.create(ADMIN, order, "", validate_only=False)


DOORS: dict[str, Callable[[Scene], Awaitable[Any]]] = {
    "create": Scene.create,
    "pause": lambda scene: scene.service.streams.pause(ADMIN, scene.stream.id),
    "cancel": lambda scene: scene.service.streams.cancel(ADMIN, scene.stream.id),
    "revoke": lambda scene: scene.service.keys.revoke(scene.key_id),
}
TOLD = {"create": "ACTIVE", "pause": "PAUSED", "cancel": "CANCELLED", "revoke": "PAUSED"}


async def scene_of(world: World) -> Scene:
    service = service_of(world)
    await until_paying(world)
    key, _ = await service.keys.create(KeyOrder("k", ("streams:read", "streams:write")))
    order = StreamOrder(
        destination=world.network.named["receiver0"].pubkey,
        amount_msat=1_000,
        interval_ns=SECOND_NS,
    )
    stream = (await service.streams.create(key.key, order, "", validate_only=False)).stream
    await asyncio.sleep(5.5)
    assert stream.account.settled_count >= 5 and not stream.open_payments
    return Scene(world, service, stream, key.key.id)


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("door", DOORS)
def test_a_change_is_told_when_it_is_durable_or_never(door: str, breaks: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            scene, disk = await scene_of(world), Disk(world)
            disk.block()
            told, paid = len(world.observer.states), len(world.observer.payments)
            call = asyncio.ensure_future(DOORS[door](scene))
            await asyncio.sleep(LONG_SECONDS)
            assert not call.done() and world.observer.states[told:] == [], (
                "the disk has nothing of it yet"
            )
            assert world.observer.payments[paid:] == [], "nor of what the stream has paid meanwhile"
            disk.go_on(broken=breaks)
            await asyncio.sleep(3)
            states = [state for _, state, _ in world.observer.states[told:]]
            if breaks:
                with pytest.raises(StoreFailed):
                    await call
                assert (states, world.observer.payments[paid:]) == ([], []) and world.failures
            else:
                await call
                assert TOLD[door] in states

    run_virtual(main)


@pytest.mark.parametrize("breaks", [False, True])
def test_what_time_changes_is_told_when_it_is_durable_or_never(breaks: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            await until_paying(world)
            stream = await world.open("1sat/1s", ttl_ns=10 * SECOND_NS)
            await asyncio.sleep(5.5)
            disk = Disk(world)
            disk.block()
            told = len(world.observer.states)
            await asyncio.sleep(LONG_SECONDS)
            assert world.observer.states[told:] == []
            disk.go_on(broken=breaks)
            await asyncio.sleep(LONG_SECONDS)
            assert ((stream.id, "PAUSED", "TTL_EXPIRED") in world.observer.states) is not breaks

    run_virtual(main)


@pytest.mark.parametrize("breaks", [False, True])
def test_who_waits_for_a_payment_hears_that_it_was_written_off_when_that_is_durable(
    breaks: bool,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(
            clock, patience=Patience(hold_after_ns=5 * SECOND_NS, in_doubt_after_ns=10 * SECOND_NS)
        )
        async with world.running():
            service, disk = service_of(world), Disk(world)
            await until_paying(world)
            world.faults.hold("receiver0")
            order = Single("pay_" + "1" * 32, world.network.named["receiver0"].pubkey, 1_000, 500)
            payment = await world.engine.begin(order, Facts())
            waiting = asyncio.ensure_future(world.engine.wait_for(payment, 3_600))
            await asyncio.sleep(30)
            disk.block()
            written_off = asyncio.ensure_future(service.payments.write_off(ADMIN, payment.owner))
            await asyncio.sleep(LONG_SECONDS)
            assert not waiting.done() and not written_off.done() and world.observer.payments == []
            shown = asyncio.ensure_future(service.payments.get(ADMIN, payment.owner))
            await asyncio.sleep(1)
            disk.go_on(broken=breaks)
            await asyncio.sleep(1)
            if breaks:
                with pytest.raises(StoreFailed):
                    await written_off
                assert not waiting.done() and world.observer.payments == []
            else:
                await written_off
                assert await waiting and world.observer.payments == [payment]
                assert (await shown).payment.state is PaymentState.WRITTEN_OFF
            waiting.cancel()
            shown.cancel()

    run_virtual(main)


def test_who_reads_a_stream_with_a_change_under_way_waits_for_it_and_others_do_not() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            scene, disk = await scene_of(world), Disk(world)
            await scene.service.streams.pause(ADMIN, scene.stream.id)
            order = StreamOrder(
                destination=scene.stream.terms.destination,
                amount_msat=60_000,
                interval_ns=60 * SECOND_NS,
            )
            other = (
                await scene.service.streams.create(ADMIN, order, "", validate_only=False)
            ).stream
            await asyncio.sleep(5)
            disk.block()
            resumed = asyncio.ensure_future(scene.service.streams.cancel(ADMIN, scene.stream.id))
            await asyncio.sleep(0)
            shown = asyncio.ensure_future(scene.service.streams.get(ADMIN, scene.stream.id))
            await asyncio.sleep(LONG_SECONDS)
            assert not shown.done() and not resumed.done()
            assert (await scene.service.streams.get(ADMIN, other.id)).stream is other
            disk.go_on()
            assert (await shown).stream.state is StreamState.CANCELLED and await resumed

    run_virtual(main)


def test_an_event_says_how_the_stream_was_when_it_became_durable() -> None:
    """Not how it is by now: that is another change, which the disk may not have."""

    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            scene, disk = await scene_of(world), Disk(world)
            told = len(world.observer.states)
            disk.block()
            calls = [asyncio.ensure_future(scene.service.streams.pause(ADMIN, scene.stream.id))]
            await asyncio.sleep(1)
            calls.append(
                asyncio.ensure_future(scene.service.streams.cancel(ADMIN, scene.stream.id))
            )
            await asyncio.sleep(1)
            disk.go_on()
            await asyncio.gather(*calls)
            seen = [(state, reason) for _, state, reason in world.observer.states[told:]]
            assert seen[0] == ("PAUSED", Reason.USER) and set(seen[1:]) == {
                ("CANCELLED", Reason.USER)
            }

    run_virtual(main)
