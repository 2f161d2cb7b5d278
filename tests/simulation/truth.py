"""The receivers' books against ours: who got what, for which (stream, seq), and what we say of
it.
"""

from __future__ import annotations

from streamer.books.timekeeping import BEHIND_NS
from streamer.core.keysend import STREAM_TYPE, decode_stream_record
from streamer.core.ledger import Budget
from streamer.core.streamtime import check_conservation, covered_ns, origin_ns
from streamer.simulator.network.books import ReceivedHtlc, Status
from streamer.words.model import (
    ENDED,
    Mark,
    Payment,
    PaymentQuery,
    PaymentState,
    Stream,
    StreamState,
)
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from tests.simulation.callers import REQUEST_RECORD, check_key_budgets
from tests.simulation.troubled import Troubled

PAGE = 1_000
LATE_NS = 10 * SECOND_NS
"""How far a payment under way may leave its stream behind."""


class Truth:
    """What each receiver really got, read as it comes in; AssertionError where it cannot be so."""

    def __init__(self) -> None:
        self.received: dict[bytes, int] = {}
        self.received_ns: dict[bytes, int] = {}
        self.tokens: dict[bytes, bytes] = {}
        self._names: set[tuple[bytes, int]] = set()
        self._requests: set[bytes] = set()
        self._read: dict[str, int] = {}

    def look(self, world: Troubled) -> None:
        """Read what came in since: nobody may be paid twice for the same (stream, seq), or for the
        same request.
        """
        for name, node in world.network.named.items():
            for htlc in node.received[self._read.get(name, 0) :]:
                assert htlc.payment_hash not in self.received, (
                    f"{name} was paid twice for hash {htlc.payment_hash.hex()}"
                )
                self.received[htlc.payment_hash] = htlc.amount_msat
                self.received_ns[htlc.payment_hash] = world.now_ns()
                if htlc.payment_hash not in world.excuses.invoices:
                    self._name(name, htlc)
            self._read[name] = len(node.received)
            world.excuses.orphaned.update(record.order.payment_hash for record, _ in node.orphans)

    def _name(self, name: str, htlc: ReceivedHtlc) -> None:
        value = htlc.records.get(STREAM_TYPE)
        if value is None:
            request = htlc.records[REQUEST_RECORD]
            assert request not in self._requests, f"{name} was paid twice for {request!r}"
            self._requests.add(request)
            return
        record = decode_stream_record(value)
        what = (record.token, record.seq)
        assert what not in self._names, f"{name} was paid twice for seq {record.seq}"
        assert htlc.amount_msat == record.amount_msat, (
            f"{name} got {htlc.amount_msat} for {record.amount_msat}"
        )
        self._names.add(what)
        self.tokens[htlc.payment_hash] = record.token


def last_completed_ns(world: Troubled) -> int:
    """When an old journal was completed last from what the nodes have, by the last of them; now, if
    one is missing.
    """
    excuses = world.excuses
    if excuses.incomplete:
        excuses.incomplete -= {name for name, engine in world.engines.items() if engine.up}
        excuses.completed_ns = world.now_ns()
    return excuses.completed_ns


def is_kept(world: Troubled, name: str, budget: Budget, completed_ns: int) -> bool:
    """No more is spent and reserved than it allows, but for what an old journal was completed with
    in this period; a total has one only.

    Nor, in a period in which our time was put right, than was when that was done.
    """
    completed = completed_ns > 0 and (
        budget.period_ns is None or budget.period_start_ns <= completed_ns
    )
    moved = [
        msat
        for start_ns, msat in (world.excuses.moved.get(name, (0, 0)),)
        if start_ns == budget.period_start_ns
    ]
    return completed or budget.spent_msat + budget.reserved_msat <= max([budget.limit_msat, *moved])


def check_periods(world: Troubled) -> None:
    """No period lies in a future that a wrong clock has invented, and nobody waits for the end of
    one.
    """
    if not world.timekeeping.known:
        return
    latest_ns = world.now_ns() + BEHIND_NS  # a clock may be behind by so much at a start
    for name, budget in world.budgets.items():
        assert budget.period_start_ns <= latest_ns, (
            f"the period of {name} begins {budget.period_start_ns - latest_ns} ns after now"
        )
    for stream in world.streams:
        if (
            stream.short_of is Reason.BUDGET_PERIOD
            and stream.state not in ENDED
            and stream.terms.budget is not None
        ):
            until_ns = latest_ns + (stream.terms.budget.period_ns or 0)
            assert stream.short_until_ns <= until_ns, (
                f"{stream.id} waits for a renewal that is days away"
            )


