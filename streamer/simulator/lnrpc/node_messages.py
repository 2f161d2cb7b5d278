"""A node, its peers and its channels as lnrpc messages, field for field as lnd fills them."""

from __future__ import annotations

import hashlib

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.simulator.encoding import features
from streamer.simulator.network.channels import ANCHORS_SAT, Channel, Side
from streamer.simulator.network.lightning_node import LightningNode
from streamer.simulator.network.network import Network
from streamer.words.money import MSAT_PER_SAT, SECOND_NS

VERSION = "0.21.2-beta"
"""The lnd that the simulator behaves like."""

COLOR = "#3399ff"
"""lnd's default color of a node."""

CSV_DELAY = 1_201
"""Blocks that a forced close keeps our output: lnd's scale for a channel of 10,000,000 sat
(tried).
"""

DUST_LIMIT_SAT = 354
COMMIT_WEIGHT = 1_116
LONE_COMMIT_WEIGHT = 772
HTLC_WEIGHT = 172
FEE_PER_KW = 253
"""Of a commitment transaction: its weight with two outputs, with one, of each HTLC; the least fee
rate (tried).
"""


def info_message(network: Network, node: LightningNode) -> ln.GetInfoResponse:
    """lnrpc.GetInfoResponse: who the node is."""
    shown = [side for side in node.sides if not side.closing]
    active = sum(side.active for side in shown)
    return ln.GetInfoResponse(
        identity_pubkey=node.pubkey.hex(),
        alias=node.name,
        num_active_channels=active,
        num_inactive_channels=len(shown) - active,
        num_peers=sum(1 for sides in node.sides_to.values() if sides[0].peer.up),
        block_height=network.height,
        block_hash=block_hash(network),
        synced_to_chain=True,
        testnet=network.chain == "testnet",
        best_header_timestamp=network.now_ns // SECOND_NS,
        version=f"{VERSION} commit=simulated",
        chains=[ln.Chain(chain="bitcoin", network=network.chain)],
        color=COLOR,
        synced_to_graph=True,
        features=features.shown(features.OWN, keysend=node.keysend),
        commit_hash=hashlib.sha1(b"simulated", usedforsecurity=False).hexdigest(),
        wallet_synced=True,
        graph_cache_status=ln.GRAPH_CACHE_STATUS_LOADED,
    )


def block_hash(network: Network) -> str:
    """A hash for the block at this height; the same each time."""
    return hashlib.sha256(f"{network.seed}/block/{network.height}".encode()).hexdigest()


def peer_message(network: Network, node: LightningNode, peer: LightningNode) -> ln.Peer:
    """lnrpc.Peer: one that is connected."""
    first = node.sides_to[peer.pubkey][0]
    sides = node.sides_to[peer.pubkey]
    return ln.Peer(
        pub_key=peer.pubkey.hex(),
        address="127.0.0.1:9735",
        bytes_sent=10_000,
        bytes_recv=10_000,
        sat_sent=sum(side.sent_msat for side in sides) // MSAT_PER_SAT,
        sat_recv=sum(side.other.sent_msat for side in sides) // MSAT_PER_SAT,
        inbound=first.channel.sides[0] is not first,
        ping_time=500,
        sync_type=ln.Peer.ACTIVE_SYNC,
        features=features.shown(features.PEER),
        flap_count=1,
        last_flap_ns=network.start_ns,
        last_ping_payload=b"\x00" * 80,
    )


