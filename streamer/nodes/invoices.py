"""lnd's invoices: made, read, looked up and listed; and what SendPaymentV2 is told to pay one.

An invoice is BOLT 11 and nothing else: the entries that lnd makes of keysends that came in are left
out. Nothing here pays, and nothing judges a payment.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc.aio import AioRpcError

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2 as router
from streamer.nodes import faults, permissions
from streamer.nodes.checks import CALL_SECONDS, ask, pass_on_cancellation
from streamer.nodes.connection import Connection
from streamer.ports import DecodedInvoice, InvoiceState, NodeInvoice
from streamer.words.errors import InvalidArgument, NodeUnavailable, StreamerError
from streamer.words.model import Payment
from streamer.words.money import SECOND_NS

MAX_PARTS = 16
"""Parts that lnd may split the payment of an invoice into: its own default, said so that it
stays.
"""

STATES = {
    ln.Invoice.OPEN: InvoiceState.OPEN,
    ln.Invoice.SETTLED: InvoiceState.SETTLED,
    ln.Invoice.CANCELED: InvoiceState.CANCELED,
    ln.Invoice.ACCEPTED: InvoiceState.ACCEPTED,
}


async def add(connection: Connection, amount_msat: int, memo: str, expiry_seconds: int) -> str:
    """AddInvoice; the payment_request. Raises InvalidArgument with lnd's words where it will not
    make it.
    """
    request = ln.Invoice(value_msat=amount_msat, memo=memo, expiry=expiry_seconds)
    made = await _judged(
        connection,
        connection.add_invoice,
        request,
        permissions.ADD_INVOICE,
        "the invoice cannot be made",
    )
    return str(made.payment_request)


async def decode(connection: Connection, payment_request: str) -> DecodedInvoice:
    """DecodePayReq. Raises InvalidArgument with lnd's words for what is no invoice of this
    network.
    """
    request = ln.PayReqString(pay_req=payment_request)
    found = await _judged(
        connection,
        connection.decode_pay_req,
        request,
        permissions.DECODE_PAY_REQ,
        "the invoice cannot be read",
    )
    return DecodedInvoice(
        destination=bytes.fromhex(found.destination),
        payment_hash=bytes.fromhex(found.payment_hash),
        amount_msat=found.num_msat,
        memo=found.description,
        create_time_ns=found.timestamp * SECOND_NS,
        expire_time_ns=(found.timestamp + found.expiry) * SECOND_NS,
    )


async def find(connection: Connection, payment_hash: bytes) -> NodeInvoice | None:
    """LookupInvoice."""
    request = ln.PaymentHash(r_hash=payment_hash)
    try:
        found = await connection.lookup_invoice(
            request, timeout=CALL_SECONDS, metadata=connection.metadata
        )
    except AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise faults.explain(error, permissions.LOOKUP_INVOICE, connection.rpcserver) from None
    except asyncio.CancelledError:
        pass_on_cancellation()
        raise NodeUnavailable(
            f"the connection to lnd at {connection.rpcserver} was closed"
        ) from None
    return _invoice(found)


async def page_before(
    connection: Connection, index: int, limit: int
) -> tuple[list[NodeInvoice], int]:
    """One page of ListInvoices, newest first, and the index to go on from; 0: there are no more."""
    request = ln.ListInvoiceRequest(index_offset=index, num_max_invoices=limit, reversed=True)
    listed = await ask(connection, connection.list_invoices, request, permissions.LIST_INVOICES)
    found = [_invoice(invoice) for invoice in reversed(listed.invoices) if invoice.payment_request]
    return found, listed.first_index_offset if listed.invoices else 0


def send_request(payment: Payment) -> router.SendPaymentRequest:
    """What pays the invoice of an intent, exactly as it was recorded.

    lnd takes an amount only for an invoice that has none. ValueError if a number is one that lnd
    reads as its own default.
    """
    if (
        payment.amount_msat <= 0
        or payment.fee_limit_msat < 0
        or payment.timeout_seconds <= 0
        or payment.cltv_limit <= 0
    ):
        raise ValueError(
            "amount, timeout and CLTV limit must be above 0, and the fee limit not below it"
        )
    return router.SendPaymentRequest(
        payment_request=payment.payment_request,
        amt_msat=0 if names_amount(payment.payment_request) else payment.amount_msat,
        fee_limit_msat=payment.fee_limit_msat,
        cltv_limit=payment.cltv_limit,
        timeout_seconds=payment.timeout_seconds,
        max_parts=MAX_PARTS,
    )


def names_amount(payment_request: str) -> bool:
    """Whether the invoice says its amount: the part before the last "1" then has digits (BOLT
    11).
    """
    return any(letter.isdigit() for letter in payment_request.rpartition("1")[0])


async def _judged(connection: Connection, method: Any, request: Any, name: str, what: str) -> Any:
    """One unary call whose refusal is the fault of what was asked, unless lnd or the macaroon is in
    the way.
    """
    try:
        return await method(request, timeout=CALL_SECONDS, metadata=connection.metadata)
    except AioRpcError as error:
        raise _fault(error, name, connection, what) from None
    except asyncio.CancelledError:
        pass_on_cancellation()
        raise NodeUnavailable(
            f"the connection to lnd at {connection.rpcserver} was closed"
        ) from None


def _fault(error: AioRpcError, name: str, connection: Connection, what: str) -> StreamerError:
    if error.code() in faults.NO_REFUSAL_CODES or faults.denied(error) or faults.not_ready(error):
        return faults.explain(error, name, connection.rpcserver)
    return InvalidArgument(f"{what}: {error.details()}")


def _invoice(found: ln.Invoice) -> NodeInvoice:
    return NodeInvoice(
        index=found.add_index,
        payment_hash=found.r_hash,
        payment_request=found.payment_request,
        memo=found.memo,
        amount_msat=found.value_msat,
        paid_msat=found.amt_paid_msat,
        state=STATES.get(found.state, InvoiceState.OPEN),
        create_time_ns=found.creation_date * SECOND_NS,
        expire_time_ns=(found.creation_date + found.expiry) * SECOND_NS,
        settle_time_ns=found.settle_date * SECOND_NS,
    )
