"""Chapter 1: what nodes say of themselves, their channels and the graph."""

from __future__ import annotations

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer._proto.routerrpc import router_pb2 as router
from streamer._proto.verrpc import verrpc_pb2 as ver
from tests.contract.script.player import Player

STRANGER = b"\x02" + b"\x11" * 32


async def nodes(player: Player) -> None:
    for name in ("alice", "bob", "carol", "dave"):
        await player.ask(name, "GetInfo", ln.GetInfoRequest())
        await player.ask(name, "ListChannels", ln.ListChannelsRequest())
        await player.ask(name, "ChannelBalance", ln.ChannelBalanceRequest())
    await player.ask("alice", "GetState", state.GetStateRequest(), macaroon="")
    await player.ask("alice", "GetVersion", ver.VersionRequest())
    await player.ask("alice", "ListPeers", ln.ListPeersRequest())
    await player.ask("bob", "ListPeers", ln.ListPeersRequest())
    await player.ask("alice", "PendingChannels", ln.PendingChannelsRequest())
    await player.ask("alice", "ClosedChannels", ln.ClosedChannelsRequest())
    await player.ask("alice", "WalletBalance", ln.WalletBalanceRequest())
    bob = player.pubkey("bob")
    for request in (
        ln.ListChannelsRequest(active_only=True),
        ln.ListChannelsRequest(inactive_only=True),
        ln.ListChannelsRequest(active_only=True, inactive_only=True),
        ln.ListChannelsRequest(public_only=True),
        ln.ListChannelsRequest(private_only=True),
        ln.ListChannelsRequest(public_only=True, private_only=True),
        ln.ListChannelsRequest(peer=player.pubkey("carol")),
        ln.ListChannelsRequest(peer=b"\x02"),
    ):
        await player.ask("bob", "ListChannels", request)
    await player.ask(
        "alice", "ListChannels", ln.ListChannelsRequest(peer=bob, peer_alias_lookup=True)
    )


async def graph(player: Player, channel: tuple[int, str]) -> None:
    for name in ("alice", "bob", "carol", "dave"):
        key = player.pubkey(name).hex()
        await player.ask(
            "alice", "GetNodeInfo", ln.NodeInfoRequest(pub_key=key, include_channels=name == "bob")
        )
    for key in (STRANGER.hex(), "02", "0z", "021"):
        await player.ask("alice", "GetNodeInfo", ln.NodeInfoRequest(pub_key=key))
    await player.ask("alice", "DescribeGraph", ln.ChannelGraphRequest())
    # not bob, nor include_unannounced: what is known of dave, who has a private channel alone, is
    # left to chance
    await player.ask("carol", "DescribeGraph", ln.ChannelGraphRequest())
    number, point = channel
    await player.ask("alice", "GetChanInfo", ln.ChanInfoRequest(chan_id=number))
    await player.ask("alice", "GetChanInfo", ln.ChanInfoRequest(chan_point=point))
    await player.ask("alice", "GetChanInfo", ln.ChanInfoRequest(chan_id=12_345))
    await player.ask("alice", "GetChanInfo", ln.ChanInfoRequest())


async def routes(player: Player) -> None:
    bob, carol, dave = (player.pubkey(name).hex() for name in ("bob", "carol", "dave"))
    for request in (
        ln.QueryRoutesRequest(pub_key=bob, amt=5),
        ln.QueryRoutesRequest(pub_key=carol, amt_msat=5_001),
        ln.QueryRoutesRequest(pub_key=carol, amt=1_000_000, final_cltv_delta=40),
        ln.QueryRoutesRequest(pub_key=carol, amt=5, fee_limit=ln.FeeLimit(fixed_msat=999)),
        ln.QueryRoutesRequest(pub_key=carol, amt=5, fee_limit=ln.FeeLimit(fixed=1)),
        ln.QueryRoutesRequest(pub_key=carol, amt=5, fee_limit=ln.FeeLimit(percent=20)),
        ln.QueryRoutesRequest(pub_key=carol, amt=5, cltv_limit=100),
        ln.QueryRoutesRequest(pub_key=carol, amt=5, cltv_limit=3_000),
        ln.QueryRoutesRequest(pub_key=dave, amt=5),
        ln.QueryRoutesRequest(pub_key=STRANGER.hex(), amt=5),
        ln.QueryRoutesRequest(pub_key=bob, amt=50_000_000),
        ln.QueryRoutesRequest(pub_key=bob, amt=5, amt_msat=5),
        ln.QueryRoutesRequest(pub_key=bob, amt=-5),
        ln.QueryRoutesRequest(pub_key="02", amt=5),
        ln.QueryRoutesRequest(amt=5),
    ):
        await player.ask("alice", "QueryRoutes", request)
    for fee in (
        router.RouteFeeRequest(dest=player.pubkey("bob"), amt_sat=5),
        router.RouteFeeRequest(dest=player.pubkey("carol"), amt_sat=5),
        router.RouteFeeRequest(dest=STRANGER, amt_sat=5),
        router.RouteFeeRequest(dest=b"\x02", amt_sat=5),
        router.RouteFeeRequest(dest=player.pubkey("carol")),
        router.RouteFeeRequest(),
    ):
        await player.ask("alice", "EstimateRouteFee", fee)
