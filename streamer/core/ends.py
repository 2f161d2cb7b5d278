"""What becomes of a payment, and of its stream with it: post, void or hold, and go on from there.

The running engine and the restarted one both come here, and nowhere else, with what they learned.
"""

from __future__ import annotations

from streamer.core.book import Book
from streamer.core.payment import Event, Money, move
from streamer.core.retry import after_failure
from streamer.core.schedule import drop_passed
from streamer.core.slots import FREE_MARKS
from streamer.core.spans import within
from streamer.core.streamtime import (
    check_conservation,
    dropped_msat,
    not_passed,
    settled_until_ns,
    wall_ns,
)
from streamer.words.model import (
    ENDED,
    Answer,
    Facts,
    Kind,
    Mark,
    Payment,
    PaymentState,
    Stream,
    StreamState,
)
from streamer.words.reasons import Reason


def resolve(
    book: Book,
    payment: Payment,
    event: Event,
    answer: Answer,
    now_ns: int,
    facts: Facts,
    blame: bool = True,
) -> Money:
    """Take what became known of payment; what its money did is returned.

    blame False: the failure was the node's (all channels down), and says nothing of the stream.
    """
    stream = book.by_key.get(payment.stream_key)
    if stream is not None:
        # an end_time that has passed unseen is not decided by what becomes known after it
        book.pass_time(stream, now_ns, facts)
    before = (payment.state, payment.accepted)
    payment.state, money = move(payment.state, event)
    payment.accepted = payment.accepted or answer.accepted
    payment.index = answer.index or payment.index
    if money is Money.NOTHING or (
        money is Money.HOLD and before == (payment.state, payment.accepted)
    ):
        return money
    facts.ends.append(payment)
    if money is Money.HOLD:
        return money
    if money is Money.REFUND:
        _refund(book, payment, stream, now_ns, facts)
        return money
    payment.end_ns, payment.reason, payment.message = now_ns, answer.reason, answer.message
    if money is Money.VOID:
        _void(book, payment, stream)
    else:
        _post(book, payment, stream, money, event, answer)
    # one that settles late has left already, when it was called failed
    if money is not Money.LATE:
        _leave(book, payment, stream, now_ns, facts)
    (book.tally.late if money is Money.LATE else book.tally.ended).append(payment)
    if stream is not None:
        _follow(book, stream, payment, money, now_ns, facts, blame)
    return money


def take_back(book: Book, payment: Payment) -> None:
    """Count an open payment of the journal as it was, its mark included; nothing else changes."""
    stream = book.by_key.get(payment.stream_key)
    if stream is None:
        book.take_open(payment)
    else:
        book.take_intent(stream, payment)
    if stream is not None and payment.mark in FREE_MARKS:
        stream.open_payments -= 1


def mark(book: Book, payment: Payment, to: Mark, now_ns: int, facts: Facts) -> None:
    """Mark an open payment as held, orphan or out of sight, or as neither any more."""
    if payment.mark is to:
        return
    stream = book.by_key.get(payment.stream_key)
    had_place = payment.mark not in FREE_MARKS and payment.row not in book.slots.doubtful
    book.slots.set_mark(payment, to)
    facts.ends.append(payment)
    book.moved(payment, now_ns, facts)
    has_place = to not in FREE_MARKS and payment.row not in book.slots.doubtful
    if stream is not None:
        stream.open_payments += has_place - had_place
        book.note_less_doubt(stream, now_ns, facts)
        book.pass_time(stream, now_ns, facts)
        book.settle_closing(stream, now_ns, facts)
        book.schedule(stream)


def see(book: Book, payment: Payment, has_htlc: bool, now_ns: int, facts: Facts) -> None:
    """Take whether a channel has an HTLC of a payment that is out of sight: with one it takes a
    slot.
    """
    if payment.mark is Mark.LOST_SIGHT and has_htlc != (payment.row in book.slots.stuck):
        book.slots.see(payment, has_htlc)
        book.moved(payment, now_ns, facts)


def doubt(book: Book, payment: Payment, now_ns: int, facts: Facts) -> None:
    """Payment is open for too long: its stream's place is free, its slot may not be, its money
    stays reserved.
    """
    if payment.row in book.slots.doubtful or payment.mark in FREE_MARKS:
        return
    book.slots.doubt(payment)
    book.moved(payment, now_ns, facts)
    stream = book.by_key.get(payment.stream_key)
    if stream is None:
        return
    stream.open_payments -= 1
    book.note_doubt(stream, now_ns, facts)
    book.pass_time(stream, now_ns, facts)
    book.settle_closing(stream, now_ns, facts)
    book.schedule(stream)


