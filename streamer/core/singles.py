"""Single payments that wait for their turn: for a token of the pace, a place in the window, their
destination's share of it.

They go with the streams that are due, the earliest of both first. So nobody who orders many at once
holds up the streams for longer than what waits here takes, and streams that are late hold up nobody
who came before them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from streamer.words.model import Request, Single

LEAST_WAITING = 10
"""So many may wait even at a slow pace; else as many as a second's pace, and half of those for one
API key.
"""


@dataclass(slots=True, frozen=True)
class Waiting:
    """An order, since when it waits, and what becomes durable with its intent."""

    due_ns: int
    order: Single
    requests: Sequence[Request]


class Singles:
    """The orders of one node by their owner, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._of_key: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, owner: str) -> bool:
        return owner in self._waiting

    def add(self, order: Single, requests: Sequence[Request], now_ns: int, per_second: int) -> bool:
        """Let order wait; False if as many wait at this node, or of its key, as may at a pace of
        per_second.
        """
        most = max(LEAST_WAITING, per_second)
        if len(self._waiting) >= most or self._of_key[order.api_key] >= most // 2:
            return False
        self._waiting[order.owner] = Waiting(now_ns, order, requests)
        self._of_key[order.api_key] += 1
        return True

    def remove(self, owner: str) -> None:
        """It waits no more; it need not have."""
        waiting = self._waiting.pop(owner, None)
        if waiting is not None:
            self._of_key[waiting.order.api_key] -= 1
            if not self._of_key[waiting.order.api_key]:
                del self._of_key[waiting.order.api_key]

    def move_time(self, by_ns: int) -> None:
        """Our time has moved."""
        self._waiting = {
            owner: replace(waiting, due_ns=waiting.due_ns + by_ns)
            for owner, waiting in self._waiting.items()
        }

    def first(self, may_go: Callable[[Single], bool]) -> Waiting | None:
        """The earliest that may go: its destination is not full, nor what it may take of the
        slots.
        """
        return next((waiting for waiting in self._waiting.values() if may_go(waiting.order)), None)
