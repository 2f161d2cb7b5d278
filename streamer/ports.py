"""The ports: what the shell needs of a Lightning node, a store and a clock.

Each method says what is true when it returns, and what cancellation does. Adapters translate every
foreign error into the values and errors named here; nothing of grpc or sqlite3 passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from streamer.core.shared import Moment
from streamer.words.model import (
    Answer,
    Facts,
    Kind,
    Outgoing,
    Payment,
    PaymentQuery,
    Snapshot,
    Stream,
)

__all__ = [
    "Answer",
    "ArchiveQuery",
    "Channel",
    "Channels",
    "Clock",
    "DecodedInvoice",
    "History",
    "InvoiceState",
    "Kind",
    "Node",
    "NodeIdentity",
    "NodeInvoice",
    "NodePayment",
    "Observer",
    "Store",
]


@dataclass(slots=True, frozen=True)
class NodeIdentity:
    """Who the node is, checked on every new connection.

    best_header_time_ns: of the block up to which it has come. synced_to_chain: that is the newest,
    and by the node's clock less than 2 hours old.
    """

    pubkey: bytes
    alias: str
    network: str
    version: str
    best_header_time_ns: int
    active_channels: int
    synced_to_chain: bool = True


MAX_HTLCS = 483
"""The most HTLCs that a peer may accept at a time in one channel (BOLT 2, max_accepted_htlcs)."""


@dataclass(slots=True, frozen=True)
class Channel:
    """One channel as lnd's ListChannels shows it, inactive ones too; amounts in msat.

    spendable_msat: local_msat, our balance, less our reserve, not below 0. pending: hash → expiry
    height, of outgoing HTLCs; slots: how many of those there are, and max_htlcs how many the peer
    accepts at a time (what it said when the channel was opened: 483 at lnd, 30 at others). point:
    its funding outpoint, by which Channels names closing ones.
    """

    channel_id: int
    active: bool
    spendable_msat: int
    receivable_msat: int
    slots: int
    pending: dict[bytes, int] = field(default_factory=dict)
    local_msat: int = 0
    point: str = ""
    max_htlcs: int = MAX_HTLCS


@dataclass(slots=True, frozen=True)
class Channels:
    """All channels at one moment, the points of those that are closing, and the block height (0:
    not asked).

    running_seconds: for how long the node has run, at least (0: it does not say).
    """

    channels: tuple[Channel, ...]
    closing: frozenset[str]
    block_height: int
    running_seconds: int = 0


@dataclass(slots=True, frozen=True)
class NodePayment:
    """One payment in the node's own list. records: those of the last hop, if it has any."""

    index: int
    payment_hash: bytes
    answer: Answer
    destination: bytes
    records: dict[int, bytes]
    create_time_ns: int


@dataclass(slots=True, frozen=True)
class DecodedInvoice:
    """What an invoice says. amount_msat 0: it leaves the amount to the payer."""

    destination: bytes
    payment_hash: bytes
    amount_msat: int
    memo: str
    create_time_ns: int
    expire_time_ns: int


class InvoiceState(StrEnum):
    """Where an invoice of the node is: ACCEPTED is paid, but held by who will settle or cancel
    it.
    """

    OPEN = "OPEN"
    SETTLED = "SETTLED"
    CANCELED = "CANCELED"
    ACCEPTED = "ACCEPTED"


@dataclass(slots=True, frozen=True)
class NodeInvoice:
    """An invoice that the node made. index orders them; times are 0 where there is none yet."""

    index: int
    payment_hash: bytes
    payment_request: str
    memo: str
    amount_msat: int
    paid_msat: int
    state: InvoiceState
    create_time_ns: int
    expire_time_ns: int
    settle_time_ns: int


@dataclass(slots=True, frozen=True)
class ArchiveQuery:
    """Which archived streams: newest first, at most limit (≤ 1000); what is empty or 0 asks for
    nothing.

    terms: those of a filter of streams (service/filters.py), all must hold. token: what their
    payments carry. keys: only these. after_key, before_key: streams that are newer, or older, than
    those of these keys.
    """

    id: str = ""
    keys: tuple[int, ...] = ()
    token: bytes = b""
    terms: tuple[tuple[str, str], ...] = ()
    api_key: int = 0
    after_key: int = 0
    before_key: int = 0
    limit: int = 1_000


