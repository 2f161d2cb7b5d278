"""A node that was taken out of the configuration, or renamed there: what the journal has of it is not passed over in silence."""

from __future__ import annotations

import asyncio

import pytest

from streamer.daemon import warn_of_missing_nodes
from streamer.simulator.clock import VirtualClock, run_virtual
from tests.simulation.world import World


def test_what_a_node_left_that_is_not_configured_any_more_is_said_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            while not world.engine.paying:
                await asyncio.sleep(0.1)
            world.faults.hold("receiver0")
            await world.open("1sat/1s")
            await asyncio.sleep(2)
        caplog.clear()
        warn_of_missing_nodes(world.store.load(), frozenset({"payer"}))
        assert not caplog.records
        warn_of_missing_nodes(world.store.load(), frozenset({"alice"}))
        assert "has 1 open payments and 1 streams of the node payer, which is not configured" in caplog.text

    run_virtual(main)
