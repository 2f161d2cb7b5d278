"""Deleting old payments: in steps small enough that no commit waits for them, keeping daily totals.

A payment that is open is never deleted, however old. The totals of a stream and day (UTC, by the
moment it was planned) grow in the transaction that deletes the rows, so that nothing is counted
twice or lost. Single payments count under stream_key 0. An archived stream goes when it ended long
enough ago and its last payment is gone; one that is not archived is never deleted. The request_ids
of what goes are forgotten with it: whoever asks with one of them again asks for something new.
"""

from __future__ import annotations

import sqlite3

from streamer.stores.batch import PURGED_ROW, PURGED_STREAM
from streamer.stores.schema import OPEN_STATES
from streamer.words.money import DAY_NS

STEP_ROWS = 200
"""Rows of one step: a few milliseconds of the writer's time (bench/store.py)."""

_CHOOSE = """CREATE TEMP TABLE IF NOT EXISTS chosen AS SELECT row FROM payments WHERE 0"""
_FILL = f"""INSERT INTO chosen SELECT row FROM payments INDEXED BY payments_planned
 WHERE planned_ns < ? AND state NOT IN {OPEN_STATES} ORDER BY planned_ns LIMIT ?"""
_ADD = f"""INSERT INTO daily_totals
 SELECT stream_key, planned_ns / {DAY_NS} AS day,
  sum(CASE WHEN state IN ('SETTLED','WRITTEN_OFF') THEN settled_msat ELSE 0 END), sum(fee_msat),
  sum(state IN ('SETTLED','WRITTEN_OFF')), sum(state IN ('FAILED','REFUSED'))
 FROM payments WHERE row IN (SELECT row FROM chosen) GROUP BY stream_key, day
 ON CONFLICT (stream_key, day) DO UPDATE SET settled_msat=settled_msat+excluded.settled_msat,
  fee_msat=fee_msat+excluded.fee_msat, settled_count=settled_count+excluded.settled_count,
  failed_count=failed_count+excluded.failed_count"""
_MARK = """INSERT INTO figures SELECT ?, 0, max(row) FROM chosen WHERE 1
 ON CONFLICT (name) DO UPDATE SET figure=max(figure, excluded.figure)"""
_FORGET = """DELETE FROM requests WHERE resource_id IN
 (SELECT owner FROM payments WHERE row IN (SELECT row FROM chosen) AND seq = 0)"""
_FILL_STREAMS = """INSERT INTO chosen SELECT key FROM archive INDEXED BY archive_end
 WHERE end_ns < ? AND NOT EXISTS
  (SELECT 1 FROM payments WHERE stream_key = archive.key AND seq > 0)
 ORDER BY end_ns LIMIT ?"""
_FORGET_STREAMS = """DELETE FROM requests WHERE resource_id IN
 (SELECT id FROM archive WHERE key IN (SELECT row FROM chosen))"""


def purge_step(connection: sqlite3.Connection, before_ns: int, limit: int) -> int:
    """Delete at most limit ended payments planned before before_ns, or, when there are none, as
    many archived streams that ended before it; returns how many. Raises sqlite3.Error.
    """
    if limit <= 0:
        return 0
    connection.execute(_CHOOSE)
    connection.execute("BEGIN IMMEDIATE")
    count = connection.execute(_FILL, (before_ns, limit)).rowcount
    if count:
        connection.execute(_ADD)
        connection.execute(_MARK, (PURGED_ROW,))
        connection.execute(_FORGET)
        connection.execute("DELETE FROM payments WHERE row IN (SELECT row FROM chosen)")
        connection.execute("DELETE FROM invoice_payments WHERE row IN (SELECT row FROM chosen)")
    else:
        connection.execute("DELETE FROM outages WHERE end_ns < ?", (before_ns,))
        count = _purge_streams(connection, before_ns, limit)
    connection.execute("DELETE FROM chosen")
    connection.execute("COMMIT")
    return count


def _purge_streams(connection: sqlite3.Connection, before_ns: int, limit: int) -> int:
    count = connection.execute(_FILL_STREAMS, (before_ns, limit)).rowcount
    if count:
        connection.execute(_FORGET_STREAMS)
        connection.execute(_MARK, (PURGED_STREAM,))
        connection.execute("DELETE FROM archive WHERE key IN (SELECT row FROM chosen)")
    return count
