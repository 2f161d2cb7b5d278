"""lightning.Lightning over the wire: invoices are made, paid, checked and listed; and every refusal
has its words.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from streamer._proto.imp.api.lightning import lightning_pb2 as ln
from streamer._proto.streamer.v1 import admin_pb2, payment_pb2
from streamer.client import CallFailed
from streamer.simulator.encoding.bolt11 import Bolt11, encode
from streamer.simulator.encoding.keys import secret_scalar
from streamer.simulator.network.books import Order
from streamer.simulator.network.invoices import fill_from_invoice
from streamer.simulator.network.lightning_node import NOBODY
from streamer.words.settings import InvoiceSettings
from tests.api.house import House, in_house
from tests.api.invoicing import SECOND, call, create, hash_of, invoice_of, pay, received, refusal


def test_an_invoice_is_made_paid_by_another_and_checked() -> None:
    async def test(house: House) -> None:
        theirs = await invoice_of(house, "receiver", 2_000_000_000)
        preimage = await pay(house, theirs)
        assert hashlib.sha256(bytes.fromhex(preimage)).digest() == await hash_of(house, theirs)
        made = (
            await call(
                house, "GenerateInvoice", ln.GenerateInvoiceRequest(amount=25, memo="tea ☕")
            )
        ).invoice
        assert made.startswith("lnbcrt250n1")
        assert not (await call(house, "CheckInvoice", ln.CheckInvoiceRequest(invoice=made))).paid
        network, receiver = house.network, house.network.named["receiver"]
        order = fill_from_invoice(
            Order(b"", b"", 0, 1_000, payment_request=made), network.chain, network.now_ns // SECOND
        )
        network.submit(receiver, order, NOBODY)
        async with asyncio.timeout(10):
            while not (
                await call(house, "CheckInvoice", ln.CheckInvoiceRequest(invoice=made.upper()))
            ).paid:
                await asyncio.sleep(0.01)
        assert received(house, "payer") == [25_000]

    in_house(test)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "INVALID_ARGUMENT", "invoice is missing"),
        ("lightning:", "INVALID_ARGUMENT", "invoice is missing"),
        ("lnbcrt1garbage", "INVALID_ARGUMENT", "the invoice cannot be read: "),
        ("x" * 8_000, "INVALID_ARGUMENT", "invoice has 8000 characters: at most 7089"),
        ("\x00\x7f☕", "INVALID_ARGUMENT", "the invoice cannot be read: "),
    ],
)
def test_what_is_no_invoice_is_refused(text: str, code: str, says: str) -> None:
    async def test(house: House) -> None:
        for name, request in (
            ("PayInvoice", ln.PayInvoiceRequest(invoice=text)),
            ("CheckInvoice", ln.CheckInvoiceRequest(invoice=text)),
        ):
            with pytest.raises(CallFailed) as caught:
                await call(house, name, request)
            assert (caught.value.code, str(caught.value)[: len(says)]) == (code, says)

    in_house(test)


def test_an_invoice_that_cannot_be_paid_says_what_to_do() -> None:
    async def test(house: House) -> None:
        free = await refusal(house, await invoice_of(house, "receiver", 0))
        assert free.code == "INVALID_ARGUMENT" and "CreatePayment (amount_msat)" in str(free)
        own = (await call(house, "GenerateInvoice", ln.GenerateInvoiceRequest(amount=5))).invoice
        assert (
            str(await refusal(house, own))
            == "the invoice is our own node's: a node cannot pay itself"
        )
        expired = await invoice_of(house, "receiver", 7_000, 1)
        expires_ns = (await house.engine.node.decode_invoice(expired)).expire_time_ns
        house.clock.leap(expires_ns - house.clock.now_ns() + 1)
        refused = await refusal(house, expired)
        assert (refused.code, refused.reason) == (
            "FAILED_PRECONDITION",
            "INVOICE_EXPIRED",
        ) and "ask the receiver for a new one" in str(refused)
        foreign = Bolt11(
            "mainnet", 7_000, house.network.now_ns // SECOND, b"\x01" * 32, bytes(32), b"", 600
        )
        other = await refusal(house, encode(foreign, secret_scalar("x", "y")))
        assert (
            str(other)
            == "the invoice cannot be read: invoice not for current active network 'regtest'"
        )
        theirs = await invoice_of(house, "receiver")
        with pytest.raises(CallFailed, match="this node did not make that invoice") as caught:
            await call(house, "CheckInvoice", ln.CheckInvoiceRequest(invoice=theirs))
        assert caught.value.code == "NOT_FOUND"
        assert received(house) == []

    in_house(test)


@pytest.mark.parametrize(
    ("amount", "memo", "says"),
    [
        (0, "", "amount is 0 satoshis: at least 1 is needed"),
        (-1, "", "amount is -1 satoshis: at least 1 is needed"),
        (2**63 - 1, "", "more than all bitcoin there is"),
        (1, "☕" * 214, "memo has 642 bytes: at most 639 fit into an invoice"),
    ],
)
def test_an_invoice_that_cannot_be_made_is_refused(amount: int, memo: str, says: str) -> None:
    async def test(house: House) -> None:
        with pytest.raises(CallFailed) as caught:
            await call(
                house, "GenerateInvoice", ln.GenerateInvoiceRequest(amount=amount, memo=memo)
            )
        assert caught.value.code == "INVALID_ARGUMENT" and says in str(caught.value)

    in_house(test)


def test_while_sending_is_stopped_nothing_is_paid_but_what_was_paid_is_told() -> None:
    async def test(house: House) -> None:
        paid, unpaid = (
            await invoice_of(house, "receiver"),
            await invoice_of(house, "receiver", 8_000),
        )
        preimage = await pay(house, paid)
        await house.client.call(house.client.admin.StopSending, admin_pb2.StopSendingRequest())
        assert await pay(house, paid) == preimage
        stopped = await refusal(house, unpaid)
        assert stopped.code == "FAILED_PRECONDITION" and "sending is stopped (OPERATOR)" in str(
            stopped
        )
        await house.client.call(house.client.admin.StartSending, admin_pb2.StartSendingRequest())
        await pay(house, unpaid)
        assert received(house) == [7_000, 8_000]

    in_house(test)


def test_while_the_node_is_away_what_was_paid_is_told_and_the_rest_is_unavailable() -> None:
    async def test(house: House) -> None:
        paid, unpaid = await invoice_of(house, "receiver"), await invoice_of(house, "receiver")
        preimage = await pay(house, paid)
        house.simulation.faults.take_down("payer")
        assert await pay(house, paid) == preimage
        assert (await refusal(house, unpaid)).code == "UNAVAILABLE"
        with pytest.raises(CallFailed) as caught:
            await call(house, "GenerateInvoice", ln.GenerateInvoiceRequest(amount=5))
        assert caught.value.code == "UNAVAILABLE"

    in_house(test)


def test_the_spend_limit_bounds_invoices_with_their_fees() -> None:
    async def test(house: House) -> None:
        await pay(house, await invoice_of(house, "receiver", 94_000))
        refused = await refusal(house, await invoice_of(house, "receiver", 2_000))
        assert refused.code == "FAILED_PRECONDITION" and "SPEND_LIMIT" in str(refused)
        assert received(house) == [94_000]

    in_house(test, limit_msat=100_000)


def test_the_fee_limit_is_the_configurations_or_the_calls() -> None:
    async def test(house: House) -> None:
        settings = InvoiceSettings(fee_floor_msat=2_000, fee_limit_ppm=20_000)
        house.service.paying._settings = settings
        small, large = (
            await invoice_of(house, "receiver", 50_000),
            await invoice_of(house, "receiver", 1_000_000),
        )
        assert (await create(house, payment_request=small)).fee_limit_msat == 2_000
        assert (await create(house, payment_request=large)).fee_limit_msat == 20_000
        own = await create(
            house, payment_request=await invoice_of(house, "receiver"), fee_limit_msat=77
        )
        assert own.fee_limit_msat == 77
        with pytest.raises(CallFailed, match="fee_limit_msat is 0: at least 1"):
            await create(
                house, payment_request=await invoice_of(house, "receiver"), fee_limit_msat=0
            )

    in_house(test)


def test_a_payment_of_an_invoice_by_streamer_v1() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        paid = await create(house, payment_request=invoice, request_id="r1")
        assert (paid.state, paid.amount_msat, paid.payment_request) == (
            payment_pb2.Payment.SETTLED,
            7_000,
            invoice,
        )
        assert paid.preimage == await pay(house, invoice)
        again = await create(house, payment_request=invoice.upper(), request_id="r1")
        other = await create(house, payment_request=invoice, request_id="r2")
        assert {again.id, other.id} == {paid.id}
        with pytest.raises(CallFailed, match="with other content") as caught:
            await create(
                house, payment_request=await invoice_of(house, "receiver"), request_id="r2"
            )
        assert caught.value.code == "ALREADY_EXISTS"
        shown = await house.client.call(
            house.client.payments.GetPayment, payment_pb2.GetPaymentRequest(id=paid.id)
        )
        assert (shown.payment_request, shown.preimage, shown.destination) == (
            invoice,
            "",
            house.pubkey("receiver"),
        )
        assert received(house) == [7_000]

    in_house(test)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"destination": "00" * 33},
            "destination is for a keysend, and payment_request for an invoice",
        ),
        ({"tlv_records": [payment_pb2.TlvRecord(type=70_000)]}, "tlv_records is for a keysend"),
        (
            {"amount_msat": 6_999},
            "amount_msat is 6,999 msat, and the invoice asks for 7 sat: leave it out",
        ),
        ({"request_id": "r" * 129}, "request_id has 129 characters"),
        ({"node": "nowhere"}, "no node 'nowhere' is configured"),
    ],
)
def test_what_does_not_go_with_an_invoice_is_refused(fields: dict[str, Any], says: str) -> None:
    async def test(house: House) -> None:
        with pytest.raises(CallFailed) as caught:
            await create(house, payment_request=await invoice_of(house, "receiver"), **fields)
        assert caught.value.code == "INVALID_ARGUMENT" and says in str(caught.value)
        assert received(house) == []

    in_house(test)


def test_an_invoice_without_an_amount_is_paid_what_is_said() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver", 0)
        with pytest.raises(CallFailed, match="more than all bitcoin"):
            await create(house, payment_request=invoice, amount_msat=2**63 - 1)
        with pytest.raises(CallFailed, match="is negative"):
            await create(house, payment_request=invoice, amount_msat=-5)
        paid = await create(house, payment_request=invoice, amount_msat=9_001)
        assert (paid.amount_msat, received(house)) == (9_001, [9_001])
        assert await pay(house, invoice) == paid.preimage

    in_house(test)


def test_channels_and_the_lists() -> None:
    async def test(house: House) -> None:
        before = (await call(house, "GetChannels", ln.GetChannelsRequest())).amt
        assert 199_000_000 < before <= 200_000_000
        assert (
            json.loads((await call(house, "ListPayments", ln.ListPaymentsRequest())).payments) == []
        )
        assert (
            json.loads((await call(house, "ListInvoices", ln.ListInvoicesRequest())).invoices) == []
        )
        invoice = await invoice_of(house, "receiver")
        preimage = await pay(house, invoice)
        sent = await call(
            house,
            "Keysend",
            ln.KeysendRequest(destination=house.pubkey("other"), amount=3, request_id="k"),
        )
        newest, older = json.loads(
            (await call(house, "ListPayments", ln.ListPaymentsRequest())).payments
        )
        assert (older["paymentRequest"], older["amountMsat"], older["state"]) == (
            invoice,
            "7000",
            "SETTLED",
        )
        assert (newest["paymentHash"], newest["amountMsat"]) == (sent.payment_hash, "3000")
        assert "preimage" not in older and preimage not in json.dumps(older)
        made = (
            await call(
                house, "GenerateInvoice", ln.GenerateInvoiceRequest(amount=25, memo="tea ☕")
            )
        ).invoice
        [listed] = json.loads(
            (await call(house, "ListInvoices", ln.ListInvoicesRequest())).invoices
        )
        assert (listed["invoice"], listed["memo"], listed["amountMsat"], listed["paidMsat"]) == (
            made,
            "tea ☕",
            "25000",
            "0",
        )
        assert (listed["state"], listed["settleTime"]) == ("OPEN", None) and listed[
            "expireTime"
        ] > listed["createTime"]
        assert (await call(house, "GetChannels", ln.GetChannelsRequest())).amt == before - 10

    in_house(test)


def test_a_keysend_in_satoshis_needs_a_request_id_and_pays_once() -> None:
    async def test(house: House) -> None:
        request = ln.KeysendRequest(destination=house.pubkey("receiver"), amount=3)
        with pytest.raises(
            CallFailed, match="request_id is missing: without it a retry would pay again"
        ):
            await call(house, "Keysend", request)
        request.request_id = "k1"
        replies = await asyncio.gather(*(call(house, "Keysend", request) for _ in range(5)))
        assert len({reply.preimage for reply in replies}) == 1
        assert (
            hashlib.sha256(bytes.fromhex(replies[0].preimage)).hexdigest()
            == replies[0].payment_hash
        )
        assert received(house) == [3_000]
        house.network.named["other"].keysend = False
        with pytest.raises(CallFailed) as caught:
            await call(
                house,
                "Keysend",
                ln.KeysendRequest(destination=house.pubkey("other"), amount=3, request_id="k2"),
            )
        assert (caught.value.code, caught.value.reason) == (
            "FAILED_PRECONDITION",
            "RECEIVER_REJECTED",
        )
        for wrong in (0, -3, 2**63 - 1):
            with pytest.raises(CallFailed, match="satoshis"):
                await call(
                    house,
                    "Keysend",
                    ln.KeysendRequest(
                        destination=house.pubkey("other"), amount=wrong, request_id="k3"
                    ),
                )

    in_house(test)
