"""What a stretch of stream time costs, and when money reaches.

Stream time counts from a stream's start and leaves out what was skipped and paused. It is cut into
segments, one per rate; `price(t) = start_msat + (t − start) · amount_msat // interval` within each,
so that every closed segment's price is an integer and rounding is carried exactly. Each segment has
its own grid of payment moments, from its start on; the start of the next segment is on the grid too.

Rates are at most one msat per nanosecond (MAX_RATE), so that `price(moment(m)) == m` for every
amount: money always ends at a moment.
"""

from __future__ import annotations

from streamer.model import Rate, Segment


def exceeds_max_rate(amount_msat: int, interval_ns: int) -> bool:
    """True above one msat per nanosecond (a million sat per second), where moments have no inverse."""
    return amount_msat > interval_ns


def price_msat(segments: list[Segment], at_ns: int) -> int:
    """The price of the stream time from 0 to at_ns."""
    for segment in reversed(segments):
        if at_ns >= segment.start_ns:
            rate = segment.rate
            return segment.start_msat + (at_ns - segment.start_ns) * rate.amount_msat // rate.interval_ns
    return segments[0].start_msat


def moment_ns(segments: list[Segment], msat: int) -> int:
    """The first moment of stream time whose price is msat; before the kept segments: their start."""
    for index in range(len(segments) - 1, -1, -1):
        segment = segments[index]
        if msat > segment.start_msat or index == 0:
            rate = segment.rate
            at_ns = segment.start_ns - (-(msat - segment.start_msat) * rate.interval_ns // rate.amount_msat)
            at_ns = max(at_ns, segment.start_ns)
            return min(at_ns, segments[index + 1].start_ns) if index + 1 < len(segments) else at_ns
    raise AssertionError("a stream always has a segment")


def grid_from_ns(segments: list[Segment], at_ns: int) -> int:
    """The first grid moment that is not before at_ns."""
    for index in range(len(segments) - 1, -1, -1):
        segment = segments[index]
        if at_ns >= segment.start_ns or index == 0:
            step = segment.rate.payment_interval_ns
            steps = max(0, -((segment.start_ns - at_ns) // step))
            moment = segment.start_ns + steps * step
            return min(moment, segments[index + 1].start_ns) if index + 1 < len(segments) else moment
    raise AssertionError("a stream always has a segment")


def grid_after_ns(segments: list[Segment], at_ns: int) -> int:
    """The first grid moment after at_ns."""
    return grid_from_ns(segments, at_ns + 1)


def buy_until_ns(segments: list[Segment], paid_msat: int, after_ns: int, minimum_msat: int) -> int:
    """The first grid moment after after_ns for which what is still to be paid reaches minimum_msat."""
    until_ns = grid_after_ns(segments, after_ns)
    if price_msat(segments, until_ns) - paid_msat >= minimum_msat:
        return until_ns
    return grid_from_ns(segments, moment_ns(segments, paid_msat + minimum_msat))


def change_rate(segments: list[Segment], at_ns: int, rate: Rate) -> list[Segment]:
    """The segments with a new rate from at_ns on; what begins at or after at_ns is replaced."""
    start_msat = price_msat(segments, at_ns)
    return [*(segment for segment in segments if segment.start_ns < at_ns), Segment(at_ns, start_msat, rate)]


def remove_time(segments: list[Segment], from_ns: int, length_ns: int) -> list[Segment]:
    """The segments without the stretch [from_ns, from_ns + length_ns): what comes later moves up."""
    moved = [Segment(segments[0].start_ns, segments[0].start_msat, segments[0].rate)]
    for segment in segments[1:]:
        start_ns = segment.start_ns if segment.start_ns <= from_ns else max(from_ns, segment.start_ns - length_ns)
        start_msat = price_msat(moved, start_ns)
        if start_ns == moved[-1].start_ns:
            moved.pop()
        moved.append(Segment(start_ns, start_msat, segment.rate))
    return moved


def drop_passed(segments: list[Segment], settled_msat: int, bought_until_ns: int) -> list[Segment]:
    """The segments without those that settled money and the newest payment have passed."""
    first = 0
    while first + 1 < len(segments) and segments[first + 1].start_msat <= settled_msat and segments[first + 1].start_ns <= bought_until_ns:
        first += 1
    return segments[first:]
