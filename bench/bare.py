"""The rival: the fastest loop of grpc.aio that one would write to send keysends, and nothing else.

A fixed number of workers on one channel, macaroon as call metadata, one keysend each at a time: a
new preimage and hash, the request with the same records as streamer's, and the updates read to
their end. No journal, no schedule, no budget, no recovery: what it pays nobody knows afterwards.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path

import grpc
import grpc.aio
import uvloop

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2 as router

DESTINATIONS = 1_000
RECORD = 1937011309
PREIMAGE = 5482373484


def destinations_of(access: dict[str, str]) -> list[bytes]:
    """The receiver that access names (hex), else DESTINATIONS keys of which the stub checks
    nothing.
    """
    if "destination" in access:
        return [bytes.fromhex(access["destination"])]
    return [
        b"\x02" + hashlib.sha256(number.to_bytes(4, "big")).digest()
        for number in range(DESTINATIONS)
    ]


async def _pay(
    access: dict[str, str], window: int, seconds: float, warm_up: float, reading: str
) -> dict[str, float]:
    credentials = grpc.ssl_channel_credentials(Path(access["tlscertpath"]).read_bytes())
    metadata = (("macaroon", Path(access["macaroonpath"]).read_bytes().hex()),)
    options = (
        ("grpc.enable_retries", 0),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    )
    channel = grpc.aio.secure_channel(access["rpcserver"], credentials, options)
    send = channel.unary_stream(
        "/routerrpc.Router/SendPaymentV2",
        request_serializer=router.SendPaymentRequest.SerializeToString,
        response_deserializer=ln.Payment.FromString,
    )
    destinations = destinations_of(access)
    record = os.urandom(45)  # as long as streamer's own record of a stream at 1 sat/s
    count = 0
    stop = False

    def request() -> router.SendPaymentRequest:
        preimage = os.urandom(32)
        return router.SendPaymentRequest(
            dest=destinations[count % len(destinations)],
            payment_hash=hashlib.sha256(preimage).digest(),
            amt_msat=1_000,
            fee_limit_msat=5_000,
            cltv_limit=288,
            timeout_seconds=30,
            max_parts=1,
            dest_features=(ln.TLV_ONION_OPT,),
            dest_custom_records={PREIMAGE: preimage, RECORD: record},
        )

    async def read() -> None:
        nonlocal count
        while not stop:
            call = send(request(), timeout=30, metadata=metadata)
            while isinstance(update := await call.read(), ln.Payment):
                if update.status == ln.Payment.SUCCEEDED:
                    count += 1
                    break

    async def iterate() -> None:
        nonlocal count
        while not stop:
            async for update in send(request(), timeout=30, metadata=metadata):
                if update.status == ln.Payment.SUCCEEDED:
                    count += 1
                    break

    workers = [
        asyncio.ensure_future(read() if reading == "read" else iterate()) for _ in range(window)
    ]
    await asyncio.sleep(warm_up)
    before, began, spent, all_spent = (
        count,
        time.perf_counter(),
        time.thread_time(),
        time.process_time(),
    )
    await asyncio.sleep(seconds)
    made = count - before
    figure = {
        "payments_per_second": made / (time.perf_counter() - began),
        "loop_cpu_us": (time.thread_time() - spent) / made * 1e6,
        "all_cpu_us": (time.process_time() - all_spent) / made * 1e6,
    }
    stop = True
    await asyncio.gather(*workers)
    await channel.close()
    return figure


def measure(
    access: dict[str, str], window: int, seconds: float, warm_up: float, reading: str = "read"
) -> dict[str, float]:
    """Settled keysends a second, and what one costs the loop's thread. reading: "read"
    (call.read()) or "iterate" (async for).
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_pay(access, window, seconds, warm_up, reading))
