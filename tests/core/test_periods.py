"""Our time has followed the wall clock: no period of a budget lasts for days, and none is paid
twice.
"""

from __future__ import annotations

import random

import pytest

from streamer.core.budgets import Budgets
from streamer.core.ledger import PERIODS_KEPT, Budget
from streamer.core.periods import shift_periods
from streamer.core.streamtime import check_conservation
from streamer.core.timeshift import Shift
from streamer.words.model import Facts, Payment, Rate, Stream, StreamState
from streamer.words.money import DAY_NS
from streamer.words.reasons import Halt, Reason
from tests.core.house import (
    HOUR,
    MINUTE,
    PLENTY_MSAT,
    T0,
    House,
    S,
    budget_of,
    run,
    stream_of,
    terms_of,
    total_msat,
)
from tests.core.test_key_budgets import single
from tests.core.test_ledger import payment_of
from tests.core.test_timeshift import of_an_earlier_run, shift


def spent_of(budget: Budget, spends: dict[int, int]) -> None:
    """Spend in periods that begin at those moments, one after the other."""
    for moment_ns, msat in spends.items():
        budget.roll(moment_ns)
        budget.release(budget.reserve(msat), msat, msat, moment_ns)


def aligned(inherited: int = 0, at_ns: int = T0) -> Budget:
    budget = Budget(50, HOUR)
    budget.begin(at_ns, inherited)
    return budget


# -- one budget -----------------------------------------------------------------------------------


def test_a_period_of_the_future_becomes_that_of_the_corrected_time_and_ends_with_it() -> None:
    budget = aligned()
    spent_of(budget, {T0 + 72 * HOUR: 20})
    budget.move(-70 * HOUR, T0 + 2 * HOUR + 5, T0 + 72 * HOUR)
    assert (budget.period_start_ns, budget.spent_msat) == (T0 + 2 * HOUR, 20)
    budget.roll(T0 + 3 * HOUR)
    assert (budget.period_start_ns, budget.spent_msat) == (T0 + 3 * HOUR, 0)


def test_what_an_earlier_run_spent_in_the_true_period_counts_again() -> None:
    budget = aligned(inherited=30)
    spent_of(budget, {T0 + 72 * HOUR - 1: 5, T0 + 72 * HOUR: 20})
    budget.move(-72 * HOUR + 2 * MINUTE, T0 + 3 * MINUTE, T0 + 71 * HOUR)
    # the minute from which this run spent was of the true hour: both periods reach into it
    assert (budget.period_start_ns, budget.spent_msat, budget.room_msat()) == (T0, 55, -5)


def test_of_invented_periods_only_those_count_that_reach_into_the_true_one() -> None:
    budget = aligned()
    spent_of(budget, {T0 + 10 * HOUR: 1, T0 + 11 * HOUR: 10, T0 + 12 * HOUR: 20})
    budget.move(-2 * HOUR, T0 + 10 * HOUR + MINUTE, T0 + 10 * HOUR)
    # what was spent by 11 o'clock was spent at nine; that by 10 o'clock is kept too: nobody knows
    # what of it was true
    assert (budget.period_start_ns, budget.spent_msat) == (T0 + 10 * HOUR, 21)


@pytest.mark.parametrize("later", [0, HOUR])
def test_forwards_what_this_run_has_spent_counts_and_what_an_earlier_one_has_is_over(
    later: int,
) -> None:
    budget = aligned(inherited=30)
    spent_of(budget, {T0 + MINUTE: 20, T0 + later: 7})
    budget.move(72 * HOUR, T0 + 72 * HOUR + later + 30 * MINUTE, T0)
    counted = 7 if later else 27  # a period that ends where the true one begins has no part of it
    assert (budget.period_start_ns, budget.spent_msat) == (T0 + 72 * HOUR + later, counted)


def test_a_true_period_in_which_time_moves_is_the_same_as_before() -> None:
    for by_ns in (-MINUTE, MINUTE):
        budget = aligned(inherited=30)
        spent_of(budget, {T0 + 10 * MINUTE: 12})
        budget.move(by_ns, T0 + 10 * MINUTE + by_ns, T0 + 9 * MINUTE)
        assert (budget.period_start_ns, budget.spent_msat) == (T0, 42)


