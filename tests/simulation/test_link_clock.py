"""The node's best block header tells whether our clock can be right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamer.errors import NodeRejected
from streamer.money import SECOND_NS
from streamer.ports import NodeIdentity
from streamer.reasons import Halt
from streamer.simulator.clock import VirtualClock, run_virtual
from tests.simulation.world import World

HOUR_NS = 3600 * SECOND_NS


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
        with pytest.raises(NodeRejected, match=r"3 hours .* best block header: put the clock right") as refusal:
            world.engine.link._check(odd)
        assert refusal.value.reason is Halt.CLOCK

    run_virtual(main)