def channel_message(network: Network, side: Side, *, with_alias: bool = False) -> ln.Channel:
    """lnrpc.Channel as the side's node sees it."""
    other, channel = side.other, side.channel
    age = (network.now_ns - max(channel.opened_ns, side.node.up_since_ns)) // SECOND_NS
    fee, weight = _commitment(channel)
    message = ln.Channel(
        active=side.active,
        remote_pubkey=side.peer.pubkey.hex(),
        channel_point=channel.point,
        chan_id=channel.id,
        capacity=channel.capacity_msat // MSAT_PER_SAT,
        local_balance=side.balance_msat // MSAT_PER_SAT,
        remote_balance=other.balance_msat // MSAT_PER_SAT,
        commit_fee=fee,
        commit_weight=weight,
        fee_per_kw=FEE_PER_KW,
        total_satoshis_sent=side.sent_msat // MSAT_PER_SAT,
        total_satoshis_received=other.sent_msat // MSAT_PER_SAT,
        num_updates=channel.updates,
        csv_delay=CSV_DELAY,
        private=channel.private,
        initiator=channel.sides[0] is side,
        chan_status_flags="ChanStatusDefault",
        local_chan_reserve_sat=side.reserve_msat // MSAT_PER_SAT,
        remote_chan_reserve_sat=other.reserve_msat // MSAT_PER_SAT,
        lifetime=age,
        uptime=age,
        commitment_type=ln.ANCHORS,
        push_amount_sat=channel.push_msat // MSAT_PER_SAT,
        local_constraints=_constraints(side),
        remote_constraints=_constraints(other),
        peer_alias=side.peer.name if with_alias else "",
    )
    _add_htlcs(message, side)
    return message


def _add_htlcs(message: ln.Channel, side: Side) -> None:
    unsettled = 0
    for incoming, end in ((False, side), (True, side.other)):
        for index, htlc in end.htlcs.items():
            unsettled += htlc.amount_msat
            message.pending_htlcs.add(
                incoming=incoming,
                amount=htlc.amount_msat // MSAT_PER_SAT,
                hash_lock=htlc.payment_hash,
                expiration_height=htlc.expiry_height,
                htlc_index=index,
                locked_in=True,
            )
    message.unsettled_balance = unsettled // MSAT_PER_SAT


def _commitment(channel: Channel) -> tuple[int, int]:
    """Fee and weight of the commitment transaction: what is dust, and what is less than a sat, goes
    to the fee.
    """
    outputs = [side.balance_msat // MSAT_PER_SAT for side in channel.sides]
    held = [
        htlc.amount_msat // MSAT_PER_SAT for side in channel.sides for htlc in side.htlcs.values()
    ]
    shown = [sat for sat in (*outputs, *held) if sat >= DUST_LIMIT_SAT]
    anchors = 1 if min(outputs) < DUST_LIMIT_SAT and not held else 2
    fee = channel.capacity_msat // MSAT_PER_SAT - sum(shown) - anchors * ANCHORS_SAT // 2
    weight = COMMIT_WEIGHT if anchors == 2 else LONE_COMMIT_WEIGHT
    return fee, weight + HTLC_WEIGHT * sum(sat >= DUST_LIMIT_SAT for sat in held)


def _constraints(side: Side) -> ln.ChannelConstraints:
    return ln.ChannelConstraints(
        csv_delay=CSV_DELAY,
        chan_reserve_sat=side.reserve_msat // MSAT_PER_SAT,
        dust_limit_sat=DUST_LIMIT_SAT,
        max_pending_amt_msat=side.channel.capacity_msat - side.reserve_msat,
        min_htlc_msat=1,
        max_accepted_htlcs=side.max_htlcs,
    )


def balance_message(node: LightningNode) -> ln.ChannelBalanceResponse:
    """lnrpc.ChannelBalanceResponse: the sums over all channels that are not closing."""
    sides = [side for side in node.sides if not side.closing]
    local, remote = (
        sum(side.balance_msat for side in sides),
        sum(side.other.balance_msat for side in sides),
    )
    sent = sum(htlc.amount_msat for side in sides for htlc in side.htlcs.values())
    coming = sum(htlc.amount_msat for side in sides for htlc in side.other.htlcs.values())
    return ln.ChannelBalanceResponse(
        balance=local // MSAT_PER_SAT,
        local_balance=_amount(local),
        remote_balance=_amount(remote),
        unsettled_local_balance=_amount(sent),
        unsettled_remote_balance=_amount(coming),
        pending_open_local_balance=_amount(0),
        pending_open_remote_balance=_amount(0),
        # nothing for each open channel, and no pending one: no channel here holds assets
        custom_channel_data=bytes([len(sides)]) + bytes(len(sides) + 1),
    )


def _amount(msat: int) -> ln.Amount:
    return ln.Amount(sat=msat // MSAT_PER_SAT, msat=msat)
