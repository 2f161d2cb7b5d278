"""Streams are paid on real lnd: what the receiver's books say is what the ledger says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer._proto.streamer.v1.stream_pb2 import CreateStreamRequest, Stream
from streamer.client import Client
from streamer.core.keysend import STREAM_TYPE, decode_stream_record
from tests.lnd.daemon import DaemonProcess, until
from tests.lnd.network import Network
from tests.lnd.node import Lnd

pytestmark = pytest.mark.lnd

STREAMS = 20
SECONDS = 60
NOBODY = "0257892b7a7046bfe0fba5ded89b8ddb24b9eb0658f3de721e35702d3cdea1b2ee"


@pytest.fixture
def daemon(lnd_network: Network, tmp_path: Path) -> Iterator[DaemonProcess]:
    payer = lnd_network.nodes[0]
    with DaemonProcess(
        payer, tmp_path / "data", "--node.max-in-flight-per-destination", "50"
    ) as process:
        yield process


def open_many(daemon: DaemonProcess, count: int, destination: str) -> list[str]:
    """Streams of 1 sat/s; their ids."""

    async def scene() -> list[str]:
        async with Client(daemon.server, daemon.key.read_text().strip()) as client:
            order = Stream(destination=destination, amount_msat=1000)
            order.interval.FromSeconds(1)
            calls = (
                client.call(client.streams.CreateStream, CreateStreamRequest(stream=order))
                for _ in range(count)
            )
            return [stream.id for stream in await asyncio.gather(*calls)]

    return asyncio.run(scene())


def books_agree(daemon: DaemonProcess, receiver: Lnd, stream_ids: list[str]) -> int:
    """Each settled payment of the ledger is one settled HTLC with its amount, and no other; how
    many.
    """
    received: dict[str, list[int]] = {}
    for htlc in receiver.received():
        received.setdefault(htlc.payment_hash.hex(), []).append(htlc.amt_msat)
    settled = 0
    for stream_id in stream_ids:
        payments = daemon.payments(stream_id)
        for payment in payments:
            expected = [int(payment["amount_msat"])] if payment["state"] == "SETTLED" else []
            assert received.get(payment["payment_hash"], []) == expected, payment
            settled += len(expected)
        assert [payment["seq"] for payment in payments] == list(range(1, len(payments) + 1))
        assert daemon.stream(stream_id)["paid_msat"] == sum(
            int(p["amount_msat"]) for p in payments if p["state"] == "SETTLED"
        )
    return settled


def test_twenty_streams_for_a_minute(lnd_network: Network, daemon: DaemonProcess) -> None:
    receiver = lnd_network.nodes[1]
    ids = open_many(daemon, STREAMS, receiver.pubkey.hex())
    time.sleep(SECONDS)
    assert daemon.stop() == 0
    with daemon:
        for stream_id in ids:
            daemon.cli("stream", "cancel", stream_id)
        until("nothing is open", lambda: daemon.status()["payments_open"] == 0)
        settled = books_agree(daemon, receiver, ids)
        assert settled >= STREAMS * SECONDS * 0.9
        streams = [daemon.stream(stream_id) for stream_id in ids]
        assert not [
            stream for stream in streams if stream["skipped_msat"] or stream["payments_failed"]
        ]
        assert all(stream["paid_msat"] >= SECONDS * 1000 for stream in streams)
        ours = {htlc.payment_hash.hex(): htlc for htlc in receiver.received()}
        payments = daemon.payments(ids[0])
        records = [
            decode_stream_record(ours[payment["payment_hash"]].custom_records[STREAM_TYPE])
            for payment in payments
        ]
        assert [record.seq for record in records] == [payment["seq"] for payment in payments]
        assert [record.amount_msat for record in records] == [
            int(payment["amount_msat"]) for payment in payments
        ]
        assert "preimage" not in daemon.log() and daemon.key.read_text().strip() not in daemon.log()


def test_pause_resume_new_rate_cancel_and_a_budget(
    lnd_network: Network, daemon: DaemonProcess
) -> None:
    receiver = lnd_network.nodes[1].pubkey.hex()
    [paused, raised, cancelled] = open_many(daemon, 3, receiver)
    spent = daemon.cli(
        "stream",
        "open",
        receiver,
        "1sat/1s",
        "--budget",
        "12sat",
        "--fee-floor",
        "1sat",
        "--fee-limit-ppm",
        "0",
    )["id"]
    until(
        "all have paid",
        lambda: all(
            daemon.stream(one)["payments_settled"] >= 3 for one in (paused, raised, cancelled)
        ),
    )

    daemon.cli("stream", "pause", paused)
    daemon.cli("stream", "set", raised, "--rate", "5sat/1s")
    daemon.cli("stream", "cancel", cancelled)
    until("nothing of the paused one is open", lambda: daemon.stream(paused)["reserved_msat"] == 0)
    stopped = daemon.stream(paused)
    assert (stopped["state"], stopped["reason"]) == ("PAUSED", "USER")
    assert "resume" in stopped["explanation"]
    ended = daemon.stream(cancelled)
    assert ended["state"] in ("CANCELLED", "CLOSING") and ended["reason"] == "USER"

    until("the budget is spent", lambda: daemon.stream(spent)["state"] == "COMPLETED")
    done = daemon.stream(spent)
    assert (
        done["reason"] == "BUDGET_SPENT"
        and 10_000 <= done["paid_msat"] + done["fee_msat"] <= 12_000
    )
    assert daemon.stream(paused)["paid_msat"] == stopped["paid_msat"]
    faster = daemon.payments(raised)[-1]
    assert int(faster["amount_msat"]) >= 5_000

    daemon.cli("stream", "resume", paused)
    until(
        "it pays again", lambda: daemon.stream(paused)["paid_msat"] >= stopped["paid_msat"] + 3_000
    )
    again = daemon.stream(paused)
    assert again["state"] == "ACTIVE" and again["skipped_msat"] == 0
    running = time.time() - seconds_of(again["create_time"])
    assert again["paid_msat"] < running * 1_000
    for one in (paused, raised):
        daemon.cli("stream", "cancel", one)
    until("nothing is open", lambda: daemon.status()["payments_open"] == 0)
    books_agree(daemon, lnd_network.nodes[1], [paused, raised, cancelled, spent])


def test_those_that_cannot_be_paid_say_why(lnd_network: Network, daemon: DaemonProcess) -> None:
    deaf = daemon.cli("stream", "open", lnd_network.nodes[2].pubkey.hex(), "1sat/1s")["id"]
    nowhere = daemon.cli("stream", "open", NOBODY, "1sat/1s")["id"]
    until("the deaf one stalls", lambda: daemon.stream(deaf)["state"] == "STALLED")
    stalled = daemon.stream(deaf)
    assert stalled["reason"] == "RECEIVER_REJECTED" and stalled["payments_failed"] == 1
    assert "resume" in stalled["explanation"]
    until("the unknown one fails", lambda: daemon.stream(nowhere)["payments_failed"] >= 1)
    failed = daemon.stream(nowhere)
    assert (
        failed["state"] == "ACTIVE" and seconds_of(failed["next_attempt_time"]) > time.time() + 30
    )
    assert failed["paid_msat"] == 0 and "NO_ROUTE" in failed["explanation"] + failed["last_failure"]
    [attempt] = daemon.payments(nowhere)
    assert (attempt["state"], attempt["reason"]) == ("FAILED", "NO_ROUTE")


def test_a_receiver_that_goes_away_and_comes_back(
    lnd_network: Network, daemon: DaemonProcess
) -> None:
    payer, receiver = lnd_network.nodes[:2]
    [stream_id] = open_many(daemon, 1, receiver.pubkey.hex())
    until("it is paid", lambda: daemon.stream(stream_id)["payments_settled"] >= 3)
    receiver.stop()
    until("payments fail", lambda: daemon.stream(stream_id)["payments_failed"] >= 1, 60)
    failing = daemon.stream(stream_id)
    assert failing["explanation"] and failing["last_failure"]
    receiver.start()
    lnd_network.wait_active(payer, receiver, 4)
    before = failing["paid_msat"]
    daemon.cli("stream", "resume", stream_id)
    until("it is paid again", lambda: daemon.stream(stream_id)["paid_msat"] > before, 120)
    back: dict[str, Any] = {}

    def caught_up() -> bool:
        back.update(daemon.stream(stream_id))
        return bool(seconds_of(back["paid_until"]) >= time.time() - 2)

    until("it has caught up", caught_up, 120)
    assert back["skipped_msat"] == 0 and back["state"] == "ACTIVE"
    daemon.cli("stream", "cancel", stream_id)
    until("nothing is open", lambda: daemon.status()["payments_open"] == 0)
    books_agree(daemon, receiver, [stream_id])


def seconds_of(timestamp: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(timestamp[:26].rstrip("Z") + "+00:00").timestamp()
