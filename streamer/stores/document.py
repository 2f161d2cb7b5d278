"""A stream as one JSON text, and back: all of it but the account and what is derived.

JSON, because streams are written seldom and gain fields over the years; payments and accounts are
columns (rows.py). Bytes are hex. A field that is missing or of another shape raises KeyError,
TypeError or ValueError, and replay.py says which stream it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from streamer.stores.before_spans import bring_up
from streamer.stores.rows import account_from, row_ended_ns
from streamer.words.model import BudgetTerms, Rate, Segment, Stream, StreamState, Terms
from streamer.words.reasons import Reason

_encode = json.JSONEncoder(separators=(",", ":")).encode


def stream_text(stream: Stream) -> str:
    """The JSON of a stream, ASCII only."""
    return _encode(
        {
            "terms": _terms(stream.terms),
            "create_time_ns": stream.create_time_ns,
            "state": stream.state.value,
            "reason": stream.reason.value,
            "state_time_ns": stream.state_time_ns,
            "expire_time_ns": stream.expire_time_ns,
            "segments": [
                [span.start_ns, span.start_msat, *_rate(span.rate)] for span in stream.segments
            ],
            "skipped_ns": stream.skipped_ns,
            "skipped_msat": stream.skipped_msat,
            "paused_ns": stream.paused_ns,
            "paused_at_ns": stream.paused_at_ns,
            "spans": stream.spans,
            "stretches": stream.stretches,
            "doubt_since_ns": stream.doubt_since_ns,
            "short_of": stream.short_of.value,
            "short_since_ns": stream.short_since_ns,
            "short_until_ns": stream.short_until_ns,
            "stalled_by": stream.stalled_by.value,
            "failing": stream.failing.value,
            "written_off_fee_msat": stream.written_off_fee_msat,
            "refunded_msat": stream.refunded_msat,
            "dropped_msat": stream.dropped_msat,
            "last_failure": stream.last_failure,
            "ends_as": None if stream.ends_as is None else stream.ends_as.value,
            "api_key": stream.api_key,
        }
    )


def stream_crc(stream_id: str, text: str) -> int:
    """The CRC-32 that is kept beside a stream's text, over its id too."""
    return crc32(text.encode(), crc32(stream_id.encode()))


def stream_from(key: int, stream_id: str, text: str, row: Sequence[int]) -> Stream:
    """The stream that stream_text wrote; row: its account (rows.py). Raises KeyError, TypeError or
    ValueError if the text is not whole.
    """
    read: dict[str, Any] = json.loads(text)
    account = account_from(row)
    if "spans" not in read:
        bring_up(read, account, row_ended_ns(row))
    ends_as = read["ends_as"]
    return Stream(
        id=stream_id,
        key=key,
        terms=_terms_from(read["terms"]),
        create_time_ns=_whole(read["create_time_ns"]),
        state=StreamState(read["state"]),
        reason=Reason(read["reason"]),
        state_time_ns=_whole(read["state_time_ns"]),
        expire_time_ns=_whole(read["expire_time_ns"]),
        segments=[
            Segment(start, price, _rate_from(rate)) for start, price, *rate in read["segments"]
        ],
        skipped_ns=_whole(read["skipped_ns"]),
        skipped_msat=_whole(read["skipped_msat"]),
        paused_ns=_whole(read["paused_ns"]),
        paused_at_ns=_whole(read["paused_at_ns"]),
        spans=_spans(read["spans"]),
        stretches=_spans(read["stretches"]),
        doubt_since_ns=_whole(read["doubt_since_ns"]),
        short_of=Reason(read["short_of"]),
        short_since_ns=_whole(read["short_since_ns"]),
        short_until_ns=_whole(read["short_until_ns"]),
        stalled_by=Reason(read["stalled_by"]),
        failing=Reason(read["failing"]),
        written_off_fee_msat=_whole(read.get("written_off_fee_msat", 0)),
        refunded_msat=_whole(read.get("refunded_msat", 0)),
        dropped_msat=_whole(read["dropped_msat"]),
        last_failure=read["last_failure"],
        ends_as=None if ends_as is None else StreamState(ends_as),
        api_key=_whole(read.get("api_key", 0)),
        account=account,
    )


def _terms(terms: Terms) -> dict[str, Any]:
    budget = terms.budget
    return {
        "node": terms.node,
        "destination": terms.destination.hex(),
        "rate": _rate(terms.rate),
        "start_time_ns": terms.start_time_ns,
        "end_time_ns": terms.end_time_ns,
        "budget": None if budget is None else [budget.amount_msat, budget.period_ns],
        "fee_floor_msat": terms.fee_floor_msat,
        "fee_limit_ppm": terms.fee_limit_ppm,
        "min_payment_msat": terms.min_payment_msat,
        "min_payment_interval_ns": terms.min_payment_interval_ns,
        "max_payment_msat": terms.max_payment_msat,
        "catch_up_ns": terms.catch_up_ns,
        "ttl_ns": terms.ttl_ns,
        "max_open_payments": terms.max_open_payments,
        "group": terms.group,
        "labels": terms.labels,
        "records": [[kind, value.hex()] for kind, value in terms.records],
        "token": terms.token.hex(),
    }


def _terms_from(read: dict[str, Any]) -> Terms:
    budget = read["budget"]
    return Terms(
        node=read["node"],
        destination=bytes.fromhex(read["destination"]),
        rate=_rate_from(read["rate"]),
        start_time_ns=_whole(read["start_time_ns"]),
        end_time_ns=_perhaps(read["end_time_ns"]),
        budget=None if budget is None else BudgetTerms(_whole(budget[0]), _perhaps(budget[1])),
        fee_floor_msat=_whole(read["fee_floor_msat"]),
        fee_limit_ppm=_whole(read["fee_limit_ppm"]),
        min_payment_msat=_whole(read["min_payment_msat"]),
        min_payment_interval_ns=_whole(read["min_payment_interval_ns"]),
        max_payment_msat=_perhaps(read["max_payment_msat"]),
        catch_up_ns=_perhaps(read["catch_up_ns"]),
        ttl_ns=_perhaps(read["ttl_ns"]),
        max_open_payments=_whole(read["max_open_payments"]),
        group=read["group"],
        labels=tuple((name, value) for name, value in read["labels"]),
        records=tuple((_whole(kind), bytes.fromhex(value)) for kind, value in read["records"]),
        token=bytes.fromhex(read["token"]),
    )


def _rate(rate: Rate) -> list[int]:
    return [rate.amount_msat, rate.interval_ns, rate.payment_interval_ns]


def _rate_from(read: list[int]) -> Rate:
    amount_msat, interval_ns, payment_interval_ns = read
    return Rate(_whole(amount_msat), _whole(interval_ns), _whole(payment_interval_ns))


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not an integer")
    return value


def _spans(value: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((_whole(start_ns), _whole(end_ns)) for start_ns, end_ns in value)


def _perhaps(value: object) -> int | None:
    return None if value is None else _whole(value)
