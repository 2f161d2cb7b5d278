"""What becomes of a payment, and of its stream with it."""

from __future__ import annotations

import pytest

from streamer.core import ends
from streamer.core.payment import Event, Money
from streamer.core.streamtime import check_conservation
from streamer.words.model import Answer, Facts, Kind, Mark, Payment, PaymentState, Rate, StreamState
from streamer.words.reasons import Reason
from tests.core.house import HOUR, MINUTE, T0, House, S, budget_of


def test_what_settled_is_posted_with_the_nodes_own_amounts() -> None:
    house = House()
    stream = house.open(budget=budget_of(10_000))
    payment = house.pay(0)
    house.settle(payment, amount_msat=900, fee_msat=30)
    own = house.book.budgets.own(stream, house.now_ns)
    assert (
        stream.account.settled_msat,
        stream.account.fee_msat,
        stream.account.owed_msat,
        stream.reserved_msat,
    ) == (900, 30, 100, 0)
    assert own is not None and own.room_msat() == 10_000 - 930
    assert house.pay(1).amount_msat == 1_100, "what is missing is owed"


def test_what_failed_is_owed_and_paid_with_the_next_seq_and_a_new_hash() -> None:
    house = House()
    stream = house.open()
    failed = house.pay(0)
    house.fail(failed, Reason.TIMEOUT)
    assert (stream.account.owed_msat, stream.reserved_msat, stream.reserved_fee_msat) == (
        1_000,
        0,
        0,
    )
    again = house.pay(5)
    assert (again.seq, again.amount_msat) == (
        2,
        6_000,
    ) and again.payment_hash != failed.payment_hash
    house.settle(again)
    assert house.pay(6).seq == 3


def test_a_late_settlement_becomes_a_credit() -> None:
    house = House()
    stream = house.open()
    first = house.pay(0)
    house.fail(first)
    house.settle(house.pay(5))
    house.settle(first, fee_msat=7)
    assert (stream.account.settled_msat, stream.account.fee_msat, stream.account.owed_msat) == (
        7_000,
        7,
        -1_000,
    )
    assert first.state is PaymentState.SETTLED and house.book.tally.late == [first]
    assert house.book.due_ns(stream) == house.now_ns + 2 * S, "a second of credit"
    house.crash()
    assert house.pay(7.5).amount_msat == 1_000


def test_knowing_it_twice_changes_nothing() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    house.settle(payment)
    before, facts = stream.account.settled_msat, Facts()
    assert (
        ends.resolve(
            house.book, payment, Event.SETTLED, Answer(Kind.SETTLED, amount_msat=1_000), 0, facts
        )
        is Money.NOTHING
    )
    assert stream.account.settled_msat == before and not facts


def test_a_lost_reply_holds_the_money_and_the_slot() -> None:
    house = House()
    stream = house.open()
    house.resolve(house.pay(0), Event.LOST, Answer(Kind.LOST, closed=False))
    assert (stream.reserved_msat, stream.open_payments) == (1_000, 1)
    house.idle(3_600)


def test_a_payment_that_was_withdrawn_blames_nobody() -> None:
    house = House()
    stream = house.open()
    house.resolve(house.pay(0), Event.WITHDRAWN, Answer(Kind.FAILED))
    assert (stream.account.streak, stream.account.owed_msat, stream.account.failing_since_ns) == (
        0,
        1_000,
        0,
    )
    assert house.pay(1).seq == 2


def test_a_failure_of_the_node_blames_no_stream() -> None:
    house = House()
    stream = house.open()
    house.resolve(
        house.pay(0), Event.FAILED, Answer(Kind.FAILED, reason=Reason.NODE_DOWN), blame=False
    )
    assert (stream.account.streak, stream.account.next_attempt_ns) == (0, 0)


# -- write-offs ---------------------------------------------------------------------------------


