"""A key whose budget is too small for its streams, on two whole engines: they are served in turn,
at the moment of the renewal.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streamer.core import lifecycle
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.model import ApiKey, BudgetTerms, Facts, Stream, StreamState
from streamer.words.money import SECOND_NS
from tests.simulation.world import World

MINUTE_NS = 60 * SECOND_NS
BUDGET_MSAT = 60_000


@asynccontextmanager
async def all_running(world: World) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(engine.run()) for engine in world.engines.values()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def open_of_key(world: World, number: int) -> Stream:
    """A stream of 1 sat a second with the default fee limits, on the first node or the second."""
    node = world.payers[number % 2]
    terms = world.terms("1sat/1s", receiver=number, node=node)
    stream = lifecycle.new_stream(
        f"st_{number + 1:032x}", number + 1, terms, world.clock.now_ns(), 1
    )
    facts = Facts()
    lifecycle.open_stream(world.engines[node].book, stream, world.clock.now_ns(), facts)
    await world.store.append(facts)
    world.engines[node].wake()
    return stream


async def given(clock: VirtualClock, streams: int) -> tuple[World, list[Stream]]:
    world = World(clock, receivers=streams, payers=2)
    key = ApiKey(1, "key_1", "", frozenset(), budget=BudgetTerms(BUDGET_MSAT, MINUTE_NS))
    world.shared.budgets.add_key(key)
    await world.store.append(Facts(keys=[key]))
    return world, [await open_of_key(world, number) for number in range(streams)]


def test_equal_streams_of_two_nodes_get_the_same_and_are_paid_when_the_budget_renews() -> None:
    async def main(clock: VirtualClock) -> None:
        world, streams = await given(clock, 5)
        async with all_running(world):
            await asyncio.sleep(60 * 30)
        got: Counter[int] = Counter()
        for payment in world.observer.payments:
            got[payment.stream_key] += payment.settled_msat
        assert len(got) == 5 and max(got.values()) - min(got.values()) <= BUDGET_MSAT // 5, got
        spent = sum(got.values()) + sum(payment.fee_msat for payment in world.observer.payments)
        assert spent >= 28 * (BUDGET_MSAT - 6_000), "and the budget is used"
        assert len(world.observer.payments) <= 29 * 5 * 2 + 60
        assert all(stream.skipped_ns > 0 for stream in streams), "time without money was impossible"

    run_virtual(main)


def test_a_renewal_wakes_both_engines_at_its_moment() -> None:
    async def main(clock: VirtualClock) -> None:
        world, streams = await given(clock, 4)
        async with all_running(world):
            await asyncio.sleep(120 - clock.now_ns() % MINUTE_NS / SECOND_NS - 0.5)
            assert {stream.state for stream in streams} == {StreamState.STALLED}
            before = {stream.key: stream.account.seq for stream in streams}
            await asyncio.sleep(0.52)
            assert all(stream.account.seq == before[stream.key] + 1 for stream in streams), (
                "within 20 ms of the renewal"
            )

    run_virtual(main)


def test_a_key_whose_one_node_is_down_pays_on_the_other() -> None:
    async def main(clock: VirtualClock) -> None:
        world, streams = await given(clock, 4)
        async with all_running(world):
            await asyncio.sleep(90)
            world.faults.take_down("payer2")
            await asyncio.sleep(60)
            before = [stream.account.settled_msat for stream in streams]
            await asyncio.sleep(600)
            gained = [
                stream.account.settled_msat - was
                for stream, was in zip(streams, before, strict=True)
            ]
            assert gained[1] == gained[3] == 0
            assert min(gained[0], gained[2]) >= 10 * (BUDGET_MSAT - 6_000) // 2 * 8 // 10, (
                "the budget is theirs"
            )
            world.faults.bring_up("payer2")
            await asyncio.sleep(180)
            assert all(
                stream.account.settled_msat > was + gain
                for stream, was, gain in zip(streams, before, gained, strict=True)
            )

    run_virtual(main)
