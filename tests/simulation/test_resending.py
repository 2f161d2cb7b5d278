"""Resends that wait for their turn when nothing may be sent any more: they are asked about, and go
by no old verdict.
"""

from __future__ import annotations

import asyncio

from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.lightning_node import CallFate
from streamer.words.model import Facts, Mark, PaymentState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt
from tests.simulation.desk import NOT_FOUND, Desk, settled
from tests.simulation.world import World

MANY = 60
"""More than the token bucket gives at once: some have to wait."""


def test_what_waits_for_the_pace_when_sending_is_stopped_is_driven_to_its_end() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, receivers=4, per_destination=100, proven=True)
        async with world.running():
            while not world.engine.paying:
                await asyncio.sleep(0.1)
            for number in range(MANY):
                await world.open(
                    "1000sat/1h", number % 4, start_time_ns=clock.now_ns() + 5 * SECOND_NS
                )
            world.faults.lose_calls("payer", MANY, CallFate.LATE, 30 * SECOND_NS)
            while len(world.engine._resends) <= 5:
                await asyncio.sleep(0.001)
            facts = Facts()
            world.switch.stop(Halt.OPERATOR, "stopped", facts)
            await world.store.append(facts)
            await asyncio.sleep(600)
            assert (
                not world.book.payments
                and not world.engine.recovery.cases
                and not world.engine._resends
            )
            assert (
                sum(payment.settled_msat for payment in world.observer.payments)
                == sum(world.received_msat(n) for n in range(4))
                > 0
            )

    run_virtual(main)


def test_what_waits_for_its_resend_is_asked_about_on_the_next_connection() -> None:
    """It was to go by what the old one said: witness and channels may be others now."""

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(NOT_FOUND)
        await desk.run(1)
        assert desk.resent == [payment]
        desk.recovery.lost_connection()
        desk.recovery.evidence.witness = b"gone" * 8
        await desk.connect()
        await desk.run(1)
        assert desk.resent == [payment] and payment.mark is Mark.LOST_SIGHT

    run_virtual(main)


def test_what_could_not_be_sent_again_after_all_is_asked_about() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(NOT_FOUND)
        await desk.run(1)
        desk.may, desk.answers[payment.payment_hash] = False, settled()
        desk.recovery.hold_back(payment)
        desk.recovery.hold_back(desk.payment())  # never loose: nothing to do
        await desk.run(5)
        assert desk.resent == [payment] and payment.state is PaymentState.SETTLED

    run_virtual(main)
