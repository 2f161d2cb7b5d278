"""Real lnd on SQLite: what its restart leaves IN_FLIGHT for ever blocks nobody, and ends by itself (MONEY.md 2)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer._proto.streamer.v1 import stream_pb2
from tests.e2e.house import House, until
from tests.e2e.networks import Networks
from tests.lnd.binaries import build
from tests.lnd.books import check_arrived, check_conservation, in_flight_without_htlc, rows
from tests.lnd.town import Town, star

pytestmark = pytest.mark.lnd

STREAMS, AMOUNT_MSAT, INTERVAL_MS = 60, 1_000, 1_000
WRITE_OFF_SECONDS = 120
"""Counted from the payment; the minute in which nothing counts as an orphan comes first, after lnd's start."""
MOST_RESTARTS = 5
FLIGHT_SECONDS = 3
"""What lnd still calls IN_FLIGHT after so long, without an HTLC, stays so."""
OPTIONS = (
    *("--node.ghost-after", "2s", "--streams.in-doubt-after", "5s", "--node.orphan-write-off-after", f"{WRITE_OFF_SECONDS}s"),
    *("--node.max-in-flight-per-destination", "100"),
)


@pytest.fixture
def town(tmp_path: Path, networks: Networks) -> Iterator[Town]:
    with star(build(), tmp_path, networks, 1, 2, ["--db.backend=sqlite", "--db.use-native-sql"]) as made:
        yield made


def stuck(town: Town) -> set[bytes]:
    """The payments that lnd's restart left behind."""
    first = in_flight_without_htlc(town.payer)
    time.sleep(FLIGHT_SECONDS)
    return first & in_flight_without_htlc(town.payer)


def all_known(town: Town, daemon: House) -> bool:
    """As many orphans are known as lnd has, and every stream goes on."""
    if daemon.metric("payments_orphaned") != len(stuck(town)):
        return False
    return all(stream.state == stream_pb2.Stream.ACTIVE for stream in town.streams(daemon))


def restart_leaves_some(town: Town, daemon: House) -> bool:
    """Whether lnd, killed while many payments are open, has orphans when it is back: chance decides."""
    until(lambda: daemon.metric("payments_open") > STREAMS / 3, "many payments are open")
    town.restart(town.payer)
    town.until_active()
    return bool(stuck(town))


@pytest.mark.timeout(900, func_only=True)
def test_orphans_free_their_slots_and_are_written_off_by_themselves(town: Town) -> None:
    with town.daemon(*OPTIONS, direct=True) as daemon:
        daemon.until_paying()
        town.open_streams(daemon, STREAMS, AMOUNT_MSAT, INTERVAL_MS)
        town.until_arrived(STREAMS)
        assert any(restart_leaves_some(town, daemon) for _ in range(MOST_RESTARTS)), "lnd leaves orphans when it is killed under load"
        until(lambda: daemon.metric("payments_orphaned") > 0, "orphans are found", WRITE_OFF_SECONDS)
        until(lambda: all_known(town, daemon), "all are, and nobody waits")
        left = stuck(town)
        town.until_arrived(2 * STREAMS)
        until(lambda: daemon.metric("payments_orphaned") == 0, "they are written off", 2 * WRITE_OFF_SECONDS)
        assert daemon.stop() == 0
    print(f"{len(left)} orphans")
    written_off = [row for row in rows(town.home) if row.state == "WRITTEN_OFF"]
    assert {row.payment_hash for row in written_off} == left
    assert all(row.settled_msat == row.amount_msat for row in written_off)
    assert not [row for row in rows(town.home) if row.open]
    check_arrived(town.home, town.payer, town.receivers)
    check_conservation(town.home, AMOUNT_MSAT, INTERVAL_MS)
