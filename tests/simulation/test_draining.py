"""Sending is stopped, and what is pending is waited for: the moment before lnd is restarted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from streamer.service.reports import DaemonReport
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.pace import Pace
from streamer.words.money import MILLISECOND_NS, SECOND_NS
from tests.simulation.served import service_of
from tests.simulation.world import World

SLOW = Pace(latency_ns=(2_000 * MILLISECOND_NS, 2_000 * MILLISECOND_NS))
PATIENCE_SECONDS = 300.0


async def drained(
    world: World, patience_seconds: float = PATIENCE_SECONDS
) -> tuple[DaemonReport, float]:
    """What is reported, and after how many seconds."""
    began_ns = world.clock.now_ns()
    report = await service_of(world).sending.stop(drain=True, patience_seconds=patience_seconds)
    return report, (world.clock.now_ns() - began_ns) / SECOND_NS


async def ends(world: World) -> None:
    report, seconds = await drained(world)
    assert (report.payments_pending, report.payments_open) == (0, 0)
    assert 0.5 < seconds < 3
    assert world.received_msat() == 3_000


async def is_held(world: World) -> None:
    """Once the receiver is known to hold it, nothing is gained by waiting: its HTLC outlives a
    restart of lnd.
    """
    world.faults.hold("receiver0")
    report, seconds = await drained(world)
    assert (report.payments_pending, report.payments_open) == (0, 3)
    assert 25 < seconds < 60


async def takes_longer(world: World) -> None:
    """Its call is over, but lnd may be busy with it."""
    report, seconds = await drained(world, 0.5)
    assert (report.payments_pending, report.payments_open) == (3, 3)
    assert seconds == pytest.approx(0.5, abs=0.1)
    report, _ = await drained(world)
    assert report.payments_pending == 0


@pytest.mark.parametrize("then", [ends, is_held, takes_longer])
def test_what_is_pending_is_waited_for(then: Callable[[World], Awaitable[None]]) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, SLOW, proven=True)
        async with world.running():
            for _ in range(3):
                await world.open("1sat/1h")
            await asyncio.sleep(1)
            assert world.engine.in_flight == 3
            await then(world)

    run_virtual(main)


def test_what_a_silent_node_was_given_is_pending_though_no_call_is_under_way() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, SLOW)
        async with world.running():
            await world.open("1sat/1h")
            for _ in range(100):
                await asyncio.sleep(0.1)
                if world.engine.in_flight:
                    break
            world.faults.freeze("payer")
            report, seconds = await drained(world, 60.0)
            assert world.engine.in_flight == 0
            assert (report.payments_pending, report.payments_open) == (1, 1)
            assert seconds == pytest.approx(60.0, abs=0.1)

    run_virtual(main)
