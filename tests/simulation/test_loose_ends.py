"""What recovery makes of an answer: ends, marks, resends."""

from __future__ import annotations

import asyncio

import pytest

from streamer.core.verdict import Verdict
from streamer.ports import Channel
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import NodeRejected
from streamer.words.model import Answer, Kind, Mark, Payment, PaymentState, StreamState
from streamer.words.reasons import Reason
from tests.simulation.desk import IN_FLIGHT, NOT_FOUND, Desk, S, channel, failed, known, settled

CLOSED = Answer(Kind.LOST, closed=True)
REFUSED = Answer(Kind.REFUSED, message="custom record not allowed here")


# -- ends ---------------------------------------------------------------------------------------


def test_what_settled_is_posted_with_the_nodes_amounts_even_under_a_ghost() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(settled(900, 7))
        await desk.run(1)
        assert (payment.state, payment.settled_msat, payment.fee_msat) == (
            PaymentState.SETTLED,
            900,
            7,
        )
        assert payment.row not in desk.recovery.cases

    run_virtual(main)


def test_failed_is_final_without_a_ghost_and_sent_again_under_one() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        final, haunted = desk.loose(failed(), CLOSED), desk.loose(failed())
        await desk.run(1)
        assert known(final) == ("FAILED", "NO_ROUTE", "no route")
        assert haunted.open and desk.resent == [haunted]

    run_virtual(main)


def test_a_payment_that_may_not_go_again_is_given_up_when_its_ghost_is_dead() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=20 * S)
        payment = desk.loose()
        desk.may = False
        await desk.run(19.9)
        assert payment.open
        await desk.run(15)
        assert not desk.resent
        assert known(payment) == (
            "FAILED",
            "TIMEOUT",
            "the node never executed it: its call was lost",
        )
        assert desk.house.book.by_key[payment.stream_key].account.streak == 1

    run_virtual(main)


def test_a_refusal_is_final_with_the_nodes_words_when_the_node_knows_nothing_of_it() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(lost=REFUSED)
        await desk.run(1)
        assert known(payment) == ("REFUSED", "NODE_REFUSED", "custom record not allowed here")

    run_virtual(main)


def test_a_refusal_that_the_node_has_as_failed_failed() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(failed(), REFUSED)
        desk.trouble["identity"] = NodeRejected("not asked for this")
        await desk.run(1)
        assert known(payment) == ("FAILED", "NO_ROUTE", "no route")

    run_virtual(main)


def test_a_refusal_decides_nothing_while_we_are_refused_altogether() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(lost=REFUSED)
        desk.trouble["identity"] = NodeRejected("the macaroon is not valid")
        await desk.run(5)
        assert (payment.state, payment.open) == (PaymentState.PLANNED, True)
        desk.trouble.clear()
        await desk.run(5)
        assert payment.state is PaymentState.REFUSED

    run_virtual(main)


def test_what_is_in_flight_is_known_as_accepted() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(IN_FLIGHT)
        await desk.run(1)
        assert (payment.state, payment.accepted, payment.mark) == (
            PaymentState.IN_FLIGHT,
            True,
            Mark.NONE,
        )

    run_virtual(main)


def test_what_ended_while_it_was_asked_for_is_left_alone() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.answer_seconds = 0.1
        payment = desk.loose(failed(), CLOSED)
        running = asyncio.ensure_future(desk.run(0.5))
        await asyncio.sleep(0.05)
        desk.house.settle(payment)
        await running
        assert payment.state is PaymentState.SETTLED

    run_virtual(main)


# -- held, orphan, lost sight -------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "mark"), [(29.9, Mark.NONE), (30, Mark.HELD)])
def test_held_is_open_for_hold_after_at_a_node_that_was_never_away(
    seconds: float, mark: Mark
) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, hold_after_ns=30 * S)
        payment = desk.payment()
        await asyncio.sleep(seconds)
        desk.answers[payment.payment_hash] = IN_FLIGHT
        desk.lose(payment)
        await desk.run(0.01)
        assert (payment.mark, payment.state) == (mark, PaymentState.IN_FLIGHT)

    run_virtual(main)


async def found_after_restart(desk: Desk, seconds: float, payment: Payment) -> Mark:
    """The mark of a payment that the node has in flight so long after it came back."""
    desk.answers[payment.payment_hash] = IN_FLIGHT
    desk.up_since_ns = desk.clock.now_ns()
    await asyncio.sleep(seconds)
    desk.lose(payment)
    await desk.run(0.01)
    return payment.mark


@pytest.mark.parametrize(
    ("seconds", "channels", "mark"),
    [
        (59.9, [channel()], Mark.NONE),
        (60, [channel()], Mark.ORPHAN),
        (60, [channel(), channel(active=False)], Mark.NONE),
        (60, [channel(pending={b"other": 1}), channel()], Mark.ORPHAN),
    ],
)
def test_an_orphan_has_no_htlc_at_a_node_that_came_back_and_has_been_steady(
    seconds: float, channels: list[Channel], mark: Mark
) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.now_open = tuple(channels)
        payment = desk.payment()
        await asyncio.sleep(1)
        assert await found_after_restart(desk, seconds, payment) is mark
        assert payment.state is PaymentState.IN_FLIGHT

    run_virtual(main)


@pytest.mark.parametrize("with_htlc", [0, 1])
def test_what_has_an_htlc_in_any_channel_is_held_and_no_orphan(with_htlc: int) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.payment()
        await asyncio.sleep(1)
        desk.now_open = tuple(
            channel(pending={payment.payment_hash: 5} if number == with_htlc else {})
            for number in range(2)
        )
        assert await found_after_restart(desk, 60, payment) is Mark.HELD

    run_virtual(main)


