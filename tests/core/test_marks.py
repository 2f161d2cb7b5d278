"""Marks and doubts: what they free, what they keep, and what a stream does about them."""

from __future__ import annotations

import pytest

from streamer.core import ends
from streamer.core.book import MAX_IN_DOUBT
from streamer.core.payment import Event
from streamer.words.model import (
    Answer,
    Facts,
    Kind,
    Mark,
    Payment,
    PaymentState,
    Rate,
    Single,
    Stream,
    StreamState,
)
from streamer.words.reasons import Reason
from tests.core.house import PEER, T0, House, S

FREE = [Mark.ORPHAN, Mark.LOST_SIGHT]


def doubted(house: House, stream: Stream) -> list[Payment]:
    """As many payments in doubt as a stream may have."""
    payments = []
    for number in range(MAX_IN_DOUBT):
        payments.append(house.pay(60 * number))
        house.doubt(payments[-1])
    assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.IN_DOUBT)
    return payments


def single(house: House) -> Payment:
    facts = Facts()
    payment = house.book.single(Single("pay_1", PEER, 5_000, 100), house.now_ns, facts)
    assert payment is not None
    house.commit(facts)
    return payment


@pytest.mark.parametrize("mark", FREE)
def test_a_doubt_that_becomes_an_orphan_or_is_lost_sight_of_is_no_doubt_and_the_stream_goes_on(
    mark: Mark,
) -> None:
    house = House()
    stream = house.open()
    payments = doubted(house, stream)
    assert stream.account.next_attempt_ns == 0 and stream.state_time_ns == T0 + 120 * S
    house.at(200)
    house.mark(payments[0], mark)
    assert (stream.state, stream.reason, stream.state_time_ns) == (
        StreamState.ACTIVE,
        Reason.NONE,
        T0 + 200 * S,
    )
    assert house.book.slots.doubts(stream.key) == 2 and stream.open_payments == 0
    assert house.pay(200).amount_msat == 80_000, "and buys what was not bought meanwhile"
    house.crash()
    assert house.again(stream).state is StreamState.ACTIVE


def test_a_doubt_that_is_held_stays_a_doubt() -> None:
    house = House()
    stream = house.open()
    payments = doubted(house, stream)
    house.mark(payments[0], Mark.HELD)
    assert (
        stream.state is StreamState.STALLED
        and house.book.slots.doubts(stream.key) == 3
        and stream.open_payments == 0
    )
    house.mark(payments[0], Mark.NONE)
    assert not house.book.slots.window and stream.open_payments == 0, (
        "a doubt has no place in the window"
    )
    house.at(300)
    house.settle(payments[0])
    assert (stream.open_payments, stream.state, stream.state_time_ns) == (
        0,
        StreamState.ACTIVE,
        T0 + 300 * S,
    )


@pytest.mark.parametrize("mark", FREE)
def test_a_closing_stream_ends_when_its_last_payment_is_an_orphan_or_lost_sight_of(
    mark: Mark,
) -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    house.cancel(stream)
    assert stream.state is StreamState.CLOSING
    house.at(90)
    house.mark(payment, mark)
    assert (stream.state, stream.state_time_ns) == (StreamState.CANCELLED, T0 + 90 * S)
    house.crash()
    assert house.again(stream).state is StreamState.CANCELLED, "and that is durable"


def test_a_mark_is_durable_and_marking_it_twice_writes_once() -> None:
    house = House()
    house.open()
    payment = house.pay(0)
    facts = Facts()
    ends.mark(house.book, payment, Mark.HELD, house.now_ns, facts)
    ends.mark(house.book, payment, Mark.HELD, house.now_ns, facts)
    assert facts.ends == [payment]


def test_a_doubt_is_counted_once_and_an_orphan_is_never_one() -> None:
    house = House()
    stream = house.open(max_open_payments=3)
    first, second = house.pay(0), house.pay(1)
    house.doubt(first, first)
    assert (stream.open_payments, house.book.slots.doubts(stream.key)) == (1, 1)
    house.mark(second, Mark.ORPHAN)
    house.doubt(second)
    assert (stream.open_payments, house.book.slots.doubts(stream.key)) == (0, 1)
    assert list(house.book.slots.window) == []


def test_a_stream_that_is_paused_is_not_stalled_by_its_doubts() -> None:
    house = House()
    stream = house.open(max_open_payments=3)
    payments = [house.pay(0), house.pay(1), house.pay(2)]
    house.pause(stream)
    house.doubt(*payments)
    assert stream.state is StreamState.PAUSED


def test_time_stalled_in_doubt_while_failing_goes_on_failing() -> None:
    house = House()
    stream = house.open(max_open_payments=4)
    payments = [house.pay(0), house.pay(1), house.pay(2), house.pay(3)]
    house.fail(payments[3])
    house.doubt(*payments[:3])
    assert stream.state is StreamState.STALLED
    house.at(100)
    house.mark(payments[0], Mark.ORPHAN)
    assert (stream.state, bool(stream.account.failing_since_ns)) == (StreamState.ACTIVE, True), (
        "only a settlement ends the row"
    )


# -- payments of no stream ----------------------------------------------------------------------


