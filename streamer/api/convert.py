"""From the wire to the model: reads requests, and refuses what the wire's types let through.

Only shapes are checked here (hex, durations, times, periods); meaning is checked by the service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2
from streamer.service.keys import KeyOrder
from streamer.service.orders import CHANGEABLE, InvoiceOrder, PaymentOrder, StreamOrder
from streamer.words.errors import InvalidArgument
from streamer.words.model import BudgetTerms, Record
from streamer.words.money import LAST_SECOND, SECOND_NS, parse_duration

MAX_FIELD_SECONDS = 315_576_000_000
"""Ten thousand years: the bound of google.protobuf.Duration."""
_CATCH_UP = frozenset({"catch_up", "catch_up_forever"})
"""One thing said in two ways, of which one excludes the other."""


def stream_order(message: stream_pb2.Stream) -> StreamOrder:
    """A Stream as ordered; output-only fields are ignored. Raises InvalidArgument."""
    return StreamOrder(
        destination=hex_bytes(message.destination, "destination"),
        amount_msat=message.amount_msat,
        interval_ns=_interval(message),
        node=message.node,
        payment_interval_ns=duration_ns(message, "payment_interval"),
        start_time_ns=time_ns(message, "start_time"),
        end_time_ns=time_ns(message, "end_time"),
        budget=_budget(message),
        fee_floor_msat=message.fee_floor_msat if message.HasField("fee_floor_msat") else None,
        fee_limit_ppm=message.fee_limit_ppm if message.HasField("fee_limit_ppm") else None,
        max_payment_msat=message.max_payment_msat if message.HasField("max_payment_msat") else None,
        catch_up_ns=_catch_up(message),
        catch_up_forever=message.catch_up_forever,
        ttl_ns=duration_ns(message, "ttl"),
        max_open_payments=(
            message.max_open_payments if message.HasField("max_open_payments") else None
        ),
        group=message.group,
        labels=tuple(sorted(message.labels.items())),
        records=tlv_records(message.tlv_records),
        token=hex_bytes(message.token, "token"),
    )


def stream_changes(
    request: stream_pb2.UpdateStreamRequest,
) -> tuple[str, StreamOrder, frozenset[str]]:
    """(id, the new values, the paths to replace). Raises InvalidArgument for a path that cannot
    change.
    """
    paths = frozenset(path.partition(".")[0] for path in request.update_mask.paths)
    if not paths:
        raise InvalidArgument(
            f"update_mask is empty: name what is to change: {', '.join(sorted(CHANGEABLE))}"
        )
    fixed = sorted(paths - CHANGEABLE)
    if fixed:
        known = fixed[0] in stream_pb2.Stream.DESCRIPTOR.fields_by_name
        why = (
            "cannot be changed: cancel this stream and open another"
            if known
            else "is no field of a stream"
        )
        raise InvalidArgument(f"update_mask: {fixed[0]} {why}")
    if not request.stream.id:
        raise InvalidArgument("stream.id is missing")
    return request.stream.id, stream_order(_named(request.stream, paths)), paths


def _named(stream: stream_pb2.Stream, paths: frozenset[str]) -> stream_pb2.Stream:
    """What paths name: what is not to be changed is not read, so it cannot be wrong either."""
    named, kept = stream_pb2.Stream(), paths | (_CATCH_UP if paths & _CATCH_UP else frozenset())
    named.CopyFrom(stream)
    for field, _ in stream.ListFields():
        if field.name not in kept:
            named.ClearField(field.name)
    return named


def payment_order(request: payment_pb2.CreatePaymentRequest) -> PaymentOrder:
    """A single payment as ordered. Raises InvalidArgument."""
    return PaymentOrder(
        destination=hex_bytes(request.destination, "destination"),
        amount_msat=request.amount_msat,
        node=request.node,
        fee_limit_msat=request.fee_limit_msat if request.HasField("fee_limit_msat") else None,
        records=tlv_records(request.tlv_records),
    )


def key_order(message: admin_pb2.Key) -> KeyOrder:
    """A key as ordered; output-only fields are ignored. Raises InvalidArgument."""
    return KeyOrder(
        name=message.name,
        scopes=tuple(message.scopes),
        budget=_budget(message),
        destinations=tuple(
            hex_bytes(destination, "destinations") for destination in message.destinations
        ),
        max_streams=message.max_streams if message.HasField("max_streams") else None,
        expire_time_ns=time_ns(message, "expire_time"),
    )


def invoice_order(request: payment_pb2.CreatePaymentRequest) -> InvoiceOrder:
    """An invoice to pay. Raises InvalidArgument for what only a keysend has."""
    for field in ("destination", "tlv_records"):
        if getattr(request, field):
            raise InvalidArgument(
                f"{field} is for a keysend, and payment_request for an invoice: leave one of"
                " them out"
            )
    return InvoiceOrder(
        request.payment_request,
        request.amount_msat,
        request.node,
        request.fee_limit_msat if request.HasField("fee_limit_msat") else None,
    )


def hex_bytes(text: str, field: str) -> bytes:
    """Bytes of a hex string; InvalidArgument names the field."""
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", text):
        raise InvalidArgument(
            f"{field} is not hex: pairs of the digits 0–9 and a–f are needed, not base64"
        )
    return bytes.fromhex(text)


def tlv_records(records: Iterable[payment_pb2.TlvRecord]) -> tuple[Record, ...]:
    """Custom records, in the order of their types."""
    return tuple(
        sorted(
            (
                record.type,
                hex_bytes(record.value_hex, f"tlv_records: value_hex of type {record.type}"),
            )
            for record in records
        )
    )


def duration_ns(message: Message, field: str) -> int | None:
    """A Duration field as nanoseconds; None if it is not set."""
    if not message.HasField(field):
        return None
    duration: Duration = getattr(message, field)
    if abs(duration.seconds) > MAX_FIELD_SECONDS:
        raise InvalidArgument(
            f"{field} is not a valid duration: it is longer than ten thousand years"
        )
    if abs(duration.nanos) >= SECOND_NS or duration.seconds * duration.nanos < 0:
        raise InvalidArgument(
            f"{field} is not a valid duration: nanos are below a second, and have the sign of"
            " seconds"
        )
    return duration.seconds * SECOND_NS + duration.nanos


def time_ns(message: Message, field: str) -> int | None:
    """A Timestamp field as nanoseconds since 1970; None if it is not set."""
    if not message.HasField(field):
        return None
    moment: Timestamp = getattr(message, field)
    if not 0 <= moment.seconds <= LAST_SECOND or not 0 <= moment.nanos < SECOND_NS:
        raise InvalidArgument(
            f"{field} is not a valid time: from 1970-01-01T00:00:00Z to 2255-03-14T16:00:00Z"
        )
    return moment.seconds * SECOND_NS + moment.nanos


def _interval(message: stream_pb2.Stream) -> int:
    interval_ns = duration_ns(message, "interval")
    return 0 if interval_ns is None else interval_ns


def _catch_up(message: stream_pb2.Stream) -> int | None:
    catch_up_ns = duration_ns(message, "catch_up")
    if message.catch_up_forever and catch_up_ns is not None:
        raise InvalidArgument("catch_up and catch_up_forever exclude each other")
    return catch_up_ns


def _budget(message: stream_pb2.Stream | admin_pb2.Key) -> BudgetTerms | None:
    if not message.HasField("budget"):
        return None
    period = message.budget.period
    if period in ("", "total"):
        return BudgetTerms(message.budget.amount_msat, None)
    try:
        return BudgetTerms(message.budget.amount_msat, parse_duration(period))
    except ValueError:
        raise InvalidArgument(
            f'budget.period {period!r} is not understood: "total", or a duration such as "1h" or'
            ' "1d"'
        ) from None