def test_forwards_of_the_period_before_only_that_part_counts_that_was_of_the_true_one() -> None:
    """A step of 12 s in the morning counted all of the day before: 5,800 sat of 100,000 were
    left.
    """
    half = 30 * MINUTE
    for begin, msat in ((T0, 100), (T0 + 59 * MINUTE + 40 * S, 7), (T0 + HOUR - 5 * S, 3)):
        budget = aligned()
        spent_of(budget, {T0: 30, begin: msat, T0 + HOUR + MINUTE: 11})
        budget.move(12 * S, T0 + HOUR + 5 * MINUTE + 12 * S, T0 - HOUR)
        counted = 0 if begin < T0 + HOUR - 17 * S else msat
        assert (budget.period_start_ns, budget.spent_msat) == (T0 + HOUR, 11 + counted)
        assert T0 not in budget.merged, "a refund of that goes to its own period"
    budget = aligned()
    spent_of(budget, {T0: 30, T0 + half: 20, T0 + HOUR + MINUTE: 11})
    budget.move(half, T0 + 2 * HOUR, T0 - HOUR)
    assert budget.spent_msat == 0, "what was spent in it lies before"
    # what was carried over keeps its place: the next step finds it near the end of the hour
    budget = aligned()
    spent_of(budget, {T0 + HOUR - 20 * S: 5})
    budget.move(12 * S, T0 + HOUR - 2 * S, T0)
    budget.roll(T0 + HOUR)
    budget.move(12 * S, T0 + HOUR + 30 * S, T0)
    assert budget.spent_msat == 5


def test_a_late_end_counts_where_it_was_planned() -> None:
    for planned_ns, counted in ((T0 + 10 * MINUTE, 0), (T0 + HOUR - S, 9)):
        budget = aligned()
        start_ns = budget.reserve(9)
        budget.roll(T0 + HOUR)
        budget.release(start_ns, 9, 9, planned_ns)
        budget.move(12 * S, T0 + HOUR + MINUTE, T0 - HOUR)
        assert budget.spent_msat == counted


def test_to_and_fro_nothing_is_forgotten() -> None:
    budget = aligned(inherited=30)
    spent_of(budget, {T0 + 72 * HOUR: 10})
    budget.move(-72 * HOUR, T0 + MINUTE, T0 + 72 * HOUR)
    budget.move(72 * HOUR, T0 + 72 * HOUR + 2 * MINUTE, T0)
    assert budget.spent_msat == 10, "the 30 are of three days before"
    budget.move(-72 * HOUR, T0 + 3 * MINUTE, T0 + 72 * HOUR)
    assert budget.spent_msat == 40, "and were spent in this hour"


def test_what_was_spent_before_is_known_again_when_a_clock_that_was_ahead_is_put_back() -> None:
    """3,000 sat of a day were paid twice."""
    budget = aligned()
    spent_of(budget, {T0 + MINUTE: 45})
    budget.move(10 * MINUTE, T0 + HOUR + 5 * MINUTE, T0)
    assert (budget.period_start_ns, budget.spent_msat) == (T0 + HOUR, 0)
    spent_of(budget, {T0 + HOUR + 6 * MINUTE: 3})
    budget.move(-10 * MINUTE, T0 + 57 * MINUTE, T0)
    assert (budget.period_start_ns, budget.spent_msat) == (T0, 48)


def test_what_is_open_at_the_end_of_an_hour_counts_in_the_next_if_that_had_begun() -> None:
    """Planned 4 s before the hour by a clock that is 13 s behind, and nothing else was paid in that
    hour: 110 of 60 sat were paid in the next.
    """
    house = House()
    house.add_key(1, 60_000, HOUR)
    house.open(
        1,
        rate=Rate(50_000, 1_800 * S, 1_800 * S),
        start_time_ns=T0 + HOUR - 4 * S,
        fee_floor_msat=0,
    )
    payment = house.pay(3_596)
    house.at(3_660)
    assert house.key_budget(1).room_msat() == 60_000
    shift(house, 13 * S, T0 - HOUR)
    budget = house.key_budget(1)
    assert (budget.room_msat(), budget.reserved_msat) == (10_000, 50_000)
    house.settle(payment)
    assert (budget.room_msat(), budget.reserved_msat) == (10_000, 0)


