"""How amounts, durations, rates, budgets and records are written on the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from streamer.words.money import LAST_SECOND, SECOND_NS, parse_amount, parse_duration, parse_rate

LONGEST_RECORD_TYPE = 20
"""Digits of 2⁶⁴."""
LONGEST_WAIT_SECONDS = 3600


class Bounded(click.FloatRange):
    """A range that does not hold nan, which compares with nothing."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        found = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value} is no number", param, ctx)
        return found


class Word(click.ParamType[Any]):
    """A parameter that one function reads; its ValueError is the message."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value as it is meant."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def read_budget(text: str) -> tuple[int, str] | None:
    """Read "10000sat", "10000sat/1d" or "none" as (msat, period)."""
    if text == "none":
        return None
    amount, slash, period = text.partition("/")
    if slash:
        parse_duration(period)
    return parse_amount(amount), period or "total"


def read_time(text: str) -> int:
    """Read an ISO 8601 moment with its zone ("2030-01-01T00:00:00Z") as nanoseconds since 1970."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"time {text!r} is not understood: write for example 2030-01-31T12:00:00Z"
        ) from None
    if moment.tzinfo is None:
        full = moment.isoformat()
        raise ValueError(
            f"time {text!r} has no zone: write {full}Z for UTC, or for example {full}+02:00"
        )
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    if not 0 <= since.total_seconds() <= LAST_SECOND:
        raise ValueError(f"time {text!r} is out of bounds: from 1970 to 2255-03-14T16:00:00Z")
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1_000


def read_pair(text: str) -> tuple[str, str]:
    """Read "key=value"."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"{text!r} is not understood: write NAME=VALUE")
    return key, value


def read_record(text: str) -> tuple[int, str]:
    """Read "TYPE=HEX"."""
    kind, equals, value = text.partition("=")
    if not equals or not re.fullmatch("[0-9]+", kind):
        raise ValueError(
            f"record {text!r} is not understood: write TYPE=HEX, for example 7629169=7b7d"
        )
    if len(kind) > LONGEST_RECORD_TYPE or int(kind) >= 2**64:
        raise ValueError(f"record {text!r}: its type is more than 64 bits can say")
    return int(kind), value


def read_catch_up(text: str) -> int | None:
    """Read a duration, or "forever" as None."""
    return None if text == "forever" else parse_duration(text)


WAIT = Bounded(1, LONGEST_WAIT_SECONDS)
SHARE = Bounded(0, 1)


def read_ttl(text: str) -> int | None:
    """Read a duration, or "none" as None."""
    return None if text == "none" else parse_duration(text)


AMOUNT = Word("amount", parse_amount)
DURATION = Word("duration", parse_duration)
RATE = Word("rate", parse_rate)
BUDGET = Word("budget", read_budget)
TIME = Word("time", read_time)
PAIR = Word("name=value", read_pair)
RECORD = Word("type=hex", read_record)
TTL = Word("duration", read_ttl)
CATCH_UP = Word("duration|forever", read_catch_up)
