"""Messages of the schema as JSON Schema: what proto3's JSON mapping makes of each type.

64-bit integers are texts, bytes base64, enums their names, durations "60s". Comments in proto/
become descriptions.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Schema = dict[str, Any]

_TYPES: dict[int, Schema] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"},
    FieldDescriptor.TYPE_INT32: {
        "type": "integer",
        "format": "int32",
        "minimum": -(2**31),
        "maximum": 2**31 - 1,
    },
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "format": "byte", "contentEncoding": "base64"},
}
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$",
        "examples": ["60s"],
    },
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.FieldMask": {"type": "string", "examples": ["group,budget"]},
}
PATCH = ".patch"
"""After the name of a message that is changed: the same fields, none of them required."""


@cache
def comments() -> dict[str, str]:
    """Full name → comment, of all that has one in proto/."""
    found: dict[str, str] = json.loads(
        files("streamer._proto").joinpath("comments.json").read_text(encoding="utf-8")
    )
    return found


class Schemas:
    """Collects the messages that are spoken of, each once, for `components.schemas`."""

    def __init__(self) -> None:
        self.found: dict[str, Schema] = {}

    def reference(self, message: Descriptor, suffix: str = "") -> Schema:
        """A $ref to a message, which is collected with all that it holds. suffix: "" or PATCH."""
        name = str(message.full_name) + suffix
        if name not in self.found:
            self.found[name] = {}
            self.found[name] = self.object(message, required=not suffix)
        return {"$ref": f"#/components/schemas/{name}"}

    def object(
        self, message: Descriptor, without: frozenset[str] = frozenset(), *, required: bool = True
    ) -> Schema:
        """A message as an object, but for the fields named in without."""
        fields = [field for field in message.fields if field.name not in without]
        schema: Schema = {
            "type": "object",
            "properties": {field.json_name: self.field(field) for field in fields},
        }
        needed = [
            field.json_name
            for field in fields
            if required and _is(field, field_behavior_pb2.REQUIRED)
        ]
        return _described(schema | ({"required": needed} if needed else {}), message.full_name)

    def field(self, field: FieldDescriptor) -> Schema:
        """A field's value, with its comment."""
        read_only = {"readOnly": True} if _is(field, field_behavior_pb2.OUTPUT_ONLY) else {}
        return _described(self._value(field) | read_only, field.full_name)

    def _value(self, field: FieldDescriptor) -> Schema:
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            return {
                "type": "object",
                "additionalProperties": self._one(inner.fields_by_name["value"]),
            }
        return (
            {"type": "array", "items": self._one(field)} if field.is_repeated else self._one(field)
        )

    def _one(self, field: FieldDescriptor) -> Schema:
        if field.enum_type is not None:
            return _enum(field.enum_type)
        if field.message_type is not None:
            known = _WELL_KNOWN.get(field.message_type.full_name)
            return dict(known) if known else self.reference(field.message_type)
        return dict(_TYPES[field.type])


def _enum(enum: EnumDescriptor) -> Schema:
    """The names of an enum. A value's comment stands beside its siblings in the descriptor's
    scope.
    """
    said = [
        f"{value.name}: {text}"
        for value in enum.values
        if (text := comments().get(f"{enum.full_name}.{value.name}"))
    ]
    return {"type": "string", "enum": [value.name for value in enum.values]} | (
        {"description": " ".join(said)} if said else {}
    )


def _described(schema: Schema, name: str) -> Schema:
    text = " ".join(
        part for part in (comments().get(name, ""), schema.get("description", "")) if part
    )
    return schema | ({"description": text} if text else {})


def _is(field: FieldDescriptor, behavior: int) -> bool:
    return behavior in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
