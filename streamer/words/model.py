"""The nouns that every floor speaks: stream, payment, budget, facts.

Times are integers of nanoseconds: `_ns` fields named `*_time_ns`, `due_ns`, `now_ns` are wall
moments since 1970 (UTC); `bought_until_ns` and everything in a Segment is *stream time*, which is
wall time since start_time less skipped and paused time. Money is integers of msat. Public keys and
hashes are bytes here, and hex only at the doors. These objects are mutable where the core changes
them in the hot loop; only the core does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from streamer.words.apikey import ADMIN, ApiKey, BudgetTerms
from streamer.words.reasons import Reason

__all__ = ["ADMIN", "ApiKey", "BudgetTerms"]

Record = tuple[int, bytes]
"""One TLV record: type, value (BOLT 4 custom_records; type from 65536)."""

PUBKEY_BYTES = 33
HASH_BYTES = 32


class StreamState(StrEnum):
    """PENDING → ACTIVE ⇄ PAUSED, ACTIVE ⇄ STALLED, → CLOSING → COMPLETED | CANCELLED."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    STALLED = "STALLED"
    CLOSING = "CLOSING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


ENDED = frozenset({StreamState.COMPLETED, StreamState.CANCELLED})


class PaymentState(StrEnum):
    """Where a payment is; core/payment.py has the table of moves."""

    PLANNED = "PLANNED"
    IN_FLIGHT = "IN_FLIGHT"
    UNKNOWN = "UNKNOWN"
    SETTLED = "SETTLED"
    FAILED = "FAILED"
    REFUSED = "REFUSED"
    WRITTEN_OFF = "WRITTEN_OFF"


OPEN = frozenset({PaymentState.PLANNED, PaymentState.IN_FLIGHT, PaymentState.UNKNOWN})
UNPAID = frozenset({PaymentState.FAILED, PaymentState.REFUSED})
"""Ended, and nothing was paid: whoever wants it paid may try again."""
WRITTEN_OFF = frozenset({PaymentState.WRITTEN_OFF})


class Mark(StrEnum):
    """What is special about an open payment (at most one at a time); LOST_SIGHT stays with what is
    written off.
    """

    NONE = ""
    HELD = "held"
    ORPHAN = "orphan"
    LOST_SIGHT = "lost_sight"


@dataclass(slots=True, frozen=True)
class Rate:
    """amount_msat per interval_ns, an exact ratio, and how much time one payment buys."""

    amount_msat: int
    interval_ns: int
    payment_interval_ns: int


@dataclass(slots=True, frozen=True)
class Terms:
    """What was ordered: never changes but by an update of the stream.

    catch_up_ns None is "forever". max_payment_msat None follows the node's largest channel.
    """

    node: str
    destination: bytes
    rate: Rate
    start_time_ns: int
    end_time_ns: int | None
    budget: BudgetTerms | None
    fee_floor_msat: int
    fee_limit_ppm: int
    min_payment_msat: int
    min_payment_interval_ns: int
    max_payment_msat: int | None
    catch_up_ns: int | None
    ttl_ns: int | None
    max_open_payments: int
    group: str
    labels: tuple[tuple[str, str], ...]
    records: tuple[Record, ...]
    token: bytes


@dataclass(slots=True)
class Segment:
    """A span of stream time with one rate. start_msat: the price at its start, an integer."""

    start_ns: int
    start_msat: int
    rate: Rate


@dataclass(slots=True, kw_only=True)
class Account:
    """The counters of a stream that move with its payments; durable with each outcome.

    seq is the high-water mark: the newest seq ever planned. due_ns is the newest payment's due
    moment. owed_msat: 0 at each plan, then what FAILED since, less what settled late. streak counts
    failures in a row, which began at failing_since_ns (0: there is none) and ends when a payment
    settles; next_attempt_ns is its back-off. counted_until_ns: the newest plan that counted what
    was impossible; later spans are not counted, earlier ones only if the stream still has them.
    probe_cap_msat: the amount bound that NO_ROUTE halved (0: none). settled_msat includes
    written_off_msat.
    """

    seq: int = 0
    bought_until_ns: int = 0
    due_ns: int = 0
    settled_msat: int = 0
    fee_msat: int = 0
    written_off_msat: int = 0
    owed_msat: int = 0
    settled_count: int = 0
    failed_count: int = 0
    streak: int = 0
    failing_since_ns: int = 0
    next_attempt_ns: int = 0
    counted_until_ns: int = 0
    probe_cap_msat: int = 0
    period_start_ns: int = 0
    period_spent_msat: int = 0


