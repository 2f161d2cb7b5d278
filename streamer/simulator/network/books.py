"""What a simulated node writes down: its payments, its invoices, and why it refuses a call.

Numbers and texts are lnd's (lnrpc.Payment, lnrpc.Invoice; tried on lnd 0.21.2-beta).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from streamer.simulator.encoding.bolt11 import HopHint
    from streamer.simulator.network.channels import Hop

KEYSEND_RECORD = 5_482_373_484
"""TLV type of a keysend's preimage (lnd, record/experimental.go)."""

MIN_CUSTOM_RECORD = 65_536
"""First custom record type (BOLT 4)."""

KEYSEND_CLTV = 19
"""cltv_expiry of the invoice that a keysend makes (lnd, invoices.DefaultFinalCltvRejectDelta)."""

PUBKEY_BYTES = 33
HASH_BYTES = 32


class Status(IntEnum):
    """lnrpc.Payment.PaymentStatus."""

    UNKNOWN = 0
    IN_FLIGHT = 1
    SUCCEEDED = 2
    FAILED = 3
    INITIATED = 4


class Failure(IntEnum):
    """lnrpc.PaymentFailureReason."""

    NONE = 0
    TIMEOUT = 1
    NO_ROUTE = 2
    ERROR = 3
    INCORRECT_PAYMENT_DETAILS = 4
    INSUFFICIENT_BALANCE = 5
    CANCELED = 6


class InvoiceState(IntEnum):
    """lnrpc.Invoice.InvoiceState."""

    OPEN = 0
    SETTLED = 1
    CANCELED = 2
    ACCEPTED = 3


class Refused(Exception):
    """The node answers a call with a gRPC status: its code's name ("UNKNOWN") and its text."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(slots=True)
class Order:
    """What a SendPaymentV2 call asks for; amounts in msat, fee_limit_msat 0 means free routes
    only.
    """

    destination: bytes
    payment_hash: bytes
    amount_msat: int
    fee_limit_msat: int
    cltv_limit: int = 0
    final_cltv_delta: int = 0
    records: dict[int, bytes] = field(default_factory=dict)
    payment_request: str = ""
    payment_addr: bytes = b""
    allow_self_payment: bool = False
    hints: tuple[tuple[HopHint, ...], ...] = ()
    outgoing_channels: frozenset[int] = frozenset()
    last_hop: bytes = b""
    first_hop_records: dict[int, bytes] = field(default_factory=dict)


class Call(Protocol):
    """The one who waits for a payment: told of each update, of a refusal, or that the call is
    cut.
    """

    def update(self, payment: PaymentRecord) -> None:
        """The payment changed; its status says whether it has ended."""

    def refuse(self, refusal: Refused) -> None:
        """The call was answered with a status before any payment."""

    def cut(self) -> None:
        """The connection is gone: nothing more will be said."""


@dataclass(slots=True, frozen=True)
class FailedAttempt:
    """An HTLC that came back: lnrpc.Failure's code, and which hop of the route sent it (0: the
    payer).
    """

    id: int
    route: tuple[Hop, ...]
    started_ns: int
    ended_ns: int
    code: str
    source: int
    height: int
    chain: str


@dataclass(slots=True, eq=False)
class PaymentRecord:
    """One payment in the payer's database. route is that of the HTLC which is pending or settled.

    failed holds the attempts that failed while the payment goes on; lnd forgets them when it ends.
    """

    order: Order
    index: int
    created_ns: int
    status: Status = Status.IN_FLIGHT
    failure: Failure = Failure.NONE
    fee_msat: int = 0
    preimage: bytes = b""
    ended_ns: int = 0
    orphan: bool = False
    attempt_id: int = 0
    attempt_ns: int = 0
    route: list[Hop] = field(default_factory=list)
    failed: list[FailedAttempt] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


class HtlcState(IntEnum):
    """lnrpc.InvoiceHTLCState."""

    ACCEPTED = 0
    SETTLED = 1
    CANCELED = 2


@dataclass(slots=True, kw_only=True)
class ReceivedHtlc:
    """One HTLC at the receiver; a settled one is the only truth about money received.

    total_msat is what the payer said it pays in all (0: a keysend does not say).
    """

    payment_hash: bytes
    channel_id: int
    htlc_index: int
    amount_msat: int
    records: dict[int, bytes]
    settled_ns: int
    expiry_height: int
    accepted_ns: int = 0
    accept_height: int = 0
    total_msat: int = 0
    state: HtlcState = HtlcState.SETTLED


@dataclass(slots=True, eq=False, kw_only=True)
class InvoiceRecord:
    """One invoice in the receiver's database: from AddInvoice, AddHoldInvoice, or a keysend that
    came in.

    A held invoice has no preimage until it is settled. fallback is an on-chain address as text.
    """

    payment_hash: bytes
    preimage: bytes
    value_msat: int
    created_ns: int
    add_index: int
    memo: str = ""
    expiry_seconds: int = 3600
    payment_request: str = ""
    payment_addr: bytes = b""
    is_keysend: bool = False
    state: InvoiceState = InvoiceState.OPEN
    settle_index: int = 0
    settled_ns: int = 0
    paid_msat: int = 0
    htlcs: list[ReceivedHtlc] = field(default_factory=list)
    description_hash: bytes = b""
    cltv_expiry: int = KEYSEND_CLTV
    fallback: str = ""
    hints: tuple[tuple[HopHint, ...], ...] = ()
    private: bool = False
