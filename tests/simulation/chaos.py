"""One seed, one world: streams, people and mishaps over days of virtual time, and what must be true all along.

After the mishaps the world is healed and left alone for so long that everything that can end has
ended; then our books are compared with the receivers', payment by payment.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from streamer.errors import StoreFailed
from streamer.money import DAY_NS, SECOND_NS
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.lightning_node import Wallet
from tests.simulation.mishaps import MISHAPS, act, closed, open_stream
from tests.simulation.troubled import Troubled, TroubledStore
from tests.simulation.truth import Truth, check_books, check_current, check_step

RECEIVERS = 3
STREAMS_AT_FIRST = 4
STREAMS_AT_MOST = 10
STEP_SECONDS = (30.0, 120.0, 400.0)
"""The mean time between two things that somebody or something does; the seed says which."""
QUIET_SECONDS = 3 * 3600
"""Longer than any back-off, and than what a write-off waits for here."""
DOWN_SECONDS = (0.0, 0.0, 1.0, 60.0, 3_600.0)


@dataclass(slots=True)
class Outcome:
    """What one run saw: payments by state, crashes, and the simulated days."""

    seed: int
    days: float
    payments: dict[str, int] = field(default_factory=dict)
    received: int = 0
    crashes: int = 0
    steps: int = 0


class Chaos:
    """A run: `through` raises AssertionError when a rule is broken."""

    def __init__(self, clock: VirtualClock, seed: int, days: float) -> None:
        self.clock = clock
        self.rng = random.Random(seed)
        self.receivers = RECEIVERS
        self._step_seconds = self.rng.choice(STEP_SECONDS)
        self.crashed = asyncio.Event()
        self.truth = Truth()
        self.outcome = Outcome(seed, days)
        self.world = Troubled(clock, RECEIVERS, self.rng, self._committing)
        self.story: list[str] = []
        self._commits_left = self._turns_left = -1
        self._ends: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._until_ns = clock.now_ns() + int(days * DAY_NS)

    @property
    def store(self) -> TroubledStore:
        assert isinstance(self.world.store, TroubledStore)
        return self.world.store

    def receiver(self) -> str:
        return f"receiver{self.rng.randrange(RECEIVERS)}"

    def crash_after(self, commits: int, turns: int) -> None:
        """Die so many turns of the loop after the commits-th commit from now has begun."""
        self._commits_left, self._turns_left = commits, turns

    async def through(self) -> Outcome:
        while self.clock.now_ns() < self._until_ns:
            await self._life(self._troubles)
            self._restart()
            await asyncio.sleep(self.rng.choice(DOWN_SECONDS) * self.rng.random())
        self._heal()
        await self._life(self._quiet)
        self.outcome.received = len(self.truth.received)
        return self.outcome

    # -- one process --------------------------------------------------------------------------

    async def _life(self, live: Callable[[], object]) -> None:
        """One process: from its start until live returns, or the engine is dead."""
        engine = asyncio.ensure_future(self.world.engine.run())
        life = asyncio.ensure_future(live())  # type: ignore[arg-type]
        try:
            await asyncio.wait((engine, life), return_when=asyncio.FIRST_COMPLETED)
            if engine.done():
                engine.result()
            with suppress(StoreFailed):
                await life
        finally:
            for task in (life, engine):
                task.cancel()
            await asyncio.gather(engine, life, return_exceptions=True)

    def _restart(self) -> None:
        self._tell("crash")
        self.store.fail_rate = 0.0
        self._commits_left = self._turns_left = -1
        self.crashed.clear()
        self.world.failures = []
        self.world.crash()
        self.outcome.crashes += 1

    def _committing(self) -> None:
        if self._commits_left > 0:
            self._commits_left -= 1
            if self._commits_left == 0:
                self._count_down(self._turns_left)

    def _count_down(self, turns: int) -> None:
        if turns <= 0:
            self.crashed.set()
        else:
            asyncio.get_running_loop().call_soon(self._count_down, turns - 1)

    # -- what happens ---------------------------------------------------------------------------

    async def _troubles(self) -> None:
        while len(self.world.book.streams) < STREAMS_AT_FIRST:
            await open_stream(self)
        while self.clock.now_ns() < self._until_ns and not self.world.failures:
            if await self._crashed_within(self.rng.expovariate(1 / self._step_seconds)):
                return
            self.truth.look(self.world)
            check_step(self.world)
            self.outcome.steps += 1
            await self._happen()

    async def _happen(self) -> None:
        chance = self.rng.random()
        if chance < 0.1 and self._open_streams() < STREAMS_AT_MOST:
            self._tell("open")
            await open_stream(self)
        elif chance < 0.4:
            self._tell("act")
            await act(self)
        else:
            mishap = self.rng.choice(MISHAPS)
            self._tell(mishap.__name__)
            end = mishap(self)
            if end is not None:
                heapq.heappush(self._ends, (self.clock.now_ns() + end[0], next(self._numbers), end[1]))

    def _open_streams(self) -> int:
        return sum(stream.ends_as is None for stream in self.world.book.streams.values())

    async def _crashed_within(self, seconds: float) -> bool:
        """Wait, ending mishaps whose time has come; True if the process is to die."""
        until_ns = self.clock.now_ns() + int(seconds * SECOND_NS)
        while True:
            now_ns = self.clock.now_ns()
            while self._ends and self._ends[0][0] <= now_ns:
                heapq.heappop(self._ends)[2]()
            if now_ns >= until_ns or self.crashed.is_set():
                return self.crashed.is_set()
            moment = min(until_ns, self._ends[0][0]) if self._ends else until_ns
            with suppress(TimeoutError):
                await asyncio.wait_for(self.crashed.wait(), (moment - now_ns) / SECOND_NS)

    def _heal(self) -> None:
        """All is well from now on."""
        self._tell("heal")
        while self._ends:
            heapq.heappop(self._ends)[2]()
        self.store.slow, self.store.fail_rate = False, 0.0
        faults, named = self.world.faults, self.world.network.named
        named["payer"].call_fault = None
        for name, node in named.items():
            if not node.up:
                faults.bring_up(name, Wallet.SERVER_ACTIVE)
            if any(side.channel.closing for side in node.sides):
                # closed by an HTLC that was held beyond its expiry
                for receiver in [one for one in named if one != "payer"]:
                    closed(self, receiver)

    async def _quiet(self) -> None:
        for _ in range(30):
            await asyncio.sleep(QUIET_SECONDS / 30)
            self.truth.look(self.world)
            check_step(self.world)
            assert not self.world.failures, self.world.failures
        check_current(self.world)
        self.outcome.payments = await check_books(self.world, self.truth)

    def _tell(self, what: str) -> None:
        self.story.append(f"{(self.clock.now_ns() - self.world.network.start_ns) / SECOND_NS:.3f} {what}")


def run(seed: int, days: float) -> Outcome:
    """One run; AssertionError carries the seed, and a story of what happened before."""

    async def main(clock: VirtualClock) -> Outcome:
        chaos = Chaos(clock, seed, days)
        try:
            return await chaos.through()
        except Exception as error:
            story = "\n".join(chaos.story[-25:])
            raise AssertionError(f"seed {seed} days {days}: {error!r}\n{story}") from error
        finally:
            chaos.world.simulation.stop()

    logging.getLogger("streamer").setLevel(logging.ERROR)
    return run_virtual(main, seed=seed)
