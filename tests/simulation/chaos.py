"""One seed, one world: streams, people and mishaps over days of virtual time, and what must be true
all along.

After the mishaps the world is healed and left alone for so long that everything that can end has
ended; then sending is stopped, and our books are compared with the receivers', payment by payment.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest import mock

import streamer.books.archive
import streamer.core.outages
import streamer.doubt.recovery
import streamer.pay.engine
import streamer.pay.link
import streamer.run.heartbeat
import streamer.simulator.network.channels
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.faults import History
from streamer.simulator.network.lightning_node import Wallet
from streamer.words.errors import StoreFailed
from streamer.words.money import DAY_NS, SECOND_NS
from streamer.words.reasons import Halt
from tests.simulation.callers import check_told
from tests.simulation.crowds import HUBS, settle_crowds
from tests.simulation.innocents import Chapter
from tests.simulation.mishaps import MISHAPS, closed
from tests.simulation.people import (
    ACTS,
    CROWDED,
    STREAMS_AT_MOST,
    TEMPI,
    Tempo,
    act,
    open_stream,
    tokens,
)
from tests.simulation.troubled import PLENTY_BYTES, SETTLED_LIMIT_MSAT, Troubled, TroubledStore
from tests.simulation.truth import Truth, check_books, check_current, check_step

Order = TypeVar("Order")

RECEIVERS = 3
STREAMS_AT_FIRST = 3
QUIET_NS = 4 * 3600 * SECOND_NS
"""Longer than any back-off, than what a write-off waits for here, and than a clock put right
takes.
"""
HEALED_NS = 75 * 60 * SECOND_NS
"""After so long nothing of the faults is left, and the chapter of the innocent begins; the rest of
the quiet time is enough for its own.
"""
CHAPTER_RATE = 0.2
"""In so many of the seeds."""
LOOK_SECONDS = 600
DRAIN_SECONDS = 60
DOWN_SECONDS = (0.0, 0.0, 1.0, 60.0, 3_600.0)
IDLE_SECONDS = 120
"""How often idle loops look at the time here; daemons do so each second, of which nothing would be
seen but the cost.
"""

SLOTS = 24
"""Of a channel; few enough that they are all taken now and then."""
QUICKER = (
    (streamer.pay.engine, "WAKE_AT_LEAST_NS", IDLE_SECONDS * SECOND_NS),
    (streamer.run.heartbeat, "BEAT_SECONDS", IDLE_SECONDS),
    (streamer.core.outages, "BEAT_NS", IDLE_SECONDS * SECOND_NS),
    (streamer.books.archive, "ARCHIVE_AFTER_NS", 600 * SECOND_NS),
    (streamer.books.archive, "LOOK_SECONDS", 600.0),
    (streamer.doubt.recovery, "LOOK_AT_LEAST_SECONDS", 10.0),
    (streamer.doubt.recovery, "IDLE_SECONDS", 2.0 * IDLE_SECONDS),
    (streamer.pay.link, "LOOK_SECONDS", 2.0 * IDLE_SECONDS),
    (streamer.pay.link, "BLOCKED_LOOK_SECONDS", 30.0),
    (streamer.simulator.network.channels, "MAX_HTLCS", SLOTS),
)
"""(module, constant, value): what a seed would spend most of its time on, and show nothing by."""


@dataclass(slots=True)
class Outcome:
    """What one run saw: payments by state, crashes, and the simulated days; looks: at streams that
    did nothing wrong (judges.py).
    """

    seed: int
    days: float
    payments: dict[str, int] = field(default_factory=dict)
    received: int = 0
    crashes: int = 0
    steps: int = 0
    looks: int = 0


class Chaos:
    """A run: `through` raises AssertionError when a rule is broken."""

    def __init__(
        self, clock: VirtualClock, rng: random.Random, tempo: Tempo, outcome: Outcome
    ) -> None:
        self.clock = clock
        self.rng = rng
        self.tempo = tempo
        self._step_seconds = rng.choice(tempo.step_seconds)
        self.crashed = asyncio.Event()
        self.truth = Truth()
        self.outcome = outcome
        self.world = Troubled(clock, RECEIVERS, rng.choice((1, 2)), rng, self._committing)
        self.snapshots: dict[str, tuple[History, dict[int, tuple[int, int]]]] = {}
        self.backup: bytes | None = None
        self.old_journal = self.indexes_again = False
        # in half of the worlds nothing that is durable is lost, and nothing is excused by it
        self.keeps_journal = rng.random() < 0.5
        self.unread: set[str] = set()
        self.requests: dict[str, tuple[str, object]] = {}
        self.invoices: dict[str, bytes] = {}
        self.told: set[str] = set()
        settle_crowds(self.world)
        self.crowds = self.short_keys = 0
        self.chapter = Chapter(self) if tempo is CROWDED or rng.random() < CHAPTER_RATE else None
        self.streams_at_most = STREAMS_AT_MOST
        self.story: list[str] = []
        self.broken: BaseException | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._commits_left = self._turns_left = -1
        self._ends: list[tuple[int, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._quiet_from_ns = 0
        self._until_ns = clock.now_ns() + int(outcome.days * DAY_NS)

    @property
    def store(self) -> TroubledStore:
        assert isinstance(self.world.store, TroubledStore)
        return self.world.store

    def receiver(self) -> str:
        return f"receiver{self.rng.randrange(RECEIVERS)}"

    def payer(self) -> str:
        return self.rng.choice(self.world.payers)

    def again(self, kind: str, ordered: type[Order]) -> tuple[str, Order] | None:
        """The last request of this kind, now and then: a client that saw no answer asks again."""
        request_id, order = (
            self.requests.get(kind, ("", None)) if self.rng.random() < 0.3 else ("", None)
        )
        return (request_id, order) if isinstance(order, ordered) else None

    def crash_after(self, commits: int, turns: int) -> None:
        """Die so many turns of the loop after the commits-th commit from now has begun."""
        self._commits_left, self._turns_left = commits, turns

    async def through(self) -> Outcome:
        while self.clock.now_ns() < self._until_ns:
            await self._life(self._troubles)
            self._restart()
            await asyncio.sleep(
                1.0 * self.store.full + self.rng.choice(DOWN_SECONDS) * self.rng.random()
            )
        self._heal()
        self._quiet_from_ns = self.clock.now_ns()
        while not self.outcome.payments:
            self.world.crash()
            await self._life(self._quiet)
            if self.chapter is not None:
                await asyncio.sleep(self.chapter.down_seconds)
        self.outcome.received = len(self.truth.received)
        self.outcome.looks = self.chapter.judge.lateness_looks if self.chapter is not None else 0
        return self.outcome

    # -- one process --------------------------------------------------------------------------

    async def _life(self, live: Callable[[], Awaitable[None]]) -> None:
        """One process: from its start until live returns, or an engine is dead."""
        running = [asyncio.ensure_future(engine.run()) for engine in self.world.engines.values()]
        running += [asyncio.ensure_future(self.world.beat()), asyncio.ensure_future(live())]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                with suppress(StoreFailed):
                    task.result()
        finally:
            for task in (*running, *self._calls):
                task.cancel()
            await asyncio.gather(*running, *self._calls, return_exceptions=True)

    def _restart(self) -> None:
        self.tell("crash")
        before = tokens(self)
        self.store.fail_rate = 0.0
        self._commits_left = self._turns_left = -1
        self.crashed.clear()
        self.world.failures = []
        if self.old_journal and self.backup is not None:
            self.tell("an old journal")
            self.world.excuses.lost_attempts |= self.store.revert(self.backup)
            self.requests.clear()
            self.unread = set(self.world.payers)
            self.world.excuses.lost_singles = True
            self.world.excuses.incomplete = set(self.world.payers)
        self.old_journal, self.backup = False, self.backup if not self.old_journal else None
        self.world.crash()
        self.world.excuses.lost_streams |= before - tokens(self)
        self.outcome.crashes += 1

    def unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A task died and nobody asked why: only a failed store may do that."""
        error = context.get("exception")
        if error is not None and not isinstance(error, StoreFailed):
            self.broken = error
            self.crashed.set()

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
        while len(self.world.streams) < STREAMS_AT_FIRST:
            await act(self, open_stream)
            if await self._crashed_within(1.0):
                return
        while self.clock.now_ns() < self._until_ns and not self.world.failures:
            if await self._crashed_within(self.rng.expovariate(1 / self._step_seconds)):
                return
            self.truth.look(self.world)
            check_step(self.world)
            self.outcome.steps += 1
            self._happen()

    def _happen(self) -> None:
        if self.rng.random() < 0.4:
            what = self.rng.choice(ACTS)
            self.tell(what.__name__)
            call = asyncio.ensure_future(act(self, what))
            self._calls.add(call)
            call.add_done_callback(self._called)
            return
        mishap = self.rng.choice(MISHAPS)
        self.tell(mishap.__name__)
        end = mishap(self)
        if end is not None:
            heapq.heappush(self._ends, (self.clock.now_ns() + end[0], next(self._numbers), end[1]))

    def _called(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if not call.cancelled() and call.exception() is not None:
            self.broken = call.exception()
            self.crashed.set()

    def _dying(self) -> bool:
        return self.crashed.is_set() or self.world.replay_asked.is_set()

    async def _crashed_within(self, seconds: float) -> bool:
        """Wait, ending mishaps whose time has come; True if the process is to die."""
        until_ns = self.clock.now_ns() + int(seconds * SECOND_NS)
        while True:
            now_ns = self.clock.now_ns()
            while self._ends and self._ends[0][0] <= now_ns:
                heapq.heappop(self._ends)[2]()
            if self.broken is not None:
                raise self.broken  # what a task of the daemon died of
            if now_ns >= until_ns or self._dying():
                return self._dying()
            moment = min(until_ns, self._ends[0][0]) if self._ends else until_ns
            with suppress(TimeoutError):
                await asyncio.wait_for(self._death(), (moment - now_ns) / SECOND_NS)

    async def _death(self) -> None:
        """Until the process is to end: killed, or asked to read its journal anew."""
        waits = [
            asyncio.ensure_future(event.wait()) for event in (self.crashed, self.world.replay_asked)
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _heal(self) -> None:
        """All is well from now on, and the operator has put right what he can."""
        self.tell("heal")
        while self._ends:
            heapq.heappop(self._ends)[2]()
        self.store.slow, self.store.full, self.store.free_bytes = False, False, PLENTY_BYTES
        self.world.late_rate = 0.0
        self.clock.step_wall(self.clock.now_ns() - self.clock.wall_ns())
        faults, named = self.world.faults, self.world.network.named
        for name in self.world.payers:
            named[name].call_fault = None
        for name, node in named.items():
            if not node.up:
                faults.bring_up(name, Wallet.SERVER_ACTIVE)
        for payer, receiver in itertools.product(
            self.world.payers, [*(f"receiver{number}" for number in range(RECEIVERS)), *HUBS]
        ):
            # some were closed by an HTLC that was held beyond its expiry
            closed(self, payer, receiver)
        self.world.options["spend_limit_msat"] = SETTLED_LIMIT_MSAT

    async def _quiet(self) -> None:
        """Nothing happens but time, and a person who starts what can be started; then all is
        compared.
        """
        await asyncio.sleep(1)
        await self.world.service.sending.start(b"")
        # what says that the journal was ahead has to be said alone
        if self.world.switch.halts.keys() == {Halt.CLOCK}:
            await self.world.service.sending.start(b"")
        while self.clock.now_ns() < self._quiet_from_ns + QUIET_NS:
            if (
                self.chapter is not None
                and not self.chapter.over
                and self.clock.now_ns() >= self._quiet_from_ns + HEALED_NS
            ):
                await self.chapter.live()
            else:
                await asyncio.sleep(LOOK_SECONDS)
            self.truth.look(self.world)
            check_step(self.world)
            assert not self.world.failures, self.world.failures
            if self.world.replay_asked.is_set():
                return
        assert self.world.switch.sending, self.world.switch.halts
        for name, engine in self.world.engines.items():
            assert engine.up, f"{name}: {engine.problem}"
        check_current(self.world)
        await self.world.service.sending.stop(drain=True, patience_seconds=DRAIN_SECONDS)
        await asyncio.sleep(DRAIN_SECONDS)
        await check_told(self)
        self.outcome.payments = await check_books(self.world, self.truth)
        assert not self.world.observer.late, "its time was paid again while a call of it was alive"

    def tell(self, what: str) -> None:
        self.story.append(
            f"{(self.clock.now_ns() - self.world.network.start_ns) / SECOND_NS:.3f} {what}"
        )


def run(seed: int, days: float | None = None, given: Tempo | None = None) -> Outcome:
    """One run: tempo and days are the seed's own choice, or given. AssertionError carries the seed
    and a story.
    """
    rng = random.Random(seed)
    tempo = rng.choice(TEMPI)
    tempo = given or tempo

    async def main(clock: VirtualClock) -> Outcome:
        chaos = Chaos(clock, rng, tempo, Outcome(seed, tempo.days if days is None else days))
        asyncio.get_running_loop().set_exception_handler(chaos.unhandled)
        try:
            return await chaos.through()
        except Exception as error:
            story = "\n".join(chaos.story[-25:])
            raise AssertionError(
                f"seed {seed} days {chaos.outcome.days} ({tempo.name}): {error!r}\n{story}"
            ) from error
        finally:
            chaos.world.simulation.stop()

    log = logging.getLogger("streamer")
    with ExitStack() as patches:
        patches.callback(log.setLevel, log.level)
        log.setLevel(logging.CRITICAL)
        for module, name, value in QUICKER:
            patches.enter_context(mock.patch.object(module, name, value))
        patches.enter_context(
            mock.patch.object(secrets, "token_hex", lambda count: rng.randbytes(count).hex())
        )
        return run_virtual(main, seed=seed)
