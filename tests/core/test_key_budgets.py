"""The budget of an API key: one for all that it pays, beside those of its streams and of the
daemon.
"""

from __future__ import annotations

import pytest

from streamer.words.model import Facts, Mark, Payment, Single, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt, Reason
from tests.core.house import (
    HOUR,
    MINUTE,
    PEER,
    PLENTY_MSAT,
    T0,
    House,
    S,
    budget_of,
    run,
    total_msat,
)
from tests.core.test_rounds import Street

OTHER = b"\x03" + b"\x22" * 32


def single(house: House, amount_msat: int, api_key: int, fee_limit_msat: int = 100) -> object:
    facts = Facts()
    try:
        return house.book.single(
            Single(f"pay_{amount_msat}", PEER, amount_msat, fee_limit_msat, api_key=api_key),
            house.now_ns,
            facts,
        )
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
    # other waits, and hears at once that nothing comes back: it does not look each 10 s
    for one, second in ((stream, 2), (other, 1)):
        assert (one.state, one.reason, one.state_time_ns) == (
            StreamState.COMPLETED,
            Reason.KEY_BUDGET_SPENT,
            T0 + second * S,
        )


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
    assert house.plan() == [] and house.book.next_ns() is None, "it does not look: it is told"
    house.fail(second)
    [payment] = house.plan()
    assert payment.amount_msat == 1_100, "2,200 less what is spent and the fee limit"
    house.settle(payment)
    house.at(90)
    house.plan()
    assert {stream.state, other.state} == {StreamState.COMPLETED}


@pytest.mark.parametrize("period_ns", [None, MINUTE])
def test_who_waits_for_what_may_come_back_is_due_at_the_renewal_or_nobody_knows_when(
    period_ns: int | None,
) -> None:
    house = House()
    house.add_key(1, 1_100, period_ns)
    stream = house.open(api_key=1, end_time_ns=T0 + 25 * S)
    house.mark(house.plan()[0], Mark.ORPHAN)
    for second in (1, 11, 21):
        house.at(second)
        assert house.plan() == []
        assert stream.state is StreamState.STALLED
        assert house.book.due_ns(stream) == (period_ns and T0 + period_ns), (
            "it waits in the line of its key, and looks at nothing itself"
        )
    assert house.book.next_ns() == T0 + 25 * S
    house.at(25)
    house.plan()
    assert stream.state is not StreamState.STALLED


def test_an_orphan_keeps_the_money_of_its_key_and_ends_nothing() -> None:
    house = House()
    house.add_key(1, 1_100)
    stream = house.open(api_key=1)
    [payment] = house.plan()
    house.mark(payment, Mark.ORPHAN)
    house.at(60)
    assert house.plan() == []
    assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.KEY_BUDGET_SPENT)
    assert house.book.next_ns() is None, (
        "it was looked at every 10 s; now whatever comes back wakes it"
    )
    house.idle(3_600)
    assert stream.state_time_ns == T0 + MINUTE, (
        "it is stalled all the time, and not again and again"
    )
    house.write_off(payment)
    assert house.book.next_ns() == 0
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
    assert house.key_budget(1).room_msat() == 2_200, (
        "what settles late was paid out of the period before"
    )


def test_the_smaller_of_the_two_budgets_bounds_and_each_tells_its_own_name() -> None:
    house = House()
    house.add_key(1, 10_000)
    own = house.open(api_key=1, budget=budget_of(1_100))
    run(house, 5)
    assert (own.state, own.reason) == (StreamState.COMPLETED, Reason.BUDGET_SPENT)
    free = house.open(api_key=1, budget=budget_of(50_000), start_time_ns=T0 + 5 * S)
    run(house, 60)
    assert (free.state, free.reason) == (StreamState.COMPLETED, Reason.KEY_BUDGET_SPENT)
    assert (
        house.key_budget(1).spent_msat
        == own.account.settled_msat + free.account.settled_msat
        == 9_000
    )


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
    before = [
        (
            house.key_budget(n).period_start_ns,
            house.key_budget(n).spent_msat,
            house.key_budget(n).reserved_msat,
        )
        for n in (1, 2)
    ]
    assert [spent for _, spent, _ in before] == [1_001, 1_002] and all(
        reserved for _, _, reserved in before
    )
    house.crash()
    after = [
        (
            house.key_budget(n).period_start_ns,
            house.key_budget(n).spent_msat,
            house.key_budget(n).reserved_msat,
        )
        for n in (1, 2)
    ]
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
    assert budgets.key_shortage(0, 10**12, T0) == "" and budgets.key_shortage(
        9, 10**12, T0
    ) == "" == budgets.key_shortage(1, 2_000_000, T0)
    told = (
        "{} are left of this key's budget of 2,000 sat, and 2,000,001 msat are needed (amount and"
        " fee limit): {}"
    )
    assert budgets.key_shortage(1, 2_000_001, T0) == told.format(
        "2,000 sat", "it is a total, and does not renew"
    )
    assert budgets.key_shortage(2, 2_000_001, T0) == told.format(
        "2,000 sat", "try again when its period is over"
    )
    house.key_budget(1).reserve(2_000_005)
    assert budgets.key_shortage(1, 2_000_001, T0) == told.format(
        "0 sat", "it is a total, and does not renew"
    ), "and never less"


