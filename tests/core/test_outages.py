"""Spans of impossible time: what overlaps counts once, and a restart forgets nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamer.core.outages import KEPT_OUTAGES, Outages, union_ns
from streamer.model import Facts, Outage
from streamer.money import SECOND_NS

spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: (min(pair), max(pair))), max_size=8)


@given(spans)
def test_the_union_counts_each_moment_once(given_spans: list[tuple[int, int]]) -> None:
    assert union_ns(given_spans) == sum(any(start <= moment < end for start, end in given_spans) for moment in range(60))


@given(spans, st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_overlap_is_what_lies_within(given_spans: list[tuple[int, int]], begun: int, from_ns: int, until_ns: int) -> None:
    outages = Outages()
    for start, end in given_spans:
        outages.add("cause", start, end, Facts())
    outages.begin("cause", begun, Facts())
    inside = [moment for moment in range(from_ns, until_ns) if any(s <= moment < e for s, e in given_spans) or (begun and moment >= begun)]
    assert union_ns(outages.overlapping(from_ns, until_ns)) == len(inside)


def test_an_outage_begins_once_and_its_end_is_journaled() -> None:
    outages, facts = Outages("node"), Facts()
    outages.begin("NODE_DOWN", 10, facts)
    outages.begin("OPERATOR", 15, facts)
    assert (outages.since_ns, outages.cause) == (10, "NODE_DOWN")
    outages.end(20, facts)
    outages.end(25, facts)
    assert [(o.node, o.cause, o.start_ns, o.end_ns) for o in facts.outages] == [("node", "NODE_DOWN", 10, 20)]
    assert outages.overlapping(0, 100) == [(10, 20)] and outages.overlapping(15, 15) == [], "no time has no outage"


def test_a_restart_knows_what_ended_and_what_goes_on() -> None:
    before, facts = Outages("node"), Facts()
    before.add("x", 1, 5, facts)
    before.add("nothing", 7, 7, facts)
    assert len(facts.outages) == 1, "what took no time is no outage"
    before.begin("a cause in words", 10, facts)
    after = Outages("node")
    after.restore([*facts.outages], dict(facts.settings))
    assert after.overlapping(0, 20) == [(1, 5), (10, 20)] and after.cause == "a cause in words"
    other = Outages("other")
    other.restore([*facts.outages], dict(facts.settings))
    assert other.overlapping(0, 20) == []
    after.end(12, facts)
    again = Outages("node")
    again.restore([*facts.outages], dict(facts.settings))
    assert again.overlapping(0, 20) == [(1, 5), (10, 12)]


def test_only_so_many_are_kept_and_the_newest() -> None:
    outages = Outages()
    for start in range(KEPT_OUTAGES + 5):
        outages.add("x", 2 * start, 2 * start + 1, Facts())
    kept = outages.overlapping(0, 10**9)
    assert len(kept) == KEPT_OUTAGES and kept[-1][0] == 2 * (KEPT_OUTAGES + 4)


def test_what_nobody_knows_of_did_not_happen() -> None:
    outages = Outages()
    assert (outages.scope, outages.since_ns, outages.cause) == ("", 0, "")
    outages.restore([], {})
    assert (outages.since_ns, outages.cause) == (0, "") and outages.overlapping(0, 10**18) == []


def test_a_loop_that_was_silent_for_more_than_a_beat_and_five_seconds_was_suspended() -> None:
    outages, facts = Outages(), Facts()
    began = 10**18
    outages.alive(began, facts)
    outages.alive(began + 6 * SECOND_NS, facts)
    assert not facts and outages.overlapping(0, 2 * began) == []
    outages.alive(began + 12 * SECOND_NS + 1, facts)
    span = (began + 6 * SECOND_NS, began + 12 * SECOND_NS + 1)
    assert outages.overlapping(0, 2 * began) == [span]
    assert [(o.node, o.cause, o.start_ns, o.end_ns) for o in facts.outages] == [("", "SUSPENDED", *span)]
    outages.alive(began + 13 * SECOND_NS, facts)
    assert len(facts.outages) == 1


def test_a_second_cause_neither_begins_anew_nor_is_written() -> None:
    outages, facts = Outages("node"), Facts()
    outages.begin("NODE_DOWN", 10, facts)
    outages.begin("OPERATOR", 15, facts)
    assert facts.settings == [("outage.node", "10 NODE_DOWN")]
    outages.end(20, facts)
    assert facts.settings[1:] == [("outage.node", "")] and (outages.since_ns, outages.cause) == (0, "")
    outages.end(30, facts)
    assert len(facts.settings) == 2 and len(facts.outages) == 1


def spans_of(facts: Facts) -> list[tuple[str, int, int]]:
    return [(outage.node, outage.start_ns, outage.end_ns) for outage in facts.outages]


def test_what_is_kept_back_counts_at_once_and_becomes_durable_when_the_clock_is_right() -> None:
    """Of all scopes together: they have one clock."""
    daemon = Outages()
    node, facts = Outages("node", daemon), Facts()
    daemon.keep_back()
    daemon.add("SUSPENDED", 1, 2, facts)
    node.begin("NODE_DOWN", 3, facts)
    node.end(4, facts)
    assert not facts and node.overlapping(0, 100) == [(3, 4)]
    facts.settings.append(("mark", "9"))
    facts.outages.append(Outage("other", "SUSPENDED", 5, 6))
    daemon.publish(facts)
    assert spans_of(facts) == [("other", 5, 6), ("", 1, 2), ("node", 3, 4)]
    assert facts.settings == [("mark", "9"), ("outage.node", "3 NODE_DOWN"), ("outage.node", "")]


def test_once_the_clock_was_found_right_nothing_is_kept_back_or_told_twice() -> None:
    daemon, first, second = Outages(), Facts(), Facts()
    daemon.keep_back()
    daemon.add("SUSPENDED", 1, 2, Facts())
    daemon.publish(first)
    daemon.publish(second)
    assert spans_of(first) == [("", 1, 2)] and not second
    daemon.add("SUSPENDED", 3, 4, second)
    assert spans_of(second) == [("", 3, 4)]


def test_nothing_is_kept_back_unless_it_is_asked_for() -> None:
    facts = Facts()
    Outages("node", Outages()).begin("NODE_DOWN", 1, facts)
    assert facts.settings
    Outages().publish(facts)
    assert len(facts.settings) == 1
