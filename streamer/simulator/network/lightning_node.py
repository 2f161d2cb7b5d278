"""One simulated node: its books, its switches for faults, and what it refuses.

The texts are lnd's own (0.21.2-beta; rpcperms/interceptor.go and routerrpc/router_backend.go).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from streamer.simulator.network.books import (
    HASH_BYTES,
    MIN_CUSTOM_RECORD,
    PUBKEY_BYTES,
    Call,
    Failure,
    InvoiceRecord,
    Order,
    PaymentRecord,
    ReceivedHtlc,
    Refused,
    Status,
)
from streamer.simulator.network.channels import Channel, Side
from streamer.simulator.network.experience import Experience
from streamer.simulator.network.pace import Pace
from streamer.simulator.network.routing import BLOCK_PADDING, DEFAULT_FINAL_DELTA

MAX_WAITING_CALLS = 100_000
"""Most calls that may wait at a frozen node; more are cut."""


class Wallet(IntEnum):
    """lnrpc.WalletState."""

    NON_EXISTING = 0
    LOCKED = 1
    UNLOCKED = 2
    RPC_ACTIVE = 3
    SERVER_ACTIVE = 4
    WAITING_TO_START = 255


NOT_READY = {
    Wallet.NON_EXISTING: "wallet not created, create one to enable full RPC access",
    Wallet.LOCKED: "wallet locked, unlock it to enable full RPC access",
    Wallet.UNLOCKED: (
        "the RPC server is in the process of starting up, but not yet ready to accept calls"
    ),
    Wallet.RPC_ACTIVE: "server is still in the process of starting",
    Wallet.WAITING_TO_START: "waiting to start, RPC services not available",
}


class CallFate(Enum):
    """What becomes of a send call whose client will not see its end."""

    NEVER = "never"
    """The connection is cut and the request is not executed."""
    ACCEPTED = "accepted"
    """The request is executed, and the connection cut before the first answer."""
    LATE = "late"
    """The connection is cut now and the request executed later: a ghost."""


@dataclass(slots=True)
class CallFault:
    """The next `count` send calls meet `fate`; late_ns is how much later a LATE one is executed."""

    fate: CallFate
    count: int
    late_ns: int = 0


@dataclass(slots=True, eq=False)
class Flight:
    """A payment's HTLC on its way. It works until it ends, or is held, stuck or orphaned."""

    payer: LightningNode
    receiver: LightningNode
    record: PaymentRecord
    working: bool = True
    done: bool = False


