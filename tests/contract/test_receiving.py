"""What the payee's node says of keysends and invoices: raw answers, the same on both worlds."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import lightning_pb2_grpc
from streamer.ports import Kind
from tests.contract.worlds import ANSWER_SECONDS, Stage, World

PATIENCE = 30.0


def test_a_keysend_becomes_an_invoice(world: World) -> None:
    async def scene(stage: Stage) -> None:
        payment, preimage = stage.keysend(amount_msat=4_321)
        assert (await stage.node.send(payment, preimage, PATIENCE)).kind is Kind.SETTLED
        invoice = await stage.ask(
            stage.receiver, "LookupInvoice", ln.PaymentHash(r_hash=payment.payment_hash)
        )
        assert invoice.is_keysend
        assert (invoice.state, invoice.value_msat, invoice.amt_paid_msat, invoice.memo) == (
            ln.Invoice.SETTLED,
            4_321,
            4_321,
            "",
        )
        assert invoice.r_preimage == preimage

    world.play(scene)


def test_a_subscriber_gets_what_came_after_its_index_then_each_keysend_twice(world: World) -> None:
    async def scene(stage: Stage) -> None:
        indexes = [(await invoice_of(stage)).add_index for _ in range(2)]
        stub = lightning_pb2_grpc.LightningStub(stage.channel(stage.receiver))
        request = ln.InvoiceSubscription(add_index=indexes[0])
        call = stub.SubscribeInvoices(
            request, metadata=stage.metadata(stage.receiver), timeout=ANSWER_SECONDS
        )
        assert (await call.read()).add_index == indexes[1]
        payment, preimage = stage.keysend()
        assert (await stage.node.send(payment, preimage, PATIENCE)).kind is Kind.SETTLED
        events: list[ln.Invoice] = []
        while len(events) < 2:
            event = await asyncio.wait_for(call.read(), ANSWER_SECONDS)
            if event.r_hash == payment.payment_hash:
                events.append(event)
        assert [(event.state, len(event.htlcs)) for event in events] == [
            (ln.Invoice.OPEN, 0),
            (ln.Invoice.SETTLED, 1),
        ]
        call.cancel()

    world.play(scene)


def test_an_unknown_invoice(world: World) -> None:
    async def scene(stage: Stage) -> None:
        code, text = await stage.refusal(
            stage.receiver, "LookupInvoice", ln.PaymentHash(r_hash=b"u" * 32)
        )
        assert code == "NOT_FOUND"
        assert text in {"unable to locate invoice", "there are no existing invoices"}

    world.play(scene)


@pytest.mark.parametrize(
    ("invoice", "says"),
    [
        (ln.Invoice(value_msat=-1), "amount cannot be negative"),
        (
            ln.Invoice(memo="x" * 700, value_msat=1000),
            "data length too big to fit within 10 bits: 1120",
        ),
    ],
)
def test_invoices_that_are_refused(world: World, invoice: ln.Invoice, says: str) -> None:
    async def scene(stage: Stage) -> None:
        code, text = await stage.refusal(stage.receiver, "AddInvoice", invoice)
        assert code == "UNKNOWN"
        assert says in text

    world.play(scene)


def test_paying_invoices(world: World) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.ask(
            stage.receiver, "AddInvoice", ln.Invoice(value_msat=6_000, memo="tea")
        )
        decoded = await stage.ask(
            stage.payer, "DecodePayReq", ln.PayReqString(pay_req=made.payment_request)
        )
        assert (decoded.destination, decoded.num_msat, decoded.description) == (
            stage.receiver.pubkey.hex(),
            6_000,
            "tea",
        )
        assert (await pay(stage, made.payment_request))[:1] == ["SUCCEEDED"]
        assert await pay(stage, made.payment_request) == [
            "ALREADY_EXISTS",
            "invoice is already paid",
        ]
        assert len(await stage.received(made.r_hash)) == 1

    world.play(scene)


def test_amounts_of_invoices(world: World) -> None:
    async def scene(stage: Stage) -> None:
        fixed = await stage.ask(stage.receiver, "AddInvoice", ln.Invoice(value_msat=6_000))
        openly = await stage.ask(stage.receiver, "AddInvoice", ln.Invoice())
        says = "amount must not be specified when paying a non-zero amount invoice"
        assert await pay(stage, fixed.payment_request, 6_000) == ["UNKNOWN", says]
        assert await pay(stage, openly.payment_request) == [
            "UNKNOWN",
            "amount must be specified when paying a zero amount invoice",
        ]
        assert (await pay(stage, openly.payment_request, 7_000))[:1] == ["SUCCEEDED"]

    world.play(scene)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lnbcrtgarbage", "invalid"),
        (
            "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpuaztrnwngzn3kdzw5hydlzf03qdgm"
            "2hdq27cqv3agm2awhz5se903vruatfhq77w3ls4evs3ch9zw97j25emudupq63nyw24cg27h2rspfj9srp",
            "invoice not for current active network 'regtest'",
        ),
    ],
    ids=["garbage", "mainnet"],
)
def test_invoices_that_are_none(world: World, text: str, says: str) -> None:
    async def scene(stage: Stage) -> None:
        code, words = await pay(stage, text)
        assert code == "UNKNOWN"
        assert says in words

    world.play(scene)


async def invoice_of(stage: Stage) -> ln.Invoice:
    """The receiver's invoice of a keysend that was just paid."""
    payment, preimage = stage.keysend()
    assert (await stage.node.send(payment, preimage, PATIENCE)).kind is Kind.SETTLED
    found: ln.Invoice = await stage.ask(
        stage.receiver, "LookupInvoice", ln.PaymentHash(r_hash=payment.payment_hash)
    )
    return found


async def pay(stage: Stage, payment_request: str, amount_msat: int | None = None) -> list[str]:
    """The last status of paying an invoice, or the code and text of the refusal."""
    cleared = dict.fromkeys(
        ("dest", "payment_hash", "dest_custom_records", "dest_features", "max_parts", "cltv_limit")
    )
    sent, preimage = stage.keysend()
    raw = await stage.raw_send(
        sent, preimage, **cleared, amt_msat=amount_msat, payment_request=payment_request
    )
    if raw.code is not grpc.StatusCode.OK:
        return [raw.code.name, raw.text]
    return raw.statuses[-1:]