def test_a_stream_whose_key_is_spent_is_looked_at_when_money_comes_back_and_at_the_renewal() -> (
    None
):
    house = House()
    house.add_key(1, 1_200, HOUR)
    other, waiting = house.open(api_key=1), house.open(api_key=1, start_time_ns=T0 + S)
    open_one = house.pay(0)
    house.idle(1)
    assert (waiting.state, waiting.reason, waiting.state_time_ns) == (
        StreamState.STALLED,
        Reason.KEY_BUDGET_SPENT,
        T0 + S,
    )
    assert house.book.next_ns() == T0 + HOUR, (
        "it does not look again and again while something is reserved"
    )
    house.pause(other)
    house.settle(open_one)
    assert house.book.next_ns() == 0
    house.idle(2)
    assert (
        waiting.short_until_ns == T0 + HOUR == house.book.next_ns() == house.book.due_ns(waiting)
    ), "200 msat came back"
    house.crash()
    house.idle(3)
    assert (
        house.book.due_ns(house.again(waiting))
        == house.again(waiting).short_until_ns
        == T0 + HOUR
        == house.book.next_ns()
    )
    assert house.pay(3_600).stream_key == waiting.key


def test_what_a_write_off_gives_back_to_a_key_wakes_who_waits_for_it_and_no_others() -> None:
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
    assert (
        waiting.reason is stranger.reason is Reason.KEY_BUDGET_SPENT
        and failing.reason is Reason.TIMEOUT
    )
    before = [(stream.state, stream.account.next_attempt_ns) for stream in (failing, stranger)]
    house.at(2)
    house.fail(order)
    house.crash()
    [payment] = house.plan()
    assert (payment.stream_key, house.again(waiting).state) == (waiting.key, StreamState.ACTIVE)
    assert [
        (again.state, again.account.next_attempt_ns)
        for again in map(house.again, (failing, stranger))
    ] == before


def test_where_both_budgets_are_spent_the_streams_own_is_named() -> None:
    house = House()
    house.add_key(1, 1_100)
    stream = house.open(api_key=1, budget=budget_of(1_100))
    house.settle(house.pay(0), fee_msat=100)
    house.idle(7)
    assert (stream.state, stream.reason, stream.state_time_ns) == (
        StreamState.COMPLETED,
        Reason.BUDGET_SPENT,
        T0 + 7 * S,
    )


def test_a_period_that_holds_just_the_minimum_payment_is_enough() -> None:
    house = House()
    house.add_key(1, 1_100, MINUTE)
    stream = house.open(api_key=1)
    house.settle(house.pay(0), fee_msat=100)
    house.idle(1)
    assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.KEY_BUDGET_SPENT)
    payment = house.pay(60)
    assert (payment.probe, payment.amount_msat, stream.state, stream.state_time_ns) == (
        False,
        1_000,
        StreamState.ACTIVE,
        T0 + MINUTE,
    )


# -- its renewal, and the end of a stream ---------------------------------------------------------


@pytest.mark.parametrize("catch_up_ns", [None, 0, 5 * MINUTE])
@pytest.mark.parametrize(
    ("end", "down", "settled_msat"),
    [
        (60, None, 38_900),  # at the renewal
        (61, None, 38_900),
        (59, None, 19_000),  # before
        (80, (55, 90), 38_900),  # nobody looked at the renewal before the end
        (59, (55, 90), 19_000),
        (180, None, 78_700),
        (240, (170, 190), 98_600),
    ],
)
def test_a_stream_that_ends_at_a_renewal_or_later_is_paid_from_it_whose_budget_it_is(
    end: int, down: tuple[int, int] | None, settled_msat: int, catch_up_ns: int | None
) -> None:
    found = []
    for own in (True, False):
        house = House()
        house.add_key(1, PLENTY_MSAT if own else 20_000, MINUTE)
        budget = budget_of(20_000, MINUTE) if own else None
        stream = house.open(
            api_key=1, end_time_ns=T0 + end * S, budget=budget, catch_up_ns=catch_up_ns
        )
        if down is not None:
            run(house, down[0])
            house.node_down(*down)
            house.at(down[1])
            for payment in house.plan():
                house.settle(payment)
        run(house, 600)
        found.append(
            (
                stream.state,
                stream.reason,
                stream.account.settled_msat,
                stream.skipped_msat,
                stream.dropped_msat,
            )
        )
    assert found[0] == found[1]
    assert found[0][:2] == (StreamState.COMPLETED, Reason.END_TIME)
    assert found[0][2] == settled_msat or catch_up_ns == 0, (
        "without catch-up most of it was impossible, and is skipped"
    )


