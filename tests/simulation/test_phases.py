"""How a case goes from one phase to the next: who is asked for, who may go again, and who is judged
once.
"""

from __future__ import annotations

import asyncio

import pytest

from streamer.doubt.case import Case, Phase
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import NodeUnavailable
from streamer.words.model import Answer, Kind, Payment, PaymentState
from streamer.words.reasons import Reason
from tests.simulation.desk import IN_FLIGHT, NOT_FOUND, Desk, S, channel, failed
from tests.simulation.test_givenup import slow_disk

CLOSED = Answer(Kind.LOST, closed=True)
SHORT = failed(Reason.NO_LIQUIDITY, "insufficient balance")


def case_of(desk: Desk, payment: Payment) -> Case:
    return desk.recovery.cases[payment.row]


def test_what_failed_for_want_of_balance_is_asked_for_by_its_channels_alone() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.trouble["channels"] = NodeUnavailable("away")
        payment = desk.payment()
        desk.recovery.take_short(payment, SHORT)
        await desk.run(10)
        assert case_of(desk, payment).phase is Phase.SHORT and not desk.asked[payment.payment_hash]
        desk.trouble.clear()
        await desk.run(1)
        assert (
            payment.state is PaymentState.FAILED
            and not desk.recovery.cases
            and not desk.asked[payment.payment_hash]
        )

    run_virtual(main)


def test_a_call_that_ends_without_an_end_takes_back_that_it_was_short() -> None:
    """It may be alive: what was said before is not the end."""

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.payment()
        desk.recovery.take_short(payment, SHORT)
        desk.lose(payment)
        desk.may = False
        await desk.run(5)
        assert (
            payment.open
            and case_of(desk, payment).phase is Phase.ASKING
            and desk.asked[payment.payment_hash]
        )

    run_virtual(main)


def test_what_is_short_is_judged_once_however_long_its_end_waits_for_the_disk() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.now_open = (channel(999),)
        payment = desk.payment()
        _, waiting = slow_disk(desk)
        desk.recovery.take_short(payment, SHORT)
        await desk.run(1.5)
        assert payment.open and len(waiting) == len(desk.blocked) == 1

    run_virtual(main)


def test_only_what_was_judged_so_on_this_connection_may_go_again() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        unknown, flying = desk.loose(NOT_FOUND), desk.loose(IN_FLIGHT)
        assert not desk.recovery.may_go(unknown), "nobody has asked"
        await desk.run(1)
        assert [desk.recovery.may_go(payment) for payment in (unknown, flying, desk.payment())] == [
            True,
            False,
            True,
        ]
        desk.recovery.lost_connection()
        assert not desk.recovery.may_go(unknown)

    run_virtual(main)


@pytest.mark.parametrize(
    ("lost", "short", "unclear"),
    [(None, True, False), (CLOSED, False, True), (CLOSED, True, False), (NOT_FOUND, True, False)],
)
def test_of_what_is_short_the_node_has_told_the_end(
    lost: Answer | None, short: bool, unclear: bool
) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.payment()
        if lost is not None:
            desk.lose(payment, lost)
        if short:
            desk.recovery.take_short(payment, SHORT)
        recovery = desk.recovery
        assert (recovery.unclear, recovery.unsure, recovery.waiting) == (unclear, unclear, unclear)

    run_virtual(main)


def test_what_has_ended_is_no_case_any_more_though_the_disk_does_not_know_it_yet() -> None:
    """Asked for again and again it would be all that an ill disk leaves lnd time for, and a closed
    channel would count as open until the next look.
    """

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(IN_FLIGHT)
        assert desk.recovery.unsure and desk.recovery.waiting
        payment.state = PaymentState.FAILED
        assert not (desk.recovery.unsure or desk.recovery.waiting)
        await desk.run(5)
        assert not desk.asked[payment.payment_hash]

    run_virtual(main)


def test_a_connection_that_is_lost_while_the_node_confirms_a_refusal_ends_nothing() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)

        asked = 0

        async def lost() -> None:
            nonlocal asked
            asked += 1
            desk.recovery.lost_connection()

        desk.identity = lost  # type: ignore[method-assign]
        payment = desk.loose(NOT_FOUND, Answer(Kind.REFUSED, message="no"))
        task = asyncio.ensure_future(desk.recovery.run())
        await asyncio.sleep(0.5)
        assert asked == 1 and payment.open and not task.done()
        task.cancel()

    run_virtual(main)


def test_it_is_unclear_with_a_ghost_though_it_is_short() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose()
        desk.recovery.take_short(payment, SHORT)
        assert desk.recovery.unclear
        desk.recovery.cases.clear()
        assert not desk.recovery.unclear

    run_virtual(main)


def test_what_ended_unpaid_under_a_ghost_is_a_case_for_an_hour_more() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=20 * S)
        desk.may = False
        payment = desk.loose(NOT_FOUND)
        await desk.run(60)
        assert payment.state is PaymentState.FAILED and not desk.recovery.cases
        [case] = desk.recovery._given_up._watched.values()
        assert case.phase is Phase.GIVEN_UP and case.payment is payment
        until_ns = case.until_ns
        desk.recovery.move_time(S)
        assert case.until_ns == until_ns + S

    run_virtual(main)
