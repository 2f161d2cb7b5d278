"""The answer to an order gets lost: the command says how to ask again, and who does so pays
once.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.daemon import PATIENCE_SECONDS, STREAMER, Served, environment, served
from tests.cli.losing import losing
from tests.cli.test_daemon import RECEIVER
from tests.e2e.house import until


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("home")) as running:
        until(lambda: not running.call("status").returncode, "the daemon pays")
        yield running


def lost(daemon: Served, arguments: tuple[str, ...], carried_out: str) -> str:
    """What the command says whose answer is lost after carried_out (a list of the daemon) has
    grown.
    """
    before = count(daemon, carried_out)
    with losing(daemon.grpc, RECEIVER.encode()) as wire:
        command = [*STREAMER, *arguments, "--server", wire.address]
        with subprocess.Popen(
            command,
            env=environment(daemon.home),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            until(lambda: count(daemon, carried_out) > before, "it is carried out")
            wire.cut()
            out, told = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (3, ""), told
    assert "the connection to" in told and "no daemon answers" not in told
    return told


def count(daemon: Served, noun: str) -> int:
    return len(daemon.json(noun, "list")[noun + "s"])


def test_a_keysend_whose_answer_is_lost_is_asked_for_again_and_paid_once(daemon: Served) -> None:
    order = ("keysend", RECEIVER, "10sat")
    told = lost(daemon, order, "payment")
    found = re.search(
        r"It may have been sent: the same command with (--request-id) (cli-\w+) tells, and never"
        r" pays twice",
        told,
    )
    assert found, told
    before = count(daemon, "payment")
    assert daemon.json(*order, *found.groups())["state"] == "SETTLED"
    assert count(daemon, "payment") == before


def test_a_stream_whose_answer_is_lost_is_not_opened_twice(daemon: Served) -> None:
    order = ("stream", "open", RECEIVER, "1sat/1h")
    told = lost(daemon, (*order, "--for", "2h"), "stream")
    found = re.search(
        r"with (--request-id) (cli-\w+) and, instead of --for, (--end) (\S+) tells, and opens no"
        r" other",
        told,
    )
    assert found, told
    again = daemon.json(*order, *found.groups())
    assert [stream["id"] for stream in daemon.json("stream", "list")["streams"]] == [again["id"]]


def test_ctrl_c_tells_how_to_ask_again(daemon: Served) -> None:
    before = count(daemon, "payment")
    with losing(daemon.grpc, RECEIVER.encode()) as wire:
        command = [
            *STREAMER,
            "keysend",
            RECEIVER,
            "10sat",
            "--server",
            wire.address,
            "--request-id",
            "mine",
        ]
        with subprocess.Popen(
            command, env=environment(daemon.home), stderr=subprocess.PIPE, text=True
        ) as process:
            until(lambda: count(daemon, "payment") > before, "it is paid")
            process.send_signal(signal.SIGINT)
            told = process.communicate(timeout=PATIENCE_SECONDS)[1]
    assert (process.returncode, told.count("with --request-id mine tells")) == (130, 1), told


def test_a_daemon_that_was_never_reached_has_done_nothing(tmp_path: Path) -> None:
    for order in (
        ("keysend", RECEIVER, "1sat"),
        ("stream", "open", RECEIVER, "1sat/1s"),
        ("invoice", "pay", "lnbc1"),
    ):
        done = subprocess.run(
            [*STREAMER, *order, "--server", "127.0.0.1:1"],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert (
            done.returncode,
            "may have been" in done.stderr,
            "no daemon answers" in done.stderr,
        ) == (3, False, True)


def test_what_never_left_for_want_of_a_host_was_not_sent(daemon: Served) -> None:
    done = daemon.call("keysend", RECEIVER, "10sat", "--server", "nohost.invalid:8881")
    assert (done.returncode, "may have been" in done.stderr, "no host is known" in done.stderr) == (
        3,
        False,
        True,
    ), done.stderr
