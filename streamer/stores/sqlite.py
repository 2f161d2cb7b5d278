"""The journal in SQLite: WAL, synchronous=FULL, one thread that writes and one that reads.

This file opens and closes; writer.py commits, replay.py loads, reader.py reads history, schema.py
has the tables and migrations, folder.py the lock and the secret.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from streamer.ports import ArchiveQuery
from streamer.stores import reader
from streamer.stores.archive import some_archived
from streamer.stores.folder import Folder, sync_folder
from streamer.stores.look import require_kind
from streamer.stores.replay import refused, replay
from streamer.stores.schema import migrate
from streamer.stores.statements import CACHED_STATEMENTS
from streamer.stores.writer import Observer, Writer
from streamer.words.errors import StoreFailed, StoreRefused
from streamer.words.model import Facts, Outgoing, Payment, PaymentQuery, Snapshot, Stream

WAL_PAGES = 4_096
"""Pages (4 KiB) the WAL grows to before a commit also copies it into the file."""

WAL_BYTES = 64 << 20
"""Size (bytes) the WAL file is cut back to after a checkpoint (`journal_size_limit`)."""

CACHE_KIB = 64 << 10
"""Memory (KiB) SQLite may keep pages in."""

CLOSE_SECONDS = 30.0
"""Longest wait for the last commit when closing."""

Connect = Callable[[str], sqlite3.Connection]


def connect(path: str) -> sqlite3.Connection:
    """A connection in autocommit that any one thread at a time may use."""
    return sqlite3.connect(
        path,
        timeout=5.0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
    )


class SqliteStore:
    """The Store port on a data folder. Call load once, then the rest from one event loop.

    observe is called in the loop after every commit with its seconds and the number of appends.
    """

    def __init__(
        self, folder: Folder, connect: Connect = connect, observe: Observer | None = None
    ) -> None:
        self._folder = folder
        self._path = str(folder.journal)
        self._connect = connect
        self._observe = observe
        self._connection: sqlite3.Connection | None = None
        self._writer: Writer | None = None
        self._reader = reader.Reader(lambda: connect(self._path), self._path)
        self._last_index: dict[str, int] = {}

    def load(self) -> Snapshot:
        """Open, migrate, check and read the journal.

        Raises StoreRefused (newer, torn, of another program, kind or secret, not writable); its
        text says what is wrong, where, and what to do. The folder stays locked until close.
        """
        try:
            self._connection = connection = self._connect(self._path)
            self._open(connection)
            collecting = gc.isenabled()
            # nothing here is garbage, and the collector would look through all of it ever again
            gc.disable()
            try:
                snapshot = replay(connection, self._path, self.space()[0])
            finally:
                if collecting:
                    gc.enable()
        except (sqlite3.Error, UnicodeDecodeError) as problem:
            self._abandon()
            raise self._unusable(problem) from problem
        except StoreRefused:
            self._abandon()
            raise
        self._last_index = dict(snapshot.last_index)
        return snapshot

    def append(self, facts: Facts) -> asyncio.Future[None]:
        """Make facts durable; see ports.Store."""
        return self._started().append(facts)

    async def payment(self, owner: str, seq: int) -> Payment | None:
        """One payment, open or ended; seq 0 is a single payment's."""
        return await self._reader.run(lambda connection: reader.one_payment(connection, owner, seq))

    async def payments(self, query: PaymentQuery) -> list[Payment]:
        """A page of payments, newest first, at most 1,000."""
        return await self._reader.run(lambda connection: reader.some_payments(connection, query))

    async def request(self, request_id: str) -> tuple[str, bytes] | None:
        """(resource id, digest) of a request_id that was used."""
        return await self._reader.run(lambda connection: reader.one_request(connection, request_id))

    async def outgoing(self, after: int, limit: int) -> list[Outgoing]:
        """Events that wait for the webhook, with a higher number than after, in order."""
        return await self._reader.run(
            lambda connection: reader.some_outgoing(connection, after, limit)
        )

    async def archived(self, query: ArchiveQuery) -> list[Stream]:
        """A page of the streams that have left memory, newest first, at most 1,000."""
        return await self._reader.run(lambda connection: some_archived(connection, query))

    async def purge(self, before_ns: int, limit: int) -> int:
        """Delete at most limit ended payments planned before before_ns, or archived streams that
        ended then; and older outages.
        """
        return await self._started().purge(before_ns, limit)

    def space(self) -> tuple[int, int]:
        """(bytes the journal takes, bytes free beside it for this user)."""
        disk = os.statvfs(self._folder.path)
        return (
            _size(Path(self._path)) + _size(Path(self._path + "-wal")),
            disk.f_bavail * disk.f_frsize,
        )

    async def close(self) -> None:
        """Finish what was appended, close the file and release the lock. Raises StoreFailed if the
        disk does not answer.
        """
        try:
            await self._reader.close()
            if self._writer is not None:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await asyncio.shield(self._writer.stop())
                self._connection = None
        except TimeoutError as problem:
            raise StoreFailed(
                f"the disk of {self._path} has not answered for {CLOSE_SECONDS:.0f} s"
            ) from problem
        finally:
            if self._writer is None:
                self._abandon()
            self._folder.close()

    def _started(self) -> Writer:
        if self._writer is None:
            if self._connection is None:
                raise StoreFailed("the journal is not loaded, or is closed")
            self._writer = Writer(self._connection, self._path, self._last_index, self._observe)
        return self._writer

    def _open(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA cell_size_check=1")
        connection.execute("PRAGMA trusted_schema=0")
        # before journal_mode, which writes: a file of another program must stay as it is
        version = migrate(connection, self._path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        if version == 0:
            Path(self._path).chmod(0o600)
            sync_folder(self._folder.path)
        self._belongs(connection)

    def _belongs(self, connection: sqlite3.Connection) -> None:
        mine = {"kind": self._folder.kind, "fingerprint": self._folder.fingerprint}
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT OR IGNORE INTO meta VALUES (?,?)", mine.items())
        connection.execute("COMMIT")
        kept = dict(connection.execute("SELECT name,value FROM meta"))
        require_kind(self._folder.path, kept["kind"], mine["kind"])
        if kept["fingerprint"] != mine["fingerprint"]:
            raise StoreRefused(
                f"{self._folder.path / 'secret'} is not the secret this journal was written with"
                f" (fingerprint {mine['fingerprint']}, not {kept['fingerprint']}): put back the"
                " `secret` that was beside it, or a whole copy of the folder"
            )

    def _unusable(self, problem: Exception) -> StoreRefused:
        code = getattr(problem, "sqlite_errorcode", None)
        if code is None or code & 0xFF not in _OF_THE_SYSTEM:
            return refused(self._path, str(problem))
        return StoreRefused(
            f"the journal {self._path} cannot be opened ({problem}): see that the disk has room,"
            " and that this user may write there, and to what stands beside it (-wal, -shm)"
        )

    def _abandon(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_OF_THE_SYSTEM = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_AUTH,
    }
)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
