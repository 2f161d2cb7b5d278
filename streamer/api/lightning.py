"""lightning.Lightning: the methods that clients of the Impervious API call, with amounts in
satoshis.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.json_format import MessageToDict

from streamer._proto.imp.api.lightning import lightning_pb2 as ln
from streamer.api.call import Call
from streamer.api.convert import hex_bytes
from streamer.api.show import payment_message, timestamp
from streamer.ports import NodeInvoice
from streamer.service import Service
from streamer.service.filters import MAX_PAGE
from streamer.service.orders import PaymentOrder
from streamer.service.outcomes import require_settled
from streamer.service.paying import PAY_SECONDS
from streamer.words.errors import InvalidArgument
from streamer.words.money import MAX_MSAT, MSAT_PER_SAT


class LightningRpcs:
    """lightning.Lightning."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def GenerateInvoice(
        self, request: ln.GenerateInvoiceRequest, _: Call
    ) -> ln.GenerateInvoiceResponse:
        """Make an invoice."""
        return ln.GenerateInvoiceResponse(
            invoice=await self._service.invoices.create(_msat(request.amount), request.memo)
        )

    async def PayInvoice(self, request: ln.PayInvoiceRequest, call: Call) -> ln.PayInvoiceResponse:
        """Pay an invoice, once."""
        patience = min(call.patience_seconds(PAY_SECONDS), PAY_SECONDS)
        return ln.PayInvoiceResponse(
            preimage=(
                await self._service.paying.preimage(call.caller, request.invoice, patience)
            ).hex()
        )

    async def CheckInvoice(
        self, request: ln.CheckInvoiceRequest, _: Call
    ) -> ln.CheckInvoiceResponse:
        """Whether an invoice of this node is paid."""
        return ln.CheckInvoiceResponse(paid=await self._service.invoices.paid(request.invoice))

    async def GetChannels(self, _request: ln.GetChannelsRequest, _: Call) -> ln.GetChannelsResponse:
        """Our side of the active channels."""
        return ln.GetChannelsResponse(amt=await self._service.channels.local_msat() // MSAT_PER_SAT)

    async def ListPayments(self, _: ln.ListPaymentsRequest, call: Call) -> ln.ListPaymentsResponse:
        """The newest payments as a JSON array."""
        reports, _token = await self._service.payments.page(call.caller, "", MAX_PAGE, "")
        return ln.ListPaymentsResponse(
            payments=json.dumps([_shown(payment_message(report)) for report in reports])
        )

    async def ListInvoices(
        self, _request: ln.ListInvoicesRequest, _: Call
    ) -> ln.ListInvoicesResponse:
        """The newest invoices as a JSON array."""
        return ln.ListInvoicesResponse(
            invoices=json.dumps(
                [_invoice(invoice) for invoice in await self._service.invoices.newest()]
            )
        )

    async def Keysend(self, request: ln.KeysendRequest, call: Call) -> ln.KeysendResponse:
        """One keysend, once per request_id."""
        order = PaymentOrder(hex_bytes(request.destination, "destination"), _msat(request.amount))
        report = require_settled(
            await self._service.payments.create(
                call.caller, order, request.request_id, call.patience_seconds()
            )
        )
        payment = report.payment
        return ln.KeysendResponse(
            preimage=report.preimage.hex(),
            payment_hash=payment.payment_hash.hex(),
            fee_msat=payment.fee_msat,
        )


def _msat(amount: int) -> int:
    if amount * MSAT_PER_SAT > MAX_MSAT:
        raise InvalidArgument(f"amount is {amount} satoshis: more than all bitcoin there is")
    if amount <= 0:
        raise InvalidArgument(f"amount is {amount} satoshis: at least 1 is needed")
    return amount * MSAT_PER_SAT


def _shown(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=True)
    del found["preimage"]
    return found


def _invoice(invoice: NodeInvoice) -> dict[str, Any]:
    """64-bit integers as text, and times as RFC 3339, as in all JSON of the API."""
    times = {
        "createTime": invoice.create_time_ns,
        "expireTime": invoice.expire_time_ns,
        "settleTime": invoice.settle_time_ns,
    }
    return {
        "paymentHash": invoice.payment_hash.hex(),
        "invoice": invoice.payment_request,
        "memo": invoice.memo,
        "amountMsat": str(invoice.amount_msat),
        "paidMsat": str(invoice.paid_msat),
        "state": invoice.state.value,
        **{
            name: stamp.ToJsonString() if (stamp := timestamp(moment_ns)) else None
            for name, moment_ns in times.items()
        },
    }