def test_a_write_off_counts_as_paid_and_then_failing_gives_back_to_the_budgets_only() -> None:
    house = House()
    stream = house.open(budget=budget_of(10_000, HOUR))
    payment = house.pay(0)
    house.write_off(payment)
    assert (
        stream.account.settled_msat,
        stream.account.written_off_msat,
        stream.account.owed_msat,
    ) == (1_000, 1_000, 0)
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None and own.room_msat() == 10_000 - 1_100
    house.fail(payment)
    house.fail(payment)
    assert own.room_msat() == 10_000 and stream.account.owed_msat == 0
    house.crash()
    own = house.book.budgets.own(house.again(stream), house.now_ns)
    assert own is not None and own.room_msat() == 10_000, "and that is durable"


def test_a_write_off_and_then_settled_changes_nothing() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    house.write_off(payment)
    house.settle(payment)
    assert (stream.account.settled_msat, payment.state) == (1_000, PaymentState.WRITTEN_OFF)


def test_what_a_write_off_gives_back_is_spent_before_the_budget_renews() -> None:
    house = House()
    stream = house.open(budget=budget_of(1_100, HOUR))
    payment = house.pay(0)
    house.write_off(payment)
    house.idle(1)
    assert (stream.state, stream.reason, house.book.next_ns()) == (
        StreamState.STALLED,
        Reason.BUDGET_PERIOD,
        T0 + HOUR,
    )
    house.at(60)
    house.fail(payment)
    due = house.book.next_ns()
    assert due is not None and due <= house.now_ns
    house.crash()
    assert house.plan() and house.again(stream).state is StreamState.ACTIVE


def test_a_write_off_is_no_settlement_a_failing_stream_goes_on_failing() -> None:
    house = House(stall_after=2)
    stream = house.open(max_open_payments=2)
    orphan = house.pay(0)
    house.mark(orphan, Mark.ORPHAN)
    for second in (1, 100):
        house.fail(house.pay(second))
    assert stream.state is StreamState.STALLED
    house.write_off(orphan)
    assert (stream.state, stream.account.streak) == (StreamState.STALLED, 2)
    assert stream.account.failing_since_ns == T0 + S


# -- failing in a row ---------------------------------------------------------------------------


def test_failures_back_off_stall_and_one_settled_probe_ends_it() -> None:
    house = House(stall_after=3)
    stream = house.open(max_open_payments=3)
    for expected in (StreamState.ACTIVE, StreamState.ACTIVE, StreamState.STALLED):
        house.now_ns = max(house.now_ns, house.book.due_ns(stream) or 0)
        [payment] = house.plan()
        assert house.plan() == [], "one at a time while it fails"
        house.fail(payment)
        assert stream.state is expected and (house.book.due_ns(stream) or 0) > house.now_ns
    assert stream.reason is Reason.TIMEOUT
    house.now_ns = house.book.due_ns(stream) or 0
    [probe] = house.plan()
    assert probe.probe and probe.amount_msat == 1_000
    house.settle(probe)
    assert (stream.state, stream.account.streak, stream.account.next_attempt_ns) == (
        StreamState.ACTIVE,
        0,
        0,
    )
    house.now_ns += S
    [all_of_it] = house.plan()
    assert not all_of_it.probe and all_of_it.amount_msat > 20_000


def test_no_route_halves_the_amount_and_success_doubles_it_back() -> None:
    house = House()
    stream = house.open(max_payment_msat=16_000)
    house.at(1_000)
    amounts = []
    for _ in range(4):
        house.now_ns = max(house.now_ns, house.book.due_ns(stream) or 0)
        [payment] = house.plan()
        amounts.append(payment.amount_msat)
        house.fail(payment, Reason.NO_ROUTE)
    for _ in range(5):
        house.now_ns = max(house.now_ns, house.book.due_ns(stream) or 0)
        [payment] = house.plan()
        amounts.append(payment.amount_msat)
        house.settle(payment)
    assert amounts == [16_000, 8_000, 4_000, 2_000, 1_000, 2_000, 4_000, 8_000, 16_000]


