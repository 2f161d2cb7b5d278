"""The budget of an API key: one for all that it pays, beside those of its streams and of the daemon."""

from __future__ import annotations

import pytest

from streamer.core.book import KEY_RECHECK_NS
from streamer.model import Facts, Mark, Payment, Single, StreamState
from streamer.money import SECOND_NS
from streamer.reasons import Halt, Reason
from tests.core.house import HOUR, MINUTE, PEER, PLENTY_MSAT, T0, House, S, budget_of, run, total_msat

OTHER = b"\x03" + b"\x22" * 32


def single(house: House, amount_msat: int, api_key: int, fee_limit_msat: int = 100) -> object:
    facts = Facts()
    try:
        return house.book.single(Single(f"pay_{amount_msat}", PEER, amount_msat, fee_limit_msat, api_key=api_key), house.now_ns, facts)
    finally:
        house.commit(facts)


def test_streams_and_payments_of_a_key_share_its_budget_and_others_do_not() -> None:
    house = House()
    house.add_key(1, 5_000)
    mine, other = house.open(api_key=1), house.open(destination=OTHER)
    payments = house.plan()
    assert [payment.api_key for payment in payments] == [1, 0]
    budget = house.key_budget(1)
    assert budget.room_msat() == 5_000 - 1_100
    assert single(house, 3_801, 1) is None, "3,801 and 100 for fees are more than 3,900"
    assert house.switch.sending, "a key without money stops nobody else"
    assert single(house, 3_800, 1) is not None
    assert budget.room_msat() == 0
    house.settle(payments[0], fee_msat=7)
    house.settle(payments[1])
    assert (budget.spent_msat, budget.reserved_msat) == (1_007, 3_900)
    assert mine.state is StreamState.ACTIVE and other.account.settled_msat == 1_000


def test_a_payment_is_as_large_as_the_budget_of_its_key_allows() -> None:
    house = House()
    house.add_key(1, 4_100)
    house.open(api_key=1)
    [first] = house.plan()
    house.settle(first)
    house.at(10)
    [payment] = house.plan()
    assert payment.amount_msat == 3_000, "4,100 − 1,000 leave 3,100, of which 100 are the fee limit"
    assert house.key_budget(1).room_msat() == 0


def test_a_total_budget_of_a_key_that_is_spent_completes_its_streams() -> None:
    house = House()
    house.add_key(1, 3_200)
    stream, other = house.open(api_key=1), house.open(api_key=1, destination=OTHER)
    paid = run(house, 20)
    assert total_msat(paid) == 3_000, "200 msat are left, which buy nothing"
    for one, second in ((stream, 2), (other, 11)):
        assert (one.state, one.reason, one.state_time_ns) == (StreamState.COMPLETED, Reason.KEY_BUDGET_SPENT, T0 + second * S)


def test_a_total_budget_waits_for_what_may_come_back() -> None:
    house = House()
    house.add_key(1, 2_200)
    stream, other = house.open(api_key=1), house.open(api_key=1, destination=OTHER)
    first, second = house.plan()
    house.settle(first)
    house.at(1)
    assert house.plan() == []
    assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.KEY_BUDGET_SPENT)
    house.at(5)
    assert house.plan() == [], "it looks again every 10 s, not all the time"
    house.fail(second)
    house.at(11)
    [payment] = house.plan()
    assert payment.amount_msat == 1_100, "2,200 less what is spent and the fee limit"
    house.settle(payment)
    house.at(90)
    house.plan()
    assert {stream.state, other.state} == {StreamState.COMPLETED}


