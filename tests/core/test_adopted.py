"""Payments of ours that the journal lacked: taken in with the node's word for them (money rule
9).
"""

from __future__ import annotations

from streamer.core import ends
from streamer.core.streamtime import covered_ns, paid_until_ns
from streamer.words.model import Answer, Facts, Kind, Payment, PaymentState, Stream
from streamer.words.reasons import Reason
from tests.core.house import HOUR, T0, House, S, adopted, budget_of


def adopt(
    house: House, stream: Stream, seq: int, kind: Kind, amount: int = 5_000, made_ns: int = 0
) -> Payment:
    made_ns = made_ns or house.now_ns
    theirs = adopted(house.book, stream, seq, amount, made_ns)
    facts = Facts()
    ends.adopt(
        house.book,
        stream,
        theirs,
        Answer(kind, True, amount_msat=amount, fee_msat=3),
        house.now_ns,
        facts,
    )
    house.commit(facts)
    return theirs


def test_an_adopted_settlement_is_a_credit_and_its_seq_is_never_used_again() -> None:
    house = House()
    stream = house.open()
    house.settle(house.pay(0))
    adopt(house, stream, 4, Kind.SETTLED)
    assert (stream.account.settled_msat, stream.account.owed_msat, stream.account.fee_msat) == (
        6_000,
        -5_000,
        3,
    )
    house.idle(5)
    house.crash()
    payment = house.pay(6)
    assert (payment.seq, payment.amount_msat) == (5, 1_000)


def test_an_adopted_failure_only_takes_its_seq() -> None:
    house = House()
    stream = house.open()
    adopted = adopt(house, stream, 9, Kind.FAILED)
    assert (adopted.state, stream.account.owed_msat, stream.account.settled_msat) == (
        PaymentState.FAILED,
        0,
        0,
    )
    house.crash()
    assert house.pay(0).seq == 10


def test_an_adopted_payment_that_is_still_open_reserves() -> None:
    house = House()
    stream = house.open()
    adopted = adopt(house, stream, 1, Kind.IN_FLIGHT)
    assert (stream.reserved_msat, adopted.state, stream.open_payments) == (
        5_000,
        PaymentState.IN_FLIGHT,
        1,
    )
    house.crash()
    stream = house.again(stream)
    assert (stream.reserved_msat, covered_ns(stream), paid_until_ns(stream)) == (5_000, 5 * S, 0)
    house.fail(house.payment(adopted.row), Reason.NONE)
    assert (stream.reserved_msat, stream.account.owed_msat) == (0, 0)


def test_an_adopted_failure_that_settles_late_is_in_the_budget_of_who_never_paid_too() -> None:
    house = House()
    stream = house.open(budget=budget_of(20_000), start_time_ns=house.now_ns + 60 * S)
    adopted = adopt(house, stream, 1, Kind.FAILED)
    house.settle(adopted, fee_msat=80)
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None and (own.spent_msat, own.room_msat()) == (5_080, 14_920)


def test_an_adopted_payment_counts_in_every_budget_in_the_period_in_which_it_was_made() -> None:
    house = House()
    house.at(30)
    house.add_key(1, 100_000, 60 * S)
    stream = house.open(budget=budget_of(50_000, 60 * S), api_key=1)
    now_ns = house.now_ns
    for seq, (kind, age) in enumerate(
        [(Kind.SETTLED, 20), (Kind.IN_FLIGHT, 25), (Kind.SETTLED, 40)], 1
    ):
        house.now_ns = now_ns - age * S
        made_ns, house.now_ns = house.now_ns, now_ns
        adopt(house, stream, seq, kind, made_ns=made_ns)
    for _ in range(2):
        own, key = house.book.budgets.own(stream, now_ns), house.key_budget(1)
        assert own is not None
        assert (
            (own.spent_msat, own.reserved_msat)
            == (key.spent_msat, key.reserved_msat)
            == (5_003, 5_000)
        )
        limit = house.book.budgets.spend_limit
        assert (limit.spent_msat, limit.reserved_msat) == (5_003, 5_000)
        house.crash()
        stream = house.again(stream)


def test_an_adopted_payment_that_was_made_before_the_period_leaves_it_alone() -> None:
    house = House()
    house.at(10)
    stream = house.open(budget=budget_of(50_000, 60 * S))
    adopt(house, stream, 1, Kind.IN_FLIGHT, made_ns=house.now_ns - 15 * S)
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None and (own.spent_msat, own.reserved_msat) == (0, 0)


def test_what_is_adopted_comes_on_top_of_what_is_open_and_ends_when_it_is_learned() -> None:
    house = House()
    stream = house.open(max_open_payments=3)
    house.pay(0)
    house.at(1)
    adopt(house, stream, 2, Kind.IN_FLIGHT)
    assert (stream.reserved_msat, stream.open_payments, stream.account.owed_msat) == (
        6_000,
        2,
        -5_000,
    )
    house.at(2)
    assert adopt(house, stream, 3, Kind.SETTLED).end_ns == house.now_ns
    assert adopt(house, stream, 4, Kind.FAILED).end_ns == house.now_ns
    assert (stream.reserved_msat, stream.account.settled_msat, stream.account.owed_msat) == (
        6_000,
        5_000,
        -10_000,
    )


def test_where_there_is_no_budget_an_adopted_payment_has_no_period_but_the_daemons() -> None:
    house = House()
    house.at(10)
    stream = house.open()
    limit_began_ns = house.book.budgets.spend_limit.period_start_ns
    payment = adopt(house, stream, 1, Kind.IN_FLIGHT)
    assert (payment.period_start_ns, payment.key_period_ns, payment.daemon_period_ns) == (
        0,
        0,
        limit_began_ns,
    )


def test_a_payment_that_the_node_dates_after_now_is_of_the_present_periods() -> None:
    house = House()
    house.add_key(1, 100_000, HOUR)
    house.at(7_200)
    stream = house.open(budget=budget_of(50_000, HOUR), api_key=1)
    payment = adopt(house, stream, 1, Kind.IN_FLIGHT, made_ns=house.now_ns + 3 * HOUR)
    assert (payment.period_start_ns, payment.key_period_ns, payment.daemon_period_ns) == (
        T0 + 2 * HOUR,
        T0 + 2 * HOUR,
        house.now_ns,
    )
    assert (
        house.key_budget(1).reserved_msat == house.book.budgets.spend_limit.reserved_msat == 5_000
    )
