"""Once a second: is the loop on time, did the machine sleep, is sending stopped, has the disk room,
is it time to forget.

It also marks the time in the journal while nothing else is written: the last mark is where the
outage of a daemon that died begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from streamer.books.desk import Desk
from streamer.books.timekeeping import Timekeeping
from streamer.core.shared import MARK_EVERY_NS, Shared
from streamer.ports import Clock, Store
from streamer.words.errors import StoreFailed
from streamer.words.model import Facts
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt

BEAT_SECONDS = 1.0
LEAST_FREE_BYTES = 64 * 1024 * 1024
"""Sending stops before the disk is full, while outcomes can still be written (money rule 10)."""
SPACE_EVERY_NS = 5 * SECOND_NS
PURGE_EVERY_NS = 600 * SECOND_NS
PURGE_STEP = 500
PURGE_PAUSE_SECONDS = 0.2


@dataclass(slots=True, frozen=True)
class Beats:
    """What the heartbeat may do beyond looking. halt(halt, text) stops sending of the daemon."""

    halt: Callable[[Halt, str], None]
    lag: Callable[[float], None]


class Heartbeat:
    """Run beside the engines, for as long as they run."""

    def __init__(
        self,
        store: Store,
        desk: Desk,
        shared: Shared,
        clock: Clock,
        keep_ns: int,
        beats: Beats,
        timekeeping: Timekeeping,
    ) -> None:
        self._store = store
        self._desk = desk
        self._shared = shared
        self._clock = clock
        self._keep_ns = keep_ns
        self._beats = beats
        self._timekeeping = timekeeping
        self._marked_ns = self._looked_ns = self._purged_ns = self._beat_ns = 0
        self._purging: asyncio.Future[None] | None = None
        timekeeping.follow(self)

    def start(self) -> None:
        """Look at the disk, and compare the wall clock with the journal's last moment."""
        behind = self._timekeeping.behind_journal()
        if behind:
            self._beats.halt(Halt.CLOCK, behind)
        self._look_at_space()

    def move_time(self, by_ns: int) -> None:
        """Our time is by_ns later than it was, or earlier."""
        self._beat_ns += by_ns
        self._marked_ns += by_ns
        self._looked_ns += by_ns
        self._purged_ns += by_ns if self._purged_ns else 0

    async def run(self) -> None:
        """Beat until cancelled; ends only with the store."""
        try:
            self._beat_ns = self._clock.now_ns()
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                self._timekeeping.look()
                await self._beat(self._clock.now_ns())
        except StoreFailed as error:
            self._beats.halt(Halt.STORE_FAILED, str(error))
        finally:
            if self._purging is not None:
                self._purging.cancel()

    async def _beat(self, now_ns: int) -> None:
        late_ns, self._beat_ns = now_ns - self._beat_ns - int(BEAT_SECONDS * SECOND_NS), now_ns
        self._beats.lag(max(0, late_ns) / SECOND_NS)
        facts = Facts()
        if self._timekeeping.known:
            self._shared.outages.alive(now_ns, facts)
            self._shared.count_stopped(now_ns, facts)
            if now_ns - self._marked_ns >= MARK_EVERY_NS or facts:
                self._marked_ns = now_ns
                self._shared.mark(now_ns, facts)
        if facts:
            await self._desk.durable(facts)
        if now_ns - self._looked_ns >= SPACE_EVERY_NS:
            self._looked_ns = now_ns
            self._look_at_space()
        self._forget(now_ns)

    def _forget(self, now_ns: int) -> None:
        """Let old history go, if it is time and the time is known: by a clock that is ahead all of
        it would be old.
        """
        due = self._timekeeping.known and now_ns - self._purged_ns >= PURGE_EVERY_NS
        if due and (self._purging is None or self._purging.done()):
            self._purged_ns = now_ns
            self._purging = asyncio.ensure_future(self._purge(now_ns))

    def _look_at_space(self) -> None:
        try:
            free = self._store.space()[1]
        except OSError:
            return  # a disk that is gone shows with the next commit
        if free < LEAST_FREE_BYTES and Halt.STORE_FAILED not in self._shared.switch.halts:
            text = (
                f"only {free // 1024**2} MiB are free for the journal: make room, then `streamer"
                " sending start`"
            )
            self._beats.halt(Halt.STORE_FAILED, text)

    async def _purge(self, now_ns: int) -> None:
        """Beside the beats: at hundreds of payments a second it takes a minute."""
        deleted = PURGE_STEP
        try:
            while deleted >= PURGE_STEP:
                deleted = await self._store.purge(now_ns - self._keep_ns, PURGE_STEP)
                await asyncio.sleep(PURGE_PAUSE_SECONDS)
        except StoreFailed as error:
            self._beats.halt(Halt.STORE_FAILED, str(error))
