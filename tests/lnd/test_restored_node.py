"""Real lnd: the payer's node is restored from an old copy; what it forgot is never paid again
(money rule 5).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.house import House, until
from tests.e2e.networks import Networks
from tests.e2e.proxy import Fate, Way
from tests.lnd.binaries import build
from tests.lnd.books import Row, arrived, rows, sent
from tests.lnd.ghost import kill
from tests.lnd.relay import Relay, start_relay
from tests.lnd.town import HUB_SAT, Town, alone

pytestmark = pytest.mark.lnd

AMOUNT_MSAT, HOUR_MS = 7_000, 3_600_000
DIRECT = 5
QUICK = ("--node.ghost-after", "5s", "--node.hold-after", "2s")
LOOK_SECONDS = 15
"""Longer than ghost_after: a payment that was to be sent again, or given up, would have been."""


@pytest.fixture
def triangle(
    tmp_path_factory: pytest.TempPathFactory, networks: Networks
) -> Iterator[tuple[Town, Relay]]:
    """Two ways to the receiver: channels through a relay, of which a test loses one or two, and a
    way over a hub. Nothing is shared.
    """
    with alone(build(), tmp_path_factory.mktemp("triangle"), networks, receivers=2) as town:
        receiver, hub = town.receivers
        relay = networks.enter(start_relay(receiver.peer_port))
        town.network.give_coins(town.payer, hub, HUB_SAT)
        town.connect(town.payer, receiver, DIRECT, relay.port)
        town.connect(town.payer, hub, 1)
        town.connect(hub, receiver, 1)
        town.network.wait_known(town.payer, receiver, DIRECT + 1)
        yield town, relay


@pytest.fixture
def town(triangle: tuple[Town, Relay], networks: Networks, tmp_path: Path) -> Iterator[Town]:
    town, relay = triangle
    town.home = tmp_path / "home"
    yield town
    payer, receiver, channels = town.roads[0]
    town.roads[0] = (payer, receiver, max(1, channels - 2))
    town.drop()
    networks.do(relay.open)
    town.network.dial(payer, receiver, relay.port)
    town.until_active()


@pytest.fixture
def relay(triangle: tuple[Town, Relay]) -> Relay:
    return triangle[1]


def pay_once(town: Town) -> None:
    """A first payment, so that there is a witness; its stream pays the next one in an hour."""
    with town.daemon(*QUICK) as daemon:
        daemon.until_paying()
        had = town.count()
        town.open_streams(daemon, 1, AMOUNT_MSAT, HOUR_MS, town.receivers[0])
        until(lambda: town.count() > had, "it has arrived")
        assert daemon.stop() == 0


def snapshot(town: Town) -> Path:
    """A copy of the payer's folder, while its lnd is stopped."""
    copy = town.payer.folder.with_name("snapshot")
    town.payer.stop()
    shutil.copytree(town.payer.folder, copy)
    town.payer.start()
    town.until_active()
    return copy


def restore(town: Town, copy: Path) -> None:
    town.payer.kill()
    shutil.rmtree(town.payer.folder)
    shutil.move(copy, town.payer.folder)
    town.payer.start(wait=False)


def pay_unseen(town: Town) -> Row:
    """A payment that settles while the daemon hears nothing more of the node, and is killed."""
    with town.daemon(*QUICK) as daemon:
        daemon.until_paying()
        had = len(arrived(town.receivers))
        town.trap(Way.DOWN, 0, Fate.KEEP)
        town.open_streams(daemon, 1, AMOUNT_MSAT, HOUR_MS, town.receivers[0])
        until(lambda: len(arrived(town.receivers)) > had, "it has settled")
        kill(daemon)
    town.drop()
    [lost] = [row for row in rows(town.home) if row.open]
    return lost


def another_arrived(town: Town, daemon: House, stream: str, before: int) -> bool:
    """Tries without waiting for back-offs: the road may not be open at the first try."""
    town.try_now(daemon, [stream])
    return len(arrived(town.receivers)) == before + 1


@pytest.mark.parametrize("witness", ["found", "gone"])
def test_a_payment_that_a_restored_node_forgot_is_not_paid_again(town: Town, witness: str) -> None:
    pay_once(town)
    copy = snapshot(town)
    if witness == "gone":
        pay_once(town)
    lost = pay_unseen(town)
    restore(town, copy)
    before = len(arrived(town.receivers))
    with town.daemon(*QUICK) as daemon:
        until(lambda: daemon.metric("payments_lost_sight") == 1, "it is out of sight")
        town.open_streams(daemon, 1, AMOUNT_MSAT, HOUR_MS, town.receivers[0])
        until(lambda: len(arrived(town.receivers)) == before + 1, "others go on")
        assert daemon.stop() == 0
    assert lost.payment_hash in arrived(town.receivers)
    assert lost.payment_hash not in sent(town.payer)


def test_what_a_restored_node_forgot_is_not_paid_again_while_the_channel_that_knows_better_is_away(
    town: Town, relay: Relay, networks: Networks
) -> None:
    pay_once(town)
    copy = snapshot(town)
    lost = pay_unseen(town)
    before = len(arrived(town.receivers))
    networks.do(relay.close)
    restore(town, copy)
    with town.daemon(*QUICK) as daemon:
        daemon.until_paying()
        enough = time.monotonic() + LOOK_SECONDS
        until(lambda: time.monotonic() > enough, "time enough to do wrong")
        assert len(arrived(town.receivers)) == before
        town.network.dial(town.payer, town.receivers[1])
        town.network.wait_active(town.payer, town.receivers[1], 1)
        [other] = town.open_streams(daemon, 1, AMOUNT_MSAT, HOUR_MS, town.receivers[0])
        until(lambda: another_arrived(town, daemon, other, before), "others go on, over the hub")
        networks.do(relay.open)
        town.network.dial(town.payer, town.receivers[0], relay.port)
        until(
            lambda: daemon.metric("payments_lost_sight") == 1,
            "the channel is back, and closes: it is out of sight",
        )
        assert daemon.stop() == 0
    assert lost.payment_hash in arrived(town.receivers)