def test_the_hour_of_an_earlier_run_is_known_again_when_the_clock_comes_back() -> None:
    """A limit of 100 sat an hour let 191 go."""
    for back in (-HOUR, -HOUR + 20 * S):
        budget = free(T0, inherited=40)
        budget.move(HOUR, T0 + HOUR + 15 * MINUTE, T0 + 10 * MINUTE)
        budget.roll(T0 + HOUR + 16 * MINUTE)
        budget.move(back, T0 + 16 * MINUTE, T0 + HOUR + 10 * MINUTE)
        assert (budget.period_start_ns, budget.spent_msat) == (T0, 40)


@pytest.mark.parametrize("inherited", [0, 7])
def test_a_clock_that_is_put_right_again_and_again_loses_nothing(inherited: int) -> None:
    budget, now, sum_msat = free(T0, inherited), T0, inherited
    budget.limit_msat = 10_000
    for turn in range(60):
        spent_of(budget, {now + S: 10})
        sum_msat += 10
        now += 20 * S
        step = 12 * S if turn % 2 else -12 * S
        budget.move(step, now + step, T0 + MINUTE if inherited else T0 - HOUR)
        now += step
        assert budget.spent_msat == sum_msat and len(budget.passed) <= PERIODS_KEPT


def test_what_was_spent_in_an_hour_that_a_wrong_clock_had_before_is_known_at_its_end() -> None:
    """Of two periods of one start the older one was kept, and 110 of 60 sat were paid."""
    budget = aligned(at_ns=T0)
    for moment in (T0 + 5 * HOUR + MINUTE, T0 + 6 * HOUR):
        budget.roll(moment)
    budget.move(-2 * HOUR, T0 + 4 * HOUR + MINUTE, T0)
    spent_of(budget, {T0 + 5 * HOUR + MINUTE: 3, T0 + 6 * HOUR - 5 * S: 40})
    budget.roll(T0 + 6 * HOUR)
    budget.move(13 * S, T0 + 6 * HOUR + MINUTE, T0 - 2 * HOUR)
    assert (budget.period_start_ns, budget.spent_msat) == (T0 + 6 * HOUR, 40)


def test_a_refund_of_an_hour_that_only_the_wrong_clock_had_is_no_money_of_the_true_one() -> None:
    """Of the same start: 110 of 60 sat were paid in it."""
    budget = aligned()
    spent_of(budget, {T0 + HOUR + MINUTE: 50})
    budget.move(-HOUR, T0 + 2 * MINUTE, T0 + HOUR)
    assert (budget.period_start_ns, budget.spent_msat) == (T0, 50)
    spent_of(budget, {T0 + HOUR + MINUTE: 45})
    budget.release(T0 + HOUR, 0, -50, T0 + HOUR + MINUTE)
    assert (budget.period_start_ns, budget.spent_msat) == (T0 + HOUR, 45)


def test_a_refund_alone_is_no_money() -> None:
    """What was spent lies elsewhere, for our time has moved since: -50 counted, and 110 of 60 could
    be paid.
    """
    budget = aligned()
    spent_of(budget, {T0 + MINUTE: 50})
    budget.release(T0, 0, -50, T0 + 59 * MINUTE + 50 * S)
    assert budget.spent_msat == 0
    budget.roll(T0 + HOUR)
    budget.move(13 * S, T0 + HOUR + MINUTE, T0 - HOUR)
    assert budget.spent_msat == 0


def test_no_more_is_kept_of_a_budget_than_two_periods_before() -> None:
    budget = aligned()
    for hour in range(20):
        spent_of(budget, {T0 + hour * HOUR: 1})
        assert [one.start_ns for one in budget.passed] == [
            T0 + before * HOUR for before in range(max(0, hour - 2), hour)
        ]


