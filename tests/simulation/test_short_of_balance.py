"""A payment that failed for want of balance ends, whatever becomes of its node before anybody could
ask whose fault it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from streamer.ports import Channels
from streamer.service.orders import PaymentOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.books import Failure
from streamer.words.errors import NodeUnavailable
from streamer.words.model import ADMIN, Answer, Kind, Payment, PaymentState, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt, Reason
from tests.simulation.served import service_of
from tests.simulation.test_scenarios import QUICK
from tests.simulation.world import World

ANOTHER = b"\x03" + bytes(32)
LONG_SECONDS = 1_200
"""Twice the time after which what is open is in doubt."""


def before_it_is_taken(world: World, happens: Callable[[], None]) -> None:
    send = world.engine.node.send

    async def failing(payment: Payment, preimage: bytes, patience_seconds: float) -> Answer:
        answer = await send(payment, preimage, patience_seconds)
        if answer.kind is Kind.FAILED:
            happens()
            await asyncio.sleep(0.1)
        return answer

    world.engine.node.send = failing  # type: ignore[method-assign]


def when_it_is_taken(world: World, happens: Callable[[], None]) -> None:
    take = world.engine.recovery.take_short

    def taking(payment: Payment, answer: Answer) -> None:
        take(payment, answer)
        happens()

    world.engine.recovery.take_short = taking  # type: ignore[method-assign]


def while_the_channels_are_asked_for(world: World, happens: Callable[[], None]) -> None:
    def asked() -> None:
        channels = world.engine.node.channels

        async def lost() -> Channels:
            world.engine.node.channels = channels  # type: ignore[method-assign]
            happens()
            await asyncio.sleep(2)
            raise NodeUnavailable("the connection was lost")

        world.engine.node.channels = lost  # type: ignore[method-assign]

    when_it_is_taken(world, asked)


MOMENTS = (before_it_is_taken, when_it_is_taken, while_the_channels_are_asked_for)


async def until_paying(world: World) -> None:
    while not world.engine.paying:
        await asyncio.sleep(0.1)


def replaced(world: World) -> Callable[[], None]:
    """Another node behind the same address, once."""
    done: list[bool] = []

    def happens() -> None:
        if not done:
            done.append(True)
            world.network.named["payer"].pubkey = ANOTHER
            world.faults.cut_connections("payer")

    return happens


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_node_that_comes_in_its_place_can_be_accepted_without_a_restart(
    moment: Callable[[World, Callable[[], None]], None],
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        service = service_of(world)
        async with world.running():
            await until_paying(world)
            world.faults.fail_randomly("payer", 1.0, Failure.INSUFFICIENT_BALANCE)
            moment(world, replaced(world))
            stream = await world.open("1sat/1s", catch_up_ns=0)
            await asyncio.sleep(LONG_SECONDS)
            assert Halt.NODE_CHANGED in world.engine.switch.halts
            assert not world.book.payments
            [ended] = world.observer.payments
            assert (ended.state, ended.reason) == (PaymentState.FAILED, Reason.NO_LIQUIDITY)
            judged = "no single channel could carry it" in ended.message
            assert judged is (moment is when_it_is_taken), (
                "the channels were seen at the last moment"
            )
            assert (stream.state, stream.account.streak, stream.reserved_msat) == (
                StreamState.ACTIVE,
                int(judged),
                0,
            ), "else nobody is blamed"
            world.check()
            world.faults.fail_randomly("payer", 0.0)
            await service.sending.start(ANOTHER)
            await until_paying(world)
            assert Halt.NODE_CHANGED not in world.engine.switch.halts

    run_virtual(main)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_caller_is_told_that_its_payment_failed_although_the_node_stays_away(
    moment: Callable[[World, Callable[[], None]], None],
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        service = service_of(world)
        async with world.running():
            await until_paying(world)
            world.faults.fail_randomly("payer", 1.0, Failure.INSUFFICIENT_BALANCE)
            moment(world, lambda: world.faults.take_down("payer"))
            order = PaymentOrder(world.network.named["receiver0"].pubkey, 5_000)
            report = await service.payments.create(ADMIN, order, "r", 30.0)
            assert (report.payment.state, report.payment.reason) == (
                PaymentState.FAILED,
                Reason.NO_LIQUIDITY,
            )
            assert (world.book.payments, world.book.budgets.spend_limit.reserved_msat) == ({}, 0)

    run_virtual(main)


def test_while_the_channels_cannot_be_seen_they_are_asked_for_each_second() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            await until_paying(world)
            world.faults.fail_randomly("payer", 1.0, Failure.INSUFFICIENT_BALANCE)
            channels, asked = world.engine.node.channels, list[int]()

            async def busy() -> Channels:
                asked.append(clock.now_ns())
                if len(asked) < 4:
                    raise NodeUnavailable("busy")
                return await channels()

            when_it_is_taken(world, lambda: setattr(world.engine.node, "channels", busy))
            await world.open("1sat/1h")
            await asyncio.sleep(10)
            [ended] = world.observer.payments
            assert (
                ended.state is PaymentState.FAILED
                and "no single channel could carry it" in ended.message
            )
            assert ended.end_ns - asked[0] < 5 * SECOND_NS

    run_virtual(main)