@pytest.mark.parametrize("crash", [False, True])
def test_at_its_end_with_a_renewal_it_is_active_and_what_it_owes_is_paid(crash: bool) -> None:
    house = House()
    house.add_key(1, 20_000, MINUTE)
    stream = house.open(api_key=1, end_time_ns=T0 + 80 * S)
    run(house, 55)
    assert stream.state is StreamState.STALLED
    house.node_down(55, 90)
    house.at(90)
    if crash:
        house.crash()
        stream = house.again(stream)
    facts = Facts()
    house.book.pass_time(stream, house.now_ns, facts)
    assert (stream.state, stream.state_time_ns) == (StreamState.ACTIVE, T0 + MINUTE)
    house.book.schedule(stream)
    run(house, 90)
    assert stream.account.settled_msat == 38_900


def test_who_ends_behind_others_of_its_key_waits_for_its_round_and_ends_at_last() -> None:
    """Three want the one renewal, which holds less than one of them owes: they share it, and then
    nothing keeps them.
    """
    house = House()
    house.add_key(1, 20_000, MINUTE)
    streams = [house.open(api_key=1, end_time_ns=T0 + 80 * S) for _ in range(3)]
    run(house, 55)
    house.node_down(55, 90)
    house.at(90)
    run(house, 90)
    run(house, 119)
    assert {stream.state for stream in streams} == {StreamState.COMPLETED}
    got = sorted(stream.account.settled_msat for stream in streams)
    assert got[-1] - got[0] <= 1_100 and sum(got) > 36_000, got
    assert house.book.next_ns() is None, "nothing is looked at again and again"


@pytest.mark.parametrize("end", [60, 80])
def test_a_renewal_that_holds_one_payment_ends_those_who_do_not_get_it(end: int) -> None:
    """They wait for their round as those who are due, and are told when it has nothing for them:
    else they would be ACTIVE for ever.
    """
    house = House()
    house.add_key(1, 1_500, MINUTE)
    streams = [house.open(api_key=1, end_time_ns=T0 + end * S) for _ in range(3)]
    run(house, 55)
    house.node_down(55, 90)
    house.at(90)
    run(house, 90)
    run(house, 119)
    assert {stream.state for stream in streams} == {StreamState.COMPLETED}
    assert sorted(stream.account.settled_msat for stream in streams) == [0, 1_000, 1_000]
    assert house.book.next_ns() is None


def test_a_renewal_that_holds_no_payment_ends_it_at_once() -> None:
    house, facts = House(), Facts()
    house.add_key(1, 20_000, MINUTE)
    stream = house.open(api_key=1, end_time_ns=T0 + 80 * S)
    run(house, 55)
    house.key_budget(1).limit_msat = 1_000
    house.at(90)
    house.book.pass_time(stream, house.now_ns, facts)
    house.book.rounds.refuse(house.book, stream, T0 + 80 * S, house.now_ns, facts)
    assert stream.state is StreamState.STALLED
    house.book.pass_time(stream, house.now_ns, facts)
    assert (stream.state, stream.account.settled_msat) == (
        StreamState.COMPLETED,
        19_000,
    ), "it is not funded again by the same renewal"
    assert house.plan() == []
    assert house.book.next_ns() is None


def test_who_found_nothing_at_the_renewal_is_stalled_at_its_end_its_time_impossible() -> None:
    """Somebody looked: the renewal of before says nothing of this one."""
    house = House()
    house.add_key(1, 2_200, MINUTE)
    streams = [
        house.open(
            api_key=1,
            destination=number.to_bytes(33, "big"),
            end_time_ns=T0 + 200 * S,
            catch_up_ns=0,
        )
        for number in range(9)
    ]
    run(house, 600)
    assert {stream.state for stream in streams} == {StreamState.COMPLETED}
    unpaid = [stream for stream in streams if not stream.account.settled_msat]
    assert unpaid, "there was money for fewer"
    assert all((stream.skipped_msat, stream.dropped_msat) == (200_000, 0) for stream in unpaid)


def test_a_turn_that_its_node_could_not_take_before_the_end_is_taken_after_it() -> None:
    street = Street(20_000)
    mine, other = street.open(0, end_time_ns=T0 + 65 * S), street.open(1)
    street.live(55)
    assert mine.short_of is other.short_of is Reason.KEY_BUDGET_SPENT
    street.down.add(0)
    before = mine.account.settled_msat
    street.live(62)
    assert street.house.book.rounds.turn(mine) is not None
    street.house.at(66)
    street.down.clear()
    street.live(200)
    assert mine.state is StreamState.COMPLETED and mine.account.settled_msat > before
