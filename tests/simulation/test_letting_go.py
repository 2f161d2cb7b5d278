"""When recovery lets go of what the node does not end: a hold without an HTLC, and what may be
written off.
"""

from __future__ import annotations

import pytest

from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import NodeRejected
from streamer.words.model import Answer, Kind, Mark, PaymentState
from streamer.words.reasons import Reason
from tests.simulation.desk import IN_FLIGHT, LOST, NOT_FOUND, Desk, S, channel, failed, settled

CUT = Answer(Kind.LOST, accepted=True, closed=True)


@pytest.mark.parametrize(("frozen_seconds", "mark"), [(0, Mark.ORPHAN), (300, Mark.HELD)])
def test_without_an_htlc_for_ten_minutes_it_is_an_orphan_unless_a_peer_was_away(
    frozen_seconds: float, mark: Mark
) -> None:
    """What a clock that was wrong when it was planned hides: the node has restarted since."""

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(IN_FLIGHT, IN_FLIGHT)
        await desk.run(300)
        assert payment.mark is Mark.HELD and desk.house.book.slots.holds(
            payment.destination, payment.api_key
        )
        desk.now_open = (channel(), channel(active=False))
        await desk.run(frozen_seconds)
        desk.now_open = (channel(),)
        await desk.run(400 - frozen_seconds)
        assert payment.mark is mark
        assert desk.house.book.slots.holds(payment.destination, payment.api_key) == (
            mark is Mark.HELD
        )

    run_virtual(main)


@pytest.mark.parametrize(
    ("lost", "later_up", "reason"),
    [
        (True, True, Reason.TIMEOUT),
        (True, False, Reason.TIMEOUT),
        (False, True, Reason.TIMEOUT),
        (False, False, Reason.NO_ROUTE),
    ],
)
def test_what_a_restarted_node_gave_up_says_nothing_about_the_route(
    lost: bool, later_up: bool, reason: Reason
) -> None:
    """Its stream tries again soon, and with as much."""
    restarted = lost or later_up

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(IN_FLIGHT, IN_FLIGHT)
        await desk.run(5)
        if lost:
            desk.recovery.lost_connection()
        if later_up:
            desk.up_since_ns = clock.now_ns()
        desk.answers[payment.payment_hash] = Answer(
            Kind.FAILED, reason=Reason.NO_ROUTE, message="NO_ROUTE"
        )
        await desk.run(100)
        [stream] = desk.house.book.streams.values()
        assert (payment.state, payment.reason) == (PaymentState.FAILED, reason)
        assert bool(stream.account.probe_cap_msat) is not restarted
        assert stream.last_failure == (
            "the node gave it up when it was restarted" if restarted else "NO_ROUTE"
        )

    run_virtual(main)


@pytest.mark.parametrize(("answer", "worried"), [(LOST, True), (IN_FLIGHT, False)])
def test_a_node_that_tells_nothing_of_a_payment_is_looked_at(answer: Answer, worried: bool) -> None:
    """A revoked macaroon shows like this, and nothing else may be asked for a minute."""

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(answer)
        await desk.run(5)
        assert payment.open and bool(desk.worries) is worried

    run_virtual(main)


def test_a_refusal_by_a_node_that_then_would_not_have_us_is_no_refusal_of_the_payment() -> None:
    """Its stream is not blamed: another macaroon, and it goes on in seconds."""

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.trouble["track"] = NodeRejected("revoked", "CREDENTIALS")
        payment = desk.loose(LOST, Answer(Kind.REFUSED, closed=True, message="cannot get macaroon"))
        await desk.run(5)
        desk.recovery.lost_connection()
        desk.trouble.clear()
        desk.answers[payment.payment_hash] = NOT_FOUND
        await desk.connect()
        assert (payment.state, payment.reason) == (PaymentState.FAILED, Reason.TIMEOUT)

    run_virtual(main)


def test_absence_is_counted_anew_after_the_connection_was_lost() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(IN_FLIGHT, IN_FLIGHT)
        await desk.run(300)
        desk.recovery.lost_connection()
        desk.recovery.cases[payment.row].down_since_send = False
        await desk.run(590)
        assert (payment.mark, payment.open) == (Mark.HELD, True)
        await desk.run(70)
        assert payment.mark is Mark.ORPHAN

    run_virtual(main)


def test_a_hold_ends_with_its_reason_though_a_closing_channel_hides_an_orphan() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.recovery.evidence.closing = frozenset()
        payment = desk.loose(IN_FLIGHT, IN_FLIGHT)
        await desk.run(60)
        assert (payment.mark, payment.open) == (Mark.HELD, True)
        desk.closing = frozenset({"new"})
        desk.up_since_ns = clock.now_ns()
        await desk.run(120)
        assert (
            payment.mark,
            desk.house.book.slots.holds(payment.destination, payment.api_key),
        ) == (Mark.NONE, False)
        desk.closing = frozenset()
        await desk.run(120)
        assert payment.mark is Mark.ORPHAN

    run_virtual(main)


@pytest.mark.parametrize(
    ("answer", "state"), [(settled(), PaymentState.SETTLED), (failed(), PaymentState.WRITTEN_OFF)]
)
def test_nothing_is_written_off_before_the_node_has_been_asked_again(
    answer: Answer, state: PaymentState
) -> None:
    """FAILED is said of a call that came after what the node has lost: of what was lost it says
    nothing.
    """

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=120 * S, orphan_write_off_after_ns=500 * S)
        lost, desk.recovery.evidence.witness = desk.loose(NOT_FOUND), None
        await desk.run(100)
        desk.up_since_ns = 0
        desk.recovery.lost_connection()
        await desk.run(1_000)
        assert lost.mark is Mark.LOST_SIGHT and lost.open and not desk.resent
        desk.answers[lost.payment_hash] = answer
        desk.up_since_ns = clock.now_ns()
        await desk.connect()
        assert lost.state is state

    run_virtual(main)


@pytest.mark.parametrize("closing", [set(), {"moved"}])
@pytest.mark.parametrize("before", [failed(), LOST, IN_FLIGHT])
def test_failed_of_what_had_a_ghost_waits_for_the_channel_that_may_know_better_whenever_it_is_heard(
    before: Answer, closing: set[str]
) -> None:
    """Within its time, when that has just passed, after a hold, and again after a question that was
    not answered.
    """

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=20 * S)
        desk.now_open, desk.recovery.evidence.closing = (
            (channel(), channel(active=False)),
            frozenset(),
        )
        payment, other = desk.loose(before), desk.loose(failed(), CUT)
        await desk.run(100)
        for answer in (failed(), LOST, failed()):
            desk.answers[payment.payment_hash] = answer
            await desk.run(70)
            assert payment.open and not desk.resent
        assert other.state is PaymentState.FAILED, "no call of it was a ghost"
        desk.now_open, desk.closing = (channel(),), frozenset(closing)
        await desk.run(70)
        if closing:
            assert payment.open and payment.mark is Mark.LOST_SIGHT
        else:
            assert payment.state is PaymentState.FAILED

    run_virtual(main)


def test_an_answer_asked_for_while_the_ghost_lived_ends_nothing_however_late_it_is_read() -> None:
    """The machine slept in between, and the ghost was executed meanwhile."""

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=120 * S)
        desk.may = False
        payment = desk.loose(NOT_FOUND)
        desk.answer_seconds = 200
        await desk.run(401)  # the witness is asked for as well
        assert payment.open and max(desk.asked[payment.payment_hash]) < 120
        desk.answers[payment.payment_hash] = settled()
        await desk.run(600)
        assert payment.state is PaymentState.SETTLED

    run_virtual(main)
