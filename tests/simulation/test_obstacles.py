"""Around a running engine: nothing is sent while anything is in the way, and nobody whom nothing
keeps is left waiting.

The rules of one book are in tests/core/test_obstacle.py; here are connection, switches, clock and
commits, and what stands before a call is said a second time in this test's own words.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from streamer.core import lifecycle
from streamer.core.obstacle import ObstacleKind
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.model import ENDED, Answer, Payment, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt
from tests.simulation.world import World

RECEIVERS = 3
TROUBLES = 60
LOOK_SECONDS = 0.5
LEFT_NS = 3 * SECOND_NS
"""A turn comes each second at least, and its commit takes no time here."""
DAEMON = (Halt.OPERATOR, Halt.SPEND_LIMIT)
NODE = (Halt.HASH_COLLISION, Halt.RESTORED)


@dataclass
class Judge:
    """Looks at a world from beside."""

    world: World
    sent: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    free: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By stream key: since when nothing keeps it, and its newest payment then."""

    def watch_calls(self) -> None:
        world, node = self.world, self.world.engine.node
        send = node.send

        async def judged(payment: Payment, preimage: bytes, patience_seconds: float) -> Answer:
            if payment.owner:  # else it is the witness, by which the connection is checked
                stream = world.book.by_key[payment.stream_key]
                assert (
                    not world.switch.halts
                    and not world.engine.switch.halts
                    and world.engine.link.up_since_ns
                )
                assert world.shared.time_known and stream.state in (
                    StreamState.ACTIVE,
                    StreamState.STALLED,
                )
                self.sent += 1
            return await send(payment, preimage, patience_seconds)

        node.send = judged  # type: ignore[method-assign]

    def look(self) -> None:
        world, now_ns = self.world, self.world.clock.now_ns()
        above, free = world.engine.obstacle, self.free
        self.free = {}
        assert world.engine.paying == (above is None)
        for stream in world.book.streams.values():
            found = world.book.obstacle(stream, above, now_ns)
            self.seen["" if found is None else found.kind] += 1
            if found is None and world.engine._room() > 0:
                since_ns, seq = free.get(stream.key, (now_ns, stream.account.seq))
                if seq == stream.account.seq:
                    self.free[stream.key] = since_ns, seq
                    assert now_ns - since_ns < LEFT_NS, (
                        f"nothing keeps it, and nothing goes: {stream}"
                    )


@pytest.mark.parametrize("halt", NODE)
def test_while_its_own_switch_stops_a_node_there_is_an_outage_with_that_cause(halt: Halt) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            while not world.engine.paying:
                await asyncio.sleep(0.1)
            assert not world.book.outages.since_ns
            world.engine.switch.stop(halt, "by hand")
            await asyncio.sleep(2)
            outages = world.book.outages
            assert world.engine.up and outages.since_ns and outages.cause == halt
            world.engine.switch.lift(halt)
            await asyncio.sleep(2)
            assert not outages.since_ns

    run_virtual(main)


async def trouble(world: World, chance: random.Random) -> None:
    """Something comes, stays for a while, and goes."""
    engine, seconds = world.engine, chance.choice([0.2, 2.0, 20.0])
    streams = [
        stream
        for stream in world.book.streams.values()
        if stream.state not in (StreamState.CLOSING, *ENDED)
    ]
    receiver, stream = f"receiver{chance.randrange(RECEIVERS)}", chance.choice(streams)
    switch, halt = chance.choice(
        [(world.switch, chance.choice(DAEMON)), (engine.switch, chance.choice(NODE))]
    )
    match chance.randrange(7):
        case 0:
            switch.stop(halt, "by hand")
            await asyncio.sleep(seconds)
            switch.lift(halt)
            engine.wake()
        case 1:
            world.faults.take_down("payer")
            await asyncio.sleep(seconds)
            world.faults.bring_up("payer")
        case 2:
            world.faults.cut_connections("payer")
        case 3:
            world.faults.hold(receiver)
            await asyncio.sleep(seconds * 3)
            world.faults.release(receiver)
        case 4:
            await world.do(lifecycle.pause, stream)
            await asyncio.sleep(seconds)
            if stream.state is StreamState.PAUSED:
                await world.do(lifecycle.resume, stream)
        case 5:
            world.faults.disable_channels("payer", receiver)
            await asyncio.sleep(seconds)
            world.faults.disable_channels("payer", receiver, disabled=False)
        case 6:
            await world.open(
                chance.choice(["1sat/1s", "7sat/1s"]),
                chance.randrange(RECEIVERS),
                max_open_payments=chance.choice([1, 3]),
            )
    await asyncio.sleep(chance.choice([0.1, 3.0, 30.0]))


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_sent_past_an_obstacle_and_nobody_without_one_waits(seed: int) -> None:
    chance = random.Random(seed)

    async def main(clock: VirtualClock) -> Judge:
        world = World(clock, receivers=RECEIVERS)
        judge = Judge(world)
        judge.watch_calls()
        async with world.running():
            for receiver in range(RECEIVERS):
                await world.open("1sat/1s", receiver)
            troubles = asyncio.ensure_future(many(world))
            while not troubles.done():
                await asyncio.sleep(LOOK_SECONDS)
                judge.look()
            troubles.result()
        return judge

    async def many(world: World) -> None:
        for _ in range(TROUBLES):
            await trouble(world, chance)

    judge = run_virtual(main, seed=seed)
    assert judge.sent > 100
    assert {
        ObstacleKind.DAEMON_HALT,
        ObstacleKind.NODE_HALT,
        ObstacleKind.NODE,
        ObstacleKind.AHEAD,
        ObstacleKind.OPEN,
    } <= judge.seen.keys()
