"""Our time has moved: who waited before comes before who is due since later, and nobody who waits
is forgotten for the difference.
"""

from __future__ import annotations

import pytest

from streamer.core.book import Book
from streamer.core.gate import Line
from streamer.core.singles import Singles
from streamer.core.slots import Slots
from streamer.core.timeshift import Shift, shift_book
from streamer.words.model import Facts, Mark, Payment, Single, Stream
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt
from tests.core.house import HOUR, PEER, T0, House, S, stamp
from tests.core.test_timeshift import shift

LATE_NS = T0 + 40 * HOUR
"""Far enough from the start for two hours back."""
BOTH_WAYS = pytest.mark.parametrize("by_ns", [-2 * HOUR, 2 * HOUR])


def late_house(**options: object) -> House:
    house = House(**options)  # type: ignore[arg-type]
    house.now_ns = LATE_NS
    return house


def opened(house: House, api_key: int = 0, number: int = 0) -> Stream:
    destination = b"\x02" + number.to_bytes(32, "big") if number else PEER
    return house.open(api_key=api_key, destination=destination, start_time_ns=house.now_ns)


def moved(house: House, by_ns: int) -> None:
    shift(house, by_ns, LATE_NS)


def later(house: House, seconds: float) -> None:
    house.now_ns += int(seconds * S)


def keys(payments: list[Payment]) -> list[int]:
    return [payment.stream_key for payment in payments]


def stop(house: House) -> None:
    facts = Facts()
    house.switch.stop(Halt.OPERATOR, "", facts)
    house.commit(facts)


