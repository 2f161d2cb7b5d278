"""Path templates and query strings: what a path, a verb and a query mean."""

from __future__ import annotations

from typing import TypeVar

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from streamer._proto.streamer.v1 import stream_pb2
from streamer.api.http.jsonwire import fill
from streamer.api.http.paths import Routes, compiled
from streamer.api.http.query import collected
from streamer.api.services import methods
from streamer.words.errors import InvalidArgument

RPCS = methods()


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/v1/streams", "/v1/streams", ()),
        ("/v1/streams", "/v1/streams/", None),
        ("/v1/streams/{id}", "/v1/streams/st_1", ("st_1",)),
        ("/v1/streams/{id}", "/v1/streams/a%2Fb", ("a%2Fb",)),
        ("/v1/streams/{id}", "/v1/streams/a/b", None),
        ("/v1/streams/{id}", "/v1/streams/", None),
        ("/v1/streams/{id}", "/v1/streams/st_1:pause", None),
        ("/v1/streams/{id}:pause", "/v1/streams/st_1:pause", ("st_1",)),
        ("/v1/streams/{id}:pause", "/v1/streams/st_1:paused", None),
        ("/v1/{name=keys/*/of/**}:go", "/v1/keys/a/of/b/c:go", ("keys/a/of/b/c",)),
        ("/v1/{name=keys/*/of/**}:go", "/v1/keys/a/b/of/c:go", None),
        ("/v1/*/x.y", "/v1/a/x.y", ()),
        ("/v1/*/x.y", "/v1/a/xzy", None),
    ],
)
def test_templates(template: str, path: str, values: tuple[str, ...] | None) -> None:
    match = compiled(template)[0].fullmatch(path)
    assert (match and match.groups()) == values


def test_routes_come_from_the_annotations_and_values_are_decoded() -> None:
    routes = Routes(RPCS)
    route, variables = routes.find("PATCH", "/v1/streams/a%2Fb%3Apause") or pytest.fail("no route")
    assert (route.rpc.name, route.body, variables) == (
        "StreamService/UpdateStream",
        "stream",
        {"stream.id": "a/b:pause"},
    )
    assert (routes.find("GET", "/v1/streams:watch") or pytest.fail())[0].rpc.streams
    assert routes.find("PUT", "/v1/streams/x") is None
    assert routes.verbs("/v1/streams/x") == ["GET", "PATCH"]
    assert routes.verbs("/v1/streams/x:pause") == ["POST"]
    assert routes.verbs("/v1/streams/x:fly") == []
    assert {route.rpc.name for route in routes.all} == {rpc.name for rpc in RPCS}


M = TypeVar("M", bound=Message)


def asked(message: type[M], *pairs: tuple[str, str]) -> M:
    made = message()
    schema = made.DESCRIPTOR
    assert isinstance(schema, Descriptor)
    fill(made, collected(schema, pairs))
    return made


def test_a_query_fills_fields_of_every_kind() -> None:
    got = asked(
        stream_pb2.CreateStreamRequest,
        ("requestId", "r"),
        ("validate_only", "TRUE"),
        ("stream.amountMsat", "9223372036854775807"),
        ("stream.interval", "60s"),
        ("stream.start_time", "2030-01-01T00:00:00Z"),
        ("stream.labels[a.b]", "1"),
        ("stream.labels[c]", "2"),
        ("stream.state", "PAUSED"),
        ("stream.budget.period", "1h"),
        ("stream.last_payment.held", "0"),
        ("colour", "red"),
        ("stream.colour.x", "red"),
        ("", "x"),
    )
    assert got == stream_pb2.CreateStreamRequest(
        request_id="r",
        validate_only=True,
        stream=stream_pb2.Stream(
            amount_msat=2**63 - 1,
            interval={"seconds": 60},
            start_time={"seconds": 1_893_456_000},
            labels={"a.b": "1", "c": "2"},
            state=stream_pb2.Stream.PAUSED,
            budget=stream_pb2.Budget(period="1h"),
            last_payment={"held": False},
        ),
    )
    assert asked(
        stream_pb2.UpdateStreamRequest, ("updateMask", "group,maxPaymentMsat")
    ).update_mask.paths == ["group", "max_payment_msat"]


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        (("stream.amountMsat", "ten"), "not understood"),
        (("stream.amountMsat", str(2**63)), "not understood"),
        (("validateOnly", "maybe"), "'validateOnly' is 'maybe'; true or false is needed"),
        (("stream.interval", "1 minute"), "not understood"),
        (("stream.interval.seconds", "1"), "cannot be given in the address"),
        (("stream.tlvRecords", "x"), "cannot be given in the address: name its fields"),
        (("stream.tlvRecords.type", "1"), "cannot be given in the address"),
        (("stream", "x"), "cannot be given in the address: name its fields"),
        (("stream.labels", "x"), "cannot be given in the address"),
        (("stream.group[x]", "x"), "cannot be given in the address"),
        (("requestId.x", "x"), "cannot be given in the address"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(pair: tuple[str, str], says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        asked(stream_pb2.CreateStreamRequest, pair)


def test_a_plain_field_comes_once() -> None:
    with pytest.raises(InvalidArgument, match="'request_id' is given twice"):
        asked(stream_pb2.CreateStreamRequest, ("requestId", "a"), ("request_id", "b"))
