"""What a change of terms does at once, what it leaves alone, and what is refused in which words."""

from __future__ import annotations

import pytest

from streamer.core import lifecycle
from streamer.words.errors import FailedPrecondition
from streamer.words.model import Mark, Rate, StreamState
from streamer.words.reasons import Reason
from tests.core.house import HOUR, MINUTE, T0, House, S, budget_of, run

DAY = 24 * HOUR


@pytest.mark.parametrize("verb", ["paused", "resumed", "changed"])
def test_what_has_ended_says_so_and_what_to_do(verb: str) -> None:
    house = House()
    stream = house.open()
    house.cancel(stream)
    act = {"paused": house.pause, "resumed": house.resume, "changed": house.change}[verb]
    with pytest.raises(
        FailedPrecondition,
        match=(
            rf"^st_1 has ended \(CANCELLED, USER\) and cannot be {verb}; open a new stream instead$"
        ),
    ):
        act(stream)


@pytest.mark.parametrize("verb", ["paused", "resumed", "changed"])
def test_a_stream_that_is_closing_is_as_good_as_ended(verb: str) -> None:
    house = House()
    stream = house.open()
    house.pay(0)
    house.cancel(stream)
    with pytest.raises(FailedPrecondition, match="CLOSING, USER"):
        {"paused": house.pause, "resumed": house.resume, "changed": house.change}[verb](stream)


def test_a_cancel_that_comes_after_the_end_changes_nothing_of_the_end() -> None:
    house = House()
    stream = house.open(end_time_ns=T0 + MINUTE)
    house.settle(house.pay(0))
    house.pause(stream)
    house.at(90)
    house.cancel(stream)
    assert (stream.state, stream.reason) == (StreamState.COMPLETED, Reason.END_TIME)


def test_a_renewal_lets_time_take_effect_first() -> None:
    house = House()
    stream = house.open(start_time_ns=T0 + MINUTE, ttl_ns=10 * MINUTE)
    house.at(120)
    assert house.act(lifecycle.renew, stream) is True
    assert (stream.state, stream.state_time_ns, stream.expire_time_ns) == (
        StreamState.ACTIVE,
        T0 + MINUTE,
        T0 + 12 * MINUTE,
    )
    house.crash()
    assert house.again(stream).expire_time_ns == T0 + 12 * MINUTE


def test_a_stream_without_ttl_or_paused_is_not_renewed() -> None:
    house = House()
    plain, paused = house.open(), house.open(ttl_ns=MINUTE)
    house.pause(paused)
    assert (
        house.act(lifecycle.renew, plain) is False and house.act(lifecycle.renew, paused) is False
    )
    assert plain.expire_time_ns == paused.expire_time_ns == 0


def test_a_new_ttl_counts_from_now_or_the_start_and_none_lifts_it() -> None:
    house = House()
    running, waiting, paused = house.open(), house.open(start_time_ns=T0 + HOUR), house.open()
    house.pause(paused)
    house.at(10)
    for stream in (running, waiting, paused):
        house.change(stream, ttl_ns=MINUTE)
    assert running.expire_time_ns == T0 + 70 * S
    assert waiting.expire_time_ns == T0 + HOUR + MINUTE
    assert paused.expire_time_ns == 0, "it counts from the resume"
    house.at(20)
    house.change(running, group="radio")
    assert running.expire_time_ns == T0 + 70 * S, "other changes leave it alone"
    house.change(running, ttl_ns=None)
    assert running.expire_time_ns == 0
    house.resume(paused)
    assert paused.expire_time_ns == T0 + 80 * S


def test_the_period_of_a_budget_changes_only_while_nothing_of_the_stream_is_open() -> None:
    house = House()
    stream, other = house.open(budget=budget_of(50_000)), house.open()
    house.at(0)
    mine, theirs = sorted(house.plan(), key=lambda payment: payment.stream_key)
    text = (
        "^the period of a budget can only change while no payment of the stream is open: try again"
        " shortly$"
    )
    with pytest.raises(FailedPrecondition, match=text):
        house.change(stream, budget=budget_of(50_000, HOUR))
    house.change(stream, budget=budget_of(40_000))
    house.settle(mine)
    assert theirs.open and other.open_payments == 1
    house.change(stream, budget=budget_of(50_000, HOUR))
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None and (own.room_msat(), own.period_start_ns, own.period_ns) == (
        50_000,
        T0,
        HOUR,
    )


