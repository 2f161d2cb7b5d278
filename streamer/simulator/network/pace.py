"""How long a node takes for a payment, and how many it manages.

A payment waits its turn (one every gap_ns), then takes its latency: a fixed one, a range, or a
curve over the number of payments that the node works on, as measured on lnd.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from streamer.words.money import MILLISECOND_NS, SECOND_NS

LND_CURVE = (
    (1, 96 * MILLISECOND_NS),
    (10, 156 * MILLISECOND_NS),
    (50, 442 * MILLISECOND_NS),
    (100, 770 * MILLISECOND_NS),
    (250, 1_894 * MILLISECOND_NS),
)
"""(payments in flight, latency), measured on lnd 0.21.2-beta with 10 channels on 2 cores: 10, 64,
113, 130 and 132 payments/s at 1, 10, 50, 100 and 250 workers; latency = workers / throughput."""


@dataclass(slots=True)
class Pace:
    """latency_ns is the least and the most; gap_ns 0 lets any number of payments go at once."""

    latency_ns: tuple[int, int] = (0, 0)
    gap_ns: int = 0
    curve: tuple[tuple[int, int], ...] = ()
    free_ns: int = 0

    @classmethod
    def per_second(
        cls, payments: int, seconds: int = 1, latency_ns: tuple[int, int] = (0, 0)
    ) -> Pace:
        """A node that manages so many payments in so many seconds, one after the other."""
        return cls(latency_ns=latency_ns, gap_ns=seconds * SECOND_NS // payments)

    @classmethod
    def like_lnd(cls) -> Pace:
        """A node as quick as the lnd that was measured."""
        return cls(curve=LND_CURVE)

    def end_ns(self, now_ns: int, working: int, rng: random.Random) -> int:
        """When a payment that starts now ends, if `working` payments are under way with it."""
        start = now_ns
        if self.gap_ns:
            start = max(now_ns, self.free_ns) + self.gap_ns
            self.free_ns = start
        low, high = self.latency_ns
        if high:
            start += rng.randint(low, high)
        return start + _on_curve(self.curve, working) if self.curve else start


def _on_curve(curve: tuple[tuple[int, int], ...], working: int) -> int:
    count, latency = curve[0]
    for next_count, next_latency in curve[1:]:
        if working <= next_count:
            return latency + (next_latency - latency) * max(0, working - count) // (
                next_count - count
            )
        count, latency = next_count, next_latency
    return latency * working // count
