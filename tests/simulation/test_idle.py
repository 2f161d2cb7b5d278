"""An engine that has nothing to do wakes about once a second, whatever it waits for."""

from __future__ import annotations

import asyncio

from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.model import StreamState
from tests.simulation.world import World

SECONDS = 600


def wakes_of(world: World) -> list[int]:
    """Counts how often recovery looks at what is loose, from now on."""
    count, look = [0], world.engine.recovery._mark_old

    def counting(now_ns: int) -> None:
        count[0] += 1
        look(now_ns)

    world.engine.recovery._mark_old = counting  # type: ignore[method-assign]
    return count


def test_recovery_sleeps_while_nothing_is_loose() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            await asyncio.sleep(5)
            count = wakes_of(world)
            await asyncio.sleep(SECONDS)
            assert count[0] <= SECONDS / 60 + 1

    run_virtual(main)


def test_recovery_looks_once_a_second_while_the_node_is_away_and_a_payment_is_loose() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            world.faults.hold("receiver0")
            stream = await world.open("1sat/1s")
            await asyncio.sleep(5)
            world.faults.take_down("payer")
            await asyncio.sleep(5)
            assert world.engine.recovery.cases
            count = wakes_of(world)
            await asyncio.sleep(SECONDS)
            assert SECONDS * 0.9 < count[0] < SECONDS * 1.1
            world.faults.bring_up("payer")
            world.faults.release("receiver0")
            await asyncio.sleep(60)
            assert not world.engine.recovery.cases and stream.state is StreamState.ACTIVE

    run_virtual(main)
