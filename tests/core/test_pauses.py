"""A pause costs what stood still in it, and nothing else."""

from __future__ import annotations

import random

import pytest

from streamer.core.payment import Event
from streamer.core.schedule import MOST_SEGMENTS, moment_ns, price_msat
from streamer.core.streamtime import covered_ns, origin_ns, paid_until_ns, wall_ns
from streamer.words.model import Answer, Facts, Kind, Payment, Rate, Stream
from streamer.words.reasons import Reason
from tests.core.house import HOUR, MINUTE, T0, House, S

HOURLY = Rate(1_000, S, HOUR)


def at_last(house: House, stream: Stream, second: float) -> Payment:
    """The payment after the back-off."""
    house.at(second)
    house.now_ns = max(house.now_ns, stream.account.next_attempt_ns)
    [payment] = house.plan()
    return payment


@pytest.mark.parametrize("pause", [None, (6_700, 6_710), (6_606, 6_607), (4_000, 4_010)])
def test_what_was_bought_and_fails_later_is_owed_as_if_there_had_been_no_pause(
    pause: tuple[int, int] | None,
) -> None:
    house = House()
    stream = house.open(rate=HOURLY, catch_up_ns=0)
    house.settle(house.pay(0))
    open_one = house.pay(3_600)
    house.node_down(3_605, 6_605)
    if pause is not None:
        house.at(pause[0])
        house.pause(stream)
        house.at(pause[1])
        house.resume(stream)
        house.crash()
        stream, open_one = house.again(stream), house.payment(open_one.row)
    house.at(6_720)
    house.fail(open_one)
    assert stream.paused_ns == 0, "what was bought ran on in the pause"
    assert at_last(house, stream, 6_720).skip_ns == 3_005 * S, (
        "the outage, and the back-off after the failure"
    )


def test_time_that_stood_still_is_not_impossible() -> None:
    house = House()
    stream = house.open(max_open_payments=3, catch_up_ns=0)
    first, second = house.pay(0), house.pay(1)
    third = house.pay(250)
    house.fail(first)
    house.fail(second)
    facts = Facts()
    house.outages.add("OPERATOR", T0 + 299 * S, T0 + 1_100 * S, facts)
    house.commit(facts)
    house.at(310)
    house.pause(stream)
    house.at(1_000)
    house.fail(third)
    house.at(1_200)
    house.resume(stream)
    [payment] = house.plan()
    assert stream.paused_ns == 890 * S
    assert (payment.skip_ns, payment.amount_msat) == (60 * S, 251_000), (
        "from the first failure to the pause, and no second of the pause"
    )


def test_impossible_time_before_a_pause_counts_after_it() -> None:
    house = House()
    stream = house.open(catch_up_ns=0)
    house.settle(house.pay(0))
    house.node_down(1, 41)
    house.at(50)
    house.pause(stream)
    house.at(500)
    house.resume(stream)
    house.node_down(500, 510)
    assert (house.pay(520).skip_ns, stream.skipped_ns) == (50 * S, 50 * S), "short ones add up"


def test_a_skip_between_keeps_its_place() -> None:
    """Covered goes back behind a skip: what was impossible before it is still found where it
    was.
    """
    house = House()
    stream = house.open(rate=Rate(1_000, S, 200 * S), max_open_payments=2, catch_up_ns=0)
    early = house.pay(0)
    house.node_down(100, 110)  # in time that is bought already
    house.node_down(200, 300)
    house.change(stream, max_payment_msat=50_000)
    late = house.pay(300)
    assert (early.amount_msat, late.skip_ns, late.amount_msat) == (200_000, 100 * S, 50_000)
    assert stream.spans == ((T0 + 100 * S, T0 + 110 * S),) and stream.stretches == (
        (T0 + 200 * S, T0 + 300 * S),
    )
    house.crash()
    stream = house.again(stream)
    assert stream.spans == ((T0 + 100 * S, T0 + 110 * S),) and stream.stretches == (
        (T0 + 200 * S, T0 + 300 * S),
    )
    house.settle(house.payment(late.row))
    house.at(301)
    house.fail(house.payment(early.row))
    assert wall_ns(stream, covered_ns(stream)) == T0 + 50 * S, (
        "settled money covers fifty seconds, before the skip"
    )
    again = at_last(house, stream, 301)
    assert again.skip_ns == (10 + 5) * S, "ten seconds in what failed, and the row since"


def test_a_resume_ends_no_row_of_failures() -> None:
    with_pause, without = House(), House()
    amounts = []
    for house, pauses in ((with_pause, True), (without, False)):
        stream = house.open(catch_up_ns=0)
        house.settle(house.pay(0))
        house.fail(house.pay(1))
        if pauses:
            house.at(2)
            house.pause(stream)
            house.resume(stream)
        house.at(30)
        failing = house.plan()[0] if pauses else house.pay(30)
        house.at(60)
        house.settle(failing)
        amounts.append(failing.amount_msat + house.pay(61).amount_msat)
    assert amounts[0] == amounts[1]


def test_many_pauses_cost_what_stood_still_and_keep_a_bounded_memory() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)  # never ends: nothing can be forgotten for settled money
    chance = random.Random(1)
    for _ in range(1_200):
        house.now_ns += chance.randrange(1, 3 * S)
        house.pause(stream)
        house.now_ns += chance.randrange(1, 3 * S)
        house.resume(stream)
    assert len(stream.stretches) <= 1_000 and payment.open
    assert origin_ns(stream) + covered_ns(stream) <= house.now_ns


