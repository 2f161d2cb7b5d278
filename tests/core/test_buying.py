"""What a payment buys, and what is skipped (docs/streams.md)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.core.buying import Levels, Nothing, Purchase, buy, buy_within, cap_msat
from streamer.core.ledger import Budget
from streamer.core.outages import Outages
from streamer.core.schedule import change_rate
from streamer.words.model import Facts, Rate, Stream
from streamer.words.reasons import Reason
from tests.core.house import HOUR, MINUTE, T0, House, S, budget_of, stream_of, terms_of


def bought(
    stream: Stream,
    second: float,
    probe: bool = False,
    cap: int | None = None,
    room: int | None = None,
    **down: Any,
) -> Purchase:
    made = buy(
        stream,
        T0 + int(second * S),
        probe,
        cap,
        room,
        (down.get("outages") or Outages(), Outages()),
    )
    assert isinstance(made, Purchase), made
    return made


def down(*spans: tuple[float, float]) -> Outages:
    outages = Outages()
    for start, end in spans:
        outages.add("down", T0 + int(start * S), T0 + int(end * S), Facts())
    return outages


# -- amounts ------------------------------------------------------------------------------------


def test_one_interval_in_advance_and_late_ones_buy_the_gap_too() -> None:
    assert (bought(stream_of(), 0).amount_msat, bought(stream_of(), 0).until_ns) == (1_000, S)
    late = bought(stream_of(), 12.3)
    assert (late.amount_msat, late.until_ns, late.skip_ns) == (13_000, 13 * S, 0)


def test_only_time_that_comes_to_the_minimum_payment_is_bought() -> None:
    slow = stream_of(terms_of(rate=Rate(300, S, S)))
    assert (bought(slow, 0).amount_msat, bought(slow, 0).until_ns) == (1_200, 4 * S)


def test_a_probe_neither_skips_nor_buys_more_than_it_must() -> None:
    stream = stream_of(terms_of(catch_up_ns=0))
    probe = bought(stream, 500, probe=True, outages=down((0, 500)))
    assert (probe.amount_msat, probe.until_ns, probe.skip_ns) == (1_000, S, 0)


def test_the_cap_ends_the_purchase_where_the_money_ends() -> None:
    stream = stream_of(terms_of(rate=Rate(1_000, 3 * S, 3 * S)))
    capped = bought(stream, 100, cap=10_001)
    assert (capped.amount_msat, capped.until_ns) == (10_001, 30 * S + 3_000_000)


def test_a_credit_shortens_the_next_purchase() -> None:
    stream = stream_of(settled_msat=3_500, bought_until_ns=2 * S, owed_msat=-1_500, seq=2)
    assert bought(stream, 3.5).amount_msat == 1_500
    assert bought(stream, 3.5).until_ns == 5 * S


@pytest.mark.parametrize(("end", "cap", "amounts"), [
    (10.0, None, [10_000]), (10.5, None, [10_500]), (10.5, 10_000, [9_500, 1_000]),
    (3.0, 2_500, [2_000, 1_000]), (1.9, 1_500, [1_500]), (2.0, 1_500, [1_000, 1_000]),
    (2.7, 1_000, [1_000, 1_000]), (0.9, None, []),
])  # fmt: skip
def test_the_last_remainder_goes_into_the_payment_before(
    end: float, cap: int | None, amounts: list[int]
) -> None:
    stream, paid = stream_of(terms_of(end_time_ns=T0 + int(end * S))), list[int]()
    while isinstance(
        made := buy(stream, T0 + 60 * S, False, cap, None, (Outages(), Outages())), Purchase
    ):
        paid.append(made.amount_msat)
        stream.account.settled_msat += made.amount_msat
        stream.account.bought_until_ns = made.until_ns
    assert made is Nothing.ENDED and paid == amounts


def test_the_last_remainder_goes_in_before_the_end_comes() -> None:
    stream = stream_of(terms_of(end_time_ns=T0 + int(2.4 * S)))
    assert bought(stream, 0).amount_msat == 1_000
    stream.account.settled_msat, stream.account.bought_until_ns = 1_000, S
    assert (bought(stream, 1).amount_msat, bought(stream, 1).until_ns) == (1_400, int(2.4 * S))


def test_as_much_of_the_last_remainder_as_fits_goes_into_the_payment_before() -> None:
    """1,900 to the end, and room for 1,500: not the 1,000 up to the grid moment, after which 900
    could never be paid.
    """
    for budget, cap, room in (
        (None, 1_500, None),
        (budget_of(5_000, HOUR), None, 1_600),
        (budget_of(5_000), None, 1_600),
    ):
        made = bought(
            stream_of(terms_of(end_time_ns=T0 + int(1.9 * S), budget=budget)), 0, cap=cap, room=room
        )
        assert (made.amount_msat, made.until_ns) == (1_500, int(1.5 * S))


def test_the_rest_of_a_total_budget_goes_into_the_payment_before() -> None:
    stream = stream_of(terms_of(budget=budget_of(5_000)))
    assert bought(stream, 0, room=3_199).amount_msat == 1_000
    stretched = bought(stream, 0, room=2_099)
    assert (stretched.amount_msat, stretched.until_ns) == (1_999, int(1.999 * S))
    assert bought(stream, 0, room=2_100).amount_msat == 1_000, "another payment may still fit"
    assert bought(stream, 0, cap=1_500, room=2_099).amount_msat == 1_500
    renewing = stream_of(terms_of(budget=budget_of(5_000, HOUR)))
    assert bought(renewing, 0, room=2_099).amount_msat == 1_000


def test_the_largest_payment_that_fits_if_it_reaches_the_minimum() -> None:
    stream = stream_of(terms_of(budget=budget_of(5_000, HOUR)))
    assert bought(stream, 10, room=4_321).amount_msat == 4_221
    assert bought(stream, 10, room=1_100).amount_msat == 1_000
    assert buy(stream, T0, False, None, 1_099, (Outages(), Outages())) is Nothing.NO_ROOM


def test_a_renewing_budget_leaves_no_remainder_that_is_too_small_to_pay() -> None:
    stream = stream_of(terms_of(budget=budget_of(5_000, HOUR), end_time_ns=T0 + 5 * S))
    assert bought(stream, 60, room=4_600).amount_msat == 4_000, "500 would be left for ever"


def test_the_cap_is_the_users_or_half_of_the_largest_channel_and_halved_on_no_route() -> None:
    stream = stream_of()
    assert cap_msat(stream, None) is None and cap_msat(stream, 9_000_001) == 4_500_000
    stream.account.probe_cap_msat = 2_000
    assert cap_msat(stream, None) == cap_msat(stream, 9_000_000) == 2_000
    stream.account.probe_cap_msat = 10
    assert cap_msat(stream, 900) == 1_000, "never below the minimum payment"
    assert cap_msat(stream_of(terms_of(max_payment_msat=7_000)), 10**9) == 7_000


# -- what is skipped ----------------------------------------------------------------------------


@given(
    st.integers(0, 400),
    st.integers(0, 400),
    st.integers(0, 400),
    st.one_of(st.none(), st.integers(0, 400)),
    st.integers(0, 400),
)
def test_skip_is_the_impossible_part_of_the_gap_beyond_catch_up(
    covered: int, one: int, two: int, catch_up: int | None, now: int
) -> None:
    start, end = min(one, two), max(one, two)
    stream = stream_of(
        terms_of(catch_up_ns=None if catch_up is None else catch_up * S),
        bought_until_ns=covered * S,
        settled_msat=covered * 1_000,
    )
    outage = max(0, min(end, now) - max(start, covered))
    wanted = 0 if catch_up is None else max(0, min(outage, now - covered - catch_up))
    assert bought(stream, now, outages=down((start, end))).skip_ns == wanted * S


def test_the_skip_is_taken_out_before_the_purchase() -> None:
    stream = stream_of(terms_of(catch_up_ns=5 * MINUTE))
    made = bought(stream, 3_600, outages=down((0, 3_600)))
    assert (made.skip_ns, made.skip_msat) == (3_300 * S, 3_300_000)
    assert (made.amount_msat, made.until_ns) == (301_000, 301 * S)


def test_a_short_restart_does_not_skip_the_time_in_our_own_queue() -> None:
    stream = stream_of(terms_of(catch_up_ns=5 * MINUTE))
    assert bought(stream, 362, outages=down((360, 362))).skip_ns == 2 * S


def test_an_outage_inside_bought_time_costs_nothing() -> None:
    stream = stream_of(
        terms_of(catch_up_ns=5 * MINUTE), bought_until_ns=3_600 * S, settled_msat=3_600_000
    )
    assert bought(stream, 3_960, outages=down((0, 3_600))).skip_ns == 0


def test_reserved_time_is_not_in_the_gap() -> None:
    stream = stream_of(
        terms_of(catch_up_ns=0, max_open_payments=2), bought_until_ns=100 * S, settled_msat=40_000
    )
    stream.reserved_msat = 60_000
    assert bought(stream, 150, outages=down((0, 150))).skip_ns == 50 * S


def test_what_a_plan_has_counted_is_not_counted_again() -> None:
    stream = stream_of(terms_of(catch_up_ns=0), counted_until_ns=T0 + 80 * S)
    assert bought(stream, 100, outages=down((0, 90))).skip_ns == 10 * S


def test_overlapping_causes_count_once() -> None:
    stream = stream_of(terms_of(catch_up_ns=0))
    stream.spans = ((T0 + 10 * S, T0 + 50 * S),)
    made = buy(stream, T0 + 100 * S, False, None, None, (down((0, 20)), down((40, 60))))
    assert isinstance(made, Purchase) and made.skip_ns == 60 * S


def test_a_skip_takes_the_oldest_time_at_its_old_rate() -> None:
    stream = stream_of(terms_of(catch_up_ns=100 * S))
    stream.segments = change_rate(stream.segments, 100 * S, Rate(2_000, S, S))
    made = bought(stream, 300, outages=down((0, 50)))
    assert (made.skip_ns, made.skip_msat) == (50 * S, 50_000)
    assert made.amount_msat == 50_000 + 201 * 2_000, (
        "what was unpaid before the new rate keeps its own"
    )


def test_catch_up_ends_with_the_stream() -> None:
    stream = stream_of(terms_of(catch_up_ns=10 * S, end_time_ns=T0 + 100 * S))
    made = bought(stream, 500, outages=down((0, 500)))
    assert (made.skip_ns, made.amount_msat) == (90 * S, 10_000)


# -- over time, on a book -------------------------------------------------------------------------


def test_short_outages_add_up_and_none_counts_twice() -> None:
    house = House()
    stream = house.open(catch_up_ns=0)
    first = house.pay(0)
    house.node_down(2, 3)
    house.node_down(5, 7)
    house.at(10)
    house.settle(first)
    second = house.pay(10)
    assert (second.skip_ns, second.amount_msat) == (3 * S, 7_000)
    house.settle(second)
    house.crash()
    third = house.pay(11)
    assert (third.skip_ns, house.again(stream).skipped_ns) == (0, 3 * S)


def test_a_plan_counts_what_it_need_not_skip() -> None:
    house = House()
    house.open(catch_up_ns=60 * S, max_payment_msat=5_000)
    house.node_down(0, 40)
    first = house.pay(50)
    house.settle(first)
    assert first.skip_ns == 0
    assert house.pay(300).skip_ns == 0, "the gap of now was possible to pay"


@pytest.mark.parametrize("away", [14, 16])
def test_a_receiver_that_is_away_longer_is_never_paid_for_less_absence(away: int) -> None:
    house = House(stall_after=3)
    stream = house.open(catch_up_ns=5 * MINUTE)
    failures = 0
    while house.now_ns < T0 + away * MINUTE:
        due = house.book.due_ns(stream)
        assert due is not None
        house.now_ns = max(due, house.now_ns)
        if house.now_ns >= T0 + away * MINUTE:
            break
        for payment in house.plan():
            house.fail(payment)
            failures += 1
    assert failures > 3
    house.at(away * 60)
    house.resume(stream)
    [probe] = house.plan()
    assert probe.probe and probe.skip_ns == 0
    house.settle(probe)
    house.at(away * 60 + 1)
    [after] = house.plan()
    assert probe.amount_msat + after.amount_msat <= 302_000, (
        "five minutes, and what is bought ahead"
    )
    assert stream.skipped_ns + 302 * S >= (away * 60) * S


def test_no_budget_is_an_outage_from_the_first_plan_refused() -> None:
    house = House()
    stream = house.open(catch_up_ns=0, budget=budget_of(2_200, HOUR))
    for second in (0, 1):
        house.settle(house.pay(second), fee_msat=100)
    house.idle(2)
    assert stream.reason is Reason.BUDGET_PERIOD
    house.idle(3_599)
    again = house.pay(3_600)
    assert again.skip_ns == (3_600 - 2) * S and again.amount_msat == 1_000


def test_a_row_of_failures_that_no_plan_counted_is_not_forgotten_by_the_next_row() -> None:
    house = House()
    stream = house.open(catch_up_ns=0, max_open_payments=3)
    first, second, third = house.pay(0), house.pay(1), house.pay(2)
    for second_of, payment, act in (
        (3, first, House.fail),
        (40, second, House.settle),
        (41, third, House.fail),
    ):
        house.at(second_of)
        act(house, payment)
    house.crash()
    house.idle(45)
    assert house.pay(50).skip_ns == ((40 - 3) + (50 - 41)) * S
    assert house.again(stream).spans == ()


def test_a_row_goes_on_over_the_plans_made_in_it() -> None:
    house = House()
    house.open(catch_up_ns=0)
    house.fail(house.pay(0))
    again = house.pay(5)
    house.at(35)
    house.fail(again)
    assert (again.skip_ns, house.pay(46).skip_ns) == (5 * S, 41 * S)


# -- levels -------------------------------------------------------------------------------------


def within(
    stream: Stream,
    second: float,
    whole: int,
    cap: int | None = None,
    key: int | None = None,
    probe: bool = False,
) -> Purchase:
    """What is bought with a spend limit of whole, and a turn of so much at the key's budget."""
    levels = Levels(None, key, whole)
    made = buy_within(
        stream, T0 + int(second * S), probe, cap, levels, (down((0, second)), Outages())
    )
    assert isinstance(made, Purchase), made
    return made


