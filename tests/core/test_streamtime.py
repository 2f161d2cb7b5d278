"""Between the wall clock and stream time: what is paid, what is covered, and when the end comes."""

from __future__ import annotations

import pytest

from streamer.core.lifecycle import price_now_msat
from streamer.core.streamtime import (
    check_conservation,
    covered_ns,
    end_ns,
    origin_ns,
    paid_until_ns,
    running_pause_ns,
    stream_now_ns,
)
from streamer.words.model import Rate, StreamState
from tests.core.house import MINUTE, T0, House, S, stream_of, terms_of

SLOW = Rate(7, 3 * S, 1_000 * S)
"""2,333⅓ msat in a payment interval: money alone reaches a little less far."""


def test_what_is_in_flight_is_covered_but_not_paid() -> None:
    house = House()
    stream = house.open()
    house.settle(house.pay(0))
    house.pay(1)
    assert (covered_ns(stream), paid_until_ns(stream)) == (2 * S, S)


def test_when_all_is_settled_time_is_paid_to_where_it_was_bought_not_where_money_ends() -> None:
    house = House()
    stream = house.open(rate=SLOW)
    payment = house.pay(0)
    assert payment.amount_msat == 2_333 and covered_ns(stream) == 1_000 * S
    house.settle(payment)
    assert paid_until_ns(stream) == covered_ns(stream) == 1_000 * S


def test_what_failed_is_neither_covered_nor_paid_and_a_late_settlement_is_both() -> None:
    house = House()
    stream = house.open()
    house.settle(house.pay(0))
    payment = house.pay(1)
    house.fail(payment)
    assert (covered_ns(stream), paid_until_ns(stream)) == (S, S)
    house.settle(payment, amount_msat=1_500)
    assert (covered_ns(stream), paid_until_ns(stream)) == (2_500_000_000, 2_500_000_000)


def test_a_pause_stands_still_from_the_covered_moment_on() -> None:
    stream = stream_of(bought_until_ns=10 * S, settled_msat=10_000)
    assert running_pause_ns(stream, T0 + 20 * S) == 0
    stream.state, stream.paused_at_ns = StreamState.PAUSED, T0 + 4 * S
    assert [running_pause_ns(stream, T0 + at * S) for at in (5, 10, 12)] == [0, 0, 2 * S]
    assert [stream_now_ns(stream, T0 + at * S) for at in (5, 10, 12)] == [5 * S, 10 * S, 10 * S]
    stream.paused_at_ns = T0 + 11 * S
    assert running_pause_ns(stream, T0 + 12 * S) == S


def test_skipped_and_paused_time_moves_the_origin() -> None:
    stream = stream_of()
    stream.skipped_ns, stream.paused_ns = 3 * S, 5 * S
    assert origin_ns(stream) == T0 + 8 * S and stream_now_ns(stream, T0) == -8 * S


def test_the_end_comes_earlier_for_what_is_skipped_and_paused_and_never_before_the_start() -> None:
    assert end_ns(stream_of(), T0) is None
    stream = stream_of(terms_of(end_time_ns=T0 + MINUTE))
    stream.skipped_ns = 10 * S
    assert end_ns(stream, T0) == 50 * S
    stream.state, stream.paused_at_ns = StreamState.PAUSED, T0 + 20 * S
    assert [end_ns(stream, T0 + at * S) for at in (30, 60, 90)] == [
        40 * S,
        10 * S,
        10 * S,
    ], "a pause ends with the end"
    stream.skipped_ns, stream.state = 90 * S, StreamState.ACTIVE
    assert end_ns(stream, T0) == 0


def test_before_the_start_nothing_is_priced_at_any_rate() -> None:
    stream = stream_of(terms_of(rate=Rate(S, S, S)))
    assert (
        price_now_msat(stream, T0 - 5),
        price_now_msat(stream, T0),
        price_now_msat(stream, T0 + 3),
    ) == (0, 0, 3)


def test_books_that_do_not_balance_are_never_gone_on_with() -> None:
    stream = stream_of(bought_until_ns=2 * S, settled_msat=1_000)
    with pytest.raises(
        AssertionError,
        match=r"st_1: settled 1000 \+ reserved 0 \+ owed 0 is not the price up to 2000000000",
    ):
        check_conservation(stream)
    stream.account.owed_msat = 1_000
    check_conservation(stream)
