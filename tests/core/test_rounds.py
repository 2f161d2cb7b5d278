"""A short key budget is served in rounds: each stream its turn, over all nodes, and no payment more
than that needs.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from streamer.core import ends, lifecycle
from streamer.core.away import FLIGHT_NS, MOST_LATER, TURN_NS
from streamer.core.book import Book
from streamer.core.line import MOST_PASSED, MOST_TURNS
from streamer.core.payment import Event
from streamer.core.streamtime import check_conservation
from streamer.words.model import (
    Answer,
    Facts,
    Kind,
    Mark,
    Payment,
    Rate,
    Single,
    Stream,
    StreamState,
)
from streamer.words.reasons import Reason
from tests.core.house import HOUR, MINUTE, PEER, T0, House, S, planned, stamp, terms_of

OTHER_NODE = "other"
FLOOR_MSAT = 5_000
"""The default of streams.fee_floor_msat."""


class Street:
    """Two nodes that share all; what is planned settles after `latency_ns(stream key)`, without
    fees unless told otherwise.
    """

    def __init__(self, budget_msat: int, period_ns: int | None = MINUTE) -> None:
        self.house = House()
        self.house.add_key(1, budget_msat, period_ns)
        self.books = [
            self.house.book,
            Book(OTHER_NODE, self.house.limits, self.house.book.shared, stamp),
        ]
        self.latency_ns: Callable[[int], int] = lambda _: 0
        self.fee_msat = 0
        self.paid: list[Payment] = []
        self.down: set[int] = set()
        self.woken = [0, 0]
        for number, book in enumerate(self.books):
            book.wake = partial(self._wake, number)
        self._flights: list[tuple[int, int, Payment]] = []

    def _wake(self, number: int) -> None:
        self.woken[number] += 1

    def open(self, node: int = 0, **changes: Any) -> Stream:
        """One stream of the key, to a destination of its own."""
        house, key = self.house, next(self.house.keys)
        destination = b"\x02" + key.to_bytes(32, "big")
        terms = terms_of(**{"node": self.books[node].node, "destination": destination, **changes})
        stream = lifecycle.new_stream(f"st_{key}", key, terms, house.now_ns, 1)
        facts = Facts()
        lifecycle.open_stream(self.books[node], stream, house.now_ns, facts)
        house.commit(facts)
        return stream

    def plan(self, node: int = 0, room: int = 100) -> list[Payment]:
        return planned(self.books[node], self.house.now_ns, room, self.house.commit)

    def act(self, action: Any, stream: Stream, *arguments: Any) -> None:
        facts = Facts()
        action(self.book_of(stream), stream, *arguments, self.house.now_ns, facts)
        self.house.commit(facts)

    def book_of(self, stream: Stream) -> Book:
        return next(book for book in self.books if book.node == stream.terms.node)

    def settle(self, payment: Payment) -> None:
        book = next(book for book in self.books if book.node == payment.node)
        facts = Facts()
        fee = min(self.fee_msat, payment.fee_limit_msat)
        answer = Answer(Kind.SETTLED, True, amount_msat=payment.amount_msat, fee_msat=fee)
        ends.resolve(book, payment, Event.SETTLED, answer, self.house.now_ns, facts)
        self.house.commit(facts)

    def live(self, until_seconds: float) -> None:
        """Both nodes do all that is to do until then, each when it is due."""
        until_ns, house = T0 + int(until_seconds * S), self.house
        while (moment := self._next_ns()) is not None and moment <= until_ns:
            house.now_ns = max(house.now_ns, moment)
            while self._flights and self._flights[0][0] <= house.now_ns:
                self.settle(heapq.heappop(self._flights)[2])
            for number in range(2):
                if number not in self.down:
                    self._send(self.plan(number))
        house.now_ns = until_ns
        for book in self.books:
            for stream in book.streams.values():
                check_conservation(stream)

    def _next_ns(self) -> int | None:
        moments = [self._flights[0][0]] if self._flights else []
        moments += [
            ns
            for number, book in enumerate(self.books)
            if number not in self.down and (ns := book.next_ns()) is not None
        ]
        return min(moments, default=None)

    def _send(self, planned: list[Payment]) -> None:
        budget = self.house.key_budget(1)
        assert budget.room_msat() >= 0, "never more than there is"
        for payment in planned:
            self.paid.append(payment)
            heapq.heappush(
                self._flights,
                (self.house.now_ns + self.latency_ns(payment.stream_key), payment.row, payment),
            )

    def got_msat(self, since_ns: int = 0) -> Counter[int]:
        """What each stream was planned to pay."""
        got: Counter[int] = Counter({key: 0 for book in self.books for key in book.by_key})
        for payment in self.paid:
            if payment.planned_ns >= since_ns:
                got[payment.stream_key] += payment.amount_msat
        return got

    def single(self, amount_msat: int) -> Payment | None:
        facts = Facts()
        order = Single(f"pay_{amount_msat}", PEER, amount_msat, 100, api_key=1)
        payment = self.books[0].single(order, self.house.now_ns, facts)
        self.house.commit(facts)
        return payment


def spread(street: Street) -> int:
    got = street.got_msat()
    return max(got.values()) - min(got.values())


# -- equal streams --------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize(
    ("streams", "budget_msat", "floor_msat", "least_msat"),
    [
        (2, 10_100, 100, 580_000),
        (3, 30_000, 100, 1_750_000),
        (2, 10_100, FLOOR_MSAT, 295_000),
        (5, 60_000, FLOOR_MSAT, 3_200_000),
        (5, 30_000, FLOOR_MSAT, 1_400_000),
        (20, 30_000, FLOOR_MSAT, 1_400_000),
    ],
)
def test_equal_streams_get_the_same(
    streams: int, budget_msat: int, floor_msat: int, least_msat: int, nodes: int
) -> None:
    """One took 606,000 msat in an hour and the other 4,000; of three 1,804,000, 10,000 and
    9,000.
    """
    street = Street(budget_msat)
    for number in range(streams):
        street.open(number % nodes, fee_floor_msat=floor_msat)
    share = max(budget_msat // streams, 1_000 + floor_msat)
    for minute in range(1, 61):
        street.live(minute * 60 - 1)
        assert spread(street) <= share, f"after {minute} minutes"
    got = street.got_msat()
    assert sum(got.values()) >= least_msat, "and the budget is used"
    after_the_first = [payment for payment in street.paid if payment.planned_ns >= T0 + MINUTE]
    assert len(after_the_first) <= 59 * (2 * streams + 1), (
        "a share is not cut into payments of the minimum; the rest is one more"
    )


def test_with_the_default_fee_floor_equal_streams_make_about_one_payment_a_period() -> None:
    street = Street(60_000)
    for _ in range(5):
        street.open(fee_floor_msat=FLOOR_MSAT)
    street.latency_ns = lambda key: key * S // 10
    street.fee_msat = 4_000
    street.live(HOUR // S - 1)
    late = [payment for payment in street.paid if payment.planned_ns >= T0 + MINUTE]
    assert len(late) <= 59 * 7 and spread(street) <= 12_000
    assert min(payment.amount_msat for payment in late) >= FLOOR_MSAT


def test_whoever_is_fastest_does_not_get_what_comes_back() -> None:
    """Given away as it came, the fee limits of five would always go to the receiver that settles
    first.
    """
    street = Street(60_000)
    for _ in range(5):
        street.open(fee_floor_msat=FLOOR_MSAT)
    street.latency_ns = lambda key: (0, S // 2, S, 2 * S, 3 * S)[key % 5]
    street.live(10 * HOUR // S - 1)
    assert spread(street) <= 12_000


def test_unequal_streams_get_at_most_an_equal_share_and_what_one_leaves_is_the_others() -> None:
    street = Street(60_000)
    small = street.open(rate=Rate(100, S, 10 * S))
    big, bigger = street.open(), street.open(rate=Rate(10_000, S, S))
    street.live(HOUR // S - 1)
    got = street.got_msat(T0 + MINUTE)
    assert got[small.key] == pytest.approx(59 * 6_000, abs=6_000), (
        "who wants less than his share gets all that he wants"
    )
    assert sum(got.values()) >= 59 * 59_000
    whole = street.got_msat()
    assert abs(whole[big.key] - whole[bigger.key]) <= 30_000, (
        "what one got before the key was short is made up for"
    )


def test_a_key_that_is_not_short_is_not_served_in_rounds() -> None:
    street = Street(1_000_000)
    one, late = street.open(), street.open(start_time_ns=T0 + S)
    street.live(0)
    street.house.at(300)
    assert {payment.stream_key: payment.amount_msat for payment in street.plan()} == {
        one.key: 300_000,
        late.key: 300_000,
    }


def test_who_found_nothing_comes_first_in_the_next_period() -> None:
    street = Street(1_100)
    streams = [street.open() for _ in range(3)]
    street.fee_msat = 100
    street.live(5 * 60 + 1)
    assert [payment.stream_key for payment in street.paid] == [streams[n % 3].key for n in range(6)]


def test_the_minimum_payment_is_made_even_if_the_share_is_less() -> None:
    street = Street(2_500)
    for _ in range(5):
        street.open()
    street.fee_msat = 100
    street.live(60)
    made = [(payment.planned_ns - T0, payment.amount_msat) for payment in street.paid]
    assert made == [(0, 1_000), (0, 1_000), (MINUTE, 1_000), (MINUTE, 1_000)]


# -- turns that are not taken ---------------------------------------------------------------------


def shortage(budget_msat: int = 12_100, nodes: int = 2) -> tuple[Street, Stream, Stream]:
    """Two streams that wait, a minute after the budget was renewed for the first time, each with a
    turn of half of it.
    """
    street = Street(budget_msat)
    mine, other = street.open(0), street.open(nodes - 1)
    street.live(59)
    assert mine.state is other.state is StreamState.STALLED
    street.house.at(60)
    return street, mine, other


def test_a_turn_is_promised_to_its_stream_and_free_for_nobody_else() -> None:
    street, mine, other = shortage()
    [payment] = street.plan(0)
    assert (payment.stream_key, payment.amount_msat) == (mine.key, 5_950)
    assert street.house.key_budget(1).room_msat() == 6_050
    assert street.single(1_000) is None, "6,050 are there, and promised"
    [payment] = street.plan(1)
    assert (payment.stream_key, payment.amount_msat) == (other.key, 5_950)
    assert (payment.due_ns, payment.probe) == (T0 + MINUTE, False)


def test_a_renewal_wakes_each_node_that_is_concerned_once() -> None:
    street, _, _ = shortage()
    street.woken = [0, 0]
    street.plan(0)
    assert street.woken == [0, 1], "who plans is awake"
    assert street.books[1].next_ns() == 0
    street.plan(1)
    assert street.woken == [0, 1]


@pytest.mark.parametrize("action", [lifecycle.pause, lifecycle.cancel])
def test_who_is_paused_or_ends_gives_its_turn_back(action: Any) -> None:
    street, mine, other = shortage()
    [payment] = street.plan(0)
    street.act(action, other)
    assert street.plan(1) == []
    street.settle(payment)
    street.house.at(61)
    [second] = street.plan(0)
    assert (second.stream_key, second.amount_msat) == (mine.key, 12_100 - 5_950 - 100)


def test_one_whose_node_is_down_loses_its_turn_and_blocks_nobody() -> None:
    street, mine, other = shortage()
    street.down.add(1)
    street.live(60)
    street.live(60 + TURN_NS / S - 1)
    assert street.got_msat(T0 + MINUTE) == {mine.key: 5_950, other.key: 0}
    street.live(60 + TURN_NS / S)
    assert street.got_msat(T0 + MINUTE) == {mine.key: 12_000, other.key: 0}
    street.down.clear()
    street.live(61 + TURN_NS / S)
    assert other.reason is Reason.KEY_BUDGET_SPENT
    street.live(120)
    assert street.got_msat(T0 + 2 * MINUTE) == {mine.key: 5_950, other.key: 5_950}


def test_what_fails_in_a_turn_comes_back_and_is_shared_again() -> None:
    street, mine, other = shortage(nodes=1)
    first, second = street.plan()
    street.house.fail(first)
    street.settle(second)
    street.house.at(61)
    assert street.plan() == [], "mine tries again in 5 s, and is waited for"
    street.house.at(65)
    payment, again = street.plan()
    assert (payment.stream_key, again.stream_key) == (other.key, mine.key), (
        "who has been due for longer"
    )
    assert payment.amount_msat == again.amount_msat == (12_100 - 5_950) // 2 - 100


def test_a_payment_that_is_held_stops_the_others_of_its_key_for_a_moment_only() -> None:
    street = Street(36_000)
    streams = [street.open(fee_floor_msat=FLOOR_MSAT) for _ in range(3)]
    street.live(59)
    street.house.at(60)
    first, second, held = street.plan()
    street.house.mark(held, Mark.HELD)
    street.settle(first)
    street.settle(second)
    street.house.at(61)
    assert street.plan() == [] and {stream.state for stream in streams} == {StreamState.ACTIVE}
    assert street.books[0].next_ns() == T0 + MINUTE + FLIGHT_NS
    street.house.at(60 + FLIGHT_NS / S)
    [payment] = street.plan()
    assert payment is not held and payment.amount_msat == 5_000, (
        "10,000 came back, and one was given a rest before"
    )


def test_who_waits_for_the_end_of_a_round_only_is_not_stalled() -> None:
    street, mine, other = shortage(nodes=2)
    [first] = street.plan(0)
    street.act(lifecycle.pause, other)
    assert street.plan(1) == []
    third = street.open(1, rate=Rate(10_000, S, S))
    assert street.plan(1) == [] and (third.state, third.reason) == (StreamState.ACTIVE, Reason.NONE)
    assert street.books[1].next_ns() == first.planned_ns + FLIGHT_NS
    street.settle(first)
    street.house.at(61)
    assert street.plan(1) == [], "mine wants more, and comes back"
    payments = street.plan(0) + street.plan(1)
    assert [payment.stream_key for payment in payments] == [mine.key, third.key]
    assert {payment.amount_msat for payment in payments} == {(12_100 - 5_950) // 2 - 100}
    assert third.state_time_ns == T0 + MINUTE


def test_who_is_told_nothing_in_a_round_of_another_node_looks_itself() -> None:
    """What a book says of its streams goes into its own commit: watchers are told when that is
    durable.
    """
    street, mine, other = shortage(nodes=2)
    [first] = street.plan(0)
    street.act(lifecycle.pause, other)
    street.plan(1)
    third = street.open(1, rate=Rate(10_000, S, S))
    street.plan(1)
    street.house.key_budget(1).spent_msat += 6_000
    street.settle(first)
    street.act(lifecycle.pause, mine)
    street.woken = [0, 0]
    assert street.plan(0) == []
    assert (third.state, street.woken, street.books[1].next_ns()) == (StreamState.ACTIVE, [0, 1], 0)
    assert street.plan(1) == []
    assert (third.state, third.reason) == (StreamState.STALLED, Reason.KEY_BUDGET_SPENT)
    assert street.books[1].next_ns() == T0 + 2 * MINUTE


def test_what_a_late_settlement_took_of_a_turn_is_not_paid() -> None:
    street, mine, other = shortage(nodes=2)
    [first] = street.plan(0)
    street.house.fail(first)
    street.house.settle(first, fee_msat=100)
    street.house.key_budget(1).spent_msat += 6_000
    assert street.plan(1) == []
    assert (other.state, other.reason) == (StreamState.STALLED, Reason.KEY_BUDGET_SPENT)
    assert (
        street.books[1].next_ns() == first.planned_ns + FLIGHT_NS
        and mine.state is StreamState.ACTIVE
    )


# -- the wait -------------------------------------------------------------------------------------


def test_streams_that_wait_cost_nothing_while_they_wait_and_are_called_in_steps() -> None:
    street = Street(1_100 * 3 * MOST_TURNS, HOUR)
    street.house.key_budget(1).spent_msat = street.house.key_budget(1).limit_msat
    streams = [street.open(max_payment_msat=1_000) for _ in range(3 * MOST_TURNS)]
    assert street.plan(room=10) == []
    assert {stream.reason for stream in streams} == {Reason.KEY_BUDGET_SPENT}
    book = street.books[0]
    assert (book.next_ns(), len(book._wheel)) == (T0 + HOUR, 0), "one entry for all of them"
    street.house.at(3_600)
    seen = []
    while planned := street.plan(room=100):
        seen += planned
        assert book.ready_streams <= MOST_TURNS
    assert [payment.stream_key for payment in seen] == [stream.key for stream in streams]


def test_who_comes_later_waits_for_the_next_round() -> None:
    street = Street(10_000)
    first = street.open()
    street.live(59)
    street.house.at(60)
    [payment] = street.plan()
    second = street.open()
    assert street.plan() == [] and (second.state, second.reason) == (
        StreamState.STALLED,
        Reason.KEY_BUDGET_SPENT,
    )
    assert payment.stream_key == first.key and payment.amount_msat == 9_900


def test_a_cheap_stream_gets_what_dear_ones_cannot_use() -> None:
    street = Street(5_900)
    dear = [street.open(fee_floor_msat=FLOOR_MSAT) for _ in range(3)]
    cheap = street.open()
    street.fee_msat = 100
    street.live(60)
    got = street.got_msat()
    assert [got[stream.key] for stream in dear] == [0, 0, 0] and got[cheap.key] > 5_000


def test_the_search_for_a_cheap_one_is_bounded() -> None:
    street = Street(5_900)
    street.house.key_budget(1).spent_msat = 5_900
    for _ in range(MOST_PASSED + 1):
        street.open(fee_floor_msat=FLOOR_MSAT)
    cheap = street.open()
    street.plan()
    street.house.at(60)
    assert street.plan() == []
    assert cheap.reason is Reason.KEY_BUDGET_SPENT and street.books[0].next_ns() is not None


def test_a_total_that_may_get_money_back_waits_over_all_nodes_and_then_ends_all() -> None:
    street = Street(2_200, None)
    mine, other = street.open(0), street.open(1)
    [first] = street.plan(0)
    [second] = street.plan(1)
    street.fee_msat = 100
    street.house.at(2)
    street.settle(first)
    assert (
        street.plan(0) == []
        and mine.reason is Reason.KEY_BUDGET_SPENT
        and mine.state is StreamState.STALLED
    )
    assert street.books[0].due_ns(mine) is None, "nobody knows when"
    street.settle(second)
    street.plan(1)
    assert street.woken == [1, 0]
    street.plan(0)
    assert {mine.state, other.state} == {
        StreamState.COMPLETED
    } and mine.reason is other.reason is Reason.KEY_BUDGET_SPENT


def test_many_streams_of_a_spent_total_end_in_steps() -> None:
    street = Street(1_100, None)
    single = street.single(1_000)
    assert single is not None
    streams = [street.open() for _ in range(2 * MOST_PASSED)]
    street.plan()
    street.fee_msat = 100
    street.settle(single)
    steps = []
    while (next_ns := street.books[0].next_ns()) is not None:
        street.house.now_ns = max(street.house.now_ns, next_ns)
        street.plan()
        steps.append(sum(stream.state is StreamState.COMPLETED for stream in streams))
    assert steps[:2] == [MOST_PASSED, 2 * MOST_PASSED] and street.house.now_ns < T0 + S


def test_a_refund_wakes_the_streams_of_the_key_on_all_nodes() -> None:
    """It woke those on the node of the refund only."""
    street = Street(1_100, HOUR)
    single = street.single(1_000)
    assert single is not None
    street.house.write_off(single)
    waiting = street.open(1)
    assert street.plan(1) == [] and waiting.reason is Reason.KEY_BUDGET_SPENT
    street.house.at(5)
    street.house.fail(single)
    assert street.books[1].next_ns() == 0
    assert street.plan(0) == [] and street.woken[1] == 1
    [payment] = street.plan(1)
    assert (payment.stream_key, waiting.state) == (waiting.key, StreamState.ACTIVE)


def test_after_a_start_those_that_wait_wait_again_and_nobody_is_looked_at_twice() -> None:
    house = House()
    house.add_key(1, 2_200, MINUTE)
    streams = [house.open(api_key=1) for _ in range(4)]
    for payment in house.plan():
        house.settle(payment, fee_msat=100)
    house.idle(30)
    assert {stream.reason for stream in streams} == {Reason.KEY_BUDGET_SPENT}
    house.crash()
    assert len(house.book._wheel) == 0
    house.idle(31)
    assert house.book.next_ns() == T0 + MINUTE
    house.at(60)
    payments = house.plan()
    assert [payment.stream_key for payment in payments] == [streams[2].key, streams[3].key], (
        "they had none yet"
    )
    assert {house.again(stream).state for stream in streams} == {
        StreamState.ACTIVE,
        StreamState.STALLED,
    }


def test_events_do_not_flap() -> None:
    """A stream is stalled once a period and goes on once, however many nodes and payments its key
    has.
    """
    street = Street(12_000)
    for number in range(3):
        street.open(number % 2)
    street.latency_ns = lambda key: key * S // 3
    street.live(59)
    changes = 0
    for book in street.books:
        book.take_tally()
    for minute in range(2, 12):
        street.live(minute * 60 - 1)
        changes += sum(len(book.take_tally().changed) for book in street.books)
    assert changes <= 10 * 3 * 2


# -- ttl ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [18, 64, 73, 87, 119, *range(10)])
def test_a_ttl_that_runs_out_while_its_stream_waits_for_a_turn_is_shown_at_its_moment(
    seed: int,
) -> None:
    """In the first five it was shown when its turn had come, up to 19 s later."""
    chance = random.Random(seed)
    street = Street(chance.randrange(4_000, 200_000, 500), chance.choice([MINUTE, None]))
    ttl_seconds = chance.randrange(3, 100)
    streams = [
        street.open(
            number % 2,
            max_payment_msat=chance.choice([None, 20_000, 5_000]),
            fee_floor_msat=chance.choice([0, FLOOR_MSAT]),
            ttl_ns=None if number else ttl_seconds * S,
            rate=Rate(1_000, S, chance.choice([1, 5, 20]) * S),
        )
        for number in range(chance.randrange(2, 5))
    ]
    latencies = {stream.key: chance.choice([S // 10, 9 * S, 15 * S, 25 * S]) for stream in streams}
    street.latency_ns = latencies.__getitem__
    street.live(ttl_seconds)
    assert streams[0].state in (StreamState.PAUSED, StreamState.COMPLETED)


def test_a_ttl_that_runs_out_when_nothing_is_left_to_buy_up_to_the_end_is_shown_at_its_moment() -> (
    None
):
    """90 sat are less than the minimum payment: it waits for its end only."""
    street = Street(1_000_000)
    stream = street.open(
        ttl_ns=MINUTE,
        rate=Rate(1_000, S, 10 * S),
        min_payment_msat=100_000,
        end_time_ns=T0 + 90 * S,
    )
    street.live(59)
    assert stream.state is StreamState.ACTIVE
    street.live(60)
    assert (stream.state, stream.reason) == (StreamState.PAUSED, Reason.TTL_EXPIRED)
    street.live(90)
    assert (stream.state, stream.reason) == (StreamState.COMPLETED, Reason.END_TIME)


# -- what is kept in mind -------------------------------------------------------------------------


def test_whoever_comes_after_the_period_is_kept_in_mind_up_to_a_bound() -> None:
    """Hundreds that pay an hour ahead, on a key whose budget is for a minute."""
    street = Street(500_000)
    street.open(rate=Rate(20_000, S, S), fee_floor_msat=0)
    for _ in range(MOST_LATER + 50):
        hourly = Rate(1, 4 * S, 4_000 * S)
        street.open(1, rate=hourly, start_time_ns=T0 + 55 * S, fee_floor_msat=0)
    street.live(150)
    line = street.books[0].rounds._lines[1]
    assert len(line.away.beyond) == MOST_LATER
    line.away.later = {-key: flight for key, flight in line.away.beyond.items()}
    line.begin(0, T0 + 180 * S, street.house.now_ns)
    assert not line.away.later and len(line.away.beyond) == MOST_LATER
    line.away.later, line.away.beyond = line.away.beyond, {}
    line.begin(0, None, street.house.now_ns)
    assert not line.away.later and not line.away.beyond, "a total has no other period"
