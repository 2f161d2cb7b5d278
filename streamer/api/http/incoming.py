"""From an HTTP request to a request message: body, path, query string and Idempotency-Key, in this
order.

What the path says wins over the body. A PATCH without a mask changes the fields that its body
names.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from streamer.api.http.jsonwire import Object, fill, loaded
from streamer.api.http.paths import Route
from streamer.api.http.query import collected, named
from streamer.words.errors import InvalidArgument

MAX_QUERY_FIELDS = 1_000
WHOLE = "*"
REQUEST_ID = "request_id"


@dataclass(frozen=True, slots=True)
class Incoming:
    """What came, as it came. variables are the path's, percent-decoded."""

    route: Route
    variables: dict[str, str]
    query: str
    body: bytes
    idempotency_key: str | None


def request_of(incoming: Incoming) -> Message:
    """The message that is meant. Raises InvalidArgument."""
    route = incoming.route
    message, schema = route.rpc.request(), route.rpc.method.input_type
    body = loaded(incoming.body) if route.body else {}
    if route.body == WHOLE:
        fill(message, body)
    elif route.body and incoming.body.strip():
        fill(message, {route.body: body})
    if route.body != WHOLE:
        fill(message, collected(schema, _asked(incoming)))
    fill(message, collected(schema, incoming.variables.items()))
    if route.verb == "PATCH":
        _imply_mask(route, message, body)
    if incoming.idempotency_key is not None:
        _identify(message, incoming.idempotency_key)
    return message


def _asked(incoming: Incoming) -> list[tuple[str, str]]:
    """The pairs of the query string that are not the body's or the path's to say."""
    try:
        pairs = parse_qsl(
            incoming.query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict"
        )
    except ValueError:
        raise InvalidArgument(
            f"the query string is not UTF-8, or has more than {MAX_QUERY_FIELDS} fields"
        ) from None
    taken = {incoming.route.body, *incoming.variables}
    return [
        (name, value)
        for name, value in pairs
        if name not in taken and name.partition(".")[0] != incoming.route.body
    ]


def _imply_mask(route: Route, message: Message, body: Object) -> None:
    """Without a mask, what the body names is to change; what only streamer sets is left aside."""
    schema = route.rpc.method.input_type
    masks = [
        field
        for field in schema.fields
        if field.message_type is not None and field.message_type is FieldMask.DESCRIPTOR
    ]
    target = schema.fields_by_name.get(route.body)
    for field in masks:
        mask: FieldMask = getattr(message, field.name)
        if not mask.paths and target is not None and target.message_type is not None:
            fields = (named(target.message_type, name) for name in body)
            mask.paths.extend(
                field.name for field in fields if field is not None and not _output_only(field)
            )


def _output_only(field: FieldDescriptor) -> bool:
    return (
        field_behavior_pb2.OUTPUT_ONLY
        in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    )


def _identify(message: Message, key: str) -> None:
    """Idempotency-Key is request_id where there is one. Raises InvalidArgument if both came and
    differ.
    """
    if REQUEST_ID not in message.DESCRIPTOR.fields_by_name:
        return
    given = getattr(message, REQUEST_ID)
    if given and given != key:
        raise InvalidArgument(
            "Idempotency-Key and request_id differ: send one of them, or the same in both"
        )
    setattr(message, REQUEST_ID, key)
