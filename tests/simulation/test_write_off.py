"""What a person writes off is what is open now, and not what the journal, a commit behind, still
calls open.
"""

from __future__ import annotations

import asyncio

import pytest

from streamer.core import ends
from streamer.core.streamtime import check_conservation
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import FailedPrecondition
from streamer.words.model import ADMIN, Mark, PaymentState
from tests.simulation.served import service_of
from tests.simulation.world import World

FSYNC_SECONDS = 2.0


def test_a_held_payment_that_settles_is_not_written_off_while_that_goes_to_the_disk() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        payments = service_of(world).payments
        async with world.running():
            world.faults.hold("receiver0")
            stream = await world.open("5sat/1h")
            while not world.book.payments:
                await asyncio.sleep(0.1)
            [payment] = world.book.payments.values()
            world.engine.defer(
                lambda now_ns, facts: ends.mark(world.book, payment, Mark.HELD, now_ns, facts)
            )
            await asyncio.sleep(1)

            async def commit() -> None:
                await asyncio.sleep(FSYNC_SECONDS)

            world.store.commit = commit
            world.faults.release("receiver0")
            while payment.open:
                await asyncio.sleep(0.01)
            known = await world.store.payment(stream.id, 1)
            assert known is not None and (known.open, known.mark) == (True, Mark.HELD)
            with pytest.raises(
                FailedPrecondition, match=r"has ended \(SETTLED\): there is nothing to write off"
            ):
                await payments.write_off(ADMIN, payment.id)
            assert (
                stream.account.settled_msat,
                stream.account.written_off_msat,
                world.book.budgets.spend_limit.spent_msat,
            ) == (
                5_000,
                0,
                5_000,
            )
            world.crash()
            [kept] = world.book.streams.values()
            check_conservation(kept)
            assert payment.state is PaymentState.SETTLED

    run_virtual(main)