def test_a_single_payment_takes_its_room_and_ends_like_any_other() -> None:
    house = House()
    payment = single(house)
    limit = house.book.budgets.spend_limit
    assert (
        limit.reserved_msat == 5_100
        and list(house.book.slots.window) == [payment.row]
        and house.book.may_send(payment, house.now_ns)
    )
    house.mark(payment, Mark.HELD)
    assert house.book.slots.holds(PEER, 0) and not house.book.slots.window
    house.mark(payment, Mark.NONE)
    house.doubt(payment)
    assert payment.row in house.book.slots.doubtful
    house.settle(payment, fee_msat=7)
    assert (
        (limit.reserved_msat, limit.spent_msat) == (0, 5_007)
        and not house.book.payments
        and not house.book.slots.doubtful
    )


@pytest.mark.parametrize("mark", list(Mark))
def test_a_single_payment_is_taken_back_after_a_crash_as_it_was(mark: Mark) -> None:
    house = House()
    payment = single(house)
    house.mark(payment, mark)
    house.crash()
    again = house.payment(payment.row)
    assert again.mark is mark and house.book.budgets.spend_limit.reserved_msat == 5_100
    assert bool(house.book.slots.window) is (mark is Mark.NONE) and house.book.slots.held == (
        mark is Mark.HELD
    )
    house.fail(again)
    assert house.book.budgets.spend_limit.reserved_msat == 0 and again.state is PaymentState.FAILED


def test_a_single_payment_written_off_gives_back_when_it_failed_after_all() -> None:
    house = House()
    payment = single(house)
    house.write_off(payment)
    assert house.book.budgets.spend_limit.spent_msat == 5_100
    house.fail(payment)
    assert house.book.budgets.spend_limit.spent_msat == 0 and (
        payment.settled_msat,
        payment.fee_msat,
    ) == (0, 0)


# -- what is written ----------------------------------------------------------------------------


def test_only_what_is_new_is_written() -> None:
    house = House()
    house.open()
    payment = house.pay(0)

    def written(event: Event, accepted: bool) -> int:
        facts = Facts()
        ends.resolve(house.book, payment, event, Answer(Kind.LOST, accepted), house.now_ns, facts)
        return len(facts.ends)

    assert written(Event.LOST, accepted=False) == 1
    assert written(Event.LOST, accepted=False) == 0
    assert written(Event.LOST, accepted=True) == 1, "that the node has it"
    assert written(Event.LOST, accepted=False) == 0 and payment.accepted, "which is not forgotten"


def test_the_nodes_index_is_kept_and_the_newest_counts() -> None:
    house = House()
    house.open()
    payment = house.pay(0)
    house.resolve(payment, Event.ACCEPTED, Answer(Kind.IN_FLIGHT, True, index=7))
    house.resolve(payment, Event.LOST, Answer(Kind.LOST))
    assert payment.index == 7
    house.resolve(payment, Event.SETTLED, Answer(Kind.SETTLED, True, amount_msat=1_000, index=9))
    assert payment.index == 9


def test_an_end_has_its_moment_reason_and_words() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    house.at(3)
    house.fail(payment, Reason.NO_ROUTE)
    assert (payment.end_ns, payment.reason, payment.message) == (T0 + 3 * S, Reason.NO_ROUTE, "no")
    assert stream.last_failure == "no"
    again = house.pay(100)
    house.resolve(again, Event.FAILED, Answer(Kind.FAILED, reason=Reason.TIMEOUT))
    assert stream.last_failure == "TIMEOUT", "the reason where the node has no words"


def test_failures_are_counted_back_off_by_their_reason_and_halve_to_whole_msat() -> None:
    house = House()
    stream = house.open()
    house.fail(house.pay(0), Reason.NO_ROUTE)
    assert (stream.account.failed_count, stream.account.streak, stream.account.next_attempt_ns) == (
        1,
        1,
        T0 + 65 * S,
    )
    payment = house.pay(65)
    assert payment.amount_msat == 1_000
    house.fail(payment, Reason.TIMEOUT)
    assert (stream.account.failed_count, stream.account.streak) == (2, 2)
    house = House()
    large = house.open(rate=Rate(5_001, S, S))
    house.fail(house.pay(0), Reason.NO_LIQUIDITY)
    assert large.account.probe_cap_msat == 2_500 and isinstance(large.account.probe_cap_msat, int)


def test_a_closing_stream_ends_when_its_last_payment_comes_into_doubt() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    house.cancel(stream)
    house.at(600)
    house.doubt(payment)
    assert (stream.state, stream.state_time_ns) == (StreamState.CANCELLED, T0 + 600 * S)


def test_watchers_are_told_of_ends_and_late_ends_apart() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    assert house.book.take_tally().changed == [stream], "it began"
    house.fail(payment)
    tally = house.book.take_tally()
    assert (tally.ended, tally.late) == ([payment], [])
    house.settle(payment)
    tally = house.book.take_tally()
    assert (tally.ended, tally.late) == ([], [payment])
    assert not house.book.take_tally()


@pytest.mark.parametrize("mark", [Mark.LOST_SIGHT, Mark.ORPHAN, Mark.HELD])
@pytest.mark.parametrize("end", [Event.WRITE_OFF, Event.SETTLED])
def test_a_mark_ends_with_the_payment_but_that_it_was_out_of_sight_when_it_was_written_off_is_kept(
    mark: Mark, end: Event
) -> None:
    """lnd's word about that one is not believed later either (money rule 5)."""
    house = House()
    house.open()
    [payment] = house.plan()
    house.mark(payment, mark)
    house.resolve(payment, end, Answer(Kind.SETTLED, True, amount_msat=1_000))
    assert payment.mark is (
        Mark.LOST_SIGHT if (mark, end) == (Mark.LOST_SIGHT, Event.WRITE_OFF) else Mark.NONE
    )
    assert house.book.slots.held == 0
