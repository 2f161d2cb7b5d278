"""Real lnd: a channel is closed with a payment's HTLC in it, and the receiver claims that on chain while the payer's lnd is down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from tests.e2e.house import until
from tests.e2e.networks import Networks
from tests.lnd.binaries import build
from tests.lnd.books import rows, sent
from tests.lnd.network import Network
from tests.lnd.node import Lnd
from tests.lnd.test_holders import settle_by_hand
from tests.lnd.town import HUB_SAT, Town

pytestmark = pytest.mark.lnd

AMOUNT_MSAT, HOUR_MS = 50_000_000, 3_600_000
"""So much that its HTLC has an output of its own."""
QUICK = ("--node.ghost-after", "5s", "--node.hold-after", "2s")
BROADCAST_BLOCKS = 10
"""So long before its expiry lnd closes a channel to claim an HTLC whose preimage it knows (lnd lncfg/htlcswitch, contractcourt)."""


@pytest.fixture
def town(tmp_path: Path, networks: Networks) -> Iterator[Town]:
    network = Network(build(), tmp_path / "network")
    payer, holder = network.add("payer"), network.add("holder", options=["--keysend-hold-time=1h"])
    network.fund(payer)
    network.start(payer, holder)
    network.wait_coins(payer)
    network.give_coins(payer, holder, HUB_SAT)
    with Town(network, tmp_path, networks, payer, [holder]) as town:
        town.connect(payer, holder, 1)
        yield town


def claimed(lnd: Lnd) -> bool:
    """The channel is closed on chain, and no HTLC of it waits for anything."""
    closing = lnd.cli("pendingchannels")["pending_force_closing_channels"]
    return bool(closing) and not any(channel["pending_htlcs"] for channel in closing)


def test_what_was_claimed_on_chain_is_settled_and_not_paid_again(town: Town) -> None:
    payer, [holder] = town.payer, town.receivers
    with town.daemon(*QUICK, direct=True) as daemon:
        daemon.until_paying()
        [stream] = town.open_streams(daemon, 1, AMOUNT_MSAT, HOUR_MS)
        until(lambda: daemon.metric("payments_held") == 1, "it is held")
        [htlc] = [htlc for channel in payer.channels() for htlc in channel.pending_htlcs]
        payer.stop()
        assert settle_by_hand(holder) == 1
        town.network.btcd.mine(htlc.expiration_height - BROADCAST_BLOCKS - town.network.btcd.height())
        for _ in range(BROADCAST_BLOCKS):
            town.network.wait_synced(holder)
            import json
            import time

            time.sleep(2)
            print(
                json.dumps(holder.cli("pendingchannels")["pending_force_closing_channels"]),
                [c["close_type"] for c in holder.cli("closedchannels")["channels"]],
            )
            if claimed(holder):
                break
            town.network.btcd.mine()
        assert claimed(holder), "the receiver has its money"
        payer.start()
        town.network.wait_synced(payer)
        daemon.until_paying()
        until(lambda: daemon.metric("payments_open") == 0, "its end is known")
        shown = daemon.json("stream", "show", stream)
        assert daemon.stop() == 0
    print(shown, rows(town.home), sent(payer))
    [payment] = rows(town.home)
    assert (payment.state, sent(payer)[payment.payment_hash]) == ("SETTLED", ln.Payment.SUCCEEDED)
