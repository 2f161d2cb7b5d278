"""A timer wheel: which items are due, for a million of them, without a task or a heap entry each.

Moments are put into buckets of one tick; only the distinct ticks are kept in a heap. Scheduling
anew or cancelling leaves the old entry behind, and it is recognised as stale when its bucket comes.
"""

from __future__ import annotations

import heapq

TICK_NS = 1 << 24
"""About 16.8 ms: a bucket. Moments within it are still compared exactly."""


class Wheel:
    """Items (ints) with one due moment each, in nanoseconds of any one clock."""

    def __init__(self) -> None:
        self._due: dict[int, int] = {}
        self._buckets: dict[int, list[tuple[int, int]]] = {}
        self._ticks: list[int] = []

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
        tick = due_ns // TICK_NS
        bucket = self._buckets.get(tick)
        if bucket is None:
            self._buckets[tick] = [(due_ns, item)]
            heapq.heappush(self._ticks, tick)
        else:
            bucket.append((due_ns, item))

    def cancel(self, item: int) -> None:
        """Forget item."""
        self._due.pop(item, None)

    def pop_due(self, now_ns: int) -> list[tuple[int, int]]:
        """Take out and return every (due_ns, item) with due_ns ≤ now_ns, in no order."""
        found: list[tuple[int, int]] = []
        last = now_ns // TICK_NS
        due = self._due
        while self._ticks and self._ticks[0] <= last:
            tick = self._ticks[0]
            later: list[tuple[int, int]] = []
            for entry in self._buckets[tick]:
                if due.get(entry[1]) != entry[0]:
                    continue
                if entry[0] <= now_ns:
                    del due[entry[1]]
                    found.append(entry)
                else:
                    later.append(entry)
            if later:
                self._buckets[tick] = later
                break
            heapq.heappop(self._ticks)
            del self._buckets[tick]
        return found

    def next_ns(self) -> int | None:
        """A moment not after the next due one (None: nothing is scheduled)."""
        while self._ticks:
            live = [entry for entry in self._buckets[self._ticks[0]] if self._due.get(entry[1]) == entry[0]]
            if live:
                self._buckets[self._ticks[0]] = live
                return min(live)[0]
            del self._buckets[heapq.heappop(self._ticks)]
        return None
