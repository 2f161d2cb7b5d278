"""The node's best block header tells whether our clock can be right."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from streamer.errors import NodeRejected
from streamer.money import SECOND_NS
from streamer.ports import Node, NodeIdentity
from streamer.reasons import Halt
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.node import SimulatedNode
from tests.simulation.world import World

HOUR_NS = 3600 * SECOND_NS


@dataclass
class Anchored:
    """The clock of a daemon that was started while the wall clock was wrong."""

    real: VirtualClock
    start_error_ns: int
    error_ns: int

    def now_ns(self) -> int:
        return self.real.now_ns() + self.start_error_ns

    def wall_ns(self) -> int:
        return self.real.now_ns() + self.error_ns


class Lagging(SimulatedNode):
    """A node on mainnet whose chain was asleep."""

    hours = 5

    async def open(self) -> NodeIdentity:
        real = await super().open()
        header_ns = real.best_header_time_ns - self.hours * HOUR_NS
        return replace(real, network="mainnet", best_header_time_ns=header_ns, synced_to_chain=not self.hours)


class Laggard(World):
    def make_node(self, name: str) -> Node:
        return Lagging(self.simulation, name)


@pytest.mark.parametrize(
    ("network", "header_hours", "stopped"),
    [
        ("mainnet", 0, False),
        ("mainnet", 4, True),
        ("mainnet", -4, True),
        ("mainnet", -2, False),
        ("regtest", 4, True),
        ("regtest", -400, False),
    ],
)
def test_a_clock_far_from_the_chain_stops_the_node(network: str, header_hours: int, stopped: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        pubkey = world.network.named["payer"].pubkey
        fine = NodeIdentity(pubkey, "payer", network, "0", clock.now_ns(), 1)
        odd = replace(fine, best_header_time_ns=clock.now_ns() + header_hours * HOUR_NS)
        if not stopped:
            world.engine.link._check(odd)
            return
        with pytest.raises(NodeRejected, match=r"3 hours .* best block header.*: put the clock right$") as refusal:
            world.engine.link._check(odd)
        assert refusal.value.reason is Halt.CLOCK

    run_virtual(main)


@pytest.mark.parametrize("start_hours", [-5, 5])
def test_a_clock_that_is_put_right_is_taken_up_by_beginning_anew(start_hours: int) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        anchored = Anchored(clock, start_hours * HOUR_NS, start_hours * HOUR_NS)
        link, asked = world.engine.link, []
        link.clock, link.begin_anew = anchored, lambda: asked.append(1)
        identity = NodeIdentity(world.network.named["payer"].pubkey, "payer", "mainnet", "0", clock.now_ns(), 1)
        for error_hours, asks in ((start_hours, 0), (-start_hours, 0), (0, 1)):
            anchored.error_ns = error_hours * HOUR_NS
            with pytest.raises(NodeRejected, match="put the clock right"):
                link._check(identity)
            assert (len(asked), link.clock_checked) == (asks, False)
        anchored.start_error_ns = 0  # the new start
        link._check(identity)
        assert (len(asked), link.clock_checked) == (1, True)

    run_virtual(main)


def test_a_wall_clock_that_goes_wrong_while_ours_is_right_changes_nothing() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        link, asked = world.engine.link, []
        link.clock, link.begin_anew = Anchored(clock, 0, 50 * HOUR_NS), lambda: asked.append(1)
        link._check(NodeIdentity(world.network.named["payer"].pubkey, "payer", "mainnet", "0", clock.now_ns(), 1))
        assert (asked, link.clock_checked) == ([], True)

    run_virtual(main)


def test_a_node_that_lags_behind_the_chain_is_told_to_sync_and_pays_by_itself_when_it_has() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Laggard(clock)
        await world.open("1000msat/1s")
        halts = world.engine.link.switch.halts
        async with world.running():
            await asyncio.sleep(600)
            assert set(halts) == {Halt.CLOCK, Halt.RECOVERING} and world.received_msat() == 0
            assert "lnd is not synced to the chain: let it sync (is its bitcoind online?), or put the clock right" in halts[Halt.CLOCK]
            node = world.engine.link.node
            assert isinstance(node, Lagging)
            node.hours = 0
            await asyncio.sleep(10)
            assert not halts and world.received_msat() > 0

    run_virtual(main)