def test_the_smallest_bound_counts() -> None:
    stream = stream_of()
    assert within(stream, 60, 10**9).amount_msat == 61_000
    assert within(stream, 60, 10**9, cap=5_000, key=3_100).amount_msat == 3_000
    assert within(stream, 60, 10**9, cap=2_000, key=3_100).amount_msat == 2_000
    assert within(stream, 60, 10**9, cap=None, key=3_100).amount_msat == 3_000
    assert within(stream, 60, 3_100, cap=5_000).amount_msat == 3_000
    assert within(stream, 60, 3_100, cap=5_000, key=2_100).amount_msat == 2_000
    account_capped = stream_of(terms_of(max_payment_msat=5_000), probe_cap_msat=8_000)
    assert (cap_msat(account_capped, None), cap_msat(account_capped, 10**9)) == (5_000, 5_000)


@pytest.mark.parametrize(
    ("whole", "amount"),
    [(3_099, 2_999), (3_100, 3_000), (3_101, 3_000), (3_050, 2_950), (3_000, 2_900)],
)
def test_amount_and_fee_limit_together_fit_into_the_whole_spend_limit(
    whole: int, amount: int
) -> None:
    assert within(stream_of(), 2, whole).amount_msat == amount


@pytest.mark.parametrize(("probe", "skip"), [(False, 60), (True, 0)])
def test_a_payment_made_smaller_for_the_spend_limit_skips_as_it_would_have(
    probe: bool, skip: int
) -> None:
    stream = stream_of(terms_of(catch_up_ns=0, rate=Rate(1_000, S, 5 * S)))
    made = within(stream, 60, 3_100, probe=probe)
    assert (made.amount_msat, made.skip_ns) == (3_000, skip * S)


