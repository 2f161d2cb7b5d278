"""What lnd does with a keysend, and what the Node port says of it: the table "Tried", row by
row.
"""

from __future__ import annotations

import asyncio
import dataclasses

import grpc
import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.core.keysend import PREIMAGE_TYPE, encode_records
from streamer.ports import Kind
from streamer.words.reasons import Reason
from tests.contract.worlds import CHANNEL_SAT, NOBODY, RECORD, Stage, World

PATIENCE = 30.0


def test_a_keysend_settles_and_the_receiver_has_it(world: World) -> None:
    async def scene(stage: Stage) -> None:
        payment, preimage = stage.keysend(amount_msat=5_001)
        answer = await stage.node.send(payment, preimage, PATIENCE)
        assert (answer.kind, answer.accepted, answer.closed) == (Kind.SETTLED, True, True)
        assert (answer.amount_msat, answer.fee_msat, answer.preimage) == (5_001, 0, preimage)
        (htlc,) = await stage.received(payment.payment_hash)
        assert htlc.amt_msat == 5_001
        assert htlc.custom_records[RECORD] == b"hello"
        assert htlc.custom_records[PREIMAGE_TYPE] == preimage

    world.play(scene)


def test_updates_are_in_flight_and_then_the_end(world: World) -> None:
    async def scene(stage: Stage) -> None:
        raw = await stage.raw_send(*stage.keysend())
        assert raw.statuses[0] == "IN_FLIGHT"
        assert set(raw.statuses[:-1]) == {"IN_FLIGHT"}
        assert raw.statuses[-1] == "SUCCEEDED"
        assert raw.code is grpc.StatusCode.OK
        assert raw.updates[-1].payment_index > 0

    world.play(scene)


@pytest.mark.parametrize("amount_msat", [5_000, 7_000])
def test_a_settled_hash_is_refused_as_a_duplicate(world: World, amount_msat: int) -> None:
    async def scene(stage: Stage) -> None:
        payment, preimage = stage.keysend(amount_msat=5_000)
        assert (await stage.node.send(payment, preimage, PATIENCE)).kind is Kind.SETTLED
        again = await stage.node.send(
            dataclasses.replace(payment, amount_msat=amount_msat), preimage, PATIENCE
        )
        assert (again.kind, again.message) == (Kind.DUPLICATE, "invoice is already paid")
        assert len(await stage.received(payment.payment_hash)) == 1

    world.play(scene)


def test_track_says_what_became_of_it(world: World) -> None:
    async def scene(stage: Stage) -> None:
        payment, preimage = stage.keysend()
        unknown = await stage.node.track(payment.payment_hash, PATIENCE)
        assert (unknown.kind, unknown.message) == (Kind.NOT_FOUND, "payment isn't initiated")
        sent = await stage.node.send(payment, preimage, PATIENCE)
        assert await stage.node.track(payment.payment_hash, PATIENCE) == sent
        raw = await stage.raw_track(payment.payment_hash)
        assert (raw.statuses, raw.code) == (["SUCCEEDED"], grpc.StatusCode.OK)

    world.play(scene)


def test_a_failed_hash_may_be_sent_again(world: World) -> None:
    async def scene(stage: Stage) -> None:
        payment, preimage = stage.keysend(amount_msat=999)
        failed = await stage.node.send(payment, preimage, PATIENCE)
        assert (failed.kind, failed.reason, failed.accepted) == (Kind.FAILED, Reason.NO_ROUTE, True)
        tracked = await stage.node.track(payment.payment_hash, PATIENCE)
        assert (tracked.kind, tracked.reason) == (Kind.FAILED, Reason.NO_ROUTE)
        assert (
            await stage.node.send(
                dataclasses.replace(payment, amount_msat=1_000), preimage, PATIENCE
            )
        ).kind is Kind.SETTLED

    world.play(scene)


def test_a_deleted_payment_sent_again_is_paid_twice(world: World) -> None:
    """Why NOT_FOUND is not "not paid": the receiver does not deduplicate."""

    async def scene(stage: Stage) -> None:
        payment, preimage = stage.keysend(amount_msat=1_000)
        assert (await stage.node.send(payment, preimage, PATIENCE)).kind is Kind.SETTLED
        await stage.ask(
            stage.payer, "DeletePayment", ln.DeletePaymentRequest(payment_hash=payment.payment_hash)
        )
        assert (await stage.node.track(payment.payment_hash, PATIENCE)).kind is Kind.NOT_FOUND
        assert (await stage.node.send(payment, preimage, PATIENCE)).kind is Kind.SETTLED
        assert len(await stage.received(payment.payment_hash)) == 2
        invoice = await stage.ask(
            stage.receiver, "LookupInvoice", ln.PaymentHash(r_hash=payment.payment_hash)
        )
        assert (invoice.value_msat, invoice.amt_paid_msat) == (1_000, 2_000)

    world.play(scene)


