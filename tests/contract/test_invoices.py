"""Invoices at a node: made, read, looked up, listed and paid; and what lnd refuses."""

from __future__ import annotations

import asyncio
import hashlib
import time

import pytest

from streamer.nodes import permissions
from streamer.nodes.lnd import LndNode
from streamer.ports import InvoiceState, Kind
from streamer.words.errors import InvalidArgument, NodeRejected
from streamer.words.model import Payment
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from tests.contract.worlds import Party, Stage, World
from tests.nodes.tiny import intent

PATIENCE = 30.0
PAID_WITHIN_SECONDS = 5
"""So long an invoice lives that is to be paid before it expires, and waited for."""
CLOCKS_NS = 120 * SECOND_NS
"""How far a node's clock may be from ours, and how long a loaded machine may take."""


class Receiver:
    """The receiver's node, as the one who makes invoices."""

    def __init__(self, party: Party) -> None:
        self.node: LndNode = party.node()

    async def __aenter__(self) -> LndNode:
        await self.node.open()
        return self.node

    async def __aexit__(self, *error: object) -> None:
        await self.node.close()


async def attempt(stage: Stage, invoice: str, **changes: object) -> Payment:
    """The intent that pays an invoice."""
    found = await stage.node.decode_invoice(invoice)
    amount_msat = found.amount_msat or 9_000
    given = {
        "destination": found.destination,
        "payment_hash": found.payment_hash,
        "amount_msat": amount_msat,
    }
    return intent(**{**given, "records": b"", "payment_request": invoice, **changes})


def test_an_invoice_is_made_read_paid_and_found_settled(world: World) -> None:
    async def scene(stage: Stage) -> None:
        async with Receiver(stage.receiver) as receiver:
            invoice = await receiver.add_invoice(7_000, "coffee ☕", 600)
            said = await stage.node.decode_invoice(invoice)
            assert (said.destination, said.amount_msat, said.memo) == (
                stage.receiver.pubkey,
                7_000,
                "coffee ☕",
            )
            assert said.expire_time_ns - said.create_time_ns == 600 * SECOND_NS
            assert abs(said.create_time_ns - time.time_ns()) < CLOCKS_NS
            before = await receiver.find_invoice(said.payment_hash)
            assert before is not None and (
                before.state,
                before.paid_msat,
                before.settle_time_ns,
            ) == (InvoiceState.OPEN, 0, 0)
            answer = await stage.node.send(await attempt(stage, invoice), b"", PATIENCE)
            assert (answer.kind, answer.amount_msat, answer.fee_msat, answer.payment_request) == (
                Kind.SETTLED,
                7_000,
                0,
                invoice,
            )
            assert hashlib.sha256(answer.preimage).digest() == said.payment_hash
            assert await stage.node.track(said.payment_hash, PATIENCE) == answer
            after = await receiver.find_invoice(said.payment_hash)
            assert after is not None
            assert (after.state, after.paid_msat, after.payment_request, after.memo) == (
                InvoiceState.SETTLED,
                7_000,
                invoice,
                "coffee ☕",
            )
            assert after.settle_time_ns >= after.create_time_ns > 0

    world.play(scene)


def test_a_paid_invoice_is_a_duplicate_and_four_at_once_pay_once(world: World) -> None:
    async def scene(stage: Stage) -> None:
        async with Receiver(stage.receiver) as receiver:
            invoice = await receiver.add_invoice(5_000, "", 600)
            payment = await attempt(stage, invoice)
            answers = await asyncio.gather(
                *(stage.node.send(payment, b"", PATIENCE) for _ in range(4))
            )
            assert sorted(answer.kind.value for answer in answers) == [
                "duplicate",
                "duplicate",
                "duplicate",
                "settled",
            ]
            again = await stage.node.send(payment, b"", PATIENCE)
            assert (again.kind, again.message) == (Kind.DUPLICATE, "invoice is already paid")
            found = await receiver.find_invoice(payment.payment_hash)
            assert found is not None and found.paid_msat == 5_000

    world.play(scene)


def test_an_invoice_without_an_amount_is_paid_what_the_intent_says(world: World) -> None:
    async def scene(stage: Stage) -> None:
        async with Receiver(stage.receiver) as receiver:
            invoice = await receiver.add_invoice(0, "as you like", 600)
            assert (await stage.node.decode_invoice(invoice)).amount_msat == 0
            answer = await stage.node.send(
                await attempt(stage, invoice, amount_msat=9_001), b"", PATIENCE
            )
            assert (answer.kind, answer.amount_msat) == (Kind.SETTLED, 9_001)

    world.play(scene)


def test_a_failed_invoice_may_be_paid_in_a_second_attempt(world: World) -> None:
    async def scene(stage: Stage) -> None:
        async with Receiver(stage.receiver) as receiver:
            invoice = await receiver.add_invoice(50_000_000_000, "more than there is", 600)
            payment = await attempt(stage, invoice)
            failed = await stage.node.send(payment, b"", PATIENCE)
            assert (failed.kind, failed.reason) == (Kind.FAILED, Reason.NO_LIQUIDITY)
            again = await stage.node.send(payment, b"", PATIENCE)
            assert (again.kind, again.reason, again.accepted) == (
                Kind.FAILED,
                Reason.NO_LIQUIDITY,
                True,
            )
            assert (await stage.node.track(payment.payment_hash, PATIENCE)).kind is Kind.FAILED

    world.play(scene)


