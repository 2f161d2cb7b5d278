"""While a receiver holds a payment, paying it is impossible: one span for it and the key, and what
a stream skips by it.
"""

from __future__ import annotations

import pytest

from streamer.core import holds, lifecycle
from streamer.core.holds import Holds
from streamer.words.model import Facts, Mark, Outage, Payment
from streamer.words.money import parse_duration
from tests.core.house import HOUR, MINUTE, NODE, PEER, T0, House, S

OTHER = b"\x03" * 33
FIVE_MINUTES_NS = parse_duration("5m")
SCOPE = f"{NODE}/7/{PEER.hex()}"


def hold(house: House, at: float = 30) -> Payment:
    """The one payment that is due now is held, which is found at that second."""
    [payment] = house.plan(1)
    house.at(at)
    house.mark(payment, Mark.HELD)
    return payment


def scopes(house: House) -> list[tuple[str, str, float, float]]:
    spans = [
        outage for outage in house.journal.outages.values() if outage.cause == "RECEIVER_HOLDS"
    ]
    return [(one.node, one.cause, (one.start_ns - T0) / S, (one.end_ns - T0) / S) for one in spans]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("how", ["settle", "fail"])
def test_who_holds_one_payment_for_ten_hours_is_paid_for_the_catch_up_and_no_more(
    restart: bool, how: str
) -> None:
    house = House()
    stream = house.open(catch_up_ns=FIVE_MINUTES_NS)
    payment = hold(house)
    house.at(700)
    house.doubt(payment)
    house.idle(800)
    house.at(5 * HOUR / S)
    if restart:
        house.crash()
        stream, payment = house.again(stream), house.payment(payment.row)
    house.idle(10 * HOUR / S)
    getattr(house, how)(payment)
    house.at(10 * HOUR / S + 60)
    [paid] = house.plan()
    assert paid.amount_msat == 301_000, "36,000 sat if nothing were impossible"
    assert paid.skip_ns == 10 * HOUR + MINUTE - FIVE_MINUTES_NS - (S if how == "settle" else 0)


def test_one_span_for_each_destination_and_key_however_many_streams_and_payments() -> None:
    house = House()
    for _ in range(5):
        house.open(api_key=7, max_open_payments=2)
    first, second, *others = house.plan()
    for each in others:
        house.settle(each)
    house.at(31)
    house.mark(first, Mark.HELD)
    house.at(33)
    house.mark(second, Mark.HELD)
    assert house.journal.settings[f"outage.{SCOPE}"] == f"{T0 + 31 * S} RECEIVER_HOLDS"
    house.at(40)
    house.settle(first)
    assert scopes(house) == []
    house.at(50)
    house.fail(second)
    assert (
        scopes(house) == [(SCOPE, "RECEIVER_HOLDS", 31, 50)]
        and house.journal.settings[f"outage.{SCOPE}"] == ""
    )


def test_the_span_counts_for_the_streams_of_its_key_and_destination_only() -> None:
    house = House()
    mine = house.open(api_key=7)
    hold(house)
    others = [house.open(api_key=8), house.open(api_key=7, destination=OTHER)]
    house.at(60)
    assert [len(house.book.outages_of(stream)) for stream in (mine, *others)] == [3, 2, 2]
    assert house.book.outages_of(mine)[2].overlapping(T0, house.now_ns) == [
        (T0 + 30 * S, T0 + 60 * S)
    ]


def test_short_holds_add_up_and_none_counts_twice() -> None:
    house = House()
    house.open(catch_up_ns=0)
    for number in range(3):
        payment = hold(house, 100 * number + 30)
        house.at(100 * number + 90)
        house.settle(payment)
        [paid] = house.plan()
        assert paid.skip_ns == 60 * S
        house.settle(paid)
        house.at(100 * number + 100)


