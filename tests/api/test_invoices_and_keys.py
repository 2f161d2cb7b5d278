"""Invoices with API keys: whom a key pays, how much, what it is told; another key's payment is
neither told nor made again.
"""

from __future__ import annotations

import asyncio
from typing import Any

from streamer._proto.imp.api.lightning import lightning_pb2 as ln
from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2
from streamer.client import Client
from streamer.simulator.network.books import Failure
from streamer.simulator.network.invoices import Wanted, add_invoice
from tests.api.house import House, in_house
from tests.api.test_keys import refused

PAYS = ("payments:write", "payments:read")


def invoice_of(house: House, name: str, amount_msat: int = 7_000) -> str:
    return add_invoice(
        house.network, house.network.named[name], Wanted(amount_msat)
    ).payment_request


async def pay(client: Client, invoice: str) -> str:
    preimage: str = (
        await client.call(client.lightning.PayInvoice, ln.PayInvoiceRequest(invoice=invoice), 30)
    ).preimage
    return preimage


async def create(client: Client, invoice: str, **fields: Any) -> payment_pb2.Payment:
    request = payment_pb2.CreatePaymentRequest(payment_request=invoice, **fields)
    paid: payment_pb2.Payment = await client.call(client.payments.CreatePayment, request, 30)
    return paid


def received(house: House, name: str = "receiver") -> int:
    return sum(htlc.amount_msat for htlc in house.network.named[name].received)


def test_a_leaked_key_pays_no_invoice_of_the_thief() -> None:
    async def test(house: House) -> None:
        _, text = await house.key(*PAYS, destinations=[house.pubkey("receiver")])
        async with house.as_key(text) as mine:
            theirs = invoice_of(house, "other")
            for call in (pay(mine, theirs), create(mine, theirs)):
                assert (await refused(call))[:2] == ("PERMISSION_DENIED", "DESTINATION_NOT_ALLOWED")
            assert await pay(mine, invoice_of(house, "receiver"))
        assert (received(house), received(house, "other")) == (7_000, 0)

    in_house(test)


def test_another_keys_payment_is_not_told_and_not_made_again() -> None:
    async def test(house: House) -> None:
        (_, one), (_, two) = await house.key(*PAYS), await house.key(*PAYS)
        invoice = invoice_of(house, "receiver")
        async with house.as_key(one) as mine, house.as_key(two) as other:
            paid = await create(mine, invoice, request_id="r")
            for call in (
                pay(other, invoice),
                create(other, invoice),
                create(other, invoice, request_id="r"),
            ):
                code, reason, words = await refused(call)
                assert (code, reason) == (
                    "PERMISSION_DENIED",
                    "KEY_OTHER",
                ) and paid.preimage not in words
            assert await pay(mine, invoice) == paid.preimage == await pay(house.client, invoice), (
                "the admin sees all"
            )
            [listed] = (
                await mine.call(mine.payments.ListPayments, payment_pb2.ListPaymentsRequest())
            ).payments
            assert (listed.id, listed.payment_request) == (paid.id, invoice)
            assert not (
                await other.call(other.payments.ListPayments, payment_pb2.ListPaymentsRequest())
            ).payments
        assert received(house) == 7_000

    in_house(test)


def test_what_one_key_failed_to_pay_another_may_pay_from_its_own_budget() -> None:
    async def test(house: House) -> None:
        (_, one), (key, two) = (
            await house.key(*PAYS),
            await house.key(*PAYS, budget=stream_pb2.Budget(amount_msat=50_000, period="total")),
        )
        invoice = invoice_of(house, "receiver")
        async with house.as_key(one) as mine, house.as_key(two) as other:
            house.simulation.faults.fail_randomly("payer", 1.0, Failure.NO_ROUTE)
            assert (await refused(pay(mine, invoice)))[1] == "NO_ROUTE"
            house.simulation.faults.fail_randomly("payer", 0.0)
            await pay(other, invoice)
            assert (await refused(pay(mine, invoice)))[1] == "KEY_OTHER"
        [found] = [
            k
            for k in (
                await house.client.call(house.client.admin.ListKeys, admin_pb2.ListKeysRequest())
            ).keys
            if k.id == key.id
        ]
        assert (found.spent_msat, received(house)) == (7_000, 7_000)

    in_house(test)


def test_a_keys_budget_holds_under_many_invoices_at_once_to_the_msat() -> None:
    async def test(house: House) -> None:
        _, text = await house.key(
            *PAYS, budget=stream_pb2.Budget(amount_msat=100_000, period="total")
        )
        async with house.as_key(text) as mine:
            calls = [
                create(mine, invoice_of(house, "receiver", 10_000), fee_limit_msat=10_000)
                for _ in range(30)
            ]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            paid = [end for end in ends if isinstance(end, payment_pb2.Payment)]
            assert {getattr(end, "code", "") for end in ends if isinstance(end, Exception)} == {
                "RESOURCE_EXHAUSTED"
            }
            assert 5 <= len(paid) <= 9 and received(house) == 10_000 * len(paid)
            left = 100_000 - received(house) - 1
            await create(mine, invoice_of(house, "receiver", left), fee_limit_msat=1)
            assert (
                await refused(create(mine, invoice_of(house, "receiver", 1_000), fee_limit_msat=1))
            )[0] == "RESOURCE_EXHAUSTED"
            assert received(house) == 99_999

    in_house(test)


def test_a_key_without_the_scope_makes_pays_and_checks_nothing() -> None:
    async def test(house: House) -> None:
        _, reads = await house.key("invoices:read")
        _, writes = await house.key("invoices:write")
        async with house.as_key(reads) as reader, house.as_key(writes) as maker:
            made = (
                await maker.call(
                    maker.lightning.GenerateInvoice, ln.GenerateInvoiceRequest(amount=5)
                )
            ).invoice
            assert not (
                await reader.call(
                    reader.lightning.CheckInvoice, ln.CheckInvoiceRequest(invoice=made)
                )
            ).paid
            for call in (
                reader.call(reader.lightning.GenerateInvoice, ln.GenerateInvoiceRequest(amount=5)),
                maker.call(maker.lightning.CheckInvoice, ln.CheckInvoiceRequest(invoice=made)),
                pay(reader, invoice_of(house, "receiver")),
                pay(maker, invoice_of(house, "receiver")),
                maker.call(
                    maker.lightning.Keysend,
                    ln.KeysendRequest(
                        destination=house.pubkey("receiver"), amount=3, request_id="k"
                    ),
                ),
            ):
                assert (await refused(call))[0] == "PERMISSION_DENIED"
        assert received(house) == 0

    in_house(test)
