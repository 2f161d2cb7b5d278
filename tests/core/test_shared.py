"""What all nodes share: the outage while something stops sending, and the journal's last moment."""

from __future__ import annotations

import pytest

from streamer.core.shared import DOORS, MARK, open_until_ns
from streamer.model import Facts
from streamer.reasons import Halt
from tests.core.house import House, S


def stopped(house: House, halt: Halt) -> Facts:
    house.switch.stop(halt, "why")
    facts = Facts()
    house.book.shared.count_stopped(house.now_ns, facts)
    return facts


def test_while_sending_is_stopped_there_is_an_outage_and_its_end_is_journaled() -> None:
    house = House()
    began_ns, outages = house.now_ns, house.book.shared.outages
    stopped(house, Halt.OPERATOR)
    assert (outages.since_ns, outages.cause) == (began_ns, "OPERATOR")
    house.now_ns += 7 * S
    house.switch.lift(Halt.OPERATOR)
    facts = Facts()
    house.book.shared.count_stopped(house.now_ns, facts)
    assert [(outage.start_ns, outage.end_ns) for outage in facts.outages] == [(began_ns, began_ns + 7 * S)]
    assert outages.since_ns == 0


def test_a_wrong_clock_begins_no_outage() -> None:
    house = House()
    assert not stopped(house, Halt.CLOCK)
    assert house.book.shared.outages.since_ns == 0


def test_a_moment_is_marked_unless_the_clock_is_wrong_and_what_was_kept_back_goes_with_it() -> None:
    house, shared = House(), House().book.shared
    shared.outages.keep_back()
    shared.outages.add("NODE_DOWN", 1, 2, Facts())
    shared.switch.stop(Halt.CLOCK, "why")
    facts = Facts()
    shared.mark(house.now_ns, facts)
    assert not facts
    shared.switch.lift(Halt.CLOCK)
    shared.mark(house.now_ns, facts)
    assert facts.settings == [(MARK, str(house.now_ns))]
    assert [(outage.start_ns, outage.end_ns) for outage in facts.outages] == [(1, 2)]


@pytest.mark.parametrize(
    ("marked", "doors", "until"),
    [
        (50, 70, 70),
        (70, 50, 70),
        (50, 100, 100),
        (50, 101, 50),
        (None, 70, 70),
        (50, None, 50),
        (None, None, 0),
        (None, 101, 0),
    ],
)
def test_the_doors_were_open_until_the_later_of_both_unless_a_clock_was_ahead(marked: int | None, doors: int | None, until: int) -> None:
    settings = {name: str(value) for name, value in ((MARK, marked), (DOORS, doors)) if value is not None}
    assert open_until_ns(settings, now_ns=100) == until


def test_what_is_kept_back_is_kept_back_of_a_nodes_outages_too() -> None:
    house, facts = House(), Facts()
    house.book.shared.outages.keep_back()
    house.book.outages.begin("NODE_DOWN", house.now_ns, facts)
    assert not facts and house.book.outages.since_ns == house.now_ns
