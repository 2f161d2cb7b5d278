"""A heartbeat beside a whole engine, and the two clocks of its machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from streamer.run.heartbeat import Beats, Heartbeat
from streamer.simulator.clock import VirtualClock
from streamer.words.reasons import Halt
from tests.simulation.world import World


@dataclass
class Steps:
    """The clocks of a machine: now_ns goes on while it sleeps, and somebody sets the wall clock."""

    real: VirtualClock
    step_ns: int = 0
    slept_ns: int = 0

    def now_ns(self) -> int:
        return self.real.now_ns() + self.slept_ns

    def wall_ns(self) -> int:
        return self.real.now_ns() + self.slept_ns + self.step_ns


@dataclass
class Told:
    """What the heartbeat stopped sending for."""

    halts: dict[Halt, str] = field(default_factory=dict)


@asynccontextmanager
async def beating(world: World, checked: bool = False) -> AsyncIterator[Told]:
    """A heartbeat beside the world's engine, started as the daemon starts it. checked: a node that
    is not run has found the clock right.
    """
    told = Told()

    def halt(why: Halt, text: str) -> None:
        told.halts[why] = text
        world.switch.stop(why, text)

    beats = Beats(halt, lambda _: None)
    heart = Heartbeat(
        world.store,
        world.desk,
        world.shared,
        world.engine._clock,
        world.keep_ns,
        beats,
        world.timekeeping,
    )
    heart.start()
    if checked:
        world.timekeeping.judge("payer", "")
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
