"""Real lnd: receivers that hold HTLCs, channels without a free slot, payments too large for any
channel (money rule 12).
"""

from __future__ import annotations

import asyncio
import secrets

import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.core.keysend import PREIMAGE_TYPE, payment_hash
from streamer.nodes.credentials import access
from streamer.nodes.lnd import LndNode
from streamer.ports import MAX_HTLCS
from tests.e2e.house import until
from tests.e2e.networks import Networks
from tests.lnd.books import check_conservation, rows
from tests.lnd.conftest import Scene
from tests.lnd.network import CHANNEL_SAT
from tests.lnd.node import Lnd
from tests.lnd.town import Town
from tests.nodes.tiny import intent

pytestmark = pytest.mark.lnd

AMOUNT_MSAT, INTERVAL_MS = 1_000, 1_000
QUICK = (
    "--node.hold-after",
    "2s",
    "--node.ghost-after",
    "5s",
    "--node.max-in-flight-per-destination",
    "2",
)
SATURATING = MAX_HTLCS + 20


def pending(lnd: Lnd) -> set[bytes]:
    return {
        htlc.hash_lock
        for channel in lnd.channels()
        for htlc in channel.pending_htlcs
        if not htlc.incoming
    }


def settle_by_hand(holder: Lnd) -> int:
    """Settle every keysend that the holder has; how many."""
    held = [
        htlc
        for invoice in holder.rpc("ListInvoices", ln.ListInvoiceRequest(pending_only=True)).invoices
        for htlc in invoice.htlcs
    ]
    for htlc in held:
        holder.cli("settleinvoice", htlc.custom_records[PREIMAGE_TYPE].hex())
    return len(held)


def test_a_receiver_that_holds_blocks_itself_and_nobody_else(scene: Scene) -> None:
    town = scene.town
    with town.daemon(*QUICK) as daemon:
        daemon.until_paying()
        holding = town.open_streams(daemon, 6, AMOUNT_MSAT, INTERVAL_MS, scene.holder)
        town.open_streams(daemon, 2, AMOUNT_MSAT, INTERVAL_MS, scene.receiver)
        # who has never settled a payment has one under way, whatever the streams to it
        until(lambda: daemon.metric("payments_held") == 1, "one is held")
        hashes = {
            bytes.fromhex(one["payment_hash"])
            for one in daemon.json("payment", "list", "--limit", "100")["payments"]
            if one.get("held")
        }
        assert len(hashes) == 1 and hashes <= pending(town.payer)
        town.until_arrived(10)
        explained = [stream.explanation for stream in town.streams(daemon) if stream.id in holding]
        assert [
            words for words in explained if "keeps a payment open without settling it" in words
        ] == explained
        assert daemon.metric("payments_held") == 1
        assert settle_by_hand(scene.holder) == 1
        until(lambda: daemon.metric("payments_held") == 0, "they have settled")
        for stream in holding:
            daemon.json("stream", "cancel", stream)
        assert daemon.stop() == 0
    check_conservation(town.home, AMOUNT_MSAT, INTERVAL_MS)
    settle_by_hand(scene.holder)
    with town.daemon(*QUICK) as daemon:
        daemon.until_paying()
        until(
            lambda: daemon.metric("oldest_open_payment_seconds") < 2, "nothing is open from before"
        )
        assert daemon.stop() == 0
    scene.check()


@pytest.fixture
def no_slots(scene: Scene, networks: Networks) -> Town:
    """Somebody else's payments through the same node are held: its one channel is full."""

    async def fill() -> None:
        payer = scene.town.payer
        node = LndNode(
            "payer", access(payer.rpcserver, str(payer.tlscertpath), str(payer.macaroonpath))
        )
        await node.open()
        calls = []
        for _ in range(SATURATING):
            preimage = secrets.token_bytes(32)
            payment = intent(
                destination=scene.holder.pubkey,
                payment_hash=payment_hash(preimage),
                amount_msat=1_000,
                fee_limit_msat=5_000,
            )
            calls.append(asyncio.create_task(node.send(payment, preimage, 60)))
        while len(pending(payer)) < MAX_HTLCS:
            await asyncio.sleep(0.2)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await node.close()

    networks.wait(fill())
    return scene.town


def test_channels_without_a_free_slot_stop_the_node_and_blame_no_stream(
    scene: Scene, no_slots: Town
) -> None:
    with no_slots.daemon(*QUICK) as daemon:
        # /readyz says so only until the connection is whole; the status for as long as it is so
        until(
            lambda: "all HTLC slots of the node's channels are taken" in daemon.cli("status").out,
            "the node has no slot",
        )
        no_slots.open_streams(daemon, 2, AMOUNT_MSAT, INTERVAL_MS, scene.receiver)
        assert len(pending(no_slots.payer)) == MAX_HTLCS
        daemon.until_paying()
        no_slots.until_arrived(4)
        assert {stream.payments_failed for stream in no_slots.streams(daemon)} <= {0, 1}
        # lnd may take longer for one of them than a receiver may before it counts as holding
        assert daemon.cli("sending", "stop").code == 0
        until(lambda: daemon.metric("payments_open") == 0, "all have ended")
        assert daemon.stop() == 0
    scene.check()


def test_a_payment_too_large_for_any_channel_stops_its_own_stream_only(scene: Scene) -> None:
    town, large = scene.town, CHANNEL_SAT * 1_000
    options = (
        *QUICK,
        "--spend-limit.amount-msat",
        str(10 * large),
        "--streams.max-payment-msat",
        str(large),
    )
    with town.daemon(*options) as daemon:
        daemon.until_paying()
        [small] = town.open_streams(daemon, 1, AMOUNT_MSAT, INTERVAL_MS, scene.receiver)
        [huge] = town.open_streams(daemon, 1, large, 3_600_000, scene.receiver)
        until(lambda: daemon.json("stream", "show", huge)["payments_failed"] >= 1, "it fails")
        failed = daemon.json("stream", "show", huge)
        assert (
            failed["state"] == "ACTIVE"
            and "no single channel could carry it" in failed["last_failure"]
        )
        town.until_arrived(3)
        assert daemon.json("stream", "show", small)["payments_failed"] == 0
        town.try_now(daemon, [huge])
        until(
            lambda: daemon.json("stream", "show", huge)["paid_msat"] == large // 2,
            "half of it is paid",
        )
        assert daemon.stop() == 0
    scene.check()
    assert [row.state for row in rows(town.home) if row.owner == huge][:2] == ["FAILED", "SETTLED"]
