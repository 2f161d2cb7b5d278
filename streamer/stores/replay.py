"""Reading the whole journal at start, and refusing one that is not whole.

What is checked: SQLite's structure of the file (`quick_check`), the proof of every account and open
payment, that every stream, account and open payment parses, belongs together, and has figures that
can be (no negative totals, no gap between a stream's newest seq and its open payments). What is
not: of a file above CHECKED_BYTES the ended payments, archived streams and request_ids, which grow
with the history and of which a start reads none. An archived stream is checked when it is read; it
has no open payment, or it would be refused here.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from streamer.stores.batch import INDEX, PURGED_ROW, PURGED_STREAM, SPEND
from streamer.stores.document import stream_crc, stream_from
from streamer.stores.keyrows import key_from
from streamer.stores.rows import payment_from, take_invoice
from streamer.stores.schema import (
    ACCOUNT_COLUMNS,
    ACCOUNT_PROOF,
    END_COLUMNS,
    INTENT_COLUMNS,
    OPEN_STATES,
    PAYMENT_PROOF,
    PAYMENT_TYPES,
)
from streamer.words.errors import StoreRefused
from streamer.words.model import ENDED, ApiKey, Outage, Payment, Snapshot, Spend, Stream

CHECKED_BYTES = 1 << 30
"""Up to this size the whole file is checked at start; above it all tables but the payments
(bench/store.py has the speed).
"""

_ALWAYS = (
    "meta",
    "invoice_payments",
    "streams",
    "accounts",
    "figures",
    "outages",
    "settings",
    "api_keys",
)


def refused(path: str, what: str) -> StoreRefused:
    """The one way out of a damaged journal: a copy of its folder. Nothing may be deleted, for it
    says what was paid.
    """
    return StoreRefused(
        f"the journal {path} is damaged: {what}. Nothing is paid. Move the folder aside, keep it,"
        " and put the last whole copy of it in its place: payments made since are then read from"
        " the node (docs/exactly-once.md, Copies of the data folder)"
    )


def replay(connection: sqlite3.Connection, path: str, size_bytes: int) -> Snapshot:
    """The snapshot of the file as it is. Raises StoreRefused, or sqlite3.DatabaseError where SQLite
    stumbles itself.
    """
    _structure(connection, path, size_bytes)
    streams = _streams(connection, path)
    payments = _open_payments(connection, path, {stream.key: stream for stream in streams})
    keys = _keys(connection, path)
    _have_keys(streams, payments, keys, path)
    figures = {
        name: (since, figure)
        for name, since, figure in connection.execute("SELECT name,since_ns,figure FROM figures")
    }
    return Snapshot(
        streams=streams,
        open_payments=payments,
        spends=[
            Spend(name[len(SPEND) :], *row)
            for name, row in figures.items()
            if name.startswith(SPEND)
        ],
        outages=_outages(connection, streams),
        settings=dict(connection.execute("SELECT name,value FROM settings")),
        last_row=max(
            _last(connection, "SELECT max(row) FROM payments"), figures.get(PURGED_ROW, (0, 0))[1]
        ),
        last_stream_key=_last_stream_key(connection, figures),
        last_index={
            name[len(INDEX) :]: row[1] for name, row in figures.items() if name.startswith(INDEX)
        },
        keys=keys,
        outgoing=_last(connection, "SELECT count(*) FROM outgoing"),
        last_outgoing=_last(connection, "SELECT max(number) FROM outgoing"),
    )


def needed_since(streams: list[Stream]) -> int | None:
    """The moment (ns) before which no stream needs an outage any more; None: none is needed."""
    live = [stream for stream in streams if stream.state not in ENDED]
    return min(
        (
            max(s.account.counted_until_ns, min(s.terms.start_time_ns, s.create_time_ns))
            for s in live
        ),
        default=None,
    )


def _structure(connection: sqlite3.Connection, path: str, size_bytes: int) -> None:
    checks = ("",) if size_bytes <= CHECKED_BYTES else tuple(f"('{table}')" for table in _ALWAYS)
    for check in checks:
        found = [row[0] for row in connection.execute(f"PRAGMA quick_check{check}").fetchmany(3)]
        if found != ["ok"]:
            raise refused(path, f"its structure is broken ({'; '.join(found)})")


def _streams(connection: sqlite3.Connection, path: str) -> list[Stream]:
    wrong = connection.execute(
        f"SELECT key FROM accounts WHERE proof<>({ACCOUNT_PROOF}) LIMIT 1"
    ).fetchone()
    if wrong is not None:
        raise refused(path, f"the account of stream {wrong[0]} is not what was written")
    alone = connection.execute(
        "SELECT key FROM accounts WHERE key NOT IN (SELECT key FROM streams) LIMIT 1"
    ).fetchone()
    if alone is not None:
        raise refused(path, f"account {alone[0]} has no stream")
    columns = ",".join(f"a.{name}" for name in ACCOUNT_COLUMNS[1:])
    rows = connection.execute(
        f"SELECT s.key,s.id,s.document,s.crc,{columns} FROM streams s LEFT JOIN accounts a ON"
        " a.key=s.key ORDER BY s.key"
    )
    return [_stream(row, path) for row in rows]


def _stream(row: tuple[Any, ...], path: str) -> Stream:
    key, stream_id, document, crc, *account = row
    try:
        if stream_crc(stream_id, document) != crc:
            raise ValueError("its text is not what was written")
        if None in account:
            raise ValueError("it has no account")
        if any(type(figure) is not int for figure in account):
            raise TypeError("a figure of its account is not an integer")
        found = stream_from(key, stream_id, document, account)
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise refused(
            path, f"stream {stream_id!r} (key {key}) does not parse: {problem}"
        ) from problem
    held = found.account
    if (
        min(
            held.seq,
            held.settled_msat,
            held.fee_msat,
            held.settled_count,
            held.failed_count,
            held.streak,
        )
        < 0
    ):
        raise refused(path, f"the account of stream {stream_id} has a figure below zero")
    return found


def _open_payments(
    connection: sqlite3.Connection, path: str, streams: dict[int, Stream]
) -> list[Payment]:
    columns = ",".join(INTENT_COLUMNS + END_COLUMNS)
    where = f"FROM payments INDEXED BY payments_open WHERE state IN {OPEN_STATES}"
    rows = connection.execute(f"SELECT proof=({PAYMENT_PROOF}),{columns} {where} ORDER BY row")
    payments = [_open_payment(row, path, streams) for row in rows]
    _take_invoices(connection, payments, path)
    _without_gaps(payments, path, streams)
    return payments


def _take_invoices(connection: sqlite3.Connection, payments: list[Payment], path: str) -> None:
    """A payment that lost its invoice would be sent as another one: its row and its invoice were
    written in one step.
    """
    by_row = {payment.row: payment for payment in payments}
    rows = connection.execute(
        "SELECT i.row,i.payment_hash,i.payment_request,i.preimage,i.crc FROM payments p INDEXED BY"
        f" payments_open JOIN invoice_payments i ON i.row=p.row WHERE p.state IN {OPEN_STATES}"
    )
    for row, *invoice in rows:
        try:
            take_invoice(by_row[row], *invoice)
        except (ValueError, TypeError) as problem:
            raise refused(path, f"payment row {row} does not parse: {problem}") from problem


def _without_gaps(payments: list[Payment], path: str, streams: dict[int, Stream]) -> None:
    """An account is written with the ends of payments: intents that came after the last end
    continue its seq, one by one.
    """
    newest = {key: stream.account.seq for key, stream in streams.items()}
    for payment in payments:
        if payment.seq > newest.get(payment.stream_key, 0) + 1:
            raise refused(
                path,
                f"payment {payment.id} is newer than its stream's newest seq"
                f" {newest[payment.stream_key]}",
            )
        if payment.seq:
            newest[payment.stream_key] = max(newest[payment.stream_key], payment.seq)


def _open_payment(row: tuple[Any, ...], path: str, streams: dict[int, Stream]) -> Payment:
    proven, *columns = row
    number, key, seq = columns[:3]
    stream = streams.get(key) if seq else None
    if not proven:
        raise refused(path, f"payment row {number} is not what was written")
    if seq and stream is None:
        raise refused(
            path, f"open payment row {number} belongs to stream {key}, which is not there"
        )
    try:
        if tuple(map(type, columns)) != PAYMENT_TYPES:
            raise TypeError("a column has another type")
        payment = payment_from(columns, stream.id if stream else "")
    except (ValueError, TypeError) as problem:
        raise refused(path, f"payment row {number} does not parse: {problem}") from problem
    if payment.amount_msat < 0 or payment.fee_limit_msat < 0:
        raise refused(path, f"payment {payment.id} has an amount below zero")
    return payment


def _outages(connection: sqlite3.Connection, streams: list[Stream]) -> list[Outage]:
    since = needed_since(streams)
    if since is None:
        return []
    rows = connection.execute(
        "SELECT node,cause,start_ns,end_ns FROM outages WHERE end_ns>? ORDER BY"
        " start_ns,node,cause",
        (since,),
    )
    return [Outage(*row) for row in rows]


def _keys(connection: sqlite3.Connection, path: str) -> list[ApiKey]:
    rows = connection.execute("SELECT number,id,document,crc FROM api_keys ORDER BY number")
    return [_key(row, path) for row in rows]


def _have_keys(
    streams: list[Stream], payments: list[Payment], keys: list[ApiKey], path: str
) -> None:
    """Whoever pays for a key is bound by its budget: a key that is gone would free them."""
    there = {0, *(key.number for key in keys)}
    owners = [(stream.id, stream.api_key) for stream in streams] + [
        (payment.id, payment.api_key) for payment in payments
    ]
    for name, number in owners:
        if number not in there:
            raise refused(path, f"{name} belongs to API key {number}, which is not there")


def _key(row: tuple[Any, ...], path: str) -> ApiKey:
    try:
        return key_from(row)
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise refused(path, f"API key {row[1]!r} does not parse: {problem}") from problem


def _last_stream_key(connection: sqlite3.Connection, figures: dict[str, tuple[int, int]]) -> int:
    """The highest that was ever given: of those that are read, archived, or deleted by
    retention.
    """
    there = (_last(connection, f"SELECT max(key) FROM {table}") for table in ("streams", "archive"))
    return max(*there, figures.get(PURGED_STREAM, (0, 0))[1])


def _last(connection: sqlite3.Connection, sql: str) -> int:
    found: int | None = connection.execute(sql).fetchone()[0]
    return found or 0
