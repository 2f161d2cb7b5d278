"""The command line without a daemon: what it refuses, with which exit code, and never a
traceback.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from streamer.cli import NOUNS, run
from streamer.cli.words import read_budget, read_pair, read_record, read_time
from tests.cli import daemon

GOOD = "02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619"
NOBODY = ("--server", "127.0.0.1:1")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["serve"], 2, "streamer: no node configured"),
        (["config", "check"], 2, "streamer: no node configured"),
        (
            ["serve", "--node.rpcserver", "nowhere"],
            2,
            "--node.rpcserver: is 'nowhere'; host:port is needed",
        ),
        (["serve", "--config", "absent.toml"], 2, "absent.toml: no such configuration file"),
        (["serve", "--simulator", "maybe"], 2, "--simulator: must be true or false"),
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["stream", "open", GOOD], 2, "Missing argument 'RATE'"),
        (["stream", "open", GOOD, "50/1m"], 2, "amount '50' has no unit: write 50sat or 50msat"),
        (["stream", "open", GOOD, "50sat"], 2, "rate '50sat' has no interval"),
        (["stream", "open", GOOD, "50sat/soon"], 2, "duration 'soon' is not understood"),
        (["stream", "open", GOOD, "1sat/1s", "--budget", "100"], 2, "amount '100' has no unit"),
        (
            ["stream", "open", GOOD, "1sat/1s", "--budget", "100sat/x"],
            2,
            "duration 'x' is not understood",
        ),
        (
            ["stream", "open", GOOD, "1sat/1s", "--for", "1h", "--end", "2030-01-01T00:00:00Z"],
            2,
            "--for and --end exclude each other",
        ),
        (["stream", "open", GOOD, "1sat/1s", "--end", "2030-01-01"], 2, "has no zone"),
        (
            ["stream", "open", GOOD, "1sat/1s", "--for", "1h", "--request-id", "r"],
            2,
            "use --end with --request-id",
        ),
        (["stream", "open", GOOD, "1sat/1s", "--label", "x"], 2, "write NAME=VALUE"),
        (["stream", "open", GOOD, "1sat/1s", "--record", "x=00"], 2, "write TYPE=HEX"),
        (["stream", "set", "st_1", *NOBODY], 2, "nothing to change"),
        (
            ["stream", "set", "st_1", "--no", "labels", "--label", "a=b", *NOBODY],
            2,
            "--no labels takes back what another option sets",
        ),
        (
            ["stream", "set", "st_1", "--no", "end", "--for", "1h", *NOBODY],
            2,
            "--no end takes back what another option sets",
        ),
        (
            ["simulate", "--port", "65535"],
            2,
            "the ports of the others would go up to 65536, and 65535 is the last there is",
        ),
        (["simulate", "--port", "65533", "--nodes", "3", "--hub"], 2, "would go up to 65536"),
        (
            ["simulate", "--state", "/nowhere/x"],
            1,
            "/nowhere/x.new: cannot be read or written: No such file or directory\n",
        ),
        (
            ["simulate", "fault", "alice", "down", "--control", "http://127.0.0.1:1"],
            1,
            "faults/down: Connection refused\n",
        ),
        (
            ["stream", "set", "st_1", "--start", "2030-01-01T00:00:00Z", *NOBODY],
            2,
            "the start of a stream cannot be changed",
        ),
        (["keysend", GOOD, "7"], 2, "amount '7' has no unit"),
        (["keysend", GOOD, "0.0001msat"], 2, "is finer than one msat"),
        (["invoice", "create", "7"], 2, "amount '7' has no unit"),
        (["invoice", "create", "1500msat", *NOBODY], 2, "1500 msat is no whole number of satoshis"),
        (["invoice", "pay", *NOBODY], 2, "Missing argument 'INVOICE'"),
        (["invoice", "pay", "lnbc1", *NOBODY], 3, "no daemon answers"),
        (["invoice", "check", "lnbc1", *NOBODY], 3, "no daemon answers"),
        (["payment", "write-off", "st_1.1"], 2, "write-off is final: say --yes"),
        (
            ["status", *NOBODY],
            3,
            "no daemon answers at 127.0.0.1:1: start it with `streamer serve`",
        ),
        (["stream", "list", *NOBODY], 3, "no daemon answers"),
        (["stream", "watch", *NOBODY], 3, "no daemon answers"),
        (["status", "--server", "nowhere"], 2, "write host:port, such as 127.0.0.1:8881"),
        (
            ["status", "--key-file", "/nowhere/key"],
            2,
            "/nowhere/key: the key cannot be read: No such file",
        ),
        (["status", "--key-file", "/dev/zero"], 2, "/dev/zero: holds no key"),
        (["status", "--tls-cert", "/dev/null"], 2, "/dev/null: holds no certificate (PEM)"),
        (
            ["status", "--server", "nohost.invalid:8881"],
            3,
            "no host is known by the name in nohost.invalid:8881: name",
        ),
    ],
)
def test_refusals_have_a_sentence_and_a_code(
    arguments: list[str],
    code: int,
    says: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert run(arguments) == code
    captured = capfd.readouterr()
    assert captured.err.startswith("streamer: ")
    assert says in captured.err
    assert "Traceback" not in captured.err
    assert not captured.out


def test_an_unforeseen_error_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nothing")

    monkeypatch.setattr("streamer.cli.config.load_config", broken)
    assert run(["config", "show"]) == 1
    assert capfd.readouterr().err == "streamer: unexpected: ZeroDivisionError: nothing\n"


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_has_its_file_and_help(noun: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([noun, "--help"]) == 0
    assert capfd.readouterr().out.startswith(f"Usage: streamer {noun}")


def test_help_lists_the_nouns_without_loading_them(tmp_path: Path) -> None:
    done = daemon.run(tmp_path)
    assert all(noun in done.stdout for noun in NOUNS)
    done = daemon.run(tmp_path, "--version")
    assert done.stdout.startswith("streamer ")
    assert done.returncode == 0


def test_config_show_names_value_and_origin_of_every_option(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.toml"
    file.write_text('[node]\nrpcserver = "h:1"\ntimeout = "1m"\n')
    assert run(["config", "show", "--config", str(file), "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert shown["node.timeout"]["value"] == "1m"
    assert shown["node.timeout"]["written"] == f"{file}:3: node.timeout"
    assert shown["streams.catch_up"]["value"] == "5m"
    assert shown["streams.catch_up"]["written"] == "default"
    assert run(["config", "check", "--config", str(file)]) == 0
    assert "nodes: main (h:1)" in capfd.readouterr().out


def test_words() -> None:
    assert read_budget("10sat") == (10_000, "total")
    assert read_budget("10sat/1d") == (10_000, "1d")
    assert read_budget("none") is None
    assert read_time("2030-01-01T00:00:00Z") == 1_893_456_000 * 10**9
    assert read_time("2030-01-01T02:00:00.5+02:00") == 1_893_456_000 * 10**9 + 500_000_000
    assert read_pair("a=b=c") == ("a", "b=c")
    assert read_record("70000=00ff") == (70_000, "00ff")


def test_commands_are_click_commands() -> None:
    group = __import__("streamer.cli", fromlist=["streamer"]).streamer
    context = click.Context(group)
    assert group.list_commands(context) == list(NOUNS)
    assert group.get_command(context, "absent") is None
