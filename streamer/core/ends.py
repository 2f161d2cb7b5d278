"""What becomes of a payment, and of its stream with it: post, void or hold, and go on from there.

The running engine and the restarted one both come here, and nowhere else, with what they learned.
"""

from __future__ import annotations

from streamer.core.book import MAX_IN_DOUBT, Book
from streamer.core.payment import Event, Money, move
from streamer.core.retry import after_failure
from streamer.core.schedule import drop_passed
from streamer.core.streamtime import check_conservation
from streamer.model import ENDED, Answer, Facts, Kind, Mark, Payment, PaymentState, Stream, StreamState
from streamer.reasons import Reason

FREE_MARKS = frozenset({Mark.ORPHAN, Mark.LOST_SIGHT})
"""Payments so marked hold money, but neither a slot nor a place in the window (money rules 5, 6)."""


def resolve(book: Book, payment: Payment, event: Event, answer: Answer, now_ns: int, facts: Facts, blame: bool = True) -> Money:
    """Take what became known of payment; what its money did is returned.

    blame False: the failure was the node's (all channels down), and says nothing of the stream.
    """
    before = (payment.state, payment.accepted)
    payment.state, money = move(payment.state, event)
    payment.accepted = payment.accepted or answer.accepted
    payment.index = answer.index or payment.index
    if money is Money.NOTHING or (money is Money.HOLD and before == (payment.state, payment.accepted)):
        return money
    facts.ends.append(payment)
    if money is Money.HOLD:
        return money
    stream = book.by_key.get(payment.stream_key)
    if money is Money.REFUND:
        _refund(book, payment, stream, now_ns, facts)
        return money
    payment.end_ns, payment.reason, payment.message = now_ns, answer.reason, answer.message
    if money is Money.VOID:
        _void(book, payment, stream)
    else:
        _post(book, payment, stream, money, event, answer)
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
    if payment.mark is not Mark.NONE:
        was, payment.mark = payment.mark, Mark.NONE
        book.slots.set_mark(payment, was)
        book.slots.leave(payment)
        if stream is not None and was in FREE_MARKS:
            stream.open_payments -= 1


def mark(book: Book, payment: Payment, to: Mark, now_ns: int, facts: Facts) -> None:
    """Mark an open payment as held, orphan or out of sight, or as neither any more."""
    if payment.mark is to:
        return
    stream = book.by_key.get(payment.stream_key)
    held_slot = payment.mark not in FREE_MARKS and payment.row not in book.slots.doubtful
    book.slots.set_mark(payment, to)
    facts.ends.append(payment)
    if to is not Mark.NONE:
        book.leave_window(payment)
    elif payment.row not in book.slots.doubtful:
        book.slots.take(payment)
    if to in FREE_MARKS:
        book.slots.clear_doubt(payment)
    holds_slot = to not in FREE_MARKS and payment.row not in book.slots.doubtful
    if stream is not None:
        stream.open_payments += holds_slot - held_slot
        _unstall_doubt(book, stream, now_ns, facts)
        book.settle_closing(stream, now_ns, facts)
        book.schedule(stream)


def doubt(book: Book, payment: Payment, now_ns: int, facts: Facts) -> None:
    """Payment is open for too long: its slot is free, its money stays reserved."""
    if payment.row in book.slots.doubtful or payment.mark in FREE_MARKS:
        return
    doubts = book.slots.doubt(payment)
    book.leave_window(payment)
    stream = book.by_key.get(payment.stream_key)
    if stream is None:
        return
    stream.open_payments -= 1
    if doubts >= MAX_IN_DOUBT and stream.state is StreamState.ACTIVE:
        book.stall(stream, Reason.IN_DOUBT, 0, now_ns, facts)
    book.settle_closing(stream, now_ns, facts)
    book.schedule(stream)


def astray(book: Book, payment: Payment) -> bool:
    """True if payment went to somebody else than its stream says: only a person may say what becomes of it."""
    stream = book.by_key.get(payment.stream_key)
    return stream is not None and payment.destination != stream.terms.destination


def adopt(book: Book, stream: Stream, payment: Payment, answer: Answer, now_ns: int, facts: Facts) -> None:
    """Take in a payment of ours that the journal lacked, with the node's word for it (money rule 9).

    It buys nothing new: its amount becomes a credit of the stream, which shortens the next payment.
    """
    account = stream.account
    account.seq = max(account.seq, payment.seq)
    facts.intents.append(payment)
    # even a failure: it may settle late, and a stream that never planned has no budget in memory yet
    book.budgets.stamp_adopted(payment, stream, now_ns)
    if answer.kind is Kind.FAILED:
        payment.state, payment.end_ns, payment.reason = move(payment.state, Event.FAILED)[0], now_ns, answer.reason
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
    _leave(book, payment, stream)