def test_many_steps_are_one_step_of_their_sum() -> None:
    """12 s and then half an hour counted a quarter of what one step counted; 12 s each hour counted
    the whole day before after a few of them.
    """
    for steps in ((30 * MINUTE,), (12 * S, 30 * MINUTE - 12 * S), (MINUTE,) * 30):
        budget, now = aligned(), T0 + 59 * MINUTE
        spent_of(budget, {T0 + minute * MINUTE: 1 for minute in range(59)})
        for step in steps:
            now += step
            budget.move(step, now, T0 - HOUR)
        assert budget.period_start_ns == T0 + HOUR
        assert 29 <= budget.spent_msat <= 59 and len(budget.passed) <= PERIODS_KEPT
        assert budget.spent_msat < 59 or steps == (30 * MINUTE,) or len(steps) == 2
    budget, now = Budget(50, 24 * HOUR), T0 - T0 % (24 * HOUR)
    for day in range(5):
        for hour in range(24):
            at = now + day * 24 * HOUR + hour * HOUR
            spent_of(budget, {at: 1})
            budget.move(12 * S, at + 12 * S, now)
        assert 24 <= budget.spent_msat <= 26, day


def free(start_ns: int, inherited: int = 0) -> Budget:
    budget = Budget(50, HOUR, aligned=False)
    budget.begin(start_ns, inherited)
    return budget


def test_a_period_without_a_grid_that_this_run_has_begun_moves_with_the_time() -> None:
    for by_ns in (-72 * HOUR, 72 * HOUR):
        budget = free(0)
        spent_of(budget, {T0: 20})
        budget.move(by_ns, T0 + MINUTE + by_ns, T0)
        assert (budget.period_start_ns, budget.spent_msat) == (T0 + by_ns, 20)


def test_a_period_without_a_grid_of_an_earlier_run_that_goes_on_is_the_present_one_again() -> None:
    budget = free(T0, inherited=30)
    spent_of(budget, {T0 + 72 * HOUR: 20})
    budget.move(-72 * HOUR + MINUTE, T0 + 2 * MINUTE, T0 + 72 * HOUR)
    assert (budget.period_start_ns, budget.spent_msat) == (T0, 50)


def test_a_period_without_a_grid_that_an_earlier_run_began_in_the_future_moves_too() -> None:
    budget = free(T0 + 72 * HOUR, inherited=30)
    spent_of(budget, {T0 + 72 * HOUR + MINUTE: 20})
    budget.move(-72 * HOUR, T0 + MINUTE, T0 + 72 * HOUR + 1)
    assert (budget.period_start_ns, budget.spent_msat) == (T0, 50)


def test_forwards_a_period_without_a_grid_that_is_over_leaves_what_this_run_has_spent() -> None:
    budget = free(T0, inherited=30)
    spent_of(budget, {T0 + MINUTE: 20})
    budget.move(72 * HOUR, T0 + 72 * HOUR + MINUTE, T0 + 1)
    assert (budget.period_start_ns, budget.spent_msat) == (T0 + 72 * HOUR + MINUTE, 20)


def test_a_total_budget_has_no_period_that_could_move() -> None:
    budget = Budget(50, None)
    budget.release(budget.reserve(20), 20, 20, T0)
    budget.reserve(5)
    assert budget.move(-DAY_NS, T0, T0 + DAY_NS) == frozenset()
    assert (budget.period_start_ns, budget.spent_msat, budget.reserved_msat) == (0, 20, 5)


# -- streams ---------------------------------------------------------------------------------------


DAYS = 72 * HOUR
AHEAD_SECONDS = DAYS // S


def starving(house: House, api_key: int = 0, **terms: object) -> Stream:
    """A stream that has spent its budget, or its key's, of 10 sat an hour, in an hour three days
    ahead.
    """
    house.at(AHEAD_SECONDS)
    if not api_key:
        terms["budget"] = budget_of(10_100, HOUR)
    stream = house.open(api_key, start_time_ns=house.now_ns, **terms)
    assert total_msat(run(house, AHEAD_SECONDS + 60)) == 10_000
    assert stream.state is StreamState.STALLED
    return stream


