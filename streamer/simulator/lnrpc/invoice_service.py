"""lnrpc.Lightning and invoicesrpc.Invoices: every unary call about invoices."""

from __future__ import annotations

from typing import Any

from streamer._proto.invoicesrpc import invoices_pb2 as inv
from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.simulator.lnrpc.invoice_messages import invoice_message, pay_req_message
from streamer.simulator.lnrpc.pages import page
from streamer.simulator.network.books import HASH_BYTES, InvoiceRecord, InvoiceState, Refused
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.go_texts import from_hex
from streamer.simulator.network.invoices import (
    Wanted,
    add_invoice,
    amount_of,
    hints_of,
    read_invoice,
)
from streamer.simulator.network.lightning_node import LightningNode
from streamer.simulator.network.receiving import cancel_invoice, settle_invoice
from streamer.words.money import SECOND_NS

DEFAULT_INVOICES = 100
"""num_max_invoices when a call leaves it 0 (lnd)."""

PENDING = (InvoiceState.OPEN, InvoiceState.ACCEPTED)


class InvoiceService:
    """The unary calls about one node's invoices; each raises Refused with lnd's text."""

    def __init__(self, simulation: Simulation, node: LightningNode) -> None:
        self._network = simulation.network
        self._node = node

    def add_invoice(self, request: ln.Invoice) -> ln.AddInvoiceResponse:
        """A new invoice: value in sat or in msat, 0 for any amount."""
        if request.is_amp:
            raise Refused("UNIMPLEMENTED", "AMP invoices are not simulated")
        invoice = self._add(request, preimage=request.r_preimage)
        return ln.AddInvoiceResponse(
            r_hash=invoice.payment_hash,
            payment_request=invoice.payment_request,
            add_index=invoice.add_index,
            payment_addr=invoice.payment_addr,
        )

    def add_hold_invoice(self, request: inv.AddHoldInvoiceRequest) -> inv.AddHoldInvoiceResp:
        """A new invoice whose preimage the node does not know: what is paid is held until
        SettleInvoice.
        """
        if len(request.hash) != HASH_BYTES:
            raise Refused(
                "UNKNOWN", f"invalid hash length of {len(request.hash)}, want {HASH_BYTES}"
            )
        invoice = self._add(request, payment_hash=request.hash)
        return inv.AddHoldInvoiceResp(
            payment_request=invoice.payment_request,
            add_index=invoice.add_index,
            payment_addr=invoice.payment_addr,
        )

    def _add(
        self, request: Any, *, preimage: bytes = b"", payment_hash: bytes = b""
    ) -> InvoiceRecord:
        """Both requests name what they share alike."""
        wanted = Wanted(
            amount_of(request.value, request.value_msat),
            request.memo,
            preimage,
            payment_hash,
            request.description_hash,
            request.expiry,
            request.fallback_addr,
            request.cltv_expiry,
            hints_of(request.route_hints),
            request.private,
        )
        return add_invoice(self._network, self._node, wanted)

    def settle_invoice(self, request: inv.SettleInvoiceMsg) -> inv.SettleInvoiceResp:
        """Take the money that a held invoice keeps."""
        settle_invoice(self._network, self._node, request.preimage)
        return inv.SettleInvoiceResp()

    def cancel_invoice(self, request: inv.CancelInvoiceMsg) -> inv.CancelInvoiceResp:
        """Give up an invoice; what it keeps goes back."""
        cancel_invoice(self._network, self._node, request.payment_hash)
        return inv.CancelInvoiceResp()

    def lookup_invoice(self, request: ln.PaymentHash) -> ln.Invoice:
        """One invoice by its hash, in hex or in bytes."""
        payment_hash = from_hex(request.r_hash_str) if request.r_hash_str else request.r_hash
        # lnd takes no hash at all for one of zeros
        if payment_hash and len(payment_hash) != HASH_BYTES:
            raise Refused(
                "UNKNOWN", f"payment hash must be exactly 32 bytes, is instead {len(payment_hash)}"
            )
        return self._message(self._node.invoices.get(payment_hash))

    def lookup_invoice_v2(self, request: inv.LookupInvoiceMsg) -> ln.Invoice:
        """One invoice by its hash or its payment address."""
        kind = request.WhichOneof("invoice_ref")
        if kind == "payment_hash":
            if len(request.payment_hash) != HASH_BYTES:
                length = len(request.payment_hash)
                raise Refused(
                    "INVALID_ARGUMENT",
                    f"unable to parse pay hash: invalid hash length of {length}, want {HASH_BYTES}",
                )
            return self._message(self._node.invoices.get(request.payment_hash))
        if kind == "payment_addr":
            fits = (
                one
                for one in self._node.invoices.values()
                if one.payment_addr == request.payment_addr
            )
            return self._message(next(fits, None))
        if kind == "set_id":
            raise Refused("UNIMPLEMENTED", "AMP invoices are not simulated")
        raise Refused("INVALID_ARGUMENT", "invoice ref must be set")

    def _message(self, invoice: InvoiceRecord | None) -> ln.Invoice:
        if invoice is None:
            raise Refused(
                "NOT_FOUND",
                "unable to locate invoice"
                if self._node.invoices
                else "there are no existing invoices",
            )
        return invoice_message(invoice)

    def list_invoices(self, request: ln.ListInvoiceRequest) -> ln.ListInvoiceResponse:
        """A page of invoices by add_index."""
        check_dates(request.creation_date_start, request.creation_date_end)
        found = page(
            self._node.invoices.values(),
            lambda invoice: invoice.add_index,
            request.index_offset,
            request.num_max_invoices or DEFAULT_INVOICES,
            reverse=request.reversed,
            keep=lambda invoice: (
                (not request.pending_only or invoice.state in PENDING)
                and is_between(invoice.created_ns, request)
            ),
        )
        if not found:
            return ln.ListInvoiceResponse()
        return ln.ListInvoiceResponse(
            invoices=map(invoice_message, found),
            first_index_offset=found[0].add_index,
            last_index_offset=found[-1].add_index,
        )

    def decode_pay_req(self, request: ln.PayReqString) -> ln.PayReq:
        """What an invoice says."""
        return pay_req_message(read_invoice(request.pay_req, self._network.chain))


def check_dates(start: int, end: int) -> None:
    """Raise Refused unless start comes before end, where both are given (seconds since 1970)."""
    if start and end and start >= end:
        raise Refused("UNKNOWN", f"start date({start}) must be before end date({end})")


def is_between(created_ns: int, request: ln.ListInvoiceRequest | ln.ListPaymentsRequest) -> bool:
    """True if the moment is within the dates of the request, both included; 0 is open."""
    created = created_ns // SECOND_NS
    return created >= request.creation_date_start and (
        not request.creation_date_end or created <= request.creation_date_end
    )
