"""How fast and how wide: a token bucket, and a window that follows what the node manages."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median

from streamer.money import SECOND_NS


class Bucket:
    """At most per_second tokens a second, with a burst of a tenth of that (at least 1).

    Pure: the caller tells the time. The small burst spreads a backlog out instead of firing it.
    """

    def __init__(self, per_second: int, now_ns: int) -> None:
        self._step_ns = max(1, SECOND_NS // per_second)
        self._burst = max(1, per_second // 10)
        self._full_ns = now_ns

    def available(self, now_ns: int) -> int:
        """How many tokens can be taken now."""
        return min(self._burst, (now_ns - self._full_ns) // self._step_ns + self._burst) if now_ns < self._full_ns else self._burst

    def take(self, count: int, now_ns: int) -> None:
        """Take count tokens; the caller has seen that they are available."""
        self._full_ns = max(self._full_ns, now_ns) + count * self._step_ns

    def next_ns(self, now_ns: int) -> int:
        """When the next token is available."""
        return max(now_ns, self._full_ns - (self._burst - 1) * self._step_ns)


class Window:
    """How many payments may be in flight, between a floor and max_in_flight.

    It is judged once per round of ended payments: it grows while throughput grew with it, and
    shrinks when only latency did. Latency is the median over destinations, so that one receiver,
    who chooses how long it takes, cannot shrink the window of all.
    """

    FLOOR = 10
    ROUND_NS = 2 * SECOND_NS
    SLOW = 2
    """A round is slow when latency is this many times the best seen, and throughput did not grow."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = limit
        self.capacity_per_second = 0.0
        self._latencies: dict[bytes, deque[int]] = {}
        self._ended = 0
        self._round_ns = 0
        self._best_ns = 0
        self._last_rate = 0.0
        self._full = False

    def ended(self, destination: bytes, latency_ns: int, now_ns: int, in_flight: int) -> None:
        """Tell of a payment that ended latency_ns after it was sent."""
        self._latencies.setdefault(destination, deque(maxlen=16)).append(latency_ns)
        self._ended += 1
        self._full = self._full or in_flight + 1 >= self.size
        if now_ns - self._round_ns >= self.ROUND_NS and self._ended >= self.size // 2:
            self._judge(now_ns)

    def _judge(self, now_ns: int) -> None:
        latency = int(median(_medians(self._latencies.values())))
        rate = self._ended * SECOND_NS / max(1, now_ns - self._round_ns)
        self._best_ns = min(self._best_ns or latency, latency)
        if self._full:
            self.capacity_per_second = rate if self._round_ns else 0.0
            grew = rate > self._last_rate * 1.05
            if latency > self._best_ns * self.SLOW and not grew:
                self.size = max(min(self.FLOOR, self.limit), self.size * 9 // 10)
            elif grew or latency <= self._best_ns * self.SLOW:
                self.size = min(self.limit, self.size + max(1, self.size // 10))
            self._last_rate = rate
        self._best_ns += self._best_ns // 50
        self._latencies.clear()
        self._ended, self._full, self._round_ns = 0, False, now_ns


def _medians(groups: Iterable[deque[int]]) -> list[float]:
    return [median(group) for group in groups]
