"""The graph as lnrpc messages: nodes and channels with both policies, as lnd fills them."""

from __future__ import annotations

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.simulator.encoding import features
from streamer.simulator.lnrpc.node_messages import COLOR
from streamer.simulator.network.channels import RESERVE_DIVISOR, Channel, Side
from streamer.simulator.network.lightning_node import LightningNode
from streamer.words.money import MSAT_PER_SAT, SECOND_NS


def node_message(node: LightningNode, start_ns: int) -> ln.LightningNode:
    """lnrpc.LightningNode as it announced itself."""
    return ln.LightningNode(
        last_update=start_ns // SECOND_NS,
        pub_key=node.pubkey.hex(),
        alias=node.name,
        color=COLOR,
        features=features.shown(features.ANNOUNCED, keysend=node.keysend),
    )


def node_info_message(node: LightningNode, start_ns: int, *, with_channels: bool) -> ln.NodeInfo:
    """lnrpc.NodeInfo of a node that the graph knows."""
    channels = [side.channel for side in node.sides if not side.channel.private]
    return ln.NodeInfo(
        node=node_message(node, start_ns),
        num_channels=len(channels),
        total_capacity=sum(channel.capacity_msat for channel in channels) // MSAT_PER_SAT,
        channels=map(edge_message, channels) if with_channels else (),
    )


def edge_message(channel: Channel) -> ln.ChannelEdge:
    """lnrpc.ChannelEdge: node1 is the one whose key comes first."""
    one, two = sorted(channel.sides, key=lambda side: side.node.pubkey)
    return ln.ChannelEdge(
        channel_id=channel.id,
        chan_point=channel.point,
        last_update=channel.opened_ns // SECOND_NS,
        node1_pub=one.node.pubkey.hex(),
        node2_pub=two.node.pubkey.hex(),
        capacity=channel.capacity_msat // MSAT_PER_SAT,
        node1_policy=_policy_message(one),
        node2_policy=_policy_message(two),
    )


def _policy_message(side: Side) -> ln.RoutingPolicy:
    policy, capacity = side.policy, side.channel.capacity_msat
    return ln.RoutingPolicy(
        time_lock_delta=policy.cltv_delta,
        min_htlc=policy.min_htlc_msat,
        fee_base_msat=policy.base_msat,
        fee_rate_milli_msat=policy.ppm,
        disabled=side.channel.closing or side.channel.disabled,
        max_htlc_msat=capacity - capacity // RESERVE_DIVISOR,
        last_update=side.channel.opened_ns // SECOND_NS,
    )
