"""A bounded fan-out of events to watchers. Publishing never waits, and costs nothing unwatched.

Each watcher has its own bounded queue; one that is too slow is dropped, and told so. The feed keeps
no history: a watcher sees what happens from the moment it began.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from streamer.errors import ResourceExhausted
from streamer.model import Payment, Stream
from streamer.service.reports import Event

QUEUE_LIMIT = 4_096
"""Events that wait for one watcher; about half a second of a busy daemon."""
WATCHER_LIMIT = 100


class Feed:
    """Who watches, and the cursor: the number of the newest event since the start.

    on_dropped is called for each watcher that was too slow.
    """

    def __init__(self, queue_limit: int = QUEUE_LIMIT, watcher_limit: int = WATCHER_LIMIT) -> None:
        self.cursor = 0
        self.on_dropped: Callable[[], None] = lambda: None
        self._queue_limit = queue_limit
        self._watcher_limit = watcher_limit
        self._watchers: set[_Watcher] = set()

    def publish(self, time_ns: int, stream: Stream, payment: Payment | None = None) -> None:
        """Hand an event to all watchers; drops those whose queue is full."""
        self.cursor += 1
        if not self._watchers:
            return
        event = Event(self.cursor, time_ns, stream, payment)
        for watcher in tuple(self._watchers):
            if not watcher.offer(event, self._queue_limit):
                self._watchers.discard(watcher)
                self.on_dropped()

    def watch(self) -> AsyncIterator[Event]:
        """Events from now on: registered at the call, not at the first step."""
        if len(self._watchers) >= self._watcher_limit:
            raise ResourceExhausted(f"{self._watcher_limit} watchers are connected already: close one")
        watcher = _Watcher()
        self._watchers.add(watcher)
        return self._events(watcher)

    async def _events(self, watcher: _Watcher) -> AsyncIterator[Event]:
        try:
            while True:
                yield await watcher.next(self.cursor)
        finally:
            self._watchers.discard(watcher)


class _Watcher:
    def __init__(self) -> None:
        self._queue: deque[Event] = deque()
        self._ready = asyncio.Event()
        self._full = False

    def offer(self, event: Event, limit: int) -> bool:
        self._ready.set()
        if len(self._queue) >= limit:
            self._full = True
            return False
        self._queue.append(event)
        return True

    async def next(self, cursor: int) -> Event:
        while not self._queue:
            if self._full:
                raise ResourceExhausted(f"this reader is too slow and was dropped: list again, then watch (cursor {cursor})", "SLOW_READER")
            self._ready.clear()
            await self._ready.wait()
        return self._queue.popleft()
