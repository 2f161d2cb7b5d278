"""Where streams wait that are due and may not pay: in lines that cost nothing, and move one by
one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from streamer.core import ends, gate, lifecycle
from streamer.core.gate import Gate
from streamer.words.model import Facts, Mark, Payment, Single, StreamState
from streamer.words.reasons import Reason
from tests.core.house import HOUR, MINUTE, PEER, T0, House, S

OTHER = b"\x03" * 33
MANY = 20_000


def peer(number: int) -> bytes:
    return b"\x02" + number.to_bytes(32, "big")


def held(house: House) -> Payment:
    """PEER holds one, marked after half a minute."""
    [payment] = house.plan(1)
    house.at(30)
    house.mark(payment, Mark.HELD)
    return payment


def keys(payments: list[Payment]) -> list[int]:
    return [payment.stream_key for payment in payments]


# -- a destination's part -----------------------------------------------------------------------


def after(house: House, payments: list[Payment]) -> list[Payment]:
    """What is planned when these have settled."""
    for payment in payments:
        house.settle(payment)
    return house.plan()


def test_a_new_destination_gets_one_payment_then_two_then_three() -> None:
    house = House(proven=False)
    for _ in range(9):
        house.open(start_time_ns=T0)
    first = house.plan()
    second = after(house, first)
    third = after(house, second)
    assert (keys(first), keys(second), keys(third)) == (
        [1],
        [2, 3],
        [4, 5, 6, 7],
    ), "each that settles in time adds one"
    assert house.book.ready_streams == 2


def test_no_stream_that_waits_is_forgotten_when_the_one_before_it_does_not_pay() -> None:
    house = House(per_destination=1)
    first, second, third = house.open(), house.open(), house.open()
    flying = house.pay(0)
    assert flying.stream_key == first.key
    house.pause(second)
    house.cancel(first)
    house.settle(flying)
    assert keys(house.plan()) == [third.key]


def test_a_full_destination_does_not_stop_another_one() -> None:
    house = House(per_destination=1)
    house.open()
    house.open()
    other = house.open(destination=OTHER)
    assert keys(house.plan()) == [1, other.key]


def test_under_scarcity_the_earliest_due_goes_first() -> None:
    house = House()
    late, early = (
        house.open(start_time_ns=house.now_ns + 2 * S),
        house.open(start_time_ns=house.now_ns + S),
    )
    house.at(5)
    assert keys(house.plan(room=1)) == [early.key]
    assert keys(house.plan(room=1)) == [late.key]


def test_streams_of_several_keys_wait_for_one_destination_by_since_when_they_are_due() -> None:
    house = House(per_destination=1)
    for second, key in enumerate((7, 8, 7, 8)):
        house.open(api_key=key, start_time_ns=T0 + second * S, end_time_ns=T0 + (second + 1) * S)
    house.at(10)
    order = []
    for _ in range(4):
        [payment] = house.plan()
        order.append(payment.stream_key)
        house.settle(payment)
    assert order == [1, 2, 3, 4]


# -- a hold -------------------------------------------------------------------------------------


def test_a_receiver_that_holds_gets_nothing_more_of_that_key_even_from_a_new_stream() -> None:
    house = House()
    house.open()
    house.open(start_time_ns=house.now_ns + S)
    payment = house.pay(0)
    house.mark(payment, Mark.HELD)
    assert payment.row not in house.book.slots.window
    running = house.open()
    house.idle(2)
    house.settle(payment)
    house.at(10)
    for each in house.plan():
        house.settle(each)  # one at a time, until it has settled in time again
    assert {1, 2, running.key} > set(keys(house.plan()))


def test_a_hold_stops_no_other_keys_streams_to_the_same_node() -> None:
    house = House()
    mine, others = house.open(api_key=7), house.open(api_key=8, start_time_ns=T0 + S)
    held(house)
    for second in range(31, 91):
        house.at(second)
        [payment] = house.plan()
        assert payment.stream_key == others.key
        house.settle(payment)
    assert others.account.settled_msat == 90_000 and mine.account.settled_msat == 0


def test_who_waits_for_room_at_a_destination_that_then_holds_waits_for_the_hold_only() -> None:
    house = House(per_destination=1)
    first, second, third = house.open(), house.open(), house.open()
    payment = house.pay(0)
    house.mark(payment, Mark.HELD)
    house.idle(1)
    house.cancel(first)
    house.cancel(second)
    house.settle(payment)
    house.at(10)
    assert keys(house.plan()) == [third.key]


@pytest.mark.parametrize("how", ["settle", "fail", "orphan", "unmarked"])
def test_when_the_hold_ends_who_waited_goes_on(how: str) -> None:
    house = House()
    house.open()
    second = house.open(start_time_ns=T0 + 1)
    payment = held(house)
    house.idle(40)
    if how in ("settle", "fail"):
        getattr(house, how)(payment)
    else:
        house.mark(payment, Mark.ORPHAN if how == "orphan" else Mark.NONE)
    if how == "unmarked":
        assert house.plan() == [], "it is the one that may be under way"
        house.settle(payment)
    assert keys(house.plan())[0] == second.key and house.book.ready_streams <= 1


def test_a_hold_of_an_invoice_stops_nobody() -> None:
    house = House()
    stream = house.open()
    [payment] = house.plan()
    payment.payment_request = "lnbc1"
    house.mark(payment, Mark.HELD)
    other = house.open()
    assert keys(house.plan()) == [other.key] and stream.open_payments == 1


# -- what comes to a stream that waits ----------------------------------------------------------


def waiting(**terms: Any) -> tuple[House, Payment, int]:
    """A house with a stream that waits for the hold of another one's payment."""
    house = House()
    house.open()
    stream = house.open(start_time_ns=T0 + 1, **terms)
    payment = held(house)
    house.idle(31)
    assert house.book.gate.waits(stream.key)
    return house, payment, stream.key