@dataclass(slots=True, eq=False)
class LightningNode:
    """A simulated node. `up` is true while it is listening with an open wallet (SERVER_ACTIVE)."""

    name: str
    pubkey: bytes
    pace: Pace = field(default_factory=Pace)
    forward_ns: tuple[int, int] = (0, 0)
    sides: list[Side] = field(default_factory=list)
    sides_to: dict[bytes, list[Side]] = field(default_factory=dict)
    payments: dict[bytes, PaymentRecord] = field(default_factory=dict)
    last_index: int = 0
    invoices: dict[bytes, InvoiceRecord] = field(default_factory=dict)
    add_index: int = 0
    settle_index: int = 0
    received: list[ReceivedHtlc] = field(default_factory=list)
    flights: dict[bytes, Flight] = field(default_factory=dict)
    working: int = 0
    attempts: int = 0
    experience: Experience = field(default_factory=Experience)
    # what a person or a test may switch
    up: bool = True
    up_since_ns: int = 0
    listening: bool = True
    wallet: Wallet = Wallet.SERVER_ACTIVE
    frozen: bool = False
    keysend: bool = True
    holding: bool = False
    failure_rate: float = 0.0
    failures: tuple[Failure, ...] = (Failure.TIMEOUT, Failure.ERROR, Failure.NO_ROUTE)
    refuse_text: str = ""
    credentials_text: str = ""
    call_fault: CallFault | None = None
    # who waits at this node
    held: list[Flight] = field(default_factory=list)
    accepted: dict[bytes, Flight] = field(default_factory=dict)
    stuck: list[Flight] = field(default_factory=list)
    orphans: list[tuple[PaymentRecord, Channel]] = field(default_factory=list)
    inbox: deque[Callable[[], None]] = field(default_factory=deque)
    on_down: list[Callable[[str], None]] = field(default_factory=list)
    on_listen: list[Callable[[], None]] = field(default_factory=list)
    on_thaw: list[Callable[[], None]] = field(default_factory=list)
    on_invoice: list[Callable[[InvoiceRecord], None]] = field(default_factory=list)
    on_payment: list[Callable[[PaymentRecord], None]] = field(default_factory=list)

    @property
    def public(self) -> bool:
        """True if the graph knows the node: it has a channel that is announced."""
        return any(not side.channel.private for side in self.sides)

    def tell_of(self, invoice: InvoiceRecord) -> None:
        """Let every subscriber know that an invoice changed."""
        for watcher in tuple(self.on_invoice):
            watcher(invoice)

    def gate(self) -> None:
        """Raise Refused as lnd's interceptor does while the wallet is not open."""
        if self.wallet is not Wallet.SERVER_ACTIVE:
            raise Refused("UNKNOWN", NOT_READY[self.wallet])
        if self.credentials_text:
            raise Refused("UNKNOWN", self.credentials_text)

    def check(self, order: Order) -> None:
        """Raise Refused where lnd finds a request wrong in itself, or knows its hash already."""
        self.gate()
        if self.refuse_text:
            raise Refused("UNKNOWN", self.refuse_text)
        if len(order.destination) != PUBKEY_BYTES:
            raise Refused(
                "UNKNOWN", f"invalid vertex length of {len(order.destination)}, want {PUBKEY_BYTES}"
            )
        if order.amount_msat < 0 or order.fee_limit_msat < 0:
            raise Refused("UNKNOWN", "amount cannot be negative")
        if order.amount_msat == 0:
            raise Refused("UNKNOWN", "amount must be specified")
        if order.records and min(order.records) < MIN_CUSTOM_RECORD:
            raise Refused(
                "UNKNOWN", f"no custom records with types below {MIN_CUSTOM_RECORD} allowed"
            )
        if len(order.payment_hash) != HASH_BYTES:
            raise Refused(
                "UNKNOWN", f"invalid hash length of {len(order.payment_hash)}, want {HASH_BYTES}"
            )
        least = (order.final_cltv_delta or DEFAULT_FINAL_DELTA) + BLOCK_PADDING
        if order.cltv_limit and order.cltv_limit <= least:
            raise Refused(
                "UNKNOWN", f"cltv limit {order.cltv_limit} should be greater than {least}"
            )
        if order.destination == self.pubkey and not order.allow_self_payment:
            raise Refused("UNKNOWN", "self-payments not allowed")
        self._check_duplicate(order.payment_hash)

    def _check_duplicate(self, payment_hash: bytes) -> None:
        known = self.payments.get(payment_hash)
        if known is None or known.status is Status.FAILED:
            return
        # a refused duplicate uses up an index: lnd draws it before it looks
        self.last_index += 1
        if known.status is Status.SUCCEEDED:
            raise Refused("ALREADY_EXISTS", "invoice is already paid")
        raise Refused("ALREADY_EXISTS", "payment is in transition")

    def record(self, order: Order, now_ns: int) -> PaymentRecord:
        """Write the payment down as IN_FLIGHT, in place of a FAILED one with its hash."""
        self.last_index += 1
        record = PaymentRecord(order, self.last_index, now_ns)
        # a second try moves to the end of the list, as its new index says
        self.payments.pop(order.payment_hash, None)
        self.payments[order.payment_hash] = record
        return record

    def find(self, payment_hash: bytes) -> PaymentRecord:
        """The record of a hash; raises Refused NOT_FOUND as TrackPaymentV2 does."""
        self.gate()
        record = self.payments.get(payment_hash)
        if record is None:
            raise Refused("NOT_FOUND", "payment isn't initiated")
        return record

    def delete(self, payment_hash: bytes, *, failed_htlcs_only: bool = False) -> None:
        """DeletePayment: forgets an ended payment; refused for an open or unknown one."""
        record = self.payments.get(payment_hash)
        if record is None:
            raise Refused("UNKNOWN", "non bucket element in payments bucket")
        if record.status is Status.IN_FLIGHT:
            why = "has inflight HTLCsand therefore cannot be deleted: payment is in transition"
            raise Refused("UNKNOWN", f"payment '{payment_hash.hex()}' {why}")
        if not failed_htlcs_only:
            del self.payments[payment_hash]

    def call_fate(self) -> CallFault | None:
        """The fault that the next send call meets, if one is set."""
        fault = self.call_fault
        if fault is None:
            return None
        fault.count -= 1
        if fault.count <= 0:
            self.call_fault = None
        return fault


class Nobody:
    """The Call of a client that is gone."""

    def update(self, payment: PaymentRecord) -> None:
        """Nobody listens."""

    def refuse(self, refusal: Refused) -> None:
        """Nobody listens."""

    def cut(self) -> None:
        """Nobody listens."""


NOBODY: Call = Nobody()
