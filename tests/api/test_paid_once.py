"""An invoice is paid once, whoever asks and however often, and who asks again is told."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from streamer._proto.imp.api.lightning import lightning_pb2 as ln
from streamer._proto.streamer.v1 import payment_pb2
from streamer.core import ends
from streamer.core.payment import Event
from streamer.simulator.encoding.bolt11 import Bolt11, encode
from streamer.simulator.encoding.keys import secret_scalar
from streamer.simulator.network.books import Failure, Order
from streamer.simulator.network.invoices import fill_from_invoice
from streamer.simulator.network.lightning_node import NOBODY, CallFate
from streamer.words.model import Answer, Kind
from tests.api.house import House, in_house
from tests.api.invoicing import (
    SECOND,
    attempts,
    call,
    create,
    hash_of,
    invoice_of,
    pay,
    received,
    refusal,
    spent,
)


def test_the_same_invoice_is_paid_once_by_two_at_once_and_again_later() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        preimages = await asyncio.gather(
            *(
                pay(house, text)
                for text in (invoice, f"lightning:{invoice}", invoice.upper(), f" {invoice}\n")
            )
        )
        assert {*preimages, await pay(house, invoice)} == {preimages[0]}
        assert received(house) == [7_000]
        assert len(await attempts(house, invoice)) == 1
        assert spent(house) == 7_000

    in_house(test)


def test_it_is_paid_once_even_when_the_first_caller_leaves_and_the_reply_is_lost() -> None:
    async def test(house: House) -> None:
        house.simulation.faults.hold("receiver")
        invoice = await invoice_of(house, "receiver")
        first = await refusal(house, invoice, 2.5)
        payment_hash = (await hash_of(house, invoice)).hex()
        assert (first.code, first.reason) == ("DEADLINE_EXCEEDED", "PAYMENT_PENDING")
        assert str(first).startswith("PAYMENT_PENDING: payment pay_") and payment_hash in str(first)
        assert str(first).endswith("call again: it never pays twice") and "fail" not in str(first)
        by_http = await house.http.post(
            "/v1/lightning/payinvoice", json={"invoice": invoice}, headers={"Grpc-Timeout": "2500m"}
        )
        assert (by_http.status_code, by_http.json()["code"], by_http.json()["message"]) == (
            504,
            4,
            str(first),
        )
        house.simulation.faults.release("receiver")
        preimage = await pay(house, invoice)
        assert hashlib.sha256(bytes.fromhex(preimage)).hexdigest() == payment_hash
        assert received(house) == [7_000] and spent(house) == 7_000

    in_house(test)


@pytest.mark.parametrize("fate", [CallFate.ACCEPTED, CallFate.NEVER, CallFate.LATE])
def test_a_lost_reply_is_resolved_by_hash(fate: CallFate) -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        house.simulation.faults.lose_calls("payer", 1, fate, SECOND // 5)
        preimage = await pay(house, invoice)
        assert hashlib.sha256(bytes.fromhex(preimage)).digest() == await hash_of(house, invoice)
        assert received(house) == [7_000] and spent(house) == 7_000
        assert len(await attempts(house, invoice)) == 1

    in_house(test)


def test_what_was_not_paid_says_why_and_may_be_paid_in_a_new_attempt() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        house.simulation.faults.fail_randomly("payer", 1.0, Failure.NO_ROUTE)
        failed = await refusal(house, invoice)
        assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "NO_ROUTE")
        assert str(failed).startswith("not paid: no route to the receiver was found")
        house.simulation.faults.fail_randomly("payer", 0.0)
        preimage = await pay(house, invoice)
        second, first = await attempts(house, invoice)
        assert (first.state, first.preimage, second.state, second.preimage.hex()) == (
            "FAILED",
            b"",
            "SETTLED",
            preimage,
        )
        assert first.id != second.id and received(house) == [7_000] and spent(house) == 7_000

    in_house(test)


def test_a_failed_attempt_that_was_executed_after_all_is_not_paid_again() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        house.simulation.faults.fail_randomly("payer", 1.0, Failure.TIMEOUT)
        assert (await refusal(house, invoice)).reason == "TIMEOUT"
        house.simulation.faults.fail_randomly("payer", 0.0)
        # a ghost of the first call
        network = house.network
        order = fill_from_invoice(
            Order(b"", b"", 0, 5_000, payment_request=invoice),
            network.chain,
            network.now_ns // SECOND,
        )
        network.submit(network.named["payer"], order, NOBODY)
        async with asyncio.timeout(10):
            while not received(house):
                await asyncio.sleep(0.01)
        preimages = await asyncio.gather(*(pay(house, invoice) for _ in range(3)))
        assert len(set(preimages)) == 1 and received(house) == [7_000]
        [late] = await attempts(house, invoice)
        assert (late.state, late.preimage.hex(), spent(house)) == ("SETTLED", preimages[0], 7_000)

    in_house(test)


def test_what_somebody_else_paid_at_the_node_is_not_paid_again_nor_charged() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        network = house.network
        order = fill_from_invoice(
            Order(b"", b"", 0, 5_000, payment_request=invoice),
            network.chain,
            network.now_ns // SECOND,
        )
        house.simulation.faults.hold("receiver")
        network.submit(network.named["payer"], order, NOBODY)
        pending = await refusal(house, invoice)
        assert (pending.code, pending.reason) == ("DEADLINE_EXCEEDED", "PAYMENT_PENDING")
        house.simulation.faults.release("receiver")
        async with asyncio.timeout(10):
            while not received(house):
                await asyncio.sleep(0.01)
        preimage = await pay(house, invoice)
        assert hashlib.sha256(bytes.fromhex(preimage)).digest() == await hash_of(house, invoice)
        assert (
            received(house) == [7_000]
            and spent(house) == 0
            and await attempts(house, invoice) == []
        )
        shown = await create(house, payment_request=invoice)
        assert (shown.state, shown.id, shown.preimage, shown.amount_msat) == (
            payment_pb2.Payment.SETTLED,
            "",
            preimage,
            7_000,
        )

    in_house(test)


def other_with_its_hash(house: House, payment_hash: bytes, amount_msat: int) -> str:
    invoice = Bolt11(
        house.network.chain,
        amount_msat,
        house.network.now_ns // SECOND,
        payment_hash,
        bytes(32),
        b"again",
        600,
    )
    return encode(invoice, secret_scalar(str(house.network.seed), "receiver"))


def test_another_invoice_with_a_hash_that_was_paid_is_not_taken_for_paid() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        await pay(house, invoice)
        refused = await refusal(
            house, other_with_its_hash(house, await hash_of(house, invoice), 9_000_000)
        )
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "HASH_REUSED")
        keysend = ln.KeysendRequest(destination=house.pubkey("receiver"), amount=3, request_id="k")
        sent = await call(house, "Keysend", keysend)
        refused = await refusal(
            house, other_with_its_hash(house, bytes.fromhex(sent.payment_hash), 9_000_000)
        )
        assert refused.reason == "HASH_REUSED" and "is not paid" in str(refused)
        assert sum(received(house)) == 10_000

    in_house(test)


def test_a_request_id_shows_its_own_attempt_again_even_if_it_failed() -> None:
    async def test(house: House) -> None:
        invoice = await invoice_of(house, "receiver")
        house.simulation.faults.fail_randomly("payer", 1.0, Failure.NO_ROUTE)
        failed = await create(house, payment_request=invoice, request_id="r1")
        house.simulation.faults.fail_randomly("payer", 0.0)
        again = await create(house, payment_request=invoice, request_id="r1")
        assert (again.id, again.state) == (failed.id, payment_pb2.Payment.FAILED)
        paid = await create(house, payment_request=invoice, request_id="r2")
        assert (paid.state, received(house)) == (payment_pb2.Payment.SETTLED, [7_000])

    in_house(test)


def test_a_written_off_invoice_is_not_paid_again_and_tells_its_preimage_if_the_node_does() -> None:
    async def test(house: House) -> None:
        house.simulation.faults.hold("receiver")
        invoice = await invoice_of(house, "receiver")
        await refusal(house, invoice, 2.5)
        [payment] = house.engine.book.payments.values()
        house.engine.defer(
            lambda now_ns, facts: (
                ends.resolve(
                    house.engine.book, payment, Event.WRITE_OFF, Answer(Kind.LOST), now_ns, facts
                )
                and None
            )
        )
        await house.engine.turn()
        refused = await refusal(house, invoice)
        assert (refused.code, refused.reason) == (
            "FAILED_PRECONDITION",
            "WRITTEN_OFF",
        ) and "there is no preimage" in str(refused)
        house.simulation.faults.release("receiver")
        async with asyncio.timeout(10):
            while not received(house):
                await asyncio.sleep(0.01)
        assert (
            hashlib.sha256(bytes.fromhex(await pay(house, invoice))).digest()
            == payment.payment_hash
        )
        assert received(house) == [7_000]

    in_house(test)
