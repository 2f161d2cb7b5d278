"""The receivers' books against ours: who got what, for which (stream, seq), and what we say of it."""

from __future__ import annotations

from streamer.core.streamtime import check_conservation, origin_ns, paid_until_ns
from streamer.model import ENDED, Mark, Payment, PaymentQuery, PaymentState, Stream, StreamState
from streamer.money import SECOND_NS
from streamer.nodes.keysend import STREAM_TYPE, decode_stream_record, derive_token
from streamer.reasons import Reason
from tests.simulation.troubled import Troubled
from tests.simulation.world import SECRET

PAGE = 1_000
LATE_NS = 5 * SECOND_NS
"""How far a payment under way may leave its stream behind."""


class Truth:
    """What each receiver really got, read as it comes in; AssertionError where it cannot be so."""

    def __init__(self) -> None:
        self.received: dict[tuple[bytes, int], int] = {}
        self._read: dict[str, int] = {}

    def look(self, world: Troubled) -> None:
        """Read what came in since: nobody may be paid twice for the same (stream, seq)."""
        for name, node in world.network.named.items():
            for htlc in node.received[self._read.get(name, 0) :]:
                record = decode_stream_record(htlc.records[STREAM_TYPE])
                what = (record.token, record.seq)
                assert what not in self.received, f"{name} was paid twice for seq {record.seq}"
                assert htlc.amount_msat == record.amount_msat, f"{name} got {htlc.amount_msat} for {record.amount_msat}"
                self.received[what] = htlc.amount_msat
            self._read[name] = len(node.received)
            world.orphaned.update(record.order.payment_hash for record, _ in node.orphans)

    def got(self, stream: Stream, seq: int) -> int | None:
        return self.received.get((derive_token(SECRET, stream.id), seq))


def check_step(world: Troubled) -> None:
    """What must hold at every moment, whatever is broken."""
    for stream in world.book.streams.values():
        check_conservation(stream)
        if stream.state in (StreamState.STALLED, StreamState.PAUSED):
            assert stream.reason is not Reason.NONE, f"{stream.id} is {stream.state} without a reason"
        own, budget = world.book.budgets._own.get(stream.key), stream.terms.budget
        if own is not None and budget is not None and stream.key not in world.excused:
            assert own.spent_msat + own.reserved_msat <= own.limit_msat, f"{stream.id} is over its budget"
        assert stream.reserved_msat == sum(p.amount_msat for p in world.book.payments.values() if p.stream_key == stream.key)


UNDER_WAY_NS = 60 * SECOND_NS
"""A payment so young may be under way, all being well."""


async def journal(world: Troubled) -> list[Payment]:
    """All payments there ever were."""
    pages: list[Payment] = []
    while page := await world.store.payments(PaymentQuery(limit=PAGE, before_row=pages[-1].row if pages else 0)):
        pages += page
    return pages


async def check_books(world: Troubled, truth: Truth) -> dict[str, int]:
    """Payment by payment: what we say against what the receivers have; how many there are of each end."""
    truth.look(world)
    kinds: dict[str, int] = {}
    paid: dict[str, int] = {}
    known: set[tuple[bytes, int]] = set()
    for payment in await journal(world):
        stream = world.book.streams[payment.owner]
        known.add((derive_token(SECRET, stream.id), payment.seq))
        got = truth.got(stream, payment.seq)
        kinds[payment.state] = kinds.get(payment.state, 0) + 1
        if payment.state is PaymentState.SETTLED:
            assert got == payment.settled_msat, f"{payment.id} is SETTLED with {payment.settled_msat}, the receiver has {got}"
        elif payment.state in (PaymentState.FAILED, PaymentState.REFUSED):
            assert got is None, f"{payment.id} is {payment.state}, the receiver has {got}"
        elif payment.state is PaymentState.WRITTEN_OFF:
            check_lost(world, payment)
        elif world.clock.now_ns() - payment.planned_ns > UNDER_WAY_NS:
            assert payment.mark in (Mark.ORPHAN, Mark.LOST_SIGHT), f"{payment.id} is still {payment.state} {payment.mark}"
            check_lost(world, payment)
        if payment.state in (PaymentState.SETTLED, PaymentState.WRITTEN_OFF):
            paid[payment.owner] = paid.get(payment.owner, 0) + payment.settled_msat
    assert known >= set(truth.received), "a receiver has what no intent of ours says"
    for stream in world.book.streams.values():
        assert paid.get(stream.id, 0) == stream.account.settled_msat, f"{stream.id} says {stream.account.settled_msat}, its payments {paid}"
    return kinds


def check_lost(world: Troubled, payment: Payment) -> None:
    """Only what the node itself cannot tell any more may be written off."""
    record = world.network.named["payer"].payments.get(payment.payment_hash)
    excused = payment.payment_hash in world.orphaned or payment.payment_hash in world.forgotten
    assert record is None or excused, f"{payment.id}: the node says {record}"


def check_current(world: Troubled) -> None:
    """After the faults: every stream is where its time and its user put it."""
    for stream in world.book.streams.values():
        if stream.state is StreamState.ACTIVE:
            ahead = origin_ns(stream) + paid_until_ns(stream) - world.clock.now_ns()
            lost = any(p.stream_key == stream.key and p.mark is not Mark.NONE for p in world.book.payments.values())
            renews = stream.terms.budget is not None and stream.terms.budget.period_ns is not None
            behind = f"{stream.id} is {-ahead / SECOND_NS:.1f} s behind: {stream}"
            assert lost or renews or ahead > -LATE_NS - stream.terms.min_payment_interval_ns, behind
        elif stream.state is StreamState.STALLED:
            assert stream.reason is Reason.BUDGET_PERIOD, f"{stream.id} is still STALLED: {stream.reason} {stream.last_failure}"
        elif stream.state is StreamState.PAUSED:
            assert stream.reason in (Reason.USER, Reason.TTL_EXPIRED)
        else:
            assert stream.state in ENDED or stream.state is StreamState.PENDING, f"{stream.id} hangs in {stream.state}"
        if stream.terms.catch_up_ns is None and stream.key not in world.excused:
            assert stream.skipped_ns == 0, f"{stream.id} skipped {stream.skipped_ns} though nothing may be"