def test_no_remainder_that_no_payment_could_buy_is_left_for_the_end() -> None:
    stream = stream_of(terms_of(end_time_ns=T0 + int(3.5 * S)))
    for cap, amount in (
        (3_500, 3_500),
        (3_499, 2_500),
        (2_501, 2_500),
        (2_500, 2_500),
        (2_499, 2_499),
    ):
        assert bought(stream, 3.2, cap=cap).amount_msat == amount


def test_the_last_of_a_total_budget_goes_in_one_payment() -> None:
    stream = stream_of(
        terms_of(
            end_time_ns=T0 + int(3.5 * S),
            fee_floor_msat=0,
            fee_limit_ppm=10**6,
            budget=budget_of(6_000),
        )
    )
    assert bought(stream, 3.2, room=6_000).amount_msat == 3_000, "and its fees the other half"


def test_a_cap_that_bounds_nothing_makes_the_last_of_a_total_budget_no_smaller() -> None:
    """3,500 to the end, and a budget for 2,900: 2,500 and a fee as large would leave 800, and not
    the 1,000 for the end.
    """
    stream = stream_of(
        terms_of(
            end_time_ns=T0 + int(3.5 * S),
            fee_floor_msat=0,
            fee_limit_ppm=10**6,
            budget=budget_of(5_800),
        )
    )
    for cap, amount in (
        (None, 2_900),
        (3_500, 2_900),
        (3_499, 2_900),
        (2_901, 2_900),
        (2_900, 2_500),
        (2_899, 2_500),
    ):
        assert bought(stream, 3.2, cap=cap, room=5_800).amount_msat == amount


