"""What the doors are shown: a stream with its figures, an event, the daemon at one look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from streamer.service.orders import Forecast
from streamer.words.model import Payment, Stream


@dataclass(frozen=True, slots=True)
class PaymentReport:
    """A payment, whether it is in doubt, up to when (wall time; 0: not known) it buys, and its
    preimage.

    preimage is given only for a settled single payment, to its creator.
    """

    payment: Payment
    in_doubt: bool = False
    bought_until_ns: int = 0
    preimage: bytes = b""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """A stream and what follows from its books now; times 0: not known or none."""

    stream: Stream
    paid_until_ns: int = 0
    next_attempt_ns: int = 0
    owed_msat: int = 0
    runway_end_ns: int = 0
    explanation: str = ""
    last_payment: PaymentReport | None = None
    forecast: Forecast | None = None
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One node and its engine."""

    name: str
    up: bool
    problem: str = ""
    stopped_by: tuple[str, ...] = ()
    pubkey: bytes = b""
    alias: str = ""
    network: str = ""
    version: str = ""
    window: int = 0
    in_flight: int = 0
    ready_streams: int = 0
    capacity_per_second: float = 0.0
    wanted_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class Totals:
    """Since the start of the daemon, as its metrics count; lateness is of the latest payments."""

    payments_settled: int = 0
    payments_failed: int = 0
    paid_msat: int = 0
    fee_msat: int = 0
    skipped_msat: int = 0
    p99_lateness_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonReport:
    """One look at everything; problems say what is wrong and what to do, each in a sentence."""

    problems: tuple[str, ...]
    stopped_by: tuple[str, ...]
    nodes: tuple[NodeReport, ...]
    streams_by_state: dict[str, int] = field(default_factory=dict)
    stalled_by_reason: dict[str, int] = field(default_factory=dict)
    payments_open: int = 0
    payments_in_doubt: int = 0
    payments_pending: int = 0
    in_doubt_msat: int = 0
    spent_msat: int = 0
    spend_limit_msat: int = 0
    spend_period_start_ns: int = 0
    store_bytes: int = 0
    store_free_bytes: int = 0
    start_time_ns: int = 0
    clock_difference_ns: int = 0
    """How far the wall clock is ahead of the daemon's time."""
    totals: Totals = field(default_factory=Totals)
    budgets_left: dict[str, float] = field(default_factory=dict)
    """What is left of the budgets of "daemon" and of keys, by id: 1 untouched, 0 spent or
    reserved.
    """


@dataclass(slots=True, eq=False)
class Event:
    """A stream changed, or one of its payments ended; a bookmark if it has no stream: only a
    cursor.

    The objects are live, not copies; state, reason and state_time_ns are the stream's at the event.
    shown is what the doors made of it, once for all watchers.
    """

    cursor: int
    time_ns: int = 0
    stream: Stream | None = None
    payment: Payment | None = None
    state: str = ""
    reason: str = ""
    state_time_ns: int = 0
    shown: object = None


WATCHER_LIMIT = 1_024
"""Watchers at once."""

Wanted = Callable[[Event], bool]
"""Whether a watcher is to be given an event. Asked in the loop, often: it must be quick."""


class Events(Protocol):
    """Where watchers get events from; feed.py is the one there is."""

    def watch(
        self, wanted: Wanted, cursor: int, cut: Callable[[], object], term: str
    ) -> AsyncIterator[Event]:
        """Events after cursor (0: from now on) that are wanted, of those that hold term
        (filters.terms_that_hold); see Feed.watch.
        """