@dataclass(slots=True, kw_only=True)
class Stream:
    """A standing order and where it stands. `account` and the open payments complete it.

    api_key: the number of the API key that opened it. paused_at_ns: the moment from which time does
    not count while PAUSED (0: not paused). spans: wall time in which paying was impossible and
    which no plan has counted (core/impossible.py); stretches: wall time that was skipped or paused,
    and no stream time (core/streamtime.py); both only as far as settled money has not passed them.
    A stall has one of three causes, the first of these that holds: doubt_since_ns, from the moment
    on when too many payments were in doubt; short_of, the budget that is empty (BUDGET_PERIOD or
    KEY_BUDGET_SPENT), since short_since_ns, to be looked at again at short_until_ns; stalled_by,
    the failure that stalled it. failing is the reason of the last failure of the row.
    written_off_fee_msat: the fee limits of what was written off, which budgets count as spent;
    refunded_msat: what they got back of write-offs, amounts and fee limits. reserved_* and
    open_payments are derived from the open payments, and not stored. last_turn: when the newest
    payment was planned, and its number among those of that moment; offset_msat: what is added to
    what it pays, to compare it with the others of a key whose budget was short (rounds.py; None: it
    was compared with nobody yet); took_ns: how long its last payment took, where that was seen; all
    three only in memory.
    """

    id: str
    key: int
    terms: Terms
    create_time_ns: int
    state: StreamState
    reason: Reason
    state_time_ns: int
    expire_time_ns: int = 0
    segments: list[Segment] = field(default_factory=list)
    skipped_ns: int = 0
    skipped_msat: int = 0
    paused_ns: int = 0
    paused_at_ns: int = 0
    spans: tuple[tuple[int, int], ...] = ()
    stretches: tuple[tuple[int, int], ...] = ()
    doubt_since_ns: int = 0
    short_of: Reason = Reason.NONE
    short_since_ns: int = 0
    short_until_ns: int = 0
    stalled_by: Reason = Reason.NONE
    failing: Reason = Reason.NONE
    written_off_fee_msat: int = 0
    refunded_msat: int = 0
    dropped_msat: int = 0
    last_failure: str = ""
    ends_as: StreamState | None = None
    api_key: int = 0
    account: Account = field(default_factory=Account)
    reserved_msat: int = 0
    reserved_fee_msat: int = 0
    open_payments: int = 0
    last_turn: tuple[int, int] | None = field(default=None, compare=False)
    offset_msat: int | None = field(default=None, compare=False)
    took_ns: int = field(default=0, compare=False)


@dataclass(slots=True, eq=False, kw_only=True)
class Payment:
    """One keysend, or one attempt to pay an invoice: the intent (as it was sent) and what became of
    it.

    owner is the stream's id ("st_…") or, for a single payment, its own ("pay_…", seq 0). row orders
    payments and is unique. records are the custom records without the preimage. index is lnd's
    payment_index (0: never seen). api_key is the number of the API key that pays (a stream's own),
    and key_period_ns the period of its budget to which the reserve belongs. settled_msat is what
    the node says was paid. payment_request is the invoice that is paid (BOLT 11), empty for a
    keysend; destination, hash and amount are then its own. preimage of a keysend is only in memory,
    between plan and send: never stored. That of an invoice is what the node gave when it settled:
    the proof of payment, kept with it. Neither is ever logged.
    """

    row: int
    owner: str
    stream_key: int
    seq: int
    node: str
    destination: bytes
    payment_hash: bytes
    amount_msat: int
    fee_limit_msat: int
    cltv_limit: int
    timeout_seconds: int
    records: bytes
    due_ns: int
    planned_ns: int
    bought_until_ns: int = 0
    skip_ns: int = 0
    skip_msat: int = 0
    probe: bool = False
    period_start_ns: int = 0
    daemon_period_ns: int = 0
    api_key: int = 0
    key_period_ns: int = 0
    state: PaymentState = PaymentState.PLANNED
    mark: Mark = Mark.NONE
    accepted: bool = False
    settled_msat: int = 0
    fee_msat: int = 0
    reason: Reason = Reason.NONE
    message: str = ""
    end_ns: int = 0
    index: int = 0
    payment_request: str = ""
    preimage: bytes = field(default=b"", repr=False)

    @property
    def id(self) -> str:
        """What users call it: "st_….7", or the "pay_…" id of a single payment."""
        return f"{self.owner}.{self.seq}" if self.seq else self.owner

    @property
    def open(self) -> bool:
        """True until the payment has ended."""
        return self.state in OPEN


@dataclass(slots=True, frozen=True)
class Single:
    """One payment that is to be made and belongs to no stream; owner is its id ("pay_…").

    records are encoded. payment_hash and payment_request are those of the invoice that it pays;
    both are empty for a keysend, whose hash follows from owner.
    """

    owner: str
    destination: bytes
    amount_msat: int
    fee_limit_msat: int
    records: bytes = b""
    payment_hash: bytes = b""
    payment_request: str = ""
    api_key: int = 0


