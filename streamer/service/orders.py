"""What the doors ask for, in the words of the model: the wire is already left behind.

None means "not said": service.terms fills in the daemon's defaults. All money is msat, all times
and durations are nanoseconds, keys and values are bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import MISSING, dataclass, fields
from typing import Any

from streamer.words.model import BudgetTerms, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOrder:
    """A stream as somebody orders it; amounts and intervals are unchecked."""

    destination: bytes
    amount_msat: int
    interval_ns: int
    node: str = ""
    payment_interval_ns: int | None = None
    start_time_ns: int | None = None
    end_time_ns: int | None = None
    budget: BudgetTerms | None = None
    fee_floor_msat: int | None = None
    fee_limit_ppm: int | None = None
    max_payment_msat: int | None = None
    catch_up_ns: int | None = None
    catch_up_forever: bool = False
    ttl_ns: int | None = None
    max_open_payments: int | None = None
    group: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    records: tuple[Record, ...] = ()
    token: bytes = b""


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """One keysend. fee_limit_msat None: as a stream's payment of that amount would have."""

    destination: bytes
    amount_msat: int
    node: str = ""
    fee_limit_msat: int | None = None
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class InvoiceOrder:
    """One invoice to pay. amount_msat 0: what it asks for. fee_limit_msat None: by the
    configuration's rule.
    """

    payment_request: str
    amount_msat: int = 0
    node: str = ""
    fee_limit_msat: int | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a stream will cost at its present terms. runway_end_ns None: no end in sight."""

    msat_per_hour: int
    fee_msat_per_hour: int
    payments_per_day: int
    runway_end_ns: int | None
    warnings: tuple[str, ...]


CHANGEABLE = frozenset(
    {
        "amount_msat",
        "interval",
        "payment_interval",
        "end_time",
        "budget",
        "fee_floor_msat",
        "fee_limit_ppm",
        "max_payment_msat",
        "catch_up",
        "catch_up_forever",
        "ttl",
        "max_open_payments",
        "group",
        "labels",
        "tlv_records",
    }
)
"""The fields that an update mask may name, by their names on the wire."""

_FIELDS: dict[str, tuple[str, ...]] = {
    "catch_up": ("catch_up_ns", "catch_up_forever"),
    "catch_up_forever": ("catch_up_ns", "catch_up_forever"),
    "tlv_records": ("records",),
}


def fields_of(path: str) -> tuple[str, ...]:
    """The fields of a StreamOrder that a path of an update mask replaces."""
    if path in _FIELDS:
        return _FIELDS[path]
    return (
        (path + "_ns",) if path in ("interval", "payment_interval", "end_time", "ttl") else (path,)
    )


def digest(order: Any) -> bytes:
    """SHA-256 of what was said in an order, for telling a retry from another request.

    Fields left at their default do not count, so that new ones change no old digest.
    """
    said = [
        f"{field.name}={getattr(order, field.name)!r}"
        for field in fields(order)
        if field.default is MISSING or getattr(order, field.name) != field.default
    ]
    return hashlib.sha256("\n".join([type(order).__name__, *said]).encode()).digest()