def test_other_failures_do_not_halve() -> None:
    house = House()
    stream = house.open()
    house.fail(house.pay(0), Reason.TIMEOUT)
    assert stream.account.probe_cap_msat == 0


def test_what_went_wrong_is_known_after_a_crash() -> None:
    house = House()
    stream = house.open()
    house.fail(house.pay(0))
    house.crash()
    assert (house.again(stream).last_failure, house.again(stream).account.streak) == ("no", 1)


# -- doubts and marks ---------------------------------------------------------------------------


def doubted(house: House, count: int) -> list[Payment]:
    payments = []
    for _ in range(count):
        house.now_ns += 11 * MINUTE
        [payment] = house.plan()
        house.doubt(payment)
        payments.append(payment)
    return payments


def test_three_in_doubt_stall_the_stream_and_the_money_stays_reserved() -> None:
    house = House()
    stream = house.open()
    payments = doubted(house, 2)
    assert stream.state is StreamState.ACTIVE
    payments += doubted(house, 1)
    assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.IN_DOUBT)
    assert (
        stream.reserved_msat == sum(payment.amount_msat for payment in payments)
        and stream.open_payments == 0
    )
    house.now_ns += HOUR
    assert house.plan() == []
    house.resume(stream)
    assert house.plan() == [], "resume does not help: there is nothing to try"
    house.fail(payments[0], Reason.NONE)
    assert stream.state is StreamState.ACTIVE
    assert house.plan()[0].seq == 4


def test_time_stalled_in_doubt_is_impossible_time_and_ends_with_the_doubt() -> None:
    house = House()
    stream = house.open(catch_up_ns=0)
    payments = doubted(house, 3)
    stalled_at = house.now_ns
    house.now_ns += HOUR
    house.settle(payments[0])
    assert (stream.doubt_since_ns, stream.spans) == (0, ((stalled_at, stalled_at + HOUR),))
    payment = house.plan()[0]
    assert HOUR - 2 * S <= payment.skip_ns <= HOUR


def test_pause_and_resume_do_not_get_round_the_doubts() -> None:
    house = House()
    stream = house.open()
    payments = doubted(house, 3)
    house.pause(stream)
    house.resume(stream)
    assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.IN_DOUBT)
    house.settle(payments[0])
    assert stream.state is StreamState.ACTIVE


def test_orphans_do_not_count_as_doubts_and_free_the_slot_at_once() -> None:
    house = House()
    stream = house.open()
    for number in range(5):
        house.now_ns += 2 * S
        [payment] = house.plan()
        assert house.plan() == [] and stream.open_payments == 1
        house.mark(payment, Mark.ORPHAN)
        house.doubt(payment)
        assert (stream.state, stream.open_payments, house.book.slots.doubts(stream.key)) == (
            StreamState.ACTIVE,
            0,
            0,
        ), number
    assert len(house.book.payments) == 5 and not house.book.slots.window


def test_a_held_payment_leaves_the_window_and_keeps_its_slot() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    house.mark(payment, Mark.HELD)
    assert (
        stream.open_payments == 1
        and not house.book.slots.window
        and house.book.slots.holds(payment.destination, payment.api_key)
    )
    house.mark(payment, Mark.LOST_SIGHT)
    assert stream.open_payments == 0 and not house.book.slots.holds(
        payment.destination, payment.api_key
    )
    house.mark(payment, Mark.NONE)
    assert stream.open_payments == 1 and list(house.book.slots.window) == [payment.row]
    house.settle(payment)
    assert stream.open_payments == 0 and not house.book.slots.window


@pytest.mark.parametrize("mark", list(Mark))
def test_a_replay_counts_marked_payments_as_they_were(mark: Mark) -> None:
    house = House()
    stream = house.open()
    house.mark(house.pay(0), mark)
    before = (
        stream.open_payments,
        len(house.book.slots.window),
        house.book.slots.held,
        stream.reserved_msat,
    )
    house.crash()
    again = house.again(stream)
    assert (
        again.open_payments,
        len(house.book.slots.window),
        house.book.slots.held,
        again.reserved_msat,
    ) == before