def put_back(house: House, crash: bool) -> None:
    shift(house, -DAYS, since_ns=T0 + DAYS)
    if crash:
        house.crash()


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("api_key", [0, 1])
def test_a_stream_without_budget_is_paid_again_in_the_next_hour_and_not_before(
    api_key: int, crash: bool
) -> None:
    house = House()
    house.add_key(1, 10_100, HOUR)
    stream = starving(house, api_key)
    put_back(house, crash)
    stream = house.again(stream)
    assert house.book.next_attempt_ns(stream, house.now_ns) == T0 + HOUR
    assert run(house, 3_599) == []
    assert total_msat(run(house, 3_660)) == 10_000
    assert total_msat(run(house, 2 * 3_600 + 60)) == 10_000


@pytest.mark.parametrize("crash", [False, True])
def test_a_stream_that_is_paused_meanwhile_finds_the_renewed_budget_when_it_is_resumed(
    crash: bool,
) -> None:
    house = House()
    stream = starving(house)
    house.pause(stream)
    put_back(house, crash)
    stream = house.again(stream)
    house.at(3_700)
    house.resume(stream)
    assert stream.state is StreamState.ACTIVE
    assert total_msat(run(house, 3_760)) == 10_000


def test_a_stream_of_an_earlier_run_is_not_paid_beyond_what_that_has_left_of_the_hour() -> None:
    house = House()
    stream = house.open(budget=budget_of(10_100, HOUR), start_time_ns=T0, catch_up_ns=0)
    assert total_msat(run(house, 4)) == 5_000
    house.crash()
    of_an_earlier_run(house)
    house.at(AHEAD_SECONDS)
    assert total_msat(run(house, AHEAD_SECONDS + 2)) == 10_000
    shift(house, -DAYS + 60 * S, since_ns=T0 + DAYS)
    own = house.book.budgets.own(house.again(stream), house.now_ns)
    assert own is not None and own.spent_msat == 15_000


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("end", ["settle", "fail", "write off"])
def test_what_is_open_stays_reserved_on_every_level_and_its_end_counts_there(
    end: str, crash: bool
) -> None:
    house = House()
    house.add_key(1, 10_100, HOUR)
    house.at(AHEAD_SECONDS)
    stream = house.open(1, budget=budget_of(10_100, HOUR), start_time_ns=house.now_ns)
    payment = house.pay(AHEAD_SECONDS)
    put_back(house, crash)
    stream, payment = house.again(stream), house.payment(payment.row)
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None
    levels = [own, house.key_budget(1), house.book.budgets.spend_limit]
    assert [budget.reserved_msat for budget in levels] == [1_100] * 3
    match end:
        case "settle":
            house.settle(payment, fee_msat=7)
        case "fail":
            house.fail(payment)
        case _:
            house.write_off(payment)
    spent = {"settle": 1_007, "fail": 0, "write off": 1_100}[end]
    assert [(budget.spent_msat, budget.reserved_msat) for budget in levels] == [(spent, 0)] * 3
    assert stream.account.period_start_ns == T0 and stream.account.period_spent_msat == spent


@pytest.mark.parametrize("crash", [False, True])
def test_forwards_the_reserve_of_this_run_counts_and_that_of_an_earlier_one_stays_in_its_period(
    crash: bool,
) -> None:
    house = House()
    house.add_key(1, 10_100, HOUR)
    stream = house.open(1, budget=budget_of(10_100, HOUR), max_open_payments=3)
    house.settle(house.pay(0))
    first = house.pay(1)
    house.crash()
    stream = house.again(stream)
    since_ns = house.now_ns + S
    second = house.pay(3)
    shift(house, DAYS, since_ns)
    if crash:
        house.crash()
        stream = house.again(stream)
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None
    levels = [own, house.key_budget(1), house.book.budgets.spend_limit]
    assert [(budget.spent_msat, budget.reserved_msat) for budget in levels] == [
        (0, second.amount_msat + 100)
    ] * 3
    house.settle(house.payment(first.row))
    house.settle(house.payment(second.row))
    assert [(budget.spent_msat, budget.reserved_msat) for budget in levels] == [
        (second.amount_msat, 0)
    ] * 3


