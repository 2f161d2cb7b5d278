"""Opening streams: 2,000 CreateStream calls, 64 at a time, over gRPC and over HTTP, each reply
durable.

    python bench/create.py [--calls 2000] [--at-once 64]

The daemon is a process of its own with its own simulated node and an empty journal on disk; the
callers are in this process, with one connection for gRPC and 64 for HTTP. The streams begin in
an hour, so that nothing is paid meanwhile. Both run in turn, twice; the second figures count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from streamer._proto.streamer.v1 import stream_pb2
from streamer.client import Client

ROOT = Path(__file__).parents[1]

DESTINATION = "02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619"
"""A public key from BOLT 4's test vectors."""
LATER_SECONDS = 3_600
START_SECONDS = 60.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Create = Callable[[int], Awaitable[None]]


@contextmanager
def daemon(home: Path) -> Iterator[tuple[str, str, str]]:
    """(gRPC address, HTTP address, admin key) of a fresh `streamer serve`."""
    doors = (
        "--api.grpc-listen",
        "127.0.0.1:0",
        "--api.http-listen",
        "127.0.0.1:0",
        "--api.requests-per-second",
        "100000",
    )
    command = [sys.executable, "-m", "streamer", "serve", "--simulator", "true", *doors]
    environment = {**os.environ, "HOME": str(home)}
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, stderr=log, cwd=ROOT) as process,
    ):
        try:
            end = time.monotonic() + START_SECONDS
            while not (
                found := re.search(r"gRPC on (\S+), HTTP on (\S+),", (home / "log").read_text())
            ):
                if time.monotonic() > end or process.poll() is not None:
                    raise SystemExit((home / "log").read_text())
                time.sleep(0.05)
            yield found[1], found[2], (home / ".local/share/streamer/admin.key").read_text().strip()
        finally:
            process.terminate()


def by_grpc(client: Client) -> Create:
    async def create(number: int) -> None:
        start = Timestamp(seconds=int(time.time()) + LATER_SECONDS)
        stream = stream_pb2.Stream(
            destination=DESTINATION,
            amount_msat=5_000,
            interval=Duration(seconds=60),
            start_time=start,
        )
        await client.call(
            client.streams.CreateStream,
            stream_pb2.CreateStreamRequest(stream=stream, request_id=f"g{number}"),
        )

    return create


def by_http(http: str, key: str, connections: asyncio.Queue[Connection]) -> Create:
    """HTTP by hand over kept connections: client libraries of Python cost more than the daemon's
    answer.
    """

    async def create(number: int) -> None:
        start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + LATER_SECONDS))
        body = json.dumps(
            {
                "destination": DESTINATION,
                "amountMsat": "5000",
                "interval": "60s",
                "startTime": start,
            }
        )
        head = (
            f"POST /v1/streams HTTP/1.1\r\nHost: {http}\r\nX-API-KEY: {key}\r\nIdempotency-Key:"
            f" h{number}\r\n"
        )
        reader, writer = connection = await connections.get()
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answered = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert answered.startswith("HTTP/1.1 200 "), answered
        length = re.search(r"content-length: (\d+)", answered)
        json.loads(await reader.readexactly(int(length[1]) if length else 0))
        connections.put_nowait(connection)

    return create


async def timed(create: Create, calls: int, at_once: int, first: int) -> dict[str, float]:
    """Seconds for all calls, and the time of the slowest of a hundred."""
    numbers, took = iter(range(first, first + calls)), []

    async def worker() -> None:
        for number in numbers:
            began = time.perf_counter()
            await create(number)
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    seconds = time.perf_counter() - began
    return {
        "seconds": round(seconds, 2),
        "calls_per_second": round(calls / seconds),
        "p99_ms": round(sorted(took)[-len(took) // 100] * 1e3),
    }


async def measure(
    calls: int, at_once: int, doors: tuple[str, str, str]
) -> dict[str, dict[str, float]]:
    grpc, http, key = doors
    connections: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(at_once):
        connections.put_nowait(await asyncio.open_connection(*http.rsplit(":", 1)))
    figures: dict[str, dict[str, float]] = {}
    async with Client(grpc, key) as client:
        for first in (0, calls):
            figures["grpc"] = await timed(by_grpc(client), calls, at_once, first)
            figures["http"] = await timed(by_http(http, key, connections), calls, at_once, first)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--at-once", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, daemon(Path(folder)) as doors:
        print(json.dumps(asyncio.run(measure(arguments.calls, arguments.at_once, doors))))


if __name__ == "__main__":
    main()
