"""In which spans of wall time paying a stream was impossible, and which of them a plan may count.

Time is impossible for a cause: an outage of the node or the daemon, a receiver that holds one of
ours (outages.py), a row of failures, three payments in doubt, a budget that is empty. Each cause
has spans of its own, and what counts is their union: a pair for all of them would end with the
first cause that ends, while another goes on (three payments in doubt, and the fourth settles).

A plan counts what lies in its gap, from the covered moment to now, once. What lies before, in time
that open payments have bought, it leaves: should one of those fail, that time is in the gap of the
next plan, and was impossible all the same. So a stream keeps its spans (`Stream.spans`) until a
plan has counted them, or settled money has passed them.
"""

from __future__ import annotations

from streamer.core.outages import Outages
from streamer.core.spans import Span, bounded, joined, length_ns, within, without
from streamer.core.streamtime import covered_ns, settled_until_ns, stopped, wall_ns
from streamer.words.model import Stream

Sources = tuple[Outages, ...]
"""The outages that concern a stream, of others beside it."""


def is_quiet(stream: Stream, sources: Sources) -> bool:
    """True if nothing was impossible since the last plan, nor is kept from before: the question of
    every payment.
    """
    if (
        stream.spans
        or stream.account.failing_since_ns
        or stream.doubt_since_ns
        or stream.short_since_ns
    ):
        return False
    counted_ns = stream.account.counted_until_ns
    return all(outages.ended_before(counted_ns) for outages in sources)


def impossible(stream: Stream, now_ns: int, sources: Sources) -> list[Span]:
    """All that was impossible until now and that no plan has counted, in order."""
    since_ns = stream.account.counted_until_ns
    # what was counted of one that has bought something may lie before its start (timeshift.py)
    if not (since_ns and stream.account.seq):
        since_ns = max(since_ns, min(stream.terms.start_time_ns, now_ns))
    spans = list(stream.spans)
    for began_ns in (stream.account.failing_since_ns, stream.doubt_since_ns, stream.short_since_ns):
        if began_ns:
            spans.append((max(began_ns, since_ns), now_ns))
    for outages in sources:
        spans += outages.overlapping(since_ns, now_ns)
    return joined(spans)


def outage_ns(stream: Stream, now_ns: int, sources: Sources) -> int:
    """How much of the gap was impossible; the gap ends at end_time, and what stood still in a pause
    is no part of it.
    """
    if is_quiet(stream, sources):
        return 0
    end_time_ns = stream.terms.end_time_ns
    until_ns = now_ns if end_time_ns is None else min(now_ns, end_time_ns)
    gap = within(impossible(stream, now_ns, sources), wall_ns(stream, covered_ns(stream)), until_ns)
    return length_ns(without(gap, stopped(stream, now_ns)))


def left(stream: Stream, now_ns: int, sources: Sources) -> tuple[Span, ...]:
    """What stays when a plan at now_ns has counted its gap: the impossible part of what open
    payments have bought.

    And that of the time since the end, up to which the gap reaches: the end may still be put off.
    """
    end_time_ns = now_ns if stream.terms.end_time_ns is None else stream.terms.end_time_ns
    if is_quiet(stream, sources):
        return ()
    spans = impossible(stream, now_ns, sources)
    from_ns, until_ns = (
        wall_ns(stream, settled_until_ns(stream)),
        wall_ns(stream, covered_ns(stream)),
    )
    return bounded(
        joined(
            [*within(spans, from_ns, until_ns), *within(spans, max(end_time_ns, from_ns), now_ns)]
        )
    )


def with_span(stream: Stream, since_ns: int, until_ns: int, ahead_ns: int = 0) -> tuple[Span, ...]:
    """The stream's own spans and one that has ended, as far as no plan has counted it and no
    settled money passed it.

    ahead_ns: see wall_ns.
    """
    from_ns = max(since_ns, stream.account.counted_until_ns)
    spans = within(
        joined([*stream.spans, (from_ns, until_ns)]),
        wall_ns(stream, settled_until_ns(stream), ahead_ns),
        until_ns,
    )
    return bounded(spans)
