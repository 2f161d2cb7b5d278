"""lnd's own command line and its Go packages use the simulator as they use lnd."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lnd.binaries import build, go_build

pytestmark = pytest.mark.lnd

CALL_SECONDS = 60


@dataclass
class Simulated:
    nodes: list[dict[str, str]]
    lncli: Path

    def run(
        self, node: int, *words: str, macaroon: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        reach = self.nodes[node]
        options = [
            "--rpcserver",
            reach["rpcserver"],
            "--tlscertpath",
            reach["tlscertpath"],
            "--network",
            "regtest",
        ]
        command = [
            str(self.lncli),
            *options,
            "--macaroonpath",
            macaroon or reach["macaroonpath"],
            *words,
        ]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=CALL_SECONDS, check=False
        )

    def ask(self, node: int, *words: str, macaroon: str | None = None) -> Any:
        done = self.run(node, *words, macaroon=macaroon)
        assert done.returncode == 0, f"lncli {words[0]}: {done.stderr or done.stdout}"
        return json.loads(done.stdout[done.stdout.index("{") :])

    def refused(self, node: int, *words: str, macaroon: str | None = None) -> str:
        done = self.run(node, *words, macaroon=macaroon)
        assert done.returncode != 0
        return done.stderr


@pytest.fixture(scope="module", params=["grpc", "fast"])
def simulated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Simulated]:
    folder = tmp_path_factory.mktemp("simulated")
    mode = ["--fast"] if request.param == "fast" else []
    command = [
        sys.executable,
        "-m",
        "streamer",
        "simulate",
        "--dir",
        str(folder),
        "--nodes",
        "3",
        "--hub",
        "--json",
        *mode,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Simulated(json.loads(process.stdout.readline())["nodes"], build().lncli)
        finally:
            process.terminate()


def test_lncli_asks(simulated: Simulated) -> None:
    alice, bob = simulated.nodes[0]["pubkey"], simulated.nodes[1]["pubkey"]
    info = simulated.ask(0, "getinfo")
    assert (info["identity_pubkey"], info["synced_to_chain"], info["chains"][0]["network"]) == (
        alice,
        True,
        "regtest",
    )
    assert simulated.ask(0, "state") == {"state": "SERVER_ACTIVE"}
    assert int(simulated.ask(0, "channelbalance")["local_balance"]["sat"]) > 0
    assert len(simulated.ask(0, "listchannels")["channels"]) == info["num_active_channels"]
    assert simulated.ask(0, "pendingchannels")["waiting_close_channels"] == []
    assert len(simulated.ask(0, "listpeers")["peers"]) == 1
    assert int(simulated.ask(0, "walletbalance")["confirmed_balance"]) > 0
    assert simulated.ask(0, "getnodeinfo", bob)["node"]["features"]["55"]["name"] == "keysend"
    assert {node["alias"] for node in simulated.ask(0, "describegraph")["nodes"]} == {
        "alice",
        "bob",
        "carol",
        "hub",
    }
    assert (
        simulated.ask(0, "queryroutes", "--dest", bob, "--amt", "5")["routes"][0]["total_fees_msat"]
        == "1000"
    )
    assert simulated.ask(0, "version")["lnd"]["version"] == "0.21.2-beta"
    assert "Unimplemented" in simulated.refused(0, "newaddress", "p2wkh")


def test_lncli_pays(simulated: Simulated) -> None:
    invoice = simulated.ask(1, "addinvoice", "--amt", "7", "--memo", "tea")
    assert simulated.ask(1, "lookupinvoice", invoice["r_hash"])["state"] == "OPEN"
    assert simulated.ask(0, "decodepayreq", invoice["payment_request"])["description"] == "tea"
    paid = simulated.ask(0, "payinvoice", "--force", "--json", invoice["payment_request"])
    assert (paid["status"], paid["fee_msat"]) == ("SUCCEEDED", "1000")
    assert "invoice is already paid" in simulated.refused(
        0, "payinvoice", "--force", invoice["payment_request"]
    )
    words = [
        "sendpayment",
        "--keysend",
        "--amt",
        "3",
        "--dest",
        simulated.nodes[1]["pubkey"],
        "--data",
        "70001=c0ffee",
        "--force",
    ]
    keysend = simulated.ask(0, *words, "--json")
    assert (keysend["status"], keysend["value_msat"]) == ("SUCCEEDED", "3000")
    assert simulated.run(0, *words).returncode == 0
    assert (
        simulated.ask(0, "trackpayment", "--json", keysend["payment_hash"])["status"] == "SUCCEEDED"
    )
    listed = simulated.ask(0, "listpayments")["payments"]
    assert [payment["payment_hash"] for payment in listed[:2]] == [
        invoice["r_hash"],
        keysend["payment_hash"],
    ]
    received = simulated.ask(1, "listinvoices")["invoices"]
    assert [one["state"] for one in received[:2]] == ["SETTLED", "SETTLED"]
    assert received[1]["htlcs"][0]["custom_records"]["70001"] == "c0ffee"


def test_lncli_bakes_what_is_refused_where_it_must_be(simulated: Simulated, tmp_path: Path) -> None:
    path = str(tmp_path / "less.macaroon")
    done = simulated.run(
        0, "bakemacaroon", "--save_to", path, "info:read", "uri:/lnrpc.Lightning/AddInvoice"
    )
    assert done.returncode == 0
    assert simulated.ask(0, "getinfo", macaroon=path)["alias"] == "alice"
    assert simulated.ask(0, "addinvoice", macaroon=path)["r_hash"]
    for words in (
        ["listchannels"],
        ["listinvoices"],
        ["bakemacaroon", "info:read"],
        ["listpayments"],
    ):
        assert "permission denied" in simulated.refused(0, *words, macaroon=path)
    for address, there in (("127.0.0.1", True), ("10.0.0.1", False)):
        locked = str(tmp_path / address)
        words = [
            "constrainmacaroon",
            "--timeout",
            "60",
            "--ip_address",
            address,
            simulated.nodes[0]["macaroonpath"],
            locked,
        ]
        assert simulated.run(0, *words).returncode == 0
        assert (simulated.run(0, "getinfo", macaroon=locked).returncode == 0) is there
    assert "locked to different IP address" in simulated.refused(0, "getinfo", macaroon=locked)
    assert "verification failed" in simulated.refused(1, "getinfo", macaroon=path)


def test_lnds_go_packages(simulated: Simulated, tmp_path: Path) -> None:
    program = tmp_path / "client"
    go_build(program, "./client")
    words = [
        node[name]
        for node in simulated.nodes[:2]
        for name in ("rpcserver", "tlscertpath", "macaroonpath")
    ]
    done = subprocess.run(
        [program, *words], capture_output=True, text=True, timeout=CALL_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen == {
        "state": "SERVER_ACTIVE",
        "minor": 21,
        "active_channels": 10,
        "channels": 10,
        "has_funds": True,
        "keysend": True,
        "absent": "Unimplemented",
        "memo": "from Go",
        "num_satoshis": 7,
        "invoice": ["IN_FLIGHT", "IN_FLIGHT", "SUCCEEDED"],
        "invoice_state": "SETTLED",
        "cancel": "invoice already settled",
        "keysend_updates": ["IN_FLIGHT", "IN_FLIGHT", "SUCCEEDED"],
        "again": "AlreadyExists",
        "tracked": ["SUCCEEDED"],
        "listed": True,
        "record": "Go",
        "denied": "permission denied",
    }
