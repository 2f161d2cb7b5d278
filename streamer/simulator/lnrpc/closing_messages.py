"""Channels in closing as lnrpc messages, field for field as lnd fills them before the closing
transaction is in a block.
"""

from __future__ import annotations

import hashlib

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.simulator.network.channels import COMMIT_SAT, Channel, Side
from streamer.words.money import MSAT_PER_SAT

LEAST_CONFIRMATIONS, MOST_CONFIRMATIONS = 3, 6
MOST_CAPACITY_MSAT = 16_777_215_000
"""How many blocks lnd waits for, in proportion to the capacity (lnwallet/confscale.go)."""


def pending_message(sides: list[Side]) -> ln.PendingChannelsResponse:
    """Of these ends of channels, those whose node knows that the channel is closing."""
    closing = [_waiting(side) for side in sides if side.closing]
    return ln.PendingChannelsResponse(
        total_limbo_balance=sum(one.limbo_balance for one in closing),
        waiting_close_channels=closing,
    )


def _waiting(side: Side) -> ln.PendingChannelsResponse.WaitingCloseChannel:
    balance, channel = side.balance_msat // MSAT_PER_SAT, side.channel
    ours, theirs = (
        _txid(channel, f"commitment {channel.sides.index(end)}") for end in (side, side.other)
    )
    return ln.PendingChannelsResponse.WaitingCloseChannel(
        channel=ln.PendingChannelsResponse.PendingChannel(
            remote_node_pub=side.peer.pubkey.hex(),
            channel_point=channel.point,
            capacity=channel.capacity_msat // MSAT_PER_SAT,
            local_balance=balance,
            remote_balance=side.other.balance_msat // MSAT_PER_SAT,
            local_chan_reserve_sat=side.reserve_msat // MSAT_PER_SAT,
            remote_chan_reserve_sat=side.other.reserve_msat // MSAT_PER_SAT,
            initiator=ln.INITIATOR_LOCAL if channel.sides[0] is side else ln.INITIATOR_REMOTE,
            commitment_type=ln.ANCHORS,
            chan_status_flags=_flags(side),
            private=channel.private,
        ),
        limbo_balance=balance,
        commitments=ln.PendingChannelsResponse.Commitments(
            local_txid=ours,
            remote_txid=theirs,
            local_commit_fee_sat=COMMIT_SAT,
            remote_commit_fee_sat=COMMIT_SAT,
        ),
        closing_txid=ours if channel.forced else _txid(channel, "closing"),
        blocks_til_close_confirmed=_confirmations(channel),
    )


def _flags(side: Side) -> str:
    if side.channel.forced:
        return "ChanStatusBorked|ChanStatusCommitBroadcasted|ChanStatusLocalCloseInitiator"
    who = "Local" if side.closer else "Remote"
    return f"ChanStatusCoopBroadcasted|ChanStatus{who}CloseInitiator"


def _confirmations(channel: Channel) -> int:
    scaled = MOST_CONFIRMATIONS * channel.capacity_msat // MOST_CAPACITY_MSAT
    return max(LEAST_CONFIRMATIONS, min(MOST_CONFIRMATIONS, scaled))


def _txid(channel: Channel, which: str) -> str:
    return hashlib.sha256(f"{channel.point}/{which}".encode()).hexdigest()
