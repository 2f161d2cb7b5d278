"""Streams that left memory: out of what a start reads, found and listed as they were, back when
they are recalled, gone in time.
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

from streamer.ports import ArchiveQuery
from streamer.stores import schema
from streamer.stores.batch import Batch
from streamer.stores.sqlite import connect
from streamer.words.errors import StoreFailed, StoreRefused
from streamer.words.model import (
    Account,
    Facts,
    PaymentQuery,
    PaymentState,
    Request,
    Stream,
    StreamState,
)
from streamer.words.reasons import Reason
from tests.store import given as some
from tests.store.both import KINDS, Bench, Story, play, sqlite_store
from tests.store.given import NOW, a_payment, a_single, a_stream, same

TOKEN = b"t" * 16
PAID_MSAT = 0x1122_3344_5566_7788


def ended(key: int, **changes: object) -> Stream:
    return a_stream(
        key,
        **{
            "state": StreamState.CANCELLED,
            "reason": Reason.USER,
            "state_time_ns": NOW + key,
            **changes,
        },
    )


async def archive(bench: Bench, *streams: Stream) -> None:
    await bench.store.append(Facts(streams=list(streams)))
    await bench.store.append(Facts(archived=[(stream, TOKEN) for stream in streams]))


@pytest.mark.parametrize("kind", KINDS)
@given(stream=some.streams)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_an_archived_stream_is_not_loaded_and_found_with_every_field(
    kind: str, stream: Stream
) -> None:
    async def story(bench: Bench) -> None:
        await archive(bench, stream)
        snapshot = await bench.reopened()
        assert snapshot.streams == [] and snapshot.last_stream_key == stream.key
        assert await bench.store.archived(ArchiveQuery(id=stream.id)) == [stream]

    play(kind, story)


def test_its_payments_are_listed_and_shown_by_its_name(on: Callable[[Story], None]) -> None:
    async def story(bench: Bench) -> None:
        stream = ended(1)
        stream.account.seq = 2
        made = [a_payment(stream, row, row, state=PaymentState.SETTLED) for row in (1, 2)]
        await bench.store.append(Facts(streams=[stream], intents=made))
        await archive(bench, stream)
        await bench.reopened()
        listed = await bench.store.payments(PaymentQuery(owner=stream.id))
        assert [payment.row for payment in listed] == [2, 1] and same(listed[1], made[0])
        one = await bench.store.payment(stream.id, 2)
        assert one is not None and same(one, made[1])
        assert [payment.owner for payment in await bench.store.payments(PaymentQuery())] == [
            stream.id
        ] * 2

    on(story)


@pytest.mark.parametrize("together", [False, True])
def test_a_recalled_stream_is_loaded_again_with_what_was_posted_to_it(
    on: Callable[[Story], None], together: bool
) -> None:
    async def story(bench: Bench) -> None:
        stream, other = ended(1), ended(2)
        await archive(bench, stream, other)
        facts = Facts(recalled=[stream])
        if not together:
            await bench.store.append(facts)
            facts = Facts()
        stream.account.settled_msat = 7_000
        facts.accounts.append(stream)
        await bench.store.append(facts)
        snapshot = await bench.reopened()
        assert snapshot.streams == [stream] and snapshot.streams[0].account.settled_msat == 7_000
        assert await bench.store.archived(ArchiveQuery()) == [other]
        await archive(bench, stream)
        assert (await bench.reopened()).streams == []
        [found] = await bench.store.archived(ArchiveQuery(id=stream.id))
        assert found.account.settled_msat == 7_000

    on(story)


def test_back_and_forth_in_one_commit_ends_where_the_last_word_was(
    on: Callable[[Story], None],
) -> None:
    async def story(bench: Bench) -> None:
        gone, back = ended(1), ended(2)
        await archive(bench, gone, back)
        first = bench.store.append(Facts(recalled=[gone, back]))
        second = bench.store.append(Facts(archived=[(gone, TOKEN), (back, TOKEN)]))
        third = bench.store.append(Facts(recalled=[back]))
        await asyncio.gather(first, second, third)
        assert (await bench.reopened()).streams == [back]
        assert await bench.store.archived(ArchiveQuery()) == [gone]

    on(story)


def test_a_change_of_what_is_archived_and_not_recalled_is_refused_and_at_the_next_start(
    tmp_path: Path,
) -> None:
    stream = ended(1)
    batch = Batch()
    batch.add(Facts(streams=[stream], accounts=[stream], archived=[(stream, TOKEN)]), {})
    with pytest.raises(ValueError, match="was not recalled"):
        batch.add(Facts(accounts=[stream]), {})

    async def story() -> None:
        store = sqlite_store(tmp_path)
        store.load()
        await store.append(Facts(streams=[stream], archived=[(stream, TOKEN)]))
        await store.append(Facts(accounts=[stream]))
        await store.close()

    asyncio.run(story())
    with pytest.raises(StoreRefused, match="account 1 has no stream"):
        sqlite_store(tmp_path).load()


def test_archived_streams_are_listed_newest_first_by_every_term(
    on: Callable[[Story], None],
) -> None:
    async def story(bench: Bench) -> None:
        def named(key: int, **terms: object) -> Stream:
            made = ended(key, api_key=key % 2)
            made.terms = replace(made.terms, **terms)  # type: ignore[arg-type]
            return made

        labels = (("app", 'räd"io'), ("tier", "1"))
        await archive(
            bench,
            named(1, node="b"),
            named(2, group="g"),
            named(3, labels=labels),
            named(4, destination=b"\x03" * 33),
            ended(5),
        )
        await bench.store.append(
            Facts(streams=[ended(6, state=StreamState.COMPLETED, reason=Reason.END_TIME)])
        )
        await bench.store.append(
            Facts(
                archived=[(ended(6, state=StreamState.COMPLETED, reason=Reason.END_TIME), b"other")]
            )
        )

        async def keys(**query: object) -> list[int]:
            return [stream.key for stream in await bench.store.archived(ArchiveQuery(**query))]  # type: ignore[arg-type]

        assert await keys() == [6, 5, 4, 3, 2, 1]
        assert await keys(limit=2) == [6, 5] and await keys(before_key=5, after_key=2) == [4, 3]
        assert (
            await keys(token=TOKEN) == [5, 4, 3, 2, 1]
            and await keys(token=b"other") == [6]
            and await keys(keys=(1, 3, 9)) == [3, 1]
        )
        assert await keys(api_key=1) == [3, 1]
        for term, found in {
            ("state", "COMPLETED"): [6], ("reason", "USER"): [5, 4, 3, 2, 1], ("node", "b"): [1],
            ("group", "g"): [2], ("destination", "03" * 33): [4], ("labels.app", 'räd"io'): [3],
            ("labels.app", "1"): [], ("id", a_stream(2).id): [2],
        }.items():  # fmt: skip
            assert await keys(terms=(term,)) == found, term
        assert await keys(
            terms=(("labels.app", 'räd"io'), ("labels.tier", "1"), ("state", "CANCELLED"))
        ) == [3]

    on(story)


def test_a_stream_goes_with_its_last_payment_and_their_request_ids_with_them(
    on: Callable[[Story], None],
) -> None:
    async def story(bench: Bench) -> None:
        streams = [ended(key) for key in (1, 2, 3)]
        kept = a_stream(4, state=StreamState.CANCELLED)
        streams[1].account.seq = 1
        single = a_single(2, state=PaymentState.SETTLED, planned_ns=NOW)
        paid = [
            a_payment(streams[1], 1, 1, state=PaymentState.SETTLED, planned_ns=NOW + 60),
            single,
        ]
        asked = [Request(f"r{stream.key}", stream.id, b"") for stream in (*streams, kept)] + [
            Request("rp", single.owner, b"")
        ]
        await bench.store.append(Facts(streams=[kept], intents=paid, requests=asked))
        await archive(bench, *streams)

        async def known() -> list[str]:
            names = [request.request_id for request in asked]
            return [name for name in names if await bench.store.request(name) is not None]

        assert await bench.store.purge(NOW + 3, 10) == 2
        assert [stream.key for stream in await bench.store.archived(ArchiveQuery())] == [
            3,
            2,
        ], "one has a payment, one is younger"
        assert await known() == ["r2", "r3", "r4"]
        assert await bench.store.purge(NOW + 61, 1) == 1, "the payment"
        assert [await bench.store.purge(NOW + 61, 1) for _ in range(3)] == [1, 1, 0]
        assert await known() == ["r4"] and await bench.store.archived(ArchiveQuery()) == []
        snapshot = await bench.reopened()
        assert [stream.key for stream in snapshot.streams] == [4], (
            "only what is archived is ever deleted"
        )
        await archive(bench, kept)
        assert await bench.store.purge(NOW + 61, 10) == 1
        assert (await bench.reopened()).last_stream_key == 4, "no key is given again"

    on(story)


def told(statement: str) -> Callable[[Path], None]:
    def damage(journal: Path) -> None:
        with closing(sqlite3.connect(journal)) as connection, connection:
            connection.execute(statement)

    return damage


def a_bit(journal: Path) -> None:
    before = PAID_MSAT.to_bytes(8, "big")
    whole = journal.read_bytes()
    assert whole.count(before) == 1
    journal.write_bytes(whole.replace(before, before[:7] + bytes((before[7] ^ 1,))))


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (
            told("UPDATE archive SET document=replace(document,'USER','NONE')"),
            "is not what was written",
        ),
        (told("UPDATE archive SET fee_msat='x'"), "is not what was written"),
        (a_bit, "the account of the archived stream 'st_0{31}1' is not what was written"),
    ],
)
def test_a_damaged_archived_stream_keeps_no_start_but_is_never_shown(
    tmp_path: Path, damage: Callable[[Path], None], text: str
) -> None:
    async def story() -> None:
        store = sqlite_store(tmp_path)
        store.load()
        await store.append(
            Facts(archived=[(ended(1, account=Account(settled_msat=PAID_MSAT)), TOKEN)])
        )
        await store.close()
        damage(tmp_path / "journal.db")
        store = sqlite_store(tmp_path)
        assert store.load().streams == []
        with pytest.raises(StoreFailed, match=text):
            await store.archived(ArchiveQuery())
        await store.close()

    asyncio.run(story())


def test_a_journal_from_before_the_archive_opens_and_forgets_what_its_purged_payments_left(
    tmp_path: Path,
) -> None:
    path, stream, single = tmp_path / "data", ended(1), a_single(1)

    async def write() -> None:
        store = sqlite_store(path)
        store.load()
        asked = [
            Request("r1", stream.id, b""),
            Request("r2", single.owner, b""),
            Request("r3", "pay_purged", b""),
        ]
        await store.append(Facts(streams=[stream], intents=[single], requests=asked))
        await store.close()

    asyncio.run(write())
    now, old = path / "journal.db", path / "old.db"
    before = schema.STEPS[: schema.STEPS.index(schema._ARCHIVE)]
    with closing(connect(str(old))) as connection:
        schema.migrate(connection, str(old), before)
        connection.execute("ATTACH ? AS now", (str(now),))
        for table in ("meta", "streams", "accounts", "payments", "requests"):
            columns = ",".join(
                row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")
            )
            connection.execute(
                f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}"
            )
        assert connection.execute("PRAGMA user_version").fetchone() == (len(before),)
    for rest in (now, *path.glob("journal.db-*")):
        rest.unlink()
    old.replace(now)

    async def read() -> None:
        store = sqlite_store(path)
        assert store.load().streams == [stream]
        assert [await store.request(name) is not None for name in ("r1", "r2", "r3")] == [
            True,
            True,
            False,
        ]
        await store.append(Facts(archived=[(stream, TOKEN)]))
        assert await store.archived(ArchiveQuery()) == [stream]
        await store.close()

    asyncio.run(read())


def test_what_is_asked_of_the_archive_often_is_found_by_an_index(tmp_path: Path) -> None:
    sqlite_store(tmp_path).load()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        for asked in ("id=?", "token=?", "key=?", "api_key=? AND api_key>0"):
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN SELECT * FROM archive WHERE 1 AND {asked} ORDER BY key DESC"
                " LIMIT 9",
                (7,),
            )
            [only] = plan.fetchall()
            assert "SEARCH archive" in only[3], "no scan, and no sort: " + asked