def test_its_ttl_pauses_it_at_its_moment() -> None:
    house, payment, key = waiting(ttl_ns=60 * S)
    stream = house.book.by_key[key]
    assert house.book.next_ns() == stream.expire_time_ns
    house.idle(61)
    assert (stream.state, stream.state_time_ns) == (
        StreamState.PAUSED,
        stream.expire_time_ns or T0 + 60 * S + 1,
    )
    house.settle(payment)
    assert key not in keys(house.plan()) and key not in house.book.gate


def test_a_renewal_moves_its_ttl() -> None:
    house, _, key = waiting(ttl_ns=60 * S)
    stream = house.book.by_key[key]
    house.at(50)
    assert house.act(lifecycle.renew, stream)
    house.idle(70)
    assert stream.state is StreamState.ACTIVE and house.book.next_ns() == T0 + 110 * S


def test_what_is_owed_at_its_end_is_paid_when_the_hold_is_over() -> None:
    house, payment, key = waiting(end_time_ns=T0 + 40 * S)
    stream = house.book.by_key[key]
    house.idle(60)
    assert (stream.state, payment.open) == (StreamState.ACTIVE, True)
    house.settle(payment)
    house.at(61)
    while planned := house.plan():
        for each in planned:
            house.settle(each)
    house.at(62)
    house.plan()
    assert stream.state is StreamState.COMPLETED and stream.account.settled_msat == 39_999


@pytest.mark.parametrize("how", ["pause", "cancel"])
def test_who_may_not_pay_any_more_leaves_at_once_and_nothing_of_it_stays(how: str) -> None:
    house, payment, key = waiting()
    stream = house.book.by_key[key]
    getattr(house, how)(stream)
    assert key not in house.book.gate and not house.book.gate._lines and not house.book.gate._at
    if how == "cancel":
        assert house.book.remove(stream), (
            "an ended stream can leave memory though its receiver holds"
        )
    house.settle(payment)
    assert keys(house.plan()) == [1]


def test_pausing_and_resuming_for_ever_leaves_nothing_behind() -> None:
    house, _, key = waiting()
    stream = house.book.by_key[key]
    for number in range(5 * gate.MOST_STALE):
        house.now_ns += 1
        house.pause(stream)
        house.resume(stream)
        house.plan()
        assert house.book.gate.waits(key), number
    [line] = house.book.gate._lines.values()
    assert len(line._heap) <= gate.MOST_STALE + 2 and len(house.book.gate.ready) == 0