def _post(book: Book, payment: Payment, stream: Stream | None, money: Money, event: Event, answer: Answer) -> None:
    written_off, late = event is Event.WRITE_OFF, money is Money.LATE
    payment.settled_msat = payment.amount_msat if written_off else answer.amount_msat
    payment.fee_msat = payment.fee_limit_msat if written_off else answer.fee_msat
    if payment.payment_request:
        payment.preimage = answer.preimage
    reserved = 0 if late else payment.amount_msat
    spent = payment.settled_msat + payment.fee_msat
    book.budgets.release(payment, reserved + (0 if late else payment.fee_limit_msat), spent, stream)
    if stream is not None:
        account = stream.account
        account.settled_msat += payment.settled_msat
        account.owed_msat += reserved - payment.settled_msat
        stream.reserved_msat -= reserved
        if written_off:
            account.written_off_msat += payment.settled_msat
            stream.written_off_fee_msat += payment.fee_msat
        else:
            account.fee_msat += payment.fee_msat
            account.settled_count += 1
    if not late:
        _leave(book, payment, stream)


def _refund(book: Book, payment: Payment, stream: Stream | None, now_ns: int, facts: Facts) -> None:
    back = payment.settled_msat + payment.fee_msat
    payment.settled_msat = payment.fee_msat = 0
    book.budgets.release(payment, 0, -back, stream)
    if stream is not None:
        stream.refunded_msat += back
        facts.streams.append(stream)
        if stream.reason is Reason.BUDGET_PERIOD:
            _try_now(book, stream, now_ns, facts)
    if book.budgets.of_key(payment.api_key, now_ns) is not None:
        for other in book.streams.values():
            if other.reason is Reason.KEY_BUDGET_SPENT and other.api_key == payment.api_key:
                _try_now(book, other, now_ns, facts)


def _try_now(book: Book, stream: Stream, now_ns: int, facts: Facts) -> None:
    if stream.state is StreamState.STALLED:
        stream.account.next_attempt_ns = now_ns
        facts.accounts.append(stream)
        book.schedule(stream)


def _leave(book: Book, payment: Payment, stream: Stream | None) -> None:
    del book.payments[payment.row]
    in_doubt = book.slots.clear_doubt(payment)
    if stream is not None:
        stream.reserved_fee_msat -= payment.fee_limit_msat
        if not in_doubt and payment.mark not in FREE_MARKS:
            stream.open_payments -= 1
    # the end of one that was out of sight is not the node's to tell, even later (money rule 5)
    stays = payment.mark is Mark.LOST_SIGHT and payment.state is PaymentState.WRITTEN_OFF
    book.slots.set_mark(payment, Mark.LOST_SIGHT if stays else Mark.NONE)
    book.leave_window(payment)


def _follow(book: Book, stream: Stream, payment: Payment, money: Money, now_ns: int, facts: Facts, blame: bool) -> None:
    if money is not Money.VOID:
        _posted(book, stream, payment, now_ns, facts)
    elif stream.state in ENDED or stream.state is StreamState.CLOSING:
        stream.dropped_msat += min(payment.amount_msat, max(0, stream.account.owed_msat))
        facts.streams.append(stream)
    elif blame and payment.reason is not Reason.NONE:
        _failed(book, stream, payment, now_ns, facts)
    facts.accounts.append(stream)
    check_conservation(stream)
    _unstall_doubt(book, stream, now_ns, facts)
    book.settle_closing(stream, now_ns, facts)
    book.schedule(stream)


def _posted(book: Book, stream: Stream, payment: Payment, now_ns: int, facts: Facts) -> None:
    account = stream.account
    if len(stream.segments) > 1:
        stream.segments = drop_passed(stream.segments, account.settled_msat, account.bought_until_ns)
    if payment.state is PaymentState.WRITTEN_OFF:
        facts.streams.append(stream)
        return
    account.streak = account.next_attempt_ns = 0
    if account.failing_since_ns and not account.failing_until_ns:
        account.failing_until_ns = now_ns
    if account.probe_cap_msat:
        whole = stream.terms.max_payment_msat or (book.largest_spendable_msat or 0) // 2
        account.probe_cap_msat = 0 if account.probe_cap_msat * 2 >= whole else account.probe_cap_msat * 2
    if stream.state is StreamState.STALLED and stream.reason is not Reason.IN_DOUBT:
        book.enter(stream, StreamState.ACTIVE, Reason.NONE, now_ns, facts)


def _failed(book: Book, stream: Stream, payment: Payment, now_ns: int, facts: Facts) -> None:
    account = stream.account
    stream.last_failure = payment.message or payment.reason
    facts.streams.append(stream)
    account.streak += 1
    book.begin_row(stream, now_ns, facts)
    if payment.reason in (Reason.NO_ROUTE, Reason.NO_LIQUIDITY):
        account.probe_cap_msat = max(stream.terms.min_payment_msat, payment.amount_msat // 2)
    retry = after_failure(payment.reason, account.streak, book.limits.stall_after, book.shared.jitter())
    account.next_attempt_ns = now_ns + retry.wait_ns
    if stream.state is StreamState.STALLED or (retry.stalled and stream.state is StreamState.ACTIVE):
        book.stall(stream, payment.reason, account.next_attempt_ns, now_ns, facts)


def _unstall_doubt(book: Book, stream: Stream, now_ns: int, facts: Facts) -> None:
    if stream.state is StreamState.STALLED and stream.reason is Reason.IN_DOUBT and book.slots.doubts(stream.key) < MAX_IN_DOUBT:
        if not stream.account.streak:
            stream.account.failing_until_ns = stream.account.failing_until_ns or now_ns
        book.enter(stream, StreamState.ACTIVE, Reason.NONE, now_ns, facts)
