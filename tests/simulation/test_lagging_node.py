"""Two nodes, of which one lags behind its chain: it stops itself, and not the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from streamer.books.timekeeping import ClockState
from streamer.core import lifecycle
from streamer.pay.engine import Engine
from streamer.ports import Node, NodeIdentity
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.node import SimulatedNode
from streamer.words.model import Facts
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt
from tests.simulation.beating import Steps, beating
from tests.simulation.test_followed_clock import FOLLOWED_BY
from tests.simulation.world import World

LAG_NS = 5 * 3600 * SECOND_NS


class Lagging(SimulatedNode):
    """Its best block is hours old, and it says that it is not synced."""

    lags = False

    async def identity(self) -> NodeIdentity:
        real = await super().identity()
        behind_ns = LAG_NS if self.lags else 0
        return replace(
            real,
            network="mainnet",
            best_header_time_ns=real.best_header_time_ns - behind_ns,
            synced_to_chain=not self.lags,
        )


class Pair(World):
    """Both nodes may come to lag."""

    def make_node(self, name: str) -> Node:
        return Lagging(self.simulation, name)


@asynccontextmanager
async def paying_beside(world: Pair, lagging: str) -> AsyncIterator[Engine]:
    """The engine of the node that does not lag, with a stream of 1 sat a second."""
    [paying] = {"payer", "payer2"} - {lagging}
    async with beating(world):
        running = [asyncio.ensure_future(engine.run()) for engine in world.engines.values()]
        await asyncio.sleep(30)
        engine, key, facts = world.engines[paying], next(world._keys), Facts()
        now_ns = world.clock.now_ns()
        terms = world.terms("1sat/1s", 0, node=paying)
        stream = lifecycle.new_stream(f"st_{key:032x}", key, terms, now_ns)
        lifecycle.open_stream(engine.book, stream, now_ns, facts)
        await world.store.append(facts)
        engine.wake()
        behind = world.engines[lagging]
        assert isinstance(behind.node, Lagging)
        behind.node.lags = True
        world.faults.take_down(lagging)
        await asyncio.sleep(20)
        world.faults.bring_up(lagging)
        await asyncio.sleep(120)
        assert Halt.CLOCK in behind.switch.halts and world.timekeeping.known
        yield engine
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def pair_of(clock: VirtualClock) -> tuple[Pair, Steps]:
    steps, world = Steps(clock, 0), Pair(clock, payers=2)
    world.clock = steps  # type: ignore[assignment]
    world._build()
    return world, steps


@pytest.mark.parametrize("step_seconds", [12, -12])
@pytest.mark.parametrize("lagging", ["payer", "payer2"])
def test_after_a_step_the_node_that_agrees_pays_on_whichever_of_them_answers_first(
    lagging: str, step_seconds: int
) -> None:
    """With the lagging one first the clock was called wrong, and the other paid nothing for
    ever.
    """

    async def main(clock: VirtualClock) -> None:
        world, steps = pair_of(clock)
        async with paying_beside(world, lagging):
            steps.step_ns = step_seconds * SECOND_NS
            await asyncio.sleep(FOLLOWED_BY + 30)
            assert world.timekeeping.state is ClockState.RIGHT
            before_msat = world.received_msat()
            await asyncio.sleep(600)
            assert world.received_msat() - before_msat >= 599_000
            assert Halt.CLOCK in world.engines[lagging].switch.halts

    run_virtual(main)


def test_a_clock_behind_the_header_of_one_node_is_wrong_though_one_that_lags_agrees() -> None:
    """Our time went back by hours, and the healthy node stopped."""

    async def main(clock: VirtualClock) -> None:
        world, steps = pair_of(clock)
        async with paying_beside(world, "payer2"):
            steps.step_ns = -16_200 * SECOND_NS
            await asyncio.sleep(FOLLOWED_BY + 30)
            assert (world.timekeeping.state, world.timekeeping.moved_ns) == (ClockState.WRONG, 0)
            steps.step_ns = 0
            await asyncio.sleep(FOLLOWED_BY + 30)
            assert world.timekeeping.state is ClockState.RIGHT
            before_msat = world.received_msat()
            await asyncio.sleep(60)
            assert world.received_msat() - before_msat >= 59_000

    run_virtual(main)
