"""The Store port in memory: for tests and the demo's throw-away folder. No threads, no clock.

It is the SQLite store on `:memory:`: the same tables, the same statements, the same replay, in the
caller's thread. A test may give `commit`, which is awaited where the disk would be: until it
returns nothing is durable, and if it raises the store has failed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from streamer.ports import ArchiveQuery
from streamer.stores import reader
from streamer.stores.archive import some_archived
from streamer.stores.batch import Batch
from streamer.stores.replay import replay
from streamer.stores.retention import STEP_ROWS, purge_step
from streamer.stores.schema import migrate
from streamer.stores.sqlite import connect
from streamer.stores.statements import write
from streamer.words.errors import StoreFailed
from streamer.words.model import Facts, Outgoing, Payment, PaymentQuery, Snapshot, Stream

_PATH = ":memory:"


class MemoryStore:
    """A journal that lives as long as the process; `reopen` is what a crash leaves of it."""

    def __init__(self, commit: Callable[[], Awaitable[None]] | None = None) -> None:
        self.commit = commit
        self.failure: StoreFailed | None = None
        self._connection = connect(_PATH)
        migrate(self._connection, _PATH)
        self._order: asyncio.Lock | None = None
        self._last_index: dict[str, int] = {}

    def fail(self, message: str = "the disk is gone") -> None:
        """Make every append from now on raise StoreFailed."""
        self.failure = StoreFailed(message)

    def reopen(self) -> MemoryStore:
        """A new store with what is durable now; this one is dead, as the process that crashed."""
        other = MemoryStore(self.commit)
        self._hand_over(other)
        return other

    def _hand_over(self, other: MemoryStore) -> None:
        other._connection, self._connection = self._connection, other._connection
        self.fail("this store was reopened elsewhere")

    def load(self) -> Snapshot:
        """Everything durable; see ports.Store."""
        snapshot = replay(self._connection, _PATH, 0)
        self._last_index = dict(snapshot.last_index)
        return snapshot

    def append(self, facts: Facts) -> asyncio.Future[None]:
        """Make facts durable; see ports.Store. Always gives the loop one turn, as a disk would."""
        if self.failure is not None:
            raise self.failure
        batch = Batch()
        batch.add(facts, self._last_index)
        loop = asyncio.get_running_loop()
        if self.commit is not None:
            # not cancelled with its caller: cancelling the wait does not undo an append
            return asyncio.shield(loop.create_task(self._slowly(batch, self.commit)))
        self._write(batch)
        done = loop.create_future()
        loop.call_soon(_finish, done)
        return done

    async def payment(self, owner: str, seq: int) -> Payment | None:
        """One payment, open or ended; seq 0 is a single payment's."""
        return reader.one_payment(self._connection, owner, seq)

    async def payments(self, query: PaymentQuery) -> list[Payment]:
        """A page of payments, newest first, at most 1,000."""
        return reader.some_payments(self._connection, query)

    async def request(self, request_id: str) -> tuple[str, bytes] | None:
        """(resource id, digest) of a request_id that was used."""
        return reader.one_request(self._connection, request_id)

    async def outgoing(self, after: int, limit: int) -> list[Outgoing]:
        """Events that wait for the webhook, with a higher number than after, in order."""
        return reader.some_outgoing(self._connection, after, limit)

    async def archived(self, query: ArchiveQuery) -> list[Stream]:
        """A page of the streams that have left memory, newest first, at most 1,000."""
        return some_archived(self._connection, query)

    async def purge(self, before_ns: int, limit: int) -> int:
        """Delete at most limit ended payments planned before before_ns, or archived streams that
        ended then; and older outages.
        """
        if self.failure is not None:
            raise self.failure
        count = 0
        while step := purge_step(self._connection, before_ns, min(STEP_ROWS, limit - count)):
            count += step
        return count

    def space(self) -> tuple[int, int]:
        """Nothing taken, plenty free."""
        return 0, 1 << 50

    def backup(self) -> bytes:
        """A copy of what is durable now."""
        return self._connection.serialize()

    def restore(self, copy: bytes) -> None:
        """What is durable is what it was at `backup`; load before anything else."""
        self._connection.deserialize(copy)

    def execute(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a statement on what is durable."""
        return self._connection.execute(sql, values).fetchall()

    async def close(self) -> None:
        """End; what was appended stays for reopen."""
        if self.failure is None:
            self.failure = StoreFailed("the journal is closed")

    async def _slowly(self, batch: Batch, commit: Callable[[], Awaitable[None]]) -> None:
        if self._order is None:
            self._order = asyncio.Lock()
        async with self._order:
            if self.failure is None:
                try:
                    await commit()
                except Exception as problem:
                    self.fail(str(problem))
            if self.failure is not None:
                raise self.failure
            self._write(batch)

    def _write(self, batch: Batch) -> None:
        try:
            write(self._connection, batch)
        except (sqlite3.Error, StoreFailed) as problem:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self.failure = StoreFailed(str(problem))
            raise self.failure from problem


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