# -- new rates ----------------------------------------------------------------------------------


def test_a_new_rate_each_second_keeps_a_bounded_list_and_every_msat() -> None:
    house = House()
    stream = house.open(catch_up_ns=None)
    house.settle(house.pay(0))
    house.node_down(1, 100_000)
    owed, chance = 0, random.Random(7)
    rates = [
        Rate(1_000, S, S),
        Rate(7, 3 * S, 1_000 * S),
        Rate(100_003, S, S),
        Rate(1, HOUR, 5_000 * HOUR),
    ]
    rate = stream.terms.rate
    for second in range(1, 1_000):
        house.at(second)
        owed = price_msat(stream.segments, second * S)
        rate = chance.choice([other for other in rates if other != rate])
        house.change(stream, rate=rate)
        assert price_msat(stream.segments, second * S) == owed, "unpaid time keeps what it costs"
        assert len(stream.segments) <= MOST_SEGMENTS
    segments = stream.segments
    assert [segment.start_ns for segment in segments] == sorted(
        {segment.start_ns for segment in segments}
    )
    for msat in range(1_000, owed, 997):
        assert (
            price_msat(segments, moment_ns(segments, msat))
            >= msat
            > price_msat(segments, moment_ns(segments, msat) - 1)
        )
    house.crash()
    payment = house.pay(1_000)
    assert payment.amount_msat >= owed - 1_000


def test_segments_without_a_price_become_one_without_a_price() -> None:
    house = House()
    stream = house.open(rate=Rate(1, HOUR, 5_000 * HOUR), catch_up_ns=None)
    rates = [Rate(1, HOUR, 5_000 * HOUR), Rate(2, HOUR, 5_000 * HOUR)]
    for turn in range(1, 200):
        house.at(40 * turn)
        house.change(stream, rate=rates[turn % 2])
        first, second = stream.segments[0], stream.segments[1]
        assert price_msat(stream.segments, second.start_ns - 1) <= second.start_msat, (
            "less than a msat each, and nothing together"
        )
    assert first.start_ns < second.start_ns - HOUR
    house.change(stream, rate=Rate(1_000, S, S))
    house.at(40 * turn + MINUTE // S)
    [payment] = house.plan()
    assert payment.amount_msat == (MINUTE // S + 1) * 1_000
    assert stream.reason is not Reason.USER


def test_many_new_rates_in_an_outage_move_nothing_that_is_bought() -> None:
    """One mean over time that is paid and time that is not would give paid time back: 52,518 sat
    were paid instead of 3,010.
    """
    house = House()
    stream = house.open(catch_up_ns=5 * MINUTE)
    first = house.pay(20_000)
    house.settle(first)
    covered, rates = covered_ns(stream), [Rate(10_000, S, S), Rate(10_001, S, S)]
    house.node_down(20_001, 27_201)
    for turn in range(1, 181):
        house.at(20_001 + 40 * turn)
        house.change(stream, rate=rates[turn % 2])
        assert covered_ns(stream) == covered and stream.account.owed_msat == 0
    assert len(stream.segments) <= MOST_SEGMENTS + 1
    payment = house.pay(27_201)
    assert payment.amount_msat <= 302 * 10_001 and payment.skip_ns >= 6_899 * S


def test_a_new_rate_and_a_payment_that_fails_each_second_keep_a_bounded_list() -> None:
    """Nobody is to blame, so it is tried again at once: a segment was kept for each of them."""
    house = House()
    stream = house.open(catch_up_ns=None)
    house.settle(house.pay(0))
    covered, rates = covered_ns(stream), [Rate(10_000, S, S), Rate(10_003, S, S)]
    for second in range(1, 301):
        house.at(second)
        [payment] = house.plan()
        house.resolve(payment, Event.FAILED, Answer(Kind.FAILED), blame=False)
        house.change(stream, rate=rates[second % 2])
        assert covered_ns(stream) == covered and len(stream.segments) <= MOST_SEGMENTS
    house.crash()
    payment = house.pay(301)
    assert abs(payment.amount_msat - 300 * 10_001) <= 2 * 10_003, "and what is owed"


def test_new_rates_while_an_older_payment_has_no_end_keep_a_bounded_list() -> None:
    """Settled money stands before all that was bought since: none of it was passed, and 1,500 new
    rates were kept.
    """
    house = House()
    stream = house.open(rate=Rate(1_000, S, HOUR), catch_up_ns=None, max_open_payments=2)
    house.settle(house.pay(0))
    begin = HOUR // S
    orphan = house.pay(begin)
    assert orphan.amount_msat == 3_600_000
    rates, begin = [Rate(1_000, S, S), Rate(1_300, S, S), Rate(1_007, S, S)], 2 * begin
    for second in range(300):
        house.at(begin + second)
        paid_until = paid_until_ns(stream)
        house.change(stream, rate=rates[second % 3])
        assert paid_until_ns(stream) == paid_until, "no mean over paid time and unpaid"
        [payment] = house.plan()
        covered = covered_ns(stream)
        house.settle(payment)
        assert covered_ns(stream) == covered and len(stream.segments) <= MOST_SEGMENTS
        assert paid_until_ns(stream) <= 2 * HOUR, "the orphan's time is not paid"
    paid = stream.account.settled_msat
    house.settle(orphan)
    assert stream.account.settled_msat == paid + 3_600_000
    house.crash()
    stream = house.again(stream)
    assert stream.account.owed_msat == 0 and covered_ns(stream) == covered
