"""The worked examples of docs/streams.md say what the core does."""

from __future__ import annotations

import pytest

from streamer.model import StreamState
from streamer.money import format_duration, parse_rate
from streamer.service.terms import default_payment_interval_ns
from streamer.settings import StreamSettings
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


def test_payment_intervals() -> None:
    said = table(STREAMS, "rate", "payment interval", "each payment")
    for rate, interval, payment in said.rows:
        amount, interval_ns = parse_rate(rate)
        chosen_ns = default_payment_interval_ns(amount, interval_ns, StreamSettings())
        assert (interval, payment) == (format_duration(chosen_ns), f"{chosen_ns * amount // interval_ns:,} msat"), rate


def test_every_state_is_explained() -> None:
    assert [plain(cell) for cell in table(STREAMS, "state").column("state")] == [str(state) for state in StreamState]
