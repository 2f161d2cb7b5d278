"""An engine that broke by an exception: whoever waits for a turn of it is told, and nobody waits
for ever.
"""

from __future__ import annotations

import asyncio

import pytest

from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import StoreFailed
from streamer.words.model import Facts, Single
from tests.simulation.test_scenarios import QUICK
from tests.simulation.world import World


def breaks(_: int, __: Facts) -> None:
    raise AssertionError("books that do not balance")


async def until_paying(world: World) -> None:
    while not world.engine.paying:
        await asyncio.sleep(1)


async def all_is_refused(world: World) -> None:
    for wait in (world.engine.turn, world.engine.durable):
        with pytest.raises(StoreFailed):
            await asyncio.wait_for(wait(), 1)
    done = list[int]()
    world.engine.defer(lambda now_ns, _: done.append(now_ns))
    await asyncio.sleep(1)
    assert not world.engine._actions and not done


def test_who_waits_for_a_turn_of_it_or_comes_later_is_told() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        running = asyncio.ensure_future(world.engine.run())
        await until_paying(world)
        destination = world.network.named["receiver0"].pubkey
        first, second = (
            Single(f"pay_{number:032x}", destination, 5_000, 500) for number in range(2)
        )
        waiting: list[asyncio.Future[object]] = [
            asyncio.ensure_future(world.engine.begin(first, Facts(), 3_600))
        ]
        await asyncio.sleep(0)
        world.engine.defer(breaks)
        waiting += [
            asyncio.ensure_future(waits)
            for waits in (world.engine.turn(), world.engine.begin(second, Facts(), 3_600))
        ]
        began_ns = clock.now_ns()
        for waits in waiting:
            with pytest.raises(StoreFailed):
                await asyncio.wait_for(waits, 1)
        assert clock.now_ns() == began_ns and not world.book.singles
        with pytest.raises(ExceptionGroup):
            await running
        await all_is_refused(world)

    run_virtual(main)


def test_what_was_done_in_the_turn_that_broke_is_not_called_durable() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        running = asyncio.ensure_future(world.engine.run())
        await until_paying(world)
        done = asyncio.ensure_future(world.engine.turn())
        await asyncio.sleep(0)
        world.engine.defer(breaks)
        await done
        with pytest.raises(StoreFailed):
            await world.engine.durable()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(main)


@pytest.mark.parametrize("beside", ["archive", "recovery", "link"])
def test_what_runs_beside_the_turns_breaks_the_engine_too(
    beside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)

        async def run() -> None:
            await asyncio.sleep(5)
            raise AssertionError("broken")

        monkeypatch.setattr(getattr(world.engine, beside), "run", run)
        with pytest.raises(ExceptionGroup):
            await world.engine.run()
        await all_is_refused(world)

    run_virtual(main)