@pytest.mark.parametrize("crash", [False, True])
def test_what_is_open_in_the_true_period_may_end_in_the_invented_one(crash: bool) -> None:
    house = House()
    stream = house.open(budget=budget_of(20_100, HOUR), max_open_payments=3)
    ended, still = house.pay(0), house.pay(1)
    if crash:
        house.crash()
    house.at(AHEAD_SECONDS)
    assert house.plan()
    house.settle(house.payment(ended.row), fee_msat=7)
    shift(house, -DAYS + MINUTE, since_ns=T0 + DAYS)
    own = house.book.budgets.own(house.again(stream), house.now_ns)
    assert own is not None and own.period_start_ns == T0
    others = sum(payment.amount_msat + 100 for payment in house.book.payments.values())
    assert still.row in house.book.payments and (own.spent_msat, own.reserved_msat) == (
        1_007,
        others,
    )


def test_a_true_period_is_known_after_a_crash_with_intents_of_the_invented_one_only() -> None:
    """At a start no period begins by time, but with the first payment that is open in it."""
    stream = stream_of(
        terms_of(budget=budget_of(20_100, HOUR)), period_start_ns=T0, period_spent_msat=1_007
    )
    budgets = Budgets(Budget(PLENTY_MSAT, HOUR, aligned=False))
    budgets.time_known = False
    own = budgets.own(stream, T0 + DAYS)
    payment = payment_of(stream, 1_000, 100)
    payment.period_start_ns = T0 + DAYS
    budgets.reserve(payment)
    budgets.move(-DAYS, T0 + MINUTE, T0 + DAYS, [payment])
    assert own is not None
    assert (own.period_start_ns, own.spent_msat, own.reserved_msat) == (T0, 1_007, 1_100)


def test_what_no_shift_of_the_streams_writes_is_durable_too() -> None:
    house = House()
    house.at(AHEAD_SECONDS)
    stream = house.open(budget=budget_of(20_100, HOUR), start_time_ns=house.now_ns)
    house.settle(house.pay(AHEAD_SECONDS))
    facts = Facts()
    shift_periods([house.book], house.book.budgets, Shift(-DAYS, house.now_ns, house.now_ns), facts)
    house.commit(facts)
    house.at(60)
    house.crash()
    account = house.again(stream).account
    assert (account.period_start_ns, account.period_spent_msat) == (T0, 1_000)


def test_a_refund_of_what_ended_in_the_invented_period_comes_back_to_the_present_one() -> None:
    house = House()
    house.at(AHEAD_SECONDS)
    stream = house.open(budget=budget_of(10_100, HOUR), start_time_ns=house.now_ns)
    payment = house.pay(AHEAD_SECONDS)
    house.write_off(payment)
    put_back(house, crash=False)
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None and own.spent_msat == 1_100
    house.fail(payment)
    assert own.spent_msat == house.book.budgets.spend_limit.spent_msat == 0


def test_a_single_payment_that_is_open_stays_reserved_after_a_crash() -> None:
    house = House()
    house.add_key(1, 10_100, HOUR)
    house.at(AHEAD_SECONDS)
    assert isinstance(single(house, 10_000, 1), Payment)
    put_back(house, crash=True)
    assert (
        house.key_budget(1).reserved_msat == 10_100 == house.book.budgets.spend_limit.reserved_msat
    )
    house.at(3_600)
    assert house.key_budget(1).room_msat() == 10_100


@pytest.mark.parametrize("crash", [False, True])
def test_the_hour_of_the_spend_limit_ends_after_an_hour(crash: bool) -> None:
    house = House(spend_limit_msat=100_000)
    house.at(AHEAD_SECONDS)
    house.open(start_time_ns=house.now_ns)
    run(house, AHEAD_SECONDS + 59)
    assert (house.book.budgets.spend_limit.period_start_ns, house.switch.sending) == (
        T0 + DAYS,
        True,
    )
    put_back(house, crash)
    limit = house.book.budgets.spend_limit
    assert (limit.period_start_ns, limit.spent_msat) == (T0, 60_000)
    paid = 0
    for second in range(60, 200):
        house.at(second)
        for payment in house.plan():
            house.settle(payment)
            paid += payment.amount_msat
    assert paid == 39_000
    assert Halt.SPEND_LIMIT in house.switch.halts, "no more than it allows in its hour, either"


