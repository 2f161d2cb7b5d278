"""Time passes while nothing may be sent: whose turn it was, and who stops meanwhile, passes the
turn on.
"""

from __future__ import annotations

import pytest

from streamer.words.model import ApiKey, Facts, Payment, StreamState
from streamer.words.reasons import Halt, Reason
from tests.core.house import MINUTE, T0, House, S, run


def stop(house: House) -> None:
    facts = Facts()
    house.switch.stop(Halt.OPERATOR, "", facts)
    house.commit(facts)


def start(house: House) -> None:
    facts = Facts()
    house.switch.lift(Halt.OPERATOR)
    house.commit(facts)


def let_time_pass(house: House, second: float) -> bool:
    house.at(second)
    facts = Facts()
    more = house.book.let_time_pass(house.now_ns, facts)
    house.commit(facts)
    return more


def waiting(house: House, seconds: int, **terms: object) -> Payment:
    """One payment is under way to a receiver that may have one; `seconds` streams with these terms
    wait in its line, and one behind.
    """
    house.open()
    [payment] = house.plan()
    for second in range(1, seconds + 1):
        house.open(api_key=1, start_time_ns=T0 + second * S, **terms)
    house.open(api_key=2, start_time_ns=T0 + (seconds + 1) * S)
    house.idle(30)
    assert all(house.book.gate.waits(key) for key in range(2, seconds + 3))
    house.cancel(house.book.by_key[1])
    return payment


def keyed(expire_time_ns: int = 0) -> House:
    house = House(per_destination=1)
    house.book.budgets.add_key(ApiKey(1, "key_1", "", frozenset(), expire_time_ns=expire_time_ns))
    return house


@pytest.mark.parametrize("looked_at", [True, False])
@pytest.mark.parametrize(
    ("how", "state", "reason"),
    [
        ("ttl", StreamState.PAUSED, Reason.TTL_EXPIRED),
        ("key", StreamState.PAUSED, Reason.KEY_REVOKED),
        ("cancel", StreamState.CANCELLED, Reason.USER),
        ("remove", StreamState.CANCELLED, Reason.USER),
        ("pause", StreamState.PAUSED, Reason.USER),
    ],
)
def test_who_was_called_and_stops_while_nothing_may_be_sent_leaves_nobody_behind(
    how: str, state: StreamState, reason: Reason, looked_at: bool
) -> None:
    """It was looked at, or not, between the call and its stop: due, with a turn that nobody may
    take.
    """
    house = keyed(T0 + MINUTE if how == "key" else 0)
    payment = waiting(house, 1, **({"ttl_ns": 59 * S} if how == "ttl" else {}))
    called, last = house.book.by_key[2], house.book.by_key[3]
    stop(house)
    house.settle(payment)
    assert [key for _, key in house.book.gate.ready] == [called.key]
    if looked_at:
        let_time_pass(house, 40)
    if how in ("cancel", "remove"):
        house.cancel(called)
    if how == "remove":
        assert house.book.remove(called) == looked_at, "one that is ready is still to be looked at"
    if how == "pause":
        house.pause(called)
    if how == "key":
        house.book.schedule(called)  # whatever comes to it
    for second in (70, 71):
        let_time_pass(house, second)
    assert (called.state, called.reason) == (state, reason)
    start(house)
    run(house, 100)
    assert last.account.settled_msat == 99_000 and not house.book.gate.waits(last.key)


def test_all_whose_time_is_over_are_passed_over_at_once() -> None:
    house = keyed()
    payment = waiting(house, 5, ttl_ns=MINUTE)
    last = house.book.by_key[7]
    stop(house)
    house.settle(payment)
    let_time_pass(house, 40)
    while let_time_pass(house, 90):
        pass
    assert not house.book.gate.ready, "and so is who was called last"
    assert {house.book.by_key[key].reason for key in range(2, 7)} == {Reason.TTL_EXPIRED}
    start(house)
    assert [planned.stream_key for planned in house.plan()] == [last.key]


def test_a_line_does_not_empty_itself_while_nothing_may_be_sent() -> None:
    """Whoever was called keeps the turn: a hundred thousand in a line are not looked at one after
    the other for that.
    """
    house = keyed()
    payment = waiting(house, 5)
    stop(house)
    house.settle(payment)
    for second in range(40, 50):
        assert not let_time_pass(house, second)
    assert [house.book.gate.waits(key) for key in range(2, 8)] == [False] + 5 * [True]
    start(house)
    assert [planned.stream_key for planned in house.plan()] == [2]
