"""Real lnd: the macaroon is revoked in the middle of paying. Nothing is decided by it, and a new
one is enough (money rule 7).
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from streamer.nodes.permissions import FOR_INVOICES, NEEDED, ROOT_KEY_ID
from tests.e2e.house import until
from tests.lnd.books import check_conservation, rows
from tests.lnd.conftest import Scene
from tests.lnd.node import Lnd

pytestmark = pytest.mark.lnd

AMOUNT_MSAT, INTERVAL_MS = 1_000, 500
NOTICED_SECONDS = 30
"""Half of the minute after which the channels are looked at in any case."""


def bake(lnd: Lnd, path: Path) -> None:
    """The macaroon of the documentation, with no right more."""
    path.unlink(missing_ok=True)
    lnd.cli(
        "bakemacaroon",
        "--save_to",
        str(path),
        "--root_key_id",
        str(ROOT_KEY_ID),
        *(f"uri:{method}" for method in NEEDED + FOR_INVOICES),
    )


def test_a_revoked_macaroon_stops_the_node_and_fails_no_payment(
    scene: Scene, tmp_path: Path
) -> None:
    town, macaroon = scene.town, tmp_path / "streamer.macaroon"
    bake(town.payer, macaroon)
    with town.daemon("--node.macaroonpath", str(macaroon), "--node.ghost-after", "5s") as daemon:
        daemon.until_paying()
        [stream] = town.open_streams(daemon, 1, AMOUNT_MSAT, INTERVAL_MS, scene.receiver)
        town.until_arrived(4)
        town.payer.cli("deletemacaroonid", str(ROOT_KEY_ID))
        revoked = time.monotonic()
        daemon.until_unready("bakemacaroon")
        assert time.monotonic() - revoked < NOTICED_SECONDS
        assert daemon.json("stream", "show", stream)["state"] == "ACTIVE"
        bake(town.payer, macaroon)
        daemon.until_paying()
        town.until_arrived(4)
        until(lambda: daemon.metric("payments_open") <= 1, "nothing is left from before")
        assert daemon.stop() == 0
    scene.check()
    check_conservation(town.home, AMOUNT_MSAT, INTERVAL_MS)
    assert [row.state for row in rows(town.home) if row.state != "SETTLED"] in ([], ["FAILED"])