@pytest.mark.parametrize("amount_msat", [1, 999])
def test_below_the_channel_minimum_there_is_no_route(world: World, amount_msat: int) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.node.send(*stage.keysend(amount_msat=amount_msat), PATIENCE)
        assert (answer.kind, answer.reason, answer.message) == (
            Kind.FAILED,
            Reason.NO_ROUTE,
            "NO_ROUTE",
        )

    world.play(scene)


def test_a_stranger_has_no_route(world: World) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.node.send(*stage.keysend(destination=NOBODY), PATIENCE)
        assert (answer.kind, answer.reason) == (Kind.FAILED, Reason.NO_ROUTE)
        assert await stage.node.accepts_keysend(NOBODY) is None

    world.play(scene)


def test_more_than_everything_is_no_liquidity(world: World) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.node.send(
            *stage.keysend(amount_msat=50 * CHANNEL_SAT * 1_000), PATIENCE
        )
        assert (answer.kind, answer.reason, answer.message) == (
            Kind.FAILED,
            Reason.NO_LIQUIDITY,
            "INSUFFICIENT_BALANCE",
        )

    world.play(scene)


def test_more_than_the_largest_channel_fails_because_a_keysend_is_not_split(world: World) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.node.send(
            *stage.keysend(amount_msat=CHANNEL_SAT * 1_000 * 3 // 2), PATIENCE
        )
        assert answer.kind is Kind.FAILED
        assert answer.reason in {Reason.NO_ROUTE, Reason.NO_LIQUIDITY}

    world.play(scene)


def test_a_receiver_without_keysend_rejects(world: World) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.node.send(*stage.keysend(destination=stage.deaf.pubkey), PATIENCE)
        assert (answer.kind, answer.reason, answer.message) == (
            Kind.FAILED,
            Reason.RECEIVER_REJECTED,
            "INCORRECT_PAYMENT_DETAILS",
        )
        assert await stage.node.accepts_keysend(stage.deaf.pubkey) is False
        assert await stage.node.accepts_keysend(stage.receiver.pubkey) is True

    world.play(scene)


def test_a_preimage_that_does_not_match_is_rejected(world: World) -> None:
    async def scene(stage: Stage) -> None:
        payment, _ = stage.keysend()
        answer = await stage.node.send(payment, b"z" * 32, PATIENCE)
        assert (answer.kind, answer.reason) == (Kind.FAILED, Reason.RECEIVER_REJECTED)

    world.play(scene)


def test_fee_limit_zero_means_free_routes_only(world: World) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.raw_send(*stage.keysend(), fee_limit_msat=0)).statuses[
            -1
        ] == "SUCCEEDED"

    world.play(scene)


def test_definite_refusals_keep_lnd_s_words(world: World) -> None:
    async def scene(stage: Stage) -> None:
        reserved = encode_records([(1000, b"x")])
        for changes, says in (
            ({"destination": b"\x02\x03"}, "invalid vertex length of 2, want 33"),
            ({"destination": stage.payer.pubkey}, "self-payments not allowed"),
            ({"records": reserved}, "no custom records with types below 65536 allowed"),
        ):
            payment, preimage = stage.keysend(**changes)
            answer = await stage.node.send(payment, preimage, PATIENCE)
            assert (answer.kind, answer.accepted, answer.closed, answer.message) == (
                Kind.REFUSED,
                False,
                True,
                says,
            )
            assert (await stage.node.track(payment.payment_hash, PATIENCE)).kind is Kind.NOT_FOUND

    world.play(scene)


@pytest.mark.parametrize(
    ("amount_msat", "says"), [(0, "amount must be specified"), (-1, "amount cannot be negative")]
)
def test_amounts_that_lnd_refuses(world: World, amount_msat: int, says: str) -> None:
    async def scene(stage: Stage) -> None:
        raw = await stage.raw_send(*stage.keysend(), amt_msat=amount_msat)
        assert (raw.code, raw.text, raw.updates) == (grpc.StatusCode.UNKNOWN, says, [])

    world.play(scene)


def test_of_concurrent_sends_of_one_hash_exactly_one_is_accepted(world: World) -> None:
    async def scene(stage: Stage) -> None:
        payment, preimage = stage.keysend()
        answers = await asyncio.gather(
            *(stage.node.send(payment, preimage, PATIENCE) for _ in range(4))
        )
        assert sorted(answer.kind.value for answer in answers) == ["duplicate"] * 3 + ["settled"]
        assert len(await stage.received(payment.payment_hash)) == 1

    world.play(scene)


