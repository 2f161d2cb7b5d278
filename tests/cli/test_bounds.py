"""What no wire, clock or range can hold is refused as wrong usage, in words; and where nobody is,
the words are true.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.cli import run
from tests.cli.test_commands import GOOD, NOBODY

NINES = "9" * 29


OPEN = ("stream", "open", GOOD, "1sat/1s")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("stream", "open", GOOD, f"1msat/{NINES}d"), "is longer than 36525d, a hundred years"),
        *[
            ((*OPEN, option, NINES + "d"), "a hundred years")
            for option in ("--for", "--payment-interval", "--catch-up", "--ttl")
        ],
        *[
            ((*OPEN, option, NINES), "is not in the range")
            for option in ("--max-open-payments", "--fee-limit-ppm")
        ],
        ((*OPEN, "--record", NINES + "=00"), "its type is more than 64 bits can say"),
        ((*OPEN, "--record", "9" * 5_000 + "=00"), "its type is more than 64 bits can say"),
        ((*OPEN, "--record", "٥٥٥٥٥٥=00"), "write TYPE=HEX"),
        ((*OPEN, "--start", "9999-12-31T23:59:59Z"), "is out of bounds: from 1970 to 2255"),
        ((*OPEN, "--label", "a=b", "--label", "a=c"), "--label: a name is there twice"),
        ((*OPEN, "--end", "2030-01-31"), "write 2030-01-31T00:00:00Z for UTC"),
        (
            ("keysend", GOOD, "1sat", "--record", NINES + "=00"),
            "its type is more than 64 bits can say",
        ),
        (("key", "create", "--scope", "streams:read", "--for", NINES + "d"), "a hundred years"),
        (("stream", "watch", "--cursor", NINES), "is not in the range"),
        ((*OPEN, "--group", "\udce9"), "b'\\xe9' is no UTF-8"),
        (("keysend", GOOD, "1sat", "--wait", "nan"), "nan is no number"),
        (("invoice", "pay", "lnbc1", "--wait", "nan"), "nan is no number"),
        (("sending", "stop", "--wait", "nan"), "nan is no number"),
        (("simulate", "--failure-rate", "nan"), "nan is no number"),
        *[
            (("status", "--server", server), "is not understood: write host:port")
            for server in (
                "http://127.0.0.1:8881",
                ":8881",
                "127.0.0.1:99999",
                "127.0.0.1:0",
                "a b:1",
            )
        ],
    ],
)
def test_what_cannot_be_is_wrong_usage(
    arguments: tuple[str, ...], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    reach = NOBODY if arguments[0] not in ("simulate", "status") else ()
    assert run([*arguments, *reach]) == 2
    told = capfd.readouterr().err
    assert says in told and "unexpected" not in told


def test_a_configuration_that_was_named_must_be_good(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMER_CONFIG", "/nix")
    assert run(["status"]) == 2
    assert (
        "/nix: no such configuration file; it is named by $STREAMER_CONFIG"
        in capfd.readouterr().err
    )


def test_one_that_is_only_found_is_told_when_nobody_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("streamer.client.access.DEFAULT_SERVER", "127.0.0.1:1")
    file = tmp_path / ".config" / "streamer" / "streamer.toml"
    file.parent.mkdir(parents=True)
    file.write_text("= nonsense")
    (file.parent / "key").write_text("k" * 64)
    assert run(["status", *NOBODY]) == 3
    assert "not valid TOML" not in capfd.readouterr().err, "the configuration was not asked"
    assert run(["status"]) == 3
    assert f"(the configuration is not used: {file}: is not valid TOML" in capfd.readouterr().err


def test_a_simulated_network_that_cannot_be_started_says_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "d"
    alice = data / "simulator" / "alice"
    alice.mkdir(parents=True)
    serve = [
        "serve",
        "--simulator",
        "true",
        "--data-dir",
        str(data),
        "--api.grpc-listen",
        "127.0.0.1:0",
        "--api.http-listen",
        "127.0.0.1:0",
    ]
    for name in ("tls.cert", "tls.key"):
        (alice / name).touch()
    says = (
        f"streamer: the simulated network cannot be started: {alice}/tls.cert and {alice}/tls.key"
        " are no certificate and its key: remove"
    )
    assert run(serve) == 2
    assert says in capfd.readouterr().err
    draft = data / "simulator.json.new"
    draft.mkdir()
    assert run(serve) == 2
    assert capfd.readouterr().err.endswith(
        f"streamer: the simulated network cannot be started: {draft}: Is a directory\n"
    )


def test_a_door_that_cannot_be_opened_says_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    serve = [
        "serve",
        "--simulator",
        "true",
        "--data-dir",
        str(tmp_path / "d"),
        "--api.http-listen",
        "127.0.0.1:0",
        "--api.tls",
        "true",
    ]
    assert run([*serve, "--api.grpc-listen", "192.0.2.7:28891"]) == 2
    assert (
        capfd.readouterr()
        .err.splitlines()[-1]
        .endswith("cannot listen there (api.grpc_listen): Cannot assign requested address")
    )
    assert run([*serve, "--api.grpc-listen", "nohost.invalid:28891"]) == 2
    assert "another program" not in capfd.readouterr().err
