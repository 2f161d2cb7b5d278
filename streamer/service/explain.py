"""In one sentence: what a stream waits for, since when, and how to try now. What that is says
core/obstacle.py.
"""

from __future__ import annotations

from streamer.core.book import Book
from streamer.core.obstacle import Obstacle, ObstacleKind, failure
from streamer.core.streamtime import covered_ns, origin_ns
from streamer.words.model import Stream, StreamState
from streamer.words.money import SECOND_NS, format_duration


def explain(stream: Stream, book: Book, above: Obstacle | None, now_ns: int) -> str:
    """The sentence for this stream now. above: what keeps its node from paying anything
    (Engine.obstacle).
    """
    found = book.obstacle(stream, above, now_ns)
    failing = stream.state is StreamState.STALLED and not (stream.doubt_since_ns or stream.short_of)
    if failing and (found is None or found.kind not in ABOVE):
        return (
            f"stalled {_for(stream.state_time_ns, now_ns)}: {failure(stream)};"
            f" {_sentence(found, stream, book, now_ns)}"
        )
    return _sentence(found, stream, book, now_ns)


ABOVE = frozenset(
    {
        ObstacleKind.STOPPING,
        ObstacleKind.DAEMON_HALT,
        ObstacleKind.NODE_HALT,
        ObstacleKind.NODE,
        ObstacleKind.CLOCK,
        ObstacleKind.PAUSED,
    }
)
"""Obstacles beside which the reason of a stall does not count."""


def _sentence(found: Obstacle | None, stream: Stream, book: Book, now_ns: int) -> str:
    if found is None:
        return f"{_due(book.due_ns(stream) or 0, now_ns)}waits for room at its node, which is busy"
    since, left = _for(found.since_ns, now_ns), _span((found.until_ns or 0) - now_ns)
    match found.kind:
        case ObstacleKind.NOT_BEGUN:
            return f"starts in {left}"
        case ObstacleKind.PAUSED:
            return f"paused {since}{', ' * bool(found.text)}{found.text}; {found.remedy}"
        case ObstacleKind.CLOSING:
            return f"ends as soon as its open payment has ended; closing {since}"
        case ObstacleKind.ENDED:
            return (
                f"{stream.state.lower()} {_span(now_ns - found.since_ns)} ago ({found.reason});"
                f" {found.text}"
            )
        case ObstacleKind.DAEMON_HALT:
            return f"waits because sending is stopped: {found.text}"
        case ObstacleKind.NODE_HALT | ObstacleKind.NODE:
            return f"waits for its node {stream.terms.node}: {found.text}"
        case ObstacleKind.CLOCK:
            return f"waits until the clock is known to be right: {found.remedy}"
        case ObstacleKind.DOUBT:
            return f"stalled {since}: {found.text}; {found.remedy}"
        case ObstacleKind.BUDGET:
            return f"waits {since}: {found.text}; goes on in {left}, or {found.remedy}"
        case ObstacleKind.KEY_BUDGET:
            return f"waits {since}: {found.text}; {found.remedy}"
        case ObstacleKind.FAILING:
            then = f"next attempt in {left}, {found.remedy}"
            row = f"{stream.account.streak} payments in a row failed: {found.text}; "
            return then if stream.state is StreamState.STALLED else row + then
        case ObstacleKind.OPEN:
            return f"waits for the end of {found.text}"
        case ObstacleKind.AHEAD:
            covered = origin_ns(stream) + covered_ns(stream) - now_ns
            return f"paid ahead for {_span(covered)}; next payment in {left}"
        case _:
            return _due(found.since_ns, now_ns) + found.text


def _due(since_ns: int, now_ns: int) -> str:
    return f"due since {_span(now_ns - since_ns)}: " if since_ns else ""


def _for(since_ns: int, now_ns: int) -> str:
    return f"for {_span(now_ns - since_ns)}"


def _span(span_ns: int) -> str:
    """A duration, coarse enough to read."""
    span_ns = max(0, span_ns)
    if span_ns >= 100 * SECOND_NS:
        span_ns -= span_ns % (60 * SECOND_NS)
    elif span_ns >= 10 * SECOND_NS:
        span_ns -= span_ns % SECOND_NS
    else:
        span_ns -= span_ns % (SECOND_NS // 10)
    return format_duration(span_ns)
