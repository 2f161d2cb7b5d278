"""Row by row what was tried on a real lnd 0.21.2-beta: codes and texts over gRPC."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer.simulator.network.books import KEYSEND_RECORD
from streamer.simulator.serve import Plan
from tests.simulator.simnet import COMMITMENT_MSAT, SECOND, hash_of, preimage_of
from tests.simulator.wire import Net, ends, play


def test_keysend_and_everything_about_its_hash() -> None:
    async def scene(net: Net) -> None:
        bob = net.receiver.pubkey
        answer = await net.payer.keysend(bob, 1)
        assert [message.status for message in answer] == [
            ln.Payment.IN_FLIGHT,
            ln.Payment.IN_FLIGHT,
            ln.Payment.SUCCEEDED,
        ]
        assert [message.payment_preimage for message in answer] == [
            "00" * 32,
            "00" * 32,
            preimage_of(1).hex(),
        ]
        assert (answer[-1].value_msat, answer[-1].fee_msat, answer[-1].payment_index) == (
            1_000,
            0,
            1,
        )
        for amount in (1_000, 2_000):
            assert await net.payer.keysend(bob, 1, amount) == (
                "ALREADY_EXISTS",
                "invoice is already paid",
            )
        (tracked,) = await net.payer.track(1)
        assert (tracked.status, tracked.value_msat) == (ln.Payment.SUCCEEDED, 1_000)
        assert await net.payer.track(2) == ("NOT_FOUND", "payment isn't initiated")
        quiet = await net.payer.keysend(bob, 3, no_inflight_updates=True)
        assert [(message.status, message.payment_index) for message in quiet] == [
            (ln.Payment.SUCCEEDED, 4)
        ]

    play(scene)


def test_a_hash_in_flight_is_in_transition_and_track_follows_it_to_its_end() -> None:
    async def scene(net: Net) -> None:
        bob = net.receiver.pubkey
        net.faults.hold("bob")
        first = asyncio.create_task(net.payer.keysend(bob, 1))
        while not net.served.node("bob").held:
            await asyncio.sleep(0)
        assert await net.payer.keysend(bob, 1) == ("ALREADY_EXISTS", "payment is in transition")
        tracked = asyncio.create_task(net.payer.track(1))
        channels = (await net.payer.ask("ListChannels", ln.ListChannelsRequest())).channels
        (htlc,) = [htlc for channel in channels for htlc in channel.pending_htlcs]
        info = await net.payer.ask("GetInfo", ln.GetInfoRequest())
        assert (htlc.hash_lock, htlc.incoming, htlc.expiration_height) == (
            hash_of(1),
            False,
            info.block_height + 83,
        )
        refused = await net.payer.ask(
            "DeletePayment", ln.DeletePaymentRequest(payment_hash=hash_of(1))
        )
        assert refused[0] == "UNKNOWN"
        net.faults.release("bob")
        assert (ends(await first), ends(await tracked)) == ("SUCCEEDED", "SUCCEEDED")

    play(scene)


def test_a_failed_hash_is_accepted_again_and_a_deleted_one_is_paid_twice() -> None:
    async def scene(net: Net) -> None:
        bob = net.receiver.pubkey
        assert ends(await net.payer.keysend(bob, 1, 10**14)) == "INSUFFICIENT_BALANCE"
        assert ends(await net.payer.keysend(bob, 1)) == "SUCCEEDED"
        await net.payer.ask("DeletePayment", ln.DeletePaymentRequest(payment_hash=hash_of(1)))
        assert ends(await net.payer.keysend(bob, 1)) == "SUCCEEDED"
        invoice = await net.receiver.ask("LookupInvoice", ln.PaymentHash(r_hash=hash_of(1)))
        assert (len(invoice.htlcs), invoice.amt_paid_msat, invoice.value_msat) == (2, 2_000, 1_000)

    play(scene)


def test_what_is_wrong_with_a_request_is_said_in_lnds_words() -> None:
    async def scene(net: Net) -> None:
        bob, send = net.receiver.pubkey, net.payer.keysend
        assert [ends(await send(bob, 1, 999)), ends(await send(bob, 2, 1))] == [
            "NO_ROUTE",
            "NO_ROUTE",
        ]
        assert await send(bob, 3, 0) == ("UNKNOWN", "amount must be specified")
        assert await send(bob, 3, -1) == ("UNKNOWN", "amount cannot be negative")
        assert await send(b"\x02\x03", 3) == ("UNKNOWN", "invalid vertex length of 2, want 33")
        assert await send(net.payer.pubkey, 3) == ("UNKNOWN", "self-payments not allowed")
        records = {1_000: b"x", KEYSEND_RECORD: preimage_of(3)}
        assert await send(bob, 3, dest_custom_records=records) == (
            "UNKNOWN",
            "no custom records with types below 65536 allowed",
        )
        assert ends(await send(b"\x02" + bytes(32), 4)) == "NO_ROUTE"
        assert ends(await send(bob, 5, payment_hash=hash_of(6))) == "INCORRECT_PAYMENT_DETAILS"
        assert ends(await send(bob, 7, fee_limit_msat=0)) == "SUCCEEDED"
        assert await net.payer.track(3) == ("NOT_FOUND", "payment isn't initiated")

    play(scene)


def test_the_peer_offline_is_insufficient_balance_and_back_again_pays() -> None:
    async def scene(net: Net) -> None:
        net.faults.take_down("bob")
        assert ends(await net.payer.keysend(net.receiver.pubkey, 1)) == "INSUFFICIENT_BALANCE"
        listed = await net.payer.ask("ListChannels", ln.ListChannelsRequest())
        assert [channel.active for channel in listed.channels] == [False, False]
        assert not (
            await net.payer.ask("ListChannels", ln.ListChannelsRequest(active_only=True))
        ).channels
        net.faults.bring_up("bob")
        assert ends(await net.payer.keysend(net.receiver.pubkey, 1)) == "SUCCEEDED"

    play(scene)


def test_what_the_receiver_sees_of_a_keysend() -> None:
    async def scene(net: Net) -> None:
        subscription = net.receiver.lightning.SubscribeInvoices(
            ln.InvoiceSubscription(), metadata=net.receiver.metadata
        )
        events = asyncio.create_task(_take(subscription, 2))
        while not net.served.node("bob").on_invoice:
            await asyncio.sleep(0.01)
        await net.payer.keysend(net.receiver.pubkey, 1, 5_000)
        added, settled = await events
        assert (added.state, list(added.htlcs), added.settle_index) == (ln.Invoice.OPEN, [], 0)
        assert (settled.state, settled.is_keysend, settled.value_msat, settled.memo) == (
            ln.Invoice.SETTLED,
            True,
            5_000,
            "",
        )
        (htlc,) = settled.htlcs
        assert dict(htlc.custom_records) == {
            70_001: b"x",
            KEYSEND_RECORD: preimage_of(1),
            106_823: b"\x00",
        }
        assert (htlc.amt_msat, htlc.state, settled.settle_index) == (
            5_000,
            ln.InvoiceHTLCState.SETTLED,
            1,
        )
        await net.payer.keysend(net.receiver.pubkey, 2)
        later = net.receiver.lightning.SubscribeInvoices(
            ln.InvoiceSubscription(settle_index=1), metadata=net.receiver.metadata
        )
        assert [invoice.settle_index for invoice in await _take(later, 1)] == [2]

    play(scene)


async def _take(call: Any, count: int) -> list[ln.Invoice]:
    taken = []
    async for message in call:
        taken.append(message)
        if len(taken) == count:
            break
    call.cancel()
    return taken


def test_invoices_are_paid_once_and_expire() -> None:
    async def scene(net: Net) -> None:
        fixed = (
            await net.receiver.ask(
                "AddInvoice", ln.Invoice(memo="tea", value_msat=12_345, expiry=600)
            )
        ).payment_request
        decoded = await net.payer.ask("DecodePayReq", ln.PayReqString(pay_req=fixed))
        assert (decoded.destination, decoded.num_msat, decoded.description) == (
            net.receiver.pubkey.hex(),
            12_345,
            "tea",
        )
        refused = ("UNKNOWN", "amount must not be specified when paying a non-zero amount invoice")
        assert await net.payer.pay(fixed, 5_000) == refused
        assert ends(await net.payer.pay(fixed)) == "SUCCEEDED"
        assert await net.payer.pay(fixed) == ("ALREADY_EXISTS", "invoice is already paid")
        found = await net.receiver.ask(
            "LookupInvoice", ln.PaymentHash(r_hash=bytes.fromhex(decoded.payment_hash))
        )
        assert (found.state, found.amt_paid_msat, found.is_keysend) == (
            ln.Invoice.SETTLED,
            12_345,
            False,
        )
        free = (await net.receiver.ask("AddInvoice", ln.Invoice())).payment_request
        assert await net.payer.pay(free) == (
            "UNKNOWN",
            "amount must be specified when paying a zero amount invoice",
        )
        assert ends(await net.payer.pay(free, 3_000)) == "SUCCEEDED"
        net.clock.shift_ns += 601 * SECOND
        code, text = await net.payer.pay(fixed)
        assert (code, text.partition(".")[0]) == ("UNKNOWN", "invoice expired")

    play(scene)


def test_wrong_invoices_are_refused_in_lnds_words() -> None:
    async def scene(net: Net) -> None:
        garbage = await net.payer.pay("lnbcrt1" + "b" * 200)
        assert garbage == (
            "UNKNOWN",
            "failed converting data to bytes: invalid character not part of charset: 98",
        )
        assert await net.receiver.ask("LookupInvoice", ln.PaymentHash(r_hash=bytes(32))) == (
            "NOT_FOUND",
            "there are no existing invoices",
        )
        assert await net.receiver.ask("AddInvoice", ln.Invoice(value=-1)) == (
            "UNKNOWN",
            "amount cannot be negative",
        )
        assert await net.receiver.ask("AddInvoice", ln.Invoice(memo="m" * 700)) == (
            "UNKNOWN",
            "data length too big to fit within 10 bits: 1120",
        )
        await net.receiver.ask("AddInvoice", ln.Invoice(memo="m" * 639))
        assert await net.receiver.ask("LookupInvoice", ln.PaymentHash(r_hash=bytes(32))) == (
            "NOT_FOUND",
            "unable to locate invoice",
        )
        net.served.network.chain = "mainnet"
        foreign = (await net.receiver.ask("AddInvoice", ln.Invoice(value=5))).payment_request
        net.served.network.chain = "regtest"
        assert await net.payer.pay(foreign) == (
            "UNKNOWN",
            "invoice not for current active network 'regtest'",
        )

    play(scene)


def test_payments_are_paged_both_ways_and_failed_ones_only_when_asked_for() -> None:
    async def scene(net: Net) -> None:
        for number, amount in ((1, 1_000), (2, 999), (3, 1_000), (1, 1_000), (4, 1_000)):
            await net.payer.keysend(net.receiver.pubkey, number, amount)

        async def indexes(**request: Any) -> tuple[list[int], int, int]:
            reply = await net.payer.ask("ListPayments", ln.ListPaymentsRequest(**request))
            return (
                [one.payment_index for one in reply.payments],
                reply.first_index_offset,
                reply.last_index_offset,
            )

        # the refused duplicate used up index 4
        assert await indexes() == ([1, 3, 5], 1, 5)
        assert await indexes(include_incomplete=True) == ([1, 2, 3, 5], 1, 5)
        assert await indexes(include_incomplete=True, max_payments=2) == ([1, 2], 1, 2)
        assert await indexes(include_incomplete=True, index_offset=2, max_payments=1) == ([3], 3, 3)
        assert await indexes(include_incomplete=True, index_offset=3) == ([5], 5, 5)
        assert await indexes(include_incomplete=True, index_offset=5) == ([], 0, 0)
        assert await indexes(reversed=True, max_payments=2) == ([3, 5], 3, 5)
        assert await indexes(reversed=True, index_offset=3, include_incomplete=True) == (
            [1, 2],
            1,
            2,
        )
        reply = await net.payer.ask("ListPayments", ln.ListPaymentsRequest(include_incomplete=True))
        failed, settled = reply.payments[1], reply.payments[0]
        assert (failed.payment_preimage, list(failed.htlcs)) == ("00" * 32, [])
        (hop,) = settled.htlcs[0].route.hops
        assert (hop.pub_key, hop.amt_to_forward_msat, hop.custom_records[70_001]) == (
            net.receiver.pubkey.hex(),
            1_000,
            b"x",
        )

    play(scene)


def test_what_the_node_tells_of_itself_and_of_others() -> None:
    async def scene(net: Net) -> None:
        info = await net.payer.ask("GetInfo", ln.GetInfoRequest())
        assert (info.identity_pubkey, info.chains[0].network, info.num_active_channels) == (
            net.payer.pubkey.hex(),
            "regtest",
            2,
        )
        assert abs(info.best_header_timestamp - net.clock.now_ns() // SECOND) <= 2
        node = await net.payer.ask(
            "GetNodeInfo", ln.NodeInfoRequest(pub_key=net.receiver.pubkey.hex())
        )
        assert 55 in node.node.features
        net.faults.set_keysend("bob", accepted=False)
        node = await net.payer.ask(
            "GetNodeInfo", ln.NodeInfoRequest(pub_key=net.receiver.pubkey.hex())
        )
        assert 55 not in node.node.features
        assert await net.payer.ask("GetNodeInfo", ln.NodeInfoRequest(pub_key="02" + "00" * 32)) == (
            "NOT_FOUND",
            "unable to find node",
        )
        balance = await net.payer.ask("ChannelBalance", ln.ChannelBalanceRequest())
        assert balance.local_balance.msat == 20_000_000_000 - 2 * COMMITMENT_MSAT
        net.faults.close_channels("alice", "bob")
        assert not (await net.payer.ask("ListChannels", ln.ListChannelsRequest())).channels
        pending = await net.payer.ask("PendingChannels", ln.PendingChannelsRequest())
        assert len(pending.waiting_close_channels) == 2

    play(scene)


def test_a_fee_of_a_route_is_told_to_the_msat() -> None:
    async def scene(net: Net) -> None:
        carol = net.served.network.add_node("far")
        net.served.network.open_channel(net.served.node("bob"), carol, 1_000_000)
        answer = await net.payer.keysend(carol.pubkey, 1, 2_000_000, fee_limit_msat=10_000)
        assert (ends(answer), answer[-1].fee_msat, answer[-1].value_msat) == (
            "SUCCEEDED",
            1_002,
            2_000_000,
        )
        first, second = answer[-1].htlcs[0].route.hops
        assert (first.fee_msat, first.amt_to_forward_msat, second.fee_msat) == (1_002, 2_000_000, 0)

    play(scene)


def test_lost_calls_and_a_client_that_leaves_do_not_stop_a_payment() -> None:
    async def scene(net: Net) -> None:
        net.faults.hold("bob")
        call = asyncio.create_task(net.payer.keysend(net.receiver.pubkey, 1))
        while not net.served.node("bob").held:
            await asyncio.sleep(0)
        (record,) = net.served.node("alice").payments.values()
        call.cancel()
        while record.calls:
            await asyncio.sleep(0.01)
        net.faults.release("bob")
        assert ends(await net.payer.track(1)) == "SUCCEEDED"

    play(scene)


def test_a_kill_cuts_refuses_starts_and_keeps_what_was_in_flight() -> None:
    async def scene(net: Net) -> None:
        net.faults.freeze("bob")
        call = asyncio.create_task(net.payer.keysend(net.receiver.pubkey, 1))
        while not net.served.node("bob").stuck:
            await asyncio.sleep(0)
        net.faults.take_down("alice")
        assert (await call)[0] in ("UNAVAILABLE", "CANCELLED")
        assert (await net.payer.ask("GetInfo", ln.GetInfoRequest()))[0] == "UNAVAILABLE"
        net.faults.bring_up("alice", wallet=net.served.node("alice").wallet.UNLOCKED)
        answer = ("UNAVAILABLE", "")
        while answer[0] == "UNAVAILABLE":
            answer = await net.payer.ask("GetInfo", ln.GetInfoRequest())
            await asyncio.sleep(0.02)
        assert answer == (
            "UNKNOWN",
            "the RPC server is in the process of starting up, but not yet ready to accept calls",
        )
        assert (await net.payer.state.GetState(state.GetStateRequest())).state == state.UNLOCKED
        net.faults.set_wallet("alice", net.served.node("alice").wallet.SERVER_ACTIVE)
        while isinstance(await net.payer.ask("GetInfo", ln.GetInfoRequest()), tuple):
            await asyncio.sleep(0.02)
        (record,) = net.served.node("alice").payments.values()
        tracked = asyncio.create_task(net.payer.track(1))
        while not record.calls:
            await asyncio.sleep(0.01)
        assert not tracked.done()
        net.faults.thaw("bob")
        messages = await tracked
        assert [message.status for message in (messages[0], messages[-1])] == [
            ln.Payment.IN_FLIGHT,
            ln.Payment.SUCCEEDED,
        ]
        assert len(net.served.node("bob").received) == 1

    play(scene)


def test_a_frozen_node_executes_what_it_was_sent_when_it_goes_on() -> None:
    async def scene(net: Net) -> None:
        await net.payer.ask("GetInfo", ln.GetInfoRequest())
        net.faults.freeze("alice")
        call = asyncio.create_task(net.payer.keysend(net.receiver.pubkey, 1))
        while not net.served.node("alice").inbox:
            await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.sleep(0.05)
        net.faults.thaw("alice")
        assert ends(await net.payer.track(1)) == "SUCCEEDED"

    play(scene)


def test_like_lnd_takes_about_as_long_as_lnd() -> None:
    async def scene(net: Net) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        assert ends(await net.payer.keysend(net.receiver.pubkey, 1)) == "SUCCEEDED"
        assert loop.time() - before >= 0.096

    play(scene, Plan(channels=2, like_lnd=True))


def test_methods_that_are_not_there_are_unimplemented() -> None:
    async def scene(net: Net) -> None:
        call = net.payer.channel.unary_unary(
            "/lnrpc.Lightning/SendCoins", request_serializer=bytes, response_deserializer=bytes
        )
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call(b"", metadata=net.payer.metadata)
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED

    play(scene)