def test_a_payment_sent_after_the_node_came_back_is_no_orphan() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        await asyncio.sleep(1)
        payment = desk.payment()
        assert await found_after_restart(desk, 60, payment) is Mark.HELD

    run_virtual(main)


def test_a_payment_of_a_lost_connection_or_an_earlier_process_may_be_an_orphan_at_once() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        lost, replayed = desk.loose(IN_FLIGHT), desk.payment()
        desk.answers[replayed.payment_hash] = IN_FLIGHT
        desk.recovery.lost_connection()
        desk.recovery.replay(replayed)
        await asyncio.sleep(60)
        await desk.connect()
        assert (lost.mark, replayed.mark) == (Mark.ORPHAN, Mark.ORPHAN)

    run_virtual(main)


@pytest.mark.parametrize("before", [frozenset(), frozenset({"old"})])
def test_with_a_channel_that_went_into_closing_since_nothing_is_an_orphan_or_sent_again(
    before: frozenset[str],
) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.recovery.evidence.closing = before
        flying, unknown = desk.payment(), desk.payment()
        await asyncio.sleep(1)
        desk.closing = frozenset({"new"})
        desk.lose(unknown)
        assert await found_after_restart(desk, 60, flying) is Mark.NONE
        assert unknown.mark is Mark.LOST_SIGHT and not desk.resent

    run_virtual(main)


def test_channels_that_were_closing_before_change_nothing() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.closing = frozenset({"old"})
        first = desk.loose()
        await desk.run(0.5)
        desk.closing = frozenset()
        second = desk.loose()
        await desk.run(0.5)
        assert desk.resent == [first, second]

    run_virtual(main)


def test_all_that_is_held_is_marked_and_takes_its_slot_however_few_there_are() -> None:
    """What is held nobody can end: it is bounded before it is sent."""

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.now_open = (channel(active=True, max_htlcs=7),)
        payments = [desk.payment() for _ in range(8)]
        await asyncio.sleep(40)
        for payment in payments:
            desk.answers[payment.payment_hash] = IN_FLIGHT
            desk.lose(payment)
        for _ in range(3):
            await desk.run(5)
            assert desk.house.book.slots.held == len(desk.house.book.slots.stuck) == 8, (
                "and they stay so"
            )

    run_virtual(main)


def test_orphans_need_no_slot_and_are_marked_all() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.now_open = (channel(max_htlcs=2),)
        payments = [desk.payment() for _ in range(5)]
        for payment in payments:
            desk.answers[payment.payment_hash] = IN_FLIGHT
            desk.recovery.replay(payment)
        await asyncio.sleep(60)
        await desk.connect()
        assert {payment.mark for payment in payments} == {Mark.ORPHAN}

    run_virtual(main)


def test_in_doubt_after_its_time_and_written_off_after_its_own() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, in_doubt_after_ns=100 * S, orphan_write_off_after_ns=500 * S)
        held, lost = desk.loose(IN_FLIGHT), desk.loose(NOT_FOUND)
        desk.recovery.evidence.witness = None
        await desk.run(99.9)
        assert not desk.house.book.slots.doubtful and lost.mark is Mark.LOST_SIGHT
        await desk.run(2)
        assert list(desk.house.book.slots.doubtful) == [held.row]
        await desk.run(397.5)
        assert lost.open
        await desk.run(62)
        assert (lost.state, lost.settled_msat, lost.accepted) == (
            PaymentState.WRITTEN_OFF,
            lost.amount_msat,
            False,
        )
        assert held.open, "what lnd still has is never written off"

    run_virtual(main)


def test_what_is_just_as_old_as_it_may_be_is_neither_in_doubt_nor_written_off() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, in_doubt_after_ns=100 * S, orphan_write_off_after_ns=500 * S)
        loose, orphan = desk.loose(IN_FLIGHT), desk.loose(IN_FLIGHT)
        desk.house.mark(orphan, Mark.ORPHAN)
        for age_ns, doubtful in ((100 * S, []), (100 * S + 1, [loose.row])):
            desk.recovery._mark_old(desk.began_ns + age_ns)
            await asyncio.sleep(0)
            assert list(desk.house.book.slots.doubtful) == doubtful
        for age_ns, written_off in ((500 * S, False), (500 * S + 1, True)):
            assert (
                desk.recovery._is_written_off(orphan, Verdict.ORPHAN, desk.began_ns + age_ns)
                is written_off
            )
        assert not desk.recovery._is_written_off(loose, Verdict.HELD, desk.began_ns + 501 * S)

    run_virtual(main)


def test_a_closing_stream_ends_when_its_payment_turns_out_an_orphan() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.payment()
        stream = desk.house.book.by_key[payment.stream_key]
        desk.house.cancel(stream)
        await asyncio.sleep(1)
        assert await found_after_restart(desk, 60, payment) is Mark.ORPHAN
        assert (stream.state, stream.state_time_ns) == (
            StreamState.CANCELLED,
            desk.began_ns + 61 * S,
        )
        desk.house.crash()
        assert desk.house.again(stream).state is StreamState.CANCELLED

    run_virtual(main)


def test_a_stream_with_three_doubts_is_stalled_and_that_is_durable() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, in_doubt_after_ns=100 * S)
        stream = desk.open(max_open_payments=3)
        for _ in range(3):
            payment = desk.payment(stream)
            desk.answers[payment.payment_hash] = IN_FLIGHT
            desk.lose(payment)
            await asyncio.sleep(1)
        await desk.run(98.5)
        assert stream.state is StreamState.ACTIVE
        await desk.run(2)
        assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.IN_DOUBT)
        assert desk.began_ns + 102 * S <= stream.state_time_ns <= desk.began_ns + 104 * S
        desk.house.crash()
        assert desk.house.again(stream).state is StreamState.STALLED

    run_virtual(main)