# -- the end of a stream ------------------------------------------------------------------------


def test_closing_waits_for_what_may_come_back_and_drops_what_failed_once() -> None:
    house = House()
    stream = house.open(max_open_payments=2)
    first, second = house.pay(0), house.pay(1)
    house.cancel(stream)
    assert (stream.state, stream.dropped_msat) == (StreamState.CLOSING, 0)
    assert not house.book.may_send(first, house.now_ns), "and resends nothing"
    house.fail(first)
    assert (stream.state, stream.dropped_msat) == (StreamState.CLOSING, 1_000)
    house.idle(60)
    house.settle(second)
    assert (stream.state, stream.dropped_msat) == (StreamState.CANCELLED, 1_000)
    check_conservation(stream)


def test_what_was_owed_at_the_end_is_dropped_and_a_credit_is_used_up_first() -> None:
    house = House()
    owing = house.open()
    house.fail(house.pay(0))
    house.cancel(owing)
    assert (owing.state, owing.dropped_msat) == (StreamState.CANCELLED, 1_000)
    house = House()
    stream = house.open()
    first = house.pay(0)
    house.fail(first)
    second = house.pay(5)
    house.settle(first)
    house.cancel(stream)
    house.fail(second)
    assert (second.amount_msat, stream.dropped_msat) == (6_000, 5_000), (
        "a thousand of it was paid late"
    )


@pytest.mark.parametrize("orphan_first", [True, False])
def test_a_stream_does_not_end_at_replay_while_something_may_come_back(orphan_first: bool) -> None:
    house = House()
    stream = house.open(max_open_payments=2)
    payments = [house.pay(0), house.pay(1)]
    orphan, alive = payments if orphan_first else reversed(payments)
    house.mark(orphan, Mark.ORPHAN)
    house.cancel(stream)
    house.crash()
    assert house.again(stream).state is StreamState.CLOSING
    house.settle(house.payment(alive.row))
    assert house.again(stream).state is StreamState.CANCELLED, "an orphan does not hold it"


def test_a_doubt_does_not_hold_the_end_and_what_fails_after_it_is_dropped() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    house.cancel(stream)
    house.doubt(payment)
    assert stream.state is StreamState.CANCELLED
    house.fail(payment)
    assert (stream.dropped_msat, stream.reserved_msat, stream.state) == (
        1_000,
        0,
        StreamState.CANCELLED,
    )


def test_what_went_to_somebody_else_than_its_stream_says_is_astray() -> None:
    house = House()
    house.open()
    payment = house.pay(0)
    assert not ends.astray(house.book, payment)
    payment.destination = b"\x03" * 33
    assert ends.astray(house.book, payment)
    payment.stream_key = 0
    assert not ends.astray(house.book, payment), "nothing says where it should have gone"


def test_what_fails_while_its_stream_closes_is_dropped_less_what_was_paid_late() -> None:
    house = House()
    stream = house.open(max_open_payments=3)
    payments = [house.pay(second) for second in (0, 1, 2)]
    house.cancel(stream)
    for payment in payments[:2]:
        house.fail(payment)
    assert stream.dropped_msat == 2_000
    house = House()
    stream = house.open(max_open_payments=3)
    early, *payments = [house.pay(second) for second in (0, 1, 2)]
    house.fail(early)
    house.settle(payments[0], amount_msat=5_000)
    house.cancel(stream)
    house.fail(payments[1])
    assert (stream.account.owed_msat, stream.dropped_msat) == (-2_000, 0), (
        "more was paid than was bought"
    )


def test_two_rates_that_are_paid_are_one() -> None:
    house = House()
    stream = house.open()
    house.settle(house.pay(0))
    house.change(stream, rate=Rate(2_000, S, S))
    assert len(stream.segments) == 2
    house.settle(house.pay(1))
    assert len(stream.segments) == 1
