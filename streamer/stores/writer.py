"""Group commit: one thread writes everything that was appended while it wrote the batch before.

No lingering: an append on an idle store is committed at once; under load the batch grows by itself
to what arrives during one fsync. The event loop thread only turns facts into rows; the writer binds
them, waits for the disk, and wakes all waiters of a batch with one call into the loop.

After the first failure nothing more is written: a commit that reported an error may be on the disk
or not, and only a replay of the file can tell (money rule 10).
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from streamer.stores.batch import Batch
from streamer.stores.retention import STEP_ROWS, purge_step
from streamer.stores.statements import write
from streamer.words.errors import StoreFailed
from streamer.words.model import Facts

PENDING_ROWS = 262_144
"""Rows that may wait for the disk. Reached only if the disk stands still, or another program has
the journal locked.
"""
FULL_SECONDS = 30.0
"""So long they may be as many: a copy or a VACUUM of somebody's must not stop money until a person
comes. Then the store fails.
"""
LOCKED_SECONDS = 30.0
"""So long a commit waits for another program that writes, or copies, the journal."""
MOST_ROWS = 4 * PENDING_ROWS
"""It fails at once: memory is no place for a journal."""

PURGE_PAUSE_SECONDS = 0.01
"""Least time between two steps of retention: 200 rows each, so more than an engine can add."""

Observer = Callable[[float, int], None]
"""Called in the loop after each commit: seconds it took, appends it made durable."""

_WORK, _STOP = 1, 2


@dataclass(slots=True)
class _Purge:
    before_ns: int
    left: int
    deleted: int
    done: asyncio.Future[int]


class Writer:
    """The one thread that changes the file. Methods but run are for the event loop's thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: str,
        last_index: dict[str, int],
        observe: Observer | None,
    ) -> None:
        self.failure: StoreFailed | None = None
        self._connection = connection
        connection.execute(f"PRAGMA busy_timeout={int(LOCKED_SECONDS * 1_000)}")
        self._path = path
        self._last_index = last_index
        self._observe = observe
        self._lock = threading.Lock()
        self._pending = Batch()
        self._waiters: list[asyncio.Future[None]] = []
        self._purges: deque[_Purge] = deque()
        self._purge_from = 0.0
        self._full_since: float | None = None
        self._wake: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        threading.Thread(target=self._run, name="journal", daemon=True).start()

    def append(self, facts: Facts) -> asyncio.Future[None]:
        """Read facts now; the future is done when they are durable, or raises StoreFailed."""
        if self.failure is not None:
            raise self.failure
        if self._stopped.done():
            raise StoreFailed("the journal is closed")
        waiter = self._loop.create_future()
        with self._lock:
            if self._pending.rows < PENDING_ROWS:
                self._full_since = None
            elif self._has_stood_still():
                raise self._refuse()
            try:
                self._pending.add(facts, self._last_index)
            # half of the facts are in the batch now: it must not be written
            except Exception as problem:
                self._fail(problem, rollback=False)
                raise
            self._waiters.append(waiter)
            first = len(self._waiters) == 1
        if first:
            self._wake.put(_WORK)
        return waiter

    def _has_stood_still(self) -> bool:
        now = time.monotonic()
        self._full_since = self._full_since or now
        return now - self._full_since >= FULL_SECONDS or self._pending.rows >= MOST_ROWS

    def _refuse(self) -> StoreFailed:
        self.failure = StoreFailed(
            f"{self._pending.rows} rows wait for the disk of {self._path}, which does not take them"
        )
        return self.failure

    def purge(self, before_ns: int, limit: int) -> asyncio.Future[int]:
        """Delete old payments in small steps between commits; the future gives how many."""
        if self.failure is not None:
            raise self.failure
        asked = _Purge(before_ns, limit, 0, self._loop.create_future())
        self._purges.append(asked)
        self._wake.put(_WORK)
        return asked.done

    def stop(self) -> asyncio.Future[None]:
        """Finish what was appended, then end the thread and close the connection."""
        self._wake.put(_STOP)
        return self._stopped

    def _run(self) -> None:
        while self._next() != _STOP:
            if self._waiters:
                self._commit()
            if self._purges and time.monotonic() >= self._purge_from:
                self._purge(self._purges[0])
                self._purge_from = time.monotonic() + PURGE_PAUSE_SECONDS
        while self._purges:
            self._tell(self._purge_done, self._purges.popleft())
        try:
            self._connection.close()
        except sqlite3.Error as problem:
            self._fail(problem)
        self._tell(self._end)

    def _next(self) -> int:
        try:
            return self._wake.get(timeout=PURGE_PAUSE_SECONDS if self._purges else None)
        except queue.Empty:
            return _WORK

    def _commit(self) -> None:
        with self._lock:
            batch, waiters = self._pending, self._waiters
            self._pending, self._waiters = Batch(), []
        began = time.perf_counter()
        if self.failure is None:
            try:
                write(self._connection, batch)
            except Exception as problem:
                self._fail(problem)
        self._tell(self._deliver, waiters, self.failure, time.perf_counter() - began)

    def _purge(self, asked: _Purge) -> None:
        count = 0
        if self.failure is None:
            try:
                count = purge_step(self._connection, asked.before_ns, min(STEP_ROWS, asked.left))
            except Exception as problem:
                self._fail(problem)
        asked.deleted += count
        asked.left -= count
        if count == 0 or asked.left == 0:
            self._purges.popleft()
            self._tell(self._purge_done, asked)

    def _fail(self, problem: Exception, rollback: bool = True) -> None:
        # the first problem is the one to tell; the file is replayed before it is used again
        with suppress(sqlite3.Error):
            if rollback and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        locked = getattr(problem, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY
        why = (
            f"another program has had it locked for {LOCKED_SECONDS:.0f} s: find it, with fuser or"
            " lsof"
            if locked
            else str(problem)
        )
        if self.failure is None:
            self.failure = StoreFailed(
                f"the journal {self._path} could not be written ({why}): nothing is paid until it"
                " is. Make room or repair the disk, then `streamer sending start` replays the"
                " journal"
            )

    def _tell(self, call: Callable[..., None], *values: object) -> None:
        # a closed loop: nobody waits any more, and what is durable is replayed at the next start
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *values)

    def _deliver(
        self, waiters: list[asyncio.Future[None]], failure: StoreFailed | None, seconds: float
    ) -> None:
        for waiter in waiters:
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(failure)
        if self._observe is not None and failure is None:
            self._observe(seconds, len(waiters))

    def _purge_done(self, asked: _Purge) -> None:
        if asked.done.done():
            return
        if self.failure is None:
            asked.done.set_result(asked.deleted)
        else:
            asked.done.set_exception(self.failure)

    def _end(self) -> None:
        if not self._stopped.done():
            self._stopped.set_result(None)
