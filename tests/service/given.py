"""Orders, terms and streams for the tests of the use cases."""

from __future__ import annotations

import itertools
from typing import Any

from streamer.core import lifecycle
from streamer.core.book import Book, Limits, Shared
from streamer.core.budgets import Budgets
from streamer.core.ledger import Budget
from streamer.core.outages import Outages
from streamer.core.stamp import stamp_with
from streamer.core.switch import Switch
from streamer.service.orders import StreamOrder
from streamer.service.terms import terms_of
from streamer.words.model import Facts, Stream, Terms
from streamer.words.money import SECOND_NS
from streamer.words.settings import StreamSettings

NOW_NS = 1_800_000_000 * SECOND_NS
PUBKEY = bytes.fromhex("02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619")


def order(**changes: object) -> StreamOrder:
    given = {"destination": PUBKEY, "amount_msat": 1_000, "interval_ns": SECOND_NS, **changes}
    return StreamOrder(**given)  # type: ignore[arg-type]


def terms(settings: StreamSettings | None = None, **changes: object) -> Terms:
    return terms_of(order(**changes), NOW_NS, settings or StreamSettings(), "main", None)


def book() -> Book:
    limit = Budget(10**15, None)
    shared = Shared(Budgets(limit), Switch(), Outages(), itertools.count(1), lambda: 0)
    stamp = stamp_with(bytes(32))
    return Book(
        "main",
        Limits(),
        shared,
        lambda stream, owner, seq, amount: stamp(None, "pay_" + "0" * 32, seq, amount),
    )


def opened(into: Book, stream_id: str = "st_1", **changes: Any) -> Stream:
    stream = lifecycle.new_stream(stream_id, len(into.streams) + 1, terms(**changes), NOW_NS)
    lifecycle.open_stream(into, stream, NOW_NS, Facts())
    return stream
