"""One engine on a stub node, put together as the daemon does it, with everything on.

Streams at 1 sat each 100 ms to many receivers, more than the engine can pay: wheel, limiter,
breaker and the budgets of stream and daemon, intents and outcomes durable in SQLite (FULL).
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path

import uvloop

from bench.bare import destinations_of
from streamer.core.book import Limits
from streamer.core.lifecycle import new_stream, open_stream
from streamer.core.shared import Moment
from streamer.doubt.recovery import Patience
from streamer.nodes.credentials import Access
from streamer.nodes.lnd import LndNode
from streamer.pay.build import Build
from streamer.pay.engine import Pace
from streamer.pay.link import LinkTerms
from streamer.stores.folder import open_folder
from streamer.stores.sqlite import SqliteStore
from streamer.words.clock import BootClock
from streamer.words.model import BudgetTerms, Facts, Payment, Rate, Stream, Terms
from streamer.words.money import MAX_MSAT, SECOND_NS

STREAMS = 2_000
INTERVAL_NS = SECOND_NS // 10
"""Ten payments a second of each stream: more than the engine can make, once all have begun."""
LIMIT_PER_SECOND = 1_000_000
HOUR_NS = 3_600 * SECOND_NS


class Count:
    """The Observer port: counts what ended."""

    def __init__(self) -> None:
        self.payments = 0
        self.failed = 0

    def sent(self, node: str, lateness_seconds: float) -> None:
        pass

    def ended(
        self,
        payment: Payment,
        stream: Stream | None,
        moment: Moment | None,
        seconds: float,
        late: bool,
    ) -> None:
        self.payments += 1
        self.failed += payment.state != "SETTLED"

    def changed(self, stream: Stream, moment: Moment) -> None:
        pass

    def skipped(self, group: str, cause: str, msat: int) -> None:
        pass


def _terms(number: int, destination: bytes, now_ns: int) -> Terms:
    return Terms(
        node="stub",
        destination=destination,
        rate=Rate(1_000, INTERVAL_NS, INTERVAL_NS),
        start_time_ns=now_ns + number * SECOND_NS // STREAMS,
        end_time_ns=None,
        budget=BudgetTerms(10**12, 24 * HOUR_NS),
        fee_floor_msat=5_000,
        fee_limit_ppm=10_000,
        min_payment_msat=1_000,
        min_payment_interval_ns=INTERVAL_NS,
        max_payment_msat=None,
        catch_up_ns=300 * SECOND_NS,
        ttl_ns=None,
        max_open_payments=1,
        group="",
        labels=(),
        records=(),
        token=b"",
    )


async def _pay(
    access: dict[str, str], window: int, seconds: float, warm_up: float, folder: Path
) -> dict[str, float]:
    commits: list[tuple[float, int]] = []
    store = SqliteStore(
        open_folder(folder / "data", "lnd"),
        observe=lambda took, appends: commits.append((took, appends)),
    )
    snapshot = store.load()
    clock, count, secret = BootClock(), Count(), random.Random(1).randbytes(32)
    node = LndNode(
        "stub",
        Access(access["rpcserver"], Path(access["tlscertpath"]), Path(access["macaroonpath"])),
    )
    patience = Patience(120 * SECOND_NS, 30 * SECOND_NS, 600 * SECOND_NS, 24 * HOUR_NS)
    failures: list[str] = []
    build = Build.of(
        store,
        snapshot,
        clock,
        secret,
        count,
        limit_msat=MAX_MSAT,
        period_ns=HOUR_NS,
        on_store_failed=lambda _, text: failures.append(text),
    )
    engine = build.engine(
        node,
        limits=Limits(max_in_flight_per_destination=window),
        pace=Pace(LIMIT_PER_SECOND, window),
        patience=patience,
        terms=LinkTerms(secret, "regtest"),
    )
    now_ns = clock.now_ns()
    facts, destinations = Facts(), destinations_of(access)
    for number in range(STREAMS):
        open_stream(
            engine.book,
            new_stream(
                f"st_{number:032x}",
                number + 1,
                _terms(number, destinations[number % len(destinations)], now_ns),
                now_ns,
            ),
            now_ns,
            facts,
        )
    await store.append(facts)
    running = asyncio.ensure_future(engine.run())
    await asyncio.sleep(warm_up)
    commits.clear()
    before, began, loop_cpu, all_cpu = (
        count.payments,
        time.perf_counter(),
        time.thread_time(),
        time.process_time(),
    )
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    loop_cpu, all_cpu = time.thread_time() - loop_cpu, time.process_time() - all_cpu
    paid, made = count.payments - before, sorted(each for each, _ in commits)
    await engine.drain()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    assert not failures and not count.failed, (failures, count.failed)
    return {
        "payments_per_second": paid / took,
        "loop_cpu_us": loop_cpu / paid * 1e6,
        "all_cpu_us": all_cpu / paid * 1e6,
        "commits_per_second": len(made) / took,
        "commit_p50_ms": 1_000 * made[len(made) // 2],
        "commit_p99_ms": 1_000 * made[len(made) * 99 // 100],
    }


def measure(
    access: dict[str, str], window: int, seconds: float, warm_up: float, folder: str | None = None
) -> dict[str, float]:
    """Payments a second whose outcome is durable, and how the journal did. folder: a place on a
    real disk.
    """
    with (
        tempfile.TemporaryDirectory(dir=folder) as data,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_pay(access, window, seconds, warm_up, Path(data)))
