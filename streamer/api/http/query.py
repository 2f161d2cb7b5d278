"""Query strings and path variables as fields of a request.

`?pageSize=5&stream.labels[app]=radio&updateMask=group`: fields by either name, dotted into
messages; a repeated field may come many times, any other once; a map's key stands in brackets.
Durations, times and masks are written as in JSON. What the request does not have is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from streamer.api.http.jsonwire import Object
from streamer.words.errors import InvalidArgument

_STEPS = re.compile(r"(?:[^.\[\]]|\[[^\[\]]*\])+")
"""What stands between the dots, but for those in brackets: names of labels have dots."""
_KEYED = re.compile(r"([^\[\]]+)\[([^\[\]]*)\]")
_BOOLS = {"true": True, "1": True, "false": False, "0": False}


def collected(message: Descriptor, pairs: Iterable[tuple[str, str]]) -> Object:
    """The pairs as JSON values of a message. Raises InvalidArgument."""
    values: Object = {}
    for name, text in pairs:
        _put(message, values, name, _STEPS.findall(name), text)
    return values


def _put(message: Descriptor, values: Object, name: str, path: list[str], text: str) -> None:
    first, rest = path[0] if path else "", path[1:]
    keyed = _KEYED.fullmatch(first)
    field = named(message, keyed[1] if keyed else first)
    if field is None:
        return
    inner = field.message_type
    if rest and inner is not None and not field.is_repeated and not _one_value(inner):
        _put(inner, values.setdefault(field.json_name, {}), name, rest, text)
    elif rest or _is_map(field) != bool(keyed):
        raise InvalidArgument(f"{name!r} cannot be given in the address")
    elif keyed and inner is not None:
        values.setdefault(field.json_name, {})[keyed[2]] = _value(
            inner.fields_by_name["value"], name, text
        )
    elif field.is_repeated:
        values.setdefault(field.json_name, []).append(_value(field, name, text))
    elif field.json_name in values:
        raise InvalidArgument(f"{name!r} is given twice")
    else:
        values[field.json_name] = _value(field, name, text)


def _value(field: FieldDescriptor, name: str, text: str) -> Any:
    if field.message_type is not None and not _one_value(field.message_type):
        raise InvalidArgument(f"{name!r} cannot be given in the address: name its fields")
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text.lower() not in _BOOLS:
            raise InvalidArgument(f"{name!r} is {text!r}; true or false is needed")
        return _BOOLS[text.lower()]
    return text


def named(message: Descriptor, name: str) -> FieldDescriptor | None:
    """The field of this name, in either spelling; None if there is none."""
    found: FieldDescriptor | None = message.fields_by_name.get(
        name
    ) or message.fields_by_camelcase_name.get(name)
    return found


def _one_value(message: Descriptor) -> bool:
    """Durations, times, masks and wrapped numbers are one value in JSON."""
    return bool(message.full_name.startswith("google.protobuf."))


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)
