"""The sending switch: on, or stopped while any reason holds; what must outlive the process does."""

from __future__ import annotations

import pytest

from streamer.core.switch import DURABLE_HALTS, Switch
from streamer.words.model import Facts
from streamer.words.reasons import Halt


def restarted(facts: Facts, scope: str = "") -> Switch:
    switch = Switch(scope)
    switch.restore(dict(facts.settings))
    return switch


def test_it_sends_when_the_last_reason_is_gone() -> None:
    switch = Switch()
    assert switch.sending
    switch.stop(Halt.CLOCK, "look at the clock")
    switch.stop(Halt.OPERATOR, "maintenance")
    assert switch.lift(Halt.CLOCK) is True and not switch.sending
    assert switch.lift(Halt.CLOCK) is False, "it held no more"
    assert switch.lift(Halt.OPERATOR) is True and switch.sending


@pytest.mark.parametrize("halt", list(Halt))
def test_durable_halts_outlive_the_process_and_no_others(halt: Halt) -> None:
    switch, facts = Switch(), Facts()
    switch.stop(halt, "see what it is", facts)
    assert restarted(facts).halts == ({halt: "see what it is"} if halt in DURABLE_HALTS else {})
    switch.lift(halt, facts)
    assert restarted(facts).sending
    assert len(facts.settings) == (2 if halt in DURABLE_HALTS else 0)


def test_lifting_one_halt_keeps_the_others_and_lifting_what_does_not_hold_writes_nothing() -> None:
    switch, facts = Switch(), Facts()
    switch.stop(Halt.OPERATOR, "maintenance", facts)
    switch.stop(Halt.SPEND_LIMIT, "reached", facts)
    switch.lift(Halt.OPERATOR, facts)
    assert restarted(facts).halts == {Halt.SPEND_LIMIT: "reached"}
    written = len(facts.settings)
    assert switch.lift(Halt.HASH_COLLISION, facts) is False and len(facts.settings) == written


def test_without_facts_only_memory_changes() -> None:
    switch = Switch()
    switch.stop(Halt.OPERATOR, "maintenance")
    assert switch.halts == {Halt.OPERATOR: "maintenance"} and switch.lift(Halt.OPERATOR)


def test_a_halt_without_words_is_durable_too() -> None:
    facts = Facts()
    Switch().stop(Halt.OPERATOR, "", facts)
    assert restarted(facts).halts == {Halt.OPERATOR: "OPERATOR"}


def test_the_daemon_and_each_node_have_their_own() -> None:
    facts = Facts()
    Switch("one").stop(Halt.OPERATOR, "one only", facts)
    assert restarted(facts, "one").halts == {Halt.OPERATOR: "one only"}
    assert restarted(facts, "two").sending and restarted(facts).sending
    Switch().stop(Halt.SPEND_LIMIT, "all", facts)
    assert (
        restarted(facts).halts == {Halt.SPEND_LIMIT: "all"}
        and Halt.SPEND_LIMIT not in restarted(facts, "one").halts
    )


def test_a_halt_has_its_name_in_the_journal() -> None:
    facts = Facts()
    Switch().stop(Halt.OPERATOR, "all", facts)
    Switch("one").stop(Halt.OPERATOR, "one", facts)
    assert facts.settings == [("halt.OPERATOR", "all"), ("halt.OPERATOR@one", "one")]