def test_a_stream_that_becomes_stalled_in_its_line_ends_at_its_end() -> None:
    house, _, key = waiting(end_time_ns=T0 + MINUTE)
    stream = house.book.by_key[key]
    facts = Facts()
    stream.stalled_by = Reason.TIMEOUT
    house.book.restate(stream, house.now_ns, facts)
    house.book.schedule(stream)
    house.commit(facts)
    house.idle(60)
    assert stream.state is StreamState.COMPLETED and key not in house.book.gate


# -- shares -------------------------------------------------------------------------------------


def shares(most: int = 8) -> House:
    """So many in the window, half of that for who is not proven, a quarter for one key."""
    house = House()
    house.book.gate.resize(most, most)
    return house


def test_who_is_not_proven_waits_for_the_share_of_its_key_and_who_is_does_not() -> None:
    house = shares()
    new = [
        house.open(api_key=7, destination=peer(number), start_time_ns=T0 + number)
        for number in range(4)
    ]
    proven, other = (
        house.open(api_key=7, start_time_ns=T0 + 9),
        house.open(api_key=8, destination=OTHER, start_time_ns=T0 + 9),
    )
    house.at(1)
    planned = house.plan()
    assert keys(planned) == [new[0].key, new[1].key, proven.key, other.key]
    assert (
        house.book.gate.why(new[2]) is Reason.NO_SLOTS
        and house.book.gate.why(proven) is Reason.NONE
    )
    house.mark(planned[0], Mark.HELD)
    house.idle(1)
    house.settle(planned[1])
    assert keys(house.plan()) == [new[2].key], "in the order of due"


def test_all_keys_together_have_half_and_wait_for_it_by_since_when_they_are_due() -> None:
    house = shares()
    streams = [
        house.open(api_key=number, destination=peer(number), start_time_ns=T0 + number)
        for number in range(7)
    ]
    house.at(1)
    planned = house.plan()
    assert keys(planned) == [stream.key for stream in streams[:4]]
    for payment in planned[:3]:
        house.mark(payment, Mark.HELD)
    house.idle(1)
    house.at(2)
    order = []
    payment = planned[3]
    for _ in range(3):
        house.settle(payment)
        [payment] = [
            one for one in house.plan() if one.stream_key in {stream.key for stream in streams[4:]}
        ]
        order.append(payment.stream_key)
    assert order == [stream.key for stream in streams[4:]]


def test_only_the_first_of_a_key_and_destination_waits_for_the_share_others_behind_it() -> None:
    house = shares()
    for number in range(2):
        house.open(api_key=7, destination=peer(number))
    for payment in house.plan():
        house.mark(payment, Mark.HELD)
    for _ in range(50):
        house.open(api_key=7, destination=OTHER)
    house.idle(1)
    places = Counter(len(line) for line in house.book.gate._lines.values())
    assert places == {1: 1, 49: 1} and house.book.ready_streams == 50


def test_a_destination_that_another_key_has_proven_needs_no_share() -> None:
    house = shares()
    for number in range(2):
        house.open(api_key=7, destination=peer(number))
    for payment in house.plan():
        house.mark(payment, Mark.HELD)
    waits = house.open(api_key=7, destination=OTHER)
    house.idle(1)
    house.open(api_key=8, destination=OTHER)
    [payment] = house.plan()
    house.settle(payment)
    assert waits.key in keys(house.plan())


def test_a_larger_window_lets_those_go_who_waited_for_the_share() -> None:
    house = shares()
    for number in range(10):
        house.open(api_key=7, destination=peer(number))
    assert len(house.plan()) == 2 and house.plan() == []
    house.book.gate.resize(16, 16)
    assert len(house.plan()) == 2, "a quarter for one key"


