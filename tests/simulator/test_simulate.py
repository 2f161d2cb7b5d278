"""`streamer simulate` as a process: ready line, files, stop on a signal."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.cli.simulate import command
from streamer.simulator.serve import ServedNode
from tests.simulator.wire import Wire, ends

RUN = "from streamer.cli.simulate import command; command()"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ready_line_works_and_a_signal_ends_it_cleanly(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            RUN,
            "--dir",
            str(tmp_path),
            "--nodes",
            "3",
            "--json",
            "--state",
            str(tmp_path / "s.json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        nodes = [ServedNode(**node) for node in json.loads(line)["nodes"]]
        assert [node.name for node in nodes] == ["alice", "bob", "carol"]
        assert all(
            bytes.fromhex(node.pubkey)[0] in (2, 3) and len(node.pubkey) == 66 for node in nodes
        )
        asyncio.run(_pay(nodes, tmp_path))
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")
        assert (tmp_path / "s.json").exists()
    finally:
        process.kill()
        process.wait()


async def _pay(nodes: list[ServedNode], folder: Path) -> None:
    assert Path(nodes[0].macaroonpath) == folder / "alice" / "admin.macaroon"
    assert Path(nodes[0].tlscertpath) == folder / "alice" / "tls.cert"
    wire = Wire(nodes[0], (folder / "alice" / "streamer.macaroon").read_bytes().hex())
    for number, node in enumerate(nodes[1:]):
        assert ends(await wire.keysend(bytes.fromhex(node.pubkey), number)) == "SUCCEEDED"
    # the least macaroon cannot delete
    assert await wire.ask("DeletePayment", ln.DeletePaymentRequest()) == (
        "UNKNOWN",
        "permission denied",
    )
    await wire.channel.close()


def test_a_broken_state_file_is_said_and_refused(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("{}")
    result = CliRunner().invoke(command, ["--state", str(tmp_path / "s.json")])
    assert result.exit_code == 1
    assert "is not a state file of the simulator" in result.output


def test_one_node_is_not_a_network() -> None:
    result = CliRunner().invoke(command, ["--nodes", "1"])
    assert result.exit_code == 2
