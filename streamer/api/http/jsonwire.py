"""Messages as JSON and back, by proto3's JSON mapping and grpc-gateway's habits.

Out: 64-bit integers as strings, bytes as base64, enums by name, lowerCamelCase, defaults shown. In:
fields by either name, unknown ones dropped, an empty body an empty message, anything but an object
refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from streamer.words.errors import InvalidArgument

Object = dict[str, Any]


def shown(message: Message) -> Object:
    """A message as JSON values."""
    values: Object = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    return values


def dumped(values: Object) -> bytes:
    """JSON values as they go out."""
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()


def loaded(body: bytes) -> Object:
    """The object in a body; nothing at all is the empty object. Raises InvalidArgument."""
    if not body.strip():
        return {}
    try:
        values = json.loads(body.decode(), object_pairs_hook=_distinct, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"the body is not UTF-8: byte {error.start + 1} of {len(body)}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"the body is not JSON: {_one_line(error)}") from None
    if not isinstance(values, dict):
        raise InvalidArgument(f"the body is {_kind(values)}; a JSON object is needed")
    return values


def fill(message: Message, values: Object) -> None:
    """Set the fields of a message that are named. Raises InvalidArgument for values of another
    type.
    """
    try:
        json_format.ParseDict(values, message, ignore_unknown_fields=True)
    except (
        json_format.ParseError,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise InvalidArgument(f"the request is not understood: {_one_line(error)}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> Object:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name appears twice in one object")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds = {bool: "true or false", list: "a list", str: "a text"}
    return kinds.get(type(value), "a number")


_OURS = (
    (re.compile(r"invalid literal for int\(\) with base 10: (.*?)\.*$"), r"\1 is no whole number"),
    (re.compile(r"expected string or bytes-like object, got '\w+'"), "a text is needed"),
    (re.compile(r"int\(\) argument must be .*, not '\w+'"), "a number is needed"),
    (re.compile(r"'\w+' object is not iterable"), "an object is needed"),
    (re.compile(r"unhashable type: '\w+'"), "a name is needed"),
)
"""What Python says where protobuf lets it through, and what it means."""


def _one_line(error: Exception) -> str:
    """An error's words without what may break a log line or an answer, and not too many of them."""
    text = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    for python, ours in _OURS:
        text = python.sub(ours, text)
    return text.encode("utf-8", "replace").decode().replace("\n", " ")[:300].rstrip(".")
