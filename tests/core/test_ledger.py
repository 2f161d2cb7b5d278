"""Budgets to the last msat, on every level, over periods."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.core.budgets import Budgets
from streamer.core.ledger import Budget, fee_limit_msat, largest_amount_msat
from streamer.words.model import Payment, Stream
from tests.core.house import HOUR, T0, House, a_payment, budget_of, stream_of, terms_of

small = st.integers(0, 3_000)
ppms = st.one_of(st.integers(0, 20_000), st.integers(0, 1_000_000))


@given(st.integers(-50, 3_000), small, ppms)
def test_the_largest_amount_is_the_brute_force_one(room: int, floor: int, ppm: int) -> None:
    fitting = [
        amount for amount in range(1, 3_001) if amount + max(floor, amount * ppm // 10**6) <= room
    ]
    assert largest_amount_msat(room, floor, ppm) == max(fitting, default=0)


@given(st.integers(1, 10**15), st.integers(0, 10**6), ppms)
def test_one_msat_more_would_not_fit(room: int, floor: int, ppm: int) -> None:
    amount = largest_amount_msat(room, floor, ppm)
    assert amount == 0 or amount + fee_limit_msat(amount, floor, ppm) <= room
    assert amount + 1 + fee_limit_msat(amount + 1, floor, ppm) > room


def test_the_largest_amount_leaves_nothing_over_where_one_more_msat_costs_two() -> None:
    for ppm in (300_000, 500_000, 1_000_000):
        for room in range(60):
            fitting = [
                amount for amount in range(room + 1) if amount + amount * ppm // 10**6 <= room
            ]
            assert largest_amount_msat(room, 0, ppm) == fitting[-1]


def test_the_fee_limit_is_the_floor_or_the_share_rounded_down() -> None:
    assert [fee_limit_msat(amount, 5, 10_000) for amount in (0, 500, 599, 600, 100_099)] == [
        5,
        5,
        5,
        6,
        1_000,
    ]


def test_periods_are_aligned_to_utc_and_never_go_back() -> None:
    budget = Budget(1_000, HOUR)
    budget.roll(T0 + HOUR + 5)
    assert (budget.period_start_ns, budget.end_ns()) == (T0 + HOUR, T0 + 2 * HOUR)
    budget.reserve(400)
    budget.roll(T0 + 2 * HOUR - 1)
    assert budget.room_msat() == 600
    budget.roll(T0)
    assert (budget.period_start_ns, budget.room_msat()) == (T0 + HOUR, 600)
    budget.roll(T0 + 2 * HOUR)
    assert (budget.period_start_ns, budget.room_msat()) == (T0 + 2 * HOUR, 1_000)


def test_a_period_that_is_not_aligned_lasts_from_where_it_began() -> None:
    budget = Budget(1_000, HOUR, aligned=False)
    budget.begin(T0 + 7)
    budget.roll(T0 + HOUR + 6)
    assert budget.period_start_ns == T0 + 7
    budget.roll(T0 + HOUR + 9)
    assert budget.period_start_ns == T0 + HOUR + 9


def test_a_moment_before_the_present_period_has_its_own_if_periods_keep_a_grid() -> None:
    aligned, free, total = (
        Budget(1_000, HOUR),
        Budget(1_000, HOUR, aligned=False),
        Budget(1_000, None),
    )
    aligned.roll(T0 + HOUR + 5)
    free.begin(T0 + HOUR + 5)
    ages = (T0 + HOUR + 9, T0 + HOUR + 5, T0 + HOUR + 4, T0 + HOUR, T0 + HOUR - 1, T0 - 1)
    assert [aligned.period_of(moment) - T0 for moment in ages] == [HOUR, HOUR, HOUR, HOUR, 0, -HOUR]
    assert [free.period_of(moment) for moment in ages] == [T0 + HOUR + 5, T0 + HOUR + 5, 0, 0, 0, 0]
    assert [total.period_of(moment) for moment in ages] == [0] * 6
    total.begin(T0)
    assert total.period_of(T0 - 1) == T0


def test_a_total_budget_has_one_period() -> None:
    budget = Budget(1_000, None)
    budget.reserve(1_000)
    budget.roll(T0 + 10**6 * HOUR)
    assert budget.room_msat() == 0 and budget.end_ns() is None


def test_a_reserve_of_an_old_period_ends_in_the_old_period() -> None:
    budget = Budget(1_000, HOUR)
    budget.roll(T0)
    old = budget.reserve(700)
    budget.roll(T0 + HOUR)
    budget.reserve(300)
    budget.release(old, 700, 650, T0)
    assert (budget.reserved_msat, budget.spent_msat, budget.room_msat()) == (300, 0, 700)


def test_more_can_not_be_released_than_was_reserved() -> None:
    budget = Budget(1_000, None)
    budget.reserve(10)
    with pytest.raises(AssertionError, match=r"^budget released 1 msat more than was reserved$"):
        budget.release(0, 11, 0, T0)


def payment_of(stream: Stream, msat: int, fee: int, row: int = 1) -> Payment:
    return a_payment(stream, row=row, seq=row, amount_msat=msat, fee_limit_msat=fee, api_key=0)


def test_amount_and_fee_limit_are_taken_on_both_levels_and_what_was_not_spent_comes_back() -> None:
    limit = Budget(10_000, HOUR, aligned=False)
    limit.begin(T0)
    budgets, stream = Budgets(limit), stream_of(terms_of(budget=budget_of(5_000, HOUR)))
    own = budgets.own(stream, T0)
    assert own is not None
    payment = payment_of(stream, 2_000, 300)
    budgets.stamp(payment)
    budgets.reserve(payment)
    assert (limit.room_msat(), own.room_msat()) == (7_700, 2_700)
    budgets.release(payment, 2_300, 2_001, stream)
    assert (limit.room_msat(), own.room_msat()) == (7_999, 2_999)
    assert (stream.account.period_start_ns, stream.account.period_spent_msat) == (T0, 2_001)


def test_a_restart_takes_back_reserves_into_their_own_period() -> None:
    stream = stream_of(
        terms_of(budget=budget_of(5_000, HOUR)), period_start_ns=T0, period_spent_msat=4_000
    )
    budgets = Budgets(Budget(10_000, None))
    payment = payment_of(stream, 1_000, 100)
    payment.period_start_ns = T0 + HOUR
    own = budgets.own(stream, T0 + HOUR - 1)
    budgets.reserve(payment)
    assert own is not None
    assert (own.period_start_ns, own.room_msat()) == (T0 + HOUR, 3_900), (
        "a period never goes back with the clock"
    )


def test_the_stream_budget_outlives_a_crash_in_the_middle_of_a_period() -> None:
    house = House()
    stream = house.open(budget=budget_of(4_000, HOUR))
    house.settle(house.pay(0), fee_msat=50)
    open_payment = house.pay(1)
    house.crash()
    own = house.book.budgets.own(house.again(stream), house.now_ns)
    assert own is not None and (own.spent_msat, own.reserved_msat) == (
        1_050,
        open_payment.amount_msat + 100,
    )
    house.settle(house.payment(open_payment.row), fee_msat=100)
    assert own.room_msat() == 4_000 - 1_050 - 1_100


def test_a_late_end_of_yesterdays_payment_leaves_todays_budget_alone() -> None:
    house = House()
    stream = house.open(budget=budget_of(3_000, HOUR), max_open_payments=2)
    old = house.pay(0)
    new = house.pay(3_600)
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None and own.room_msat() == 3_000 - new.amount_msat - 100
    house.crash()
    house.settle(house.payment(old.row))
    own = house.book.budgets.own(house.again(stream), house.now_ns)
    assert own is not None and own.room_msat() == 3_000 - new.amount_msat - 100


def test_both_levels_or_none() -> None:
    house = House(spend_limit_msat=1_500)
    stream = house.open(budget=budget_of(10_000))
    house.settle(house.pay(0))
    house.at(1)
    assert house.plan() == []
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None and (own.reserved_msat, own.spent_msat, stream.reserved_msat) == (
        0,
        1_000,
        0,
    )
    assert not house.switch.sending
    house.crash()
    assert not house.switch.sending, "a restart does not lift the spend limit"
    house.at(3_601)
    assert house.plan() == [], "nor does a new period"


def test_the_spend_limit_counts_the_fee_limit_before_anything_is_sent() -> None:
    house = House(spend_limit_msat=1_099)
    house.open()
    house.idle(0)
    assert not house.switch.sending
    house = House(spend_limit_msat=1_100)
    house.open()
    house.pay(0)
    assert house.switch.sending
