"""Once a second: is the loop on time, did the machine sleep, is sending stopped, has the disk room, is it time to forget.

It also marks the time in the journal while nothing else is written: the last mark is where the
outage of a daemon that died begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from streamer.core.shared import DOORS, MARK, Shared
from streamer.errors import StoreFailed
from streamer.model import Facts
from streamer.money import SECOND_NS
from streamer.ports import Clock, Store
from streamer.reasons import Halt

BEAT_SECONDS = 1.0
MARK_EVERY_NS = 10 * SECOND_NS
LEAST_FREE_BYTES = 64 * 1024 * 1024
"""Sending stops before the disk is full, while outcomes can still be written (MONEY.md 16)."""
SPACE_EVERY_NS = 5 * SECOND_NS
PURGE_EVERY_NS = 600 * SECOND_NS
PURGE_STEP = 500
PURGE_PAUSE_SECONDS = 0.2
CLOCK_BEHIND_NS = 60 * SECOND_NS
"""How far the wall clock may be behind the journal's last moment at a start."""


@dataclass(slots=True, frozen=True)
class Beats:
    """What the heartbeat may do beyond looking. halt(halt, text) stops sending of the daemon.

    clock_checked: a node has found our clock right, and none finds it wrong now.
    """

    halt: Callable[[Halt, str], None]
    lag: Callable[[float], None]
    replay: Callable[[], None]
    clock_checked: Callable[[], bool] = lambda: True


class Heartbeat:
    """Run beside the engines, for as long as they run."""

    def __init__(self, store: Store, shared: Shared, clock: Clock, keep_ns: int, beats: Beats) -> None:
        self._store = store
        self._shared = shared
        self._clock = clock
        self._keep_ns = keep_ns
        self._beats = beats
        self._marked_ns = self._open_ns = self._looked_ns = self._purged_ns = self._last_ns = 0
        self._first = Facts()
        self._purging: asyncio.Future[None] | None = None

    def start(self, settings: dict[str, str]) -> None:
        """Look at the disk; compare the wall clock with the journal's last moment, and count the time since as an outage."""
        now_ns, last_ns = self._clock.now_ns(), int(settings.get(MARK, "0"))
        if last_ns:
            self._shared.outages.keep_back()
        if now_ns < last_ns - CLOCK_BEHIND_NS:
            behind = (last_ns - now_ns) // SECOND_NS
            self._beats.halt(
                Halt.CLOCK,
                f"the clock is {behind} s behind the journal's last entry: put the clock right, sending then starts; if it is right, and"
                " was ahead when that entry was made, `streamer sending start`",
            )
        elif last_ns:
            self._shared.outages.add("DAEMON_DOWN", last_ns, now_ns, self._first)
        self._last_ns = last_ns
        self._look_at_space()
        self._shared.count_stopped(now_ns, self._first)

    async def run(self) -> None:
        """Beat until cancelled; ends only with the store."""
        try:
            await self._store.append(self._first)
            before_ns = self._clock.now_ns()
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                now_ns = self._clock.now_ns()
                await self._beat(before_ns, now_ns)
                before_ns = now_ns
        except StoreFailed as error:
            self._beats.halt(Halt.STORE_FAILED, str(error))
        finally:
            if self._purging is not None:
                self._purging.cancel()

    async def _beat(self, before_ns: int, now_ns: int) -> None:
        late_ns = now_ns - before_ns - int(BEAT_SECONDS * SECOND_NS)
        self._beats.lag(max(0, late_ns) / SECOND_NS)
        facts = Facts()
        self._shared.outages.alive(now_ns, facts)
        self._shared.count_stopped(now_ns, facts)
        if self._beats.clock_checked():
            if now_ns - self._marked_ns >= MARK_EVERY_NS or facts:
                self._marked_ns = now_ns
                self._shared.mark(now_ns, facts)
                facts.settings.append((DOORS, ""))
        elif now_ns - self._open_ns >= MARK_EVERY_NS:
            self._open_ns = now_ns
            facts.settings.append((DOORS, str(now_ns)))
        if facts:
            await self._store.append(facts)
        if now_ns - self._looked_ns >= SPACE_EVERY_NS:
            self._looked_ns = now_ns
            self._look_at_space()
        if Halt.CLOCK in self._shared.switch.halts and self._clock.wall_ns() >= self._last_ns:
            self._beats.replay()
        if now_ns - self._purged_ns >= PURGE_EVERY_NS and (self._purging is None or self._purging.done()):
            self._purged_ns = now_ns
            self._purging = asyncio.ensure_future(self._purge(now_ns))

    def _look_at_space(self) -> None:
        try:
            free = self._store.space()[1]
        except OSError:
            return  # a disk that is gone shows with the next commit
        if free < LEAST_FREE_BYTES and Halt.STORE_FAILED not in self._shared.switch.halts:
            text = f"only {free // 1024**2} MiB are free for the journal: make room, then `streamer sending start`"
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
