"""The node's list is read again because the first reading, or what came after it, failed: nothing
is lost, nothing is taken in twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from streamer.ports import NodePayment
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import (
    NodeUnavailable,
    ResourceExhausted,
    StoreFailed,
    StreamerError,
    Unavailable,
)
from streamer.words.model import Payment, StreamState
from tests.simulation.world import World


async def until_paying(world: World) -> None:
    while not world.engine.paying:
        await asyncio.sleep(0.1)


async def rolled_back(clock: VirtualClock) -> World:
    """A journal that lacks the last payment of its stream, which the receiver holds."""
    world = World(clock)
    async with world.running():
        await until_paying(world)
        await world.open("1sat/1s")
        await asyncio.sleep(3)
    old = world.store.backup()
    world.crash()
    world.faults.hold("receiver0")
    async with world.running():
        await asyncio.sleep(3)
        assert len(world.book.payments) == 1
    world.store.restore(old)
    world.crash()
    return world


async def all_is_well(world: World) -> None:
    """What was taken in once is asked about until its end, and the stream goes on."""
    [payment] = world.book.payments.values()
    assert [loose.payment for loose in world.engine.recovery.cases.values()] == [payment]
    world.faults.release("receiver0")
    await asyncio.sleep(300)
    assert not payment.open and not world.failures
    [stream] = world.book.streams.values()
    assert (
        stream.state is StreamState.ACTIVE and stream.account.settled_msat == world.received_msat()
    )
    assert world.ahead_ns(stream) >= 0


def lost_at_the_second_page(world: World) -> list[int]:
    """The connection is lost while the second page of lnd's list is read; the indexes from which
    pages were asked for.
    """
    read, pages = world.engine.node.payments_after, list[int]()

    async def payments_after(index: int, limit: int) -> Sequence[NodePayment]:
        pages.append(index)
        page = await read(index, limit)
        if len(pages) == 2:
            await asyncio.sleep(0.2)
            raise NodeUnavailable("the connection was lost")
        return page

    world.engine.node.payments_after = payments_after  # type: ignore[method-assign]
    return pages


def test_what_was_taken_in_before_the_connection_was_lost_is_asked_about() -> None:
    async def main(clock: VirtualClock) -> None:
        world = await rolled_back(clock)
        pages = lost_at_the_second_page(world)

        async with world.running():
            await asyncio.sleep(5)
            assert len(pages) > 2
            await all_is_well(world)

    run_virtual(main)


def test_what_is_not_durable_when_the_list_is_read_again_is_taken_in_once() -> None:
    async def main(clock: VirtualClock) -> None:
        world = await rolled_back(clock)
        lost_at_the_second_page(world)

        async def slow() -> None:
            await asyncio.sleep(3)

        world.store.commit = slow
        async with world.running():
            await asyncio.sleep(60)
            assert not world.failures and world.engine.up
            world.store.commit = None
            await all_is_well(world)

    run_virtual(main)


@pytest.mark.parametrize(
    "error",
    [ResourceExhausted("1000 reads wait already"), Unavailable("closing"), StoreFailed("no disk")],
)
def test_a_journal_that_cannot_be_read_now_is_read_later(error: StreamerError) -> None:
    async def main(clock: VirtualClock) -> None:
        world = await rolled_back(clock)
        find = world.store.payment

        async def busy(owner: str, seq: int) -> Payment | None:
            raise error

        world.store.payment = busy  # type: ignore[method-assign]
        async with world.running():
            await asyncio.sleep(60)
            assert not world.engine.up and str(error) in world.engine.link.problem
            world.store.payment = find  # type: ignore[method-assign]
            await asyncio.sleep(10)
            await all_is_well(world)

    run_virtual(main)


def test_what_waits_for_a_turn_is_told_that_the_store_has_failed_and_nothing_piles_up() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, receivers=4)
        async with world.running():
            await until_paying(world)
            for number in range(4):
                world.faults.hold(f"receiver{number}")
                await world.open("1sat/1s", number)
            await asyncio.sleep(60)
            assert len(world.engine.recovery.cases) == 4

            async def full() -> None:
                await asyncio.sleep(1)
                raise OSError("the disk is full")

            world.store.commit = full
            # as many commits as may be under way: the turn after them has to wait
            for _ in range(2):
                world.engine.defer(
                    lambda now_ns, facts: facts.settings.append(("mark", str(now_ns)))
                )
                await asyncio.sleep(0.1)
            for _ in range(2):  # while the commits fail, and when they have
                with pytest.raises(StoreFailed, match="streamer status"):
                    await asyncio.wait_for(world.engine.turn(), 60)
            with pytest.raises(StoreFailed):
                await world.engine.durable()
            await asyncio.sleep(3600)
            assert len(world.engine._actions) <= 1

    run_virtual(main)
