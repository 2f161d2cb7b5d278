"""What happened lately, in a ring of fixed size, and who reads it. Publishing never waits.

A watcher is a position in the ring and little else, so that a thousand of them, or one that never
reads, cost neither memory nor time. One that falls half a ring behind is dropped, and told where to
go on: the ring keeps what it missed for as many events again. What a watcher is given, and when, is
decided in fanout.py.

A cursor is the number of an event. Runs of the daemon never share a number: each begins at the
microseconds since 1970, or, after a clean end, where the run before ended; then whoever had read
everything goes on as if nothing had happened.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

from streamer.core.shared import MARK, MARK_EVERY_NS, Moment
from streamer.ports import Clock
from streamer.service.filters import terms_that_hold
from streamer.service.reports import WATCHER_LIMIT, Event, Wanted
from streamer.watch.fanout import Fanout, Watcher
from streamer.words.errors import OutOfRange, ResourceExhausted, Unavailable
from streamer.words.model import Payment, Stream

RING_EVENTS = 16_384
"""Events that are kept: over a minute at 200 payments a second, and about 20 MB."""
MICROSECOND_NS = 1_000
LAST_CURSOR = "feed.cursor"
"""The setting that keeps the last cursor of a run that ended cleanly; empty while one goes on."""


def start_cursor(settings: Mapping[str, str], now_ns: int) -> int:
    """Before the first event of a run: above all cursors of earlier ones, or where a clean end left
    off.
    """
    kept = settings.get(LAST_CURSOR, "")
    if kept:
        return int(kept)
    return unused_number(settings, now_ns)


def unused_number(settings: Mapping[str, str], now_ns: int) -> int:
    """Microseconds since 1970, above those of every earlier run, even if the clock has been put
    back since.
    """
    return max(now_ns, int(settings.get(MARK, "0")) + 2 * MARK_EVERY_NS) // MICROSECOND_NS


def latest_ns(clock: Clock) -> int:
    """What numbers begin with: two starts whose clock is not checked begin at the same mark, but
    the wall clock may have gone on.
    """
    return max(clock.now_ns(), clock.wall_ns())


def everything(_: Event) -> bool:
    """What a watcher without a filter wants."""
    return True


class Feed:
    """The ring and its watchers. start: the cursor before the first event.

    on_dropped is called for each watcher that was too slow.
    """

    def __init__(
        self, start: int = 0, ring_events: int = RING_EVENTS, watcher_limit: int = WATCHER_LIMIT
    ) -> None:
        self.cursor = start
        self.on_dropped: Callable[[], None] = lambda: None
        self.ring_events = ring_events
        self.lag_limit = ring_events // 2
        self.stopping = False
        self._start = start
        self._ring: list[Event | None] = [None] * ring_events
        self._terms: list[tuple[str, ...]] = [()] * ring_events
        self._of_term: dict[str, deque[int]] = {}
        self._watcher_limit = watcher_limit
        self._fanout = Fanout(self)

    def publish(
        self,
        time_ns: int,
        stream: Stream,
        payment: Payment | None = None,
        moment: Moment | None = None,
    ) -> None:
        """Keep an event, in the place of the oldest, and let the watchers know. moment: of stream;
        None: as it is now.
        """
        state, reason, state_time_ns = moment or (stream.state, stream.reason, stream.state_time_ns)
        self.cursor = cursor = self.cursor + 1
        place = cursor % self.ring_events
        self._forget(place)
        self._ring[place] = Event(cursor, time_ns, stream, payment, state, reason, state_time_ns)
        self._terms[place] = terms = terms_that_hold(stream)
        for term in terms:
            self._of_term.setdefault(term, deque()).append(cursor)
        self._fanout.news(terms)

    def event(self, cursor: int) -> Event:
        """The event of that number; it must be kept still."""
        found = self._ring[cursor % self.ring_events]
        assert found is not None and found.cursor == cursor
        return found

    def cursors_of(self, term: str, after: int) -> Iterator[int]:
        """The numbers of the kept events that held term when they happened (empty: of all), above
        after, rising.
        """
        if not term:
            return iter(range(max(after, self.cursor - self.ring_events) + 1, self.cursor + 1))
        kept = self._of_term.get(term, deque())
        return (kept[place] for place in range(bisect_right(kept, after), len(kept)))

    def last_of(self, term: str) -> int:
        """The number of the newest kept event that held term (empty: of all); 0 if there is
        none.
        """
        if not term:
            return self.cursor
        return self._of_term[term][-1] if term in self._of_term else 0

    def _forget(self, place: int) -> None:
        for term in self._terms[place]:
            cursors = self._of_term[term]
            cursors.popleft()
            if not cursors:
                del self._of_term[term]

    def watch(
        self,
        wanted: Wanted = everything,
        cursor: int = 0,
        cut: Callable[[], object] = lambda: None,
        term: str = "",
    ) -> AsyncIterator[Event]:
        """Events after cursor (0: after now) that are wanted; registered at the call, not at the
        first step.

        The first one, and one whenever there was nothing else for a while, is a bookmark: a cursor
        and nothing else. term holds for whatever can be wanted (filters.terms_that_hold). cut ends
        the call of a reader that was dropped and does not take its answer. Raises OutOfRange if the
        cursor is not in the ring, ResourceExhausted when too many watch, or later, when this one is
        too slow, Unavailable when the daemon ends.
        """
        position = self._position(cursor)
        if self._fanout.count >= self._watcher_limit:
            raise ResourceExhausted(
                f"{self._watcher_limit:,} watchers are connected already: close one"
            )
        watcher = Watcher(position, wanted, term, cut, asyncio.get_running_loop().time())
        self._fanout.add(watcher)
        return self._events(watcher)

    async def end(self, patience_seconds: float) -> int:
        """Give the watchers what there is, then tell them that the daemon stops; the last
        cursor.
        """
        self.stopping = True
        self._fanout.news()
        try:
            async with asyncio.timeout(patience_seconds):
                await self._fanout.emptied()
        except TimeoutError:
            pass
        return self.cursor

    def _position(self, cursor: int) -> int:
        if cursor == 0:
            return self.cursor
        if not self._start <= cursor <= self.cursor:
            raise OutOfRange(
                f"cursor {cursor} is not of this run of the daemon: list again, then watch without"
                " a cursor"
            )
        if self.cursor - cursor > self.ring_events:
            raise OutOfRange(
                f"cursor {cursor} is too old, {self.cursor - cursor:,} events ago: list again, then"
                " watch without a cursor"
            )
        return cursor

    async def _events(self, watcher: Watcher) -> AsyncIterator[Event]:
        try:
            while True:
                event = await self._fanout.next(watcher)
                if event is not None:
                    yield event
                    watcher.read = max(watcher.read, event.cursor)
                elif watcher.dropped:
                    raise ResourceExhausted(
                        "this reader is too slow and was dropped: resume with cursor"
                        f" {watcher.read}",
                        "SLOW_READER",
                    )
                else:
                    raise Unavailable(
                        f"streamer is stopping: resume with cursor {watcher.read}", "STOPPING"
                    )
        finally:
            self._fanout.remove(watcher)
