"""A heartbeat beside a whole engine, and a wall clock that somebody sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from streamer.heartbeat import Beats, Heartbeat
from streamer.money import DAY_NS
from streamer.reasons import Halt
from streamer.simulator.clock import VirtualClock
from tests.simulation.world import World


@dataclass
class Steps:
    """The clock of a daemon: paced by boot time, while somebody sets the wall clock."""

    real: VirtualClock
    step_ns: int = 0
    slept_ns: int = 0

    def now_ns(self) -> int:
        return self.real.now_ns() + self.slept_ns

    def wall_ns(self) -> int:
        return self.real.now_ns() + self.slept_ns + self.step_ns


@dataclass
class Told:
    """What the heartbeat asked for."""

    halts: dict[Halt, str] = field(default_factory=dict)
    replays: int = 0
    clock_checked: bool = True


@asynccontextmanager
async def beating(world: World, clock_checked: bool = True) -> AsyncIterator[Told]:
    """A heartbeat beside the world's engine, started as the daemon starts it."""
    told = Told(clock_checked=clock_checked)

    def halt(why: Halt, text: str) -> None:
        told.halts[why] = text
        world.switch.stop(why, text)

    def replay() -> None:
        told.replays += 1

    beats = Beats(halt, lambda _: None, replay, lambda: told.clock_checked)
    heart = Heartbeat(world.store, world.book.shared, world.engine._clock, 400 * DAY_NS, beats)
    heart.start(world.store.load().settings)
    task = asyncio.ensure_future(heart.run())
    try:
        yield told
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def with_steps(clock: VirtualClock) -> tuple[World, Steps]:
    steps = Steps(clock)
    world = World(clock)
    world.clock = steps  # type: ignore[assignment]
    world._build()
    return world, steps