def test_new_receivers_that_settle_are_served_one_after_the_other_while_others_hold() -> None:
    house = shares()
    good = [
        house.open(api_key=7, destination=peer(number), start_time_ns=T0 + number)
        for number in range(200)
    ]
    house.open(api_key=7, destination=OTHER)
    house.at(1)
    [bad] = [payment for payment in house.plan() if payment.destination == OTHER]
    house.mark(bad, Mark.HELD)
    while house.book.payments.keys() > {bad.row} or house.book.next_ns() == 0:
        for payment in list(house.book.payments.values()):
            if payment is not bad:
                house.settle(payment)
        house.plan()
        if all(stream.account.settled_msat for stream in good):
            break
    assert all(stream.account.settled_msat for stream in good) and not house.book.gate._lines


def test_ends_of_out_of_sight_payments_free_their_share() -> None:
    house = shares(4)
    house.open(destination=peer(1))
    [lost] = house.plan()
    house.mark(lost, Mark.LOST_SIGHT)
    facts = Facts()
    ends.see(house.book, lost, True, house.now_ns, facts)
    waits = house.open(destination=OTHER)
    assert house.plan() == [] and house.book.gate.why(waits) is Reason.NO_SLOTS
    ends.see(house.book, lost, False, house.now_ns, facts)
    assert keys(house.plan()) == [waits.key]


@pytest.mark.parametrize("down", [False, True])
def test_an_end_that_could_not_be_seen_in_time_shows_nothing_of_its_receiver(down: bool) -> None:
    house = House()
    house.open()
    payment = house.pay(0)
    if down:
        house.node_down(10, 35)
    house.at(40)
    house.settle(payment)
    assert house.book.slots.proven(PEER) is down


def test_a_single_payment_waits_for_what_is_under_way_and_is_refused_for_what_is_held() -> None:
    house = shares()
    order = Single("pay_1", peer(9), 1_000, 100, api_key=7)
    for number in range(2):
        house.open(api_key=7, destination=peer(number))
    first, second = house.plan()
    assert house.book.gate.refuses(order) is Reason.NONE and not house.book.gate.has_turn(order)
    house.mark(first, Mark.HELD)
    house.mark(second, Mark.HELD)
    assert house.book.gate.refuses(order) is Reason.NO_SLOTS and house.book.gate.has_turn(order), (
        "its turn is to be refused"
    )
    assert house.book.gate.refuses(replace(order, destination=peer(0))) is Reason.RECEIVER_HOLDS
    assert house.book.gate.has_turn(replace(order, destination=PEER)), "who is proven has room"
    assert (
        house.book.gate.has_turn(replace(order, api_key=8))
        and house.book.gate.refuses(replace(order, api_key=8)) is Reason.NONE
    )


# -- after an alarm -----------------------------------------------------------------------------


