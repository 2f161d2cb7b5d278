"""Invoices: made as AddInvoice makes them, and what lnd checks before it pays one.

The texts are lnd's (invoicesrpc/addinvoice.go, routerrpc/router_backend.go).
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.simulator.encoding.addresses import read_address, write_address
from streamer.simulator.encoding.bolt11 import EXPIRY_SECONDS, Bolt11, HopHint, decode, encode
from streamer.simulator.encoding.keys import secret_scalar
from streamer.simulator.network.books import HASH_BYTES, InvoiceRecord, Order, Refused
from streamer.simulator.network.channels import Side
from streamer.simulator.network.go_texts import float_text, from_hex
from streamer.simulator.network.lightning_node import LightningNode
from streamer.simulator.network.network import Network
from streamer.simulator.network.receiving import expire_invoice
from streamer.words.money import MSAT_PER_SAT, SECOND_NS

MAX_MEMO_BYTES = 1_024
"""Longest memo of an invoice (lnd, invoices.MaxMemoSize); BOLT 11 ends it at 639 bytes already."""

MAX_VALUE_MSAT = 100_000 * 100_000_000 * MSAT_PER_SAT
"""Largest invoice (lnd): 100,000 bitcoin."""

MAX_EXPIRY_SECONDS = 365 * 86_400
"""Longest expiry (lnd): a year."""

MIN_CLTV, DEFAULT_CLTV, MAX_CLTV = 24, 80, 65_535
"""Bounds and default of an invoice's final CLTV delta (lnd)."""

MAX_HINTS = 20
"""Most route hints of an invoice (lnd)."""

HINT_FACTOR = 2
"""Hints are added until their channels can bring so many times the amount (lnd, hopHintFactor)."""


@dataclass(slots=True, frozen=True)
class Wanted:
    """What AddInvoice or AddHoldInvoice asks for; payment_hash only for a held one, which has no
    preimage.
    """

    value_msat: int
    memo: str = ""
    preimage: bytes = b""
    payment_hash: bytes = b""
    description_hash: bytes = b""
    expiry_seconds: int = 0
    fallback: str = ""
    cltv_expiry: int = 0
    hints: tuple[tuple[HopHint, ...], ...] = ()
    private: bool = False


def amount_of(sat: int, msat: int) -> int:
    """One amount in msat of two fields, of which lnd takes only one; raises Refused."""
    if sat and msat:
        raise Refused("UNKNOWN", "sat and msat arguments are mutually exclusive")
    if sat < 0 or msat < 0:
        raise Refused("UNKNOWN", "amount cannot be negative")
    return msat or sat * MSAT_PER_SAT


def hints_of(routes: Iterable[ln.RouteHint]) -> tuple[tuple[HopHint, ...], ...]:
    """A request's route hints; raises Refused where a node's key is none."""
    return tuple(tuple(_hint(hint) for hint in route.hop_hints) for route in routes)


def _hint(hint: ln.HopHint) -> HopHint:
    key = from_hex(hint.node_id)
    if len(key) != 33:
        raise Refused("UNKNOWN", f"malformed public key: invalid length: {len(key)}")
    return HopHint(
        key,
        hint.chan_id,
        hint.fee_base_msat,
        hint.fee_proportional_millionths,
        hint.cltv_expiry_delta & 0xFFFF,
    )


def add_invoice(network: Network, node: LightningNode, wanted: Wanted) -> InvoiceRecord:
    """Make an invoice, sign it, tell the subscribers, and let it expire; raises Refused with lnd's
    texts.
    """
    _check(wanted)
    address = _fallback(wanted, network.chain)
    preimage, payment_hash = _secret(network, wanted)
    hints = _with_private_channels(node, wanted) if wanted.private else wanted.hints
    invoice = InvoiceRecord(
        payment_hash=payment_hash,
        preimage=preimage,
        value_msat=wanted.value_msat,
        created_ns=network.now_ns,
        add_index=0,
        memo=wanted.memo,
        expiry_seconds=wanted.expiry_seconds if wanted.expiry_seconds > 0 else EXPIRY_SECONDS,
        payment_addr=network.rng.randbytes(HASH_BYTES),
        description_hash=wanted.description_hash,
        cltv_expiry=wanted.cltv_expiry or DEFAULT_CLTV,
        fallback=address,
        hints=hints,
        private=bool(hints),
    )
    invoice.payment_request = _signed(network, node, invoice)
    if payment_hash in node.invoices:
        raise Refused("UNKNOWN", "invoice with payment hash already exists")
    node.add_index += 1
    invoice.add_index = node.add_index
    node.invoices[payment_hash] = invoice
    node.tell_of(invoice)
    network.at(
        invoice.created_ns + invoice.expiry_seconds * SECOND_NS,
        partial(expire_invoice, node, invoice),
    )
    return invoice


