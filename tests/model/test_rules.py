"""The plain model alone: stories whose ends are known from what a stream means."""

from __future__ import annotations

from typing import Any

from streamer.words.model import BudgetTerms, Rate, StreamState
from streamer.words.reasons import Reason
from tests.core.house import HOUR, T0, S, terms_of
from tests.model.nouns import Node, Paid
from tests.model.rules import Stream

DAY = 24 * HOUR


def opened(stall_after: int = 5, shown: int = 4, **terms: Any) -> Stream:
    """shown: so many payments its receiver may have under way, by what it has shown before."""
    stream = Stream(Node(stall_after, 10**10), terms_of(**terms), T0)
    stream.receiver.shown = shown
    return stream


def pay(stream: Stream, second: float) -> Paid:
    paid = stream.plan(T0 + int(second * S))
    assert paid is not None
    return paid


def settle(stream: Stream, paid: Paid, second: float) -> None:
    stream.pass_time(T0 + int(second * S))
    stream.settle(paid, 0, T0 + int(second * S))


def fail(stream: Stream, paid: Paid, second: float, reason: Reason = Reason.TIMEOUT) -> None:
    stream.pass_time(T0 + int(second * S))
    stream.fail(paid, reason, T0 + int(second * S))


def test_a_stall_for_doubt_goes_on_being_impossible_when_another_payment_settles() -> None:
    for fourth in (False, True):
        stream = opened(catch_up_ns=0, max_open_payments=4)
        payments = [pay(stream, second) for second in range(4 if fourth else 3)]
        for paid in payments[:3]:
            stream.mark(paid, "doubt", T0 + 600 * S)
        if fourth:
            settle(stream, payments[3], 601)
        assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.IN_DOUBT)
        settle(stream, payments[0], 86_400)
        assert pay(stream, 86_400).amount == (597_000 if fourth else 598_000)


def test_a_receiver_that_holds_one_payment_for_ten_hours_is_paid_five_minutes_of_it() -> None:
    stream = opened(catch_up_ns=300 * S)
    paid = pay(stream, 0)
    stream.mark(paid, "held", T0 + 30 * S)
    settle(stream, paid, 36_000)
    assert pay(stream, 36_000).amount <= 331_000


def test_a_pause_never_costs_more_than_none() -> None:
    """Payments of an hour, the second one sent before the node goes down and failed after it came
    back.
    """
    for paused in (False, True):
        stream = opened(rate=Rate(1_000, S, HOUR), catch_up_ns=0)
        settle(stream, pay(stream, 0), 0)
        paid = pay(stream, 3_600)
        stream.node.outages.hold("down", True, T0 + 3_605 * S)
        stream.node.outages.hold("down", False, T0 + 6_605 * S)
        if paused:
            stream.pause(T0 + 6_700 * S)
            stream.resume(T0 + 6_710 * S)
        fail(stream, paid, 6_720)
        assert pay(stream, 6_725).skip == 3_005 * S


def test_a_stream_that_was_stalled_when_it_was_paused_is_stalled_again_and_tries_now() -> None:
    stream = opened(stall_after=2)
    fail(stream, pay(stream, 0), 0)
    fail(stream, pay(stream, 5), 5)
    stream.pause(T0 + 6 * S)
    stream.resume(T0 + 7 * S)
    assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.TIMEOUT)
    probe = pay(stream, 7)
    assert probe.probe and probe.amount == 1_000


def test_a_budget_of_a_period_is_woken_by_its_renewal_though_another_payment_is_open() -> None:
    stream = opened(budget=BudgetTerms(1_100, HOUR), max_open_payments=2)
    pay(stream, 0)
    assert stream.plan(T0 + S) is None and stream.reason is Reason.BUDGET_PERIOD
    assert pay(stream, 3_600).seq == 2


def test_what_an_end_skips_is_skipped_and_not_dropped() -> None:
    stream = opened(catch_up_ns=0, end_time_ns=T0 + 100 * S)
    settle(stream, pay(stream, 0), 0)
    stream.node.outages.hold("down", True, T0 + 10 * S)
    stream.node.outages.hold("down", False, T0 + 200 * S)
    last = pay(stream, 200)
    assert (last.amount, last.skip) == (9_000, 90 * S)
    settle(stream, last, 200)
    assert (stream.state, stream.dropped, stream.skipped) == (StreamState.ACTIVE, 0, 90 * S)
    stream.pass_time(T0 + 200 * S)
    assert stream.state is StreamState.COMPLETED


