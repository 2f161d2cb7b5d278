"""A key that has ended pays nothing more: what was durable, but never reached the node, is not sent
again for it.
"""

from __future__ import annotations

import asyncio

import pytest

from streamer.service import Service
from streamer.service.keys import KeyOrder
from streamer.service.orders import InvoiceOrder, PaymentOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.invoices import Wanted, add_invoice
from streamer.simulator.network.lightning_node import CallFate
from streamer.words.errors import PermissionDenied
from streamer.words.model import Payment, PaymentState
from streamer.words.money import SECOND_NS
from tests.simulation.served import service_of
from tests.simulation.world import World

MANY = 1_000
AMOUNT_MSAT = 5_000


async def lost_payment(
    world: World, service: Service, kind: str, expire_time_ns: int | None = None
) -> tuple[str, Payment]:
    """The id of a new key, and an open payment of it of which no call has reached the node."""
    while not world.engine.paying:
        await asyncio.sleep(0.1)
    report, _ = await service.keys.create(
        KeyOrder("a key", ("payments:write",), expire_time_ns=expire_time_ns)
    )
    world.faults.lose_calls("payer", MANY, CallFate.NEVER)
    receiver = world.network.named["receiver0"]
    if kind == "keysend":
        made = await service.payments.create(
            report.key, PaymentOrder(receiver.pubkey, AMOUNT_MSAT), "once", 3.0
        )
    else:
        invoice = add_invoice(
            world.network, receiver, Wanted(AMOUNT_MSAT, expiry_seconds=3_600)
        ).payment_request
        made = await service.paying.create(report.key, InvoiceOrder(invoice), "", 3.0)
    assert made.payment.open and world.received_msat() == 0
    return report.key.id, made.payment


async def is_given_up(world: World, owner: str) -> None:
    world.faults.lose_calls("payer", 0, CallFate.NEVER)
    await asyncio.sleep(400)
    known = await world.store.payment(owner, 0)
    assert known is not None and known.state is PaymentState.FAILED
    assert (
        world.received_msat() == 0
        and not world.book.payments
        and world.book.budgets.spend_limit.reserved_msat == 0
    )


@pytest.mark.parametrize("kind", ["keysend", "invoice"])
def test_a_payment_of_a_revoked_key_is_not_sent_again(kind: str) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        service = service_of(world)
        async with world.running():
            key_id, payment = await lost_payment(world, service, kind)
            await service.keys.revoke(key_id)
            await is_given_up(world, payment.owner)

    run_virtual(main)


def test_nor_after_a_restart() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        service = service_of(world)
        async with world.running():
            key_id, payment = await lost_payment(world, service, "keysend")
            await service.keys.revoke(key_id)
        world.crash()
        async with world.running():
            await is_given_up(world, payment.owner)

    run_virtual(main)


def test_nor_one_of_a_key_that_has_expired() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        service = service_of(world)
        async with world.running():
            _, payment = await lost_payment(
                world, service, "keysend", clock.now_ns() + 20 * SECOND_NS
            )
            await asyncio.sleep(20)
            await is_given_up(world, payment.owner)

    run_virtual(main)


def test_what_a_good_key_ordered_is_sent_again() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        service = service_of(world)
        async with world.running():
            key_id, payment = await lost_payment(world, service, "keysend")
            world.faults.lose_calls("payer", 0, CallFate.NEVER)
            await asyncio.sleep(400)
            assert payment.state is PaymentState.SETTLED and world.received_msat() == AMOUNT_MSAT
            key = service.keys.page()[0].key
            await service.keys.revoke(key_id)
            with pytest.raises(PermissionDenied, match="was revoked"):
                await service.payments.create(
                    key, PaymentOrder(payment.destination, AMOUNT_MSAT), "another", 1.0
                )

    run_virtual(main)
