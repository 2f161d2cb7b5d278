"""A disk that fails, is full or refuses: what was acknowledged is there, and nothing is believed
that was not.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streamer.stores import writer
from streamer.stores.folder import open_folder
from streamer.stores.sqlite import SqliteStore, connect
from streamer.words.errors import StoreFailed
from streamer.words.model import Facts
from tests.store.given import NOW
from tests.store.written import filled, loaded


class Disk(sqlite3.Connection):
    """A connection whose COMMIT can fail, before or after it took place, and which counts them."""

    trouble = ""
    commits = 0

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            type(self).commits += 1
            if self.trouble == "before":
                raise sqlite3.OperationalError("disk I/O error")
            if self.trouble == "after":
                super().execute(sql)
                raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *values)


def on_a_disk(path: Path, story: Callable[[SqliteStore, type[Disk]], Awaitable[None]]) -> None:
    disk = type("Disk", (Disk,), {})

    def make(file: str) -> sqlite3.Connection:
        return sqlite3.connect(file, isolation_level=None, check_same_thread=False, factory=disk)

    async def run() -> None:
        store = SqliteStore(open_folder(path, "lnd"), make)
        store.load()
        await story(store, disk)
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_that_fails_stops_everything_until_a_replay(tmp_path: Path, when: str) -> None:
    async def story(store: SqliteStore, disk: type[Disk]) -> None:
        await store.append(Facts(settings=[("kept", "1")]))
        disk.trouble = when
        results = await asyncio.gather(
            *(store.append(Facts(settings=[(f"s{n}", "1")])) for n in range(20)),
            return_exceptions=True,
        )
        assert all(
            isinstance(result, StoreFailed) and "streamer sending start" in str(result)
            for result in results
        )
        disk.trouble = ""
        with pytest.raises(StoreFailed):
            await store.append(Facts(settings=[("later", "1")]))
        with pytest.raises(StoreFailed):
            await store.purge(NOW, 1)

    on_a_disk(tmp_path / "data", story)
    settings = loaded(tmp_path / "data").settings
    assert settings.pop("kept") == "1" and "later" not in settings
    assert len(settings) == (0 if when == "before" else 20)


def test_appends_that_come_together_share_a_commit(tmp_path: Path) -> None:
    async def story(store: SqliteStore, disk: type[Disk]) -> None:
        await store.append(Facts(settings=[("first", "1")]))
        before = disk.commits
        await asyncio.gather(*(store.append(Facts(settings=[(f"s{n}", "1")])) for n in range(500)))
        assert disk.commits - before <= 3

    on_a_disk(tmp_path / "data", story)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program writes the journal, as sqlite3's VACUUM or a copy would."""
    other = sqlite3.connect(path / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_journal_that_another_program_has_locked_is_waited_for(tmp_path: Path) -> None:
    async def story(store: SqliteStore, disk: type[Disk]) -> None:
        with locked(tmp_path / "data"):
            waiting = store.append(Facts(settings=[("kept", "1")]))
            await asyncio.sleep(0.2)  # the lock is a file's: no clock of ours can leap over it
            assert not waiting.done()
        await waiting

    on_a_disk(tmp_path / "data", story)
    assert loaded(tmp_path / "data").settings["kept"] == "1"


def test_a_journal_that_stays_locked_fails_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LOCKED_SECONDS", 0.05)

    async def story(store: SqliteStore, disk: type[Disk]) -> None:
        with (
            locked(tmp_path / "data"),
            pytest.raises(StoreFailed, match="another program has had it locked for"),
        ):
            await store.append(Facts(settings=[("kept", "1")]))

    on_a_disk(tmp_path / "data", story)


@pytest.mark.parametrize("stands_still", [False, True])
def test_a_full_queue_is_waited_for_and_fails_if_the_disk_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stands_still: bool
) -> None:
    monkeypatch.setattr(writer, "PENDING_ROWS", 5)
    monkeypatch.setattr(writer, "FULL_SECONDS", 0.0 if stands_still else 60.0)

    async def story(store: SqliteStore, disk: type[Disk]) -> None:
        with locked(tmp_path / "data"):
            waiting = [store.append(Facts(settings=[("first", "1")]))]
            while store._started()._waiters:
                # until the writer has taken it: it then waits for the lock
                await asyncio.sleep(0.005)
            while store._started()._pending.rows < writer.PENDING_ROWS:
                waiting.append(store.append(Facts(settings=[(f"s{len(waiting)}", "1")])))
            if stands_still:
                with pytest.raises(StoreFailed, match="rows wait for the disk of"):
                    store.append(Facts(settings=[("more", "1")]))
            else:
                waiting.append(store.append(Facts(settings=[("more", "1")])))
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(result is None for result in results) is not stands_still

    on_a_disk(tmp_path / "data", story)
    assert ("more" in loaded(tmp_path / "data").settings) is not stands_still


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "data"
    filled(path, 4)

    def small(file: str) -> sqlite3.Connection:
        connection = connect(file)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 12}")
        return connection

    async def run() -> int:
        store = SqliteStore(open_folder(path, "lnd"), small)
        store.load()
        count = 0
        with pytest.raises(StoreFailed, match="full"):
            while count < 10_000:
                await store.append(Facts(settings=[(f"s{count}", "x" * 500)]))
                count += 1
        await store.close()
        return count

    count = asyncio.run(run())
    assert 10 < count < 10_000
    assert len(loaded(path).settings) == count


_LIMITED = """
import asyncio, resource, signal, sys
from pathlib import Path
from streamer.words.errors import StoreFailed
from streamer.words.model import Facts
from tests.store.both import sqlite_store

async def main():
    store = sqlite_store(Path(sys.argv[1]))
    store.load()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    count = 0
    try:
        while True:
            await store.append(Facts(settings=[(f"s{count}", "x" * 500)]))
            count += 1
    except StoreFailed as problem:
        print(count, "could not be written" in str(problem))
    await store.close()

asyncio.run(main())
"""


def test_a_write_that_the_system_refuses_loses_nothing_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        cwd=root,
        check=True,
    )
    count, told = done.stdout.split()
    assert told == "True" and int(count) > 10
    assert len(loaded(tmp_path / "data").settings) == int(count)