def test_what_was_dropped_and_settles_late_is_dropped_no_more() -> None:
    stream = opened()
    paid = pay(stream, 0)
    fail(stream, paid, 1)
    stream.cancel(T0 + 2 * S)
    assert (stream.state, stream.dropped) == (StreamState.CANCELLED, 1_000)
    settle(stream, paid, 60)
    assert stream.dropped == 0


def test_a_budget_that_no_renewal_fills_is_empty_all_the_time_and_a_smaller_one_too() -> None:
    stream = opened(budget=BudgetTerms(1_100, HOUR), catch_up_ns=0)
    settle(stream, pay(stream, 0), 0)
    assert stream.plan(T0 + S) is None
    stream.change(T0 + 60 * S, budget=BudgetTerms(1_000, HOUR))
    assert stream.reason is Reason.BUDGET_PERIOD
    stream.pass_time(T0 + 9_000 * S)
    assert stream.reason is Reason.BUDGET_PERIOD
    stream.change(T0 + 9_000 * S, budget=BudgetTerms(100_000, HOUR))
    assert pay(stream, 9_010).skip == 8_999 * S


def test_a_new_rate_leaves_what_failed_before_it_owed() -> None:
    stream = opened(rate=Rate(1_000, S, 100 * S))
    fail(stream, pay(stream, 0), 1)
    stream.change(T0 + 3 * S, rate=Rate(2_000, S, S))
    stream.cancel(T0 + 3 * S)
    assert stream.dropped == 3_000, (
        "of 100,000 that failed; from the third second on there is another rate"
    )


def test_an_end_at_which_nothing_is_owed_waits_for_no_back_off() -> None:
    stream = opened(catch_up_ns=0, end_time_ns=T0 + 10 * S)
    settle(stream, pay(stream, 0), 0)
    settle(stream, pay(stream, 7), 7)
    fail(stream, pay(stream, 8), 8)
    stream.pass_time(T0 + 10 * S)
    assert (stream.state, stream.skipped, stream.dropped) == (StreamState.COMPLETED, 2 * S, 0)


def test_a_receiver_has_one_payment_under_way_and_one_more_with_each_that_settles_in_time() -> None:
    stream = opened(shown=1, max_open_payments=4)
    first = pay(stream, 0)
    assert stream.plan(T0 + S) is None
    settle(stream, first, 30)
    second, third = pay(stream, 30), pay(stream, 31)
    assert stream.plan(T0 + 32 * S) is None
    settle(stream, second, 62)
    settle(stream, third, 62)
    fourth = pay(stream, 62)
    assert stream.plan(T0 + 63 * S) is None, "the second took 32 seconds, the third 31"
    stream.node.outages.hold("down", True, T0 + 100 * S)
    stream.node.outages.hold("down", False, T0 + 110 * S)
    settle(stream, fourth, 63)
    late = pay(stream, 63)
    settle(stream, late, 110)
    pay(stream, 110), pay(stream, 111)


def test_what_a_receiver_holds_puts_it_back_to_one() -> None:
    stream = opened(shown=1, max_open_payments=4)
    settle(stream, pay(stream, 0), 0)
    settle(stream, pay(stream, 1), 1)
    held = pay(stream, 2)
    stream.mark(held, "held", T0 + 32 * S)
    assert stream.plan(T0 + 33 * S) is None
    settle(stream, held, 40)
    pay(stream, 40)
    assert stream.plan(T0 + 41 * S) is None


def test_of_a_last_remainder_as_much_as_fits_goes_into_the_payment_before() -> None:
    """1,900 to the end, and payments of 1,500 at most: two of 1,000 would be too many."""
    for terms in (
        {"max_payment_msat": 1_500},
        {"budget": BudgetTerms(1_600, HOUR)},
        {"budget": BudgetTerms(1_600, None)},
    ):
        paid = pay(opened(end_time_ns=T0 + 19 * S // 10, **terms), 0)
        assert (paid.amount, paid.until) == (1_500, 3 * S // 2)


def test_a_last_remainder_that_does_not_fit_leaves_a_minimum_for_itself_where_it_can() -> None:
    """2,400 to the end; after 1,400 there are 1,000, and after 1,500 too little."""
    for terms in ({"max_payment_msat": 1_500}, {"budget": BudgetTerms(1_600, HOUR)}):
        stream = opened(rate=Rate(1_500, S, S), end_time_ns=T0 + 16 * S // 10, **terms)
        assert pay(stream, 0).amount == 1_400


def test_the_last_payment_buys_exactly_up_to_the_end_though_the_last_of_it_costs_nothing() -> None:
    stream = opened(end_time_ns=T0 + S + 1)
    paid = pay(stream, 0)
    assert (paid.amount, paid.until) == (1_000, S + 1)