def check_step(world: Troubled) -> None:
    """What must hold at every moment, whatever is broken."""
    completed_ns = last_completed_ns(world)
    for book in world.books:
        reserved: dict[int, int] = {}
        for payment in book.payments.values():
            reserved[payment.stream_key] = reserved.get(payment.stream_key, 0) + payment.amount_msat
        for stream in book.streams.values():
            check_conservation(stream)
            if stream.state in (StreamState.STALLED, StreamState.PAUSED):
                assert stream.reason is not Reason.NONE, (
                    f"{stream.id} is {stream.state} without a reason"
                )
            assert stream.reserved_msat == reserved.get(stream.key, 0), (
                f"{stream.id} reserves {stream.reserved_msat}"
            )
            own = book.budgets._own.get(stream.key)
            if (
                own is not None
                and stream.terms.budget is not None
                and stream.key not in world.excuses.budget
            ):
                assert is_kept(world, f"stream {stream.key}", own, completed_ns), (
                    f"{stream.id} is over its budget"
                )
    limit = world.shared.budgets.spend_limit
    assert any(world.observer.late) or is_kept(world, "the spend limit", limit, completed_ns), (
        "the spend limit is exceeded"
    )
    check_key_budgets(world)
    check_periods(world)
    for switch in [world.switch, *(engine.switch for engine in world.engines.values())]:
        assert all(switch.halts.values()), f"sending is stopped without a reason: {switch.halts}"


async def journal(world: Troubled) -> list[Payment]:
    """All payments there ever were."""
    pages: list[Payment] = []
    while page := await world.store.payments(
        PaymentQuery(limit=PAGE, before_row=pages[-1].row if pages else 0)
    ):
        pages += page
    return pages


async def check_books(world: Troubled, truth: Truth) -> dict[str, int]:
    """Payment by payment: what we say against what the receivers have; how many there are of each
    end. Nothing is open.
    """
    truth.look(world)
    kinds: dict[str, int] = {}
    paid: dict[str, int] = {}
    known: set[bytes] = set()
    settled: set[bytes] = set()
    written_off: set[bytes] = set()
    for payment in await journal(world):
        known.add(payment.payment_hash)
        got = truth.received.get(payment.payment_hash)
        kinds[str(payment.state)] = kinds.get(str(payment.state), 0) + 1
        assert not payment.open, f"{payment.id} is still {payment.state} {payment.mark}"
        if payment.state is PaymentState.SETTLED:
            assert payment.payment_hash not in settled, (
                f"{payment.id} is SETTLED, and another one with its hash"
            )
            settled.add(payment.payment_hash)
            assert got == payment.settled_msat, (
                f"{payment.id} is SETTLED with {payment.settled_msat}, the receiver has {got}"
            )
        elif payment.state is PaymentState.WRITTEN_OFF:
            check_lost(world, payment)
            check_refunded(world, payment, got)
            written_off.add(payment.payment_hash)
        # the newest come first: an invoice that failed was tried again
        elif payment.payment_hash not in settled | written_off:
            lost = payment.payment_hash in world.excuses.lost_attempts
            assert got is None or lost, f"{payment.id} is {payment.state}, the receiver has {got}"
        # what was written off stays counted as paid, even if the node said later that it had failed
        msat = (
            payment.amount_msat
            if payment.state is PaymentState.WRITTEN_OFF
            else payment.settled_msat
        )
        paid[payment.owner] = paid.get(payment.owner, 0) + msat
    check_known(world, truth, known)
    for stream in world.streams:
        assert paid.get(stream.id, 0) == stream.account.settled_msat, (
            f"{stream.id}: {stream.account.settled_msat}, its payments {paid}"
        )
    return kinds


def check_known(world: Troubled, truth: Truth, known: set[bytes]) -> None:
    """Receivers have nothing of which no intent of ours says, but for streams that an old journal
    lost.
    """
    for payment_hash in truth.received.keys() - known:
        token = truth.tokens.get(payment_hash)
        lost = world.excuses.lost_singles if token is None else token in world.excuses.lost_streams
        assert lost, f"a receiver has {payment_hash.hex()}, which no intent of ours says"


