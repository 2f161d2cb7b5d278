"""Real lnd refuses the call itself: that ends the payment, unless a call of it may still be alive
(money rule 7).
"""

from __future__ import annotations

import pytest

from tests.e2e.house import House, until
from tests.e2e.proxy import Fate, Way
from tests.lnd.books import check_conservation, rows, sent
from tests.lnd.conftest import Scene
from tests.lnd.ghost import kill
from tests.lnd.town import Town

pytestmark = pytest.mark.lnd

AMOUNT_MSAT, INTERVAL_MS = 1_000, 1_000
TOO_SHORT = ("--node.cltv-limit", "20")
"""lnd wants more than the final hop's 80 blocks, and says so with the code UNKNOWN."""


def test_a_definite_refusal_stalls_the_stream_with_lnds_words_and_nothing_is_lost(
    scene: Scene,
) -> None:
    town = scene.town
    with town.daemon(*TOO_SHORT) as daemon:
        daemon.until_paying()
        [stream] = town.open_streams(daemon, 1, AMOUNT_MSAT, INTERVAL_MS, scene.receiver)
        until(
            lambda: daemon.json("stream", "show", stream)["payments_failed"] == 1, "it is refused"
        )
        town.try_now(daemon, [stream])
        until(lambda: daemon.json("stream", "show", stream)["state"] == "STALLED", "twice")
        shown = daemon.json("stream", "show", stream)
        assert (shown["reason"], shown["paid_msat"], shown["reserved_msat"]) == (
            "NODE_REFUSED",
            0,
            0,
        )
        assert "cltv limit" in shown["last_failure"]
        assert daemon.stop() == 0
    refused = rows(town.home)
    assert [row.state for row in refused] == ["REFUSED", "REFUSED"]
    assert not {row.payment_hash for row in refused} & set(sent(town.payer))
    with town.daemon() as daemon:
        daemon.until_paying()
        town.try_now(daemon, [stream])
        town.until_arrived(3)
        assert daemon.stop() == 0
    scene.check()
    check_conservation(town.home, AMOUNT_MSAT, INTERVAL_MS)


def test_a_refusal_ends_nothing_while_a_ghost_of_the_call_may_be_alive(scene: Scene) -> None:
    town, ghostly = scene.town, (*TOO_SHORT, "--node.ghost-after", "8s")
    with town.daemon(*ghostly) as daemon:
        daemon.until_paying()
        town.trap(Way.UP, 0, Fate.KEEP)
        town.open_streams(daemon, 1, AMOUNT_MSAT, INTERVAL_MS, scene.receiver)
        until(lambda: town.keeps_call(daemon), "the call is on its way")
        kill(daemon)
    [ghost] = [row for row in rows(town.home) if row.open]
    before = refusals(town)
    with town.daemon(*ghostly) as daemon:
        daemon.until_paying()
        until(lambda: refusals(town) > before, "the same call was made again, and refused")
        [payment] = payments(daemon)
        assert payment["state"] == "PENDING"
        town.deliver()
        until(
            lambda: payments(daemon)[-1]["state"] == "FAILED",
            "its end is believed when the ghost is surely dead",
        )
        assert daemon.stop() == 0
    assert [row.state for row in rows(town.home) if row.payment_hash == ghost.payment_hash] == [
        "REFUSED"
    ]
    scene.check()


def refusals(town: Town) -> int:
    """How often lnd has said so up to now: its log is that of all tests of the street."""
    return town.payer.child.log.read_text().count("cltv limit")


def payments(daemon: House) -> list[dict[str, str]]:
    found: list[dict[str, str]] = daemon.json("payment", "list")["payments"]
    return found
