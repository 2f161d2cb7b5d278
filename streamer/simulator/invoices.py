"""Paying an invoice: what lnd checks before it sends, and the order that comes of it."""

from __future__ import annotations

from streamer.simulator.bolt11 import Bolt11, decode
from streamer.simulator.books import Order, Refused


def check_network(invoice: Bolt11, chain: str) -> None:
    """Raise Refused for an invoice of another network than chain ("regtest")."""
    if invoice.chain != chain:
        raise Refused("UNKNOWN", f"invoice not for current active network '{chain}'")


def read_invoice(payment_request: str, chain: str) -> Bolt11:
    """What an invoice says. Raises Refused with lnd's texts: unreadable, or of another network."""
    try:
        invoice = decode(payment_request)
    except ValueError as error:
        raise Refused("UNKNOWN", str(error)) from error
    check_network(invoice, chain)
    return invoice


def fill_from_invoice(order: Order, chain: str, now_seconds: int) -> Order:
    """The order with destination, hash, amount and payment address of its payment_request.

    Raises Refused with lnd's texts: unreadable, other network, expired, amount missing or superfluous.
    """
    invoice = read_invoice(order.payment_request, chain)
    if invoice.timestamp + invoice.expiry_seconds < now_seconds:
        raise Refused("UNKNOWN", "invoice expired")
    if order.amount_msat < 0:
        raise Refused("UNKNOWN", "amount cannot be negative")
    if invoice.amount_msat and order.amount_msat:
        raise Refused("UNKNOWN", "amount must not be specified when paying a non-zero amount invoice")
    if not invoice.amount_msat and not order.amount_msat:
        raise Refused("UNKNOWN", "amount must be specified when paying a zero amount invoice")
    order.destination = invoice.payee
    order.payment_hash = invoice.payment_hash
    order.payment_addr = invoice.payment_addr
    order.amount_msat = invoice.amount_msat or order.amount_msat
    order.final_cltv_delta = invoice.min_final_cltv
    return order
