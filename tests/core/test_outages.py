"""Spans of impossible time: what overlaps counts once, and a restart forgets nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamer.core.outages import KEPT_OUTAGES, Outages
from streamer.core.spans import joined, length_ns
from streamer.words.model import Facts
from streamer.words.money import SECOND_NS

spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: (min(pair), max(pair))),
    max_size=8,
)


@given(spans)
def test_the_union_counts_each_moment_once(given_spans: list[tuple[int, int]]) -> None:
    assert length_ns(joined(given_spans)) == sum(
        any(start <= moment < end for start, end in given_spans) for moment in range(60)
    )


@given(spans, st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_overlap_is_what_lies_within(
    given_spans: list[tuple[int, int]], begun: int, from_ns: int, until_ns: int
) -> None:
    outages = Outages()
    for start, end in given_spans:
        outages.add("cause", start, end, Facts())
    outages.begin("cause", begun, Facts())
    inside = [
        moment
        for moment in range(from_ns, until_ns)
        if any(s <= moment < e for s, e in given_spans) or (begun and moment >= begun)
    ]
    assert length_ns(joined(outages.overlapping(from_ns, until_ns))) == len(inside)


def test_an_outage_begins_once_and_its_end_is_journaled() -> None:
    outages, facts = Outages("node"), Facts()
    outages.begin("NODE_DOWN", 10, facts)
    outages.begin("OPERATOR", 15, facts)
    assert (outages.since_ns, outages.cause) == (10, "NODE_DOWN")
    outages.end(20, facts)
    outages.end(25, facts)
    assert [(o.node, o.cause, o.start_ns, o.end_ns) for o in facts.outages] == [
        ("node", "NODE_DOWN", 10, 20)
    ]
    assert outages.overlapping(0, 100) == [(10, 20)] and outages.overlapping(15, 15) == [], (
        "no time has no outage"
    )


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
    assert [(o.node, o.cause, o.start_ns, o.end_ns) for o in facts.outages] == [
        ("", "SUSPENDED", *span)
    ]
    outages.alive(began + 13 * SECOND_NS, facts)
    assert len(facts.outages) == 1


def test_a_second_cause_neither_begins_anew_nor_is_written() -> None:
    outages, facts = Outages("node"), Facts()
    outages.begin("NODE_DOWN", 10, facts)
    outages.begin("OPERATOR", 15, facts)
    assert facts.settings == [("outage.node", "10 NODE_DOWN")]
    outages.end(20, facts)
    assert facts.settings[1:] == [("outage.node", "")] and (outages.since_ns, outages.cause) == (
        0,
        "",
    )
    outages.end(30, facts)
    assert len(facts.settings) == 2 and len(facts.outages) == 1


def spans_of(facts: Facts) -> list[tuple[str, int, int]]:
    return [(outage.node, outage.start_ns, outage.end_ns) for outage in facts.outages]


def test_what_a_clock_that_is_put_back_has_cut_is_cut_again() -> None:
    outages, facts = Outages(), Facts()
    outages.add("NODE_DOWN", 100, 1_000, facts)
    for now_ns in (500, 300, 50):
        outages.end_by(now_ns, facts)
        assert outages.overlapping(now_ns, 2_000) == [] and outages.overlapping(0, now_ns) == [
            (100, now_ns)
        ] * (now_ns > 100)
    assert [outage.end_ns for outage in facts.outages] == [1_000, 500, 300, 100], (
        "the journal knows of each"
    )
