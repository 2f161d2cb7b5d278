"""Between the wall clock and a stream's own time, and what of it is covered.

Stream time is wall time since start_time less what was skipped and paused. While a stream is
PAUSED, time stands still from the pause, or from the covered moment if that is later: what is
bought runs out first.

The sums of what was skipped and paused tell when the next payment is due. To ask at which wall
moment an earlier stream time was, where each of them lies is needed: a payment that fails after a
pause gives back time from before it. So a stream keeps those stretches (`Stream.stretches`) until
settled money has passed them.
"""

from __future__ import annotations

from streamer.core.schedule import moment_ns, price_msat
from streamer.core.spans import KEPT_SPANS, Span, joined
from streamer.words.model import Stream, StreamState
from streamer.words.reasons import Reason


def origin_ns(stream: Stream) -> int:
    """The wall moment at which stream time would be 0, as skips and pauses are now."""
    return stream.terms.start_time_ns + stream.skipped_ns + stream.paused_ns


def has_begun(stream: Stream, now_ns: int) -> bool:
    """Whether the start of stream has come; it stays so if our time goes back over it later
    (timeshift.py), for it has bought something.
    """
    return stream.account.seq > 0 or stream.terms.start_time_ns <= now_ns


def covered_ns(stream: Stream) -> int:
    """The stream time up to which settled and reserved money reach."""
    account = stream.account
    # not where the money ends, which may be before the grid moment that was bought: at 7 msat for
    # 1,000 s a msat is 142 s, and the next payment would fall due by so much before its grid moment
    if account.owed_msat == 0:
        return account.bought_until_ns
    return moment_ns(stream.segments, account.settled_msat + stream.reserved_msat)


def paid_until_ns(stream: Stream) -> int:
    """The stream time up to which settled money reaches."""
    account = stream.account
    if account.owed_msat == 0 and stream.reserved_msat == 0:
        return account.bought_until_ns
    return moment_ns(stream.segments, account.settled_msat)


def settled_until_ns(stream: Stream) -> int:
    """The first moment whose price settled money reaches: what comes after it, a failure may give
    back.

    It may lie before paid_until, by time that costs less than a millisatoshi: 1 msat buys 142.857 s
    at 7 msat each 1,000 s, and the grid moment that was bought lies between.
    """
    return moment_ns(stream.segments, stream.account.settled_msat)


def running_pause_ns(stream: Stream, now_ns: int) -> int:
    """How long the present pause has stopped stream time."""
    if stream.state is not StreamState.PAUSED:
        return 0
    return max(0, now_ns - max(stream.paused_at_ns, origin_ns(stream) + covered_ns(stream)))


def stream_now_ns(stream: Stream, now_ns: int) -> int:
    """The stream time of the wall moment now_ns; negative before the start."""
    return now_ns - origin_ns(stream) - running_pause_ns(stream, now_ns)


def end_ns(stream: Stream, now_ns: int) -> int | None:
    """The stream time at which end_time will come if nothing more is skipped or paused."""
    end_time_ns = stream.terms.end_time_ns
    if end_time_ns is None:
        return None
    # what stood still beyond the end (our time moved over it) takes nothing from the time before it
    beyond_ns = sum(
        until_ns - max(start_ns, end_time_ns)
        for start_ns, until_ns in stream.stretches
        if until_ns > end_time_ns
    )
    return max(
        0,
        end_time_ns
        - origin_ns(stream)
        + beyond_ns
        - running_pause_ns(stream, min(now_ns, end_time_ns)),
    )


def wall_ns(stream: Stream, at_ns: int, ahead_ns: int = 0) -> int:
    """The wall moment of a stream time; that at which time stood still is the moment from which it
    went on.

    ahead_ns: by how much earlier it may come to be, should our time go forward again
    (timeshift.py).
    """
    wall = _before_stretches_ns(stream) - ahead_ns + at_ns
    for start_ns, end_ns in stream.stretches:
        if wall < start_ns:
            break
        wall += end_ns - start_ns
    return wall


def _before_stretches_ns(stream: Stream) -> int:
    """origin_ns as it was before the stretches that are kept."""
    return origin_ns(stream) - sum(end_ns - start_ns for start_ns, end_ns in stream.stretches)


