"""Spans of wall time in which paying was impossible, for whole nodes and for the daemon.

A plan skips only what was impossible, so these spans decide about money: they are journaled, and
asked for by overlap. Spans of one stream (failing, no budget) live in its account.
"""

from __future__ import annotations

from streamer.model import Outage

KEPT_OUTAGES = 10_000
"""The oldest are forgotten beyond this: that can only make a stream pay for time it could skip."""


class Outages:
    """The ended outages and the one that goes on (start_ns 0: none)."""

    def __init__(self, ended: list[Outage] | None = None) -> None:
        self._spans = sorted((outage.start_ns, outage.end_ns) for outage in ended or [])[-KEPT_OUTAGES:]
        self.since_ns = 0
        self.cause = ""

    def begin(self, cause: str, now_ns: int) -> None:
        """Paying is impossible from now on; a second cause changes nothing."""
        if not self.since_ns:
            self.since_ns, self.cause = now_ns, cause

    def end(self, now_ns: int) -> tuple[str, int] | None:
        """Paying is possible again: (cause, start_ns) of what ended, None if nothing went on."""
        if not self.since_ns:
            return None
        ended = (self.cause, self.since_ns)
        self.add(self.since_ns, now_ns)
        self.since_ns, self.cause = 0, ""
        return ended

    def add(self, start_ns: int, end_ns: int) -> None:
        """Count a span that has ended."""
        if end_ns > start_ns:
            self._spans.append((start_ns, end_ns))
            del self._spans[:-KEPT_OUTAGES]

    def overlapping(self, from_ns: int, until_ns: int) -> list[tuple[int, int]]:
        """The parts of all spans within [from_ns, until_ns)."""
        spans = [(max(start, from_ns), min(end, until_ns)) for start, end in reversed(self._spans) if end > from_ns and start < until_ns]
        if self.since_ns and self.since_ns < until_ns:
            spans.append((max(self.since_ns, from_ns), until_ns))
        return [span for span in spans if span[1] > span[0]]


def union_ns(spans: list[tuple[int, int]]) -> int:
    """The total length of the spans, what overlaps counted once."""
    total = reached = 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total
