"""lnrpc.Lightning: what a node says of itself, its peers, its channels and its funds."""

from __future__ import annotations

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.verrpc import verrpc_pb2 as ver
from streamer.simulator.lnrpc.closing_messages import pending_message
from streamer.simulator.lnrpc.node_messages import (
    VERSION,
    balance_message,
    channel_message,
    info_message,
    peer_message,
)
from streamer.simulator.network.books import PUBKEY_BYTES, Refused
from streamer.simulator.network.channels import Side
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.lightning_node import LightningNode

WALLET_SAT = 100_000_000
"""What a simulated wallet holds on chain: one bitcoin, which nothing here spends."""

ANCHOR_RESERVE_SAT = 10_000
MAX_ANCHOR_RESERVE_SAT = 100_000
"""What lnd keeps on chain for each channel with anchors, and at most."""


class NodeService:
    """The unary calls about one node; each raises Refused with lnd's text."""

    def __init__(self, simulation: Simulation, node: LightningNode) -> None:
        self._network = simulation.network
        self._node = node

    def get_info(self, request: ln.GetInfoRequest) -> ln.GetInfoResponse:
        """Who the node is."""
        return info_message(self._network, self._node)

    def get_version(self, request: ver.VersionRequest) -> ver.Version:
        """Which lnd it behaves like (verrpc)."""
        major, minor, patch = (int(part) for part in VERSION.removesuffix("-beta").split("."))
        tags = ["invoicesrpc", "routerrpc", "verrpc"]
        return ver.Version(
            version=VERSION,
            commit="simulated",
            app_major=major,
            app_minor=minor,
            app_patch=patch,
            app_pre_release="beta",
            build_tags=tags,
            go_version="none",
        )

    def list_peers(self, request: ln.ListPeersRequest) -> ln.ListPeersResponse:
        """The nodes that it shares a channel with and that are up."""
        peers = [sides[0].peer for sides in self._node.sides_to.values() if sides[0].peer.up]
        return ln.ListPeersResponse(
            peers=[peer_message(self._network, self._node, peer) for peer in peers]
        )

    def list_channels(self, request: ln.ListChannelsRequest) -> ln.ListChannelsResponse:
        """All channels that are not closing, by the request's filters."""
        if request.active_only and request.inactive_only:
            raise Refused(
                "UNKNOWN", "either `active_only` or `inactive_only` can be set, but not both"
            )
        if request.public_only and request.private_only:
            raise Refused(
                "UNKNOWN", "either `public_only` or `private_only` can be set, but not both"
            )
        if request.peer and len(request.peer) != PUBKEY_BYTES:
            raise Refused(
                "UNKNOWN",
                f"invalid `peer` key: invalid vertex length of {len(request.peer)}, want"
                f" {PUBKEY_BYTES}",
            )
        shown = [
            side for side in self._node.sides if not side.closing and _is_wanted(side, request)
        ]
        alias = request.peer_alias_lookup
        return ln.ListChannelsResponse(
            channels=[channel_message(self._network, side, with_alias=alias) for side in shown]
        )

    def pending_channels(self, request: ln.PendingChannelsRequest) -> ln.PendingChannelsResponse:
        """The channels in closing."""
        return pending_message(self._node.sides)

    def closed_channels(self, request: ln.ClosedChannelsRequest) -> ln.ClosedChannelsResponse:
        """None: here a channel in closing stays there."""
        return ln.ClosedChannelsResponse()

    def channel_balance(self, request: ln.ChannelBalanceRequest) -> ln.ChannelBalanceResponse:
        """The sums over all channels that are not closing."""
        return balance_message(self._node)

    def wallet_balance(self, request: ln.WalletBalanceRequest) -> ln.WalletBalanceResponse:
        """What the wallet holds on chain; lnd keeps some of it back for its anchors."""
        reserve = min(MAX_ANCHOR_RESERVE_SAT, ANCHOR_RESERVE_SAT * len(self._node.sides))
        return ln.WalletBalanceResponse(
            total_balance=WALLET_SAT,
            confirmed_balance=WALLET_SAT,
            account_balance={"default": ln.WalletAccountBalance(confirmed_balance=WALLET_SAT)},
            reserved_balance_anchor_chan=reserve,
        )


def _is_wanted(side: Side, request: ln.ListChannelsRequest) -> bool:
    channel = side.channel
    return (
        (not request.active_only or side.active)
        and (not request.inactive_only or not side.active)
        and (not request.public_only or not channel.private)
        and (not request.private_only or channel.private)
        and (not request.peer or request.peer == side.peer.pubkey)
    )
