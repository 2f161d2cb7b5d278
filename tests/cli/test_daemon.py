"""The whole way of a user: a daemon process with the simulator, and the commands of the README."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.cli import INTERRUPTED
from tests.cli.daemon import PATIENCE_SECONDS, STREAMER, Served, environment, run, served
from tests.cli.test_commands import GOOD
from tests.e2e.house import until

RECEIVER = "0304d18d21a872438701aaa6f6b1e19bc22b49988cd5e23ab79cdb90b39c85dd0a"
"""The second node of a simulated network with seed 0."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("home")) as running:
        while running.call("status").returncode:
            pass
        yield running


def wait_paid(daemon: Served, stream_id: str) -> dict[str, Any]:
    """What the first settled payment's event says."""
    command = [*STREAMER, "stream", "watch", stream_id, "--json"]
    with subprocess.Popen(
        command,
        env=environment(daemon.home, STREAMER_SERVER=daemon.grpc),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watch:
        assert watch.stdout is not None
        event: dict[str, Any] = next(
            event for event in map(json.loads, watch.stdout) if "payment" in event
        )
        watch.send_signal(signal.SIGINT)
        _, told = watch.communicate(timeout=PATIENCE_SECONDS)
    assert (watch.returncode, told.strip()) == (INTERRUPTED, "")
    return event


def test_open_watch_show_set_pause_resume_cancel(daemon: Served) -> None:
    opened = daemon.call(
        "stream",
        "open",
        RECEIVER,
        "2sat/1s",
        "--budget",
        "1000sat",
        "--label",
        "app=x",
        "--group",
        "g",
    )
    assert opened.returncode == 0, opened.stderr
    stream_id = opened.stdout.strip()
    event = wait_paid(daemon, stream_id)
    assert event["payment"]["state"] == "SETTLED"
    assert event["payment"]["amount_msat"] % 2_000 == 0
    shown = daemon.json("stream", "show", stream_id)
    assert (shown["state"], shown["labels"], shown["budget"]["period"]) == (
        "ACTIVE",
        {"app": "x"},
        "total",
    )
    assert shown["paid_msat"] >= 2_000
    assert "2 sat per 1s" in daemon.call("stream", "show", stream_id).stdout
    until(
        lambda: "paid ahead for" in daemon.call("stream", "show", stream_id).stdout,
        "no payment is just under way",
    )
    changed = daemon.json("stream", "set", stream_id, "--rate", "3sat/2s", "--no", "budget")
    assert (changed["amount_msat"], changed["interval"], "budget" in changed) == (
        3_000,
        "2s",
        False,
    )
    assert daemon.json("stream", "pause", stream_id)["state"] == "PAUSED"
    assert (
        f"`streamer stream resume {stream_id}` goes on"
        in daemon.call("stream", "show", stream_id).stdout
    )
    assert daemon.json("stream", "resume", stream_id)["state"] == "ACTIVE"
    assert daemon.json("stream", "cancel", stream_id)["state"] in ("CANCELLED", "CLOSING")
    again = daemon.call("stream", "pause", stream_id)
    assert again.returncode == 1
    assert "has ended" in again.stderr
    assert [
        stream["id"] for stream in daemon.json("stream", "list", "--filter", "group=g")["streams"]
    ] == [stream_id]
    payments = daemon.json("payment", "list", "--stream", stream_id)["payments"]
    assert {payment["state"] for payment in payments} == {"SETTLED"}
    assert daemon.json("payment", "show", payments[0]["id"])["id"] == payments[0]["id"]


def test_a_ttl_is_taken_back_and_a_budget_is_in_total(daemon: Served) -> None:
    stream_id = daemon.call(
        "stream", "open", RECEIVER, "2sat/1h", "--ttl", "1h", "--budget", "100sat"
    ).stdout.strip()
    until(lambda: daemon.json("stream", "show", stream_id)["payments_settled"] == 1, "it has paid")
    shown = daemon.call("stream", "show", stream_id).stdout
    assert "100 sat in total" in shown and "in 1 payment, fees" in shown
    assert "ttl" in daemon.json("stream", "show", stream_id)
    assert "ttl" not in daemon.json("stream", "set", stream_id, "--ttl", "none")
    assert daemon.call("stream", "cancel", stream_id).returncode == 0
    assert "--start" in daemon.call("stream", "open", "--help").stdout
    assert "--start" not in daemon.call("stream", "set", "--help").stdout


def test_a_payment_that_failed_says_why_once(daemon: Served) -> None:
    done = daemon.call("keysend", GOOD, "7sat")
    assert (done.returncode, done.stdout.count("NO_ROUTE")) == (1, 1), done.stdout


def test_dry_run_opens_nothing(daemon: Served) -> None:
    before = [stream["id"] for stream in daemon.json("stream", "list")["streams"]]
    done = daemon.call("stream", "open", RECEIVER, "50sat/1m", "--dry-run", "--for", "1h")
    assert "3,000 sat" in done.stdout
    assert "Nothing was opened" in done.stdout
    assert [stream["id"] for stream in daemon.json("stream", "list")["streams"]] == before


def test_keysend_pays_once_per_request_id(daemon: Served) -> None:
    first = daemon.json("keysend", RECEIVER, "7sat", "--request-id", "once")
    again = daemon.json("keysend", RECEIVER, "7sat", "--request-id", "once")
    assert first["state"] == "SETTLED"
    assert (first["id"], first["preimage"]) == (again["id"], again["preimage"])
    other = daemon.call("keysend", RECEIVER, "8sat", "--request-id", "once")
    assert other.returncode == 1
    assert "with other content" in other.stderr


def test_bad_input_is_refused_by_the_daemon(daemon: Served) -> None:
    for arguments, code, says in (
        (("stream", "open", "abcd", "1sat/1s"), 1, "destination has 2 bytes"),
        (
            ("stream", "open", RECEIVER, "1sat/50ms"),
            1,
            "interval is 50ms: at least 100ms is needed",
        ),
        (("stream", "open", RECEIVER, "0sat/1s"), 1, "amount_msat is 0"),
        (("stream", "open", RECEIVER, "1btc/1s"), 1, "is absurd"),
        (
            ("stream", "open", RECEIVER, "1sat/1s", "--budget", "5sat"),
            1,
            "is smaller than one payment",
        ),
        (("stream", "show", "st_0"), 1, "no stream st_0"),
        (("stream", "list", "--filter", "x=y"), 1, "is not understood"),
        (("payment", "list", "--stream", ""), 1, "'' is no stream's id"),
    ):
        done = daemon.call(*arguments)
        assert (done.returncode, says in done.stderr) == (code, True), done.stderr


def test_stop_and_start_and_their_status(daemon: Served) -> None:
    assert daemon.call("sending", "stop", "--drain").returncode == 0
    status = daemon.call("status")
    assert status.returncode == 4
    assert "stopped: OPERATOR" in status.stdout
    refused = daemon.call("keysend", RECEIVER, "7sat")
    told = (
        "sending is stopped (OPERATOR): stopped by `streamer sending stop`: `streamer sending"
        " start` when it may go on"
    )
    assert (refused.returncode, told in refused.stderr) == (1, True)
    assert daemon.call("sending", "start").returncode == 0
    assert daemon.call("status").returncode == 0
    assert daemon.json("status")["sending"] is True


def test_an_empty_id_is_not_all_streams(daemon: Served) -> None:
    done = daemon.call("stream", "watch", "")
    assert (done.returncode, "'' is no stream's id" in done.stderr) == (1, True)


def test_metrics_are_served(daemon: Served) -> None:
    daemon.json("keysend", RECEIVER, "7sat")
    with urllib.request.urlopen(f"http://{daemon.http}/metrics") as reply:
        text = reply.read().decode()
    assert re.search(
        r'streamer_payments_total\{node="simulator",outcome="settled",reason=""\} [1-9]', text
    )
    assert re.search(r"streamer_store_commit_seconds_count [1-9]", text)
    assert 'streamer_node_up{node="simulator"} 1.0' in text


def test_a_wrong_key_and_no_key(daemon: Served, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0" * 64)
    done = daemon.call("status", "--key-file", str(tmp_path / "key"))
    assert (
        done.returncode,
        f"the key in {tmp_path / 'key'} is not known to the daemon at {daemon.grpc}" in done.stderr,
    ) == (1, True)
    done = run(tmp_path, "status", STREAMER_SERVER=daemon.grpc)
    assert (done.returncode, "no key found: neither" in done.stderr) == (2, True)


def test_the_http_port_is_not_the_grpc_port(daemon: Served) -> None:
    done = daemon.call("status", "--server", daemon.http)
    assert (
        done.returncode,
        f"{daemon.http} answers in HTTP/1: name the daemon's gRPC address" in done.stderr,
    ) == (3, True), done.stderr


def test_a_second_daemon_on_the_folder_is_refused(daemon: Served) -> None:
    done = run(
        daemon.home,
        "serve",
        "--simulator",
        "true",
        "--api.grpc-listen",
        "127.0.0.1:0",
        "--api.http-listen",
        "127.0.0.1:0",
    )
    assert done.returncode == 1
    assert "another streamer" in done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_ends_with_zero_and_the_next_start_knows_all(tmp_path: Path) -> None:
    with served(tmp_path) as first:
        while first.call("status").returncode:
            pass
        stream_id = first.call("stream", "open", RECEIVER, "1sat/1s").stdout.strip()
        wait_paid(first, stream_id)
        sent = first.json("keysend", RECEIVER, "7sat", "--request-id", "once")
        same = ("stream", "open", RECEIVER, "1sat/1m", "--request-id", "one-stream")
        other_id = first.call(*same).stdout
        assert first.call("sending", "stop").returncode == 0
        assert first.stop() == 0
    with served(tmp_path, ready=False) as second:
        shown = second.json("stream", "show", stream_id)
        assert shown["state"] == "ACTIVE"
        assert shown["paid_msat"] >= 1_000
        assert second.call(*same).stdout == other_id
        again = second.json("keysend", RECEIVER, "7sat", "--request-id", "once")
        assert (again["id"], again["preimage"]) == (sent["id"], sent["preimage"])
        assert (
            second.json("stream", "list", "--filter", "state=ACTIVE")["streams"][0]["id"]
            == other_id.strip()
        )
        assert "sending is stopped" in second.call("stream", "show", stream_id).stdout
        assert second.call("status").returncode == 4
        assert second.stop() == 0


def test_demo_ends_with_its_totals_and_leaves_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "demo", "--for", "3s", "--json", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    totals = json.loads(done.stdout)
    assert set(totals) == {
        "payments",
        "paid_msat",
        "fee_msat",
        "price_msat",
        "skipped_msat",
        "failed",
        "p99_lateness_seconds",
    }
    assert totals["failed"] == totals["skipped_msat"] == 0
    assert totals["payments"] >= 6
    assert 0 <= totals["paid_msat"] - totals["price_msat"] <= 1_000 + 5_000 + 1_000
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_the_demo_with_its_totals(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*STREAMER, "demo"],
        env=environment(tmp_path, TMPDIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "streamer stream open" in line:
            break
    demo.send_signal(signal.SIGINT)
    rest = demo.communicate(timeout=PATIENCE_SECONDS)[0]
    assert demo.returncode == 0
    assert "payments of" in rest
    assert not list(tmp_path.iterdir())
