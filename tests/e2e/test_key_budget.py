"""A key's budget with a daemon as a process: a hundred calls at once, streams beside them, and a
kill in the middle.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from streamer._proto.streamer.v1 import payment_pb2
from streamer.client import CallFailed, Client, NotReachable
from tests.e2e.house import House, journal, settled, until
from tests.e2e.networks import Network, Networks
from tests.e2e.test_kill import nothing_open, paying, street

CALLS = 100
BUDGET_MSAT = 400_000
AMOUNT_MSAT, FEE_LIMIT_MSAT = 7_000, 5_000
SCOPES = ("streams:write", "payments:write")


def keyed(daemon: House, folder: Path) -> str:
    """A key with a budget, two streams of it, and its text."""
    file = folder / "app.key"
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    daemon.json("key", "create", *scopes, "--budget", f"{BUDGET_MSAT}msat", "--out", str(file))
    return file.read_text().strip()


async def storm(daemon: House, network: Network, text: str, first: int, kill: bool) -> list[Any]:
    """A hundred payments at once; the daemon may be killed under them."""

    async def pay(client: Client, number: int) -> Any:
        request = payment_pb2.CreatePaymentRequest(
            destination=network.receivers[number % len(network.receivers)],
            amount_msat=AMOUNT_MSAT,
            fee_limit_msat=FEE_LIMIT_MSAT,
            request_id=f"p{number}",
        )
        return await client.call(client.payments.CreatePayment, request, 60)

    async with Client(daemon.grpc, text) as client:
        calls = [
            asyncio.ensure_future(pay(client, number)) for number in range(first, first + CALLS)
        ]
        if kill:
            while network.count() < 5:
                await asyncio.sleep(0.005)
            os.kill(daemon.process.pid, signal.SIGKILL)
        return await asyncio.gather(*calls, return_exceptions=True)


def spent_msat(home: Path) -> int:
    """By the journal's payments of the key, all of which have ended."""
    with journal(home) as connection:
        (found,) = connection.execute(
            "SELECT sum(settled_msat + fee_msat) FROM payments WHERE api_key = 1"
        ).fetchone()
    return int(found or 0)


def test_a_budget_of_a_key_holds_under_a_storm_of_calls_and_a_kill(
    tmp_path: Path, networks: Networks
) -> None:
    network, home = street(networks, tmp_path / "network", 61), tmp_path / "home"
    with paying(home, network) as daemon:
        text = keyed(daemon, tmp_path)
        for receiver in network.receivers[:2]:
            opened = daemon.cli(
                "stream", "open", receiver, "1sat/1s", "--key-file", str(tmp_path / "app.key")
            )
            assert opened.code == 0, opened
        ends = asyncio.run(storm(daemon, network, text, 0, kill=True))
        assert any(isinstance(end, NotReachable) for end in ends), "the kill met calls under way"
        daemon.process.wait()
    with paying(home, network) as daemon:
        ends = asyncio.run(storm(daemon, network, text, 0, kill=False)) + asyncio.run(
            storm(daemon, network, text, CALLS, kill=False)
        )
        refused = [end for end in ends if isinstance(end, CallFailed)]
        assert {end.reason for end in refused} == {"KEY_BUDGET_SPENT"}, refused
        until(lambda: daemon.metric("payments_open") == 0, "all payments have ended")
        until(
            lambda: (
                not any(
                    s["state"] in ("ACTIVE", "STALLED", "CLOSING")
                    for s in daemon.json("stream", "list")["streams"]
                )
            ),
            "the streams end",
        )
        assert {s["reason"] for s in daemon.json("stream", "list")["streams"]} == {
            "KEY_BUDGET_SPENT"
        }
        [key] = daemon.json("key", "list")["keys"]
        assert daemon.json("status")["sending"], "a key without money stops nobody else"
        assert daemon.stop() == 0
    nothing_open(home)
    assert settled(home) == network.received()
    assert key["spent_msat"] == spent_msat(home) <= BUDGET_MSAT and key["reserved_msat"] == 0
    assert BUDGET_MSAT - spent_msat(home) < 1_000 + FEE_LIMIT_MSAT, (
        "all of it that buys a payment was spent"
    )
