"""What only the SQLite store must do: crashes, torn and tampered files, versions, failing disks."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest

from streamer.stores import schema, sqlite
from streamer.stores.folder import open_folder
from streamer.stores.reader import some_payments
from streamer.stores.rows import intent_row
from streamer.stores.sqlite import connect
from streamer.words.errors import StoreFailed, StoreRefused
from streamer.words.model import WRITTEN_OFF, Account, Facts, PaymentQuery, PaymentState
from streamer.words.money import DAY_NS
from tests.store.both import sqlite_store
from tests.store.given import NOW, a_payment, a_stream
from tests.store.written import filled, loaded


def refusal(path: Path) -> str:
    with pytest.raises(StoreRefused) as caught:
        loaded(path)
    return str(caught.value)


def test_the_columns_are_the_fields_of_an_account() -> None:
    unused = "failing_until_ns"  # of journals from before streams kept spans
    assert tuple(field.name for field in fields(Account)) == tuple(
        name for name in schema.ACCOUNT_COLUMNS[1:] if name != unused
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_process_leaves_whole_appends_and_all_that_it_acknowledged(
    tmp_path: Path, seed: int
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.store.appender", str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(random.Random(seed).randrange(50, 1500))]
    child.send_signal(signal.SIGKILL)
    said += child.stdout.readlines()
    child.wait()
    told: dict[int, int] = {}
    for line in said:
        if line.endswith("\n"):
            key, seq = map(int, line.split())
            told[key] = seq
    snapshot = loaded(tmp_path / "data")
    by_key = {payment.stream_key: payment for payment in snapshot.open_payments}
    assert len(by_key) == len(snapshot.open_payments)
    assert told and told.keys() <= {stream.key for stream in snapshot.streams}
    for stream in snapshot.streams:
        seq = stream.account.seq
        assert seq >= told.get(stream.key, 0)
        if seq:
            assert by_key[stream.key].seq == seq and snapshot.settings[stream.id] == str(seq)
            assert stream.account.settled_count == seq - 1


def test_a_torn_tail_of_the_wal_loses_the_last_append_whole(tmp_path: Path) -> None:
    path = tmp_path / "data"

    async def write() -> bytes:
        store = sqlite_store(path)
        store.load()
        stream = a_stream()
        for seq in range(1, 6):
            stream.account.seq = seq
            await store.append(Facts(streams=[stream], intents=[a_payment(stream, seq, seq)]))
        wal = (path / "journal.db-wal").read_bytes()
        main = (path / "journal.db").read_bytes()
        await store.close()
        (path / "journal.db").write_bytes(main)
        return wal

    wal = asyncio.run(write())
    (path / "journal.db-wal").write_bytes(wal[:-100])
    snapshot = loaded(path)
    assert snapshot.streams[0].account.seq == 4
    assert [payment.seq for payment in snapshot.open_payments] == [1, 2, 3, 4]


def test_a_bit_that_turned_is_refused_or_was_not_in_anything_that_is_used(tmp_path: Path) -> None:
    path = tmp_path / "data"
    filled(path)
    whole = (path / "journal.db").read_bytes()
    expected = loaded(path)
    chance = random.Random(1)
    refused = 0
    for _ in range(120):
        broken = bytearray(whole)
        place = chance.randrange(100, len(whole))
        broken[place] ^= 1 << chance.randrange(8)
        (path / "journal.db").write_bytes(broken)
        try:
            found = loaded(path)
        except StoreRefused as problem:
            refused += 1
            assert "put the last whole copy" in str(problem) and "delete" not in str(problem)
            continue
        assert found.streams == expected.streams
        assert len(found.open_payments) == len(expected.open_payments)
        for one, other in zip(found.open_payments, expected.open_payments, strict=True):
            assert (one.id, one.amount_msat, one.payment_hash, one.state) == (
                other.id,
                other.amount_msat,
                other.payment_hash,
                other.state,
            )
    assert refused > 20


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (
            "UPDATE accounts SET settled_msat=-5 WHERE key=3",
            "the account of stream st_00000000000000000000000000000003 has a figure below zero",
        ),
        ("UPDATE accounts SET seq='many' WHERE key=3", "a figure of its account is not an integer"),
        ("UPDATE payments SET due_ns='soon' WHERE row=2", "payment row 2 does not parse"),
        ("DELETE FROM accounts WHERE key=3", "(key 3) does not parse: it has no account"),
        ("DELETE FROM streams WHERE key=3", "account 3 has no stream"),
        (
            "DELETE FROM streams WHERE key=4; DELETE FROM accounts WHERE key=4",
            "belongs to stream 4, which is not there",
        ),
        (
            "UPDATE streams SET document=replace(document, '1000', '9000') WHERE key=3",
            "its text is not what was written",
        ),
        ("UPDATE accounts SET seq=0 WHERE key=2", "is newer than its stream's newest seq 0"),
        ("UPDATE payments SET records=x'00' WHERE row=2", "payment row 2 does not parse"),
        ("UPDATE payments SET amount_msat=-1 WHERE row=2", "has an amount below zero"),
    ],
)
def test_a_tampered_journal_is_refused_with_the_place(
    tmp_path: Path, statement: str, text: str
) -> None:
    filled(tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / "journal.db") as connection:
        connection.executescript(statement)
    connection.close()
    told = refusal(tmp_path / "data")
    assert text in told and "put the last whole copy of it in its place" in told


def test_a_truncated_file_and_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "data"
    filled(path)
    whole = (path / "journal.db").read_bytes()
    (path / "journal.db").write_bytes(whole[: len(whole) // 2])
    assert "is damaged" in refusal(path)
    (path / "journal.db").write_bytes(b"not a database at all" * 500)
    assert "is damaged" in refusal(path)
    (path / "journal.db").write_bytes(whole)
    assert len(loaded(path).streams) == 40


def test_a_database_of_another_program_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "data"
    open_folder(path, "lnd").close()
    with sqlite3.connect(path / "journal.db") as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = (path / "journal.db").read_bytes()
    assert "database of another program" in refusal(path)
    assert (path / "journal.db").read_bytes() == before


def test_a_newer_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "data"
    filled(path)
    known = len(schema.STEPS)
    with sqlite3.connect(path / "journal.db") as connection:
        connection.execute(f"PRAGMA user_version={known + 1}")
    connection.close()
    told = refusal(path)
    assert (
        f"has version {known + 1}" in told
        and f"up to {known}" in told
        and "upgrade streamer" in told
    )


def test_an_older_version_is_migrated_step_by_step(tmp_path: Path) -> None:
    file = str(tmp_path / "old.db")
    connection = connect(file)
    assert schema.migrate(connection, file, schema.STEPS[:1]) == 0
    connection.execute("INSERT INTO settings VALUES ('a','b')")
    broken = (
        *schema.STEPS[:1],
        ("ALTER TABLE settings ADD COLUMN since INTEGER NOT NULL DEFAULT 7", "NO SUCH STATEMENT"),
    )
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection, file, broken)
    connection.close()
    connection = connect(file)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    steps = (*schema.STEPS[:1], broken[1][:1], ("UPDATE settings SET since=since+1",))
    assert schema.migrate(connection, file, steps) == 1
    assert connection.execute("SELECT * FROM settings").fetchall() == [("a", "b", 8)]
    assert schema.migrate(connection, file, steps) == 3
    connection.close()


def test_what_was_written_off_before_the_journal_kept_what_was_out_of_sight_may_have_been(
    tmp_path: Path,
) -> None:
    file = str(tmp_path / "old.db")
    with closing(connect(file)) as connection:
        schema.migrate(connection, file, schema.STEPS[: schema.STEPS.index(schema._UNPAID)])
        columns = ",".join(schema.INTENT_COLUMNS)
        for row, state in enumerate(PaymentState, 1):
            values = intent_row(a_payment(a_stream(1), row, row))
            connection.execute(
                f"INSERT INTO payments ({columns}) VALUES ({','.join('?' * len(values))})", values
            )
            connection.execute("UPDATE payments SET state=? WHERE row=?", (state.value, row))
        schema.migrate(connection, file)
        marks = dict(connection.execute("SELECT state,mark FROM payments").fetchall())
    assert marks.pop("WRITTEN_OFF") == "lost_sight" and set(marks.values()) == {""}


def test_what_failed_lately_is_read_in_order_by_an_index_and_nothing_else_is_looked_at(
    tmp_path: Path,
) -> None:
    file = str(tmp_path / "journal.db")
    with closing(connect(file)) as connection:
        schema.migrate(connection, file)
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        some_payments(connection, PaymentQuery(node="main", unpaid_since_ns=7, limit=9))
        connection.set_trace_callback(None)
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]
    assert plan[0] == "SEARCH p USING INDEX payments_unpaid (end_ns>?)" and not any(
        "TEMP B-TREE" in step for step in plan
    )


@pytest.mark.parametrize("before_row", [0, 9])
def test_what_was_written_off_is_read_in_order_by_an_index_and_nothing_else_is_looked_at(
    tmp_path: Path, before_row: int
) -> None:
    file = str(tmp_path / "journal.db")
    with closing(connect(file)) as connection:
        schema.migrate(connection, file)
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        some_payments(
            connection,
            PaymentQuery(node="main", states=WRITTEN_OFF, before_row=before_row, limit=9),
        )
        connection.set_trace_callback(None)
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]
    assert " p USING INDEX payments_written_off" in plan[0] and not any(
        "TEMP B-TREE" in step for step in plan
    )


def test_retention_keeps_daily_totals_to_the_msat(tmp_path: Path) -> None:
    path = tmp_path / "data"

    async def run() -> None:
        store = sqlite_store(path)
        store.load()
        stream = a_stream()
        stream.account.seq = 3_000
        made = [
            a_payment(stream, n, n, planned_ns=NOW + n * DAY_NS // 1_000) for n in range(1, 3_001)
        ]
        for n, payment in enumerate(made):
            payment.state, payment.settled_msat, payment.fee_msat = (
                (PaymentState.SETTLED, 1_000 + n, 3),
                (PaymentState.FAILED, 0, 0),
                (PaymentState.WRITTEN_OFF, 2_000, 0),
            )[n % 3]
        await store.append(Facts(streams=[stream], intents=made))
        purging = asyncio.ensure_future(store.purge(NOW + 10 * DAY_NS, 2_500))
        await asyncio.gather(*(store.append(Facts(settings=[("n", str(n))])) for n in range(50)))
        assert await purging == 2_500
        await store.close()
        gone = made[:2_500]
        with sqlite3.connect(path / "journal.db") as connection:
            sums = connection.execute(
                "SELECT sum(settled_msat), sum(fee_msat), sum(settled_count), sum(failed_count),"
                " count(*) FROM daily_totals"
            ).fetchone()
            left = connection.execute("SELECT count(*) FROM payments").fetchone()
        connection.close()
        failed = sum(payment.state is PaymentState.FAILED for payment in gone)
        days = len({payment.planned_ns // DAY_NS for payment in gone})
        assert sums == (
            sum(p.settled_msat for p in gone),
            sum(p.fee_msat for p in gone),
            2_500 - failed,
            failed,
            days,
        )
        assert left == (500,)

    asyncio.run(run())


def test_space_counts_the_wal(tmp_path: Path) -> None:
    async def run() -> None:
        store = sqlite_store(tmp_path / "data")
        store.load()
        before, _ = store.space()
        await store.append(Facts(settings=[("big", "x" * 200_000)]))
        after, free = store.space()
        assert after - before > 200_000
        disk = os.statvfs(tmp_path)
        assert abs(free - disk.f_bavail * disk.f_frsize) < 1 << 30
        await store.close()
        with pytest.raises(StoreFailed):
            await store.append(Facts(settings=[("x", "y")]))

    asyncio.run(run())


def test_a_large_file_is_checked_without_its_payments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / "data")
    monkeypatch.setattr("streamer.stores.replay.CHECKED_BYTES", 1)
    assert len(loaded(tmp_path / "data").streams) == 40
    assert sqlite.WAL_BYTES > sqlite.WAL_PAGES * 4096
