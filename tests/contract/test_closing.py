"""Channels in closing, as both ends show them before the closing transaction is in a block: the
same at lnd and at the simulator.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.lnrpc.node_service import NodeService
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.network import Network as Model
from tests.lnd.binaries import build
from tests.lnd.network import CHANNEL_SAT, WHOLE_SAT, Network
from tests.lnd.process import until


@dataclass
class Street:
    """alice has two channels to bob. ask: (node, method, request) → answer; close: alice does,
    (number of the channel, forced).
    """

    ask: Callable[[str, str, Any], Any]
    close: Callable[[int, bool], None]

    def pending(self, node: str) -> list[Any]:
        return list(
            self.ask(node, "PendingChannels", ln.PendingChannelsRequest()).waiting_close_channels
        )


@contextmanager
def real(folder: Path) -> Iterator[Street]:
    with Network(build(), folder / "network") as network:
        nodes = {name: network.add(name) for name in ("alice", "bob")}
        alice, bob = nodes.values()
        network.fund(alice)
        network.start(alice, bob)
        network.wait_coins(alice)
        network.wait_synced()
        network.connect(alice, bob)
        network.open_channels(alice, bob, 2)
        points = [
            channel.channel_point
            for channel in sorted(alice.channels(), key=lambda channel: channel.chan_id)
        ]

        def close(number: int, forced: bool) -> None:
            network.close_channel(alice, points[number], forced)
            until(
                "it is closing",
                lambda: (
                    len(
                        alice.rpc(
                            "PendingChannels", ln.PendingChannelsRequest()
                        ).waiting_close_channels
                    )
                    > number
                ),
            )
            until(
                "bob knows",
                lambda: (
                    forced
                    or bob.rpc(
                        "PendingChannels", ln.PendingChannelsRequest()
                    ).waiting_close_channels
                ),
            )

        yield Street(lambda node, method, request: nodes[node].rpc(method, request), close)


def on_simulator(scene: Callable[[Street], None]) -> None:
    async def main(clock: VirtualClock) -> None:
        network = Model(1, start_ns=time.time_ns())
        alice, bob = (network.add_node(name) for name in ("alice", "bob"))
        for _ in range(2):
            network.open_channel(alice, bob, CHANNEL_SAT)
        with Simulation(network, clock) as simulation:
            services = {node.name: NodeService(simulation, node) for node in (alice, bob)}
            methods = {
                "PendingChannels": "pending_channels",
                "ListChannels": "list_channels",
                "GetInfo": "get_info",
            }
            street = Street(
                lambda node, method, request: getattr(services[node], methods[method])(request),
                lambda number, forced: simulation.faults.close_channels(
                    "alice", "bob", 1, forced=forced
                ),
            )
            scene(street)

    run_virtual(main)


@pytest.mark.parametrize("world", ["simulator", pytest.param("lnd", marks=pytest.mark.lnd)])
def test_both_ends_of_a_channel_in_closing(world: str, tmp_path: Path) -> None:
    if world == "simulator":
        on_simulator(check)
        return
    with real(tmp_path) as street:
        check(street)


def check(street: Street) -> None:
    street.close(0, False)
    (ours,), (theirs,) = street.pending("alice"), street.pending("bob")
    assert (ours.channel.chan_status_flags, theirs.channel.chan_status_flags) == (
        "ChanStatusCoopBroadcasted|ChanStatusLocalCloseInitiator",
        "ChanStatusCoopBroadcasted|ChanStatusRemoteCloseInitiator",
    )
    assert (ours.limbo_balance, theirs.limbo_balance) == (WHOLE_SAT, 0)
    assert ours.closing_txid == theirs.closing_txid
    assert (ours.commitments.local_txid, ours.commitments.remote_txid) == (
        theirs.commitments.remote_txid,
        theirs.commitments.local_txid,
    )
    assert len({ours.closing_txid, ours.commitments.local_txid, ours.commitments.remote_txid}) == 3
    assert ours.blocks_til_close_confirmed == theirs.blocks_til_close_confirmed == 3
    assert counts(street, "alice") == counts(street, "bob") == (0, 1, 0)

    street.close(1, True)
    (forced,) = [
        one
        for one in street.pending("alice")
        if one.channel.channel_point != ours.channel.channel_point
    ]
    assert (
        forced.channel.chan_status_flags
        == "ChanStatusBorked|ChanStatusCommitBroadcasted|ChanStatusLocalCloseInitiator"
    )
    assert (forced.limbo_balance, forced.closing_txid) == (WHOLE_SAT, forced.commitments.local_txid)
    assert forced.blocks_til_close_confirmed == 3
    # the other end does not know yet
    assert len(street.pending("bob")) == 1
    (still,) = street.ask("bob", "ListChannels", ln.ListChannelsRequest()).channels
    assert (still.channel_point, still.active) == (forced.channel.channel_point, True)
    assert (counts(street, "alice"), counts(street, "bob")) == ((0, 0, 0), (0, 1, 0))


def counts(street: Street, node: str) -> tuple[int, int, int]:
    info = street.ask(node, "GetInfo", ln.GetInfoRequest())
    return info.num_pending_channels, info.num_active_channels, info.num_inactive_channels
