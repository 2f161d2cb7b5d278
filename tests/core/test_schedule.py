"""Prices and moments: exact, inverse to each other, and unchanged by what happens to segments."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streamer.core.schedule import (
    buy_until_ns,
    change_rate,
    drop_passed,
    exceeds_max_rate,
    grid_after_ns,
    grid_from_ns,
    moment_ns,
    price_msat,
    remove_time,
)
from streamer.words.model import Rate, Segment
from streamer.words.money import MAX_MSAT

YEARS_NS = 10 * 365 * 86_400 * 10**9


@st.composite
def rates(draw: st.DrawFn) -> Rate:
    interval = draw(st.integers(1, 10**12))
    amount = draw(st.integers(1, interval))
    return Rate(amount, interval, draw(st.integers(1, 10**12)))


@st.composite
def segment_lists(draw: st.DrawFn) -> list[Segment]:
    segments = [Segment(0, 0, draw(rates()))]
    for _ in range(draw(st.integers(0, 4))):
        at = segments[-1].start_ns + draw(st.integers(0, 10**13))
        segments = change_rate(segments, at, draw(rates()))
    return segments


moments = st.integers(0, 5 * 10**13)


def test_the_price_is_the_whole_part_of_the_exact_price() -> None:
    segments = [Segment(0, 0, Rate(50_000, 60 * 10**9, 10**9))]
    assert [price_msat(segments, second * 10**9) for second in (0, 1, 2, 6, 60)] == [
        0,
        833,
        1_666,
        5_000,
        50_000,
    ]
    assert price_msat(segments, 1_200_000) == 1 and price_msat(segments, 1_199_999) == 0


@given(rates(), st.integers(0, YEARS_NS))
def test_nothing_is_lost_over_years(rate: Rate, at_ns: int) -> None:
    exact = Fraction(at_ns * rate.amount_msat, rate.interval_ns)
    assert 0 <= exact - price_msat([Segment(0, 0, rate)], at_ns) < 1


@given(segment_lists(), st.integers(0, 10**13))
def test_money_always_ends_at_a_moment(segments: list[Segment], msat: int) -> None:
    moment = moment_ns(segments, msat)
    assert price_msat(segments, moment) == msat
    assert moment == 0 or price_msat(segments, moment - 1) < msat, "and at the first such moment"


@given(segment_lists(), moments)
def test_a_moment_is_not_after_what_was_paid_for(segments: list[Segment], at_ns: int) -> None:
    assert moment_ns(segments, price_msat(segments, at_ns)) <= at_ns


def test_the_largest_rate_still_has_moments() -> None:
    assert not exceeds_max_rate(1, 1) and exceeds_max_rate(2, 1)
    fastest = [Segment(0, 0, Rate(1, 1, 1))]
    assert moment_ns(fastest, MAX_MSAT) == MAX_MSAT == price_msat(fastest, MAX_MSAT)


@given(segment_lists(), moments)
def test_grid_moments_are_whole_steps_from_a_segments_start_or_the_next_start(
    segments: list[Segment], at_ns: int
) -> None:
    grid = sorted(
        {segment.start_ns for segment in segments}
        | {
            min(segment.start_ns + steps * segment.rate.payment_interval_ns, nearest)
            for segment, nearest in zip(
                segments, [s.start_ns for s in segments[1:]] + [1 << 80], strict=True
            )
            for steps in [
                max(0, -((segment.start_ns - at_ns) // segment.rate.payment_interval_ns)),
                max(0, (at_ns - segment.start_ns) // segment.rate.payment_interval_ns + 1),
            ]
        }
    )
    assert grid_from_ns(segments, at_ns) == next(moment for moment in grid if moment >= at_ns)
    assert grid_after_ns(segments, at_ns) == next(moment for moment in grid if moment > at_ns)


def test_the_grid_has_no_drift_and_starts_anew_with_a_rate() -> None:
    segments = change_rate([Segment(0, 0, Rate(1, 1, 10))], 25, Rate(1, 2, 7))
    assert [grid_after_ns(segments, at) for at in (0, 9, 10, 19, 20, 24, 25, 31, 32)] == [
        10,
        10,
        20,
        20,
        25,
        25,
        32,
        32,
        39,
    ]
    assert [grid_from_ns(segments, at) for at in (0, 1, 10, 21, 25, 26, 32)] == [
        0,
        10,
        10,
        25,
        25,
        32,
        32,
    ]


@given(segment_lists(), moments, rates())
def test_a_new_rate_leaves_every_earlier_price(
    segments: list[Segment], at_ns: int, rate: Rate
) -> None:
    changed = change_rate(segments, at_ns, rate)
    for before in (0, at_ns // 3, at_ns):
        assert price_msat(changed, before) == price_msat(segments, before)
    later = at_ns + rate.interval_ns
    assert price_msat(changed, later) == price_msat(segments, at_ns) + rate.amount_msat
    assert changed[-1].start_ns == at_ns and [s.start_ns for s in changed] == sorted(
        {s.start_ns for s in changed}
    )


@given(segment_lists(), moments, st.integers(1, 10**13), moments)
def test_removed_time_costs_nothing_and_what_comes_later_moves_up(
    segments: list[Segment], at: int, length: int, later: int
) -> None:
    moved = remove_time(segments, at, length)
    assert price_msat(moved, at) == price_msat(segments, at)
    assert price_msat(moved, at // 2) == price_msat(segments, at // 2)
    removed = price_msat(segments, at + length) - price_msat(segments, at)
    error = price_msat(moved, at + later) - (price_msat(segments, at + later + length) - removed)
    assert abs(error) <= len(segments) + 1, "but for rounding at each segment's start"
    assert [s.start_ns for s in moved] == sorted({s.start_ns for s in moved})


def test_removed_time_takes_the_old_rate_first() -> None:
    segments = change_rate([Segment(0, 0, Rate(1, 1, 1))], 100, Rate(1, 10, 10))
    moved = remove_time(segments, 40, 30)
    assert [(s.start_ns, s.start_msat) for s in moved] == [(0, 0), (70, 70)]
    across = remove_time(segments, 40, 100)
    assert [(s.start_ns, s.start_msat, s.rate.interval_ns) for s in across] == [
        (0, 0, 1),
        (40, 40, 10),
    ]


@given(segment_lists(), moments, st.integers(0, 10**13))
def test_passed_segments_are_dropped_and_prices_stay(
    segments: list[Segment], bought: int, settled: int
) -> None:
    settled = min(settled, price_msat(segments, bought))
    kept = drop_passed(segments, settled, bought)
    assert price_msat(kept, bought) == price_msat(segments, bought)
    assert price_msat(kept, bought + 10**12) == price_msat(segments, bought + 10**12)
    for msat in (settled, settled + 1):
        assert price_msat(kept, moment_ns(kept, msat)) == msat
    assert moment_ns(kept, settled) == moment_ns(segments, settled), (
        "that to which a failure gives time back"
    )
    assert kept == segments or (kept[0].start_msat < settled and kept[0].start_ns <= bought), (
        "unpaid time keeps its rate"
    )


def test_a_segment_that_is_not_paid_yet_is_kept() -> None:
    segments = change_rate([Segment(0, 0, Rate(1, 1, 1))], 100, Rate(2, 10, 1))
    assert drop_passed(segments, 99, 500) == segments
    assert drop_passed(segments, 101, 99) == segments
    assert drop_passed(segments, 100, 100) == segments, "reached, and not passed"
    assert drop_passed(segments, 101, 100) == segments[1:]
    three = change_rate(segments, 200, Rate(3, 10, 1))
    assert [drop_passed(three, settled, 150) for settled in (100, 101, 120, 121)] == [
        three,
        three[1:],
        three[1:],
        three[1:],
    ]
    assert [drop_passed(three, 200, bought) for bought in (99, 100, 199, 200)] == [
        three,
        three[1:],
        three[1:],
        three[2:],
    ]


def test_the_time_of_less_than_a_millisatoshi_before_a_new_rate_keeps_its_own() -> None:
    """At 1 msat an hour and then 1,000 a second: what settled reaches 1 hour, half an hour before
    the new rate begins.
    """
    hour_ns, second_ns = 3_600 * 10**9, 10**9
    segments = change_rate(
        [Segment(0, 0, Rate(1, hour_ns, hour_ns))],
        3 * hour_ns // 2,
        Rate(1_000, second_ns, second_ns),
    )
    kept = drop_passed(segments, 1, 3 * hour_ns // 2)
    assert moment_ns(kept, 1) == hour_ns
    assert price_msat(remove_time(kept, hour_ns, hour_ns // 2), hour_ns) == 1, (
        "to skip that half hour costs nobody anything"
    )


@given(segment_lists(), moments, st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_purchase_reaches_the_first_grid_moment_that_comes_to_the_minimum(
    segments: list[Segment], at_ns: int, behind: int, minimum: int
) -> None:
    paid = price_msat(segments, at_ns) - behind
    assume(paid >= 0)
    until = buy_until_ns(segments, paid, at_ns, minimum)
    assert until > at_ns and until == grid_from_ns(segments, until), "on the grid, after now"
    assert price_msat(segments, until) - paid >= minimum
    step = max(segment.rate.payment_interval_ns for segment in segments)
    earlier = [
        moment
        for moment in (grid_after_ns(segments, max(at_ns, until - step - 1)),)
        if moment < until
    ]
    for moment in earlier:
        assert price_msat(segments, moment) - paid < minimum, "and the first such one"


def test_time_before_the_kept_rates_costs_what_they_began_with() -> None:
    assert [price_msat([Segment(100, 50, Rate(1, 1, 1))], at) for at in (0, 99, 100, 101)] == [
        50,
        50,
        50,
        51,
    ]


def test_a_purchase_goes_beyond_now_even_if_the_minimum_was_reached_before() -> None:
    assert buy_until_ns([Segment(0, 0, Rate(1, 100, 10))], 0, 105, 1) == 110


def test_a_lower_rate_buys_longer_never_less_than_the_minimum() -> None:
    assert buy_until_ns([Segment(0, 0, Rate(8, 10, 10))], 0, 0, 1_000) == 1_250
    assert buy_until_ns([Segment(0, 0, Rate(8, 10, 1_250))], 0, 0, 1_000) == 1_250
    assert buy_until_ns([Segment(0, 0, Rate(8, 10, 1_249))], 0, 0, 1_000) == 2_498


def test_a_stream_without_any_rate_is_a_mistake_of_ours() -> None:
    for ask in (moment_ns, grid_from_ns):
        with pytest.raises(AssertionError, match=r"^a stream always has a segment$"):
            ask([], 0)
