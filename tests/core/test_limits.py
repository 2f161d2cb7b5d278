"""What ends or interrupts a stream by itself: its budget, its ttl, its end."""

from __future__ import annotations

from streamer.core import lifecycle
from streamer.core.payment import Event
from streamer.core.streamtime import covered_ns
from streamer.words.model import Answer, Kind, Mark, Rate, StreamState
from streamer.words.reasons import Reason
from tests.core.house import HOUR, MINUTE, T0, House, S, budget_of, run, total_msat

DAYS = 86_400


# -- budgets ------------------------------------------------------------------------------------


def test_a_total_budget_is_spent_to_what_no_payment_fits_in_and_completes_the_stream() -> None:
    house = House()
    stream = house.open(budget=budget_of(5_500))
    paid = run(house, 100)
    assert (
        total_msat(paid) == 5_400
        and stream.state is StreamState.COMPLETED
        and stream.reason is Reason.BUDGET_SPENT
    )


def test_an_empty_total_budget_waits_for_what_may_come_back_but_not_for_orphans() -> None:
    house = House()
    stream = house.open(budget=budget_of(2_200), max_open_payments=3)
    first, second = house.pay(0), house.pay(1)
    house.idle(5)
    assert stream.state is StreamState.ACTIVE
    house.mark(second, Mark.ORPHAN)
    house.idle(6)
    assert stream.state is StreamState.ACTIVE
    house.fail(first)
    again = house.pay(60)
    assert again.amount_msat == 1_000
    house.settle(again, fee_msat=100)
    house.idle(62)
    assert (stream.state, stream.reason) == (StreamState.COMPLETED, Reason.BUDGET_SPENT)


def test_a_renewing_budget_stalls_until_it_renews() -> None:
    house = House()
    stream = house.open(budget=budget_of(2_200, HOUR), catch_up_ns=None)
    assert total_msat(run(house, 3_599)) == 2_000
    assert (stream.state, stream.reason, house.book.due_ns(stream)) == (
        StreamState.STALLED,
        Reason.BUDGET_PERIOD,
        T0 + HOUR,
    )
    house.crash()
    payment = house.pay(3_600)
    assert (payment.amount_msat, payment.probe) == (2_100, False)
    again = house.again(stream)
    assert (again.state, again.state_time_ns) == (StreamState.ACTIVE, T0 + HOUR)
    assert (again.short_of, again.short_since_ns, again.short_until_ns, again.spans) == (
        Reason.NONE,
        0,
        0,
        (),
    ), "as if never empty"


# -- ttl ----------------------------------------------------------------------------------------


def test_ttl_pauses_at_expire_time_however_late_that_is_noticed() -> None:
    house = House()
    stream = house.open(ttl_ns=60 * S)
    house.settle(house.pay(0))
    house.idle(500)
    assert (stream.state, stream.reason, stream.state_time_ns) == (
        StreamState.PAUSED,
        Reason.TTL_EXPIRED,
        T0 + 60 * S,
    )
    house.resume(stream)
    assert house.pay(500).amount_msat == 59_000 + 1_000, (
        "a minute was ordered, and what comes from now on"
    )
    assert stream.expire_time_ns == T0 + 560 * S


def test_a_stream_that_expired_unnoticed_is_not_renewed() -> None:
    house = House()
    stream = house.open(ttl_ns=60 * S)
    house.at(59)
    assert house.act(lifecycle.renew, stream) and stream.expire_time_ns == T0 + 119 * S
    house.at(119)
    assert not house.act(lifecycle.renew, stream)
    assert (stream.state, stream.reason) == (StreamState.PAUSED, Reason.TTL_EXPIRED)
    house.resume(stream)
    assert stream.state is StreamState.ACTIVE


def test_an_outage_before_the_ttl_ran_out_is_not_forgotten() -> None:
    house = House()
    stream = house.open(ttl_ns=60 * S, catch_up_ns=0)
    house.node_down(0, 300)
    house.idle(300)
    assert stream.state is StreamState.PAUSED
    house.at(400)
    house.resume(stream)
    payment = house.pay(400)
    assert (payment.skip_ns, payment.amount_msat) == (60 * S, 1_000)


