"""A timer wheel: which items are due, for a million of them, without a task or a heap entry each.

Moments are put into buckets of one tick, each a small heap; the distinct ticks are a heap too.
Scheduling anew or cancelling leaves the old entry behind: it is recognised as stale at the head.
When most entries are stale (a stream's expiry is far away, and scheduled again with each payment)
all are put in anew.
"""

from __future__ import annotations

import heapq

TICK_NS = 1 << 24
"""About 16.8 ms: one bucket. Moments within it are kept in their order."""

MOST_STALE = 1_000
"""So many stale entries may be there beside as many as there are live ones."""


class Wheel:
    """Items (ints) with one due moment each, in nanoseconds of any one clock."""

    def __init__(self) -> None:
        self._due: dict[int, int] = {}
        self._buckets: dict[int, list[tuple[int, int]]] = {}
        self._ticks: list[int] = []
        self._entries = 0

    def __len__(self) -> int:
        return len(self._due)

    def due_ns(self, item: int) -> int | None:
        """When item is due, None if it is not scheduled."""
        return self._due.get(item)

    def schedule(self, item: int, due_ns: int) -> None:
        """Make item due at due_ns, and at no other moment."""
        if self._due.get(item) == due_ns:
            return
        self._due[item] = due_ns
        self._put(item, due_ns)
        if self._entries > 2 * len(self._due) + MOST_STALE:
            self._put_anew()

    def _put(self, item: int, due_ns: int) -> None:
        self._entries += 1
        tick = due_ns // TICK_NS
        bucket = self._buckets.get(tick)
        if bucket is None:
            self._buckets[tick] = [(due_ns, item)]
            heapq.heappush(self._ticks, tick)
        else:
            heapq.heappush(bucket, (due_ns, item))

    def _put_anew(self) -> None:
        self._buckets, self._ticks, self._entries = {}, [], 0
        for item, due_ns in self._due.items():
            self._put(item, due_ns)

    def cancel(self, item: int) -> None:
        """Forget item."""
        self._due.pop(item, None)

    def pop_due(self, now_ns: int, most: int | None = None) -> list[tuple[int, int]]:
        """Take out and return every (due_ns, item) with due_ns ≤ now_ns, or the first so many,
        earliest first.
        """
        found: list[tuple[int, int]] = []
        due = self._due
        while (
            len(found) != most and (bucket := self._first()) is not None and bucket[0][0] <= now_ns
        ):
            entry = heapq.heappop(bucket)
            self._entries -= 1
            del due[entry[1]]
            found.append(entry)
        return found

    def next_ns(self) -> int | None:
        """When the next item is due (None: nothing is scheduled)."""
        bucket = self._first()
        return None if bucket is None else bucket[0][0]

    def _first(self) -> list[tuple[int, int]] | None:
        """The earliest bucket, with a live entry at its head; stale heads and empty buckets are
        dropped.
        """
        ticks, due = self._ticks, self._due
        while ticks:
            bucket = self._buckets[ticks[0]]
            while bucket:
                if due.get(bucket[0][1]) == bucket[0][0]:
                    return bucket
                heapq.heappop(bucket)
                self._entries -= 1
            del self._buckets[heapq.heappop(ticks)]
        return None
