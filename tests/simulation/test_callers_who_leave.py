"""Callers that leave while the disk is slow, and ask again: what they asked for is done once, and
nothing of them stays behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from streamer.service import Service
from streamer.service.orders import InvoiceOrder, PaymentOrder, StreamOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.invoices import Wanted, add_invoice
from streamer.words.model import ADMIN, PaymentState
from streamer.words.money import SECOND_NS
from tests.simulation.served import service_of
from tests.simulation.world import World

FSYNC_SECONDS = 1.5
DEADLINE_SECONDS = 0.6
PATIENCE_SECONDS = 10.0

Call = Callable[[World, Service], Coroutine[None, None, str]]


async def keysend(
    world: World, service: Service, patience_seconds: float = PATIENCE_SECONDS
) -> str:
    order = PaymentOrder(world.network.named["receiver0"].pubkey, 5_000)
    return (await service.payments.create(ADMIN, order, "once", patience_seconds)).payment.id


async def stream(world: World, service: Service) -> str:
    order = StreamOrder(
        destination=world.network.named["receiver0"].pubkey,
        amount_msat=5_000,
        interval_ns=3_600 * SECOND_NS,
    )
    return (await service.streams.create(ADMIN, order, "once", validate_only=False)).stream.id


def slow_disk(world: World) -> None:
    async def commit() -> None:
        await asyncio.sleep(FSYNC_SECONDS)

    world.store.commit = commit


async def until_paying(world: World) -> None:
    while not world.engine.paying:
        await asyncio.sleep(0.1)


def asked_again_and_again(call: Call) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        service = service_of(world)
        async with world.running():
            await until_paying(world)
            slow_disk(world)
            for _ in range(3):
                caller = asyncio.ensure_future(call(world, service))
                await asyncio.sleep(DEADLINE_SECONDS)
                caller.cancel()
            made = await call(world, service)
            await asyncio.sleep(10)
            assert world.received_msat() == 5_000
            assert made == await call(world, service), "and is told of what the first one made"

    run_virtual(main)


def test_a_keysend_whose_intent_goes_to_the_disk_is_not_made_again_by_its_request_id() -> None:
    asked_again_and_again(keysend)


def test_a_stream_that_is_on_its_way_to_the_disk_is_not_opened_again_by_its_request_id() -> None:
    asked_again_and_again(stream)


def test_an_invoice_whose_intent_is_on_its_way_to_the_disk_is_not_attempted_again() -> None:
    for request_id in ("", "once"):
        made: list[str] = []

        async def pay(
            world: World, service: Service, request_id: str = request_id, made: list[str] = made
        ) -> str:
            if not made:
                wanted = Wanted(5_000, expiry_seconds=3_600)
                made.append(
                    add_invoice(
                        world.network, world.network.named["receiver0"], wanted
                    ).payment_request
                )
            return (
                await service.paying.create(
                    ADMIN, InvoiceOrder(made[0]), request_id, PATIENCE_SECONDS
                )
            ).payment.id

        asked_again_and_again(pay)


def test_a_payment_is_not_told_as_settled_before_that_is_durable() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        service = service_of(world)
        async with world.running():
            await until_paying(world)
            world.faults.hold("receiver0")
            await keysend(world, service, 1.0)
            [payment] = world.book.payments.values()
            slow_disk(world)
            asked = asyncio.ensure_future(keysend(world, service, 2.0))
            await asyncio.sleep(1.5)
            world.faults.release("receiver0")
            await asked
            known = await world.store.payment(payment.owner, 0)
            assert known is not None and known.state is payment.state is PaymentState.SETTLED

    run_virtual(main)


def test_who_asks_again_and_again_for_what_stays_open_leaves_nothing_behind() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        service = service_of(world)
        async with world.running():
            await until_paying(world)
            world.faults.hold("receiver0")
            await keysend(world, service, 1.0)
            tasks = len(asyncio.all_tasks())
            for _ in range(20):
                await keysend(world, service, 0.0)
            leaving = [asyncio.ensure_future(keysend(world, service)) for _ in range(20)]
            await asyncio.sleep(1)
            for caller in leaving:
                caller.cancel()
            await asyncio.sleep(1)
            assert len(asyncio.all_tasks()) == tasks
            assert not world.engine._waiters and not service.payments._request_ids._locks

    run_virtual(main)
