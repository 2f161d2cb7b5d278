"""Who takes up room, and who goes next."""

from __future__ import annotations

from streamer.core.slots import Slots
from streamer.model import Mark, Payment
from tests.core.house import PEER, House, S

OTHER = b"\x03" * 33


def payment(row: int, destination: bytes = PEER, stream_key: int = 1) -> Payment:
    return Payment(row, "st_1", stream_key, row, "node", destination, b"", 1, 0, 288, 30, b"", 0, 0, 0, 0, 0, False, 0, 0)


def test_a_destination_has_its_share_and_no_more() -> None:
    slots = Slots(2)
    first, second = payment(1), payment(2)
    slots.take(first)
    assert not slots.full(PEER)
    slots.take(second)
    assert slots.full(PEER) and not slots.full(OTHER)
    slots.leave(first)
    assert not slots.full(PEER)
    assert slots.leave(first) is None and len(slots.window) == 1, "a place is freed once"


def test_parked_streams_go_on_one_by_one_earliest_due_first() -> None:
    slots = Slots(1)
    first = payment(1)
    slots.take(first)
    for entry in ((30, 3), (10, 1), (20, 2)):
        slots.park(PEER, entry)
    slots.park(OTHER, (5, 9))
    assert slots.unpark(PEER) is None, "not while it is full"
    assert slots.leave(first) == (10, 1)
    assert [slots.unpark(PEER) for _ in range(3)] == [(20, 2), (30, 3), None]


def test_a_destination_is_held_as_long_as_one_payment_is() -> None:
    slots = Slots(5)
    one, two = payment(1), payment(2)
    slots.set_mark(one, Mark.HELD)
    slots.set_mark(two, Mark.HELD)
    assert slots.held == 2
    slots.set_mark(one, Mark.ORPHAN)
    assert slots.holds(PEER) and not slots.holds(OTHER)
    slots.set_mark(two, Mark.NONE)
    assert not slots.holds(PEER) and slots.held == 0


def test_doubts_are_counted_per_stream() -> None:
    slots = Slots(5)
    assert [slots.doubt(payment(1)), slots.doubt(payment(2)), slots.doubt(payment(3, stream_key=2))] == [1, 2, 1]
    assert slots.clear_doubt(payment(1)) and not slots.clear_doubt(payment(1))
    assert (slots.doubts(1), slots.doubts(2), slots.doubts(3)) == (1, 1, 0)


def test_no_stream_that_was_parked_is_forgotten_when_the_one_before_it_does_not_pay() -> None:
    house = House(per_destination=1)
    first, second, third = house.open(), house.open(), house.open()
    flying = house.pay(0)
    assert flying.stream_key == first.key
    house.pause(second)
    house.cancel(first)
    house.settle(flying)
    assert [payment.stream_key for payment in house.plan()] == [third.key]


def test_a_full_destination_does_not_stop_another_one() -> None:
    house = House(per_destination=1)
    house.open()
    house.open()
    other = house.open(destination=OTHER)
    assert [payment.stream_key for payment in house.plan()] == [1, other.key]


def test_under_scarcity_the_earliest_due_goes_first() -> None:
    house = House()
    late, early = house.open(start_time_ns=house.now_ns + 2 * S), house.open(start_time_ns=house.now_ns + S)
    house.at(5)
    assert [payment.stream_key for payment in house.plan(room=1)] == [early.key]
    assert [payment.stream_key for payment in house.plan(room=1)] == [late.key]


def test_a_receiver_that_holds_gets_nothing_from_any_stream_even_a_new_one() -> None:
    house = House()
    house.open()
    house.open(start_time_ns=house.now_ns + S)
    held = house.pay(0)
    house.mark(held, Mark.HELD)
    assert held.row not in house.book.slots.window
    running = house.open()
    house.idle(2)
    house.settle(held)
    house.at(10)
    assert sorted(payment.stream_key for payment in house.plan()) == [1, 2, running.key]


def test_who_is_parked_at_a_destination_that_holds_waits_for_the_hold_and_for_nobody_else() -> None:
    house = House(per_destination=1)
    first, second, third = house.open(), house.open(), house.open()
    held = house.pay(0)
    house.mark(held, Mark.HELD)
    house.idle(1)
    house.cancel(first)
    house.cancel(second)
    house.settle(held)
    house.at(10)
    assert [payment.stream_key for payment in house.plan()] == [third.key]
