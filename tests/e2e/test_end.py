"""SIGTERM as callers see it: nothing new, what is under way ends, and watchers go on after the
restart.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import grpc
import pytest

from streamer._proto.streamer.v1 import payment_pb2, stream_pb2
from streamer.client import CURSOR_GONE, CallFailed, Client
from streamer.client.watching import SILENCE_SECONDS
from streamer.simulator.serve import Plan
from tests.cli.daemon import free_port
from tests.e2e.house import LOOK_SECONDS, STREAMER, House, data_of, environment, house, until
from tests.e2e.networks import Network, Networks

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def network(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Network:
    return networks.start(tmp_path_factory.mktemp("end"), Plan(nodes=2, channels=2))


def client_of(daemon: House) -> Client:
    return Client(daemon.grpc, (data_of(daemon.home) / "admin.key").read_text().strip())


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await test

    asyncio.run(bounded())


def test_a_request_that_is_still_arriving_over_http_is_told(
    network: Network, tmp_path: Path
) -> None:
    with house(tmp_path, *network.flags()) as daemon:
        host, _, port = daemon.http.rpartition(":")
        key = (data_of(daemon.home) / "admin.key").read_text().strip()
        with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as slow:
            slow.sendall(
                b"POST /v1/sending:stop HTTP/1.1\r\nHost: x\r\nX-API-KEY: %b\r\nContent-Length:"
                b" 10\r\n\r\n{" % key.encode()
            )
            time.sleep(LOOK_SECONDS)
            assert daemon.stop() == 0
            told = slow.recv(4_096).decode()
        assert told.startswith("HTTP/1.1 503 ")
        assert "streamer is stopping: call again when it is back" in told
        assert '"level": "error"' not in daemon.log()


def test_calls_under_way_end_and_new_ones_are_told(network: Network, tmp_path: Path) -> None:
    """A payment is held by its receiver when SIGTERM comes, and let go a little later."""
    network.fault(lambda faults: faults.hold("bob"))
    with house(tmp_path, *network.flags()) as daemon:
        daemon.until_paying()

        async def test() -> None:
            async with client_of(daemon) as client:
                paying, begun = (
                    asyncio.ensure_future(client.keysend(network.receivers[0], 1_000, "r1")),
                    asyncio.Event(),
                )
                watching = asyncio.ensure_future(last_of(client, begun))
                await begun.wait()
                while not daemon.metric("payments_open"):
                    await asyncio.sleep(0.02)
                daemon.process.send_signal(signal.SIGTERM)
                await until_refused(client)
                assert not paying.done()
                network.fault(lambda faults: faults.release("bob"))
                assert (await paying).state == payment_pb2.Payment.SETTLED
                cursor, refusal = await watching
                assert refusal == f"streamer is stopping: resume with cursor {cursor}"

        run(test())
        assert daemon.process.wait(PATIENCE_SECONDS) == 0
        assert "Traceback" not in daemon.log()


async def until_refused(client: Client) -> None:
    while True:
        try:
            await client.get_status()
        except CallFailed as error:
            assert (error.code, error.reason) == ("UNAVAILABLE", "STOPPING")
            assert str(error) == "streamer is stopping: call again when it is back"
            return
        await asyncio.sleep(0.02)


async def last_of(client: Client, begun: asyncio.Event) -> tuple[int, str]:
    """(the last cursor, why it ended) of one watching call; begun is set when the call is no new
    one any more.
    """
    cursor = 0
    try:
        async for event in client.events("", 0, SILENCE_SECONDS):
            cursor = event.cursor
            begun.set()
    except CallFailed as error:
        return cursor, str(error)
    return cursor, ""


def test_a_call_that_cannot_end_in_time_is_told_what_to_do(
    network: Network, tmp_path: Path
) -> None:
    network.fault(lambda faults: faults.hold("bob"))
    with house(tmp_path, *network.flags(), "--node.hold-after", "2s") as daemon:
        daemon.until_paying()

        async def test() -> None:
            async with client_of(daemon) as client:
                paying = asyncio.ensure_future(
                    client.keysend(network.receivers[0], 1_000, "r1", timeout_seconds=300)
                )
                while not daemon.metric("payments_open"):
                    await asyncio.sleep(0.02)
                began = time.monotonic()
                daemon.process.send_signal(signal.SIGTERM)
                with pytest.raises(
                    CallFailed,
                    match=(
                        "streamer stopped before this call ended: when it is back, ask again with"
                        " the same"
                    ),
                ):
                    await paying
                assert time.monotonic() - began < 50

        run(test())
        assert daemon.process.wait(PATIENCE_SECONDS) == 0
        assert "Traceback" not in daemon.log()
    network.fault(lambda faults: faults.release("bob"))


def begin_watching(home: Path, server: str, stream_id: str) -> subprocess.Popen[bytes]:
    """`streamer stream watch`, what it prints in a file."""
    command = [*STREAMER, "stream", "watch", stream_id, "--json"]
    with (home / "printed").open("wb") as out:
        return subprocess.Popen(
            command,
            env=environment(home, STREAMER_SERVER=server),
            stdout=out,
            stderr=subprocess.PIPE,
        )


def printed(home: Path) -> list[int]:
    """The payments that it showed."""
    whole = (
        line
        for line in (home / "printed").read_text().splitlines(keepends=True)
        if line.endswith("\n")
    )
    return [event["payment"]["seq"] for event in map(json.loads, whole) if event.get("payment")]


def test_a_watch_survives_a_restart_and_is_told_of_a_crash(
    network: Network, tmp_path: Path
) -> None:
    """Over a clean restart every payment is seen once; after SIGKILL the reader learns that it must
    list again.
    """
    flags = (
        *network.flags(),
        "--api.grpc-listen",
        f"127.0.0.1:{free_port()}",
        "--streams.catch-up",
        "forever",
    )
    seen: list[int] = []

    async def watch(client: Client) -> None:
        async for event in client.watch():
            if event.HasField("payment"):
                seen.append(event.payment.seq)

    async def until_seen(count: int) -> None:
        while len(seen) < count:
            await asyncio.sleep(0.05)

    async def test() -> None:
        with house(tmp_path, *flags) as daemon:
            await asyncio.to_thread(daemon.until_paying)
            client = client_of(daemon)
            watching = asyncio.ensure_future(watch(client))
            stream = await client.open_stream(network.receivers[0], 2_000, "1s")
            printing = begin_watching(tmp_path, daemon.grpc, stream.id)
            await until_seen(2)
            await asyncio.to_thread(until, lambda: printed(tmp_path), "the command shows a payment")
            assert await asyncio.to_thread(daemon.stop) == 0
        with house(tmp_path, *flags) as daemon:
            await until_seen(len(seen) + 2)
            assert seen == list(range(seen[0], seen[0] + len(seen)))
            last = seen[-1]
            shown = await asyncio.to_thread(
                until,
                lambda: seqs if last in (seqs := printed(tmp_path)) else [],
                "the command shows it too",
            )
            assert shown == list(range(shown[0], shown[-1] + 1))
            printing.send_signal(signal.SIGINT)
            assert not (await asyncio.to_thread(printing.communicate))[1].strip()
            daemon.process.kill()
            daemon.process.wait()
        with house(tmp_path, *flags), pytest.raises(CallFailed) as caught:
            await watching
        assert caught.value.reason == CURSOR_GONE
        await client.__aexit__(None, None, None)

    run(test())


def test_a_deadline_bounds_the_call_and_not_the_payment(network: Network, tmp_path: Path) -> None:
    network.fault(lambda faults: faults.hold("bob"))
    with house(tmp_path, *network.flags()) as daemon:
        daemon.until_paying()

        async def test() -> None:
            async with client_of(daemon) as client:
                pending = await client.keysend(network.receivers[0], 1_000, "r1", timeout_seconds=1)
                assert pending.state == payment_pb2.Payment.PENDING
                network.fault(lambda faults: faults.release("bob"))
                settled = await client.keysend(network.receivers[0], 1_000, "r1")
                assert (settled.id, settled.state) == (pending.id, payment_pb2.Payment.SETTLED)
                call = client.streams.WatchStreams(
                    stream_pb2.WatchStreamsRequest(), metadata=client._metadata, timeout=0.3
                )
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    while True:
                        await call.read()
                assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

        run(test())
