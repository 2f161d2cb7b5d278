"""Ended streams that memory does not hold any more: one row each, with their account, read only
when somebody asks.

A stream is moved here whole, by the commit that lets it leave memory, and moved back by the commit
that recalls it (streamer/books/archive.py says when). So `streams` and `accounts` are what a start
reads, and nothing of what is here is looked at then.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from streamer.ports import ArchiveQuery
from streamer.stores.document import stream_crc, stream_from, stream_text
from streamer.stores.rows import Row, account_row, plain
from streamer.stores.schema import ACCOUNT_COLUMNS, ACCOUNT_PROOF
from streamer.words.model import Stream

PAGE_STREAMS = 1_000
"""Most streams of one page."""

COLUMNS = (
    "key",
    "id",
    "state",
    "end_ns",
    "api_key",
    "token",
    "document",
    "crc",
    *ACCOUNT_COLUMNS[1:],
)
_ID, _STATE, ENDED_NS, _KEY, _TOKEN, _DOCUMENT, _CRC = range(1, 8)
_ACCOUNT = 8

_INSERT = (
    f"INSERT OR REPLACE INTO archive ({','.join(COLUMNS)}) VALUES ({','.join('?' * len(COLUMNS))})"
)
_PATHS = {
    "reason": "$.reason",
    "node": "$.terms.node",
    "destination": "$.terms.destination",
    "group": "$.terms.group",
}
_LABEL = (
    "EXISTS (SELECT 1 FROM json_each(document,'$.terms.labels')"
    " WHERE json_extract(value,'$[0]')=? AND json_extract(value,'$[1]')=?)"
)  # fmt: skip


def archive_row(stream: Stream, token: bytes) -> Row:
    """COLUMNS of an ended stream; token is what its payments carry."""
    text = stream_text(stream)
    found = (stream.key, stream.id, stream.state.value, stream.state_time_ns, stream.api_key)
    return (*found, bytearray(token), text, stream_crc(stream.id, text), *account_row(stream)[1:])


def stream_of(row: Sequence[Any]) -> Stream:
    """The stream of COLUMNS. Raises ValueError, KeyError or TypeError if the row is not whole."""
    text, account = row[_DOCUMENT], row[_ACCOUNT:]
    if stream_crc(row[_ID], text) != row[_CRC] or any(
        type(figure) is not int for figure in account
    ):
        raise ValueError(f"the archived stream {row[_ID]!r} is not what was written")
    return stream_from(row[0], row[_ID], text, account)


def write_archive(
    connection: sqlite3.Connection, archived: Iterable[Row], recalled: Iterable[int]
) -> None:
    """Move rows here, and take those that came back away; what came back is written with the
    streams.
    """
    archived = list(archived)
    connection.executemany(_INSERT, archived)
    keys = [(row[0],) for row in archived]
    connection.executemany("DELETE FROM streams WHERE key=?", keys)
    connection.executemany("DELETE FROM accounts WHERE key=?", keys)
    connection.executemany("DELETE FROM archive WHERE key=?", [(key,) for key in recalled])


def some_archived(connection: sqlite3.Connection, query: ArchiveQuery) -> list[Stream]:
    """A page of archived streams, newest first. Raises ValueError for a row that is not what was
    written.
    """
    where, values = ["1"], list[object]()
    for column, value in (
        ("id=?", plain(query.id)),
        ("token=?", query.token),
        ("key>?", query.after_key),
        ("key<?", query.before_key),
    ):
        if value:
            where.append(column)
            values.append(value)
    if query.keys:
        where.append(f"key IN ({','.join('?' * len(query.keys))})")
        values += query.keys
    if query.api_key:
        where.append("api_key=? AND api_key>0")
        values.append(query.api_key)
    for name, text in query.terms:
        _add_term(where, values, name, plain(text))
    sql = (
        f"SELECT proof=({ACCOUNT_PROOF}),{','.join(COLUMNS)} FROM archive WHERE"
        f" {' AND '.join(where)} ORDER BY key DESC LIMIT ?"
    )
    found = []
    for proven, *row in connection.execute(sql, (*values, max(0, min(query.limit, PAGE_STREAMS)))):
        if not proven:
            raise ValueError(
                f"the account of the archived stream {row[_ID]!r} is not what was written"
            )
        found.append(stream_of(row))
    return found


def _add_term(where: list[str], values: list[object], name: str, value: str) -> None:
    if name in ("id", "state"):
        where.append(f"{name}=?")
    elif name in _PATHS:
        where.append(f"json_extract(document,'{_PATHS[name]}')=?")
    else:
        where.append(_LABEL)
        values.append(plain(name.removeprefix("labels.")))
    values.append(value)
