"""The fast mode: the same answers through its own HTTP/2, also where HTTP/2 itself is the
matter.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

import grpc
import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer._proto.routerrpc import router_pb2 as router
from streamer.simulator.serve import Plan
from streamer.words.http2 import DEFAULT_FRAME_BYTES, PREFACE
from tests.simulator.wire import Net, ends, play

FAST = Plan(channels=2, fast=True)
MANY = 300


def test_payments_side_by_side_and_each_refusal() -> None:
    async def scene(net: Net) -> None:
        bob = net.receiver.pubkey
        answers = await asyncio.gather(*(net.payer.keysend(bob, number) for number in range(MANY)))
        assert {ends(answer) for answer in answers} == {"SUCCEEDED"}
        assert len(net.served.node("bob").received) == MANY
        assert await net.payer.keysend(bob, 1) == ("ALREADY_EXISTS", "invoice is already paid")
        assert await net.payer.keysend(bob, MANY, 0) == ("UNKNOWN", "amount must be specified")
        assert await net.wire("alice", None).ask("GetInfo", ln.GetInfoRequest()) == (
            "UNKNOWN",
            "expected 1 macaroon, got 0",
        )
        net.faults.refuse("alice", "100 % wörtlich\n")
        assert await net.payer.keysend(bob, MANY) == ("UNKNOWN", "100 % wörtlich\n")
        net.faults.refuse("alice", "")
        assert (
            await net.payer.state.GetState(state.GetStateRequest())
        ).state == state.SERVER_ACTIVE

    play(scene, FAST)


def test_answers_longer_than_frames_and_windows() -> None:
    async def scene(net: Net) -> None:
        for number in range(MANY):
            await net.receiver.ask("AddInvoice", ln.Invoice(memo=f"{number} " + "x" * 600))
        page = await net.receiver.ask("ListInvoices", ln.ListInvoiceRequest(num_max_invoices=MANY))
        assert [invoice.memo.split()[0] for invoice in page.invoices] == [
            str(number) for number in range(MANY)
        ]
        assert page.ByteSize() > 8 * DEFAULT_FRAME_BYTES
        # a request longer than a frame goes the other way
        memo = "y" * (2 * DEFAULT_FRAME_BYTES)
        code, text = await net.receiver.ask("AddInvoice", ln.Invoice(memo=memo))
        assert (code, text) == ("UNKNOWN", f"memo too large: {len(memo)} bytes (maxsize=1024)")

    play(scene, FAST)


def test_what_is_not_there_is_unimplemented() -> None:
    async def scene(net: Net) -> None:
        call = net.payer.channel.unary_unary(
            "/lnrpc.Lightning/SendCoins", request_serializer=bytes, response_deserializer=bytes
        )
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call(b"", metadata=net.payer.metadata)
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert refusal.value.details() == "unknown method SendCoins for service lnrpc.Lightning"

    play(scene, FAST)


def test_a_client_that_leaves_and_a_node_that_freezes() -> None:
    async def scene(net: Net) -> None:
        bob = net.receiver.pubkey
        net.faults.hold("bob")
        request = router.SendPaymentRequest(dest=bob, payment_hash=b"h" * 32, amt_msat=1_000)
        call = net.payer.router.SendPaymentV2(request, metadata=net.payer.metadata)
        assert (await call.read()).status == ln.Payment.IN_FLIGHT
        (record,) = net.served.node("alice").payments.values()
        assert len(record.calls) == 1
        call.cancel()
        async with asyncio.timeout(30):
            while record.calls:
                await asyncio.sleep(0.01)
        net.faults.release("bob")
        net.faults.freeze("alice")
        waiting = [
            asyncio.create_task(net.payer.ask("GetInfo", ln.GetInfoRequest())),
            asyncio.create_task(net.payer.keysend(bob, 7)),
        ]
        done, _ = await asyncio.wait(waiting, timeout=0.2)
        assert not done
        net.faults.thaw("alice")
        info, paid = await asyncio.gather(*waiting)
        assert (info.alias, ends(paid)) == ("alice", "SUCCEEDED")
        net.faults.take_down("alice")
        assert (await net.payer.keysend(bob, 8))[0] == "UNAVAILABLE"
        net.faults.bring_up("alice")
        async with asyncio.timeout(30):
            while ends(await net.payer.keysend(bob, 9)) not in (
                "SUCCEEDED",
                "('ALREADY_EXISTS', 'invoice is already paid')",
            ):
                await asyncio.sleep(0.05)

    play(scene, FAST)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        PREFACE + b"\xff\xff\xff\x00\x00\x00\x00\x00\x00",
        PREFACE + b"\x00\x00\x01\x01\x05\x00\x00\x00\x01\xff",
        PREFACE + b"\x00\x00\x01\x09\x04\x00\x00\x00\x01x",
    ],
    ids=["http/1", "a frame too long", "no headers", "a continuation of nothing"],
)
def test_a_client_that_speaks_something_else_is_hung_up_on(said: bytes) -> None:
    async def scene(net: Net) -> None:
        host, _, port = net.served.nodes[0].rpcserver.partition(":")

        def talk() -> None:
            context = ssl.create_default_context(cafile=net.served.nodes[0].tlscertpath)
            context.set_alpn_protocols(["h2"])
            with (
                socket.create_connection((host, int(port)), 30) as raw,
                context.wrap_socket(raw, server_hostname="localhost") as client,
            ):
                client.sendall(said)
                while client.recv(1_000):
                    pass

        try:
            await asyncio.to_thread(talk)
        except (ssl.SSLError, OSError) as error:
            assert not isinstance(error, TimeoutError)
        assert ends(await net.payer.keysend(net.receiver.pubkey, 1)) == "SUCCEEDED"

    play(scene, FAST)
