"""One book with what it shares, its journal, and a moment that only the test moves."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from streamer.core import ends, lifecycle
from streamer.core.book import MOST_LOOKS, Book, Limits, Shared
from streamer.core.ledger import Budget
from streamer.core.payment import Event
from streamer.core.streamtime import check_conservation
from streamer.words.model import (
    Account,
    Answer,
    ApiKey,
    BudgetTerms,
    Facts,
    Kind,
    Mark,
    Payment,
    Rate,
    Segment,
    Stream,
    StreamState,
    Terms,
)
from streamer.words.money import DAY_NS, SECOND_NS
from streamer.words.reasons import Reason
from tests.core.journal import Journal

S = SECOND_NS
MINUTE = 60 * S
HOUR = 3600 * S
T0 = 19_700 * DAY_NS
PEER = b"\x02" + b"\x11" * 32
NODE = "node"
PLENTY_MSAT = 10**15


def terms_of(**changes: Any) -> Terms:
    """1 sat a second, paid each second, from T0 on, with fees of at most 100 msat and no catch-up
    bound.
    """
    terms = Terms(
        NODE,
        PEER,
        Rate(1_000, S, S),
        T0,
        None,
        None,
        100,
        0,
        1_000,
        S,
        None,
        None,
        None,
        1,
        "",
        (),
        (),
        b"",
    )
    return replace(terms, **changes)


def stream_of(
    terms: Terms | None = None, segments: list[Segment] | None = None, **account: int
) -> Stream:
    """A running stream for rules that need no book; account: its counters."""
    terms = terms or terms_of()
    stream = Stream(
        id="st_1",
        key=1,
        terms=terms,
        create_time_ns=T0,
        state=StreamState.ACTIVE,
        reason=Reason.NONE,
        state_time_ns=T0,
    )
    stream.segments = segments or [Segment(0, 0, terms.rate)]
    stream.account = Account(**account)
    return stream


def stamp(
    stream: Stream | None, owner: str, seq: int, amount_msat: int
) -> tuple[bytes, bytes, bytes]:
    return hashlib.sha256(f"{owner}.{seq}".encode()).digest(), b"records", b""


def budget_of(amount_msat: int, period_ns: int | None = None) -> BudgetTerms:
    return BudgetTerms(amount_msat, period_ns)


class House:
    """A book whose every step is durable at once; `crash` leaves what is in the journal."""

    def __init__(
        self,
        spend_limit_msat: int = PLENTY_MSAT,
        per_destination: int = 10,
        stall_after: int = 5,
        proven: bool = True,
    ) -> None:
        """proven: PEER has settled in time before the test begins, or before the process that
        begins at a crash.
        """
        self.now_ns, self.proven = T0, proven
        self.spend_limit_msat = spend_limit_msat
        self.limits = Limits(per_destination, stall_after)
        self.journal = Journal()
        self.keys = itertools.count(1)
        self._build()
        self.commit(Facts(spends=[self.book.budgets.spend()]))

    def _build(self) -> None:
        snapshot = self.journal.load()
        shared = Shared.restored(
            snapshot, self.spend_limit_msat, HOUR, self.now_ns, jitter=lambda: 0
        )
        self.switch, self.outages = shared.switch, shared.outages
        self.book = Book(NODE, self.limits, shared, stamp)
        if self.proven:
            self.book.slots.prove(PEER, self.limits.max_in_flight_per_destination)
        self.book.outages.restore(snapshot.outages, snapshot.settings)
        for stream in snapshot.streams:
            self.book.restore(stream)
            self.book.budgets.own(stream, self.now_ns)
        self.book.holds.restore(snapshot.outages, snapshot.settings)
        for payment in snapshot.open_payments:
            ends.take_back(self.book, payment)
        facts = Facts()
        self.book.holds.reconcile(self.book.slots.holders, self.now_ns, facts)
        self.journal.append(facts)
        for stream in snapshot.streams:
            check_conservation(stream)
            self.book.schedule(stream)

    # -- durable at once ------------------------------------------------------------------------

    def commit(self, facts: Facts) -> None:
        if facts.intents or facts.ends:
            facts.spends += self.book.budgets.spends()
        self.journal.append(facts)

    def crash(self) -> None:
        self._build()

    def add_key(self, number: int, amount_msat: int, period_ns: int | None = None) -> ApiKey:
        """An API key with a budget."""
        key = ApiKey(
            number, f"key_{number}", "", frozenset(), budget=budget_of(amount_msat, period_ns)
        )
        self.book.budgets.add_key(key)
        self.commit(Facts(keys=[key]))
        return key

    def key_budget(self, number: int) -> Budget:
        budget = self.book.budgets.of_key(number, self.now_ns)
        assert budget is not None
        return budget

    # -- time -----------------------------------------------------------------------------------

    def at(self, seconds: float) -> None:
        """Go to so many seconds after T0."""
        self.now_ns = T0 + int(seconds * S)

    def plan(self, room: int = 100) -> list[Payment]:
        return planned(self.book, self.now_ns, room, self.commit)

    def pay(self, seconds: float) -> Payment:
        """Plan at that second, and give the one payment there must be."""
        self.at(seconds)
        [payment] = self.plan()
        return payment

    def idle(self, seconds: float) -> None:
        """Nothing may be planned at that second."""
        self.at(seconds)
        assert self.plan() == []

    def node_down(self, since: float, until: float) -> None:
        facts = Facts()
        self.book.outages.add(Reason.NODE_DOWN, T0 + int(since * S), T0 + int(until * S), facts)
        self.commit(facts)

    # -- what becomes of payments ----------------------------------------------------------------

    def settle(self, payment: Payment, amount_msat: int | None = None, fee_msat: int = 0) -> None:
        amount = payment.amount_msat if amount_msat is None else amount_msat
        self.resolve(
            payment,
            Event.SETTLED,
            Answer(Kind.SETTLED, True, amount_msat=amount, fee_msat=fee_msat),
        )

    def fail(self, payment: Payment, reason: Reason = Reason.TIMEOUT) -> None:
        self.resolve(payment, Event.FAILED, Answer(Kind.FAILED, reason=reason, message="no"))

    def resolve(self, payment: Payment, event: Event, answer: Answer, blame: bool = True) -> None:
        facts = Facts()
        ends.resolve(self.book, payment, event, answer, self.now_ns, facts, blame)
        self.commit(facts)

    def write_off(self, payment: Payment) -> None:
        self.resolve(payment, Event.WRITE_OFF, Answer(Kind.IN_FLIGHT))

    def mark(self, payment: Payment, to: Mark) -> None:
        facts = Facts()
        ends.mark(self.book, payment, to, self.now_ns, facts)
        self.commit(facts)

    def doubt(self, *payments: Payment) -> None:
        for payment in payments:
            facts = Facts()
            ends.doubt(self.book, payment, self.now_ns, facts)
            self.commit(facts)

    # -- what a person does ----------------------------------------------------------------------

    def open(self, api_key: int = 0, **changes: Any) -> Stream:
        key = next(self.keys)
        stream = lifecycle.new_stream(f"st_{key}", key, terms_of(**changes), self.now_ns, api_key)
        facts = Facts()
        lifecycle.open_stream(self.book, stream, self.now_ns, facts)
        self.commit(facts)
        return stream

    def act(self, action: Any, stream: Stream, *arguments: Any) -> Any:
        facts = Facts()
        try:
            return action(self.book, stream, *arguments, self.now_ns, facts)
        finally:
            self.commit(facts)

    def pause(self, stream: Stream) -> None:
        self.act(lifecycle.pause, stream)

    def resume(self, stream: Stream) -> None:
        self.act(lifecycle.resume, stream)

    def cancel(self, stream: Stream) -> None:
        self.act(lifecycle.cancel, stream)

    def change(self, stream: Stream, **changes: Any) -> None:
        self.act(lifecycle.change, stream, replace(stream.terms, **changes))

    def again(self, stream: Stream) -> Stream:
        """The same stream after a crash."""
        return self.book.streams[stream.id]

    def payment(self, row: int) -> Payment:
        """The same open payment after a crash."""
        return self.book.payments[row]


def a_payment(stream: Stream | None = None, **given: Any) -> Payment:
    """A payment as it would be planned at T0, of stream or of one that is in no book."""
    owner: dict[str, Any] = (
        {}
        if stream is None
        else {"owner": stream.id, "stream_key": stream.key, "api_key": stream.api_key}
    )
    usual: dict[str, Any] = {
        "row": 1,
        "owner": "st_1",
        "stream_key": 1,
        "seq": 1,
        "node": NODE,
        "destination": b"",
        "payment_hash": b"",
        "amount_msat": 1_000,
        "fee_limit_msat": 0,
        "cltv_limit": 288,
        "timeout_seconds": 30,
        "records": b"",
        "due_ns": T0,
        "planned_ns": T0,
    }
    return Payment(**(usual | owner | given))


def adopted(
    book: Book, stream: Stream, seq: int, amount_msat: int, made_ns: int, **given: Any
) -> Payment:
    """A payment of stream that the node has made, at made_ns, and the journal lacks."""
    at = {
        "row": next(book.shared.rows),
        "seq": seq,
        "node": book.node,
        "destination": stream.terms.destination,
    }
    digest = stamp(None, stream.id, seq, 0)[0]
    return a_payment(
        stream,
        **at,
        payment_hash=digest,
        amount_msat=amount_msat,
        due_ns=made_ns,
        planned_ns=made_ns,
        **given,
    )


def planned(book: Book, now_ns: int, room: int, commit: Callable[[Facts], None]) -> list[Payment]:
    """What the engine's turns plan at one moment: a plan looks at MOST_LOOKS streams, and the next
    follows at once if there are more.
    """
    found: list[Payment] = []
    while True:
        facts, due = (
            Facts(),
            len(book._wheel) >= MOST_LOOKS
            and sum(moment <= now_ns for moment in book._wheel._due.values()),
        )
        found += book.plan(now_ns, room - len(found), facts)
        commit(facts)
        if due < MOST_LOOKS and len(facts.streams) < MOST_LOOKS:
            return found


def total_msat(payments: Iterable[Payment]) -> int:
    return sum(payment.amount_msat for payment in payments)


def run(house: House, until: float) -> list[Payment]:
    """Pay and settle everything that falls due until that second."""
    paid = []
    while (next_ns := house.book.next_ns()) is not None and next_ns <= T0 + until * S:
        house.now_ns = max(house.now_ns, next_ns)
        planned = house.plan()
        for payment in planned:
            house.settle(payment)
        paid += planned
    house.at(until)
    return paid
