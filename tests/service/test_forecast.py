"""Forecasts are simple arithmetic, and every warning has its case."""

from __future__ import annotations

from typing import Any

from streamer.service.filters import parse_payment_filter, parse_stream_filter
from streamer.service.forecast import forecast, payments_per_second, runway_end_ns
from streamer.words.model import BudgetTerms, Facts
from streamer.words.money import DAY_NS, MAX_MSAT, SECOND_NS
from tests.service.given import NOW_NS, book, opened, terms


def test_money_fees_and_payments() -> None:
    made = forecast(
        terms(
            amount_msat=50_000,
            interval_ns=60 * SECOND_NS,
            fee_floor_msat=1_000,
            fee_limit_ppm=100_000,
        ),
        NOW_NS,
    )
    assert (made.msat_per_hour, made.fee_msat_per_hour, made.payments_per_day) == (
        3_000_000,
        300_000,
        1_440,
    )
    assert (made.runway_end_ns, made.warnings) == (None, ())


def test_the_runway_ends_with_the_budget_or_the_end() -> None:
    budget = BudgetTerms(60_000, None)
    assert forecast(terms(budget=budget), NOW_NS).runway_end_ns == NOW_NS + 10 * SECOND_NS
    assert (
        forecast(terms(budget=budget, end_time_ns=NOW_NS + 4 * SECOND_NS), NOW_NS).runway_end_ns
        == NOW_NS + 4 * SECOND_NS
    )
    assert forecast(terms(budget=BudgetTerms(60_000, DAY_NS)), NOW_NS).runway_end_ns is None


def test_warnings() -> None:
    small_fee: dict[str, Any] = {"fee_floor_msat": 1, "fee_limit_ppm": 1_000}
    assert not forecast(terms(**small_fee), NOW_NS, 10.0, 9.0).warnings
    assert (
        forecast(terms(**small_fee), NOW_NS, 10.0, 9.5)
        .warnings[0]
        .startswith("NODE_CAPACITY: this node manages 10 payments/s; all")
    )
    assert (
        forecast(terms(), NOW_NS)
        .warnings[0]
        .startswith("FEE_SHARE: each payment of 1 sat may cost up to 5 sat")
    )
    assert (
        forecast(terms(budget=BudgetTerms(50_000, DAY_NS), **small_fee), NOW_NS)
        .warnings[0]
        .startswith("BUDGET: 50 sat may not last")
    )
    assert any(
        text.startswith("FEE_LIMIT")
        for text in forecast(terms(fee_limit_ppm=1_000_000), NOW_NS).warnings
    )


def test_a_large_payment_counts_as_its_parts() -> None:
    made = terms(
        amount_msat=10_000,
        interval_ns=10 * SECOND_NS,
        payment_interval_ns=10 * SECOND_NS,
        max_payment_msat=2_500,
    )
    assert forecast(made, NOW_NS).payments_per_day == 4 * 8_640
    assert payments_per_second(made) == 0.1


def test_filters_match_by_every_term() -> None:
    mine = book()
    stream = opened(mine, group="g", labels=(("app", "x"),))
    for text, holds in (
        ("", True),
        ("state=ACTIVE node=main group=g labels.app=x", True),
        (f"destination={stream.terms.destination.hex().upper()}", True),
        ("state=ACTIVE group=h", False),
        ("labels.app=y", False),
        ("reason=USER", False),
    ):
        assert parse_stream_filter(text).matches(stream) is holds
    payment = mine.plan(NOW_NS, 1, Facts())[0]
    assert parse_payment_filter("stream=st_1 state=PENDING node=main").matches(payment, False)
    assert not parse_payment_filter("in_doubt").matches(payment, False)
    assert not parse_payment_filter("state=FAILED").matches(payment, False)


def test_a_runway_beyond_the_year_9999_is_not_in_sight() -> None:
    rate: dict[str, Any] = {"amount_msat": 1_000, "interval_ns": DAY_NS}
    for btc in (1, 21_000_000):
        far = terms(budget=BudgetTerms(btc * 10**11, None), **rate)
        assert forecast(far, NOW_NS).runway_end_ns is None
        assert runway_end_ns(opened(book(), budget=far.budget, **rate), NOW_NS) is None
    ends = terms(budget=BudgetTerms(10**11, None), end_time_ns=NOW_NS + 2 * DAY_NS, **rate)
    assert forecast(ends, NOW_NS).runway_end_ns == NOW_NS + 2 * DAY_NS
    near = opened(book(), budget=BudgetTerms(60_000, None))
    assert (
        runway_end_ns(near, NOW_NS)
        == NOW_NS + 10 * SECOND_NS
        == forecast(near.terms, NOW_NS).runway_end_ns
    )


def test_fees_of_a_forecast_are_never_more_than_all_bitcoin() -> None:
    assert forecast(terms(fee_floor_msat=MAX_MSAT), NOW_NS).fee_msat_per_hour == MAX_MSAT
