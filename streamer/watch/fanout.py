"""Who is given which events, and when: in rounds, so that watchers take a bounded share of the
loop.

After each round the fan-out rests REST times as long as the loop was busy in it. Whatever number of
watchers there is, and however much each of them wants, payments have the rest of the time; watchers
get what fits, fall behind if that is too little, and are dropped in the end.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from streamer.service.reports import Event, Wanted

REST = 3.0
"""Watchers have at most one part of the loop's time in 1 + REST."""
ROUND_LOOKS = 4_000
"""How often one round asks whether a watcher wants an event: a few milliseconds in one piece."""
EVENT_LOOKS = 60
"""What giving an event out costs beside that: about as much as so many looks."""
BURST_EVENTS = 32
"""Events for one watcher in one round."""
ROUND_SECONDS = 0.05
"""How long a round waits for those to whom it gave something."""
LOOK_SECONDS = 1.0
"""How often slow and silent watchers are looked for."""
BOOKMARK_SECONDS = 10.0
"""A watcher for whom there is nothing is told so, with the cursor, this often."""
CUT_SECONDS = 30.0
"""A dropped reader that has not taken its answer after this long is cut."""


class Source(Protocol):
    """Where the events are; feed.py."""

    cursor: int
    lag_limit: int
    ring_events: int
    stopping: bool
    on_dropped: Callable[[], None]

    def event(self, cursor: int) -> Event:
        """The event of that number."""

    def cursors_of(self, term: str, after: int) -> Iterator[int]:
        """The numbers of the kept events that held term (empty: of all), above after, rising."""

    def last_of(self, term: str) -> int:
        """The number of the newest of them; 0 if there is none."""


class Watcher:
    """One reader. given: the cursor up to which it was given events or had no use for them; read:
    up to which it took them; told: the newest cursor that it knows.

    term: what holds for all that it can want, if there is something: it is then not asked about
    other events. behind: how far that was from the newest at the last look; one that comes nearer
    is not too slow.
    """

    __slots__ = (
        "behind",
        "cut",
        "dropped",
        "dropped_at",
        "given",
        "queue",
        "read",
        "term",
        "told",
        "told_at",
        "waiting",
        "wanted",
    )

    def __init__(
        self, position: int, wanted: Wanted, term: str, cut: Callable[[], object], now: float
    ) -> None:
        self.given = self.read = self.told = position
        self.wanted = wanted
        self.term = term
        self.cut = cut
        self.queue: deque[Event] = deque([bookmark(position)])
        self.waiting: asyncio.Future[None] | None = None
        self.behind = 1 << 62
        self.dropped = False
        self.dropped_at = 0.0
        self.told_at = now


def bookmark(cursor: int) -> Event:
    """An event that only says: up to here there was nothing else for you."""
    return Event(cursor)