class Node(Protocol):
    """A Lightning node that we drive: lnd, or the simulator that speaks lnd's protocol.

    Order: open, then any calls until `lost` returns or close. After a loss, open again: it makes a
    new connection and reads certificate and macaroon anew. Calls on a lost connection give LOST or
    raise NodeUnavailable; they never wait for a reconnect.
    """

    name: str
    accepted: Callable[[bytes, int], None]
    """Told (payment hash, payment index) when the first update of a sent payment comes: the node
    has recorded it. Set it before the first send; it must not raise.
    """

    async def open(self) -> NodeIdentity:
        """Connect, wait for nothing: the node must be SERVER_ACTIVE now.

        Raises NodeUnavailable (not reachable, locked, starting: worth another try) or NodeRejected
        (certificate, macaroon, permission: a person must act). The message says what to do.
        """

    async def lost(self) -> str:
        """Return, in words, when the connection made by open is gone; cancelling it does
        nothing.
        """

    async def send(self, payment: Payment, preimage: bytes, patience_seconds: float) -> Answer:
        """Send one keysend, or pay the intent's invoice (preimage empty), and give its end, or LOST
        when patience runs out first.

        The intent must be durable before. Never raises but CancelledError; cancelling, like LOST,
        leaves the outcome unknown: the node may still execute it.
        """

    async def track(self, payment_hash: bytes, patience_seconds: float) -> Answer:
        """The node's present knowledge: SETTLED, FAILED, IN_FLIGHT, NOT_FOUND, or LOST."""

    async def channels(self) -> Channels:
        """All channels, inactive ones too. Raises NodeUnavailable or NodeRejected."""

    async def identity(self) -> NodeIdentity:
        """Ask who the node is on this connection. Raises NodeUnavailable or NodeRejected."""

    async def payments_after(self, index: int, limit: int) -> Sequence[NodePayment]:
        """The node's payments with a higher index, oldest first, at most limit."""

    async def accepts_keysend(self, destination: bytes) -> bool | None:
        """What the graph says of feature 55; None: the node is not in the graph."""

    async def add_invoice(self, amount_msat: int, memo: str, expiry_seconds: int) -> str:
        """Make an invoice; its payment_request. Raises InvalidArgument, NodeUnavailable or
        NodeRejected.
        """

    async def decode_invoice(self, payment_request: str) -> DecodedInvoice:
        """What an invoice says. Raises InvalidArgument (malformed, of another network),
        NodeUnavailable or NodeRejected.
        """

    async def find_invoice(self, payment_hash: bytes) -> NodeInvoice | None:
        """The invoice that this node made with the hash, if it did. Raises NodeUnavailable or
        NodeRejected.
        """

    async def invoices_before(self, index: int, limit: int) -> tuple[Sequence[NodeInvoice], int]:
        """The node's invoices with a lower index (0: the newest), newest first, and the index to go
        on from (0: no more).

        At most limit, and fewer where keysends that came in lie between them. Raises
        NodeUnavailable or NodeRejected.
        """

    async def close(self) -> None:
        """End the connection. Calls in flight give LOST."""


class History(Protocol):
    """The journal, for who only reads it: what is durable now."""

    async def payment(self, owner: str, seq: int) -> Payment | None:
        """One payment, open or ended."""

    async def payments(self, query: PaymentQuery) -> list[Payment]:
        """A page of payments, newest first."""

    async def request(self, request_id: str) -> tuple[str, bytes] | None:
        """(resource id, digest) of a request_id that was used."""

    async def outgoing(self, after: int, limit: int) -> list[Outgoing]:
        """Events that wait for the webhook, with a higher number than after, in order."""

    async def archived(self, query: ArchiveQuery) -> list[Stream]:
        """A page of the streams that have left memory, newest first."""

    def space(self) -> tuple[int, int]:
        """(bytes the journal takes, bytes free beside it)."""


class Store(History, Protocol):
    """The journal: durable facts in order. One process at a time (flock). Only the desk appends."""

    def load(self) -> Snapshot:
        """Replay. Called once, before append. Raises StoreRefused if the data is not whole."""

    def append(self, facts: Facts) -> asyncio.Future[None]:
        """Make facts durable (fsync), all or nothing, in the order of the calls; await the future.

        The objects are read before this returns, so that they may change at once. Raises, or the
        future does, StoreFailed: then nothing may be assumed, every later append raises too, and
        only a new store that loads again can go on. Cancelling the wait does not undo it.
        """

    async def purge(self, before_ns: int, limit: int) -> int:
        """Delete at most limit ended payments planned before before_ns, keeping daily totals; when
        there are none, archived streams that ended before it. What made them, their request_ids,
        goes with them.
        """

    async def close(self) -> None:
        """Finish what was appended and release the lock."""


class Clock(Protocol):
    """Time as the daemon sees it."""

    def now_ns(self) -> int:
        """Our time: goes on with CLOCK_BOOTTIME, and steps of the wall clock do not show. Whether
        it is right, timekeeping.py knows.
        """

    def wall_ns(self) -> int:
        """The wall clock as it is: it may be wrong, and may be set at any moment."""

    def move(self, by_ns: int) -> None:
        """From here on now is by_ns later than it was, or earlier. Only timekeeping does this, and
        tells who keeps moments.
        """


class Observer(Protocol):
    """Who counts. Never waits, and never raises into the loop."""

    def sent(self, node: str, lateness_seconds: float) -> None:
        """A payment was handed to the node, so long after it was due."""

    def ended(
        self,
        payment: Payment,
        stream: Stream | None,
        moment: Moment | None,
        seconds: float,
        late: bool,
    ) -> None:
        """A payment ended, so long after it was planned. moment: how its stream was when that
        became durable.
        """

    def changed(self, stream: Stream, moment: Moment) -> None:
        """A stream changed its state, to what it was at that moment."""

    def skipped(self, group: str, cause: str, msat: int) -> None:
        """Time of this price was skipped."""
