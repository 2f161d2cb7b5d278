"""From an order to terms: defaults, and what a change can never reach."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.api.grpc import MAX_MESSAGE_BYTES
from streamer.api.show import stream_message
from streamer.service.filters import MAX_PAGE
from streamer.service.orders import CHANGEABLE, StreamOrder, digest, fields_of
from streamer.service.reports import StreamReport
from streamer.service.terms import (
    MAX_GROUP_BYTES,
    MAX_LABEL_BYTES,
    MAX_LABELS,
    MAX_RECORDS,
    MAX_RECORDS_BYTES,
    MAX_TOKEN_BYTES,
    changed_terms,
    default_payment_interval_ns,
)
from streamer.words.errors import InvalidArgument
from streamer.words.model import Rate
from streamer.words.money import SECOND_NS
from streamer.words.settings import StreamSettings
from tests.service.given import NOW_NS, book, opened, order, terms

AMOUNTS = st.integers(1, 10**9)
INTERVALS = st.integers(10**8, 10**13)


@given(AMOUNTS, INTERVALS, st.integers(1, 10**6), st.integers(10**8, 10**11))
def test_the_default_payment_interval_is_the_smallest_that_is_enough(
    amount: int, interval: int, minimum: int, shortest: int
) -> None:
    settings = StreamSettings(min_payment_msat=minimum, min_payment_interval_ns=shortest)
    found = default_payment_interval_ns(amount, interval, settings)

    def enough(payment_interval: int) -> bool:
        return payment_interval >= shortest and payment_interval * amount // interval >= minimum

    assert found % interval == 0
    assert enough(found)
    assert found == interval or not enough(found - interval)


def test_labels_are_sorted_and_forever_is_no_bound() -> None:
    made = terms(labels=(("b", "2"), ("a", "1")), catch_up_forever=True)
    assert made.labels == (("a", "1"), ("b", "2"))
    assert made.catch_up_ns is None


def test_a_change_keeps_the_start_and_passes_the_checks_of_what_it_changes() -> None:
    made = terms()
    later = NOW_NS + 10**6 * SECOND_NS
    after = changed_terms(
        made, order(amount_msat=5_000), frozenset({"amount_msat"}), later, StreamSettings()
    )
    assert after == replace(made, rate=Rate(5_000, SECOND_NS, SECOND_NS))
    wrong: tuple[tuple[str, dict[str, int], str], ...] = (
        ("amount_msat", {"amount_msat": 0}, "amount_msat is 0"),
        ("end_time", {"end_time_ns": later - 1}, "end_time is in the past"),
    )
    for path, change, says in wrong:
        with pytest.raises(InvalidArgument, match=says):
            changed_terms(made, order(**change), frozenset({path}), later, StreamSettings())


def test_an_end_that_leaves_no_room_for_a_payment_is_refused() -> None:
    with pytest.raises(
        InvalidArgument,
        match="until end_time the stream would pay 500 msat, less than the minimum payment",
    ):
        terms(end_time_ns=NOW_NS + SECOND_NS // 2)


def test_a_start_just_past_is_now_and_rates_reach_a_bound() -> None:
    assert terms(start_time_ns=NOW_NS - SECOND_NS).start_time_ns == NOW_NS
    terms(amount_msat=SECOND_NS)
    with pytest.raises(InvalidArgument, match="absurd"):
        terms(amount_msat=SECOND_NS + 1)


@pytest.mark.parametrize("path", sorted(CHANGEABLE))
def test_every_changeable_path_names_fields_of_an_order(path: str) -> None:
    assert set(fields_of(path)) <= set(StreamOrder.__dataclass_fields__)


def test_digests_tell_content_and_ignore_what_was_not_said() -> None:
    assert digest(order()) == digest(order(node="", fee_limit_ppm=None))
    different = [
        order(),
        order(amount_msat=2),
        order(node="n"),
        order(token=b"a"),
        order(labels=(("a", "b"),)),
        order(catch_up_ns=0),
    ]
    assert len({digest(one) for one in different}) == len(different)


def test_a_page_of_the_largest_streams_fits_into_one_message() -> None:
    largest = terms(
        group="g" * MAX_GROUP_BYTES,
        labels=tuple(
            (f"{number:0{MAX_LABEL_BYTES}}", "v" * MAX_LABEL_BYTES) for number in range(MAX_LABELS)
        ),
        records=tuple(
            (2**63 + number, bytes(MAX_RECORDS_BYTES // MAX_RECORDS))
            for number in range(MAX_RECORDS)
        ),
        token=bytes(MAX_TOKEN_BYTES),
    )
    stream = opened(book())
    stream.terms = largest
    shown = stream_message(StreamReport(stream, explanation="x" * 1_000, key_id="k" * 50))
    assert shown.ByteSize() * MAX_PAGE < MAX_MESSAGE_BYTES
    assert len(shown.labels) == MAX_LABELS and len(shown.tlv_records) == MAX_RECORDS
