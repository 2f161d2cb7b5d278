"""What a refused or repeated call has changed in memory is durable all the same, before anybody is
answered.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from streamer.service.keys import KeyOrder
from streamer.service.orders import StreamOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import FailedPrecondition
from streamer.words.model import ADMIN, BudgetTerms, Facts, Single, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt, Reason
from tests.simulation.served import service_of
from tests.simulation.world import World


async def until_paying(world: World) -> None:
    while not world.engine.paying:
        await asyncio.sleep(0.1)


def test_a_spend_limit_that_a_single_payment_reached_stops_sending_over_a_restart() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, spend_limit_msat=100_000)
        async with world.running():
            await until_paying(world)
            with pytest.raises(FailedPrecondition, match="the spend limit of 100 sat is reached"):
                order = Single(
                    "pay_" + "0" * 32, world.network.named["receiver0"].pubkey, 100_000, 500
                )
                await world.engine.begin(order, Facts())
            await asyncio.sleep(1)
            world.crash()
        assert Halt.SPEND_LIMIT in world.switch.halts
        assert world.daemon_outages.cause == Halt.SPEND_LIMIT, (
            "and the time until it is lifted counts as one"
        )

    run_virtual(main)


def test_a_change_that_is_refused_does_not_undo_that_time_took_effect_before() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        streams = service_of(world).streams
        budget = BudgetTerms(10**9, None)
        stream = await world.open("1sat/1s", ttl_ns=60 * SECOND_NS, budget=budget)
        async with world.running():
            await until_paying(world)
            world.faults.hold("receiver0")
            await asyncio.sleep(10)
            assert world.book.payments
        await asyncio.sleep(100)  # nobody looks at the streams of an engine that does not run
        order = StreamOrder(
            destination=b"",
            amount_msat=0,
            interval_ns=0,
            budget=replace(budget, period_ns=3600 * SECOND_NS),
        )
        with pytest.raises(FailedPrecondition, match="while no payment of the stream is open"):
            await streams.update(ADMIN, stream.id, order, frozenset({"budget"}))
        assert (stream.state, stream.reason) == (StreamState.PAUSED, Reason.TTL_EXPIRED)
        world.crash()
        kept = world.book.streams[stream.id]
        assert (kept.state, kept.reason) == (StreamState.PAUSED, Reason.TTL_EXPIRED)

    run_virtual(main)


@pytest.mark.parametrize("what", ["pause", "cancel", "revoke"])
def test_whoever_asks_for_an_end_a_second_time_is_answered_when_it_is_durable(what: str) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        service = service_of(world)
        stream = await world.open("1sat/1s")
        key = (await service.keys.create(KeyOrder("a key", ("streams:write",))))[0].key

        async def slow() -> None:
            await asyncio.sleep(2)

        async def ask() -> None:
            if what == "revoke":
                await service.keys.revoke(key.id)
            else:
                await getattr(service.streams, what)(ADMIN, stream.id)

        world.store.commit = slow
        calls = [asyncio.ensure_future(ask()) for _ in range(2)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        world.crash()
        for call in calls:
            call.cancel()
        [kept] = world.snapshot.keys
        ended = (
            kept.revoke_time_ns > 0
            if what == "revoke"
            else world.book.streams[stream.id].state is not StreamState.ACTIVE
        )
        assert ended

    run_virtual(main)


@pytest.mark.parametrize("stops", [True, False])
def test_whoever_throws_the_switch_a_second_time_is_answered_when_it_is_durable(
    stops: bool,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        sending = service_of(world).sending
        if not stops:
            await sending.stop(False, 1.0)

        async def slow() -> None:
            await asyncio.sleep(2)

        world.store.commit = slow
        calls = [
            asyncio.ensure_future(sending.stop(False, 1.0) if stops else sending.start(b""))
            for _ in range(2)
        ]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        world.crash()
        assert (Halt.OPERATOR in world.switch.halts) is stops
        for call in calls:
            call.cancel()

    run_virtual(main)