def test_a_call_that_runs_out_of_patience_does_not_stop_the_payment(world: World) -> None:
    async def scene(stage: Stage) -> None:
        payment, preimage = stage.keysend()
        stage.switches.freeze("receiver")
        answer = await stage.node.send(payment, preimage, 1.0)
        assert (answer.kind, answer.accepted, answer.closed) == (Kind.LOST, True, True)
        again = await stage.node.send(payment, preimage, PATIENCE)
        assert (again.kind, again.message) == (Kind.DUPLICATE, "payment is in transition")
        assert (await stage.node.track(payment.payment_hash, PATIENCE)).kind is Kind.IN_FLIGHT
        stage.switches.thaw("receiver")

        async def settled() -> bool:
            return (await stage.node.track(payment.payment_hash, PATIENCE)).kind is Kind.SETTLED

        await stage.until(settled)
        assert len(await stage.received(payment.payment_hash)) == 1

    world.play(scene)


def test_htlcs_in_flight_are_seen_in_the_channels_by_hash(world: World) -> None:
    async def scene(stage: Stage) -> None:
        idle = await stage.node.channels()
        made = [stage.keysend() for _ in range(40)]
        sends = [
            asyncio.create_task(stage.node.send(payment, preimage, PATIENCE))
            for payment, preimage in made
        ]
        hashes = {payment.payment_hash for payment, _ in made}
        while True:
            seen = await stage.node.channels()
            pending = {
                digest: expiry
                for channel in seen.channels
                for digest, expiry in channel.pending.items()
            }
            if pending or all(send.done() for send in sends):
                break
        assert pending
        assert set(pending) <= hashes
        assert all(
            seen.block_height < expiry <= seen.block_height + 288 for expiry in pending.values()
        )
        assert max(channel.slots for channel in seen.channels) > 0
        assert {(await send).kind for send in sends} == {Kind.SETTLED}
        after = await stage.node.channels()
        assert {channel.channel_id for channel in after.channels} == {
            channel.channel_id for channel in idle.channels
        }
        assert all(channel.active for channel in after.channels)
        assert after.closing == frozenset()
        assert all(len(channel.point.partition(":")[0]) == 64 for channel in after.channels)

    world.play(scene)


def test_spendable_is_what_a_payment_can_take(world: World) -> None:
    async def scene(stage: Stage) -> None:
        before = sum(channel.spendable_msat for channel in (await stage.node.channels()).channels)
        assert (
            await stage.node.send(*stage.keysend(amount_msat=3_000_000), PATIENCE)
        ).kind is Kind.SETTLED

        async def moved() -> bool:
            after = (await stage.node.channels()).channels
            return (
                sum(channel.spendable_msat for channel in after) == before - 3_000_000
                and any(c.receivable_msat for c in after) is False
            )

        await stage.until(moved)

    world.play(scene)


def test_the_node_s_own_list_of_payments(world: World) -> None:
    async def scene(stage: Stage) -> None:
        paid, preimage = stage.keysend(amount_msat=2_000)
        settled = await stage.node.send(paid, preimage, PATIENCE)
        unpayable, other = stage.keysend(destination=NOBODY)
        failed = await stage.node.send(unpayable, other, PATIENCE)
        assert 0 < settled.index < failed.index
        listed = await stage.node.payments_after(settled.index - 1, 100)
        assert [(one.index, one.payment_hash, one.answer.kind) for one in listed] == [
            (settled.index, paid.payment_hash, Kind.SETTLED),
            (failed.index, unpayable.payment_hash, Kind.FAILED),
        ]
        first, second = listed
        assert (first.destination, first.records, first.answer) == (
            stage.receiver.pubkey,
            {RECORD: b"hello"},
            settled,
        )
        assert (second.destination, second.records) == (b"", {})
        assert first.create_time_ns > 0
        assert await stage.node.payments_after(failed.index, 100) == []
        assert [one.index for one in await stage.node.payments_after(settled.index - 1, 1)] == [
            settled.index
        ]
        complete = await stage.ask(
            stage.payer, "ListPayments", ln.ListPaymentsRequest(index_offset=settled.index - 1)
        )
        assert [one.payment_index for one in complete.payments] == [settled.index]

    world.play(scene)


def test_a_refused_duplicate_leaves_a_gap_in_the_indexes_and_no_entry(world: World) -> None:
    async def scene(stage: Stage) -> None:
        payment, preimage = stage.keysend()
        first = await stage.node.send(payment, preimage, PATIENCE)
        await stage.node.send(payment, preimage, PATIENCE)
        last = await stage.node.send(*stage.keysend(), PATIENCE)
        assert last.index > first.index
        assert [one.index for one in await stage.node.payments_after(first.index - 1, 10)] == [
            first.index,
            last.index,
        ]

    world.play(scene)
