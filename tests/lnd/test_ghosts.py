"""Real lnd: a call whose end was lost is executed late, or by a lnd that was frozen meanwhile
(money rule 4).
"""

from __future__ import annotations

from functools import partial

import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from tests.e2e.house import House, until
from tests.lnd.books import Row, arrived, check_conservation, rows, sent
from tests.lnd.conftest import Scene
from tests.lnd.ghost import AMOUNT_MSAT, INTERVAL_MS, kill, leave_a_ghost

pytestmark = pytest.mark.lnd

FROZEN_ROUNDS = 5


def two_are_open(daemon: House) -> bool:
    return daemon.metric("payments_open") >= 2


def take_receiver_away(scene: Scene) -> None:
    scene.receiver.kill()
    until(lambda: not any(channel.active for channel in to(scene)), "the hub has noticed")


def to(scene: Scene) -> list[ln.Channel]:
    return [
        channel for channel in scene.hub.channels() if channel.remote_pubkey == scene.town.keys[0]
    ]


def bring_receiver_back(scene: Scene) -> None:
    scene.receiver.start()
    scene.town.until_active()


def status(scene: Scene, ghost: Row) -> int | None:
    return sent(scene.town.payer).get(ghost.payment_hash)


def paid_again(scene: Scene, daemon: House, ghost: Row) -> bool:
    """Tries without waiting for back-offs: the road may not be open at the first try."""
    scene.town.try_now(daemon, [ghost.owner])
    newest = daemon.json("payment", "list", "--limit", "10")["payments"]
    return any(payment["state"] == "SETTLED" and payment["seq"] > ghost.seq for payment in newest)


def test_a_ghost_whose_resend_failed_is_executed_late_and_paid_once(scene: Scene) -> None:
    town, patient = scene.town, ("--node.ghost-after", "100s")
    ghost = leave_a_ghost(town, *patient)
    take_receiver_away(scene)
    with town.daemon(*patient) as daemon:
        until(
            lambda: status(scene, ghost) == ln.Payment.FAILED,
            "the same hash was sent again, and failed",
        )
        newest = daemon.json("payment", "list", "--limit", "1")["payments"][0]
        assert (newest["seq"], newest["state"]) == (ghost.seq, "PENDING")
        # nothing but the ghost may pay it now
        assert daemon.cli("sending", "stop").code == 0
        bring_receiver_back(scene)
        assert status(scene, ghost) == ln.Payment.FAILED
        town.deliver()
        until(lambda: status(scene, ghost) == ln.Payment.SUCCEEDED, "the ghost was executed")
        assert daemon.cli("sending", "start").code in (0, 4)
        town.until_arrived(3)
        assert daemon.stop() == 0
    assert scene.check() >= ghost.seq + 2
    check_conservation(town.home, AMOUNT_MSAT, INTERVAL_MS)


def test_a_ghost_later_than_ghost_after_is_posted_late_and_becomes_a_credit(scene: Scene) -> None:
    town, short = scene.town, ("--node.ghost-after", "2s")
    ghost = leave_a_ghost(town, *short)
    take_receiver_away(scene)
    with town.daemon(*short) as daemon:
        until(
            lambda: (
                daemon.json("payment", "list", "--limit", "1")["payments"][0]["state"] == "FAILED"
            ),
            "it is given up",
        )
        bring_receiver_back(scene)
        until(lambda: paid_again(scene, daemon, ghost), "its time is paid again")
        town.deliver()
        until(lambda: status(scene, ghost) == ln.Payment.SUCCEEDED, "the ghost was executed")
        assert daemon.stop() == 0
    with town.daemon(*short) as daemon:
        daemon.until_paying()
        until(
            lambda: (
                daemon.json("payment", "show", f"{ghost.owner}.{ghost.seq}")["state"] == "SETTLED"
            ),
            "it is posted late",
        )
        town.until_arrived(3)
        assert daemon.stop() == 0
    scene.check()
    assert ghost.payment_hash in arrived(town.receivers)
    check_conservation(town.home, AMOUNT_MSAT, INTERVAL_MS)


def test_what_a_killed_daemon_said_to_a_frozen_lnd_is_paid_once(scene: Scene) -> None:
    town = scene.town
    with town.daemon(direct=True) as daemon:
        daemon.until_paying()
        town.open_streams(daemon, 3, AMOUNT_MSAT, INTERVAL_MS, scene.receiver)
        town.until_arrived(3)
        kill(daemon)
    for _ in range(FROZEN_ROUNDS):
        with town.daemon(direct=True) as daemon:
            daemon.until_paying()
            town.until_arrived(2)
            town.payer.freeze()
            until(partial(two_are_open, daemon), "calls are with the frozen lnd")
            kill(daemon)
            town.payer.thaw()
    with town.daemon("--node.ghost-after", "5s", direct=True) as daemon:
        daemon.until_paying()
        until(
            lambda: daemon.metric("oldest_open_payment_seconds") < 1, "nothing is open from before"
        )
        town.until_arrived(3)
        assert daemon.stop() == 0
    scene.check()
    assert not [row for row in rows(town.home) if row.open]


def test_a_lnd_that_froze_for_longer_than_our_patience_pays_once(scene: Scene) -> None:
    town, quick = scene.town, ("--node.hold-after", "1s", "--node.ghost-after", "5s")
    with town.daemon(*quick, direct=True) as daemon:
        daemon.until_paying()
        town.open_streams(daemon, 3, AMOUNT_MSAT, INTERVAL_MS, scene.receiver)
        town.until_arrived(3)
        town.payer.freeze()
        until(lambda: daemon.metric("oldest_open_payment_seconds") > 4, "payments hang")
        town.payer.thaw()
        until(
            lambda: daemon.metric("oldest_open_payment_seconds") < 1, "nothing is open from before"
        )
        town.until_arrived(6)
        assert daemon.stop() == 0
    scene.check()
    check_conservation(town.home, AMOUNT_MSAT, INTERVAL_MS)