def _check(wanted: Wanted) -> None:
    memo = len(wanted.memo.encode())
    if memo > MAX_MEMO_BYTES:
        raise Refused("UNKNOWN", f"memo too large: {memo} bytes (maxsize={MAX_MEMO_BYTES})")
    if wanted.description_hash and len(wanted.description_hash) != HASH_BYTES:
        raise Refused(
            "UNKNOWN", f"description hash is {len(wanted.description_hash)} bytes, must be 32"
        )
    if wanted.value_msat > MAX_VALUE_MSAT:
        raise Refused(
            "UNKNOWN",
            f"invoice amount {_bitcoin(wanted.value_msat)} is too large, max is"
            f" {_bitcoin(MAX_VALUE_MSAT)}",
        )
    if wanted.expiry_seconds > MAX_EXPIRY_SECONDS:
        given, most = float_text(wanted.expiry_seconds), float_text(MAX_EXPIRY_SECONDS)
        raise Refused(
            "UNKNOWN", f"expiry of {given} seconds greater than max expiry of {most} seconds"
        )
    if wanted.cltv_expiry > MAX_CLTV:
        raise Refused(
            "UNKNOWN",
            f"CLTV delta of {wanted.cltv_expiry} is too large, max accepted is: {MAX_CLTV}",
        )
    if 0 < wanted.cltv_expiry < MIN_CLTV:
        raise Refused(
            "UNKNOWN",
            f"CLTV delta of {wanted.cltv_expiry} must be greater than minimum of {MIN_CLTV}",
        )
    if len(wanted.hints) > MAX_HINTS:
        raise Refused("UNKNOWN", f"number of routing hints must not exceed maximum of {MAX_HINTS}")
    if not all(wanted.hints):
        raise Refused("UNKNOWN", "number of hop hint within a route must be positive")


def _fallback(wanted: Wanted, chain: str) -> str:
    if not wanted.fallback:
        return ""
    try:
        return write_address(read_address(wanted.fallback, chain), chain)
    except ValueError as error:
        raise Refused("UNKNOWN", f"invalid fallback address: {error}") from error


def _secret(network: Network, wanted: Wanted) -> tuple[bytes, bytes]:
    if wanted.payment_hash:
        return b"", wanted.payment_hash
    if wanted.preimage and len(wanted.preimage) != HASH_BYTES:
        raise Refused(
            "UNKNOWN", f"invalid preimage length of {len(wanted.preimage)}, want {HASH_BYTES}"
        )
    preimage = wanted.preimage or network.rng.randbytes(HASH_BYTES)
    return preimage, hashlib.sha256(preimage).digest()


def _with_private_channels(node: LightningNode, wanted: Wanted) -> tuple[tuple[HopHint, ...], ...]:
    """The hints given, and those private channels with a public peer that can bring the amount,
    largest first.
    """
    hints = list(wanted.hints)
    taken = {route[0].channel_id for route in hints}
    room = 0
    for side in sorted(node.sides, key=lambda side: -side.other.balance_msat):
        enough = wanted.value_msat and room >= HINT_FACTOR * wanted.value_msat
        if enough or len(hints) >= MAX_HINTS:
            break
        if _may_be_hint(side) and side.channel.id not in taken:
            policy = side.other.policy
            hints.append(
                (
                    HopHint(
                        side.peer.pubkey,
                        side.channel.id,
                        policy.base_msat,
                        policy.ppm,
                        policy.cltv_delta,
                    ),
                )
            )
            room += side.other.balance_msat
    return tuple(hints)


def _may_be_hint(side: Side) -> bool:
    return side.channel.private and side.channel.active and side.peer.public


def _signed(network: Network, node: LightningNode, invoice: InvoiceRecord) -> str:
    text = Bolt11(
        network.chain,
        invoice.value_msat,
        invoice.created_ns // SECOND_NS,
        invoice.payment_hash,
        invoice.payment_addr,
        invoice.memo.encode(),
        invoice.expiry_seconds,
        invoice.cltv_expiry,
        description_hash=invoice.description_hash,
        fallback=read_address(invoice.fallback, network.chain) if invoice.fallback else None,
        hints=invoice.hints,
    )
    try:
        return encode(text, secret_scalar(str(network.seed), node.name))
    except ValueError as error:
        raise Refused("UNKNOWN", str(error)) from error


def read_invoice(text: str, chain: str) -> Bolt11:
    """What an invoice says; raises Refused with lnd's texts."""
    try:
        return decode(text, chain)
    except ValueError as error:
        raise Refused("UNKNOWN", str(error)) from error


def fill_from_invoice(order: Order, chain: str, now_seconds: int) -> Order:
    """The order with destination, hash, amount and payment address of its payment_request.

    Raises Refused with lnd's texts: unreadable, other network, expired, amount missing or
    superfluous.
    """
    for name, given in (
        ("dest", order.destination),
        ("payment_hash", order.payment_hash),
        ("final_cltv_delta", order.final_cltv_delta),
    ):
        if given:
            raise Refused("UNKNOWN", f"{name} and payment_request cannot appear together")
    invoice = read_invoice(order.payment_request, chain)
    until = invoice.timestamp + invoice.expiry_seconds
    if until < now_seconds:
        moment = datetime.datetime.fromtimestamp(until, datetime.UTC)
        raise Refused(
            "UNKNOWN", f"invoice expired. Valid until {moment:%Y-%m-%d %H:%M:%S} +0000 UTC"
        )
    if not invoice.payment_addr:
        raise Refused(
            "UNKNOWN", "payment request must contain either a payment address or blinded paths"
        )
    if invoice.amount_msat and order.amount_msat:
        raise Refused(
            "UNKNOWN", "amount must not be specified when paying a non-zero amount invoice"
        )
    if not invoice.amount_msat and not order.amount_msat:
        raise Refused("UNKNOWN", "amount must be specified when paying a zero amount invoice")
    order.destination = invoice.payee
    order.payment_hash = invoice.payment_hash
    order.payment_addr = invoice.payment_addr
    order.amount_msat = invoice.amount_msat or order.amount_msat
    order.final_cltv_delta = invoice.min_final_cltv
    order.hints = (*order.hints, *invoice.hints)
    return order


def _bitcoin(msat: int) -> str:
    """An amount as btcutil writes it."""
    return f"{msat / 100_000_000_000:.8f}".rstrip("0").rstrip(".") + " BTC"