@BOTH_WAYS
def test_equal_streams_of_a_busy_receiver_get_the_same_after_it(by_ns: int) -> None:
    """One payment at a time, of ten seconds each: the first was paid for two hours, and the others
    nothing.
    """
    house = late_house(per_destination=1)
    streams = [opened(house) for _ in range(3)]

    def live(seconds: int) -> list[int]:
        before = [stream.account.settled_msat for stream in streams]
        for _ in range(seconds // 10):
            planned = house.plan()
            later(house, 10)
            for payment in planned:
                house.settle(payment)
        return [
            stream.account.settled_msat - msat for stream, msat in zip(streams, before, strict=True)
        ]

    live(300)
    [payment] = house.plan()
    moved(house, by_ns)
    later(house, 10)
    house.settle(payment)
    got = live(600)
    assert max(got) - min(got) <= 40_000, got


@BOTH_WAYS
def test_who_is_ready_stays_before_who_is_due_since_later(by_ns: int) -> None:
    house = late_house()
    first, second = opened(house, number=1), opened(house, number=2)
    later(house, 1)
    assert keys(house.plan(1)) == [first.key]
    moved(house, by_ns)
    later(house, 1)
    opened(house, number=3)
    assert keys(house.plan(1)) == [second.key]


@BOTH_WAYS
def test_who_was_looked_at_while_nothing_could_be_sent_keeps_its_place(by_ns: int) -> None:
    house = late_house()
    first = opened(house, number=1)
    stop(house)
    house.book.let_time_pass(house.now_ns, Facts())
    moved(house, by_ns)
    later(house, 1)
    last = opened(house, number=2)
    house.switch.lift(Halt.OPERATOR)
    assert keys(house.plan(1) + house.plan(1)) == [first.key, last.key]


@BOTH_WAYS
def test_keys_before_one_destination_keep_their_turns(by_ns: int) -> None:
    house = late_house(per_destination=1)
    under_way = opened(house)
    [payment] = house.plan()
    house.cancel(under_way)
    later(house, 1)
    waits = opened(house, api_key=1)
    house.plan()
    moved(house, by_ns)
    later(house, 1)
    opened(house, api_key=2)
    house.plan()
    house.settle(payment)
    assert keys(house.plan(1)) == [waits.key]


@BOTH_WAYS
def test_single_payments_and_streams_keep_their_order(by_ns: int) -> None:
    house = late_house()
    house.book.singles.add(Single("pay_1", PEER, 1_000, 100), [], house.now_ns, 10)
    moved(house, by_ns)
    later(house, 1)
    stream = opened(house, number=1)
    assert keys(house.plan(1) + house.plan(1)) == [0, stream.key]


def test_single_payments_keep_their_owners_and_what_becomes_durable() -> None:
    singles = Singles()
    for number in range(3):
        singles.add(
            Single(f"pay_{number}", PEER, 1_000, 100, api_key=number), [], LATE_NS + number, 10
        )
    singles.move_time(-HOUR)
    found = []
    while (waiting := singles.first(lambda _: True)) is not None:
        found.append((waiting.order.owner, waiting.due_ns))
        singles.remove(waiting.order.owner)
    assert found == [(f"pay_{number}", LATE_NS + number - HOUR) for number in range(3)]


@BOTH_WAYS
def test_a_line_keeps_both_its_orders_and_still_knows_who_left(by_ns: int) -> None:
    line = Line()
    for number in range(1, 5):
        line.push((LATE_NS + number, number), settled_ns=LATE_NS - 10 * number)
    assert line.drop(1) == LATE_NS + 1
    line.move_time(by_ns)
    # between the second and the third
    line.push((LATE_NS + by_ns + 5, 5), settled_ns=LATE_NS + by_ns - 25)
    turns = []
    while line:
        turns.append(line.next()[1])
        line.drop(turns[-1])
    assert turns == [2, 5, 3, 4]


@BOTH_WAYS
def test_who_settled_last_is_known_across_it(by_ns: int) -> None:
    slots = Slots(10, 30 * SECOND_NS)
    slots.prove(b"a" * 33, 3, LATE_NS)
    slots.prove(b"b" * 33, 3)
    slots.move_time(by_ns)
    assert (slots.settled_ns(b"a" * 33), slots.settled_ns(b"b" * 33)) == (LATE_NS + by_ns, 0), (
        "0 stays never"
    )
    assert slots.proven(b"a" * 33) and slots.proven(b"b" * 33)


@pytest.mark.parametrize("by_ns", [-2 * HOUR, 2 * HOUR])
def test_what_is_kept_at_the_same_time_across_it_is_an_alarm(by_ns: int) -> None:
    """Two of a window of eight: one is marked before, one after."""
    house = late_house()
    house.book.gate.resize(8, 8)
    for number in (1, 2, 3):
        house.book.slots.prove(b"\x02" + number.to_bytes(32, "big"), 10)
    opened(house, number=1), opened(house, number=2)
    payments = house.plan()
    later(house, 30)
    house.mark(payments[0], Mark.HELD)
    moved(house, by_ns)
    house.mark(payments[1], Mark.HELD)
    assert house.book.slots.dated(b"\x02" + (3).to_bytes(32, "big"))


@BOTH_WAYS
def test_a_turn_that_is_not_taken_is_due_since_the_same_moment_when_it_is_given_again(
    by_ns: int,
) -> None:
    house, facts = late_house(), Facts()
    house.add_key(1, 5_000, HOUR)
    waits, rounds = opened(house, 1, 1), house.book.rounds
    rounds.refuse(house.book, waits, house.now_ns, house.now_ns, facts)
    rounds.look(house.now_ns)
    assert rounds.go_on(house.book, None, house.now_ns, facts)
    turn = rounds.turn(waits)
    assert turn is not None and turn.due_ns == house.now_ns
    other = Book("other", house.limits, house.book.shared, stamp)
    shift_book(other, Shift(by_ns, house.now_ns, LATE_NS), facts)
    assert turn.due_ns == house.now_ns, "who waits moves with its own book"
    moved(house, by_ns)
    assert rounds._lines[1].waiting[waits.key].due_ns == house.now_ns
    later(house, 1)
    last = opened(house, number=2)
    assert keys(house.plan(1) + house.plan(1)) == [waits.key, last.key]


def test_a_round_that_was_to_begin_before_it_waits_for_nobody_who_is_due_after_it() -> None:
    """Marked by the time before, two hours ahead, it would come after everybody who is due for two
    hours.
    """
    house = late_house()
    house.add_key(1, 5_000, HOUR)
    waits, rounds = opened(house, 1, 1), house.book.rounds
    rounds.refuse(house.book, waits, house.now_ns, house.now_ns, Facts())
    assert rounds._due[0][0] == house.now_ns
    moved(house, -2 * HOUR)
    assert rounds._due == [(0, 1)]