class Kind(Enum):
    """What a node said about a payment."""

    SETTLED = "settled"
    FAILED = "failed"
    IN_FLIGHT = "in_flight"
    """Alive at the node (a duplicate send that lnd refused with ALREADY_EXISTS comes as
    DUPLICATE).
    """
    DUPLICATE = "duplicate"
    """The node knows this hash already: ask with track."""
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    """The call was answered with an error status before any Payment: candidate for REFUSED (money
    rule 7).
    """
    LOST = "lost"
    """The call ended without a terminal answer (disconnect, deadline, stream closed early)."""


@dataclass(slots=True)
class Answer:
    """What one send or track call gave.

    accepted: at least one Payment update came, so the node has recorded the payment. closed: the
    call delivered an update or a server status, so no ghost of it is alive. amount_msat is the
    node's value_msat; message its own words. fee_msat and preimage only when SETTLED.
    payment_request: the invoice that the node paid with it, empty for a keysend.
    """

    kind: Kind
    accepted: bool = False
    closed: bool = True
    amount_msat: int = 0
    fee_msat: int = 0
    reason: Reason = Reason.NONE
    message: str = ""
    index: int = 0
    preimage: bytes = field(default=b"", repr=False)
    payment_request: str = ""


@dataclass(slots=True, frozen=True)
class Spend:
    """What a budget scope ("daemon", "key.7") has spent in the period that began at
    period_start_ns.
    """

    scope: str
    period_start_ns: int
    spent_msat: int


@dataclass(slots=True, frozen=True)
class Outage:
    """A span of wall time in which paying was impossible. node "" is the whole daemon."""

    node: str
    cause: str
    start_ns: int
    end_ns: int


@dataclass(slots=True, frozen=True)
class Request:
    """A request_id that was used: what it made, and the digest of what it asked."""

    request_id: str
    resource_id: str
    digest: bytes


@dataclass(slots=True, frozen=True)
class Outgoing:
    """An event that waits for the webhook: the document as it will be sent. number orders them."""

    number: int
    time_ns: int
    document: bytes


@dataclass(slots=True)
class Facts:
    """What one commit makes durable, all or nothing.

    intents are inserted, ends update the rows of their payments (state, mark, amounts, accepted),
    streams are written whole (their account too), accounts only the counters of their stream.
    restamped are open payments whose reserves belong to other periods of their budgets than before:
    the one thing of an intent that ever changes. archived are ended streams that leave memory, each
    with the token of its payments; recalled come back into it. outgoing are events for the webhook,
    delivered the numbers of those that arrived.
    """

    intents: list[Payment] = field(default_factory=list)
    ends: list[Payment] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    accounts: list[Stream] = field(default_factory=list)
    spends: list[Spend] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    settings: list[tuple[str, str]] = field(default_factory=list)
    keys: list[ApiKey] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    delivered: list[int] = field(default_factory=list)
    restamped: list[Payment] = field(default_factory=list)
    archived: list[tuple[Stream, bytes]] = field(default_factory=list)
    recalled: list[Stream] = field(default_factory=list)

    def __bool__(self) -> bool:
        seldom = (
            self.outages
            or self.requests
            or self.settings
            or self.keys
            or self.outgoing
            or self.delivered
            or self.restamped
        )
        return bool(
            self.intents
            or self.ends
            or self.streams
            or self.accounts
            or self.spends
            or seldom
            or self.archived
            or self.recalled
        )


@dataclass(slots=True)
class Snapshot:
    """What the journal says at start: all streams that are not archived, all open payments, and the
    rest.

    outgoing: how many events wait for the webhook; last_outgoing: the number of the newest.
    """

    streams: list[Stream]
    open_payments: list[Payment]
    spends: list[Spend]
    outages: list[Outage]
    settings: dict[str, str]
    last_row: int
    last_stream_key: int
    last_index: dict[str, int]
    keys: list[ApiKey] = field(default_factory=list)
    outgoing: int = 0
    last_outgoing: int = 0


@dataclass(slots=True, frozen=True)
class PaymentQuery:
    """Which payments to list: newest first, rows below before_row, at most limit (≤ 1001).

    payment_hash and payment_request find the attempts to pay an invoice; keysends are not found by
    them. api_key 0: of all keys. unpaid_since_ns: only what failed or was refused then or later,
    and the last to end first.
    """

    owner: str = ""
    node: str = ""
    states: frozenset[PaymentState] = frozenset()
    before_row: int = 0
    limit: int = 100
    payment_hash: bytes = b""
    payment_request: str = ""
    api_key: int = 0
    unpaid_since_ns: int = 0
