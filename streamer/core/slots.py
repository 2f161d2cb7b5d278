"""Who takes up room: the node's window, the destinations' shares of it, and what is held or in doubt.

A destination has at most `cap` payments in flight, so that no receiver starves another or fills the
channels' slots; streams that meet the cap are parked and go on one by one, earliest due first.
"""

from __future__ import annotations

import heapq
from typing import TypeVar

from streamer.model import Mark, Payment

Entry = tuple[int, int]
"""(due_ns, stream key)."""
Key = TypeVar("Key")


class Slots:
    """Payments that occupy the window, by row, and what is counted about the others."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.window: dict[int, Payment] = {}
        self.doubtful: dict[int, Payment] = {}
        self._flights: dict[bytes, int] = {}
        self._holders: dict[bytes, int] = {}
        self._doubts: dict[int, int] = {}
        self._parked: dict[bytes, list[Entry]] = {}

    def take(self, payment: Payment) -> None:
        """Let payment occupy the window and its destination's share."""
        self.window[payment.row] = payment
        self._flights[payment.destination] = self._flights.get(payment.destination, 0) + 1

    def leave(self, payment: Payment) -> Entry | None:
        """Free its place, once; a parked stream of the same destination may go on and is returned."""
        if self.window.pop(payment.row, None) is None:
            return None
        _lower(self._flights, payment.destination)
        return self.unpark(payment.destination)

    def unpark(self, destination: bytes) -> Entry | None:
        """The earliest parked stream of destination, if there is one and room for it."""
        parked = self._parked.get(destination)
        if not parked or self.full(destination):
            return None
        entry = heapq.heappop(parked)
        if not parked:
            del self._parked[destination]
        return entry

    def full(self, destination: bytes) -> bool:
        """True if destination has all the payments in flight that one may have."""
        return self._flights.get(destination, 0) >= self.cap

    def park(self, destination: bytes, entry: Entry) -> None:
        """Let a due stream wait until its destination has room."""
        heapq.heappush(self._parked.setdefault(destination, []), entry)

    def holds(self, destination: bytes) -> bool:
        """True while the receiver holds a payment of ours."""
        return destination in self._holders

    def set_mark(self, payment: Payment, mark: Mark) -> None:
        """Change the mark; a destination is held as long as one of its payments is marked HELD."""
        if payment.mark is Mark.HELD:
            _lower(self._holders, payment.destination)
        if mark is Mark.HELD:
            self._holders[payment.destination] = self._holders.get(payment.destination, 0) + 1
        payment.mark = mark

    @property
    def held(self) -> int:
        """How many payments receivers hold."""
        return sum(self._holders.values())

    def doubt(self, payment: Payment) -> int:
        """Count payment as in doubt; how many of its stream are."""
        self.doubtful[payment.row] = payment
        self._doubts[payment.stream_key] = self._doubts.get(payment.stream_key, 0) + 1
        return self._doubts[payment.stream_key]

    def clear_doubt(self, payment: Payment) -> bool:
        """Undo doubt; True if it was in doubt."""
        if self.doubtful.pop(payment.row, None) is None:
            return False
        _lower(self._doubts, payment.stream_key)
        return True

    def doubts(self, stream_key: int) -> int:
        """How many payments of the stream are in doubt."""
        return self._doubts.get(stream_key, 0)


def _lower(counts: dict[Key, int], key: Key) -> None:
    if counts[key] == 1:
        del counts[key]
    else:
        counts[key] -= 1
