"""The adapter costs nothing that a bare loop would not: both with 100 workers on the same nodes.

Payments per second are the nodes' affair, and swing with whatever else the machine does: they are
printed. What is held to a bound is the processor time of this process, which the adapter adds to.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2, router_pb2_grpc
from streamer.core.keysend import PREIMAGE_TYPE, payment_hash
from streamer.nodes.credentials import access
from streamer.nodes.lnd import LndNode
from streamer.ports import Kind
from tests.lnd.network import Network
from tests.nodes.tiny import intent

pytestmark = pytest.mark.lnd
Spans = dict[str, list[tuple[float, float]]]
WORKERS = 100
PAYMENTS = 150
ORDER = "abbaabba"
"""a is the adapter, b the bare loop: what slows down the nodes over time slows both alike."""

MOST_WORK = 1.2
"""Processor time of the adapter against the bare loop's; measured 0.98 with uvloop."""


def test_a_hundred_workers(lnd_network: Network) -> None:
    payer, receiver = lnd_network.nodes[:2]
    destination = receiver.pubkey

    async def scene() -> Spans:
        node = LndNode(
            "payer", access(payer.rpcserver, str(payer.tlscertpath), str(payer.macaroonpath))
        )
        await node.open()
        credentials = grpc.ssl_channel_credentials(payer.tlscertpath.read_bytes())
        async with grpc.aio.secure_channel(payer.rpcserver, credentials) as channel:
            stub = router_pb2_grpc.RouterStub(channel)

            async def ours() -> None:
                preimage = secrets.token_bytes(32)
                payment = intent(
                    destination=destination, payment_hash=payment_hash(preimage), amount_msat=1000
                )
                assert (await node.send(payment, preimage, 60)).kind is Kind.SETTLED

            async def bare() -> None:
                preimage = secrets.token_bytes(32)
                request = router_pb2.SendPaymentRequest(
                    dest=destination,
                    payment_hash=payment_hash(preimage),
                    amt_msat=1000,
                    fee_limit_msat=1000,
                    cltv_limit=288,
                    timeout_seconds=30,
                    max_parts=1,
                    dest_features=[ln.TLV_ONION_OPT],
                    dest_custom_records={PREIMAGE_TYPE: preimage, 65537: b"hello"},
                )
                last = None
                async for update in stub.SendPaymentV2(
                    request, timeout=60, metadata=payer.metadata
                ):
                    last = update
                assert last is not None
                assert last.status == ln.Payment.SUCCEEDED

            await spans(bare, WORKERS)
            taken: Spans = {"a": [], "b": []}
            for turn in ORDER:
                taken[turn].append(await spans(ours if turn == "a" else bare, PAYMENTS))
        await node.close()
        return taken

    taken = asyncio.run(scene())
    count = PAYMENTS * ORDER.count("a")
    (ours_wall, ours_work), (bare_wall, bare_work) = (
        [sum(span) for span in zip(*taken[turn], strict=True)] for turn in "ab"
    )
    print(f"\nadapter {count / ours_wall:.0f}/s, {ours_work / count * 1e6:.0f} us of work each")
    print(f"bare    {count / bare_wall:.0f}/s, {bare_work / count * 1e6:.0f} us of work each")
    assert ours_work / bare_work < MOST_WORK


async def spans(pay: Callable[[], Awaitable[None]], count: int) -> tuple[float, float]:
    """Seconds of the clock and of the processor that count payments by WORKERS workers take."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await pay()

    clock, processor = time.monotonic(), time.process_time()
    await asyncio.gather(*(work() for _ in range(WORKERS)))
    return time.monotonic() - clock, time.process_time() - processor
