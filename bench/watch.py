"""Do a thousand watchers slow a payment? One daemon on simulated nodes, STREAMS streams of a payment a second each.

Three stretches: nobody watches; WATCHERS watch one stream each; WATCHERS watch everything, and a fifth
of them never reads. Of each: payments a second, how late they were sent, and what it cost the daemon
in CPU and memory. Watchers live in a process of their own; that they connect is not measured.

    .venv/bin/python bench/watch.py
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
NONE, OWN, ALL = "nobody watches", "each watches one stream", "all watch everything, a fifth never reads"


def lateness() -> dict[str, float]:
    """How many payments were sent at most so late, by the histogram, and the sum of all latenesses."""
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
    spent = sum(int(part) for part in Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:13]) / os.sysconf("SC_CLK_TCK")
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


def watch(server: str, key: str, ids: list[str], everything: bool, counts: Any) -> None:
    """WATCHERS calls over CHANNELS connections, until killed; counts has the events and the drops."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))

    async def one(client: Client, number: int) -> None:
        request = stream_pb2.WatchStreamsRequest(filter="" if everything else f"id={ids[number % len(ids)]}")
        if everything and number % 5 == 0:
            call = client.streams.WatchStreams(request, metadata=client._metadata)
            await call.initial_metadata()
            await asyncio.Event().wait()
        while True:
            try:
                async for _ in client.watch(request.filter):
                    counts[0] += 1
            except CallFailed:
                counts[1] += 1

    async def main() -> None:
        clients = []
        for number in range(CHANNELS):
            client = Client(server, key)
            clients.append(client)
            await asyncio.sleep(0.01 * number)
        await asyncio.gather(*(one(clients[number % CHANNELS], number) for number in range(WATCHERS)))

    asyncio.run(main())


def p99(before: dict[str, float], after: dict[str, float]) -> str:
    """The bound below which 99 of 100 payments were sent in between."""
    bounds = {name[2:]: after[name] - before.get(name, 0) for name in after if name.startswith("le")}
    return next(bound for bound, count in bounds.items() if count >= 0.99 * bounds["+Inf"])


async def stretch(client: Client, pid: int, server: str, key: str, ids: list[str], kind: str) -> dict[str, object]:
    counts = multiprocessing.get_context("spawn").Array("q", 2)
    watching = None
    if kind != NONE:
        watching = multiprocessing.get_context("spawn").Process(target=watch, args=(server, key, ids, kind == ALL, counts), daemon=True)
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
        "mean_lateness_ms": round((after["late"] - before["late"]) / (after["settled"] - before["settled"]) * 1e3, 1),
        "p99_lateness_seconds_at_most": p99(before, after),
        "cpu_seconds_per_second": round((after["cpu"] - before["cpu"]) / span, 3),
        "mib": round(after["mib"]),
        "events_per_second": round((counts[0] - heard) / span),
        "readers_that_listed_again": counts[1],
    }


async def run(home: Path) -> list[dict[str, object]]:
    environment = {**os.environ, "HOME": str(home)}
    command = [sys.executable, "-m", "streamer"]
    simulator = subprocess.Popen([*command, "simulate", "--nodes", "5", "--json"], env=environment, stdout=subprocess.PIPE, text=True)
    daemon = None
    try:
        assert simulator.stdout is not None
        nodes = json.loads(simulator.stdout.readline())["nodes"]
        flags = [f"--node.{name}={nodes[0][name]}" for name in ("rpcserver", "tlscertpath", "macaroonpath")]
        doors = ["--api.grpc-listen=127.0.0.1:18881", "--api.http-listen=127.0.0.1:18882", "--node.max-in-flight-per-destination=100"]
        daemon = subprocess.Popen([*command, "serve", *flags, *doors], env=environment, stderr=subprocess.DEVNULL)
        key_file = home / ".local/share/streamer/admin.key"
        while not key_file.exists():
            await asyncio.sleep(0.1)
        server, key = "127.0.0.1:18881", key_file.read_text().strip()
        async with Client(server, key) as client:
            while not await healthy(client):
                await asyncio.sleep(0.1)
            places = [node["pubkey"] for node in nodes[1:]]
            ids = [(await client.open_stream(places[number % len(places)], 1_000, "1s")).id for number in range(STREAMS)]
            return [await stretch(client, daemon.pid, server, key, ids, kind) for kind in (NONE, OWN, ALL, NONE)]
    finally:
        for process in (daemon, simulator):
            if process is not None:
                process.kill()
                process.wait()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(run(Path(folder)))
    for line in found:
        print(json.dumps(line))
