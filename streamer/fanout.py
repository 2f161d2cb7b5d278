"""Who is given which events, and when: in rounds, so that watchers take a bounded share of the loop.

After each round the fan-out rests REST times as long as the loop was busy in it. Whatever number of
watchers there is, and however much each of them wants, payments have the rest of the time; watchers
get what fits, fall behind if that is too little, and are dropped in the end.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
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


class Watcher:
    """One reader. given: the cursor up to which it was given events or had no use for them; read: up to which it took them.

    behind: how far that was from the newest at the last look; one that comes nearer is not too slow.
    """

    __slots__ = ("behind", "cut", "dropped", "dropped_at", "given", "here", "queue", "read", "told_at", "waiting", "wanted")

    def __init__(self, position: int, wanted: Wanted, cut: Callable[[], object], now: float) -> None:
        self.given = self.read = position
        self.wanted = wanted
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
        self._news = asyncio.Event()
        self._back = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many watch; those that were dropped and did not notice yet are not among them."""
        return len(self._watchers)

    def news(self) -> None:
        """Something was published, or the source stops."""
        if self._watchers and not self._news.is_set():
            self._news.set()

    def add(self, watcher: Watcher) -> None:
        """Serve it from now on."""
        self._watchers.add(watcher)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def remove(self, watcher: Watcher) -> None:
        """It left."""
        self._watchers.discard(watcher)
        self._slow.discard(watcher)
        self._parked.pop(watcher, None)
        self._back.set()
        self._news.set()

    async def next(self, watcher: Watcher) -> Event | None:
        """The next event for watcher; None: it was dropped, or the source stops and all was given."""
        while not watcher.dropped:
            if watcher.queue:
                watcher.told_at = asyncio.get_running_loop().time()
                return watcher.queue.popleft()
            if self._source.stopping and watcher.given == self._source.cursor:
                return None
            await self._park(watcher)
        return None

    async def emptied(self) -> None:
        """Return when nobody watches any more."""
        while self._watchers:
            self._back.clear()
            await self._back.wait()

    async def _park(self, watcher: Watcher) -> None:
        watcher.waiting = asyncio.get_running_loop().create_future()
        self._parked[watcher] = None
        self._back.set()
        watcher.read = watcher.given
        if watcher.given != self._source.cursor or self._source.stopping:
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

    def _unserved(self) -> bool:
        """Whether a watcher that waits can be given something."""
        cursor, stopping = self._source.cursor, self._source.stopping
        return any(watcher.given != cursor or stopping for watcher in self._parked)

    def _round(self) -> list[Watcher]:
        """Give out what one round may; those who got something."""
        source, served, left = self._source, [], ROUND_LOOKS
        for watcher in tuple(self._parked):
            if left <= 0:
                break
            before = watcher.given
            self._fill(watcher, left)
            left -= watcher.given - before + EVENT_LOOKS * len(watcher.queue)
            if watcher.queue or (source.stopping and watcher.given == source.cursor):
                self._wake(watcher)
                served.append(watcher)
            elif watcher in self._parked:
                # behind those who were not looked at yet
                self._parked[watcher] = self._parked.pop(watcher)
        return served

    def _fill(self, watcher: Watcher, looks: int) -> None:
        """Queue what is next for watcher; drop it if that is kept no more."""
        source, wanted, queue = self._source, watcher.wanted, watcher.queue
        if source.cursor - watcher.given > source.ring_events:
            self._drop(watcher, asyncio.get_running_loop().time())
            return
        until = min(source.cursor, watcher.given + looks)
        while watcher.given < until and len(queue) < BURST_EVENTS:
            watcher.given += 1
            event = source.event(watcher.given)
            if wanted(event):
                queue.append(event)
        if not queue:
            watcher.read = watcher.given

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
            behind, watcher.behind = watcher.behind, source.cursor - watcher.read
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
        self._watchers.discard(watcher)
        self._slow.add(watcher)
        self._source.on_dropped()
        self._wake(watcher)

    def _wake(self, watcher: Watcher) -> None:
        if watcher.waiting is not None and not watcher.waiting.done():
            watcher.waiting.set_result(None)
        self._parked.pop(watcher, None)
