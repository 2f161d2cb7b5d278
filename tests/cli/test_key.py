"""`streamer key` against a daemon process: a key from its making to its end, over a restart."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from streamer.cli import run
from tests.cli.daemon import Served, served
from tests.cli.test_commands import GOOD

SCOPES = ("--scope", "streams:write", "--scope", "streams:read")


def as_key(house: Served, file: Path, *arguments: str) -> tuple[int, str]:
    done = house.call(*arguments, "--key-file", str(file))
    return done.returncode, done.stdout + done.stderr


def test_a_key_is_made_used_listed_and_revoked_and_a_restart_forgets_nothing(
    tmp_path: Path,
) -> None:
    home, file, old = tmp_path, tmp_path / "radio.key", tmp_path / "old.key"
    old.write_text("an-impervious-key-of-old\n")
    with served(home) as house:
        made = house.json(
            "key",
            "create",
            *SCOPES,
            "--name",
            "radio",
            "--budget",
            "500sat/1d",
            "--max-streams",
            "2",
            "--out",
            str(file),
        )
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and "text" not in made
        key = made["key"]["id"]
        shown = house.call(
            "key", "create", "--scope", "payments:write", "--for", "1h", "--destination", GOOD
        )
        assert (
            shown.returncode == 0
            and "shown this once: keep it now" in shown.stdout
            and GOOD in shown.stdout
        )
        taken = house.call("key", "import", str(old), *SCOPES)
        assert taken.returncode == 0 and "clients go on with the key they have" in taken.stdout
        assert as_key(house, old, "stream", "list", "--json") == (0, '{"streams": []}\n')
        code, out = as_key(house, file, "stream", "open", GOOD, "1sat/10s", "--json")
        assert code == 0, out
        code, out = as_key(house, file, "keysend", GOOD, "7sat")
        assert code == 1 and "CreatePayment needs payments:write" in out
        code, out = as_key(house, file, "stream", "open", GOOD, "1000sat/10s")
        assert code == 1 and "more than the whole budget of the key" in out, out
        assert house.call("key", "create", *SCOPES, "--out", str(file)).returncode == 2, (
            "a key that is there is not overwritten"
        )
        lost = tmp_path / "lost.key"
        assert (
            house.call(
                "key", "create", *SCOPES, "--destination", "02ff", "--out", str(lost)
            ).returncode
            == 1
            and not lost.exists()
        )
        assert house.stop() == 0
    assert file.read_text().strip() not in (
        home / ".local/share/streamer/journal.db"
    ).read_bytes().decode("latin-1")
    with served(home) as house:
        code, out = as_key(house, file, "stream", "list", "--json")
        assert code == 0 and len(json.loads(out)["streams"]) == 1
        revoked = house.call("key", "revoke", key)
        assert (
            revoked.stdout
            == f"{key} is revoked; 1 of its streams have not ended, and pay nothing more\n"
        )
        assert as_key(house, file, "stream", "list") == (
            1,
            f"streamer: the key {key} was revoked: ask for a new one\n",
        )
        assert [stream["reason"] for stream in house.json("stream", "list")["streams"]] == [
            "KEY_REVOKED"
        ]
        assert {one["id"] for one in house.json("key", "list", "--all")["keys"]} > {
            one["id"] for one in house.json("key", "list")["keys"]
        }
        table = house.call("key", "list", "--all").stdout
        assert "REVOKED" in table and "500 sat/1d" in table


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["key", "create"], 2, "Missing option '--scope'. Choose from: invoices:read, "),
        (
            ["key", "create", "--scope", "everything"],
            2,
            "'everything' is not one of 'invoices:read'",
        ),
        (
            ["key", "create", *SCOPES, "--for", "1h", "--end", "2030-01-01T00:00:00Z"],
            2,
            "--for and --end exclude each other",
        ),
        (["key", "create", *SCOPES, "--budget", "5"], 2, "amount '5' has no unit"),
        (
            ["key", "create", *SCOPES, "--out", "/nowhere/key", "--server", "127.0.0.1:1"],
            2,
            "/nowhere/key: cannot be made: No such file",
        ),
        (
            ["key", "import", "/nowhere/key", *SCOPES],
            2,
            "/nowhere/key: the key cannot be read: No such file",
        ),
    ],
)
def test_refusals(
    arguments: list[str], code: int, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    assert says in capfd.readouterr().err
