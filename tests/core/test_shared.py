"""What all nodes share: the outage while something stops sending, and the journal's last moment."""

from __future__ import annotations

from streamer.core.shared import MARK
from streamer.words.model import Facts
from streamer.words.reasons import Halt
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
    assert [(outage.start_ns, outage.end_ns) for outage in facts.outages] == [
        (began_ns, began_ns + 7 * S)
    ]
    assert outages.since_ns == 0


def test_while_the_time_is_not_known_a_stop_begins_no_outage_and_ends_none() -> None:
    house = House()
    shared = house.book.shared
    shared.know_time(False)
    assert not stopped(house, Halt.OPERATOR)
    assert shared.outages.since_ns == 0
    shared.know_time(True)
    assert stopped(house, Halt.OPERATOR) and shared.outages.since_ns == house.now_ns
    house.switch.lift(Halt.OPERATOR)
    shared.know_time(False)
    shared.count_stopped(house.now_ns + S, Facts())
    assert shared.outages.since_ns == house.now_ns


def test_a_moment_is_marked_only_when_the_time_is_known() -> None:
    house, facts = House(), Facts()
    shared = house.book.shared
    shared.know_time(False)
    shared.mark(house.now_ns, facts)
    assert not facts
    shared.know_time(True)
    shared.mark(house.now_ns, facts)
    assert facts.settings == [(MARK, str(house.now_ns))]
