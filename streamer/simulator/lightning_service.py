"""lnrpc.Lightning: every unary call that the simulator answers, as plain functions of the model."""

from __future__ import annotations

import hashlib

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.money import MSAT_PER_SAT, SECOND_NS
from streamer.simulator.bolt11 import EXPIRY_SECONDS, Bolt11, decode, encode
from streamer.simulator.books import HASH_BYTES, PUBKEY_BYTES, InvoiceRecord, InvoiceState, Refused, Status
from streamer.simulator.drive import Simulation
from streamer.simulator.invoices import check_network
from streamer.simulator.keys import secret_scalar
from streamer.simulator.lightning_node import LightningNode
from streamer.simulator.messages import (
    channel_message,
    closing_message,
    info_message,
    invoice_message,
    node_message,
    payment_message,
)
from streamer.simulator.pages import page

MAX_MEMO_BYTES = 1_024
"""Longest memo of an invoice (lnd, invoices.MaxMemoSize); BOLT 11 ends it at 639 bytes already."""

DEFAULT_INVOICES = 100
"""num_max_invoices when a call leaves it 0 (lnd)."""


class LightningService:
    """The unary calls of lnrpc.Lightning at one node; each raises Refused with lnd's text."""

    def __init__(self, simulation: Simulation, node: LightningNode) -> None:
        self._network = simulation.network
        self._node = node

    def get_info(self, request: ln.GetInfoRequest) -> ln.GetInfoResponse:
        """Who the node is."""
        return info_message(self._network, self._node)

    def list_channels(self, request: ln.ListChannelsRequest) -> ln.ListChannelsResponse:
        """All channels that are not closing; active_only and inactive_only as in lnd."""
        shown = [side for side in self._node.sides if not side.channel.closing]
        if request.active_only:
            shown = [side for side in shown if side.channel.active]
        if request.inactive_only:
            shown = [side for side in shown if not side.channel.active]
        return ln.ListChannelsResponse(channels=map(channel_message, shown))

    def pending_channels(self, request: ln.PendingChannelsRequest) -> ln.PendingChannelsResponse:
        """The channels in closing."""
        closing = [closing_message(side) for side in self._node.sides if side.channel.closing]
        return ln.PendingChannelsResponse(total_limbo_balance=sum(one.limbo_balance for one in closing), waiting_close_channels=closing)

    def channel_balance(self, request: ln.ChannelBalanceRequest) -> ln.ChannelBalanceResponse:
        """The sums over all channels that are not closing."""
        sides = [side for side in self._node.sides if not side.channel.closing]
        local, remote = sum(side.balance_msat for side in sides), sum(side.other.balance_msat for side in sides)
        return ln.ChannelBalanceResponse(
            balance=local // MSAT_PER_SAT,
            local_balance=ln.Amount(sat=local // MSAT_PER_SAT, msat=local),
            remote_balance=ln.Amount(sat=remote // MSAT_PER_SAT, msat=remote),
        )

    def get_node_info(self, request: ln.NodeInfoRequest) -> ln.NodeInfo:
        """What the graph says of a node: nodes without channels are not in it."""
        try:
            pubkey = bytes.fromhex(request.pub_key)
        except ValueError as error:
            raise Refused("UNKNOWN", "encoding/hex: invalid byte") from error
        if len(pubkey) != PUBKEY_BYTES:
            raise Refused("UNKNOWN", f"invalid vertex length of {len(pubkey)}, want {PUBKEY_BYTES}")
        node = self._network.nodes.get(pubkey)
        if node is None or not node.sides:
            raise Refused("NOT_FOUND", "unable to find node")
        return node_message(node)

    # -- invoices ----------------------------------------------------------------------------

    def add_invoice(self, request: ln.Invoice) -> ln.AddInvoiceResponse:
        """A new invoice: value in sat or in msat, 0 for any amount."""
        value_msat = request.value_msat or request.value * MSAT_PER_SAT
        memo = request.memo.encode()
        if value_msat < 0:
            raise Refused("UNKNOWN", "amount cannot be negative")
        if len(memo) > MAX_MEMO_BYTES:
            raise Refused("UNKNOWN", f"memo too large: {len(memo)} bytes (maxsize={MAX_MEMO_BYTES})")
        network, node = self._network, self._node
        preimage = request.r_preimage or network.rng.randbytes(HASH_BYTES)
        payment_hash = hashlib.sha256(preimage).digest()
        if payment_hash in node.invoices:
            raise Refused("UNKNOWN", "invoice with payment hash already exists")
        address = network.rng.randbytes(HASH_BYTES)
        expiry = request.expiry or EXPIRY_SECONDS
        try:
            text = encode(
                Bolt11(network.chain, value_msat, network.now_ns // SECOND_NS, payment_hash, address, memo, expiry),
                secret_scalar(str(network.seed), node.name),
            )
        except ValueError as error:
            raise Refused("UNKNOWN", str(error)) from error
        node.add_index += 1
        invoice = InvoiceRecord(
            payment_hash, preimage, value_msat, network.now_ns, node.add_index, request.memo, expiry, text, payment_addr=address
        )
        node.invoices[payment_hash] = invoice
        for watcher in list(node.on_invoice):
            watcher(invoice)
        return ln.AddInvoiceResponse(r_hash=payment_hash, payment_request=text, add_index=invoice.add_index, payment_addr=address)

    def lookup_invoice(self, request: ln.PaymentHash) -> ln.Invoice:
        """One invoice by its hash."""
        payment_hash = request.r_hash or bytes.fromhex(request.r_hash_str)
        invoice = self._node.invoices.get(payment_hash)
        if invoice is None:
            raise Refused("NOT_FOUND", "unable to locate invoice" if self._node.invoices else "there are no existing invoices")
        return invoice_message(invoice)

    def list_invoices(self, request: ln.ListInvoiceRequest) -> ln.ListInvoiceResponse:
        """A page of invoices by add_index."""
        found = page(
            self._node.invoices.values(),
            lambda invoice: invoice.add_index,
            request.index_offset,
            request.num_max_invoices or DEFAULT_INVOICES,
            reverse=request.reversed,
            keep=lambda invoice: not request.pending_only or invoice.state in (InvoiceState.OPEN, InvoiceState.ACCEPTED),
        )
        if not found:
            return ln.ListInvoiceResponse()
        return ln.ListInvoiceResponse(
            invoices=map(invoice_message, found), first_index_offset=found[0].add_index, last_index_offset=found[-1].add_index
        )

    def decode_pay_req(self, request: ln.PayReqString) -> ln.PayReq:
        """What an invoice says."""
        try:
            found = decode(request.pay_req)
        except ValueError as error:
            raise Refused("UNKNOWN", str(error)) from error
        check_network(found, self._network.chain)
        return ln.PayReq(
            destination=found.payee.hex(),
            payment_hash=found.payment_hash.hex(),
            num_satoshis=found.amount_msat // MSAT_PER_SAT,
            num_msat=found.amount_msat,
            timestamp=found.timestamp,
            expiry=found.expiry_seconds,
            description=found.description.decode(errors="replace"),
            cltv_expiry=found.min_final_cltv,
            payment_addr=found.payment_addr,
        )

    # -- payments ----------------------------------------------------------------------------

    def list_payments(self, request: ln.ListPaymentsRequest) -> ln.ListPaymentsResponse:
        """A page of payments by payment_index; other than settled ones only with include_incomplete."""
        records = self._node.payments.values()
        found = page(
            records,
            lambda record: record.index,
            request.index_offset,
            request.max_payments,
            reverse=request.reversed,
            keep=lambda record: request.include_incomplete or record.status is Status.SUCCEEDED,
        )
        reply = ln.ListPaymentsResponse(payments=[payment_message(record, omit_hops=request.omit_hops) for record in found])
        if found:
            reply.first_index_offset, reply.last_index_offset = found[0].index, found[-1].index
        if request.count_total_payments:
            reply.total_num_payments = len(records)
        return reply

    def delete_payment(self, request: ln.DeletePaymentRequest) -> ln.DeletePaymentResponse:
        """Forget a payment that has ended; failed attempts alone are forgotten already."""
        if request.failed_htlcs_only:
            self._node.find(request.payment_hash)
            return ln.DeletePaymentResponse(status="failed HTLC attempts deleted")
        self._node.delete(request.payment_hash)
        return ln.DeletePaymentResponse(status="payment deleted")