def test_a_total_budget_that_was_a_renewing_one_counts_all_that_was_ever_paid() -> None:
    house = House()
    stream = house.open(budget=budget_of(500_000, HOUR))
    house.settle(house.pay(0), fee_msat=50)
    house.settle(house.pay(2 * 3_600), fee_msat=70)
    paid = stream.account.settled_msat + 120
    house.change(stream, budget=budget_of(10**9))
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None and (own.spent_msat, own.period_start_ns) == (paid, 0)
    payment = house.pay(2 * 3_600 + 1)
    assert payment.period_start_ns == 0
    house.crash()
    own = house.book.budgets.own(house.again(stream), house.now_ns)
    assert own is not None and (own.spent_msat, own.reserved_msat) == (
        paid,
        payment.amount_msat + payment.fee_limit_msat,
    )


def test_a_total_budget_counts_write_offs_with_fee_limits_and_not_what_came_back() -> None:
    house = House()
    stream = house.open(budget=budget_of(500_000, HOUR), fee_floor_msat=5_000)
    refunded = house.pay(0)
    house.write_off(refunded)
    for second in (1, 2):
        house.write_off(house.pay(second))
    house.fail(refunded)
    house.fail(refunded)
    house.settle(house.pay(3), fee_msat=7)
    house.crash()
    stream = house.again(stream)
    house.change(stream, budget=budget_of(10**9))
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None and own.spent_msat == 2 * 6_000 + 1_007


def test_a_budget_that_is_taken_away_bounds_nothing_and_a_new_one_begins_afresh() -> None:
    house = House()
    stream = house.open(budget=budget_of(3_000, DAY))
    house.settle(house.pay(0), fee_msat=10)
    house.change(stream, budget=None)
    assert house.book.budgets.own(stream, house.now_ns) is None
    payment = house.pay(60)
    assert (payment.amount_msat, payment.period_start_ns, payment.key_period_ns) == (60_000, 0, 0)
    house.settle(payment)
    house.change(stream, budget=budget_of(100_000, HOUR))
    assert (stream.account.period_start_ns, stream.account.period_spent_msat) == (0, 0)
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None and own.room_msat() == 100_000


def test_a_stream_stalled_for_its_budget_tries_at_once_when_that_changes_and_only_then() -> None:
    house = House()
    stream = house.open(budget=budget_of(1_100, HOUR))
    run(house, 10)
    assert (stream.state, house.book.due_ns(stream)) == (StreamState.STALLED, T0 + HOUR)
    house.change(stream, group="radio")
    assert house.book.due_ns(stream) == T0 + HOUR
    house.change(stream, budget=budget_of(50_000, HOUR))
    due = house.book.due_ns(stream)
    assert due is not None and due <= T0 + 10 * S
    assert house.plan() and stream.state is StreamState.ACTIVE


def test_a_new_rate_leaves_what_was_bought_and_starts_at_its_end() -> None:
    house = House()
    stream = house.open(rate=Rate(1_000, S, 10 * S))
    house.settle(house.pay(0))
    house.at(4)
    house.change(stream, rate=Rate(2_000, S, 5 * S))
    assert [(segment.start_ns, segment.start_msat) for segment in stream.segments] == [
        (0, 0),
        (10 * S, 10_000),
    ]
    assert (stream.account.bought_until_ns, stream.account.owed_msat) == (10 * S, 0)
    house.idle(9.9)
    assert house.pay(10).amount_msat == 10_000


def test_a_new_rate_before_the_start_replaces_the_old_one() -> None:
    house = House()
    stream = house.open(start_time_ns=T0 + HOUR)
    house.change(stream, rate=Rate(2_000, S, S))
    assert [(segment.start_ns, segment.rate.amount_msat) for segment in stream.segments] == [
        (0, 2_000)
    ]
    assert house.pay(3_600).amount_msat == 2_000


def test_a_new_rate_of_a_paused_stream_starts_where_time_stands() -> None:
    house = House()
    stream = house.open()
    house.settle(house.pay(0))
    house.pause(stream)
    house.at(50)
    house.change(stream, rate=Rate(3_000, S, S))
    assert [segment.start_ns for segment in stream.segments] == [0, S]
    house.at(100)
    house.resume(stream)
    assert house.pay(100).amount_msat == 3_000