class Fanout:
    """The watchers, and the one task that serves them all."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._watchers: set[Watcher] = set()
        self._slow: set[Watcher] = set()
        self._parked: dict[Watcher, None] = {}
        self._of_term: dict[str, dict[Watcher, None]] = {}
        self._fresh: dict[str, None] = {}
        """The terms of which somebody may not have been given everything."""
        self._news = asyncio.Event()
        self._back = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many watch; those that were dropped and did not notice yet are not among them."""
        return len(self._watchers)

    def news(self, terms: Iterable[str] = ()) -> None:
        """Something that holds terms was published, or the source stops."""
        for term in ("", *terms):
            if term in self._of_term:
                self._fresh[term] = None
        if (self._fresh or self._source.stopping) and not self._news.is_set():
            self._news.set()

    def add(self, watcher: Watcher) -> None:
        """Serve it from now on."""
        self._watchers.add(watcher)
        self._of_term.setdefault(watcher.term, {})[watcher] = None
        self._fresh[watcher.term] = None
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def remove(self, watcher: Watcher) -> None:
        """It left."""
        self._forget(watcher)
        self._slow.discard(watcher)
        self._parked.pop(watcher, None)
        self._back.set()
        self._news.set()

    def _forget(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)
        others = self._of_term.get(watcher.term, {})
        others.pop(watcher, None)
        if not others:
            self._of_term.pop(watcher.term, None)
            self._fresh.pop(watcher.term, None)

    async def next(self, watcher: Watcher) -> Event | None:
        """The next event for watcher; None: it was dropped, or the source stops and all was given,
        at last the newest cursor.
        """
        while not watcher.dropped:
            if watcher.queue:
                watcher.told_at = asyncio.get_running_loop().time()
                event = watcher.queue.popleft()
                watcher.told = event.cursor
                return event
            if self._current(watcher) and self._source.stopping:
                if watcher.told == self._source.cursor:
                    return None
                watcher.queue.append(bookmark(self._source.cursor))
                continue
            await self._park(watcher)
        return None

    def _current(self, watcher: Watcher) -> bool:
        """Whether it was given everything; then both of its positions are the newest."""
        if (
            watcher.queue
            or watcher.given < self._source.last_of(watcher.term)
            or self._overtaken(watcher)
        ):
            return False
        watcher.given = watcher.read = self._source.cursor
        return True

    def _overtaken(self, watcher: Watcher) -> bool:
        """Whether it may have missed something that is kept no more."""
        return self._source.cursor - watcher.given > self._source.ring_events

    async def emptied(self) -> None:
        """Return when nobody watches any more."""
        while self._watchers:
            self._back.clear()
            await self._back.wait()

    async def _park(self, watcher: Watcher) -> None:
        watcher.waiting = asyncio.get_running_loop().create_future()
        self._parked[watcher] = None
        self._back.set()
        if not self._current(watcher) or self._source.stopping:
            self._news.set()
        try:
            await watcher.waiting
        finally:
            watcher.waiting = None
            self._parked.pop(watcher, None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        looked_at = loop.time()
        while self._watchers or self._slow:
            if not self._unserved():
                await self._wait(self._news, LOOK_SECONDS)
                self._news.clear()
            began = time.thread_time()
            await self._wait_for(self._round())
            await asyncio.sleep((time.thread_time() - began) * REST)
            if loop.time() - looked_at >= LOOK_SECONDS:
                looked_at = loop.time()
                self._look(looked_at)

    def _unserved(self) -> list[Watcher]:
        """The watchers that wait and can be given something."""
        if self._source.stopping:
            return list(self._parked)
        found = []
        for term in tuple(self._fresh):
            last = self._source.last_of(term)
            behind = [watcher for watcher in self._of_term[term] if watcher.given < last]
            if not behind:
                del self._fresh[term]
            found += [watcher for watcher in behind if watcher in self._parked]
        return found

    def _round(self) -> list[Watcher]:
        """Give out what one round may; those who got something."""
        served, left = [], ROUND_LOOKS
        for watcher in self._unserved():
            if left <= 0:
                break
            left -= self._fill(watcher, left) + EVENT_LOOKS * len(watcher.queue)
            if watcher.queue or (self._source.stopping and self._current(watcher)):
                self._wake(watcher)
                served.append(watcher)
            self._last(watcher)
        return served

    def _fill(self, watcher: Watcher, looks: int) -> int:
        """Queue what is next for watcher, or drop it if that is kept no more; how many events were
        looked at.
        """
        source, looked = self._source, 0
        if self._overtaken(watcher):
            self._drop(watcher, asyncio.get_running_loop().time())
            return 1
        for number in source.cursors_of(watcher.term, watcher.given):
            if looked >= looks or len(watcher.queue) >= BURST_EVENTS:
                break
            looked += 1
            watcher.given = number
            event = source.event(number)
            if watcher.wanted(event):
                watcher.queue.append(event)
        watcher.read = max(
            watcher.read, watcher.queue[0].cursor - 1 if watcher.queue else watcher.given
        )
        return looked + 1

    def _last(self, watcher: Watcher) -> None:
        """Behind those who were not looked at yet: its term, and among those who have the same."""
        # who always has something to look at would use up each round, and those behind it would
        # never have one
        others = self._of_term.get(watcher.term)
        if others is not None and watcher in others:
            others[watcher] = others.pop(watcher)
            if watcher.term in self._fresh:
                self._fresh[watcher.term] = self._fresh.pop(watcher.term)

    async def _wait_for(self, served: list[Watcher]) -> None:
        """Until all of them wait again, or a while has passed."""
        end = asyncio.get_running_loop().time() + ROUND_SECONDS
        while any(watcher in self._watchers and watcher not in self._parked for watcher in served):
            left = end - asyncio.get_running_loop().time()
            self._back.clear()
            if left <= 0 or not await self._wait(self._back, left):
                return

    @staticmethod
    async def _wait(event: asyncio.Event, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await event.wait()
        except TimeoutError:
            return False

    def _look(self, now: float) -> None:
        """Drop who is too slow, cut who was dropped and does not go, remind who hears nothing."""
        source = self._source
        for watcher in tuple(self._watchers):
            if watcher in self._parked:
                self._current(watcher)
            behind, watcher.behind = watcher.behind, source.cursor - watcher.read
            # one that resumes from an old cursor begins far behind, and stays as long as it comes
            # nearer
            if source.lag_limit < watcher.behind >= behind:
                self._drop(watcher, now)
            elif watcher in self._parked and now - watcher.told_at >= BOOKMARK_SECONDS:
                watcher.queue.append(bookmark(watcher.given))
                self._wake(watcher)
        for watcher in [slow for slow in self._slow if now - slow.dropped_at >= CUT_SECONDS]:
            self._slow.discard(watcher)
            watcher.cut()

    def _drop(self, watcher: Watcher, now: float) -> None:
        watcher.dropped, watcher.dropped_at = True, now
        watcher.queue.clear()
        self._forget(watcher)
        self._slow.add(watcher)
        self._source.on_dropped()
        self._wake(watcher)

    def _wake(self, watcher: Watcher) -> None:
        if watcher.waiting is not None and not watcher.waiting.done():
            watcher.waiting.set_result(None)
        self._parked.pop(watcher, None)