def astray(book: Book, payment: Payment) -> bool:
    """True if payment went to somebody else than its stream says: only a person may say what
    becomes of it.
    """
    stream = book.by_key.get(payment.stream_key)
    return stream is not None and payment.destination != stream.terms.destination


def adopt(
    book: Book, stream: Stream, payment: Payment, answer: Answer, now_ns: int, facts: Facts
) -> None:
    """Take in a payment of ours that the journal lacked, with the node's word for it (money rule
    9).

    It buys nothing new: its amount becomes a credit of the stream, which shortens the next payment.
    """
    account = stream.account
    account.seq = max(account.seq, payment.seq)
    facts.intents.append(payment)
    # even a failure: it may settle late, and a stream that never planned has no budget in memory
    # yet
    book.budgets.stamp_adopted(payment, stream, now_ns)
    if answer.kind is Kind.FAILED:
        payment.state, payment.end_ns, payment.reason = (
            move(payment.state, Event.FAILED)[0],
            now_ns,
            answer.reason,
        )
        facts.ends.append(payment)
    else:
        account.owed_msat -= payment.amount_msat
        stream.reserved_msat += payment.amount_msat
        stream.open_payments += 1
        book.take_open(payment)
        event = Event.SETTLED if answer.kind is Kind.SETTLED else Event.ACCEPTED
        resolve(book, payment, event, answer, now_ns, facts)
    facts.accounts.append(stream)
    check_conservation(stream)
    book.schedule(stream)


def _void(book: Book, payment: Payment, stream: Stream | None) -> None:
    book.budgets.release(payment, payment.amount_msat + payment.fee_limit_msat, 0, stream)
    if stream is not None:
        stream.reserved_msat -= payment.amount_msat
        stream.account.owed_msat += payment.amount_msat
        stream.account.failed_count += 1


def _post(
    book: Book, payment: Payment, stream: Stream | None, money: Money, event: Event, answer: Answer
) -> None:
    written_off, late = event is Event.WRITE_OFF, money is Money.LATE
    payment.settled_msat = payment.amount_msat if written_off else answer.amount_msat
    # nobody knows what a write-off has cost: the most that it may have, so that no budget is ever
    # exceeded
    payment.fee_msat = payment.fee_limit_msat if written_off else answer.fee_msat
    if payment.payment_request:
        payment.preimage = answer.preimage
    reserved = 0 if late else payment.amount_msat
    spent = payment.settled_msat + payment.fee_msat
    book.budgets.release(payment, reserved + (0 if late else payment.fee_limit_msat), spent, stream)
    if stream is not None:
        account = stream.account
        account.settled_msat += payment.settled_msat
        # what lnd took counts, and not what was asked for: 1,000 reserved and 1,001 settled are a
        # credit of 1, and a late one, which reserves nothing any more, is a credit as a whole
        account.owed_msat += reserved - payment.settled_msat
        stream.reserved_msat -= reserved
        if written_off:
            account.written_off_msat += payment.settled_msat
            stream.written_off_fee_msat += payment.fee_msat
        else:
            account.fee_msat += payment.fee_msat
            account.settled_count += 1


def _refund(book: Book, payment: Payment, stream: Stream | None, now_ns: int, facts: Facts) -> None:
    back = payment.settled_msat + payment.fee_msat
    payment.settled_msat = payment.fee_msat = 0
    book.budgets.release(payment, 0, -back, stream)
    if stream is not None:
        # the budgets have it back, and the account is left alone: time that was once counted as
        # paid is never bought again
        stream.refunded_msat += back
        facts.streams.append(stream)
        book.note_room(stream, now_ns, facts)
        book.schedule(stream)


def _leave(book: Book, payment: Payment, stream: Stream | None, now_ns: int, facts: Facts) -> None:
    del book.payments[payment.row]
    if stream is not None:
        stream.reserved_fee_msat -= payment.fee_limit_msat
        if payment.row not in book.slots.doubtful and payment.mark not in FREE_MARKS:
            stream.open_payments -= 1
    # the end of one that was out of sight is not the node's to tell, even later (money rule 5)
    stays = payment.mark is Mark.LOST_SIGHT and payment.state is PaymentState.WRITTEN_OFF
    # what was sent before an outage may have settled in it: that its end was seen late shows
    # nothing of its receiver
    excused = book.slots.is_late(payment) and any(
        kept.overlapping(payment.planned_ns, now_ns) for kept in (book.outages, book.shared.outages)
    )
    book.slots.end(payment, Mark.LOST_SIGHT if stays else Mark.NONE, excused)
    book.moved(payment, now_ns, facts)


