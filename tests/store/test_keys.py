"""API keys in the journal: whole, by both stores; what they pay is found by its key, and cannot
lose it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.stores import schema
from streamer.stores.document import stream_crc, stream_text
from streamer.stores.sqlite import connect
from streamer.words.apikey import ApiKey, BudgetTerms, Scope
from streamer.words.errors import StoreRefused
from streamer.words.model import Facts, PaymentQuery, PaymentState, Spend
from tests.store import given as some
from tests.store.both import KINDS, Bench, Story, play, sqlite_store
from tests.store.given import NOW, a_payment, a_single, a_stream, same

a_key = ApiKey(
    7,
    "key_07",
    "radio",
    frozenset({Scope.STREAMS_WRITE}),
    b"\x07" * 32,
    BudgetTerms(5_000, None),
    frozenset({b"\x02" * 33}),
)
keys = st.builds(
    ApiKey,
    number=st.integers(1, some.HUGE),
    id=st.just("key_00"),
    name=some.texts,
    scopes=st.frozensets(st.sampled_from(Scope)),
    digest=st.binary(max_size=32),
    budget=st.none() | st.builds(BudgetTerms, some.amounts, st.none() | some.amounts),
    destinations=st.frozensets(st.binary(max_size=33), max_size=3),
    max_streams=st.none() | some.amounts,
    create_time_ns=some.integers,
    expire_time_ns=some.integers,
    revoke_time_ns=some.integers,
)


@pytest.mark.parametrize("kind", KINDS)
@given(key=keys)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_key_comes_back_with_every_field_and_as_it_was_written_last(
    kind: str, key: ApiKey
) -> None:
    async def story(bench: Bench) -> None:
        await bench.store.append(Facts(keys=[replace(key, revoke_time_ns=1)]))
        await bench.store.append(Facts(keys=[key]))
        assert (await bench.reopened()).keys == [key]

    play(kind, story)


def test_payments_keep_their_key_and_period_and_are_listed_by_it(
    on: Callable[[Story], None],
) -> None:
    async def story(bench: Bench) -> None:
        stream = a_stream(1, api_key=7)
        stream.account.seq = 1
        of_key = [
            a_payment(stream, 1, 1, api_key=7, key_period_ns=NOW),
            a_single(2, api_key=7),
            a_single(3, api_key=8),
        ]
        spend = Spend("key.7", NOW, 1_234)
        made = Facts(
            keys=[a_key, replace(a_key, number=8, id="key_08")],
            streams=[stream],
            intents=[*of_key, a_single(4)],
            spends=[spend],
        )
        await bench.store.append(made)
        snapshot = await bench.reopened()
        assert [(payment.api_key, payment.key_period_ns) for payment in snapshot.open_payments] == [
            (7, NOW),
            (7, 0),
            (8, 0),
            (0, 0),
        ]
        assert same(snapshot.open_payments[0], of_key[0])
        assert snapshot.streams[0].api_key == 7 and snapshot.spends == [spend]
        found = [
            [payment.row for payment in await bench.store.payments(PaymentQuery(api_key=number))]
            for number in (7, 8, 9, 0)
        ]
        assert found == [[2, 1], [3], [], [4, 3, 2, 1]]
        assert await bench.store.payments(PaymentQuery(api_key=8, owner=stream.id)) == []
        assert [
            payment.row
            for payment in await bench.store.payments(PaymentQuery(api_key=7, before_row=2))
        ] == [1]

    on(story)


def filled(path: Path) -> None:
    async def run() -> None:
        store = sqlite_store(path)
        store.load()
        stream = a_stream(1, api_key=7)
        stream.account.seq = 1
        ended = a_single(2, api_key=7)
        ended.state = PaymentState.SETTLED
        await store.append(
            Facts(
                keys=[a_key], streams=[stream], intents=[a_payment(stream, 1, 1, api_key=7), ended]
            )
        )
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("DELETE FROM api_keys", "st_0{31}1 belongs to API key 7, which is not there"),
        (
            "UPDATE api_keys SET document=replace(document,'5000','9000')",
            "API key 'key_07' does not parse: its text is not what was written",
        ),
        (
            "UPDATE payments SET api_key=0",
            "its destination, hash, records or key are not those that were written",
        ),
        (
            "UPDATE payments SET key_period_ns=5",
            "its destination, hash, records or key are not those that were written",
        ),
    ],
)
def test_a_key_that_was_tampered_with_is_refused(tmp_path: Path, statement: str, text: str) -> None:
    filled(tmp_path / "data")
    with closing(sqlite3.connect(tmp_path / "data" / "journal.db")) as connection, connection:
        connection.execute(statement)
    with pytest.raises(StoreRefused, match=text):
        sqlite_store(tmp_path / "data").load()


def test_a_journal_from_before_there_were_keys_belongs_to_the_admin(tmp_path: Path) -> None:
    path, stream = tmp_path / "data", a_stream(1)
    stream.account.seq = 1
    payment = a_payment(stream, 1, 1)

    async def write() -> None:
        store = sqlite_store(path)
        store.load()
        await store.append(Facts(streams=[stream], intents=[payment]))
        await store.close()

    asyncio.run(write())
    text = (
        stream_text(stream)
        .replace(',"api_key":0', "")
        .replace(',"written_off_fee_msat":0,"refunded_msat":0', "")
    )
    assert "api_key" not in text and "refunded" not in text
    now, old = path / "journal.db", path / "old.db"
    with closing(connect(str(old))) as connection:
        schema.migrate(connection, str(old), schema.STEPS[: schema.STEPS.index(schema._KEYS)])
        connection.execute("ATTACH ? AS now", (str(now),))
        for table in ("meta", "streams", "accounts", "payments"):
            columns = ",".join(
                row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")
            )
            assert "api_key" not in columns
            connection.execute(
                f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}"
            )
        connection.execute(
            "UPDATE main.streams SET document=?, crc=?", (text, stream_crc(stream.id, text))
        )
    for rest in (now, *path.glob("journal.db-*")):
        rest.unlink()
    old.replace(now)
    snapshot = sqlite_store(path).load()
    assert snapshot.keys == [] and snapshot.streams == [stream]
    assert same(snapshot.open_payments[0], payment)


def test_what_a_key_paid_is_found_by_an_index(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    with closing(sqlite3.connect(tmp_path / "data" / "journal.db")) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM payments p WHERE p.api_key=? AND p.api_key>0 ORDER BY"
            " p.row DESC LIMIT 9",
            (7,),
        ).fetchall()
    assert "payments_key" in plan[0][3] and len(plan) == 1
