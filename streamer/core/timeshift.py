"""Our time has followed the wall clock: what happens to the moments that were written by the time
before.

A machine whose clock was wrong at the start, within what a node can notice, is put right while it
runs. The difference is no time that anybody lived: nothing of it is bought, owed or impossible, and
who was paid for an hour is paid for an hour.

So all that this run has written moves with our time, forwards and backwards alike, and a stream
that it has opened moves as a whole: nothing about it changes but the dates. Of a stream of an
earlier run only what came since this run began moves. What lies between the journal's mark and that
beginning is the *gap*: there the difference is, and the gap grows or shrinks by it.

Forwards, a stream of an earlier run stands still in the gap for that much more, paused or not: what
it has bought lasts as long as before, and so does a pause.

Backwards it stands still for as much less as it stood still over the gap (`Book.stood`): by a skip
there, or in a pause that an earlier run began, which has no end before this run gives it one. What
this run paused itself was lived, and stays. What a stream did not stand still for, it has bought:
it is due again when now reaches that, so that no time is bought twice. By so much it is *ahead* of
where it would be (`Book.ahead`), and when our time goes forward again, it first comes back to where
it was. Who is paused while it is ahead is so by that much less (`Book.count_pause`): it would have
stood still, and has bought nothing.

Example: back by two hours, paused for one of them, forward by two hours. It was one hour ahead
after the pause; of the two one is the way back, and for the other it stands still: that was its
pause.

What was impossible for a stream it takes along as spans of its own, for what it shares with others
stays where it was. What an earlier run has of them beyond the moment to which this run's beginning
went back is laid aside until that is later again (`Book.aside`).

Starts that were ordered for later, and ends, are moments of the calendar and stay; of budgets'
periods see periods.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamer.core.book import RUNNING, Book
from streamer.core.impossible import impossible
from streamer.core.spans import Span, bounded, joined, within
from streamer.core.streamtime import (
    has_begun,
    not_passed,
    running_pause_ns,
    stretch_before,
    with_stretch,
)
from streamer.words.model import ApiKey, Facts, Stream, StreamState


@dataclass(slots=True, frozen=True)
class Shift:
    """by_ns: how far our time moves. before_ns: now, by the time before. since_ns: when that time
    began to be ours in this run.
    """

    by_ns: int
    before_ns: int
    since_ns: int

    @property
    def after_ns(self) -> int:
        """Now, by the time that is ours from now on."""
        return self.before_ns + self.by_ns

    def of(self, moment_ns: int) -> int:
        """A moment that was written by the time before, where it was; 0 stays "never"."""
        return moment_ns + self.by_ns if moment_ns else 0

    def ours(self, moment_ns: int) -> int:
        """The same, if this run wrote it. Beyond now, an earlier run did: our time has gone back
        before.
        """
        return self.of(moment_ns) if self.since_ns <= moment_ns <= self.before_ns else moment_ns

    def going_on(self, moment_ns: int) -> int:
        """The same of what goes on since then: not since a moment that is to come again."""
        return min(self.ours(moment_ns), self.after_ns)


def shift_book(book: Book, shift: Shift, facts: Facts) -> None:
    """Move every moment of the streams and open payments of one node; all of it is durable with
    facts, or nothing.
    """
    for stream in book.streams.values():
        if stream.state in RUNNING or stream.state is StreamState.PAUSED:
            shift_stream(book, stream, shift)
            facts.streams.append(stream)
            book.schedule(stream)
    # the journal keeps them as they were: after a start each is as old as it can be
    for payment in book.payments.values():
        payment.planned_ns = shift.ours(payment.planned_ns)
    book.outages.move_time(shift.by_ns, shift.after_ns, facts)
    book.holds.move_time(shift.by_ns, shift.after_ns, facts)
    book.move_time(shift.by_ns)


def shift_stream(book: Book, stream: Stream, shift: Shift) -> None:
    """Move the moments of one stream; all that it has of them is here."""
    end_time_ns = stream.terms.end_time_ns
    if end_time_ns is not None and shift.before_ns < end_time_ns <= shift.after_ns:
        # its end lay in the difference: it comes now, and what was lived until now is owed
        stream.terms = replace(stream.terms, end_time_ns=shift.after_ns)
    if stream.state is StreamState.PENDING or (
        stream.state is StreamState.PAUSED and not has_begun(stream, shift.before_ns)
    ):
        _shift_pending(book, stream, shift)
    else:
        _shift_begun(book, stream, shift)
        # one of an earlier run goes by the corrected time: that run may have been right
        if stream.key in book.expiries:
            stream.expire_time_ns = shift.of(stream.expire_time_ns)
    stream.create_time_ns = shift.ours(stream.create_time_ns)
    stream.state_time_ns = shift.ours(stream.state_time_ns)


def _shift_pending(book: Book, stream: Stream, shift: Shift) -> None:
    """Its start stays. If that lies in the difference it has come: its time begins now, and not
    with what nobody lived.
    """
    start_ns, now_ns, before_ns = stream.terms.start_time_ns, shift.after_ns, stream.paused_ns
    stream.paused_ns = max(0, now_ns - start_ns)
    book.stood[stream.key] = max(0, book.stood.get(stream.key, 0) + stream.paused_ns - before_ns)
    book.ahead.pop(stream.key, None)
    book.missed.pop(stream.key, None)
    stream.paused_at_ns = shift.ours(stream.paused_at_ns)
    if stream.expire_time_ns and stream.terms.ttl_ns is not None and stream.key in book.expiries:
        stream.expire_time_ns = max(now_ns, start_ns) + stream.terms.ttl_ns


def _shift_begun(book: Book, stream: Stream, shift: Shift) -> None:
    account = stream.account
    _shift_spans(book, stream, shift)
    if stream.key in book.opened:
        stream.terms = replace(stream.terms, start_time_ns=shift.of(stream.terms.start_time_ns))
        stream.stretches = tuple(
            (shift.of(start_ns), shift.of(end_ns)) for start_ns, end_ns in stream.stretches
        )
        stream.paused_at_ns = shift.of(stream.paused_at_ns)
    elif shift.by_ns < 0:
        _stand_still_for_less(book, stream, shift)
    else:
        _stand_still(book, stream, shift)
    stream.doubt_since_ns = shift.going_on(stream.doubt_since_ns)
    stream.short_since_ns = shift.going_on(stream.short_since_ns)
    account.failing_since_ns = shift.going_on(account.failing_since_ns)
    account.counted_until_ns = shift.after_ns
    account.due_ns = min(shift.ours(account.due_ns), shift.after_ns)
    account.next_attempt_ns = shift.of(account.next_attempt_ns)


def _shift_spans(book: Book, stream: Stream, shift: Shift) -> None:
    """Keep all that was impossible until now as spans of the stream's own: those of this run
    move.
    """
    spans = impossible(stream, shift.before_ns, book.outages_of(stream))
    since_ns = shift.of(shift.since_ns)
    ours = [
        (shift.of(start_ns), shift.of(end_ns))
        for start_ns, end_ns in within(spans, shift.since_ns, shift.before_ns)
    ]
    earlier = joined([*within(spans, 0, shift.since_ns), *book.aside.pop(stream.key, ())])
    stream.spans = bounded(joined([*within(earlier, 0, since_ns), *ours]))
    if earlier and earlier[-1][1] > since_ns:
        book.aside[stream.key] = tuple(within(earlier, since_ns, earlier[-1][1]))


def _stand_still(book: Book, stream: Stream, shift: Shift) -> None:
    """The gap has grown: that is one more stretch that was no time of the stream, and what came
    before it stays where it was.

    Unless the stream is ahead: so far it only comes back to where it was.
    """
    stream.stretches = tuple(
        (shift.ours(start_ns), shift.ours(end_ns)) for start_ns, end_ns in stream.stretches
    )
    ahead_ns = book.ahead.get(stream.key, 0)
    stands_ns = max(0, shift.by_ns - ahead_ns)
    book.ahead[stream.key] = max(0, ahead_ns - shift.by_ns)
    _shift_missed(book, stream, shift)
    if stands_ns:
        grown_ns = stands_ns - _stand_still_as_paused(book, stream, stands_ns)
        stream.stretches = with_stretch(
            stream, stretch_before(stream, shift.of(shift.since_ns), grown_ns)
        )
        stream.paused_ns += stands_ns
        stream.stretches = not_passed(stream, book.may_return_ns(stream))
        book.stood[stream.key] = book.stood.get(stream.key, 0) + grown_ns
    _shift_pause(book, stream, shift, stands_ns)


def _stand_still_as_paused(book: Book, stream: Stream, most_ns: int) -> int:
    """Let what the stream was paused while it was ahead be stretches after all, the newest first;
    for how long, at most most_ns.
    """
    missed, rest_ns = list(book.missed.get(stream.key, ())), most_ns
    while missed and rest_ns:
        start_ns, end_ns = missed.pop()
        length_ns = min(rest_ns, end_ns - start_ns)
        stream.stretches = with_stretch(stream, stretch_before(stream, end_ns, length_ns))
        rest_ns -= length_ns
        if end_ns - length_ns > start_ns:
            missed.append((start_ns, end_ns - length_ns))
    book.missed[stream.key] = tuple(missed)
    return most_ns - rest_ns


def _shift_missed(book: Book, stream: Stream, shift: Shift) -> None:
    if stream.key in book.missed:
        book.missed[stream.key] = tuple(
            (shift.of(start_ns), shift.of(end_ns)) for start_ns, end_ns in book.missed[stream.key]
        )


def _stand_still_for_less(book: Book, stream: Stream, shift: Shift) -> None:
    """The gap has shrunk: what stood still in it stood still for less.

    No more than has stood still: who was only paused within what it had bought has lost no time by
    that, and would be paid for it twice.
    """
    less_ns = min(-shift.by_ns, book.stood.get(stream.key, 0))
    ahead_ns = -shift.by_ns - less_ns
    pause_ns = running_pause_ns(stream, shift.before_ns)
    if pause_ns and stream.key not in book.paused:
        ahead_ns -= min(ahead_ns, pause_ns)  # that pause has become shorter by itself
    elif pause_ns and ahead_ns and stream.account.seq:
        # so far it was lived; of what has bought nothing there is only the start
        book.count_pause(stream, shift.before_ns)
    _shift_missed(book, stream, shift)
    rest_ns, kept = less_ns, list[Span]()
    for start_ns, end_ns in reversed(stream.stretches):
        if start_ns >= shift.since_ns:
            kept.append((shift.ours(start_ns), shift.ours(end_ns)))
            continue
        cut_ns = min(rest_ns, end_ns - start_ns)
        rest_ns -= cut_ns
        if end_ns - cut_ns > start_ns:
            kept.append((start_ns, end_ns - cut_ns))
    stream.stretches = tuple(reversed(kept))
    stream.paused_ns -= less_ns
    book.stood[stream.key] = book.stood.get(stream.key, 0) - less_ns
    book.ahead[stream.key] = book.ahead.get(stream.key, 0) + ahead_ns
    _shift_pause(book, stream, shift, -less_ns)


def _shift_pause(book: Book, stream: Stream, shift: Shift, stood_ns: int) -> None:
    """A pause of this run moves with it, one of an earlier run with its stream: by stood_ns. None
    begins in time that is to come again.
    """
    if stream.state is not StreamState.PAUSED:
        return
    stream.paused_at_ns = (
        shift.of(stream.paused_at_ns)
        if stream.key in book.paused
        else stream.paused_at_ns + stood_ns
    )
    if stream.paused_at_ns > shift.after_ns:
        stream.paused_at_ns = shift.after_ns
        book.paused.add(stream.key)


def shift_keys(keys: list[ApiKey], shift: Shift, moved_back: dict[int, int]) -> list[ApiKey]:
    """Move the ends of those keys that this run made while its time was ahead; which these are.

    An end is a moment of the calendar, and its caller's clock may have been right: forwards it only
    comes back to where it was ordered. moved_back: by key number, how far its end is from there
    now.
    """
    moved = []
    for key in keys:
        back_ns = moved_back.get(key.number, 0)
        by_ns = (
            min(shift.by_ns, back_ns)
            if shift.by_ns > 0
            else shift.by_ns
            if key.create_time_ns >= shift.since_ns
            else 0
        )
        if not by_ns:
            continue
        moved_back[key.number] = back_ns - by_ns
        key.create_time_ns, key.expire_time_ns, key.revoke_time_ns = (
            moment_ns + by_ns if moment_ns else 0
            for moment_ns in (key.create_time_ns, key.expire_time_ns, key.revoke_time_ns)
        )
        moved.append(key)
    return moved
