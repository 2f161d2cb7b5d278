"""In one sentence: what a stream waits for, since when, and how to try now."""

from __future__ import annotations

from streamer.core.book import Book
from streamer.core.streamtime import covered_ns, origin_ns
from streamer.model import Stream, StreamState
from streamer.money import SECOND_NS, format_amount, format_duration
from streamer.reasons import Reason

WHY = {
    Reason.NO_ROUTE: "no route to the receiver was found: it is offline, not in the graph, too expensive for the fee limit, or a channel on"
    " the way wants larger payments",
    Reason.NO_LIQUIDITY: "no channel could carry the payment: too little outbound balance, or the peer is offline",
    Reason.RECEIVER_REJECTED: "the receiver refuses the payment: keysend is probably off there",
    Reason.TIMEOUT: "payments did not get through in time",
    Reason.IN_DOUBT: "the ends of too many payments are unknown; they are asked for until the node tells",
    Reason.NODE_DOWN: "the node was not usable",
    Reason.NODE_REFUSED: "the node refuses the payment itself",
    Reason.NO_SLOTS: "all HTLC slots of the channels are taken",
    Reason.RECEIVER_HOLDS: "the receiver keeps payments open without settling them",
    Reason.BUDGET_PERIOD: "the budget of this period is spent",
    Reason.KEY_BUDGET_SPENT: "the budget of its API key is spent",
}


def explain(stream: Stream, book: Book, node_problem: str, now_ns: int) -> str:
    """The sentence for this stream now. node_problem: what keeps its node from paying, or empty."""
    since = f"for {_span(now_ns - stream.state_time_ns)}"
    match stream.state:
        case StreamState.PENDING:
            return f"starts in {_span(stream.terms.start_time_ns - now_ns)}"
        case StreamState.PAUSED:
            return _paused(stream, since)
        case StreamState.CLOSING:
            return f"ends as soon as its open payment has ended; closing {since}"
        case StreamState.COMPLETED | StreamState.CANCELLED:
            return f"{stream.state.lower()} {_ago(now_ns - stream.state_time_ns)} ({stream.reason}); nothing more will be paid"
    if not book.shared.switch.sending:
        halts = "; ".join(book.shared.switch.halts.values())
        return f"waits because sending is stopped: {halts}"
    if node_problem:
        return f"waits for its node {stream.terms.node}: {node_problem}"
    if stream.state is StreamState.STALLED:
        return _stalled(stream, since, now_ns)
    return _active(stream, book, now_ns)


def _paused(stream: Stream, since: str) -> str:
    how = f"`streamer stream resume {stream.id}` goes on"
    if stream.reason is Reason.TTL_EXPIRED:
        return f"paused {since}, because nobody renewed it in time (ttl); {how}"
    if stream.reason is Reason.KEY_REVOKED:
        return f"paused {since}, because its API key was revoked or has expired; cancel it, and open another with a key that is good"
    return f"paused {since}; {how}"


def _stalled(stream: Stream, since: str, now_ns: int) -> str:
    why = WHY.get(stream.reason, f"payments fail ({stream.reason})")
    wait = stream.account.next_attempt_ns - now_ns
    if stream.reason is Reason.BUDGET_PERIOD:
        return f"waits {since}: {why}; goes on in {_span(wait)}, or raise it with `streamer stream set {stream.id} --budget …`"
    if stream.reason is Reason.KEY_BUDGET_SPENT:
        return f"waits {since}: {why}; goes on when it renews, or when money that is reserved comes back"
    if stream.reason is Reason.IN_DOUBT:
        return f"stalled {since}: {why}; `streamer payment list --in-doubt` shows them"
    words = f" ({stream.last_failure})" if stream.last_failure else ""
    return f"stalled {since}: {why}{words}; next attempt in {_span(wait)}, `streamer stream resume {stream.id}` tries now"


def _active(stream: Stream, book: Book, now_ns: int) -> str:
    if book.slots.holds(stream.terms.destination):
        return "waits for its receiver, who keeps a payment open without settling it"
    if stream.account.streak:
        wait = stream.account.next_attempt_ns - now_ns
        why = WHY.get(_reason_of(stream), stream.last_failure)
        how = f"next attempt in {_span(wait)}, `streamer stream resume {stream.id}` tries now"
        return f"{stream.account.streak} payments in a row failed: {why}; {how}"
    due_ns = book.due_ns(stream)
    if due_ns is None:
        return f"waits for the end of {stream.open_payments} open payment(s) of {format_amount(stream.reserved_msat)}"
    if due_ns <= now_ns:
        return f"due since {_span(now_ns - due_ns)}: waits for room at its node, which is busy"
    covered = origin_ns(stream) + covered_ns(stream) - now_ns
    return f"paid ahead for {_span(covered)}; next payment in {_span(due_ns - now_ns)}"


def _reason_of(stream: Stream) -> Reason:
    return Reason(stream.last_failure) if stream.last_failure in Reason.__members__ else Reason.NONE


def _ago(span_ns: int) -> str:
    return f"{_span(span_ns)} ago"


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
