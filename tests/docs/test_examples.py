"""The worked examples of docs/streams.md say what the core does."""

from __future__ import annotations

import pytest

from streamer.service.terms import default_payment_interval_ns
from streamer.words.model import StreamState
from streamer.words.money import format_duration, parse_rate
from streamer.words.settings import StreamSettings
from tests.docs.pages import DOCS, Table, examples, plain, table
from tests.docs.timeline import Timeline

STREAMS = DOCS / "streams.md"
EXAMPLES = examples(STREAMS)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize(("terms", "said"), EXAMPLES, ids=[terms for terms, _ in EXAMPLES])
def test_an_example_is_what_the_core_does(terms: str, said: Table) -> None:
    timeline = Timeline(terms)
    for row in said.rows:
        at, event, *cells = row
        timeline.play(at, event)
        shown = timeline.shown()
        assert cells == [shown[header] for header in said.headers[2:]], f"at {at} {event}"


def test_without_the_pause_all_other_lines_are_the_same() -> None:
    terms, said = next(
        (terms, said)
        for terms, said in EXAMPLES
        if "pause" in said.column("event") and "payment 2 fails" in said.column("event")
    )
    timeline = Timeline(terms)
    for at, event, *cells in said.rows:
        if event not in ("pause", "resume"):
            timeline.play(at, event)
            assert cells == [timeline.shown()[header] for header in said.headers[2:]], (
                f"at {at} {event}"
            )


def test_money_that_comes_back_wakes_a_budget_that_renews() -> None:
    timeline = Timeline("60sat/1m payments 10s budget 36sat/1h open 2")
    timeline.play("0s", "open")
    timeline.play("15s", "payments hang")
    timeline.play("34s", "–")
    assert (timeline.shown()["state"], timeline.shown()["reason"]) == ("STALLED", "BUDGET_PERIOD")
    timeline.play("35s", "payment 3 fails")
    assert timeline.shown()["state"] == "ACTIVE"
    timeline.play("40s", "–")
    assert timeline.shown()["open"] == "11,000 msat"


def test_a_total_budget_waits_for_what_is_reserved() -> None:
    timeline = Timeline("60sat/1m payments 10s budget 35sat open 2")
    timeline.play("0s", "open")
    timeline.play("15s", "payments hang")
    timeline.play("1m", "–")
    assert (timeline.shown()["state"], timeline.shown()["reason"]) == ("ACTIVE", "–")
    timeline.play("1m5s", "payment 3 settles")
    timeline.play("1m6s", "–")
    assert (timeline.shown()["state"], timeline.shown()["reason"]) == ("COMPLETED", "BUDGET_SPENT")


def test_payment_intervals() -> None:
    said = table(STREAMS, "rate", "payment interval", "each payment")
    for rate, interval, payment in said.rows:
        amount, interval_ns = parse_rate(rate)
        chosen_ns = default_payment_interval_ns(amount, interval_ns, StreamSettings())
        assert (interval, payment) == (
            format_duration(chosen_ns),
            f"{chosen_ns * amount // interval_ns:,} msat",
        ), rate


def test_every_state_is_explained() -> None:
    assert [plain(cell) for cell in table(STREAMS, "state").column("state")] == [
        str(state) for state in StreamState
    ]
