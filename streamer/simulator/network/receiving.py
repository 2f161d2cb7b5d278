"""What a receiver does with an HTLC that reached it: settle it, refuse it, or keep it for a held
invoice.

As lnd's invoice registry decides (invoices/update.go). Each function takes the network whose time
it is.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from streamer.simulator.network.books import (
    HASH_BYTES,
    KEYSEND_RECORD,
    Failure,
    HtlcState,
    InvoiceRecord,
    InvoiceState,
    Order,
    ReceivedHtlc,
    Refused,
)
from streamer.simulator.network.lightning_node import Flight, LightningNode

if TYPE_CHECKING:
    from streamer.simulator.network.network import Network


def decide(network: Network, flight: Flight) -> None:
    """Settle or fail an HTLC by the receiver's books; one for a held invoice is kept."""
    receiver, order = flight.receiver, flight.record.order
    rate = flight.payer.failure_rate or receiver.failure_rate
    if rate and network.rng.random() < rate:
        failures = flight.payer.failures if flight.payer.failure_rate else receiver.failures
        network.fail(flight, network.rng.choice(failures))
        return
    invoice = receiver.invoices.get(order.payment_hash)
    right = (
        _keysend_is_right(receiver, order)
        if invoice is None or invoice.is_keysend
        else _pays(order, invoice)
    )
    if not right:
        network.fail(flight, Failure.INCORRECT_PAYMENT_DETAILS)
        return
    if invoice is None:
        invoice = _keysend_invoice(network, receiver, order)
    htlc = _enter(network, flight, invoice)
    if invoice.preimage:
        _settle(network, flight, invoice, htlc)
        return
    htlc.state, htlc.settled_ns, invoice.state = HtlcState.ACCEPTED, 0, InvoiceState.ACCEPTED
    receiver.accepted[order.payment_hash] = flight
    network.keep(flight)
    receiver.tell_of(invoice)


def settle_invoice(network: Network, node: LightningNode, preimage: bytes) -> None:
    """SettleInvoice: pay out a held invoice. Raises Refused with lnd's texts."""
    if len(preimage) != HASH_BYTES:
        raise Refused("UNKNOWN", f"invalid preimage length of {len(preimage)}, want {HASH_BYTES}")
    invoice = _find(node, hashlib.sha256(preimage).digest())
    if invoice.state is InvoiceState.SETTLED:
        return
    if invoice.state is InvoiceState.CANCELED:
        raise Refused("UNKNOWN", "invoice already canceled")
    if invoice.state is InvoiceState.OPEN:
        raise Refused("UNKNOWN", "invoice still open")
    invoice.preimage = preimage
    flight = node.accepted.pop(invoice.payment_hash, None)
    if flight is not None and not flight.done:
        _settle(network, flight, invoice, invoice.htlcs[-1])


def cancel_invoice(network: Network, node: LightningNode, payment_hash: bytes) -> None:
    """CancelInvoice: what is held goes back to the payer. Raises Refused with lnd's texts."""
    if len(payment_hash) != HASH_BYTES:
        raise Refused("UNKNOWN", f"invalid hash length of {len(payment_hash)}, want {HASH_BYTES}")
    invoice = _find(node, payment_hash)
    if invoice.state is InvoiceState.SETTLED:
        raise Refused("UNKNOWN", "invoice already settled")
    if invoice.state is InvoiceState.CANCELED:
        return
    invoice.state = InvoiceState.CANCELED
    for htlc in invoice.htlcs:
        htlc.state, htlc.settled_ns = HtlcState.CANCELED, network.now_ns
    flight = node.accepted.pop(payment_hash, None)
    if flight is not None and not flight.done:
        network.fail(flight, Failure.INCORRECT_PAYMENT_DETAILS)
    node.tell_of(invoice)


def expire_invoice(node: LightningNode, invoice: InvoiceRecord) -> None:
    """An invoice that nobody has paid in time is canceled."""
    if invoice.state is InvoiceState.OPEN:
        invoice.state = InvoiceState.CANCELED
        node.tell_of(invoice)


def _find(node: LightningNode, payment_hash: bytes) -> InvoiceRecord:
    invoice = node.invoices.get(payment_hash)
    if invoice is None:
        raise Refused("UNKNOWN", "unable to locate invoice")
    return invoice


def _keysend_is_right(receiver: LightningNode, order: Order) -> bool:
    preimage = order.records.get(KEYSEND_RECORD)
    return (
        receiver.keysend
        and preimage is not None
        and hashlib.sha256(preimage).digest() == order.payment_hash
    )


def _pays(order: Order, invoice: InvoiceRecord) -> bool:
    """True when the HTLC is what the invoice, which is still open, asks for."""
    return (
        invoice.state is InvoiceState.OPEN
        and order.amount_msat >= invoice.value_msat
        and order.payment_addr == invoice.payment_addr
    )


def _keysend_invoice(network: Network, receiver: LightningNode, order: Order) -> InvoiceRecord:
    receiver.add_index += 1
    preimage = order.records[KEYSEND_RECORD]
    invoice = InvoiceRecord(
        payment_hash=order.payment_hash,
        preimage=preimage,
        value_msat=order.amount_msat,
        created_ns=network.now_ns,
        add_index=receiver.add_index,
        is_keysend=True,
    )
    receiver.invoices[order.payment_hash] = invoice
    receiver.tell_of(invoice)
    return invoice


def _enter(network: Network, flight: Flight, invoice: InvoiceRecord) -> ReceivedHtlc:
    """Write the HTLC into the invoice."""
    order, last = flight.record.order, flight.record.route[-1]
    received = ReceivedHtlc(
        payment_hash=order.payment_hash,
        channel_id=last.side.channel.id,
        htlc_index=last.htlc,
        amount_msat=last.amount_msat,
        records=order.records,
        settled_ns=network.now_ns,
        expiry_height=last.expiry_height,
        accepted_ns=network.now_ns,
        accept_height=network.height,
        total_msat=order.amount_msat if order.payment_addr else 0,
    )
    invoice.htlcs.append(received)
    invoice.paid_msat += last.amount_msat
    return received


def _settle(network: Network, flight: Flight, invoice: InvoiceRecord, htlc: ReceivedHtlc) -> None:
    receiver = flight.receiver
    htlc.state, htlc.settled_ns = HtlcState.SETTLED, network.now_ns
    receiver.received.append(htlc)
    receiver.settle_index += 1
    again = invoice.state is InvoiceState.SETTLED
    invoice.state, invoice.settle_index, invoice.settled_ns = (
        InvoiceState.SETTLED,
        receiver.settle_index,
        network.now_ns,
    )
    # a hash that is settled already is settled again, and lnd tells no subscriber of it
    if not again:
        receiver.tell_of(invoice)
    network.succeed(flight, invoice.preimage)
