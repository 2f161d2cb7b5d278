"""Real lnd on SQLite: what its restart leaves IN_FLIGHT for ever blocks nobody, and ends by itself
(money rule 6).

lnd ends it as well, when it is started after the channel was closed: FAILED, and the budgets have
it back.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer._proto.streamer.v1 import stream_pb2
from tests.e2e.house import House, until
from tests.e2e.networks import Networks
from tests.lnd.binaries import build
from tests.lnd.books import check_arrived, check_conservation, in_flight_without_htlc, listed, rows
from tests.lnd.town import Town, star

pytestmark = pytest.mark.lnd

STREAMS, AMOUNT_MSAT, INTERVAL_MS = 60, 1_000, 1_000
WRITE_OFF_SECONDS = 120
"""Counted from the payment; the minute in which nothing counts as an orphan comes first, after
lnd's start.
"""
MOST_RESTARTS = 5
FLIGHT_SECONDS = 3
"""What lnd still calls IN_FLIGHT after so long, without an HTLC, stays so."""
LOOK_SECONDS = 150
"""What was written off is asked for after ghost_after, at recovery's next round."""
OPTIONS = (
    *(
        "--node.ghost-after",
        "2s",
        "--streams.in-doubt-after",
        "5s",
        "--node.orphan-write-off-after",
        f"{WRITE_OFF_SECONDS}s",
    ),
    *("--node.max-in-flight-per-destination", "100"),
)


@pytest.fixture
def town(tmp_path: Path, networks: Networks) -> Iterator[Town]:
    with star(
        build(), tmp_path, networks, 1, 2, ["--db.backend=sqlite", "--db.use-native-sql"]
    ) as made:
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
    """Whether lnd, killed while many payments are open, has orphans when it is back: chance
    decides.
    """
    until(lambda: daemon.metric("payments_open") > STREAMS / 3, "many payments are open")
    town.restart(town.payer)
    town.until_active()
    return bool(stuck(town))


def close_channel_of(town: Town, orphans: set[bytes]) -> None:
    """The channel over which most of them went is closed for good."""
    payer, network = town.payer, town.network
    went = Counter(
        payment.htlcs[-1].route.hops[0].chan_id
        for payment in listed(payer)
        if bytes.fromhex(payment.payment_hash) in orphans
    )
    [(closing, _)] = went.most_common(1)
    [point] = [channel.channel_point for channel in payer.channels() if channel.chan_id == closing]
    network.close_channel(payer, point)
    until(
        lambda: point not in [channel.channel_point for channel in payer.channels()],
        "the channel is closing",
    )
    network.btcd.mine(6)
    network.wait_synced(payer)
    until(lambda: not payer.cli("pendingchannels")["waiting_close_channels"], "it is closed")


def has_ended_some(town: Town, orphans: set[bytes]) -> bool:
    return bool(orphans - in_flight_without_htlc(town.payer))


def spent_msat(daemon: House) -> int:
    """Also while sending is stopped, when `streamer status` ends with 4."""
    return int(json.loads(daemon.cli("status", "--json").out)["spent_msat"])


@pytest.mark.timeout(900, func_only=True)
def test_orphans_free_their_slots_and_are_written_off_by_themselves(town: Town) -> None:
    with town.daemon(*OPTIONS, direct=True) as daemon:
        daemon.until_paying()
        town.open_streams(daemon, STREAMS, AMOUNT_MSAT, INTERVAL_MS)
        town.until_arrived(STREAMS)
        assert any(restart_leaves_some(town, daemon) for _ in range(MOST_RESTARTS)), (
            "lnd leaves orphans when it is killed under load"
        )
        until(
            lambda: daemon.metric("payments_orphaned") > 0, "orphans are found", WRITE_OFF_SECONDS
        )
        until(lambda: all_known(town, daemon), "all are, and nobody waits")
        left = stuck(town)
        town.until_arrived(2 * STREAMS)
        until(
            lambda: daemon.metric("payments_orphaned") == 0,
            "they are written off",
            2 * WRITE_OFF_SECONDS,
        )
        assert daemon.cli("sending", "stop", "--drain").code == 0
        before_msat = spent_msat(daemon)
        assert daemon.stop() == 0
    close_channel_of(town, left)
    town.restart(town.payer)
    town.payer.wait_ready()
    until(lambda: has_ended_some(town, left), "lnd ends what went over the closed channel")
    failed = left - stuck(town)
    with town.daemon(*OPTIONS, direct=True) as daemon:
        until(lambda: spent_msat(daemon) < before_msat, "the budgets have some back", LOOK_SECONDS)
        time.sleep(1)
        after_msat = spent_msat(daemon)
        assert daemon.stop() == 0
    written_off = [row for row in rows(town.home) if row.state == "WRITTEN_OFF"]
    assert {row.payment_hash for row in written_off} == left
    back = [row for row in written_off if row.settled_msat == 0]
    print(f"{len(left)} orphans, {len(back)} of them failed at last")
    assert {row.payment_hash for row in back} == failed
    assert before_msat - after_msat == sum(row.amount_msat + row.fee_limit_msat for row in back)
    assert all(row.settled_msat == row.amount_msat for row in written_off if row not in back)
    assert not [row for row in rows(town.home) if row.open]
    check_arrived(town.home, town.payer, town.receivers)
    check_conservation(town.home, AMOUNT_MSAT, INTERVAL_MS)