def test_a_slow_stream_is_not_stopped_by_a_spend_limit_that_counts_for_days() -> None:
    house = House(spend_limit_msat=100_000)
    house.at(AHEAD_SECONDS)
    house.open(start_time_ns=house.now_ns, budget=budget_of(60_100, HOUR), catch_up_ns=0)
    run(house, AHEAD_SECONDS + 60)
    put_back(house, crash=False)
    assert total_msat(run(house, 4 * 3_600 - 60)) == 3 * 60_000
    assert house.switch.sending


# -- any course of things --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_a_replay_has_the_same_budgets_and_reserves_are_those_of_open_payments(
    seed: int,
) -> None:
    chance = random.Random(seed)
    house = House(spend_limit_msat=60_000)
    house.add_key(1, 20_000, chance.choice((MINUTE, HOUR, DAY_NS)))
    house.now_ns += chance.randrange(30) * DAY_NS
    since_ns = house.now_ns
    for _ in range(3):
        house.open(
            1,
            start_time_ns=house.now_ns,
            budget=budget_of(9_000, chance.choice((MINUTE, HOUR, DAY_NS))),
            max_open_payments=3,
        )
    written_off: list[Payment] = []
    for _ in range(60):
        house.now_ns += chance.choice((S, 20 * S, 10 * MINUTE, HOUR))
        house.plan()
        for payment in [one for one in house.book.payments.values() if chance.random() < 0.5]:
            if chance.random() < 0.1:
                house.write_off(payment)
                written_off.append(payment)
            else:
                chance.choice((house.settle, house.settle, house.fail))(payment)
        if written_off and chance.random() < 0.1:
            house.fail(written_off.pop())
        if chance.random() < 0.15:
            by_ns = chance.choice((-1, 1)) * chance.choice(
                (11 * S, 10 * MINUTE, 3 * HOUR, 2 * DAY_NS)
            )
            shift(house, by_ns, since_ns)
            since_ns += by_ns
        check(house)
        if chance.random() < 0.2:
            before = sums(house)
            house.crash()
            since_ns, written_off = house.now_ns, []
            assert sums(house) == before
        if not house.switch.sending:
            house.now_ns += S
            house.switch.lift(Halt.SPEND_LIMIT)
            house.book.budgets.spend_limit.begin(house.now_ns)
            house.commit(Facts(spends=[house.book.budgets.spend()]))


def levels_of(house: House) -> list[Budget]:
    own = [house.book.budgets.own(stream, house.now_ns) for stream in house.book.streams.values()]
    return [
        house.book.budgets.spend_limit,
        house.key_budget(1),
        *(budget for budget in own if budget is not None),
    ]


def sums(house: House) -> list[tuple[int, int, int]]:
    return [
        (budget.period_start_ns, budget.spent_msat, budget.reserved_msat)
        for budget in levels_of(house)
    ]


def check(house: House) -> None:
    budgets = levels_of(house)
    assert all(budget.period_start_ns <= house.now_ns for budget in budgets)
    assert all(budget.reserved_msat >= 0 for budget in budgets)
    for stream in house.book.streams.values():
        check_conservation(stream)
        if stream.short_of is not Reason.NONE:
            assert stream.short_until_ns <= house.now_ns + DAY_NS, "nobody waits for days"


def test_no_period_without_a_grid_begins_in_the_future_however_far_a_run_was_ahead() -> None:
    limit = Budget(1_000, HOUR, aligned=False)
    limit.begin(T0 + 5 * HOUR, 700)  # of a run that was ahead by more than this one
    limit.move(-HOUR, T0 + HOUR, T0 + 2 * HOUR)
    assert (limit.period_start_ns, limit.spent_msat) == (T0 + HOUR, 700)