def test_a_resume_is_durable_with_its_moment_and_clears_the_waiting_time_but_not_the_row() -> None:
    house = House()
    stream = house.open()
    house.fail(house.pay(0))
    house.pause(stream)
    assert (stream.paused_at_ns, stream.reason) == (T0, Reason.USER)
    house.at(30)
    house.resume(stream)
    account = stream.account
    assert (stream.paused_ns, stream.paused_at_ns, account.streak, account.next_attempt_ns) == (
        30 * S,
        0,
        1,
        0,
    )
    assert (account.failing_since_ns, account.counted_until_ns, stream.stretches) == (T0, T0, ())
    assert (stream.state, stream.reason, stream.state_time_ns) == (
        StreamState.ACTIVE,
        Reason.USER,
        T0 + 30 * S,
    )
    house.crash()
    assert (house.again(stream).paused_ns, house.again(stream).stretches) == (
        30 * S,
        stream.stretches,
    )


def test_a_second_pause_adds_to_the_first() -> None:
    house = House()
    stream = house.open()
    for start, end in ((0, 10), (20, 25)):
        house.at(start)
        house.pause(stream)
        house.at(end)
        house.resume(stream)
    assert stream.paused_ns == 15 * S


def test_resuming_a_stream_in_doubt_or_one_that_runs_does_nothing() -> None:
    house = House()
    stream = house.open()
    house.settle(house.pay(0))
    house.resume(stream)
    assert (stream.state, stream.account.next_attempt_ns) == (StreamState.ACTIVE, 0)
    for number in range(3):
        house.doubt(house.pay(60 * number + 10))
    house.at(300)
    house.resume(stream)
    assert (stream.state, stream.reason, stream.account.next_attempt_ns) == (
        StreamState.STALLED,
        Reason.IN_DOUBT,
        0,
    )
    house.mark(next(iter(house.book.payments.values())), Mark.ORPHAN)
    assert stream.state is StreamState.ACTIVE


def test_open_is_durable_and_what_has_not_begun_is_pending() -> None:
    house = House()
    now, later = house.open(ttl_ns=MINUTE), house.open(start_time_ns=T0 + 1)
    assert (now.state, later.state) == (StreamState.ACTIVE, StreamState.PENDING)
    assert (now.create_time_ns, now.state_time_ns, now.expire_time_ns, now.reason) == (
        T0,
        T0,
        T0 + MINUTE,
        Reason.NONE,
    )
    house.crash()
    assert [house.again(stream).state for stream in (now, later)] == [
        StreamState.ACTIVE,
        StreamState.PENDING,
    ]
    house.at(1)
    assert len(house.plan()) == 2


@pytest.mark.parametrize("verb", ["paused", "resumed", "changed"])
def test_whatever_is_done_to_a_stream_its_start_is_durable_if_it_passed_meanwhile(
    verb: str,
) -> None:
    house = House()
    stream = house.open(start_time_ns=T0 + 5 * S)
    house.at(7)
    {"paused": house.pause, "resumed": house.resume, "changed": house.change}[verb](stream)
    house.crash()
    again = house.again(stream)
    assert again.state is (StreamState.PAUSED if verb == "paused" else StreamState.ACTIVE)
    assert again.state_time_ns == T0 + (7 if verb == "paused" else 5) * S


@pytest.mark.parametrize(("second", "state"), [(9, StreamState.PENDING), (10, StreamState.ACTIVE)])
def test_a_stream_paused_before_its_start_and_resumed(second: int, state: StreamState) -> None:
    house = House()
    stream = house.open(start_time_ns=T0 + 10 * S)
    house.pause(stream)
    house.at(second)
    house.resume(stream)
    assert (stream.state, stream.reason, stream.state_time_ns, stream.paused_at_ns) == (
        state,
        Reason.USER,
        T0 + second * S,
        0,
    )
    assert stream.paused_ns == 0 and house.pay(10).due_ns == T0 + 10 * S


def test_a_stream_with_too_many_doubts_is_stalled_again_by_its_resume() -> None:
    house = House()
    stream = house.open(max_open_payments=3)
    payments = [house.pay(number) for number in range(3)]
    house.pause(stream)
    house.doubt(*payments)
    house.at(9)
    house.resume(stream)
    assert (stream.state, stream.reason, stream.state_time_ns) == (
        StreamState.STALLED,
        Reason.IN_DOUBT,
        T0 + 9 * S,
    )
    assert stream.account.next_attempt_ns == 0