def test_an_expired_invoice_is_refused_even_if_it_was_paid(world: World) -> None:
    async def scene(stage: Stage) -> None:
        async with Receiver(stage.receiver) as receiver:
            paid, unpaid = (
                await receiver.add_invoice(5_000, "", PAID_WITHIN_SECONDS),
                await receiver.add_invoice(5_000, "", 1),
            )
            payment = await attempt(stage, paid)
            answer = await stage.node.send(payment, b"", PATIENCE)
            expires_ns = (await stage.node.decode_invoice(paid)).expire_time_ns

            async def over() -> bool:
                return time.time_ns() > expires_ns + SECOND_NS

            await stage.until(over)
            for late in (payment, await attempt(stage, unpaid)):
                refused = await stage.node.send(late, b"", PATIENCE)
                assert (refused.kind, refused.message.partition(".")[0]) == (
                    Kind.REFUSED,
                    "invoice expired",
                )
            assert answer.kind is Kind.SETTLED
            assert (
                await stage.node.track(payment.payment_hash, PATIENCE)
            ).preimage == answer.preimage

    world.play(scene)


@pytest.mark.parametrize(
    ("invoice", "says"),
    [
        (
            "lnbcrt1" + "b" * 200,
            "failed converting data to bytes: invalid character not part of charset: 98",
        ),
        (
            "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpuaztrnwngzn3kdzw5hydlzf03qdgm2hdq27cqv3agm2awhz5se903vruatfhq77w3ls4evs3ch9zw97j25emudupq63nyw24cg27h2rspfj9srp",
            "invoice not for current active network 'regtest'",
        ),
    ],
    ids=["garbage", "mainnet"],
)
def test_what_is_no_invoice_here_is_refused_with_lnds_words(
    world: World, invoice: str, says: str
) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(InvalidArgument) as caught:
            await stage.node.decode_invoice(invoice)
        assert str(caught.value) == f"the invoice cannot be read: {says}"

    world.play(scene)


def test_what_lnd_will_not_make_is_refused(world: World) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(InvalidArgument, match=r"the invoice cannot be made: .*1120"):
            await stage.node.add_invoice(1_000, "x" * 700, 600)

    world.play(scene)


def test_an_unknown_hash_is_no_invoice(world: World) -> None:
    async def scene(stage: Stage) -> None:
        assert await stage.node.find_invoice(b"\x07" * 32) is None

    world.play(scene)


def test_invoices_are_listed_newest_first_and_keysends_are_none(world: World) -> None:
    async def scene(stage: Stage) -> None:
        async with Receiver(stage.receiver) as receiver:
            first = await receiver.add_invoice(1_000, "first", 600)
            assert (await stage.node.send(*stage.keysend(), PATIENCE)).kind is Kind.SETTLED
            second = await receiver.add_invoice(2_000, "second", 600)
            found, following = await receiver.invoices_before(0, 3)
            assert [invoice.payment_request for invoice in found] == [second, first]
            assert following == found[-1].index
            older, _ = await receiver.invoices_before(following, 10)
            assert all(invoice.index < following for invoice in older)
            assert await receiver.invoices_before(1, 10) == ([], 0)

    world.play(scene)


def test_a_macaroon_without_invoices_pays_but_makes_none(world: World) -> None:
    async def scene(stage: Stage) -> None:
        node = stage.payer.node(stage.switches.bake("payer", *permissions.NEEDED))
        await node.open()
        try:
            assert (await node.send(*stage.keysend(), PATIENCE)).kind is Kind.SETTLED
            with pytest.raises(
                NodeRejected,
                match=(
                    r"refuses the macaroon for /lnrpc\.Lightning/AddInvoice .* lncli bakemacaroon"
                ),
            ):
                await node.add_invoice(1_000, "", 600)
            with pytest.raises(NodeRejected, match="DecodePayReq"):
                await node.decode_invoice("lnbcrt1")
            with pytest.raises(NodeRejected, match="LookupInvoice"):
                await node.find_invoice(b"\x07" * 32)
        finally:
            await node.close()

    world.play(scene)


def test_a_macaroon_for_exactly_what_is_baked_is_enough_for_invoices(world: World) -> None:
    async def scene(stage: Stage) -> None:
        node = stage.payer.node(
            stage.switches.bake("payer", *permissions.NEEDED, *permissions.FOR_INVOICES)
        )
        await node.open()
        try:
            invoice = await node.add_invoice(1_000, "", 600)
            assert (
                await node.find_invoice((await node.decode_invoice(invoice)).payment_hash)
                is not None
            )
            assert (await node.invoices_before(0, 1))[0][0].payment_request == invoice
        finally:
            await node.close()

    world.play(scene)
