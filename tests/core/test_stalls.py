"""What stalls a stream: doubt before an empty budget before a row of failures; and none of their
time is paid for.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamer.words.model import Mark, Payment, Rate, Stream, StreamState
from streamer.words.reasons import Reason
from tests.core.house import HOUR, T0, House, S, budget_of

DAY = 24 * HOUR


def doubted(house: House, count: int = 3, **terms: Any) -> tuple[Stream, list[Payment]]:
    """A stream with four open payments, so many of which are in doubt from 600 s on."""
    stream = house.open(max_open_payments=4, **terms)
    payments = [house.pay(second) for second in range(4)]
    house.at(600)
    house.doubt(*payments[:count])
    return stream, payments


def is_stalled(stream: Stream, reason: Reason) -> bool:
    return (stream.state, stream.reason) == (StreamState.STALLED, reason)


@pytest.mark.parametrize("settles", [False, True])
def test_a_stall_for_doubt_that_goes_on_is_impossible_time_whatever_else_settles(
    settles: bool,
) -> None:
    house = House()
    stream, payments = doubted(house, catch_up_ns=0)
    if settles:
        house.at(601)
        house.settle(payments[3])
        assert is_stalled(stream, Reason.IN_DOUBT)
    house.now_ns = T0 + DAY
    house.settle(payments[0])
    if not settles:
        house.settle(payments[3])
    [payment] = house.plan()
    assert (payment.skip_ns, payment.amount_msat) == (DAY - 600 * S, 597_000), (
        "what was unpaid before the doubt, and a second ahead"
    )


def test_a_doubtful_payment_that_fails_renames_no_stall_and_one_that_settles_lifts_none() -> None:
    house = House()
    stream, payments = doubted(house, 4)
    fifth_doubt_of = stream.state_time_ns
    house.fail(payments[0])
    assert is_stalled(stream, Reason.IN_DOUBT) and stream.account.streak == 1, "three are left"
    assert stream.state_time_ns == fifth_doubt_of and house.book.due_ns(stream) is None
    house.settle(payments[1])
    assert (stream.state, stream.reason, stream.account.streak) == (
        StreamState.ACTIVE,
        Reason.NONE,
        0,
    ), "two are left"


def test_doubt_goes_before_a_row_of_failures_and_leaves_it_as_it_was() -> None:
    house = House(stall_after=1)
    stream = house.open(max_open_payments=4)
    payments = [house.pay(second) for second in range(4)]
    house.fail(payments[3])
    assert is_stalled(stream, Reason.TIMEOUT)
    house.doubt(*payments[:3])
    assert is_stalled(stream, Reason.IN_DOUBT)
    house.resume(stream)
    assert is_stalled(stream, Reason.IN_DOUBT) and house.plan() == [], (
        "a resume changes nothing: there is nothing to try"
    )
    house.at(100)
    house.mark(payments[0], Mark.ORPHAN)
    assert is_stalled(stream, Reason.TIMEOUT)
    [probe] = house.plan()
    assert probe.probe


@pytest.mark.parametrize(("failures", "state"), [(4, StreamState.ACTIVE), (5, StreamState.STALLED)])
def test_failures_while_in_doubt_only_count_in_their_row(failures: int, state: StreamState) -> None:
    house = House()
    stream = house.open(max_open_payments=9)
    payments = [house.pay(second) for second in range(9)]
    house.at(600)
    house.doubt(*payments[:3])
    for payment in payments[4 : 4 + failures]:
        house.fail(payment)
        assert is_stalled(stream, Reason.IN_DOUBT), "not by a single failure"
    house.mark(payments[0], Mark.ORPHAN)
    assert (stream.state, stream.account.streak) == (state, failures)
    assert stream.reason is (Reason.TIMEOUT if failures == 5 else Reason.NONE)
    assert stream.account.next_attempt_ns > house.now_ns, "the back-off of the row"


def test_a_row_that_ends_under_doubt_leaves_nothing_to_stall_for() -> None:
    house = House(stall_after=1)
    stream, payments = doubted(house)
    house.fail(payments[3])
    house.settle(payments[0])
    assert (stream.state, stream.account.streak) == (StreamState.ACTIVE, 0)


def test_a_failure_in_a_stall_for_a_budget_only_counts_in_its_row() -> None:
    house = House()
    stream = house.open(max_open_payments=2, budget=budget_of(3_300, HOUR))
    first = house.pay(0)
    house.settle(house.pay(1), fee_msat=100)
    house.settle(house.pay(2), fee_msat=100)
    house.idle(3)
    assert is_stalled(stream, Reason.BUDGET_PERIOD)
    house.write_off(house.payment(first.row))
    assert is_stalled(stream, Reason.BUDGET_PERIOD)


def test_a_failure_gives_its_money_back_to_the_budget_and_waits_for_its_own_back_off() -> None:
    house = House()
    stream = house.open(max_open_payments=2, budget=budget_of(3_300, HOUR))
    first = house.pay(0)
    house.settle(house.pay(1), fee_msat=100)
    house.settle(house.pay(2), fee_msat=100)
    house.idle(3)
    house.fail(first)
    assert (stream.state, stream.reason, stream.account.streak) == (
        StreamState.ACTIVE,
        Reason.NONE,
        1,
    ), "not stalled after one of five"
    house.idle(7)
    [payment] = [house.pay(8)]
    assert payment.amount_msat == 1_000 and not payment.probe


def test_a_renewal_wakes_a_stream_of_which_another_payment_is_open() -> None:
    house = House()
    stream = house.open(max_open_payments=2, budget=budget_of(2_200, HOUR), catch_up_ns=None)
    house.settle(house.pay(0), fee_msat=100)
    house.pay(1)
    house.idle(2)
    assert is_stalled(stream, Reason.BUDGET_PERIOD) and stream.open_payments == 1
    assert house.book.next_ns() == T0 + HOUR
    assert house.pay(3_600).amount_msat == 2_100 and stream.state is StreamState.ACTIVE


def test_a_renewal_ends_no_row_of_failures() -> None:
    house = House(stall_after=1)
    stream = house.open(budget=budget_of(2_200, HOUR), max_open_payments=2)
    failing = house.pay(0)
    house.settle(house.pay(1), fee_msat=100)
    house.fail(failing)
    assert is_stalled(stream, Reason.TIMEOUT)
    probe = house.pay(60)
    house.write_off(probe)
    house.resume(stream)
    house.idle(61)
    assert is_stalled(stream, Reason.BUDGET_PERIOD)
    again = house.pay(3_600)
    assert again.probe and is_stalled(stream, Reason.TIMEOUT), (
        "nothing has settled since the row began"
    )


def test_a_stream_stalled_for_a_budget_when_it_was_paused_looks_again_when_it_is_resumed() -> None:
    house = House()
    stream = house.open(budget=budget_of(1_100, HOUR))
    house.settle(house.pay(0), fee_msat=100)
    house.idle(1)
    house.pause(stream)
    house.at(10)
    house.resume(stream)
    assert is_stalled(stream, Reason.BUDGET_PERIOD)
    assert house.plan() == [] and is_stalled(stream, Reason.BUDGET_PERIOD)
    house.pause(stream)
    house.at(3_700)
    house.resume(stream)
    assert house.plan() and stream.state is StreamState.ACTIVE


@pytest.mark.parametrize("pauses", [False, True])
def test_a_pause_in_a_stall_for_a_budget_moves_no_renewal(pauses: bool) -> None:
    house = House()
    stream = house.open(budget=budget_of(1_100, HOUR), catch_up_ns=0)
    house.settle(house.pay(0), fee_msat=100)
    house.idle(1)
    if pauses:
        house.at(100)
        house.pause(stream)
        house.resume(stream)
    assert house.pay(5_000).skip_ns == 3_599 * S, (
        "until the renewal; after it the engine was busy, and that is not skipped"
    )


def test_a_budget_that_renewed_unseen_is_full_at_the_end() -> None:
    house = House()
    stream = house.open(budget=budget_of(30_100, HOUR), catch_up_ns=0, end_time_ns=T0 + 3_620 * S)
    house.settle(house.pay(30), fee_msat=100)
    house.idle(31)
    assert is_stalled(stream, Reason.BUDGET_PERIOD)
    payment = house.pay(5_000)
    assert (payment.skip_ns, payment.amount_msat) == (3_569 * S, 21_000), (
        "its end found it ACTIVE: what is owed is still paid"
    )
    assert stream.state_time_ns == T0 + HOUR


def test_an_end_before_the_renewal_finds_the_stream_stalled() -> None:
    house = House()
    stream = house.open(
        budget=budget_of(30_100, HOUR), catch_up_ns=10 * S, end_time_ns=T0 + 3_590 * S
    )
    house.settle(house.pay(30), fee_msat=100)
    house.idle(31)
    house.idle(5_000)
    assert (stream.state, stream.skipped_ns, stream.dropped_msat) == (
        StreamState.COMPLETED,
        3_550 * S,
        10_000,
    )


def test_a_budget_that_no_renewal_fills_is_impossible_time_until_it_is_larger() -> None:
    house = House()
    stream = house.open(budget=budget_of(1_000, HOUR), catch_up_ns=0)
    house.idle(0)
    house.at(9_000)
    house.change(stream, budget=budget_of(100_000, HOUR))
    assert house.pay(9_010).skip_ns == 9_000 * S


def test_a_stall_for_a_budget_lasts_to_the_end_though_less_than_a_payment_is_left() -> None:
    """With catch-up 0s the renewal finds 500 msat until the end: that is nothing to pay, and no
    reason to call the time possible.
    """
    house = House()
    stream = house.open(
        budget=budget_of(1_000, HOUR), catch_up_ns=0, end_time_ns=T0 + 3_600 * S + S // 2
    )
    house.idle(0)
    house.idle(3_600)
    assert is_stalled(stream, Reason.BUDGET_PERIOD)
    house.idle(3_601)
    assert (stream.state, stream.skipped_msat, stream.dropped_msat) == (
        StreamState.COMPLETED,
        3_600_500,
        0,
    )


def test_a_larger_failure_does_not_raise_the_amount_that_no_route_has_halved() -> None:
    house = House()
    stream = house.open(max_open_payments=2)
    small = house.pay(10)
    large = house.pay(100)
    assert (small.amount_msat, large.amount_msat) == (11_000, 90_000)
    house.fail(small, Reason.NO_ROUTE)
    house.fail(large, Reason.NO_ROUTE)
    assert stream.account.probe_cap_msat == 5_500
    house.crash()
    assert house.again(stream).account.probe_cap_msat == 5_500


def test_a_restart_keeps_each_cause_of_a_stall() -> None:
    house = House(stall_after=1)
    stream, payments = doubted(house, budget=budget_of(4_400, HOUR))
    house.fail(payments[3])
    house.crash()
    again = house.again(stream)
    assert is_stalled(again, Reason.IN_DOUBT) and again.doubt_since_ns == T0 + 600 * S
    house.doubt(*(house.payment(payment.row) for payment in payments[:3]))
    house.at(700)
    house.mark(house.payment(payments[0].row), Mark.ORPHAN)
    assert is_stalled(again, Reason.TIMEOUT) or again.state is StreamState.ACTIVE


# -- what an end does ---------------------------------------------------------------------------


def test_what_an_end_skips_is_skipped_and_not_dropped() -> None:
    house = House()
    stream = house.open(catch_up_ns=0, end_time_ns=T0 + 100 * S)
    house.settle(house.pay(0))
    house.node_down(1, 110)
    house.idle(110)
    assert (stream.state, stream.skipped_ns, stream.skipped_msat, stream.dropped_msat) == (
        StreamState.COMPLETED,
        99 * S,
        99_000,
        0,
    )
    house.crash()
    assert house.again(stream).skipped_msat == 99_000


def test_a_stall_that_lasts_to_the_end_is_skipped_beyond_catch_up_and_the_rest_dropped() -> None:
    house = House(stall_after=1)
    stream = house.open(catch_up_ns=30 * S, end_time_ns=T0 + 100 * S)
    house.settle(house.pay(0))
    house.fail(house.pay(1), Reason.RECEIVER_REJECTED)
    house.idle(100)
    assert (stream.state, stream.skipped_msat, stream.dropped_msat) == (
        StreamState.COMPLETED,
        69_000,
        30_000,
    )


def test_impossible_time_of_less_than_a_millisatoshi_is_kept_with_the_rest() -> None:
    """7 msat each 3 s, 1,000 s bought for 2,333 msat: those reach 999.857 s, to which a failure
    gives time back.
    """
    house = House()
    stream = house.open(rate=Rate(7, 3 * S, 1_000 * S), catch_up_ns=0)
    house.settle(house.pay(0))
    house.node_down(990, 1_010)
    payment = house.pay(1_010)
    assert payment.skip_ns == 10 * S
    house.fail(payment)
    assert house.pay(1_015).skip_ns == 5 * S + S // 7, (
        "the row, and what lay between the settled moment and the bought one"
    )
    assert stream.skipped_ns == 15 * S + S // 7


def test_a_dropped_payment_that_settles_late_was_not_dropped() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    house.cancel(stream)
    house.fail(payment)
    assert (stream.state, stream.dropped_msat) == (StreamState.CANCELLED, 1_000)
    house.settle(payment)
    assert stream.dropped_msat == 0
    house.crash()
    assert house.again(stream).dropped_msat == 0


def test_time_in_which_a_total_budget_waited_for_what_was_reserved_is_impossible() -> None:
    house = House()
    stream = house.open(max_open_payments=2, catch_up_ns=0, budget=budget_of(2_200, None))
    first = house.pay(0)
    house.settle(house.pay(1), fee_msat=100)
    house.idle(2)
    assert stream.state is StreamState.ACTIVE and stream.short_since_ns == T0 + 2 * S
    house.at(60)
    house.fail(first)
    house.crash()
    again = house.pay(65)
    assert (again.skip_ns, house.again(stream).short_since_ns) == (63 * S, 0), (
        "and five seconds of back-off"
    )


def test_a_total_budget_that_has_room_again_leaves_only_our_own_queue_to_wait_for() -> None:
    house = House()
    stream = house.open(max_open_payments=2, catch_up_ns=0, budget=budget_of(2_200, None))
    first = house.pay(0)
    house.settle(house.pay(1), fee_msat=100)
    house.idle(2)
    house.at(60)
    house.change(stream, group="radio")
    assert stream.short_since_ns == T0 + 2 * S, "it has no more room than before"
    house.settle(first, fee_msat=100)
    house.change(stream, budget=budget_of(3_300, None))
    assert stream.short_since_ns == 0
    house.crash()
    assert house.pay(100).skip_ns == 58 * S


def test_what_a_total_budget_gets_back_ends_its_wait() -> None:
    house = House()
    stream = house.open(
        max_open_payments=3, catch_up_ns=0, budget=budget_of(4_000, None), fee_floor_msat=1_000
    )
    payments = [house.pay(0), house.pay(1)]
    house.idle(2)
    house.at(60)
    house.settle(payments[0])
    assert stream.short_since_ns == T0 + 2 * S, "1,000 msat and no fee limit do not do"
    house.settle(payments[1])
    assert stream.short_since_ns == 0, "neither has cost a fee: the budget holds another minimum"
    assert house.pay(100).skip_ns == 58 * S


def test_a_resume_in_a_stall_for_doubt_clears_no_back_off() -> None:
    house = House()
    stream = house.open(max_open_payments=4)
    payments = [house.pay(second) for second in range(4)]
    house.at(600)
    house.fail(payments[3], Reason.NO_ROUTE)
    wait_until = stream.account.next_attempt_ns
    house.doubt(*payments[:3])
    house.at(610)
    house.resume(stream)
    house.at(620)
    house.mark(payments[0], Mark.ORPHAN)
    assert (stream.state, stream.account.next_attempt_ns, house.book.due_ns(stream)) == (
        StreamState.ACTIVE,
        wait_until,
        wait_until,
    )


def test_a_total_budget_that_waits_does_not_outlast_its_ttl() -> None:
    house = House()
    stream = house.open(max_open_payments=2, budget=budget_of(2_200, None), ttl_ns=60 * S)
    house.pay(0)
    house.settle(house.pay(1), fee_msat=100)
    house.idle(2)
    assert house.book.next_ns() == T0 + 60 * S
    house.idle(60)
    assert (stream.state, stream.reason) == (StreamState.PAUSED, Reason.TTL_EXPIRED)
