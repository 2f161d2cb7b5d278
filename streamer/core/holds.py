"""Since when receivers hold a payment of ours: as long, paying them is impossible for the API key
that pays it (RECEIVER_HOLDS).

One span for each destination and key, however many streams go there, journaled like a node's
outages (outages.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from streamer.core.outages import SETTING, Outages
from streamer.core.slots import Pair
from streamer.words.model import Facts, Outage
from streamer.words.reasons import Reason

KEPT_HOLDERS = 1_000
"""Destinations of one API key whose ended holds are kept at least, besides those that hold now; of
twice as many those are forgotten whose hold ended first, which can only make a stream pay for time
it could skip. Each key has its own: what others hold is not to make a stream forget.
"""


class Holds:
    """The spans of one node by destination and key."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._spans: dict[Pair, Outages] = {}
        self._kept: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._spans)

    def of(self, pair: Pair) -> Outages | None:
        """The spans in which this destination held a payment of this key; None if it never did."""
        return self._spans.get(pair) if self._spans else None

    def follow(self, pair: Pair, holds: bool, now_ns: int, facts: Facts) -> None:
        """Whether it holds one now: what begins or ends with that becomes durable."""
        spans = self._spans.get(pair) if self._spans else None
        if holds:
            if spans is None:
                spans = self._spans[pair] = self._new(pair)
            spans.begin(Reason.RECEIVER_HOLDS, now_ns, facts)
        elif spans is not None and spans.since_ns:
            spans.end(now_ns, facts)
            self._spans[pair] = self._spans.pop(pair)
            # more than there are: who holds again is counted again
            self._kept[pair[1]] = self._kept.get(pair[1], 0) + 1
            if self._kept[pair[1]] > 2 * KEPT_HOLDERS:
                self._forget(pair[1])

    def _forget(self, api_key: int) -> None:
        """In the order in which they ended, as far as they have; who holds now is not counted."""
        ended = [
            pair for pair, spans in self._spans.items() if pair[1] == api_key and not spans.since_ns
        ]
        for pair in ended[:-KEPT_HOLDERS]:
            del self._spans[pair]
        self._kept[api_key] = min(len(ended), KEPT_HOLDERS)

    def restore(self, ended: Iterable[Outage], settings: dict[str, str]) -> None:
        """Take what the journal knows, each scope's by itself."""
        by_scope: dict[str, list[Outage]] = {}
        for outage in sorted(
            (one for one in ended if one.node.startswith(f"{self._node}/")),
            key=lambda one: one.end_ns,
        ):
            spans = by_scope.pop(outage.node, [])
            spans.append(outage)
            by_scope[outage.node] = spans
        prefix = f"{SETTING}{self._node}/"
        for name, value in settings.items():
            if value and name.startswith(prefix):
                by_scope.setdefault(name.removeprefix(SETTING), [])
        for scope, spans in by_scope.items():
            pair = self._pair(scope)
            self._spans[pair] = self._new(pair)
            self._spans[pair].restore(spans, settings)
        for api_key in {pair[1] for pair in self._spans}:
            self._forget(api_key)

    def reconcile(self, holders: Iterable[Pair], now_ns: int, facts: Facts) -> None:
        """After a start: what an older version marked begins now, and what ended unseen has
        ended.
        """
        holding = set(holders)
        for pair in holding | {pair for pair, spans in self._spans.items() if spans.since_ns}:
            self.follow(pair, pair in holding, now_ns, facts)

    def move_time(self, by_ns: int, now_ns: int, facts: Facts) -> None:
        """Our time moved to now (outages.py)."""
        for spans in self._spans.values():
            spans.move_time(by_ns, now_ns, facts)

    def end_by(self, now_ns: int, facts: Facts) -> None:
        """No span lies beyond now (outages.py)."""
        for spans in self._spans.values():
            spans.end_by(now_ns, facts)

    def _new(self, pair: Pair) -> Outages:
        return Outages(f"{self._node}/{pair[1]}/{pair[0].hex()}")

    def _pair(self, scope: str) -> Pair:
        _, key, destination = scope.rsplit("/", 2)
        return bytes.fromhex(destination), int(key)
