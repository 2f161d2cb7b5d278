"""Sets of moments as lists of spans [start, end), sorted and apart from each other."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]


def union(spans: Iterable[Span]) -> list[Span]:
    """Every moment that lies in one of them, once."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def within(spans: Iterable[Span], one: Iterable[Span]) -> list[Span]:
    """Every moment that lies in both."""
    other = list(one)
    return union(
        (max(a, c), min(b, d)) for a, b in spans for c, d in other if max(a, c) < min(b, d)
    )


def without(spans: Iterable[Span], gone: Iterable[Span]) -> list[Span]:
    """Every moment of the first that is not in the second."""
    left = union(spans)
    for c, d in gone:
        left = [
            part for a, b in left for part in ((a, min(b, c)), (max(a, d), b)) if part[0] < part[1]
        ]
    return left


def length(spans: Iterable[Span]) -> int:
    return sum(end - start for start, end in union(spans))


def oldest(spans: Iterable[Span], much: int) -> list[Span]:
    """The first so many moments."""
    taken: list[Span] = []
    for start, end in union(spans):
        if much > 0:
            taken.append((start, min(end, start + much)))
            much -= end - start
    return taken


class Causes:
    """Impossible time: one list of spans per cause, each of which may go on."""

    def __init__(self) -> None:
        self.past: list[tuple[str, int, int]] = []
        self.since: dict[str, int] = {}

    def hold(self, cause: str, holds: bool, now: int) -> None:
        """From now on it holds, or no longer does; saying the same twice changes nothing."""
        if holds:
            self.since.setdefault(cause, now)
        elif cause in self.since:
            self.past.append((cause, self.since.pop(cause), now))

    def until(self, now: int) -> list[Span]:
        return union(
            [
                *((start, end) for _, start, end in self.past),
                *((start, now) for start in self.since.values()),
            ]
        )
