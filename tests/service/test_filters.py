"""Filters of streams, and the term by which events are picked for them: it never hides one that is
wanted.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamer.service.filters import parse_payment_filter, parse_stream_filter, terms_that_hold
from streamer.words.errors import InvalidArgument
from streamer.words.model import Stream, StreamState
from tests.core.house import House


def made() -> Stream:
    stream = House().open()
    stream.terms = replace(stream.terms, group="radio", labels=(("app", "x"), ("tier", "a=b")))
    return stream


FILTERS = (
    ("state=ACTIVE node=alice group=radio", "group=radio"),
    ("group=radio labels.app=x", "labels.app=x"),
    ("labels.tier=a=b state=ACTIVE", "labels.tier=a=b"),
    ("reason= state=ACTIVE", "reason="),
    ("state=ACTIVE", "state=ACTIVE"),
    ("", ""),
)


@pytest.mark.parametrize(("text", "rarest"), FILTERS)
def test_the_rarest_term_of_a_filter_is_one_of_every_stream_that_it_matches(
    text: str, rarest: str
) -> None:
    stream = made()
    stream.terms = replace(stream.terms, node="alice")
    stream.state = StreamState.ACTIVE
    wanted = parse_stream_filter(text)
    assert wanted.matches(stream)
    assert wanted.rarest == rarest
    assert not rarest or rarest in terms_that_hold(stream)


@pytest.mark.parametrize("name", ["id", "destination"])
def test_what_names_one_stream_or_receiver_goes_before_what_many_share(name: str) -> None:
    stream = made()
    value = {"id": stream.id, "destination": stream.terms.destination.hex()}[name]
    wanted = parse_stream_filter(
        f"state={stream.state} {name}={value.upper() if name == 'destination' else value}"
    )
    assert (
        wanted.matches(stream)
        and wanted.rarest == f"{name}={value}"
        and wanted.rarest in terms_that_hold(stream)
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id=", "'' is no stream's id"),
        ("id=nix", "'nix' is no stream's id"),
        ("destination=zz", "'zz' is no public key"),
        ("destination=", "'' is no public key"),
        ("node=", "node= names none"),
        ("reason=NIX", "no reason 'NIX'; reasons are USER "),
        ("state=", "no state ''"),
    ],
)
def test_what_no_stream_can_have_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        parse_stream_filter(text)


@pytest.mark.parametrize("text", ["stream=", "stream=nix", "node=", "state=", "state=NIX"])
def test_what_no_payment_can_have_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="filter: "):
        parse_payment_filter(text)
