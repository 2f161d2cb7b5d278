"""Do a thousand watchers slow a payment? One daemon on simulated nodes, STREAMS streams of a
payment a second each.

Stretches: nobody watches; WATCHERS watch one stream each, or one label each; WATCHERS watch
everything, over gRPC and over HTTP, and a fifth of them never reads. Of each: payments a second,
how late they were sent, and what it cost the daemon in CPU and memory. Watchers live in a process
of their own; that they connect is not measured.

    .venv/bin/python bench/watch.py [STREAMS]
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from streamer._proto.streamer.v1 import stream_pb2
from streamer.client import CallFailed, Client, NotReachable

STREAMS, WATCHERS, CHANNELS = 150, 1_000, 20
SECONDS, WARM_UP_SECONDS = 20.0, 12.0
NONE, OWN, LABEL = "nobody watches", "each watches one stream", "each watches one label of ten"
GRPC, HTTP = (
    "all watch everything over gRPC, a fifth never reads",
    "all watch everything over HTTP, a fifth never reads",
)
LABELS = 10
KINDS = (NONE, OWN, LABEL, GRPC, HTTP, NONE)


def lateness() -> dict[str, float]:
    """How many payments were sent at most so late, by the histogram, and the sum of all
    latenesses.
    """
    with urllib.request.urlopen("http://127.0.0.1:18882/metrics") as reply:
        lines = reply.read().decode().splitlines()
    found = {"late": 0.0}
    for line in lines:
        if known := re.match(r'streamer_lateness_seconds_bucket{.*le="([^"]+)".*} (\S+)', line):
            found["le" + known[1]] = float(known[2])
        elif line.startswith("streamer_lateness_seconds_sum"):
            found["late"] = float(line.split()[-1])
    return found


async def look(client: Client, pid: int) -> dict[str, float]:
    status = await client.get_status()
    spent = sum(
        int(part)
        for part in Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:13]
    ) / os.sysconf("SC_CLK_TCK")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return {
        "settled": float(status.payments_settled),
        **await asyncio.to_thread(lateness),
        "cpu": spent,
        "mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "at": time.monotonic(),
    }


async def healthy(client: Client) -> bool:
    try:
        return (await client.get_status()).healthy
    except NotReachable:
        return False


def filter_of(kind: str, ids: list[str], number: int) -> str:
    return {OWN: f"id={ids[number % len(ids)]}", LABEL: f"labels.app=app{number % LABELS}"}.get(
        kind, ""
    )


async def watch_grpc(client: Client, filter_text: str, reads: bool, counts: Any) -> None:
    if not reads:
        call = client.streams.WatchStreams(
            stream_pb2.WatchStreamsRequest(), metadata=client._metadata
        )
        await call.initial_metadata()
        await asyncio.Event().wait()
    while True:
        try:
            async for _ in client.watch(filter_text):
                counts[0] += 1
        except CallFailed:
            counts[1] += 1


async def watch_http(key: str, reads: bool, counts: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", 18882)
    writer.write(f"GET /v1/streams:watch HTTP/1.1\r\nHost: x\r\nX-API-KEY: {key}\r\n\r\n".encode())
    if not reads:
        transport = writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        await asyncio.Event().wait()
    while line := await reader.readline():
        counts[0] += line.startswith(b'{"result"')
        counts[1] += line.startswith(b'{"error"')


def watch(server: str, key: str, ids: list[str], kind: str, counts: Any) -> None:
    """WATCHERS calls until killed, those of gRPC over CHANNELS connections; counts has the events
    and the drops.
    """
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))

    async def main() -> None:
        clients = []
        for number in range(CHANNELS):
            clients.append(Client(server, key))
            await asyncio.sleep(0.01 * number)
        watching = []
        for number in range(WATCHERS):
            reads = kind not in (GRPC, HTTP) or number % 5 > 0
            if kind == HTTP:
                watching.append(asyncio.ensure_future(watch_http(key, reads, counts)))
                await asyncio.sleep(0.002)
            else:
                watching.append(
                    asyncio.ensure_future(
                        watch_grpc(
                            clients[number % CHANNELS], filter_of(kind, ids, number), reads, counts
                        )
                    )
                )
        await asyncio.gather(*watching)

    asyncio.run(main())


def p99(before: dict[str, float], after: dict[str, float]) -> str:
    """The bound below which 99 of 100 payments were sent in between."""
    bounds = {
        name[2:]: after[name] - before.get(name, 0) for name in after if name.startswith("le")
    }
    return next(bound for bound, count in bounds.items() if count >= 0.99 * bounds["+Inf"])


async def stretch(
    client: Client, pid: int, server: str, key: str, ids: list[str], kind: str
) -> dict[str, object]:
    counts = multiprocessing.get_context("spawn").Array("q", 2)
    watching = None
    if kind != NONE:
        watching = multiprocessing.get_context("spawn").Process(
            target=watch, args=(server, key, ids, kind, counts), daemon=True
        )
        watching.start()
    await asyncio.sleep(WARM_UP_SECONDS)
    before, heard = await look(client, pid), counts[0]
    await asyncio.sleep(SECONDS)
    after = await look(client, pid)
    if watching is not None:
        watching.kill()
        watching.join()
    span = after["at"] - before["at"]
    return {
        "watchers": kind,
        "payments_per_second": round((after["settled"] - before["settled"]) / span, 1),
        "mean_lateness_ms": round(
            (after["late"] - before["late"]) / (after["settled"] - before["settled"]) * 1e3, 1
        ),
        "p99_lateness_seconds_at_most": p99(before, after),
        "cpu_seconds_per_second": round((after["cpu"] - before["cpu"]) / span, 3),
        "mib": round(after["mib"]),
        "events_per_second": round((counts[0] - heard) / span),
        "readers_that_were_dropped": counts[1],
    }


async def run(home: Path) -> list[dict[str, object]]:
    environment = {**os.environ, "HOME": str(home)}
    command = [sys.executable, "-m", "streamer"]
    simulator = subprocess.Popen(
        [*command, "simulate", "--nodes", "5", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    daemon = None
    try:
        assert simulator.stdout is not None
        nodes = json.loads(simulator.stdout.readline())["nodes"]
        flags = [
            f"--node.{name}={nodes[0][name]}"
            for name in ("rpcserver", "tlscertpath", "macaroonpath")
        ]
        doors = [
            "--api.grpc-listen=127.0.0.1:18881",
            "--api.http-listen=127.0.0.1:18882",
            "--node.max-in-flight-per-destination=100",
        ]
        daemon = subprocess.Popen(
            [*command, "serve", *flags, *doors], env=environment, stderr=subprocess.DEVNULL
        )
        key_file = home / ".local/share/streamer/admin.key"
        while not key_file.exists():
            await asyncio.sleep(0.1)
        server, key = "127.0.0.1:18881", key_file.read_text().strip()
        async with Client(server, key) as client:
            while not await healthy(client):
                await asyncio.sleep(0.1)
            places = [node["pubkey"] for node in nodes[1:]]
            ids = [
                (
                    await client.open_stream(
                        places[number % len(places)],
                        1_000,
                        "1s",
                        labels={"app": f"app{number % LABELS}"},
                    )
                ).id
                for number in range(STREAMS)
            ]
            return [await stretch(client, daemon.pid, server, key, ids, kind) for kind in KINDS]
    finally:
        for process in (daemon, simulator):
            if process is not None:
                process.kill()
                process.wait()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        STREAMS = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(run(Path(folder)))
    for line in found:
        print(json.dumps(line))
