"""Amounts of money and spans of time as people write them, and as integers.

Money is always an integer of millisatoshi (msat), a moment an integer of nanoseconds since 1970
(UTC), a duration an integer of nanoseconds. A float never touches either. An amount without a unit
is refused, because a factor of 1,000 between sat and msat is the most expensive typo there is.
"""

from __future__ import annotations

import re
from fractions import Fraction

MSAT_PER_SAT = 1_000
MAX_MSAT = 21_000_000 * 100_000_000 * MSAT_PER_SAT
"""All bitcoin there will ever be, in msat: nothing is larger."""

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000
DAY_NS = 86_400 * SECOND_NS
LONGEST_NS = 36_525 * DAY_NS
"""A hundred years: durations above are typing errors."""
LAST_SECOND = 9_000_000_000
"""In the year 2255, since 1970: later moments do not fit into 63 bits of nanoseconds."""
LAST_MOMENT_NS = 253_402_300_799 * SECOND_NS
"""The last second of the year 9999, and of google.protobuf.Timestamp."""

_AMOUNT = re.compile(r"(-?[0-9][0-9_,]*(?:\.[0-9]+)?)\s*(msats?|sats?|btc)", re.IGNORECASE)
_FACTOR = {"msat": 1, "sat": MSAT_PER_SAT, "btc": 100_000_000 * MSAT_PER_SAT}
_SPAN = {
    "ns": 1,
    "us": 1_000,
    "ms": MILLISECOND_NS,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
    "d": DAY_NS,
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h|d)")


def parse_amount(text: str) -> int:
    """Read "50sat", "50000msat" or "0.001btc" as msat; ValueError says what is wrong with it."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        if re.fullmatch(r"-?[0-9][0-9_,.]*", text.strip()):
            raise ValueError(
                f"amount {text!r} has no unit: write {text.strip()}sat or {text.strip()}msat"
            )
        raise ValueError(f"amount {text!r} is not understood: write for example 50sat or 50000msat")
    number, unit = found.groups()
    exact = (
        Fraction(number.replace("_", "").replace(",", "")) * _FACTOR[unit.lower().removesuffix("s")]
    )
    if exact.denominator != 1:
        raise ValueError(f"amount {text!r} is finer than one msat, which is the smallest there is")
    if exact.numerator > MAX_MSAT:
        raise ValueError(f"amount {text!r} is more than all bitcoin there is")
    return exact.numerator


def format_amount(amount_msat: int) -> str:
    """Write msat as whole sat where that is exact ("50 sat"), else as "50,001 msat"."""
    if amount_msat % MSAT_PER_SAT == 0:
        return f"{amount_msat // MSAT_PER_SAT:,} sat"
    return f"{amount_msat:,} msat"


def parse_duration(text: str) -> int:
    """Read "10s", "1m", "1h30m", "1d" or "250ms" as nanoseconds; ValueError says what is wrong."""
    compact = text.strip().lower()
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(
            f"duration {text!r} is not understood: write for example 10s, 1m, 1h or 1d"
        )
    total = sum(Fraction(number) * _SPAN[unit] for number, unit in parts)
    if total.denominator != 1:
        raise ValueError(f"duration {text!r} is finer than a nanosecond")
    if total > LONGEST_NS:
        raise ValueError(
            f"duration {text!r} is longer than {format_duration(LONGEST_NS)}, a hundred years"
        )
    return total.numerator


def format_duration(duration_ns: int) -> str:
    """Write nanoseconds with the units that parse_duration reads ("1h30m", "250ms", "0s")."""
    if duration_ns < 0:
        return "-" + format_duration(-duration_ns)
    rest, text = duration_ns, ""
    for unit in ("d", "h", "m", "s", "ms", "us", "ns"):
        count, rest = divmod(rest, _SPAN[unit])
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_rate(text: str) -> tuple[int, int]:
    """Read "50sat/1m" as (amount_msat, interval_ns); "50sat/m" is one minute too."""
    amount, slash, interval = text.partition("/")
    if not slash:
        raise ValueError(f"rate {text!r} has no interval: write for example 50sat/1m")
    if interval.strip() in _SPAN:
        interval = "1" + interval.strip()
    return parse_amount(amount), parse_duration(interval)
