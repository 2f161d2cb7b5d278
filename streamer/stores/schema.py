"""The tables of the journal, and how an older file becomes a newer one.

Step n of STEPS brings a file from version n to version n + 1; the first one makes an empty file.
Steps are never edited once released, only added. The version is SQLite's `user_version`, the file's
kind its `application_id`, so that a file of another program, or of a newer streamer, is refused.

The column `proof` of payments and accounts is a weighted sum of the row's integers that SQLite
computes at each write: a bit that turned on the disk is noticed at start, as `quick_check` sees
only the structure of the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from streamer.words.errors import StoreRefused

APPLICATION_ID = 0x7374726D
"""ASCII "strm": tells a journal from any other SQLite file."""

PROOF_MODULUS = 4_294_967_291
"""The largest prime below 2³²: no power of two is a multiple of it, so every single bit counts."""

_FIRST_INTENT_COLUMNS = (
    "row",
    "stream_key",
    "seq",
    "owner",
    "node",
    "destination",
    "payment_hash",
    "amount_msat",
    "fee_limit_msat",
    "cltv_limit",
    "timeout_seconds",
    "records",
    "due_ns",
    "planned_ns",
    "bought_until_ns",
    "skip_ns",
    "skip_msat",
    "probe",
    "period_start_ns",
    "daemon_period_ns",
    "crc",
)
INTENT_COLUMNS = (*_FIRST_INTENT_COLUMNS, "api_key", "key_period_ns")
STAMP_COLUMNS = ("period_start_ns", "daemon_period_ns", "crc", "key_period_ns")
"""Those of INTENT_COLUMNS that say to which periods of budgets a reserve belongs, and the proof of
the last one.
"""
END_COLUMNS = (
    "state",
    "mark",
    "accepted",
    "settled_msat",
    "fee_msat",
    "reason",
    "message",
    "end_ns",
    "node_index",
)
ACCOUNT_COLUMNS = (
    "key",
    "seq",
    "bought_until_ns",
    "due_ns",
    "settled_msat",
    "fee_msat",
    "written_off_msat",
    "owed_msat",
    "settled_count",
    "failed_count",
    "streak",
    "failing_since_ns",
    "failing_until_ns",
    "next_attempt_ns",
    "counted_until_ns",
    "probe_cap_msat",
    "period_start_ns",
    "period_spent_msat",
)
_TEXTS = {"owner", "node", "state", "mark", "reason", "message"}
_BLOBS = {"destination", "payment_hash", "records"}


def proof(columns: Sequence[str]) -> str:
    """The SQL of the weighted sum of the integers among columns; never overflows 64 bits."""
    numbers = [name for name in columns if name not in _TEXTS and name not in _BLOBS]
    return "+".join(f"{weight}*({name}%{PROOF_MODULUS})" for weight, name in enumerate(numbers, 1))


PAYMENT_TYPES = tuple(
    str if name in _TEXTS else bytes if name in _BLOBS else int
    for name in INTENT_COLUMNS + END_COLUMNS
)
"""What sqlite3 gives for each of INTENT_COLUMNS + END_COLUMNS in a row that is whole."""

PAYMENT_PROOF = proof(_FIRST_INTENT_COLUMNS + END_COLUMNS)
"""Of the columns of version 1: those that came later are in crc (rows.py)."""
ACCOUNT_PROOF = proof(ACCOUNT_COLUMNS)


def _intent(name: str) -> str:
    kind = "TEXT" if name in _TEXTS else "BLOB" if name in _BLOBS else "INTEGER"
    return f"{name} INTEGER PRIMARY KEY" if name == "row" else f"{name} {kind} NOT NULL"


def _end(name: str) -> str:
    if name == "state":
        return "state TEXT NOT NULL DEFAULT 'PLANNED'"
    return (
        f"{name} TEXT NOT NULL DEFAULT ''"
        if name in _TEXTS
        else f"{name} INTEGER NOT NULL DEFAULT 0"
    )


OPEN_STATES = "('PLANNED','IN_FLIGHT','UNKNOWN')"

_FIRST = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    (
        "CREATE TABLE streams (key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT"
        " NULL, document TEXT NOT NULL, crc INTEGER NOT NULL)"
    ),
    (
        "CREATE TABLE accounts (key INTEGER PRIMARY KEY,"
        f" {', '.join(f'{name} INTEGER NOT NULL' for name in ACCOUNT_COLUMNS[1:])}, proof INTEGER"
        f" AS ({ACCOUNT_PROOF}) STORED)"
    ),
    (
        "CREATE TABLE payments"
        f" ({', '.join([*map(_intent, _FIRST_INTENT_COLUMNS), *map(_end, END_COLUMNS)])}, proof"
        f" INTEGER AS ({PAYMENT_PROOF}) STORED)"
    ),
    "CREATE UNIQUE INDEX payments_seq ON payments (stream_key, seq) WHERE seq > 0",
    "CREATE UNIQUE INDEX payments_owner ON payments (owner) WHERE seq = 0",
    f"CREATE INDEX payments_open ON payments (row) WHERE state IN {OPEN_STATES}",
    "CREATE INDEX payments_planned ON payments (planned_ns)",
    (
        "CREATE TABLE figures (name TEXT PRIMARY KEY, since_ns INTEGER NOT NULL, figure INTEGER NOT"
        " NULL) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE outages (node TEXT NOT NULL, cause TEXT NOT NULL, start_ns INTEGER NOT NULL,"
        " end_ns INTEGER NOT NULL, PRIMARY KEY (node, cause, start_ns)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE requests (request_id TEXT PRIMARY KEY, resource_id TEXT NOT NULL, digest BLOB"
        " NOT NULL) WITHOUT ROWID"
    ),
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    (
        "CREATE TABLE daily_totals (stream_key INTEGER NOT NULL, day INTEGER NOT NULL, settled_msat"
        " INTEGER NOT NULL, fee_msat INTEGER NOT NULL, settled_count INTEGER NOT NULL, failed_count"
        " INTEGER NOT NULL, PRIMARY KEY (stream_key, day)) WITHOUT ROWID"
    ),
)

_INVOICES = (
    (
        "CREATE TABLE invoice_payments (row INTEGER PRIMARY KEY, payment_hash BLOB NOT NULL,"
        " payment_request TEXT NOT NULL, preimage BLOB NOT NULL, crc INTEGER NOT NULL)"
    ),
    "CREATE INDEX invoice_payments_hash ON invoice_payments (payment_hash)",
    "CREATE INDEX invoice_payments_request ON invoice_payments (payment_request)",
)
"""What a payment of an invoice has beside its row in payments, which every payment pays for. The
preimage is empty until it settled.
"""

_KEYS = (
    "ALTER TABLE payments ADD COLUMN api_key INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE payments ADD COLUMN key_period_ns INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX payments_key ON payments (api_key, row) WHERE api_key > 0",
    (
        "CREATE TABLE api_keys (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT"
        " NOT NULL, crc INTEGER NOT NULL)"
    ),
)

_OUTGOING = (
    (
        "CREATE TABLE outgoing (number INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, document BLOB"
        " NOT NULL)"
    ),
)
"""Events that wait for the webhook."""

UNPAID_STATES = "('FAILED','REFUSED')"
IS_WRITTEN_OFF = "state='WRITTEN_OFF'"

_UNPAID = (
    f"CREATE INDEX payments_unpaid ON payments (end_ns) WHERE state IN {UNPAID_STATES}",
    f"CREATE INDEX payments_written_off ON payments (row) WHERE {IS_WRITTEN_OFF}",
    f"UPDATE payments SET mark='lost_sight' WHERE {IS_WRITTEN_OFF}",
)
"""What failed lately is looked at again after a start, however long ago it was planned; what was
written off, at each connection and each hour, and there may be millions of others beside it. What
was written off may have been out of sight: until now that was not kept, so nobody can tell, and
nobody's word gives it back.
"""

_ARCHIVE = (
    (
        "CREATE TABLE archive (key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT"
        " NULL, end_ns INTEGER NOT NULL, api_key INTEGER NOT NULL, token BLOB NOT NULL, document"
        " TEXT NOT NULL, crc INTEGER NOT NULL,"
        f" {', '.join(f'{name} INTEGER NOT NULL' for name in ACCOUNT_COLUMNS[1:])}, proof INTEGER"
        f" AS ({ACCOUNT_PROOF}) STORED)"
    ),
    "CREATE INDEX archive_token ON archive (token)",
    "CREATE INDEX archive_end ON archive (end_ns)",
    "CREATE INDEX archive_key ON archive (api_key, key) WHERE api_key > 0",
    "CREATE INDEX requests_resource ON requests (resource_id)",
    (
        "DELETE FROM requests WHERE resource_id NOT IN (SELECT id FROM streams)"
        " AND resource_id NOT IN (SELECT owner FROM payments WHERE seq = 0)"
    ),
)
"""Ended streams that a start does not read. A request_id goes with what it made: until now it
outlived purged payments.
"""

STEPS: tuple[tuple[str, ...], ...] = (_FIRST, _INVOICES, _KEYS, _OUTGOING, _UNPAID, _ARCHIVE)


def migrate(
    connection: sqlite3.Connection, path: str, steps: Sequence[Sequence[str]] = STEPS
) -> int:
    """Bring the file to version len(steps), each step whole or not at all; returns the version it
    had.

    Raises StoreRefused for a file of another program or of a newer streamer. The connection must
    be in autocommit (isolation_level None).
    """
    version = known_version(connection, path, steps)
    for number in range(version, len(steps)):
        connection.execute("BEGIN IMMEDIATE")
        for statement in steps[number]:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={number + 1}")
        connection.execute("COMMIT")
    return version


def known_version(
    connection: sqlite3.Connection, path: str, steps: Sequence[Sequence[str]] = STEPS
) -> int:
    """The version of the file, changing nothing. Raises StoreRefused as migrate does."""
    version = _number(connection, "user_version")
    mark = _number(connection, "application_id")
    if version > len(steps) and mark == APPLICATION_ID:
        raise StoreRefused(
            f"the journal {path} has version {version}, and this streamer knows versions up to"
            f" {len(steps)}: upgrade streamer, or put back the copy of the whole folder that was"
            " made before the upgrade"
        )
    used = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if mark != APPLICATION_ID and (used or mark or version):
        raise StoreRefused(
            f"{path} is a database of another program: set data_dir to streamer's own folder"
        )
    return version


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    found: int = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    return found