def test_an_orphan_keeps_the_money_of_its_key_and_ends_nothing() -> None:
    house = House()
    house.add_key(1, 1_100)
    stream = house.open(api_key=1)
    [payment] = house.plan()
    house.mark(payment, Mark.ORPHAN)
    house.at(60)
    assert house.plan() == []
    assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.KEY_BUDGET_SPENT)
    looks = 0
    while house.now_ns < T0 + HOUR:
        due = house.book.next_ns()
        assert due is not None and due > house.now_ns, "never at once again"
        house.now_ns, looks = due, looks + 1
        assert house.plan() == []
    assert 300 < looks <= 360 and stream.state_time_ns == T0 + MINUTE, "it is stalled all the time, and not again and again"
    house.write_off(payment)
    house.now_ns += 10 * S
    house.plan()
    assert (stream.state, stream.reason) == (StreamState.COMPLETED, Reason.KEY_BUDGET_SPENT)


def test_a_renewing_budget_stalls_its_streams_until_it_renews() -> None:
    house = House()
    house.add_key(1, 2_100, MINUTE)
    stream = house.open(api_key=1, catch_up_ns=0)
    run(house, 59)
    assert stream.account.settled_msat == 2_000
    assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.KEY_BUDGET_SPENT)
    assert house.book.next_ns() == T0 + MINUTE
    [payment] = run(house, 60)
    assert stream.state is StreamState.ACTIVE and not payment.probe
    assert stream.skipped_ns == 58 * S, "time without money is impossible time"


def test_a_reserve_belongs_to_the_period_in_which_it_was_made() -> None:
    house = House()
    house.add_key(1, 2_200, MINUTE)
    house.open(api_key=1)
    old = house.pay(58)
    house.at(61)
    assert house.key_budget(1).room_msat() == 2_200
    house.settle(old)
    assert house.key_budget(1).room_msat() == 2_200, "what settles late was paid out of the period before"


def test_the_smaller_of_the_two_budgets_bounds_and_each_tells_its_own_name() -> None:
    house = House()
    house.add_key(1, 10_000)
    own = house.open(api_key=1, budget=budget_of(1_100))
    run(house, 5)
    assert (own.state, own.reason) == (StreamState.COMPLETED, Reason.BUDGET_SPENT)
    free = house.open(api_key=1, budget=budget_of(50_000), start_time_ns=T0 + 5 * S)
    run(house, 60)
    assert (free.state, free.reason) == (StreamState.COMPLETED, Reason.KEY_BUDGET_SPENT)
    assert house.key_budget(1).spent_msat == own.account.settled_msat + free.account.settled_msat == 9_000


@pytest.mark.parametrize("period_ns", [None, HOUR])
def test_a_crash_keeps_what_keys_spent_and_reserved(period_ns: int | None) -> None:
    house = House()
    house.add_key(1, 100_000, period_ns)
    house.add_key(2, 100_000, period_ns)
    for number in (1, 2):
        stream = house.open(api_key=number, max_open_payments=3)
        [payment] = house.plan()
        house.settle(payment, fee_msat=number)
        assert stream.api_key == number
    house.at(2)
    house.plan()
    before = [(house.key_budget(n).period_start_ns, house.key_budget(n).spent_msat, house.key_budget(n).reserved_msat) for n in (1, 2)]
    assert [spent for _, spent, _ in before] == [1_001, 1_002] and all(reserved for _, _, reserved in before)
    house.crash()
    after = [(house.key_budget(n).period_start_ns, house.key_budget(n).spent_msat, house.key_budget(n).reserved_msat) for n in (1, 2)]
    assert after == before
    assert {payment.api_key for payment in house.book.payments.values()} == {1, 2}


def test_a_payment_that_no_period_of_the_spend_limit_holds_is_made_smaller() -> None:
    house = House(spend_limit_msat=3_100)
    stream = house.open()
    house.settle(house.pay(0))
    house.book.budgets.spend_limit.begin(T0 + 1)
    late = house.pay(600)
    assert late.amount_msat == 3_000, "the whole limit, and no more: after the next start it fits"
    assert house.switch.sending
    house.settle(late)
    house.idle(700)
    assert Halt.SPEND_LIMIT in house.switch.halts
    assert stream.account.settled_msat == 4_000


