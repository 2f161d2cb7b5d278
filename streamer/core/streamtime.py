"""Between the wall clock and a stream's own time, and what of it is covered.

Stream time is wall time since start_time less what was skipped and paused. While a stream is
PAUSED, time stands still from the pause, or from the covered moment if that is later: what is
bought runs out first.
"""

from __future__ import annotations

from streamer.core.schedule import moment_ns, price_msat
from streamer.model import Stream, StreamState


def origin_ns(stream: Stream) -> int:
    """The wall moment at which stream time would be 0, as skips and pauses are now."""
    return stream.terms.start_time_ns + stream.skipped_ns + stream.paused_ns


def covered_ns(stream: Stream) -> int:
    """The stream time up to which settled and reserved money reach."""
    account = stream.account
    if account.owed_msat == 0:
        return account.bought_until_ns
    return moment_ns(stream.segments, account.settled_msat + stream.reserved_msat)


def paid_until_ns(stream: Stream) -> int:
    """The stream time up to which settled money reaches."""
    account = stream.account
    if account.owed_msat == 0 and stream.reserved_msat == 0:
        return account.bought_until_ns
    return moment_ns(stream.segments, account.settled_msat)


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
    return max(0, end_time_ns - origin_ns(stream) - running_pause_ns(stream, min(now_ns, end_time_ns)))


def owed_by_price_msat(stream: Stream) -> int:
    """What conservation says is owed: price(bought until) − settled − reserved."""
    account = stream.account
    return price_msat(stream.segments, account.bought_until_ns) - account.settled_msat - stream.reserved_msat


def check_conservation(stream: Stream) -> None:
    """Money rule 11, per stream, to the msat: AssertionError if the books do not balance."""
    if owed_by_price_msat(stream) != stream.account.owed_msat:
        raise AssertionError(
            f"{stream.id}: settled {stream.account.settled_msat} + reserved {stream.reserved_msat} + owed {stream.account.owed_msat}"
            f" is not the price up to {stream.account.bought_until_ns}"
        )
