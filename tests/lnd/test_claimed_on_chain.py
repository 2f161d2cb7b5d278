"""Real lnd: a channel is closed with a payment's HTLC in it. The receiver claims it while the
payer's lnd is down, or is gone itself.

lnd may call a payment FAILED when it starts and its channel is closed by then: not before the
HTLC's end on chain is known.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.words.money import MSAT_PER_SAT
from tests.e2e.house import House, until
from tests.e2e.networks import Networks
from tests.lnd.binaries import build
from tests.lnd.books import Row, rows, sent
from tests.lnd.network import WHOLE_SAT, Network
from tests.lnd.node import Lnd
from tests.lnd.test_holders import settle_by_hand
from tests.lnd.town import HUB_SAT, Town

pytestmark = pytest.mark.lnd

AMOUNT_SAT, HOUR_MS = 50_000, 3_600_000
"""So much that its HTLC has an output of its own."""
DUST_SAT = 100
QUICK = ("--node.ghost-after", "5s", "--node.hold-after", "2s")
BROADCAST_BLOCKS = 16
"""So long before its expiry lnd closes a channel to claim an HTLC whose preimage it knows
("broadcast_delta" in its log).
"""
MOST_BLOCKS, BLOCK_SECONDS = 40, 1.0

Settle = Callable[[], None]


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


def pay_invoice(town: Town, daemon: House) -> Settle:
    [holder], preimage = town.receivers, secrets.token_bytes(32)
    made = holder.cli("addholdinvoice", hashlib.sha256(preimage).hexdigest(), str(AMOUNT_SAT))[
        "payment_request"
    ]
    assert daemon.cli("invoice", "pay", made, "--wait", "1").code == 4
    return lambda: holder.cli("settleinvoice", preimage.hex())


def keysend(town: Town, daemon: House, amount_sat: int = AMOUNT_SAT) -> Settle:
    [holder] = town.receivers
    town.open_streams(daemon, 1, amount_sat * MSAT_PER_SAT, HOUR_MS)

    def settle() -> None:
        assert settle_by_hand(holder) == 1

    return settle


def held(town: Town, daemon: House, pay: Callable[[Town, House], Settle]) -> tuple[Settle, ln.HTLC]:
    """A payment that its receiver holds: how it is settled, and its HTLC."""
    daemon.until_paying()
    settle = pay(town, daemon)
    until(lambda: daemon.metric("payments_held") == 1, "it is held")
    [htlc] = [htlc for channel in town.payer.channels() for htlc in channel.pending_htlcs]
    return settle, htlc


def row_of(town: Town, htlc: ln.HTLC) -> Row:
    """The payment whose HTLC it is."""
    [row] = [row for row in rows(town.home) if row.payment_hash == htlc.hash_lock]
    return row


def mine_until(town: Town, look: Callable[[], bool], node: Lnd) -> None:
    """Blocks, with time in between for what lnd does after each."""
    for _ in range(MOST_BLOCKS):
        town.network.wait_synced(node)
        with suppress(AssertionError):
            until(look, "it is so", BLOCK_SECONDS)
            return
        town.network.btcd.mine()
    raise AssertionError(f"not within {MOST_BLOCKS} blocks: {node.cli('pendingchannels')}")


def closing_of(lnd: Lnd) -> list[dict[str, Any]]:
    """The channels whose commitment is on chain, until lnd has what it gets of them."""
    found: list[dict[str, Any]] = lnd.cli("pendingchannels")["pending_force_closing_channels"]
    return found


def is_closed(lnd: Lnd) -> bool:
    """The commitment is on chain, and every HTLC in it is claimed or given up."""
    pending = lnd.cli("pendingchannels")
    closing = pending["pending_force_closing_channels"]
    waits = [htlc for channel in closing for htlc in channel["pending_htlcs"] if htlc["stage"] == 1]
    return not (pending["waiting_close_channels"] or waits or lnd.channels())


@pytest.mark.parametrize("pay", [pay_invoice, keysend])
def test_what_is_claimed_on_chain_is_settled(
    town: Town, pay: Callable[[Town, House], Settle]
) -> None:
    payer, [holder] = town.payer, town.receivers
    with town.daemon(*QUICK, direct=True) as daemon:
        settle, htlc = held(town, daemon, pay)
        payer.stop()
        settle()
        town.network.btcd.mine(
            htlc.expiration_height - BROADCAST_BLOCKS - town.network.btcd.height()
        )
        mine_until(town, lambda: is_closed(holder), holder)
        payer.start()
        mine_until(town, lambda: daemon.metric("payments_open") == 0, payer)
        assert daemon.stop() == 0
    payment = row_of(town, htlc)
    assert (payment.state, sent(payer)[payment.payment_hash]) == ("SETTLED", ln.Payment.SUCCEEDED)
    assert payment.settled_msat == payment.amount_msat == AMOUNT_SAT * MSAT_PER_SAT


@pytest.mark.parametrize("pay", [pay_invoice, keysend])
def test_what_nobody_claims_on_chain_comes_back(
    town: Town, pay: Callable[[Town, House], Settle]
) -> None:
    """It is open until the payer has taken it back on chain, and FAILED then."""
    payer, [holder] = town.payer, town.receivers
    with town.daemon(*QUICK, direct=True) as daemon:
        _, htlc = held(town, daemon, pay)
        holder.kill()
        town.network.btcd.mine(htlc.expiration_height - 1 - town.network.btcd.height())
        town.network.wait_synced(payer)
        assert daemon.metric("payments_open") == 1
        mine_until(town, lambda: daemon.metric("payments_open") == 0, payer)
        assert is_closed(payer)
        assert daemon.stop() == 0
    payment = row_of(town, htlc)
    assert (payment.state, sent(payer)[payment.payment_hash]) == ("FAILED", ln.Payment.FAILED)


def test_what_is_too_small_for_the_chain_is_lost_by_both(town: Town) -> None:
    """Below the dust limit an HTLC has no output in the commitment: what it carries is the miners',
    and lnd says FAILED, settled or not.
    """
    payer, [holder] = town.payer, town.receivers
    with town.daemon(*QUICK, direct=True) as daemon:
        settle, htlc = held(town, daemon, partial(keysend, amount_sat=DUST_SAT))
        payer.stop()
        settle()
        [channel] = holder.channels()
        town.network.close_channel(holder, channel.channel_point, force=True)
        town.network.btcd.mine()
        payer.start()
        mine_until(town, lambda: bool(closing_of(payer)), payer)
        # lnd forgets it when its own output is swept, and that may be before we know the payment's
        # end
        [closing] = closing_of(payer)
        mine_until(town, lambda: daemon.metric("payments_open") == 0, payer)
        assert daemon.stop() == 0
    payment = row_of(town, htlc)
    assert (payment.state, sent(payer)[payment.payment_hash]) == ("FAILED", ln.Payment.FAILED)
    assert [htlc.amt_msat for htlc in holder.received_of(payment.payment_hash)] == [
        DUST_SAT * MSAT_PER_SAT
    ]
    sides = [int(closing["channel"][side]) for side in ("local_balance", "remote_balance")]
    assert sides == [WHOLE_SAT - DUST_SAT, 0]
