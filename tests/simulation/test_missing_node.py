"""A node that was taken out of the configuration, or renamed there: no start without it while it
has streams or open payments.
"""

from __future__ import annotations

import asyncio

import pytest

from streamer.core import lifecycle
from streamer.run.daemon import require_known_nodes
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import ConfigError
from tests.simulation.world import World


def test_no_start_without_a_node_that_has_streams_or_open_payments() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            while not world.engine.paying:
                await asyncio.sleep(0.1)
            world.faults.hold("receiver0")
            stream = await world.open("1sat/1s")
            await asyncio.sleep(2)
            snapshot = world.store.load()
            require_known_nodes(snapshot, frozenset({"payer"}))
            says = (
                "the journal has 1 streams and 1 open payments of the node payer, which is not"
                " configured: configure it again"
            )
            with pytest.raises(ConfigError, match=says):
                require_known_nodes(snapshot, frozenset({"alice"}))
            world.engine.defer(
                lambda now_ns, facts: lifecycle.cancel(world.book, stream, now_ns, facts)
            )
            world.faults.release("receiver0")
            await asyncio.sleep(60)
            require_known_nodes(world.store.load(), frozenset({"alice"}))

    run_virtual(main)