def test_a_shortage_is_told_in_words() -> None:
    house = House(PLENTY_MSAT)
    house.add_key(1, 2_000_000)
    house.add_key(2, 2_000_000, 60 * SECOND_NS)
    budgets = house.book.budgets
    assert budgets.key_shortage(0, 10**12, T0) == "" and budgets.key_shortage(9, 10**12, T0) == "" == budgets.key_shortage(1, 2_000_000, T0)
    told = "{} are left of this key's budget of 2,000 sat, and 2,000,001 msat are needed (amount and fee limit): {}"
    assert budgets.key_shortage(1, 2_000_001, T0) == told.format("2,000 sat", "it is a total, and does not renew")
    assert budgets.key_shortage(2, 2_000_001, T0) == told.format("2,000 sat", "try again when its period is over")
    house.key_budget(1).reserve(2_000_005)
    assert budgets.key_shortage(1, 2_000_001, T0) == told.format("0 sat", "it is a total, and does not renew"), "and never less"


def test_a_stream_whose_key_is_spent_is_looked_at_again_soon_while_something_may_come_back_and_else_when_it_renews() -> None:
    house = House()
    house.add_key(1, 1_200, HOUR)
    other, waiting = house.open(api_key=1), house.open(api_key=1, start_time_ns=T0 + S)
    open_one = house.pay(0)
    house.idle(1)
    assert (waiting.state, waiting.reason, waiting.state_time_ns) == (StreamState.STALLED, Reason.KEY_BUDGET_SPENT, T0 + S)
    assert house.book.next_ns() == T0 + S + KEY_RECHECK_NS
    house.pause(other)
    house.settle(open_one)
    house.idle(1 + KEY_RECHECK_NS / S)
    assert waiting.account.next_attempt_ns == T0 + HOUR == house.book.next_ns(), "nothing is reserved any more"
    house.crash()
    assert house.again(waiting).account.next_attempt_ns == T0 + HOUR
    assert house.pay(3_600).stream_key == waiting.key


def test_what_a_write_off_gives_back_to_a_key_wakes_the_streams_that_wait_for_it_and_no_others() -> None:
    house = House(stall_after=1)
    for number in (1, 2):
        house.add_key(number, 1_100, HOUR)
    failing = house.open(api_key=1)
    house.fail(house.pay(0))
    order = single(house, 1_000, 1)
    assert isinstance(order, Payment)
    house.write_off(order)
    waiting, stranger = house.open(api_key=1), house.open(api_key=2)
    house.settle(house.pay(0), fee_msat=100)
    house.idle(1)
    assert waiting.reason is stranger.reason is Reason.KEY_BUDGET_SPENT and failing.reason is Reason.TIMEOUT
    before = [(stream.state, stream.account.next_attempt_ns) for stream in (failing, stranger)]
    house.at(2)
    house.fail(order)
    house.crash()
    [payment] = house.plan()
    assert (payment.stream_key, house.again(waiting).state) == (waiting.key, StreamState.ACTIVE)
    assert [(again.state, again.account.next_attempt_ns) for again in map(house.again, (failing, stranger))] == before


def test_where_both_budgets_are_spent_the_streams_own_is_named() -> None:
    house = House()
    house.add_key(1, 1_100)
    stream = house.open(api_key=1, budget=budget_of(1_100))
    house.settle(house.pay(0), fee_msat=100)
    house.idle(7)
    assert (stream.state, stream.reason, stream.state_time_ns) == (StreamState.COMPLETED, Reason.BUDGET_SPENT, T0 + 7 * S)


def test_a_period_that_holds_just_the_minimum_payment_is_enough() -> None:
    house = House()
    house.add_key(1, 1_100, MINUTE)
    stream = house.open(api_key=1)
    house.settle(house.pay(0), fee_msat=100)
    house.idle(1)
    assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.KEY_BUDGET_SPENT)
    payment = house.pay(60)
    assert (payment.probe, payment.amount_msat, stream.state, stream.state_time_ns) == (False, 1_000, StreamState.ACTIVE, T0 + MINUTE)