def test_a_ttl_counts_from_the_start_and_not_while_paused() -> None:
    house = House()
    stream = house.open(ttl_ns=60 * S, start_time_ns=T0 + 100 * S)
    assert stream.expire_time_ns == T0 + 160 * S
    house.change(stream, ttl_ns=90 * S)
    assert stream.expire_time_ns == T0 + 190 * S
    house.pause(stream)
    house.at(10)
    house.resume(stream)
    assert stream.expire_time_ns == T0 + 190 * S
    house.pause(stream)
    assert stream.expire_time_ns == 0
    house.change(stream, ttl_ns=30 * S)
    assert stream.expire_time_ns == 0


def test_a_paused_stream_with_a_ttl_does_not_fall_due_again_and_again() -> None:
    house = House()
    stream = house.open(ttl_ns=60 * S)
    house.settle(house.pay(0))
    house.at(0.5)
    house.pause(stream)
    house.idle(1_000)
    assert house.book.next_ns() is None


def test_a_stream_that_starts_and_expires_while_nobody_looks_pays_nothing() -> None:
    house = House()
    stream = house.open(ttl_ns=10 * S, start_time_ns=T0 + 10 * S)
    house.idle(60)
    assert (stream.state, stream.reason) == (StreamState.PAUSED, Reason.TTL_EXPIRED)


# -- end ----------------------------------------------------------------------------------------


def test_at_end_time_all_is_paid_to_the_msat_and_the_stream_completes_then() -> None:
    house = House()
    stream = house.open(rate=Rate(333, S, 7 * S), end_time_ns=T0 + 100 * S)
    paid = run(house, 99)
    assert total_msat(paid) == 33_300 and stream.state is StreamState.ACTIVE
    house.idle(100)
    assert (stream.state, stream.reason, stream.dropped_msat) == (
        StreamState.COMPLETED,
        Reason.END_TIME,
        0,
    )
    assert stream.state_time_ns == T0 + 100 * S


def test_what_is_owed_at_the_end_is_still_paid() -> None:
    house = House()
    stream = house.open(end_time_ns=T0 + 10 * S)
    payment = house.pay(5)
    house.at(20)
    house.fail(payment)
    again = house.pay(30)
    assert again.amount_msat == 10_000
    house.settle(again)
    house.idle(30)
    assert (stream.state, stream.dropped_msat) == (StreamState.COMPLETED, 0)


def test_a_remainder_below_the_minimum_is_dropped_and_reported() -> None:
    house = House()
    stream = house.open(end_time_ns=T0 + 10 * S, max_payment_msat=9_000)
    house.settle(house.pay(20), amount_msat=8_900)
    house.settle(house.pay(22), amount_msat=1_000)
    house.idle(24)
    assert (stream.state, stream.dropped_msat) == (StreamState.COMPLETED, 100)


def test_payments_keep_their_distance_at_the_end_too() -> None:
    house = House()
    house.open(end_time_ns=T0 + 10 * S, min_payment_interval_ns=8 * S, rate=Rate(1_000, S, 8 * S))
    first = house.pay(4)
    house.resolve(first, Event.WITHDRAWN, Answer(Kind.FAILED))
    second = house.pay(60)
    assert second.due_ns >= first.due_ns + 8 * S


def test_a_stalled_or_paused_stream_ends_at_its_end_and_drops_what_is_owed() -> None:
    house = House(stall_after=1)
    stalled = house.open(end_time_ns=T0 + 10 * S)
    house.fail(house.pay(0))
    house.idle(10)
    assert (stalled.state, stalled.dropped_msat) == (StreamState.COMPLETED, 10_000)
    house = House()
    paused = house.open(end_time_ns=T0 + 10 * S)
    house.at(4)
    house.pause(paused)
    house.idle(9.9)
    assert paused.state is StreamState.PAUSED
    house.idle(10)
    assert (paused.state, paused.dropped_msat) == (StreamState.COMPLETED, 4_000)