def check_lost(world: Troubled, payment: Payment) -> None:
    """Only what the node itself cannot tell any more may be written off by itself."""
    record = world.network.named[payment.node].payments.get(payment.payment_hash)
    excuses = world.excuses
    excused = (
        payment.payment_hash
        in excuses.orphaned | excuses.forgotten | excuses.written_off | excuses.overtaken
    )
    # by a call that came after what the node may have lost
    if record is not None and record.status is Status.FAILED:
        excused = excused or (payment.mark is Mark.LOST_SIGHT and payment.node in excuses.doubted)
    assert record is None or excused, f"{payment.id}: the node says {record and record.status}"


def check_refunded(world: Troubled, payment: Payment, got: int | None) -> None:
    """The budgets have back what the node says has failed, and nothing else: unless it was out of
    sight, or its history was changed.
    """
    record = world.network.named[payment.node].payments.get(payment.payment_hash)
    says, back = record and record.status, payment.settled_msat == 0
    text = (
        f"{payment.id}: the node says {says}, and {payment.settled_msat} msat of it count as spent;"
        f" its receiver has {got}"
    )
    assert not back or got is None, text
    if payment.mark is Mark.LOST_SIGHT:
        assert not back, text
    elif payment.payment_hash not in world.excuses.forgotten | world.excuses.overtaken:
        assert back == (says is Status.FAILED), text


def check_current(world: Troubled) -> None:
    """After the faults: every stream is where its time and its user put it."""
    for stream in world.streams:
        if stream.state is StreamState.ACTIVE:
            check_paid(world, stream)
        elif stream.state is StreamState.STALLED:
            waits = stream.reason in (Reason.BUDGET_PERIOD, Reason.KEY_BUDGET_SPENT)
            assert waits, f"{stream.id} is still STALLED: {stream.reason} {stream.last_failure}"
            check_spent(world, stream)
        elif stream.state is StreamState.PAUSED:
            assert stream.reason in (Reason.USER, Reason.TTL_EXPIRED, Reason.KEY_REVOKED)
        else:
            assert stream.state in ENDED or stream.state is StreamState.PENDING, (
                f"{stream.id} hangs in {stream.state}"
            )
        if stream.terms.catch_up_ns is None:
            assert stream.skipped_ns == 0, (
                f"{stream.id} skipped {stream.skipped_ns} though nothing may be"
            )


def check_paid(world: Troubled, stream: Stream) -> None:
    """It is paid ahead. If it has a budget that renews, or a cap, it may be catching up: then it
    does so without a pause.
    """
    now_ns, book = world.now_ns(), world.book_of(stream)
    ahead = origin_ns(stream) + covered_ns(stream) - now_ns
    if (
        ahead > -LATE_NS - stream.terms.min_payment_interval_ns
        or world.shared.budgets.of_key(stream.api_key, now_ns) is not None
    ):
        return  # a key's budget may have been empty, or nearly so, for long
    behind = f"{stream.id} is {-ahead / SECOND_NS:.1f} s behind: {stream}"
    assert stream.terms.budget is not None and stream.terms.budget.period_ns is not None, behind
    due = book.due_ns(stream)
    assert due is None or due > now_ns - LATE_NS, behind
    if stream.terms.catch_up_ns is None:
        return  # behind without a bound, if its budget is too small
    # at the moment of a renewal it pays what fell due before the period that ended: what is older
    # than catch_up is skipped
    allowed_ns = (
        stream.terms.budget.period_ns
        + stream.terms.catch_up_ns
        + stream.terms.min_payment_interval_ns
        + LATE_NS
    )
    assert now_ns - stream.account.due_ns < allowed_ns, behind


def check_spent(world: Troubled, stream: Stream) -> None:
    """It waits for its budget because that has no room for the least payment, or for that and what
    others of its key will want in the period, who come later.
    """
    budgets = world.book_of(stream).budgets
    own = (
        budgets._own[stream.key]
        if stream.reason is Reason.BUDGET_PERIOD
        else budgets._keys[stream.api_key]
    )
    least = stream.terms.min_payment_msat + max(stream.terms.fee_floor_msat, 1)
    left_msat = 0
    if stream.reason is Reason.KEY_BUDGET_SPENT:
        line, end_ns = world.shared.rounds._lines[stream.api_key], own.end_ns()
        for flight in line.away.with_parts():
            if end_ns is not None and flight.comes_before(end_ns):
                left_msat += line.wants_msat(flight.place, flight.stream, world.now_ns())
    assert own.room_msat() < least + left_msat, (
        f"{stream.id} waits for a budget that has {own.room_msat()} msat left"
    )
