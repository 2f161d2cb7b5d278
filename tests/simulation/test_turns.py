"""Single payments wait for their turn like streams: the pace, the window and each destination's
share bind them too.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest

from streamer.service.orders import PaymentOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import FailedPrecondition, ResourceExhausted, StreamerError
from streamer.words.model import ADMIN, Facts, Payment, PaymentQuery, PaymentState, Request, Single
from streamer.words.money import SECOND_NS
from tests.simulation.served import service_of
from tests.simulation.world import World

MANY = 40


async def until_paying(world: World) -> None:
    while not world.engine.paying:
        await asyncio.sleep(0.1)


def order_of(world: World, number: int, api_key: int = 0, receiver: int = 0) -> Single:
    return Single(
        f"pay_{number:032x}",
        world.network.named[f"receiver{receiver}"].pubkey,
        1_000,
        100,
        api_key=api_key,
    )


async def pay(
    world: World, number: int, api_key: int = 0, receiver: int = 0
) -> Payment | StreamerError:
    try:
        return await world.pay(order_of(world, number, api_key, receiver))
    except StreamerError as refusal:
        return refusal


def test_the_pace_binds_them_and_who_is_too_many_is_sent_away_with_nothing_reserved() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, max_payments_per_second=2)
        async with world.running():
            await until_paying(world)
            began_ns = clock.now_ns()
            found = await asyncio.gather(*(pay(world, number) for number in range(MANY)))
            paid = [one for one in found if isinstance(one, Payment)]
            refused = [one for one in found if isinstance(one, ResourceExhausted)]
            assert len(paid) == 5 and len(paid) + len(refused) == MANY, (
                "half of what may wait at a slow pace is one key's"
            )
            assert {(one.reason, one.retry_after_seconds) for one in refused} == {("NODE_BUSY", 1)}
            assert clock.now_ns() - began_ns >= 2 * SECOND_NS
            assert (
                world.received_msat() == 5_000
                and len(await world.store.payments(PaymentQuery(limit=100))) == 5
            )
            assert world.book.budgets.spend_limit.reserved_msat == 0 and not world.book.singles

    run_virtual(main)


def test_they_do_not_fill_the_destination() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, receivers=2, per_destination=3, proven=True)
        async with world.running():
            await until_paying(world)
            world.faults.hold("receiver0")
            first = [asyncio.ensure_future(pay(world, number)) for number in range(8)]
            await asyncio.sleep(1)
            assert len(world.book.payments) == 3 and len(world.book.singles) == 5
            other = await pay(world, 100, receiver=1)
            assert isinstance(other, Payment) and other.state is PaymentState.SETTLED, (
                "another receiver's goes by"
            )
            await asyncio.sleep(5)
            assert (
                sum(one.done() and isinstance(one.result(), ResourceExhausted) for one in first)
                == 5
            )
            world.faults.release("receiver0")
            assert sum(isinstance(one, Payment) for one in await asyncio.gather(*first)) == 3
            assert world.received_msat() == 3_000

    run_virtual(main)


def test_who_orders_without_end_holds_up_neither_streams_nor_other_keys() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, receivers=2, max_payments_per_second=10)
        numbers, ended = itertools.count(), []

        async def flood() -> None:
            while True:
                ended.append(await pay(world, next(numbers), api_key=1))
                await asyncio.sleep(0.05)

        async with world.running():
            await until_paying(world)
            stream = await world.open("1sat/1s", receiver=1)
            callers = [asyncio.ensure_future(flood()) for _ in range(50)]
            await asyncio.sleep(30)
            began_ns = clock.now_ns()
            other = await pay(world, 10**6, api_key=2)
            assert isinstance(other, Payment) and clock.now_ns() - began_ns < 2 * SECOND_NS
            for caller in callers:
                caller.cancel()
            assert stream.account.settled_count >= 29 and max(world.observer.latenesses) < 1.5
            assert sum(isinstance(one, Payment) for one in ended) > 200, (
                "what the streams leave is theirs"
            )

    run_virtual(main)


def test_what_waits_when_sending_stops_is_refused_and_not_made_later() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, max_in_flight=1)
        service = service_of(world)
        async with world.running():
            await until_paying(world)
            world.faults.hold("receiver0")
            first = asyncio.ensure_future(pay(world, 0))
            await asyncio.sleep(0.5)
            order = PaymentOrder(world.network.named["receiver0"].pubkey, 1_000)
            waiting = asyncio.ensure_future(service.payments.create(ADMIN, order, "once", 10.0))
            await asyncio.sleep(0.5)
            await service.sending.stop(drain=False, patience_seconds=0)
            with pytest.raises(FailedPrecondition, match="sending is stopped"):
                await waiting
            assert await world.store.request("once") is None
            world.faults.release("receiver0")
            await first
            await service.sending.start(b"")
            report = await service.payments.create(ADMIN, order, "once", 10.0)
            assert report.payment.state is PaymentState.SETTLED and world.received_msat() == 2_000

    run_virtual(main)


def test_an_order_whose_hash_settles_late_while_it_waits_is_not_made() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, max_in_flight=1)
        async with world.running():
            await until_paying(world)
            world.faults.hold("receiver0")
            holding = asyncio.ensure_future(pay(world, 0))
            await asyncio.sleep(0.5)
            [payment] = world.book.payments.values()
            again = Single(
                "pay_" + "f" * 32,
                payment.destination,
                1_000,
                100,
                payment_hash=payment.payment_hash,
                payment_request="lnbcrt1",
            )
            waiting = asyncio.ensure_future(
                world.engine.begin(again, Facts(requests=[Request("r", again.owner, b"")]))
            )
            await asyncio.sleep(0.1)
            world.engine.defer(lambda _, __: world.book.tally.late.append(payment))
            with pytest.raises(StreamerError, match="has just settled: call again"):
                await waiting
            assert await world.store.request("r") is None
            world.faults.release("receiver0")
            await holding

    run_virtual(main)


def test_ends_that_nobody_waits_for_any_more_leave_no_order_behind() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, max_in_flight=1)
        async with world.running():
            await until_paying(world)
            world.faults.hold("receiver0")
            first = asyncio.ensure_future(pay(world, 0))
            await asyncio.sleep(0.5)
            leaving = asyncio.ensure_future(pay(world, 1))
            await asyncio.sleep(0.5)
            leaving.cancel()
            await asyncio.sleep(0.1)
            assert not world.book.singles and not world.engine._callers
            world.faults.release("receiver0")
            await first
            assert world.received_msat() == 1_000

    run_virtual(main)
