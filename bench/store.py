"""The journal by itself: what a payment costs each thread, how long a start takes, what retention
delays.

    python -m bench.store [--payments 20000] [--streams 100000] [--history 1000000]

A payment is an intent, an end and twice the account, as in the engine. "busy": the main thread
computes all the time and gives the GIL away only where Python makes it, or once a millisecond in
a system call, as an event loop at its limit does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from streamer.stores import schema, statements
from streamer.stores.batch import Batch
from streamer.stores.folder import open_folder
from streamer.stores.rows import intent_row
from streamer.stores.sqlite import SqliteStore, connect
from streamer.words.model import Facts, Payment, PaymentState, Spend, Stream
from tests.store.given import NOW, a_payment, a_stream

ROOT = Path(__file__).parents[1]

CACHE = ROOT / ".cache" / "bench"
STREAMS = 10_000


def one_by_one(connection: sqlite3.Connection, batch: Batch) -> None:
    """What statements.write would be with executemany: a step for each row."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(statements.insert_intents(1), batch.intents)
    columns = ",".join(f"{name}=?" for name in schema.END_COLUMNS)
    connection.executemany(
        f"UPDATE payments SET {columns} WHERE row=?",
        [row[1:] + row[:1] for row in batch.ends.values()],
    )
    connection.executemany(statements.insert_accounts(1), list(batch.accounts.values()))
    connection.executemany(statements.insert_figures(1), list(batch.figures.values()))
    connection.execute("COMMIT")


@contextlib.contextmanager
def spinning(busy: bool) -> Iterator[None]:
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            end = time.perf_counter() + 0.001
            while time.perf_counter() < end:
                sum(range(100))
            time.sleep(0)

    thread = threading.Thread(target=spin)
    if busy:
        thread.start()
    yield
    stop.set()
    if busy:
        thread.join()


def batches(streams: list[Stream], total: int, size: int) -> Iterator[Facts]:
    before: list[Payment] = []
    for start in range(0, total, size):
        chosen = [streams[(start + n) * 7919 % STREAMS] for n in range(size)]
        for stream in chosen:
            stream.account.seq += 1
        made = [
            a_payment(stream, start + n + 1, stream.account.seq) for n, stream in enumerate(chosen)
        ]
        for payment in before:
            payment.state, payment.settled_msat, payment.index = (
                PaymentState.SETTLED,
                1_000,
                payment.row,
            )
        yield Facts(intents=made, ends=before, accounts=chosen, spends=[Spend("daemon", 0, start)])
        before = made


def commits(way: str, size: int, busy: bool, total: int) -> dict[str, object]:
    write = {"chunked": statements.write, "executemany": one_by_one}[way]
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        connection = connect(str(Path(folder) / "journal.db"))
        schema.migrate(connection, "")
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=4096"):
            connection.execute(f"PRAGMA {pragma}")
        facts = list(batches([a_stream(key) for key in range(1, STREAMS + 1)], total, size))
        last: dict[str, int] = {}
        loop_cpu = writer_cpu = wall = 0.0
        with spinning(busy):
            for each in facts:
                began = time.thread_time()
                batch = Batch()
                batch.add(each, last)
                middle, start = time.thread_time(), time.perf_counter()
                write(connection, batch)
                wall += time.perf_counter() - start
                writer_cpu += time.thread_time() - middle
                loop_cpu += middle - began
        connection.close()
    per = 1e6 / total
    return {
        "way": way,
        "batch": size,
        "busy": busy,
        "loop_us": round(loop_cpu * per, 2),
        "writer_us": round(writer_cpu * per, 1),
        "commit_ms": round(wall / len(facts) * 1e3, 2),
    }


def start(streams: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:

        async def fill() -> None:
            store = SqliteStore(open_folder(Path(folder) / "data", "lnd"))
            store.load()
            made = [a_stream(key) for key in range(1, streams + 1)]
            for stream in made:
                stream.account.seq = 1
            await store.append(
                Facts(
                    streams=made,
                    intents=[a_payment(stream, stream.key, 1) for stream in made[:1_000]],
                )
            )
            await store.close()

        asyncio.run(fill())
        store = SqliteStore(open_folder(Path(folder) / "data", "lnd"))
        began = time.perf_counter()
        snapshot = store.load()
        took = time.perf_counter() - began
        assert len(snapshot.streams) == streams and len(snapshot.open_payments) == 1_000
        size = store.space()[0]
        asyncio.run(store.close())
    return {
        "streams": streams,
        "open_payments": 1_000,
        "load_seconds": round(took, 2),
        "bytes": size,
    }


def retention(history: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        data = Path(folder) / "data"

        async def run() -> dict[str, object]:
            store = SqliteStore(open_folder(data, "lnd"))
            store.load()
            made = [a_stream(key) for key in range(1, STREAMS + 1)]
            await store.append(Facts(streams=made))
            fill(data / "journal.db", made, history)
            took: dict[str, list[float]] = {"alone": [], "purging": []}

            async def appends(name: str, count: int) -> None:
                for number in range(count):
                    began = time.perf_counter()
                    await store.append(Facts(settings=[("n", str(number))]))
                    took[name].append(time.perf_counter() - began)
                    await asyncio.sleep(0.002)

            await appends("alone", 500)
            purging = asyncio.ensure_future(store.purge(NOW + history // 2, history))
            began = time.perf_counter()
            await appends("purging", 500)
            purging_for = time.perf_counter() - began
            busy = not purging.done()
            deleted = await purging
            speed = deleted / (time.perf_counter() - began)
            await store.close()
            return {
                "history": history,
                "purging_all_the_while": busy,
                "measured_seconds": round(purging_for, 1),
                "deleted_per_second": round(speed),
                **{
                    f"{name}_{what}_ms": round(sorted(times)[int(len(times) * part)] * 1e3, 2)
                    for name, times in took.items()
                    for what, part in (("p50", 0.5), ("p99", 0.99))
                },
            }

        return asyncio.run(run())


def fill(file: Path, streams: list[Stream], history: int) -> None:
    connection = connect(str(file))
    connection.execute("BEGIN")
    for start in range(0, history, 50_000):
        rows = [
            intent_row(a_payment(streams[n % STREAMS], n + 1, n // STREAMS + 1))
            for n in range(start, min(start + 50_000, history))
        ]
        connection.executemany(statements.insert_intents(1), rows)
    connection.execute("UPDATE payments SET state='SETTLED', settled_msat=1000")
    connection.execute("COMMIT")
    began = time.perf_counter()
    connection.execute("PRAGMA quick_check").fetchall()
    seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "quick_check_mib_per_second": round(file.stat().st_size / seconds / 2**20),
                "bytes": file.stat().st_size,
            }
        ),
        flush=True,
    )
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--payments", type=int, default=20_000)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--history", type=int, default=1_000_000)
    arguments = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    for size in (10, 40, 100):
        for busy in (False, True):
            for way in ("chunked", "executemany"):
                print(
                    json.dumps(commits(way, size, busy, arguments.payments // (20 if busy else 1))),
                    flush=True,
                )
    if arguments.streams:
        print(json.dumps(start(arguments.streams)), flush=True)
    if arguments.history:
        print(json.dumps(retention(arguments.history)), flush=True)


if __name__ == "__main__":
    main()
