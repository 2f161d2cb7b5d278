from __future__ import annotations

import asyncio

from streamer.simulator.clock import VirtualClock, run_virtual
from tests.simulation.world import World


def test_a_stream_is_paid_on_its_grid() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(60.5)
            world.check()
            assert stream.account.settled_msat == 61_000
            assert world.received_msat() == 61_000
            assert world.ahead_ns(stream) > 0

    run_virtual(main)
