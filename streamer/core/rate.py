"""How fast and how wide: a token bucket, and a window that follows what the node manages."""

from __future__ import annotations

from collections import deque
from statistics import median

from streamer.words.money import SECOND_NS


class Bucket:
    """At most per_second tokens a second, with a burst of a tenth of that (at least 1) unless
    another is given.

    Pure: the caller tells the time. The small burst spreads a backlog out instead of firing it.
    """

    def __init__(self, per_second: int, burst: int | None = None) -> None:
        self._step_ns = -(-SECOND_NS // per_second)
        self._burst = max(1, per_second // 10) if burst is None else burst
        self._empty_until_ns = 0

    def available(self, now_ns: int) -> int:
        """How many tokens can be taken now."""
        return max(
            0,
            (self._burst * self._step_ns - max(0, self._empty_until_ns - now_ns)) // self._step_ns,
        )

    def take(self, count: int, now_ns: int) -> None:
        """Take count tokens; the caller has seen that they are available."""
        self._empty_until_ns = max(self._empty_until_ns, now_ns) + count * self._step_ns

    def move_time(self, by_ns: int) -> None:
        """The caller's time is by_ns later than it was, or earlier."""
        self._empty_until_ns += by_ns

    def next_ns(self, now_ns: int) -> int:
        """When the next token is available."""
        return max(now_ns, self._empty_until_ns - (self._burst - 1) * self._step_ns)


class Window:
    """How many payments may be in flight: between FLOOR and limit, judged round by round.

    While the window is full it grows as long as latency stays below TARGET_NS, and shrinks above
    it: beyond that, more in flight buys latency and no throughput (measured on real lnd: 130/s at
    0.7 s with 100 in flight, and the same 130/s at 1.6 s with 250). Latency is the median over
    destinations, so that one receiver, who chooses how long it takes, cannot shrink the window of
    all.

    Where most receivers are slow, and not the node, a smaller window lowers throughput by as much
    and latency by nothing. So when COMPARED shrinks in a row have not bought latency, they are
    taken back, with a quarter more, and nothing is tried for KEPT rounds. A dozen receivers that
    take 4 s had else brought the window from 100 to 2, and made streams to others late by minutes.
    """

    FLOOR = 2
    ROUND_NS = 2 * SECOND_NS
    TARGET_NS = 2 * SECOND_NS
    SAMPLES = 16
    COMPARED = 6
    LAG = 2
    """Rounds: until what was under way before a shrink has ended, latency is what it was."""
    KEPT = 12

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._size = self._room = limit
        self.capacity_per_second = 0.0
        self._latencies: dict[bytes, deque[int]] = {}
        self._ended = 0
        self._round_ns = 0
        self._full = False
        self._tried: deque[tuple[int, float]] = deque(maxlen=self.COMPARED + 1)
        self._kept = 0

    @property
    def most(self) -> int:
        """How many payments the configuration and the node's channels allow, however slow the node
        is now.
        """
        return min(self.limit, self._room)

    @property
    def size(self) -> int:
        """How many payments may be in flight now."""
        return min(self._size, self._room)

    def narrow(self, room: int) -> None:
        """The node's channels carry so many at a time: more would only be refused. One is always
        tried.
        """
        self._room = max(1, room)

    def move_time(self, by_ns: int) -> None:
        """The caller's time is by_ns later than it was, or earlier; a round that has begun goes
        on.
        """
        self._round_ns += by_ns if self._round_ns else 0

    def ended(self, destination: bytes, latency_ns: int, now_ns: int, in_flight: int) -> None:
        """Tell of a payment that ended latency_ns after it was sent, when in_flight others went
        on.
        """
        samples = self._latencies.get(destination)
        if samples is None:
            samples = self._latencies[destination] = deque(maxlen=self.SAMPLES)
        samples.append(latency_ns)
        self._ended += 1
        self._full = self._full or in_flight + 1 >= self.size
        if now_ns - self._round_ns >= self.ROUND_NS and self._ended * 2 >= self.size:
            self._judge(now_ns)

    def _judge(self, now_ns: int) -> None:
        if self._full:
            latency_ns = median(median(samples) for samples in self._latencies.values())
            if self._round_ns:
                self.capacity_per_second = self._ended * SECOND_NS / (now_ns - self._round_ns)
            step = max(1, self.size // 10)
            if latency_ns <= self.TARGET_NS:
                self._tried.clear()
                self._kept = 0
                self._size = min(self.limit, self._size + step)
            else:
                self._size = self._shrunk(step, latency_ns)
        else:
            self._tried.clear()
        self._latencies.clear()
        self._ended, self._full, self._round_ns = 0, False, now_ns

    def _shrunk(self, step: int, latency_ns: float) -> int:
        """The next size, where latency is above the target."""
        if self._kept:
            self._kept -= 1
            if self._kept or self.size > self.FLOOR:
                return self._size
            self._kept = self.LAG + 1  # from the floor nothing smaller shows who is slow
            return min(self.limit, self.FLOOR + self.COMPARED)
        # latency that rises all the same is a queue that fills: the oldest sample came from before
        while self._tried and 4 * latency_ns > 5 * self._tried[0][1]:
            self._tried.popleft()
        self._tried.append((self.size, latency_ns))
        if self._was_in_vain(latency_ns):
            size = min(self.limit, self._tried[0][0] * 5 // 4 + 1)
        else:
            size = max(min(self.FLOOR, self.limit), self.size - step)
        if size >= self.size:
            self._tried.clear()
            self._kept = self.KEPT
        return size

    def _was_in_vain(self, latency_ns: float) -> bool:
        """Whether latency is nearer to what it was than to its part of that which the window is
        now: of a node at its limit it is in proportion.
        """
        if len(self._tried) <= self.COMPARED:
            return False
        wider, slower_ns = self._tried[0]
        return 2 * latency_ns * wider > slower_ns * (wider + self._tried[-1 - self.LAG][0])
