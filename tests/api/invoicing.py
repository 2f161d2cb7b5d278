"""What tests of invoices share: calls, refusals, invoices of other nodes, and what the books
say.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamer._proto.imp.api.lightning import lightning_pb2 as ln
from streamer._proto.streamer.v1 import payment_pb2
from streamer.client import CallFailed
from streamer.simulator.node import SimulatedNode
from streamer.words.model import Payment, PaymentQuery
from tests.api.house import House

SECOND = 10**9


async def call(house: House, name: str, request: Any, seconds: float = 30.0) -> Any:
    return await house.client.call(getattr(house.client.lightning, name), request, seconds)


async def pay(house: House, invoice: str, seconds: float = 30.0) -> str:
    preimage: str = (
        await call(house, "PayInvoice", ln.PayInvoiceRequest(invoice=invoice), seconds)
    ).preimage
    return preimage


async def refusal(house: House, invoice: str, seconds: float = 30.0) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await pay(house, invoice, seconds)
    return caught.value


async def create(house: House, seconds: float = 30.0, **fields: Any) -> payment_pb2.Payment:
    request = payment_pb2.CreatePaymentRequest(**fields)
    made: payment_pb2.Payment = await house.client.call(
        house.client.payments.CreatePayment, request, seconds
    )
    return made


async def invoice_of(
    house: House, name: str, amount_msat: int = 7_000, expiry_seconds: int = 600
) -> str:
    return await SimulatedNode(house.simulation, name).add_invoice(
        amount_msat, "tea", expiry_seconds
    )


async def hash_of(house: House, invoice: str) -> bytes:
    return (await house.engine.node.decode_invoice(invoice)).payment_hash


def received(house: House, name: str = "receiver") -> list[int]:
    return [htlc.amount_msat for htlc in house.network.named[name].received]


async def attempts(house: House, invoice: str) -> list[Payment]:
    """Newest first, as the journal has them."""
    return await house.store.payments(PaymentQuery(payment_hash=await hash_of(house, invoice)))


def spent(house: House) -> int:
    return house.engine.book.budgets.spend_limit.spent_msat