def test_an_invoice_that_is_held_is_no_span() -> None:
    house = House()
    house.open(api_key=7)
    [payment] = house.plan()
    payment.payment_request = "lnbc1"
    house.at(30)
    house.mark(payment, Mark.HELD)
    house.at(90)
    house.settle(payment)
    assert scopes(house) == [] and f"outage.{SCOPE}" not in house.journal.settings


# -- the journal --------------------------------------------------------------------------------


def test_what_an_older_version_marked_holds_from_the_start_on() -> None:
    house = House()
    stream = house.open(api_key=7)
    hold(house)
    del house.journal.settings[f"outage.{SCOPE}"]
    house.at(100)
    house.crash()
    assert house.journal.settings[f"outage.{SCOPE}"] == f"{T0 + 100 * S} RECEIVER_HOLDS"
    assert house.book.outages_of(house.again(stream))[2].overlapping(T0, T0 + 200 * S) == [
        (T0 + 100 * S, T0 + 200 * S)
    ]


def test_a_hold_whose_end_did_not_become_durable_has_ended() -> None:
    house = House()
    house.open(api_key=7)
    hold(house)
    house.at(100)
    (payment,) = house.book.payments.values()
    house.settle(payment)
    house.journal.settings[f"outage.{SCOPE}"] = f"{T0 + 30 * S} RECEIVER_HOLDS"
    house.at(200)
    house.crash()
    assert house.journal.settings[f"outage.{SCOPE}"] == "" and scopes(house)[-1] == (
        SCOPE,
        "RECEIVER_HOLDS",
        30,
        200,
    )


def test_a_restart_asks_each_span_once_and_takes_its_own_nodes() -> None:
    spans = [
        Outage(f"{NODE}/{number}/{PEER.hex()}", "RECEIVER_HOLDS", T0, T0 + number)
        for number in range(1, 301)
    ]
    foreign = Outage(f"other/1/{PEER.hex()}", "RECEIVER_HOLDS", T0, T0 + 999)
    kept = Holds(NODE)
    kept.restore(
        [*spans, foreign, Outage(NODE, "NODE_DOWN", T0, T0 + 5)],
        {f"outage.other/9/{PEER.hex()}": f"{T0} RECEIVER_HOLDS"},
    )
    for number in range(1, 301):
        found = kept.of((PEER, number))
        assert found is not None and found.overlapping(T0, T0 + HOUR) == [(T0, T0 + number)]
    assert kept.of((PEER, 9999)) is None


def test_the_oldest_ended_holds_are_forgotten_beyond_their_bound_and_none_that_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holds, "KEPT_HOLDERS", 2)
    kept, facts = Holds(NODE), Facts()
    pairs = [(bytes([2]) + bytes([number]) * 32, 1) for number in range(7)]
    others = (PEER, 2)
    for pair in (others, *pairs):
        kept.follow(pair, True, T0, facts)
    kept.follow(others, False, T0 + S, facts)
    for pair in (pairs[3], pairs[1], pairs[0], pairs[2]):
        kept.follow(pair, False, T0 + S, facts)
    assert all(kept.of(pair) is not None for pair in pairs), "up to twice as many are kept"
    kept.follow(pairs[4], False, T0 + S, facts)
    assert [kept.of(pair) is not None for pair in pairs] == [
        False,
        False,
        True,
        False,
        True,
        True,
        True,
    ]
    assert kept.of(others) is not None, (
        "what one key's receivers hold makes no other key's stream forget"
    )
    again = Holds(NODE)
    again.restore(facts.outages, dict(facts.settings))
    assert [again.of(pair) is not None for pair in pairs].count(True) == 4, (
        "two that hold, and two that did"
    )
    assert again.of(others) is not None


def test_a_cancelled_streams_hold_still_blocks_its_receiver() -> None:
    house = House()
    stream = house.open(api_key=7)
    hold(house)
    house.act(lifecycle.cancel, stream)
    waits = house.open(api_key=7)
    house.idle(60)
    assert house.book.gate.waits(waits.key)
