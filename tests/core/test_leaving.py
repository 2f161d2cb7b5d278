"""Which streams a book lets go, and how it takes one back."""

from __future__ import annotations

from streamer.words.model import Mark
from tests.core.house import T0, House, S, budget_of


def test_only_a_stream_that_has_ended_leaves_and_nothing_of_it_stays() -> None:
    house = House()
    stream = house.open(budget=budget_of(10_000))
    house.settle(house.pay(0))
    assert not house.book.remove(stream) and house.book.streams
    house.cancel(stream)
    assert house.book.remove(stream)
    assert (
        not house.book.streams
        and not house.book.by_key
        and stream.key not in house.book.budgets._own
    )
    assert house.book.next_ns() is None
    assert not house.book.remove(stream), "it is not here any more"


def test_a_stream_with_an_orphan_has_ended_but_stays() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    house.mark(payment, Mark.ORPHAN)
    house.cancel(stream)
    assert stream.open_payments == 0 and not house.book.remove(stream)
    house.settle(payment)
    assert house.book.remove(stream)


def test_a_stream_that_waits_for_room_stays_until_its_turn_has_passed() -> None:
    house = House()
    house.open()
    stream = house.open()
    house.at(0)
    [payment] = house.plan(room=1)
    assert payment.stream_key != stream.key and house.book.ready_streams == 1
    house.cancel(stream)
    assert not house.book.remove(stream)
    house.settle(payment)
    house.at(0.5)
    house.plan()
    assert house.book.ready_streams == 0 and house.book.remove(stream)


def test_one_that_comes_back_is_known_as_such_and_has_its_budget() -> None:
    house = House()
    streams = [house.open(budget=budget_of(10_000, 3600 * S)) for _ in range(3)]
    house.at(0)
    for payment in house.plan():
        house.settle(payment)
    house.cancel(streams[1])
    assert house.book.remove(streams[1])
    house.book.recall(streams[1])
    assert house.book.recalled == {streams[1].key: streams[1]}
    assert (
        list(house.book.by_key.values())
        == list(house.book.streams.values())
        == [streams[0], streams[2], streams[1]]
    )
    own = house.book.budgets.own(streams[1], T0)
    assert own is not None and own.spent_msat == 1_000
    assert house.book.remove(streams[1]) and not house.book.recalled


def test_one_that_comes_back_costs_the_same_however_many_there_are() -> None:
    house = House()
    for _ in range(3):
        house.open()
    stream = house.open()
    house.cancel(stream)
    assert house.book.remove(stream)
    house.open()
    by_key, streams = house.book.by_key, house.book.streams
    house.book.recall(stream)
    assert house.book.by_key is by_key and house.book.streams is streams, (
        "nothing was copied: payments would wait for that"
    )
