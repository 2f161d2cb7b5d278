"""What a person does to a stream: open, pause, resume, change, renew, cancel.

All of it is idempotent: what is so already stays as it is. Refusals are FailedPrecondition with a
sentence for the user. Facts take what must be durable before the caller is answered.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamer.core.book import RUNNING, Book, stall_reason
from streamer.core.schedule import change_rate, price_msat
from streamer.core.stream import Move
from streamer.core.streamtime import (
    check_conservation,
    covered_ns,
    has_begun,
    owed_by_price_msat,
    paid_until_ns,
    stream_now_ns,
)
from streamer.words.errors import FailedPrecondition
from streamer.words.model import ENDED, Facts, Segment, Stream, StreamState, Terms
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason

TTL_AFTER_START_NS = 60 * SECOND_NS
"""Renewers get this long after a start: while the doors were closed nobody could renew, and every
ttl stream would expire.
"""


def new_stream(stream_id: str, key: int, terms: Terms, now_ns: int, api_key: int = 0) -> Stream:
    """A stream that has not begun; nothing is durable or scheduled yet."""
    stream = Stream(
        id=stream_id,
        key=key,
        terms=terms,
        create_time_ns=now_ns,
        state=StreamState.PENDING,
        reason=Reason.NONE,
        state_time_ns=now_ns,
        api_key=api_key,
    )
    stream.segments = [Segment(0, 0, terms.rate)]
    stream.expire_time_ns = _expire_time_ns(terms, now_ns)
    return stream


def open_stream(book: Book, stream: Stream, now_ns: int, facts: Facts) -> None:
    """Take a new stream in; its first payment falls due at start_time."""
    book.add(stream)
    # a start that is ordered for later is a moment of the calendar
    if stream.terms.start_time_ns <= now_ns:
        book.opened.add(stream.key)
    book.expiries.add(stream.key)
    facts.streams.append(stream)
    if stream.terms.start_time_ns <= now_ns:
        book.enter(stream, Move.START, Reason.NONE, now_ns, facts)
    book.schedule(stream)


def pause(
    book: Book, stream: Stream, now_ns: int, facts: Facts, reason: Reason = Reason.USER
) -> None:
    """Stop buying; what is bought runs out. A pause fixes no sum: what fails in it is owed as if
    there had been none.
    """
    if _goes_on(book, stream, "paused", now_ns, facts) and stream.state is not StreamState.PAUSED:
        book.stop_time(stream, now_ns, reason, facts)
    book.schedule(stream)


def resume(book: Book, stream: Stream, now_ns: int, facts: Facts) -> None:
    """Go on at the covered moment, or now if that is later; a stream that waits after a failure
    tries now.

    It ends no row of failures: a stream that was STALLED when it was paused is STALLED again, and
    its next payment is a probe.
    """
    account = stream.account
    if not _goes_on(book, stream, "resumed", now_ns, facts):
        return
    if stream.state is StreamState.PAUSED:
        if not has_begun(stream, now_ns):
            stream.paused_at_ns = 0
            book.paused.discard(stream.key)
            book.enter(stream, Move.RESUME_EARLY, Reason.USER, now_ns, facts)
        else:
            _go_on(book, stream, now_ns, facts)
        stream.expire_time_ns = _expire_time_ns(stream.terms, now_ns)
        book.expiries.add(stream.key)
    elif account.next_attempt_ns > now_ns and not (stream.doubt_since_ns or stream.short_of):
        account.next_attempt_ns = now_ns
        facts.accounts.append(stream)
    book.schedule(stream)


def _go_on(book: Book, stream: Stream, now_ns: int, facts: Facts) -> None:
    """End the pause: what stood still in it is known now, and is no time of the stream; what was
    bought had run on.
    """
    book.count_pause(stream, now_ns)
    book.paused.discard(stream.key)
    stream.paused_at_ns = stream.account.next_attempt_ns = 0
    # it left its line; a budget of its own is empty until it renews, pause or not
    if stream.short_of is Reason.KEY_BUDGET_SPENT:
        stream.short_until_ns = now_ns
    book.note_row(stream)
    reason = stall_reason(stream)
    if reason is Reason.NONE:
        book.enter(stream, Move.RESUME, Reason.USER, now_ns, facts)
    else:
        book.enter(stream, Move.RESUME_STALLED, reason, now_ns, facts)


def renew(book: Book, stream: Stream, now_ns: int, facts: Facts) -> bool:
    """Put expire_time a ttl ahead; False if the stream has none or is not running. While the time
    is not known: ahead of when it is.
    """
    book.pass_time(stream, now_ns, facts)
    if stream.terms.ttl_ns is None or stream.state not in RUNNING:
        book.schedule(stream)
        return False
    stream.expire_time_ns = _expire_time_ns(stream.terms, now_ns)
    book.expiries.add(stream.key)
    if not book.shared.time_known:
        book.renewed.add(stream.key)
        # a nanosecond says so after a crash, if it has not begun (outlast_start)
        stream.expire_time_ns += stream.terms.start_time_ns > now_ns
    facts.streams.append(stream)
    book.schedule(stream)
    return True


def outlast_start(streams: Iterable[Stream], last_ns: int, now_ns: int) -> list[Stream]:
    """Give renewers time after a start; the streams whose expire_time moved: that must become
    durable.

    last_ns: when the doors were last open. A ttl that ran out before it, ran out while the doors
    were open. Who was renewed, or opened, after it was so in a run that did not know the time yet:
    a crash then forgets who that was, and the whole ttl is given here.
    """
    moved = []
    for stream in streams:
        if (
            stream.terms.ttl_ns is not None
            and stream.state in RUNNING
            and stream.expire_time_ns > last_ns
        ):
            whole_ns = stream.terms.ttl_ns
            given_ns = min(whole_ns, TTL_AFTER_START_NS)
            # a ttl that counts from the start_time is nobody's renewal
            renewed_ns = stream.expire_time_ns - whole_ns
            if stream.create_time_ns > last_ns or renewed_ns > max(
                last_ns, stream.terms.start_time_ns
            ):
                given_ns = whole_ns
            least_ns = now_ns + given_ns
            if stream.expire_time_ns < least_ns:
                stream.expire_time_ns = least_ns
                moved.append(stream)
    return moved


def outlast_unknown(book: Book, last_ns: int | None, now_ns: int) -> list[Stream]:
    """The time is known from now on: give renewers theirs; the streams whose expire_time moved:
    that must become durable.

    Who was renewed meanwhile has a whole ttl, for nobody could say then how much time had passed.
    last_ns: see outlast_start; None if this is no start.
    """
    moved = [] if last_ns is None else outlast_start(book.streams.values(), last_ns, now_ns)
    renewed = [book.by_key[key] for key in sorted(book.renewed) if key in book.by_key]
    book.renewed.clear()
    for stream in renewed:
        if stream.terms.ttl_ns is not None and stream.state in RUNNING:
            stream.expire_time_ns = _expire_time_ns(stream.terms, now_ns)
            moved.append(stream)
    for stream in moved:
        book.expiries.add(stream.key)
        book.schedule(stream)
    return moved


def cancel(book: Book, stream: Stream, now_ns: int, facts: Facts) -> None:
    """Stop paying for good; nothing comes back."""
    book.pass_time(stream, now_ns, facts)
    if stream.state in ENDED or stream.state is StreamState.CLOSING:
        return
    book.close(stream, StreamState.CANCELLED, Reason.USER, now_ns, facts)


def change(book: Book, stream: Stream, terms: Terms, now_ns: int, facts: Facts) -> None:
    """Take new terms. A new rate starts where the covered time ends, or now if that is later."""
    if not _goes_on(book, stream, "changed", now_ns, facts):
        return
    if terms.budget != stream.terms.budget:
        _change_budget(book, stream, terms)
    if terms.rate != stream.terms.rate:
        _change_rate(stream, terms, now_ns)
    if terms.ttl_ns != stream.terms.ttl_ns and stream.state in RUNNING:
        stream.expire_time_ns = _expire_time_ns(terms, now_ns)
        book.expiries.add(stream.key)
    stream.terms = terms
    facts.streams.append(stream)
    book.budgets.own(stream, now_ns)
    book.note_room(stream, now_ns, facts)
    check_conservation(stream)
    book.schedule(stream)
    book.rounds.reconsider(stream)


def _change_rate(stream: Stream, terms: Terms, now_ns: int) -> None:
    account = stream.account
    # what is bought keeps its price, and so does time that is unpaid: who raises a rate after an
    # outage of an hour does not raise that hour
    from_ns = max(0, covered_ns(stream), stream_now_ns(stream, now_ns))
    # with nothing under way, what was bought beyond the money failed, and is owed like the rest
    money_ns = {paid_until_ns(stream), covered_ns(stream)}
    if stream.open_payments:
        money_ns.add(account.bought_until_ns)
    stream.segments = change_rate(stream.segments, from_ns, terms.rate, money_ns)
    account.bought_until_ns = min(account.bought_until_ns, from_ns)
    account.owed_msat = owed_by_price_msat(stream)


def _change_budget(book: Book, stream: Stream, terms: Terms) -> None:
    """A budget with the same period keeps what was spent in it; another period begins at nothing
    for a renewing one, and at all that was ever paid, or counts as paid, for a total.
    """
    before, after, account = stream.terms.budget, terms.budget, stream.account
    if after is None or (before is not None and before.period_ns == after.period_ns):
        return
    if book.payments and any(
        payment.stream_key == stream.key for payment in book.payments.values()
    ):
        raise FailedPrecondition(
            "the period of a budget can only change while no payment of the stream is open: try"
            " again shortly"
        )
    book.budgets.forget(stream)
    account.period_start_ns = 0
    ever_msat = (
        account.settled_msat + account.fee_msat + stream.written_off_fee_msat - stream.refunded_msat
    )
    account.period_spent_msat = ever_msat if after.period_ns is None else 0


def _expire_time_ns(terms: Terms, now_ns: int) -> int:
    return 0 if terms.ttl_ns is None else max(now_ns, terms.start_time_ns) + terms.ttl_ns


def _goes_on(book: Book, stream: Stream, verb: str, now_ns: int, facts: Facts) -> bool:
    """Raise if stream has ended; let time take effect first, and say whether it has not ended by
    that.
    """
    if stream.state in ENDED or stream.state is StreamState.CLOSING:
        raise FailedPrecondition(
            f"{stream.id} has ended ({stream.state}, {stream.reason}) and cannot be {verb}; open a"
            " new stream instead"
        )
    book.pass_time(stream, now_ns, facts)
    return stream.state in RUNNING or stream.state is StreamState.PAUSED


def price_now_msat(stream: Stream, now_ns: int) -> int:
    """The price of the stream time that has run until now_ns."""
    return price_msat(stream.segments, max(0, stream_now_ns(stream, now_ns)))
