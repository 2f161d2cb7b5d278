"""The SQL of a commit: many rows a statement, because each step of SQLite costs a hand-over of the
GIL.

sqlite3 gives the GIL away for every step and must win it back from the event loop, which can take
up to Python's switch interval of 5 ms. One INSERT of 64 rows is one step; executemany of 64 rows is
64 (measured in bench/store.py). Every number of rows up to CHUNK_ROWS has its own statement, which
the connection keeps prepared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain

from streamer.stores.archive import write_archive
from streamer.stores.batch import Batch, goes_when_empty
from streamer.stores.rows import Row
from streamer.stores.schema import ACCOUNT_COLUMNS, END_COLUMNS, INTENT_COLUMNS, STAMP_COLUMNS
from streamer.words.errors import StoreFailed

CHUNK_ROWS = 64
"""Most rows of one statement: 64 intents bind 1,344 values, well under SQLite's default bound of
32,766.
"""

CACHED_STATEMENTS = 5 * CHUNK_ROWS
"""Prepared statements a connection keeps: every size of the four hot ones, and the seldom ones."""


_INSERT_KEY = (
    "INSERT INTO api_keys (number,id,document,crc) VALUES (?,?,?,?) ON CONFLICT (number) DO UPDATE"
    " SET document=excluded.document,crc=excluded.crc"
)
"""Fails for an id that another number has."""


def write(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write a batch in one transaction, durable on return. Raises sqlite3.Error, or StoreFailed for
    an end without its intent.
    """
    connection.execute("BEGIN IMMEDIATE")
    if batch.intents:
        _write(connection, insert_intents, batch.intents)
    _update(connection, update_ends, "outcomes", batch.ends)
    _update(connection, update_stamps, "periods", batch.stamps)
    if batch.streams:
        _write(connection, insert_streams, list(batch.streams.values()))
    if batch.accounts:
        _write(connection, insert_accounts, list(batch.accounts.values()))
    if batch.figures:
        _write(connection, insert_figures, list(batch.figures.values()))
    _seldom(connection, batch)
    connection.execute("COMMIT")


def _seldom(connection: sqlite3.Connection, batch: Batch) -> None:
    if batch.invoices:
        connection.executemany(
            "INSERT OR REPLACE INTO invoice_payments VALUES (?,?,?,?,?)", batch.invoices.values()
        )
    if batch.outages:
        connection.executemany(
            "INSERT OR REPLACE INTO outages VALUES (?,?,?,?)", batch.outages.values()
        )
    if batch.requests:
        connection.executemany(
            "INSERT OR IGNORE INTO requests VALUES (?,?,?)", batch.requests.values()
        )
    if batch.settings:
        _write(connection, insert_settings, list(batch.settings.values()))
        emptied = [(name,) for name, row in batch.settings.items() if goes_when_empty(row)]
        connection.executemany("DELETE FROM settings WHERE name=? AND value=''", emptied)
    if batch.keys:
        connection.executemany(_INSERT_KEY, batch.keys.values())
    if batch.outgoing:
        connection.executemany("INSERT INTO outgoing VALUES (?,?,?)", batch.outgoing)
    if batch.delivered:
        connection.executemany("DELETE FROM outgoing WHERE number=?", batch.delivered)
    if batch.archived or batch.recalled:
        write_archive(connection, batch.archived.values(), batch.recalled)


def _update(
    connection: sqlite3.Connection, statement: Callable[[int], str], what: str, rows: dict[int, Row]
) -> None:
    updated = _write(connection, statement, list(rows.values())) if rows else 0
    if updated != len(rows):
        raise StoreFailed(
            f"{len(rows) - updated} {what} belong to payments that the journal does not have"
        )


def _write(
    connection: sqlite3.Connection, statement: Callable[[int], str], rows: Sequence[Row]
) -> int:
    changed = 0
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = rows[start : start + CHUNK_ROWS]
        changed += connection.execute(
            statement(len(chunk)), list(chain.from_iterable(chunk))
        ).rowcount
    return changed


def _values(columns: int, rows: int) -> str:
    one = "(" + ",".join("?" * columns) + ")"
    return "VALUES " + ",".join([one] * rows)


@cache
def insert_intents(rows: int) -> str:
    """Fails for a row, or a seq of a stream, that is there already: no seq is ever used twice."""
    return f"INSERT INTO payments ({','.join(INTENT_COLUMNS)}) {_values(len(INTENT_COLUMNS), rows)}"


@cache
def update_ends(rows: int) -> str:
    """Changes the rows that are there; the count of them is the statement's rowcount."""
    return _update_payments(END_COLUMNS, rows)


@cache
def update_stamps(rows: int) -> str:
    """Changes the periods to which the reserves of payments belong."""
    return _update_payments(STAMP_COLUMNS, rows)


def _update_payments(columns: Sequence[str], rows: int) -> str:
    pairs = ",".join(f"{name}=v.column{number}" for number, name in enumerate(columns, 2))
    return (
        f"UPDATE payments SET {pairs} FROM ({_values(1 + len(columns), rows)}) AS v WHERE"
        " payments.row=v.column1"
    )


@cache
def insert_accounts(rows: int) -> str:
    """Writes accounts whole; REPLACE is the cheapest upsert of a table without further indexes."""
    return (
        f"INSERT OR REPLACE INTO accounts ({','.join(ACCOUNT_COLUMNS)})"
        f" {_values(len(ACCOUNT_COLUMNS), rows)}"
    )


@cache
def insert_streams(rows: int) -> str:
    """Writes streams whole; fails for an id that another key has."""
    return (
        f"INSERT INTO streams (key,id,state,document,crc) {_values(5, rows)} ON CONFLICT (key) DO"
        " UPDATE SET state=excluded.state,document=excluded.document,crc=excluded.crc"
    )


@cache
def insert_settings(rows: int) -> str:
    """Writes settings whole."""
    return f"INSERT OR REPLACE INTO settings (name,value) {_values(2, rows)}"


@cache
def insert_figures(rows: int) -> str:
    """Writes figures whole."""
    return f"INSERT OR REPLACE INTO figures (name,since_ns,figure) {_values(3, rows)}"
