"""The data folder: one daemon, one secret, one kind; every refusal says what to do."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from streamer.stores.folder import open_folder
from streamer.words.errors import StoreRefused
from streamer.words.model import Facts
from tests.store.both import sqlite_store


def filled(path: Path, kind: str = "lnd") -> None:
    async def write() -> None:
        store = sqlite_store(path, kind)
        store.load()
        await store.append(Facts(settings=[("a", "b")]))
        await store.close()

    asyncio.run(write())


def refusal(path: Path, kind: str = "lnd") -> str:
    with pytest.raises(StoreRefused) as caught:
        store = sqlite_store(path, kind)
        try:
            store.load()
        finally:
            asyncio.run(store.close())
    return str(caught.value)


def test_a_new_folder_is_private_and_keeps_its_secret(tmp_path: Path) -> None:
    path = tmp_path / "data"
    first = open_folder(path, "lnd")
    first.close()
    second = open_folder(path, "lnd")
    second.close()
    assert first.secret == second.secret and len(first.secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / "secret").stat().st_mode) == 0o600
    assert first.secret.hex() not in repr(first) and len(first.fingerprint) == 16


def test_a_second_daemon_is_told_who_has_the_folder(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "data", "lnd")
    code = (
        "from pathlib import Path\nfrom streamer.stores.folder import"
        f" open_folder\nopen_folder(Path({str(tmp_path / 'data')!r}), 'lnd')"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert f"another streamer (pid {os.getpid()}) uses" in other.stderr
    folder.close()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_secret_is_never_made_anew(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    (tmp_path / "data" / "secret").unlink()
    assert "put back the one of a copy of this folder" in refusal(tmp_path / "data")
    assert not (tmp_path / "data" / "secret").exists()


def test_another_secret_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    (tmp_path / "data" / "secret").write_bytes(b"x" * 32)
    assert "not the secret this journal was written with" in refusal(tmp_path / "data")
    (tmp_path / "data" / "secret").write_bytes(b"x" * 31)
    assert "31 bytes instead of 32" in refusal(tmp_path / "data")


@pytest.mark.parametrize(
    ("first", "then", "text"),
    [
        ("simulator", "lnd", "written with the simulator"),
        ("lnd", "simulator", "written with a real node"),
    ],
)
def test_the_simulators_data_and_a_real_nodes_do_not_mix(
    tmp_path: Path, first: str, then: str, text: str
) -> None:
    filled(tmp_path / "data", first)
    assert text in refusal(tmp_path / "data", then)
    filled(tmp_path / "data", first)


def test_a_file_in_place_of_the_folder_or_no_parent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "is a file: data_dir must be a folder" in refusal(tmp_path / "file")
    assert "does not exist: make it" in refusal(tmp_path / "none" / "data")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    path = Path("/proc/streamer-data")
    assert "/proc/streamer-data cannot be" in refusal(path)
    if os.getuid():
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        assert "cannot be written" in refusal(locked)


def test_a_refused_folder_is_free_again_after_close(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    folder = open_folder(tmp_path / "data", "lnd")
    folder.close()
    folder.close()
    filled(tmp_path / "data")