def test_resuming_after_the_end_completes_even_if_nobody_looked_before() -> None:
    house = House()
    stream = house.open(end_time_ns=T0 + 100 * S)
    house.at(50)
    house.pause(stream)
    house.at(150)
    house.resume(stream)
    assert (stream.state, stream.reason, stream.dropped_msat) == (
        StreamState.COMPLETED,
        Reason.END_TIME,
        50_000,
    )


def test_an_end_does_not_wait_for_what_is_bought_beyond_it() -> None:
    house = House()
    stream = house.open(end_time_ns=T0 + 1_000 * S, rate=Rate(60_000, MINUTE, MINUTE))
    house.settle(house.pay(0))
    house.change(stream, end_time_ns=T0 + 30 * S)
    house.idle(30)
    assert (stream.state, stream.dropped_msat, covered_ns(stream)) == (
        StreamState.COMPLETED,
        0,
        MINUTE,
    )


def test_cancel_stops_at_once_and_nothing_comes_back() -> None:
    house = House()
    stream = house.open()
    house.settle(house.pay(0))
    house.at(50)
    house.cancel(stream)
    assert (stream.state, stream.reason, stream.account.settled_msat, stream.dropped_msat) == (
        StreamState.CANCELLED,
        Reason.USER,
        1_000,
        0,
    )
    assert house.book.next_ns() is None
    house.idle(DAYS)


def test_the_price_until_now_stands_still_in_a_pause() -> None:
    house = House()
    stream = house.open()
    house.at(10)
    house.pause(stream)
    assert lifecycle.price_now_msat(stream, T0 + 5_000 * S) == 10_000


def test_a_spent_budget_ends_a_stream_long_before_its_end() -> None:
    house = House()
    stream = house.open(budget=budget_of(1_100), end_time_ns=T0 + HOUR)
    house.settle(house.pay(0), fee_msat=100)
    house.idle(3)
    assert (stream.state, stream.reason, stream.state_time_ns) == (
        StreamState.COMPLETED,
        Reason.BUDGET_SPENT,
        T0 + 3 * S,
    )


def test_a_remainder_that_no_payment_can_buy_waits_for_the_end() -> None:
    house = House()
    stream = house.open(end_time_ns=T0 + 10 * S, rate=Rate(1_000, 10 * S, 10 * S))
    house.settle(house.pay(0), amount_msat=900)
    house.idle(9)
    assert stream.state is StreamState.ACTIVE and house.book.next_ns() == T0 + 10 * S
    house.idle(10)
    assert (stream.state, stream.reason, stream.dropped_msat) == (
        StreamState.COMPLETED,
        Reason.END_TIME,
        100,
    )


def test_what_is_open_at_the_end_of_a_paused_stream_is_not_dropped_unless_it_fails() -> None:
    house = House()
    stream = house.open(end_time_ns=T0 + 10 * S)
    payment = house.pay(0)
    house.at(4)
    house.pause(stream)
    house.idle(10)
    assert (stream.state, stream.reason, stream.dropped_msat) == (
        StreamState.CLOSING,
        Reason.END_TIME,
        3_000,
    )
    house.fail(payment)
    assert (stream.state, stream.dropped_msat) == (StreamState.COMPLETED, 4_000)


def test_a_stream_that_is_cancelled_before_its_end_drops_what_it_owes_then() -> None:
    house = House()
    stream = house.open(end_time_ns=T0 + HOUR)
    house.fail(house.pay(0))
    house.at(2)
    house.cancel(stream)
    assert (stream.state, stream.dropped_msat) == (StreamState.CANCELLED, 1_000)


def test_impossible_time_after_an_end_counts_if_the_end_is_moved_behind_it() -> None:
    house = House()
    stream = house.open(catch_up_ns=0, end_time_ns=T0 + 100 * S, max_payment_msat=50_000)
    house.settle(house.pay(0))
    house.node_down(150, 200)
    house.settle(house.pay(200))
    house.change(stream, end_time_ns=T0 + 1_000 * S)
    house.crash()
    assert house.pay(210).skip_ns == 50 * S, "no plan has counted it: the gap ended at the end"
