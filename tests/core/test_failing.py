"""Rows of failures: when they begin and end, what they count, and how the largest amount comes
back.
"""

from __future__ import annotations

import pytest

from streamer.core import ends
from streamer.core.payment import Event
from streamer.words.model import Answer, Facts, Kind, Mark, StreamState
from streamer.words.reasons import Reason
from tests.core.house import T0, House, S

FAILED = Answer(Kind.FAILED, reason=Reason.TIMEOUT, message="no")


def test_a_failure_is_its_streams_own_unless_somebody_says_otherwise() -> None:
    house = House()
    stream = house.open()
    facts = Facts()
    ends.resolve(house.book, house.pay(0), Event.FAILED, FAILED, house.now_ns, facts)
    assert (stream.account.streak, stream.last_failure) == (1, "no")


def test_a_stream_that_never_failed_has_no_row_that_ended() -> None:
    house = House()
    stream = house.open()
    house.settle(house.pay(0))
    assert (stream.account.failing_since_ns, stream.spans) == (0, ())


def test_a_row_ends_with_the_first_payment_that_settles() -> None:
    house = House()
    stream = house.open(max_open_payments=3)
    payments = [house.pay(second) for second in (0, 1, 2)]
    house.at(3)
    house.fail(payments[0])
    for second, payment in ((10, payments[1]), (20, payments[2])):
        house.at(second)
        house.settle(payment)
    assert (stream.account.failing_since_ns, stream.spans) == (0, ((T0 + 3 * S, T0 + 10 * S),))


def test_a_second_row_before_any_plan_keeps_the_time_of_the_first() -> None:
    house = House()
    stream = house.open(max_open_payments=3, catch_up_ns=0)
    payments = [house.pay(second) for second in (0, 1, 2)]
    house.at(3)
    house.fail(payments[0])
    house.at(10)
    house.settle(payments[1])
    house.at(50)
    house.fail(payments[2])
    assert (stream.account.failing_since_ns, stream.spans) == (
        T0 + 50 * S,
        ((T0 + 3 * S, T0 + 10 * S),),
    )
    house.crash()
    assert house.again(stream).spans == stream.spans


def test_a_doubt_that_ends_without_money_ends_the_row_that_it_began_and_no_earlier_one() -> None:
    house = House()
    stream = house.open(max_open_payments=4)
    payments = [house.pay(second) for second in range(4)]
    house.at(10)
    house.doubt(*payments[:3])
    house.at(70)
    house.mark(payments[0], Mark.ORPHAN)
    assert (stream.doubt_since_ns, stream.account.failing_since_ns, stream.spans) == (
        0,
        0,
        ((T0 + 10 * S, T0 + 70 * S),),
    )


def test_doubt_goes_on_whatever_else_settles() -> None:
    house = House()
    stream = house.open(max_open_payments=4)
    payments = [house.pay(second) for second in range(4)]
    house.doubt(*payments[:3])
    house.at(20)
    house.settle(payments[3])
    assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.IN_DOUBT)
    house.at(70)
    house.mark(payments[0], Mark.ORPHAN)
    assert (stream.state, stream.spans) == (StreamState.ACTIVE, ((T0 + 3 * S, T0 + 70 * S),))


def test_each_end_is_counted() -> None:
    house = House()
    stream = house.open()
    for second in (0, 1, 2):
        house.settle(house.pay(second))
    for second in (3, 4):
        house.write_off(house.pay(second))
    account = stream.account
    assert (
        account.settled_count,
        account.failed_count,
        account.written_off_msat,
        account.settled_msat,
    ) == (3, 0, 2_000, 5_000)


def test_the_probe_that_settles_ends_the_stall_at_its_own_moment() -> None:
    house = House(stall_after=1)
    stream = house.open()
    house.fail(house.pay(0))
    probe = house.pay(60)
    house.at(63)
    house.settle(probe)
    assert (stream.state, stream.reason, stream.state_time_ns) == (
        StreamState.ACTIVE,
        Reason.NONE,
        T0 + 63 * S,
    )


@pytest.mark.parametrize(
    ("most", "spendable", "cap"),
    [
        (None, 4_001, 0),
        (None, 4_002, 2_000),
        (2_000, 10**9, 0),
        (2_001, 0, 2_000),
        (None, None, 0),
    ],
)
def test_a_halved_amount_doubles_until_it_comes_to_what_one_payment_may_be(
    most: int | None, spendable: int | None, cap: int
) -> None:
    house = House()
    house.book.largest_spendable_msat = spendable
    stream = house.open(max_payment_msat=most)
    house.fail(house.pay(0), Reason.NO_ROUTE)
    assert stream.account.probe_cap_msat == 1_000
    house.settle(house.pay(65))
    assert stream.account.probe_cap_msat == cap