def _follow(
    book: Book,
    stream: Stream,
    payment: Payment,
    money: Money,
    now_ns: int,
    facts: Facts,
    blame: bool,
) -> None:
    closed = stream.state in ENDED or stream.state is StreamState.CLOSING
    if money is not Money.VOID:
        _posted(book, stream, payment, now_ns, facts)
    elif not closed and blame and payment.reason is not Reason.NONE:
        _failed(book, stream, payment, now_ns, facts)
    if closed and stream.dropped_msat != (dropped := dropped_msat(stream)):
        stream.dropped_msat = dropped
        facts.streams.append(stream)
    facts.accounts.append(stream)
    check_conservation(stream)
    if stream.short_since_ns or stream.short_of:
        book.note_room(stream, now_ns, facts)  # its reserve, or a part of it, came back
    if stream.doubt_since_ns:
        book.note_less_doubt(stream, now_ns, facts)
    book.pass_time(stream, now_ns, facts)
    if stream.state is StreamState.CLOSING:
        book.settle_closing(stream, now_ns, facts)
    book.schedule(stream)


def _posted(book: Book, stream: Stream, payment: Payment, now_ns: int, facts: Facts) -> None:
    account = stream.account
    if len(stream.segments) > 1:
        stream.segments = drop_passed(
            stream.segments, account.settled_msat, account.bought_until_ns
        )
    # our own verdict shows nothing of the receiver: a row of failures goes on
    if payment.state is PaymentState.WRITTEN_OFF:
        facts.streams.append(stream)
        return
    account.streak = account.next_attempt_ns = 0
    if account.failing_since_ns:
        book.end_span(stream, account.failing_since_ns, now_ns, facts)
        account.failing_since_ns, stream.failing, stream.stalled_by = 0, Reason.NONE, Reason.NONE
    if stream.spans or stream.stretches:
        _let_pass(book, stream, facts)
    if account.probe_cap_msat:
        whole = stream.terms.max_payment_msat or (book.largest_spendable_msat or 0) // 2
        account.probe_cap_msat = (
            0 if account.probe_cap_msat * 2 >= whole else account.probe_cap_msat * 2
        )
    book.restate(stream, now_ns, facts)


def _let_pass(book: Book, stream: Stream, facts: Facts) -> None:
    """Forget what lies before settled money: that time is never given back, unless our time brings
    the stream back (timeshift.py).
    """
    ahead_ns = book.may_return_ns(stream)
    stretches, passed_ns = (
        not_passed(stream, ahead_ns),
        wall_ns(stream, settled_until_ns(stream), ahead_ns),
    )
    spans = tuple(within(stream.spans, passed_ns, stream.spans[-1][1])) if stream.spans else ()
    if (spans, stretches) != (stream.spans, stream.stretches):
        stream.spans, stream.stretches = spans, stretches
        facts.streams.append(stream)


def _failed(book: Book, stream: Stream, payment: Payment, now_ns: int, facts: Facts) -> None:
    account = stream.account
    stream.last_failure = payment.message or payment.reason
    facts.streams.append(stream)
    account.streak += 1
    stream.failing = payment.reason
    # impossible from the first failure on, and not from the stall: else who is away for 14 minutes,
    # and not yet stalled, would be paid for more of them than who is away for 16
    account.failing_since_ns = account.failing_since_ns or now_ns
    if payment.reason in (Reason.NO_ROUTE, Reason.NO_LIQUIDITY):
        # several may be open, and a larger one fail after a smaller one: that says nothing for the
        # larger amount
        half = max(stream.terms.min_payment_msat, payment.amount_msat // 2)
        account.probe_cap_msat = min(account.probe_cap_msat or half, half)
    retry = after_failure(
        payment.reason, account.streak, book.limits.stall_after, book.shared.jitter()
    )
    account.next_attempt_ns = now_ns + retry.wait_ns
    # under doubt or an empty budget a failure only counts: what the row makes of the stream is
    # asked when those end
    if not (stream.doubt_since_ns or stream.short_of) and (stream.stalled_by or retry.stalled):
        stream.stalled_by = payment.reason
    book.restate(stream, now_ns, facts)
