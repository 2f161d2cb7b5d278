"""What commands print: JSON for programs, aligned text for people."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from streamer.words.money import SECOND_NS, format_amount, format_duration

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

NOTHING = "–"


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    click.echo(json.dumps(value, ensure_ascii=False))


def as_dict(message: Message) -> dict[str, Any]:
    """A message as protobuf's JSON says it, with the names of the schema, and integers as
    numbers.
    """
    from google.protobuf.json_format import MessageToDict

    found: dict[str, Any] = MessageToDict(
        message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )
    _numbers(message, found)
    return found


def _numbers(message: Message, found: dict[str, Any]) -> None:
    """Turn the 64-bit integers, which protobuf's JSON writes as text, into numbers."""
    for field in message.DESCRIPTOR.fields:
        value = found.get(field.name)
        if value is None:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].cpp_type == field.CPPTYPE_INT64:
                found[field.name] = {key: int(number) for key, number in value.items()}
        elif field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
            found[field.name] = (
                [int(item) for item in value] if isinstance(value, list) else int(value)
            )
        elif isinstance(value, list) and field.message_type is not None:
            for item, inner in zip(getattr(message, field.name), value, strict=True):
                _numbers(item, inner)
        elif isinstance(value, dict):
            _numbers(getattr(message, field.name), value)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns, never cut: ids stay whole for copying."""
    table = [tuple(headers), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    for number, row in enumerate(table):
        line = "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """One "name  value" a line; empty values are left out."""
    shown = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {value}")


def amount(msat: int) -> str:
    """An amount for people."""
    return format_amount(msat)


def payments(count: int) -> str:
    """A number of payments for people."""
    return f"{count} payment" + ("" if count == 1 else "s")


def span(duration: Duration) -> str:
    """A duration for people."""
    return format_duration(int(duration.ToNanoseconds()))


def moment(timestamp: Timestamp) -> str:
    """A moment for people: UTC, and how far away; empty if it is not set."""
    if not timestamp.seconds and not timestamp.nanos:
        return ""
    moment_ns = int(timestamp.ToNanoseconds())
    return (
        f"{time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime(timestamp.seconds))}"
        f" ({distance(moment_ns)})"
    )


def distance(moment_ns: int) -> str:
    """How far a moment is from now: "in 5s", "3m ago"."""
    away_ns = moment_ns - time.time_ns()
    size = abs(away_ns)
    step = (
        60 * SECOND_NS
        if size >= 100 * SECOND_NS
        else SECOND_NS
        if size >= 10 * SECOND_NS
        else SECOND_NS // 10
    )
    text = format_duration(size - size % step)
    return f"in {text}" if away_ns >= 0 else f"{text} ago"