def stopped(stream: Stream, now_ns: int) -> list[Span]:
    """The stretches of wall time that were no stream time, as far as they are kept, and the present
    pause.
    """
    pause_ns = running_pause_ns(stream, now_ns)
    return (
        joined([*stream.stretches, stretch_before(stream, now_ns, pause_ns)])
        if pause_ns
        else list(stream.stretches)
    )


def stretch_before(stream: Stream, at_ns: int, length_ns: int) -> Span:
    """The wall time until at_ns in which stream stood still for length_ns, with all that had stood
    still within.

    A pause that reaches over the start of this run holds what our time has grown by there
    (timeshift.py): that counts beside it.
    """
    from_ns, rest_ns = at_ns, length_ns
    for start_ns, end_ns in reversed(stream.stretches):
        if from_ns - end_ns >= rest_ns:
            break
        rest_ns -= max(0, from_ns - end_ns)
        from_ns = min(from_ns, start_ns)
    return (from_ns - rest_ns, at_ns)


def skipped_stretch(stream: Stream, from_ns: int, length_ns: int) -> Span:
    """The wall time of length_ns of stream time from from_ns on, with all that stood still
    within.
    """
    start = end = wall_ns(stream, from_ns)
    rest_ns = length_ns
    for begin, until in stream.stretches:
        if until <= end:
            continue
        step_ns = min(rest_ns, begin - end)
        end, rest_ns = end + step_ns, rest_ns - step_ns
        if not rest_ns:
            break
        end = until
    return (start, end + rest_ns)


def with_stretch(stream: Stream, stretch: Span) -> tuple[Span, ...]:
    """The stretches with one more, of the newest KEPT_SPANS: without the place of one, older time
    counts as before it.
    """
    return tuple(joined([*stream.stretches, stretch])[-KEPT_SPANS:])


def not_passed(stream: Stream, ahead_ns: int = 0) -> tuple[Span, ...]:
    """The stretches that settled money has not passed: time before them may still be given back.
    ahead_ns: see wall_ns.
    """
    wall = _before_stretches_ns(stream) - ahead_ns + settled_until_ns(stream)
    kept: list[Span] = []
    for start_ns, end_ns in stream.stretches:
        if kept or wall < start_ns:
            kept.append((start_ns, end_ns))
        else:
            wall += end_ns - start_ns
    return tuple(kept)


def end_pause(stream: Stream, at_ns: int, ahead_ns: int = 0) -> None:
    """Count what has stood still in the present pause until at_ns: from the pause, or the covered
    moment if that is later.

    ahead_ns: see wall_ns.
    """
    pause_ns = running_pause_ns(stream, at_ns)
    if pause_ns:
        stream.stretches = with_stretch(stream, stretch_before(stream, at_ns, pause_ns))
        stream.paused_ns += pause_ns
        stream.stretches = not_passed(stream, ahead_ns)
        stream.paused_at_ns = at_ns


def dropped_msat(stream: Stream) -> int:
    """What an ended stream has not paid and will not: of its time up to its end, if it has come to
    that, else of what it had bought.

    Worked out anew at each end of a payment that comes after: what failed is dropped, and what
    settles late was not.
    """
    end_time_ns = stream.terms.end_time_ns
    until_ns = (
        end_ns(stream, end_time_ns)
        if stream.reason is Reason.END_TIME and end_time_ns is not None
        else None
    )
    price = price_msat(
        stream.segments, stream.account.bought_until_ns if until_ns is None else until_ns
    )
    return max(0, price - stream.account.settled_msat - stream.reserved_msat)


def owed_by_price_msat(stream: Stream) -> int:
    """What conservation says is owed: price(bought until) − settled − reserved."""
    account = stream.account
    return (
        price_msat(stream.segments, account.bought_until_ns)
        - account.settled_msat
        - stream.reserved_msat
    )


def check_conservation(stream: Stream) -> None:
    """Money rule 11, per stream, to the msat: AssertionError if the books do not balance."""
    if owed_by_price_msat(stream) != stream.account.owed_msat:
        raise AssertionError(
            f"{stream.id}: settled {stream.account.settled_msat} + reserved {stream.reserved_msat}"
            f" + owed {stream.account.owed_msat} is not the price up to"
            f" {stream.account.bought_until_ns}"
        )
