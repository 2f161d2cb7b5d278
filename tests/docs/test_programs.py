"""The Python programs that the documentation prints do what it says of them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
from pathlib import Path
from typing import Any

import pytest

from streamer.api.webhook import delivery, outbox, signature
from streamer.run.daemon import DRAIN_SECONDS
from streamer.service.reports import WATCHER_LIMIT
from streamer.watch.fanout import BOOKMARK_SECONDS, REST
from streamer.watch.feed import RING_EVENTS
from streamer.words import event_types as kinds
from streamer.words.money import DAY_NS
from tests.cli.daemon import served
from tests.docs.pages import DOCS, PAGES

WEBHOOKS, CLIENT = DOCS / "webhooks.md", DOCS / "client.md"
_PROGRAM = re.compile(r"<!-- runs: (\w+) -->\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def program(page: Path, name: str) -> dict[str, Any]:
    """What a printed program defines."""
    defined: dict[str, Any] = {}
    (body,) = (
        body for known, body in _PROGRAM.findall(page.read_text(encoding="utf-8")) if known == name
    )
    exec(compile(body, str(page), "exec"), defined)
    return defined


def test_every_printed_program_is_run_here() -> None:
    found = [
        (page.name, name)
        for page in PAGES
        for name, _ in _PROGRAM.findall(page.read_text(encoding="utf-8"))
    ]
    assert found == [
        ("client.md", "client"),
        ("simulator.md", "simulator"),
        ("webhooks.md", "webhook"),
    ]
    assert sum(page.read_text(encoding="utf-8").count("```python") for page in PAGES) == len(found)


def test_the_simulator_runs_as_printed(capsys: pytest.CaptureFixture[str]) -> None:
    program(DOCS / "simulator.md", "simulator")
    assert "alice/admin.macaroon" in capsys.readouterr().out


def test_the_signature_is_checked_as_printed() -> None:
    genuine = program(WEBHOOKS, "webhook")["is_genuine"]
    secret, body, now = b"s" * 32, b'{"id": "ev_1"}', int(time.time())
    assert genuine(secret, signature.signature(secret, now, body), body)
    assert not genuine(secret, signature.signature(secret, now, body), body + b" ")
    assert not genuine(b"t" * 32, signature.signature(secret, now, body), body)
    assert not genuine(secret, signature.signature(secret, now - 400, body), body)
    assert not genuine(
        secret, f"t={now},v1=" + hmac.new(secret, body, hashlib.sha256).hexdigest(), body
    )


def test_the_client_does_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(tmp_path) as daemon:
        for name, value in (("HOME", str(tmp_path)), ("STREAMER_SERVER", daemon.grpc)):
            monkeypatch.setenv(name, value)
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "STATE_DIRECTORY", "STREAMER_KEY_FILE"):
            monkeypatch.delenv(name, raising=False)
        receiver = "0304d18d21a872438701aaa6f6b1e19bc22b49988cd5e23ab79cdb90b39c85dd0a"
        asyncio.run(asyncio.wait_for(program(CLIENT, "client")["main"](receiver), 60))
        assert "4000 msat paid until 20" in capsys.readouterr().out
        assert [stream["state"] for stream in daemon.json("stream", "list")["streams"]] == [
            "CANCELLED"
        ]


def test_numbers_and_names() -> None:
    client, webhooks = CLIENT.read_text(encoding="utf-8"), WEBHOOKS.read_text(encoding="utf-8")
    assert f"keeps the last {RING_EVENTS:,} events" in client
    assert BOOKMARK_SECONDS == 10 and "nothing to tell for ten seconds" in client
    assert REST == 3 and "at most a quarter of the daemon's time" in client
    assert f"{WATCHER_LIMIT:,} may watch at once" in client
    assert f"for up to {DRAIN_SECONDS:.0f} seconds" in client
    assert f"within {delivery.CALL_SECONDS:.0f} seconds" in webhooks
    assert f"for {delivery.GIVE_UP_NS // DAY_NS} days" in webhooks
    assert delivery.LONGEST_WAIT_SECONDS == 60 and "up to a minute" in webhooks
    assert f"Up to {outbox.LIMIT:,} events wait" in webhooks
    assert f"at least {signature.LEAST_SECRET_BYTES} characters" in webhooks
    assert set(re.findall(r"`((?:stream|payment)\.[a-z_]+)`", webhooks)) == set(kinds.KINDS)
