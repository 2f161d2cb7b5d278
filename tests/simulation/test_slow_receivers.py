"""Receivers that take some seconds for each payment: they are paid late, and nobody else is."""

from __future__ import annotations

import asyncio

from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.pace import Pace
from streamer.words.money import SECOND_NS
from tests.simulation.test_holders import lateness_ns
from tests.simulation.world import World

SLOW = Pace(latency_ns=(35 * SECOND_NS // 10, 45 * SECOND_NS // 10))
RECEIVERS, EACH = 12, 12
ONE, OTHER = 7, 8
"""Keys."""


def test_a_dozen_slow_receivers_of_one_key_do_not_make_another_keys_stream_late() -> None:
    """They brought the window from 100 to 2; the other stream was late by up to 284 s."""

    async def main(clock: VirtualClock) -> None:
        world = World(clock, SLOW, receivers=RECEIVERS + 1, hub=True, proven=True)
        async with world.running():
            await world.open_many("1sat/1s", range(1, RECEIVERS + 1), EACH, ONE)
            [other] = await world.open_many("1sat/1s", [0], 1, OTHER)
            sizes = []
            for _ in range(900):
                await asyncio.sleep(1)
                assert lateness_ns(world, other) <= 3 * SLOW.latency_ns[1]
                sizes.append(world.engine.window.size)
            assert sum(sizes) >= 85 * len(sizes) and min(sizes) >= 45
            world.check()

    run_virtual(main)