def of_total(stream: Stream, second: float, room: int, whole: int) -> int:
    """What is bought out of a total budget with so much room, and a spend limit of whole."""
    made = buy_within(
        stream,
        T0 + int(second * S),
        False,
        None,
        Levels(Budget(room, None), None, whole),
        (Outages(), Outages()),
    )
    assert isinstance(made, Purchase), made
    return made.amount_msat


def test_a_total_budget_goes_as_far_as_the_spend_limit_lets_it_when_no_other_payment_fits() -> None:
    stream = stream_of(terms_of(rate=Rate(2_900, S, S), budget=budget_of(3_900)))
    assert of_total(stream, 0, 3_900, 10**9) == 3_800, "800 that no payment could buy go with it"
    assert of_total(stream, 0, 3_900, 3_100) == 3_000
    assert of_total(stream, 0, 4_100, 3_100) == 2_900, "1,000 are left for another one"


def test_a_spend_limit_that_just_fits_makes_nothing_smaller() -> None:
    stream = stream_of(
        terms_of(
            end_time_ns=T0 + int(3.5 * S),
            fee_floor_msat=0,
            fee_limit_ppm=10**6,
            budget=budget_of(6_000),
        )
    )
    assert of_total(stream, 3.2, 6_000, 6_000) == 3_000
