"""A payment whose call was lost goes out again as soon as the node is open, not when it is next
asked for.
"""

from __future__ import annotations

import asyncio

from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.lightning_node import CallFate
from streamer.simulator.network.pace import Pace
from streamer.words.money import MILLISECOND_NS
from tests.simulation.world import World

LATENCY_NS = 50 * MILLISECOND_NS
MANY = 1_000


def test_what_the_node_never_got_is_sent_again_at_once_after_a_restart() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, Pace(latency_ns=(LATENCY_NS, LATENCY_NS)))
        payer = world.network.named["payer"]
        async with world.running():
            await world.open("1sat/1s")
            await asyncio.sleep(5.5)
            world.faults.lose_calls("payer", MANY, CallFate.NEVER)
            while payer.call_fault is not None and payer.call_fault.count == MANY:
                await asyncio.sleep(0.001)
        world.crash()
        payer.call_fault = None
        (lost,) = world.book.payments.values()
        assert lost.payment_hash not in payer.payments
        async with world.running():
            await asyncio.sleep(0.5)
            assert lost.payment_hash in payer.payments, "not sent again"
            assert not lost.open
        world.check()

    run_virtual(main)
