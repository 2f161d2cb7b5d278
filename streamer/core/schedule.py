"""What a stretch of stream time costs, and when money reaches.

Stream time counts from a stream's start and leaves out what was skipped and paused. It is cut into
segments, one per rate; `price(t) = start_msat + (t − start) · amount_msat // interval` within each,
so that every closed segment's price is an integer and rounding is carried exactly. Each segment has
its own grid of payment moments, from its start on; the start of the next segment is on the grid
too.

Rates are at most one msat per nanosecond (MAX_RATE), so that `price(moment(m)) == m` for every
amount: money always ends at a moment.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain

from streamer.words.model import Rate, Segment

MOST_SEGMENTS = 64
"""What a stream keeps: a new rate each second of an outage would else be written down, and looked
at, for each of them again.
"""


def exceeds_max_rate(amount_msat: int, interval_ns: int) -> bool:
    """True above one msat per nanosecond (a million sat per second), where moments have no
    inverse.
    """
    return amount_msat > interval_ns


def price_msat(segments: list[Segment], at_ns: int) -> int:
    """The price of the stream time from 0 to at_ns."""
    for segment in reversed(segments):
        if at_ns >= segment.start_ns:
            rate = segment.rate
            return (
                segment.start_msat
                + (at_ns - segment.start_ns) * rate.amount_msat // rate.interval_ns
            )
    return segments[0].start_msat


def moment_ns(segments: list[Segment], msat: int) -> int:
    """The first moment of stream time whose price is msat; before the kept segments: their
    start.
    """
    for index in range(len(segments) - 1, -1, -1):
        segment = segments[index]
        if msat > segment.start_msat or index == 0:
            rate = segment.rate
            # rounded up: at 3 msat for 10 ns the first is reached at 4 ns, and at 3 ns nothing is.
            # Rounded down the books would not balance: 1 settled, and a price of 0
            at_ns = segment.start_ns - (
                -(msat - segment.start_msat) * rate.interval_ns // rate.amount_msat
            )
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
            return (
                min(moment, segments[index + 1].start_ns) if index + 1 < len(segments) else moment
            )
    raise AssertionError("a stream always has a segment")


def grid_after_ns(segments: list[Segment], at_ns: int) -> int:
    """The first grid moment after at_ns."""
    return grid_from_ns(segments, at_ns + 1)


def buy_until_ns(segments: list[Segment], paid_msat: int, after_ns: int, minimum_msat: int) -> int:
    """The first grid moment after after_ns for which what is still to be paid reaches
    minimum_msat.
    """
    until_ns = grid_after_ns(segments, after_ns)
    if price_msat(segments, until_ns) - paid_msat >= minimum_msat:
        return until_ns
    # after a lower rate one step may cost too little to be paid: 8 msat would be due each second,
    # and never go
    return grid_from_ns(segments, moment_ns(segments, paid_msat + minimum_msat))


def change_rate(
    segments: list[Segment], at_ns: int, rate: Rate, money_ns: Collection[int] = ()
) -> list[Segment]:
    """The segments with a new rate from at_ns on; what begins at or after at_ns is replaced.

    Beyond MOST_SEGMENTS two closed ones become one: never across a moment in money_ns, up to which
    some money reaches. A mean over time that is paid and time that is not would say that less is
    covered than was bought, and it would be paid again.
    """
    start_msat = price_msat(segments, at_ns)
    changed = [
        *(segment for segment in segments if segment.start_ns < at_ns),
        Segment(at_ns, start_msat, rate),
    ]
    while len(changed) > MOST_SEGMENTS:
        first = _first_of_two(changed, money_ns)
        changed[first : first + 2] = [_as_one(*changed[first : first + 3])]
    return changed


def _first_of_two(segments: list[Segment], money_ns: Collection[int]) -> int:
    """The first of the two that become one: the oldest two beyond all money; else the oldest of
    all, for what is bought keeps what it cost as long as it can.
    """
    closed = range(len(segments) - 2)
    apart = (
        index
        for index in closed
        if not any(
            segments[index].start_ns < moment_ns < segments[index + 2].start_ns
            for moment_ns in money_ns
        )
    )
    beyond = (index for index in closed if segments[index].start_ns >= max(money_ns, default=0))
    # each moment of money keeps two pairs apart at most, and there are MOST_SEGMENTS
    return next(chain(beyond, apart))


def _as_one(first: Segment, second: Segment, after: Segment) -> Segment:
    """Two closed segments as one, at the sum of their prices per the sum of their times; after
    begins where they end.

    A price of nothing is no rate: one that does not come to a msat within that time stands for it.
    The sum of two rates below one msat per nanosecond is below it, too.
    """
    price, time_ns = after.start_msat - first.start_msat, after.start_ns - first.start_ns
    step_ns = max(first.rate.payment_interval_ns, second.rate.payment_interval_ns)
    rate = Rate(price, time_ns, step_ns) if price else Rate(1, time_ns + 1, step_ns)
    return Segment(first.start_ns, first.start_msat, rate)


def remove_time(segments: list[Segment], from_ns: int, length_ns: int) -> list[Segment]:
    """The segments without the stretch [from_ns, from_ns + length_ns): what comes later moves
    up.
    """
    moved = [Segment(segments[0].start_ns, segments[0].start_msat, segments[0].rate)]
    for segment in segments[1:]:
        start_ns = (
            segment.start_ns
            if segment.start_ns <= from_ns
            else max(from_ns, segment.start_ns - length_ns)
        )
        start_msat = price_msat(moved, start_ns)
        # all time of the one before was taken out, at its own rate; this one keeps its rate for
        # what comes later
        if start_ns == moved[-1].start_ns:
            moved.pop()
        moved.append(Segment(start_ns, start_msat, segment.rate))
    return moved


def drop_passed(segments: list[Segment], settled_msat: int, bought_until_ns: int) -> list[Segment]:
    """The segments without those that settled money and the newest payment have passed."""
    first = 0
    # passed, and not just reached: at 1 msat an hour and then 1,000 a second from 1:30 on, the
    # first msat settles at 1:00, and the half hour that follows costs nothing only as long as its
    # own rate is known
    while (
        first + 1 < len(segments)
        and segments[first + 1].start_msat < settled_msat
        and segments[first + 1].start_ns <= bought_until_ns
    ):
        first += 1
    return segments[first:]
