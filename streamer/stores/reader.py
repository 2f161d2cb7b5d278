"""Reading history while the journal is written: one connection in one thread, one short query at a
time.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from streamer.stores.rows import payment_from, plain, take_invoice
from streamer.stores.schema import END_COLUMNS, INTENT_COLUMNS, IS_WRITTEN_OFF, UNPAID_STATES
from streamer.words.errors import ResourceExhausted, StoreFailed, Unavailable
from streamer.words.model import WRITTEN_OFF, Outgoing, Payment, PaymentQuery

PAGE_ROWS = 1_001
"""Most payments of one query: the largest page that the doors give, and the one after it, which
tells that there is another page.
"""

READS_WAITING = 1_000
"""Most reads that may wait for the reader; more are refused."""

READ_SECONDS = 10.0
"""Longest query: a reader that stays open keeps the WAL from being reset."""

Value = TypeVar("Value")

PAYMENT_COLUMNS = ",".join(f"p.{name}" for name in INTENT_COLUMNS + END_COLUMNS)
_PAYMENTS = (
    "SELECT"
    f" {PAYMENT_COLUMNS},coalesce(s.id,a.id,''),i.payment_hash,i.payment_request,i.preimage,i.crc"
    " FROM payments p LEFT JOIN streams s ON s.key=p.stream_key LEFT JOIN archive a ON"
    " a.key=p.stream_key LEFT JOIN invoice_payments i ON i.row=p.row"
)
_INVOICE_WIDTH = 4
_STREAM_KEY = "SELECT key FROM streams WHERE id=?1 UNION ALL SELECT key FROM archive WHERE id=?1"


class Reader:
    """Queries of the file as the last commit left it. Raises StoreFailed where the file cannot be
    read.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], path: str) -> None:
        self._connect = connect
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "journal-reader")
        self._waiting = 0

    async def run(self, query: Callable[[sqlite3.Connection], Value]) -> Value:
        """Run a query in the reader's thread. Raises ResourceExhausted, Unavailable or
        StoreFailed.
        """
        if self._waiting >= READS_WAITING:
            raise ResourceExhausted(
                f"{READS_WAITING} reads of the history are waiting already: ask again later"
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, self._query, query
            )
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Close the connection in its thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _query(self, query: Callable[[sqlite3.Connection], Value]) -> Value:
        connection = self._connection
        try:
            if connection is None:
                self._connection = connection = self._connect()
                connection.execute("PRAGMA query_only=1")
            with _Deadline(connection):
                return query(connection)
        except (sqlite3.Error, ValueError) as problem:
            if "interrupted" in str(problem):
                raise Unavailable(
                    f"the history took longer than {READ_SECONDS:.0f} s to search: ask for one"
                    " stream, or fewer"
                ) from problem
            raise StoreFailed(f"the journal {self._path} could not be read: {problem}") from problem

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Deadline:
    """Interrupts a query that takes longer than READ_SECONDS."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._end = 0.0

    def __enter__(self) -> None:
        self._end = time.monotonic() + READ_SECONDS
        self._connection.set_progress_handler(lambda: time.monotonic() > self._end, 100_000)

    def __exit__(self, *_: object) -> None:
        self._connection.set_progress_handler(None, 0)


def one_payment(connection: sqlite3.Connection, owner: str, seq: int) -> Payment | None:
    """The payment of that owner and seq (0: a single payment)."""
    where = (
        f" WHERE p.stream_key=({_STREAM_KEY}) AND p.seq=?2 AND p.seq>0"
        if seq
        else " WHERE p.owner=? AND p.seq=?+0 AND p.seq=0"
    )
    row = connection.execute(_PAYMENTS + where, (plain(owner), seq)).fetchone()
    return None if row is None else _payment(row)


def _payment(row: Sequence[Any]) -> Payment:
    """The payment of a row of _PAYMENTS. Raises ValueError if it is not whole."""
    *columns, stream_id = row[:-_INVOICE_WIDTH]
    invoice = row[-_INVOICE_WIDTH:]
    payment = payment_from(columns, stream_id)
    if invoice[0] is not None:
        take_invoice(payment, *invoice)
    return payment


def some_payments(connection: sqlite3.Connection, query: PaymentQuery) -> list[Payment]:
    """A page of payments, in the order of PaymentQuery."""
    where, values = ["1"], list[object]()
    order = "p.row"
    if query.owner:
        found = connection.execute(_STREAM_KEY, (plain(query.owner),)).fetchone()
        if found is None:
            where.append("p.owner=? AND p.seq=0")
            values.append(plain(query.owner))
        else:
            # by the index of (stream_key, seq): within a stream the rows rise with the seqs
            order = "p.seq"
            where.append("p.stream_key=? AND p.seq>0")
            values.append(found[0])
    if query.node:
        where.append("p.node=?")
        values.append(query.node)
    if query.states == WRITTEN_OFF:
        # as its index says it, which a parameter would not match: these few are found without a
        # look at the others
        where.append(f"p.{IS_WRITTEN_OFF}")
    elif query.states:
        where.append(f"p.state IN ({','.join('?' * len(query.states))})")
        values += [state.value for state in query.states]
    if query.api_key:
        where.append("p.api_key=? AND p.api_key>0")
        values.append(query.api_key)
    if query.unpaid_since_ns:
        # by an index of these states alone, which is in this order
        order = "p.end_ns DESC, p.row"
        where.append(f"p.state IN {UNPAID_STATES} AND p.end_ns>=?")
        values.append(query.unpaid_since_ns)
    if query.before_row:
        where.append("p.row<?")
        values.append(query.before_row)
        if order == "p.seq":
            where.append(
                "p.seq<coalesce((SELECT seq FROM payments WHERE row=? AND stream_key=p.stream_key),"
                " 9223372036854775807)"
            )
            values.append(query.before_row)
    if query.payment_hash:
        where.append("p.row IN (SELECT row FROM invoice_payments WHERE payment_hash=?)")
        values.append(query.payment_hash)
    if query.payment_request:
        where.append("p.row IN (SELECT row FROM invoice_payments WHERE payment_request=?)")
        values.append(plain(query.payment_request))
    sql = f"{_PAYMENTS} WHERE {' AND '.join(where)} ORDER BY {order} DESC LIMIT ?"
    rows = connection.execute(sql, (*values, max(0, min(query.limit, PAGE_ROWS)))).fetchall()
    return [_payment(row) for row in rows]


def one_request(connection: sqlite3.Connection, request_id: str) -> tuple[str, bytes] | None:
    """(resource id, digest) of a request_id that was used."""
    row = connection.execute(
        "SELECT resource_id, digest FROM requests WHERE request_id=?", (plain(request_id),)
    ).fetchone()
    return None if row is None else (row[0], row[1])


def some_outgoing(connection: sqlite3.Connection, after: int, limit: int) -> list[Outgoing]:
    """Events that wait for the webhook, from after on, in order."""
    rows = connection.execute(
        "SELECT number,time_ns,document FROM outgoing WHERE number>? ORDER BY number LIMIT ?",
        (after, limit),
    )
    return [Outgoing(*row) for row in rows]
