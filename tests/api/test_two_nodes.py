"""Invoices at a daemon with two nodes: whichever is named, one is paid once, and one of either's is
checked.
"""

from __future__ import annotations

import asyncio

from streamer._proto.imp.api.lightning import lightning_pb2 as ln
from streamer.simulator.network.books import Failure, Order
from streamer.simulator.network.invoices import fill_from_invoice
from streamer.simulator.network.lightning_node import NOBODY
from streamer.words.model import PaymentState
from tests.api.house import House, in_house
from tests.api.invoicing import (
    SECOND,
    attempts,
    call,
    create,
    invoice_of,
    pay,
    received,
    refusal,
    spent,
)

PAYERS = ("payer", "second")


def pay_at(house: House, name: str, invoice: str) -> None:
    """A call at the node that is none of ours: a ghost, or somebody else's."""
    network = house.network
    order = fill_from_invoice(
        Order(b"", b"", 0, 5_000, payment_request=invoice), network.chain, network.now_ns // SECOND
    )
    network.submit(network.named[name], order, NOBODY)


async def until_received(house: House) -> None:
    async with asyncio.timeout(10):
        while not received(house):
            await asyncio.sleep(0.01)


def test_an_invoice_that_is_named_to_both_nodes_at_once_is_paid_by_one() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        paid = await asyncio.gather(
            *(create(house, payment_request=invoice, node=name) for name in PAYERS * 4)
        )
        assert (
            len({payment.id for payment in paid})
            == len({payment.preimage for payment in paid})
            == 1
        )
        assert {
            await pay(house, invoice),
            (await create(house, payment_request=invoice, node="second")).preimage,
        } == {paid[0].preimage}
        assert (
            received(house) == [7_000]
            and len(await attempts(house, invoice)) == 1
            and spent(house) == 7_000
        )

    in_house(test, payers=PAYERS)


def test_one_that_failed_at_a_node_is_paid_by_another_once() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        house.simulation.faults.fail_randomly("payer", 1.0, Failure.NO_ROUTE)
        assert (await refusal(house, invoice)).reason == "NO_ROUTE"
        paid = await create(house, payment_request=invoice, node="second")
        assert paid.preimage == await pay(house, invoice)
        assert [(attempt.node, attempt.state) for attempt in await attempts(house, invoice)] == [
            ("second", PaymentState.SETTLED),
            ("payer", PaymentState.FAILED),
        ]
        assert received(house) == [7_000]

    in_house(test, payers=PAYERS)


def test_a_failed_attempt_that_was_executed_after_all_is_known_whichever_node_is_named() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        for name in PAYERS:
            house.simulation.faults.fail_randomly(name, 1.0, Failure.TIMEOUT)
            await create(house, payment_request=invoice, node=name)
            house.simulation.faults.fail_randomly(name, 0.0)
        pay_at(house, "payer", invoice)
        await until_received(house)
        paid = await create(house, payment_request=invoice, node="second")
        assert paid.preimage and received(house) == [7_000] and spent(house) == 7_000
        assert {(attempt.node, attempt.state) for attempt in await attempts(house, invoice)} == {
            ("payer", PaymentState.SETTLED),
            ("second", PaymentState.FAILED),
        }

    in_house(test, payers=PAYERS)


def test_what_somebody_else_pays_at_one_node_is_not_paid_by_the_other() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        house.simulation.faults.hold("receiver")
        pay_at(house, "second", invoice)
        pending = await refusal(house, invoice)
        assert pending.reason == "PAYMENT_PENDING" and "at the node second itself" in str(pending)
        house.simulation.faults.release("receiver")
        await until_received(house)
        assert await pay(house, invoice) and received(house) == [7_000] and spent(house) == 0

    in_house(test, payers=PAYERS)


def test_a_node_that_is_down_keeps_no_invoice_from_the_other() -> None:
    async def test(house: House) -> None:
        house.simulation.faults.take_down("second")
        invoice = await invoice_of(house, "receiver")
        assert await pay(house, invoice) and received(house) == [7_000]

    in_house(test, payers=PAYERS)


def test_an_invoice_of_either_node_is_checked_at_the_one_that_made_it() -> None:
    async def test(house: House) -> None:
        made = (await call(house, "GenerateInvoice", ln.GenerateInvoiceRequest(amount=7))).invoice
        other = await invoice_of(house, "second")
        for invoice in (made, other):
            assert not (
                await call(house, "CheckInvoice", ln.CheckInvoiceRequest(invoice=invoice))
            ).paid
        named = house.network.named
        house.network.open_channel(named["receiver"], named["second"], 1_000_000)
        pay_at(house, "receiver", other)
        async with asyncio.timeout(10):
            while not (
                await call(house, "CheckInvoice", ln.CheckInvoiceRequest(invoice=other))
            ).paid:
                await asyncio.sleep(0.01)
        assert not (await call(house, "CheckInvoice", ln.CheckInvoiceRequest(invoice=made))).paid

    in_house(test, payers=PAYERS)
