"""Payments of invoices: the invoice with the intent, the preimage with the end, found by hash and
by invoice.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from streamer.stores import schema
from streamer.words.errors import StoreRefused
from streamer.words.model import Facts, Payment, PaymentQuery, PaymentState
from tests.store.both import Bench, Story, sqlite_store
from tests.store.given import NOW, a_payment, a_single, a_stream, same

INVOICE = "lnbcrt70n1pabcdefg"
HASH, PREIMAGE = b"h" * 32, b"p" * 32


def attempt(row: int, **changes: object) -> Payment:
    return a_single(
        row, **{"payment_hash": HASH, "payment_request": INVOICE, "records": b"", **changes}
    )


def settle(payment: Payment) -> Payment:
    payment.state, payment.settled_msat, payment.preimage, payment.end_ns = (
        PaymentState.SETTLED,
        7_000,
        PREIMAGE,
        NOW + 5,
    )
    return payment


def test_an_intent_comes_back_with_its_invoice_and_an_end_with_its_preimage(
    on: Callable[[Story], None],
) -> None:
    async def story(bench: Bench) -> None:
        payment = attempt(1)
        await bench.store.append(Facts(intents=[payment]))
        (found,) = (await bench.reopened()).open_payments
        assert same(found, payment) and (found.payment_request, found.preimage) == (INVOICE, b"")
        await bench.store.append(Facts(ends=[settle(payment)]))
        assert (await bench.reopened()).open_payments == []
        kept = await bench.store.payment(payment.owner, 0)
        assert kept is not None and same(kept, payment) and kept.preimage == PREIMAGE

    on(story)


def test_attempts_are_found_by_hash_and_by_invoice_newest_first(
    on: Callable[[Story], None],
) -> None:
    async def story(bench: Bench) -> None:
        stream = a_stream()
        stream.account.seq = 1
        failed = attempt(1, state=PaymentState.FAILED)
        # a keysend of the same hash is no attempt to pay the invoice
        keysend = a_payment(stream, 2, 1, payment_hash=HASH)
        other = attempt(3, payment_request=INVOICE + "q")
        third = attempt(4)
        await bench.store.append(Facts(streams=[stream], intents=[failed, keysend, other, third]))
        by_hash = await bench.store.payments(PaymentQuery(payment_hash=HASH))
        assert [payment.row for payment in by_hash] == [4, 3, 1]
        by_invoice = await bench.store.payments(PaymentQuery(payment_request=INVOICE))
        assert [payment.row for payment in by_invoice] == [4, 1]
        assert await bench.store.payments(PaymentQuery(payment_hash=b"x" * 32)) == []
        assert [
            payment.payment_request for payment in await bench.store.payments(PaymentQuery())
        ] == [INVOICE, INVOICE + "q", "", INVOICE]

    on(story)


def test_retention_takes_the_invoice_with_its_payment(on: Callable[[Story], None]) -> None:
    async def story(bench: Bench) -> None:
        await bench.store.append(
            Facts(intents=[settle(attempt(1, planned_ns=NOW)), attempt(2, planned_ns=NOW)])
        )
        assert await bench.store.purge(NOW + 1, 10) == 1
        assert [
            payment.row for payment in await bench.store.payments(PaymentQuery(payment_hash=HASH))
        ] == [2]
        assert [payment.payment_request for payment in (await bench.reopened()).open_payments] == [
            INVOICE
        ]

    on(story)


def write(path: Path, *payments: Payment) -> None:
    async def run() -> None:
        store = sqlite_store(path)
        store.load()
        await store.append(Facts(intents=list(payments)))
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "statement",
    ["payment_request='lnbcrt80n1'", "preimage=x'00'", "payment_hash=x'11'", "crc=crc+1"],
)
def test_an_open_payment_whose_invoice_was_changed_is_refused(
    tmp_path: Path, statement: str
) -> None:
    write(tmp_path / "data", attempt(1))
    with closing(
        sqlite3.connect(tmp_path / "data" / "journal.db", isolation_level=None)
    ) as connection:
        connection.execute(f"UPDATE invoice_payments SET {statement}")
    with pytest.raises(
        StoreRefused,
        match="payment row 1 does not parse: its invoice is not the one that was written",
    ):
        sqlite_store(tmp_path / "data").load()


def test_a_journal_from_before_invoices_gets_their_table(tmp_path: Path) -> None:
    file = str(tmp_path / "old.db")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        schema.migrate(connection, file, schema.STEPS[:1])
        assert schema.migrate(connection, file) == 1
        assert connection.execute("SELECT count(*) FROM invoice_payments").fetchone() == (0,)


def test_the_attempts_of_a_hash_are_found_by_an_index(tmp_path: Path) -> None:
    write(tmp_path / "data", attempt(1))
    with closing(sqlite3.connect(tmp_path / "data" / "journal.db")) as connection:
        for column in ("payment_hash", "payment_request"):
            plan = connection.execute(
                "EXPLAIN QUERY PLAN SELECT * FROM payments p WHERE p.row IN (SELECT row FROM"
                f" invoice_payments WHERE {column}=?) ORDER BY p.row DESC LIMIT 10",
                ("",),
            ).fetchall()
            assert not any(step[3].startswith("SCAN") for step in plan), plan