def after_an_alarm(most: int, settled: dict[bytes, int]) -> House:
    """These have settled in so many seconds after T0; then others, proven too, held a quarter of
    the window of another key.
    """
    house = shares(most)
    slots = house.book.slots
    for destination, second in settled.items():
        slots.prove(destination, 10, T0 + second * S)
    for number in range(most // 4):
        slots.prove(peer(900 + number), 10)
        house.open(api_key=99, destination=peer(900 + number))
    for payment in house.plan():
        house.mark(payment, Mark.HELD)
    assert all(slots.dated(destination) for destination in settled)
    return house


def test_after_an_alarm_every_other_turn_is_of_who_settled_last_the_others_by_due() -> None:
    settled = {peer(number): 100 + number for number in range(12)}
    house = after_an_alarm(8, settled)
    streams = [
        house.open(api_key=7, destination=each, start_time_ns=T0 + number * S)
        for number, each in enumerate(settled)
    ]
    house.at(200)
    flying = house.plan()
    assert keys(flying) == [stream.key for stream in streams[:4]], (
        "half of the window; the rest waits"
    )
    order = []
    for _ in range(4):
        house.mark(flying.pop(0), Mark.HELD)
        [payment] = house.plan()
        flying.append(payment)
        order.append(streams.index(house.book.by_key[payment.stream_key]))
    assert order == [4, 11, 5, 10]


def test_who_settles_after_an_alarm_leaves_the_line_and_all_who_waited_are_served() -> None:
    settled = {peer(number): 100 + number for number in range(300)}
    house = after_an_alarm(8, settled)
    streams = [
        house.open(api_key=number % 5, destination=each) for number, each in enumerate(settled)
    ]
    house.at(200)
    for _ in range(300):
        planned = house.plan()
        assert house.book.slots.shares.taken.under_way <= 6, (
            "the half, and a part for who has none of it yet"
        )
        for payment in planned:
            house.settle(payment)
        if all(stream.account.settled_msat for stream in streams):
            break
    assert all(stream.account.settled_msat for stream in streams) and not house.book.gate._lines
    assert not house.book.gate._borrowers and not house.book.gate._before


def test_two_keys_with_their_part_do_not_pass_it_to_and_fro_before_a_third_one() -> None:
    house = after_an_alarm(8, {peer(number): 100 + number for number in range(40)})
    for number in range(30):
        house.open(api_key=number % 2 + 1, destination=peer(number), start_time_ns=T0 + number)
    house.at(200)
    flying = house.plan()
    third = house.open(api_key=3, destination=peer(35), start_time_ns=T0 + 150 * S)
    assert len(flying) == 4 and house.plan() == []
    for _ in range(2):
        house.mark(flying.pop(0), Mark.HELD)
        flying += house.plan()
    assert third.key in keys(flying), "it settled later than those that are due before it"


def test_nobody_is_forgotten_in_a_line_that_only_a_hold_of_another_key_frees() -> None:
    house = after_an_alarm(8, {peer(number): 100 for number in range(10)})
    first = [
        house.open(api_key=1, destination=peer(number), start_time_ns=T0 + number)
        for number in range(3)
    ]
    house.at(200)
    flying = house.plan()
    house.open(api_key=2, destination=peer(8))
    [other] = house.plan()
    waits = [house.open(api_key=1, destination=peer(number)) for number in (3, 4)]
    assert keys(flying) == [stream.key for stream in first] and house.plan() == [], (
        "key 1 has what nobody else takes, and its part"
    )
    house.mark(other, Mark.HELD)
    assert keys(house.plan()) == [waits[0].key]


# -- work ---------------------------------------------------------------------------------------


def test_a_crowd_that_waits_for_one_receiver_costs_nothing_until_it_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    house.open()
    payment = held(house)
    for _ in range(MANY):
        house.open()
    house.idle(31)
    asked = 0
    place = Gate.place

    def counted(self: Gate, stream: object) -> object:
        nonlocal asked
        asked += 1
        return place(self, stream)  # type: ignore[arg-type]

    monkeypatch.setattr(Gate, "place", counted)
    for second in range(32, 632):
        house.idle(second)
    assert asked == 0 and house.book.next_ns() is None
    house.settle(payment)
    [first] = house.plan()
    assert asked <= 4, (
        "the hold is over: the first goes, and the others wait behind it where they are"
    )
    house.mark(first, Mark.HELD)
    house.idle(640)
    assert asked <= 8 and house.book.ready_streams == 0


def test_a_payment_of_a_proven_destination_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    for number in range(100):
        house.book.slots.prove(peer(number), 10)
        house.open(destination=peer(number))
    for payment in house.plan(room=100):
        house.settle(payment)
    asked = 0
    place = Gate.place

    def counted(self: Gate, stream: object) -> object:
        nonlocal asked
        asked += 1
        return place(self, stream)  # type: ignore[arg-type]

    monkeypatch.setattr(Gate, "place", counted)
    for second in range(1, 11):
        house.at(second)
        for payment in house.plan(room=100):
            house.settle(payment)
    assert asked == 1_000


# -- after a start ------------------------------------------------------------------------------


def test_a_restart_knows_who_is_proven_by_what_ever_settled() -> None:
    house = House(proven=False)
    for _ in range(3):
        house.open()
    for each in house.plan():
        house.settle(each)
    house.crash()
    house.at(HOUR / S)
    assert len(house.plan()) == 3


def test_a_restart_knows_who_holds() -> None:
    house = House()
    house.open(api_key=7)
    house.settle(house.pay(0))
    payment = house.pay(1)
    house.mark(payment, Mark.HELD)
    house.crash()
    stream, other = house.open(api_key=7), house.open(api_key=8)
    house.at(60)
    assert (
        keys(house.plan()) == [other.key] and house.book.gate.why(stream) is Reason.RECEIVER_HOLDS
    )
