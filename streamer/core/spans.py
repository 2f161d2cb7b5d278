"""Spans of wall time, as sorted pairs (start_ns, end_ns) that do not touch: joined, cut, measured,
and bounded in number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[int, int]
"""From start_ns until before end_ns."""

KEPT_SPANS = 1_000
"""Spans that one stream keeps; beyond that the two nearest become one, which calls the little time
between them impossible, too.
"""


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same time as disjoint spans in order; what is empty is left out."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def within(spans: Iterable[Span], from_ns: int, until_ns: int) -> list[Span]:
    """The parts of spans in [from_ns, until_ns)."""
    cut = ((max(start, from_ns), min(end, until_ns)) for start, end in spans)
    return [span for span in cut if span[1] > span[0]]


def without(spans: Iterable[Span], holes: Sequence[Span]) -> list[Span]:
    """The parts of disjoint spans that lie in none of the holes, which are disjoint and in
    order.
    """
    found: list[Span] = []
    for begin, end in spans:
        start = begin
        for hole_start, hole_end in holes:
            if hole_end <= start or hole_start >= end:
                continue
            if hole_start > start:
                found.append((start, hole_start))
            start = hole_end
        if start < end:
            found.append((start, end))
    return found


def length_ns(spans: Iterable[Span]) -> int:
    """How long disjoint spans are together."""
    return sum(end - start for start, end in spans)


def bounded(spans: Sequence[Span], most: int = KEPT_SPANS) -> tuple[Span, ...]:
    """At most so many of disjoint spans in order: the two with the least time between them become
    one, as often as it takes.
    """
    kept = list(spans)
    while len(kept) > most:
        nearest = min(range(1, len(kept)), key=lambda index: kept[index][0] - kept[index - 1][1])
        kept[nearest - 1 : nearest + 1] = [(kept[nearest - 1][0], kept[nearest][1])]
    return tuple(kept)
