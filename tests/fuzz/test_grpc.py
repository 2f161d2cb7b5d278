"""Nonsense over gRPC: noise, wrong types, absurd sizes and values, unknown fields, broken
frames.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from streamer.api.grpc import MAX_MESSAGE_BYTES
from streamer.api.services import methods
from tests.fuzz.nonsense import Nonsense
from tests.fuzz.victim import SECONDS, TEST_SECONDS, Victim, seeded, throw, victim

UNFORESEEN = {"INTERNAL", "UNKNOWN", "DATA_LOSS"}
AT_ONCE = 16
CALL_SECONDS = 0.5
OPEN: dict[str, type[Message]] = {
    "/grpc.health.v1.Health/Check": health_pb2.HealthCheckRequest,
    "/grpc.health.v1.Health/Watch": health_pb2.HealthCheckRequest,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": (
        reflection_pb2.ServerReflectionRequest
    ),
}
"""What anybody may call, without a key. One request is a stream of one on the wire."""
KINDS = OPEN | {"/{}/{}".format(*rpc.full_name.rsplit(".", 1)): rpc.request for rpc in methods()}
STREAMING = {
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
} | {"/{}/{}".format(*rpc.full_name.rsplit(".", 1)) for rpc in methods() if rpc.streams}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STARTS = (
    b"",
    PREFACE,
    PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    PREFACE + b"\xff\xff\xff\x00\xff\xff\xff\xff\xff",
    b"GET / HTTP/1.1\r\n",
)
"""What a connection may begin with; noise follows."""


async def call(
    channel: grpc.aio.Channel, path: str, request: bytes, key: str, seconds: float = CALL_SECONDS
) -> str:
    """The name of the code that a call ends with."""
    metadata = (("x-api-key", key),)
    try:
        if path in STREAMING:
            listen: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
            async for _ in listen(request, metadata=metadata, timeout=seconds):
                pass
        else:
            ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
            await ask(request, metadata=metadata, timeout=seconds)
    except grpc.aio.AioRpcError as error:
        assert error.code().name not in UNFORESEEN, (path, error.details(), request)
        return error.code().name
    return "OK"


async def fuzz(made: Victim, rng: random.Random) -> Counter[tuple[str, str]]:
    """How often each method ended with each code."""
    ends: Counter[tuple[str, str]] = Counter()
    nonsense, stop = Nonsense(rng, made.known()), time.monotonic() + SECONDS
    paths = sorted(KINDS)

    async def worker(channel: grpc.aio.Channel) -> None:
        while time.monotonic() < stop:
            path = rng.choice(paths)
            kind = KINDS[path if rng.random() < 0.9 else rng.choice(paths)]
            request = nonsense.request(kind)
            ends[path, await call(channel, path, request, made.key)] += 1

    async with grpc.aio.insecure_channel(made.house.grpc) as channel:
        for path in rng.sample(paths, 3):
            assert (
                await call(channel, path, b"\x00" * (MAX_MESSAGE_BYTES + 1), made.key, 30)
                == "RESOURCE_EXHAUSTED"
            )
            assert await call(channel, path + "s", b"", made.key, 30) == "UNIMPLEMENTED"
        await asyncio.gather(*(worker(channel) for _ in range(AT_ONCE)))
    return ends


@pytest.mark.timeout(TEST_SECONDS)
def test_no_request_finds_anything_unforeseen(tmp_path: Path) -> None:
    with victim(tmp_path) as made:
        rng = seeded()
        throw(made.house.grpc, STARTS, rng)
        ends = asyncio.run(fuzz(made, rng))
        print(f"{ends.total()} calls", Counter(code for _, code in ends.elements()))
        assert {path for path, _ in ends} == set(KINDS)
        assert {"OK", "INVALID_ARGUMENT"} <= {code for _, code in ends}
