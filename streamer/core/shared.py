"""What a book is given, what it shares with the books of other nodes, and what it tells."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from streamer.core.budgets import DAEMON, Budgets
from streamer.core.ledger import Budget
from streamer.core.outages import Outages
from streamer.core.rounds import Rounds
from streamer.core.switch import Switch
from streamer.words.model import Facts, Payment, Snapshot, Stream, StreamState
from streamer.words.money import SECOND_NS, format_amount
from streamer.words.reasons import Halt, Reason

MARK = "mark"
"""The setting that keeps the journal's last moment: what comes after it is the outage of a daemon
that died.
"""
MARK_EVERY_NS = 10 * SECOND_NS
"""How often it is written while nothing else is."""

Stamp = Callable[[Stream | None, str, int, int], tuple[bytes, bytes, bytes]]
"""(stream, owner, seq, amount_msat) → (payment hash, records, preimage): the keysend's identity."""


@dataclass(slots=True, frozen=True)
class Limits:
    """The bounds of one node's book."""

    max_in_flight_per_destination: int = 10
    stall_after: int = 5
    cltv_limit: int = 288
    timeout_seconds: int = 30
    hold_after_ns: int = 30 * SECOND_NS


@dataclass(slots=True)
class Shared:
    """What all nodes of a daemon share. jitter gives random numbers of 0..99.

    time_known: False while the clock is unchecked or wrong. Now is then the least that it can be,
    or worse, and nothing is decided by it: no payment begins, nothing starts, ends, expires or
    renews by itself.
    """

    budgets: Budgets
    switch: Switch
    outages: Outages
    rows: Iterator[int]
    jitter: Callable[[], int]
    time_known: bool = True
    rounds: Rounds = field(init=False)

    def __post_init__(self) -> None:
        self.rounds = Rounds(self.budgets)

    @classmethod
    def restored(
        cls,
        snapshot: Snapshot,
        limit_msat: int,
        period_ns: int,
        now_ns: int,
        jitter: Callable[[], int],
    ) -> Shared:
        """As the journal has it. limit_msat each period_ns is the daemon's spend limit, whose
        period begins now if none has begun.
        """
        limit = Budget(limit_msat, period_ns, aligned=False)
        spent = next((spend for spend in snapshot.spends if spend.scope == DAEMON), None)
        limit.begin(spent.period_start_ns if spent else now_ns, spent.spent_msat if spent else 0)
        switch, outages, budgets = Switch(), Outages(), Budgets(limit)
        switch.restore(snapshot.settings)
        outages.restore(snapshot.outages, snapshot.settings)
        budgets.restore(snapshot.keys, snapshot.spends)
        return cls(budgets, switch, outages, itertools.count(snapshot.last_row + 1), jitter)

    def know_time(self, known: bool) -> None:
        """Whether time decides from now on, for the periods of budgets too."""
        self.time_known = self.budgets.time_known = known

    def within_spend_limit(self, msat: int, now_ns: int, facts: Facts) -> bool:
        """True if the daemon's spend limit still holds msat; if not, all sending stops."""
        limit = self.budgets.spend_limit
        limit.roll(now_ns)
        if msat <= limit.room_msat():
            return True
        text = (
            f"the spend limit of {format_amount(limit.limit_msat)} is reached: find what spends,"
            " then `streamer sending start`"
        )
        self.switch.stop(Halt.SPEND_LIMIT, text, facts)
        self.count_stopped(now_ns, facts)
        return False

    def count_stopped(self, now_ns: int, facts: Facts) -> None:
        """While anything stops sending there is an outage; while the time is not known, one of its
        own, and nobody says since when.
        """
        if not self.time_known:
            return
        if self.switch.sending:
            self.outages.end(now_ns, facts)
        else:
            self.outages.begin(self.switch.in_order()[0][0], now_ns, facts)

    def mark(self, now_ns: int, facts: Facts) -> None:
        """Keep now as the journal's last moment: what a wrong clock says would stop the next start,
        or start it too soon.
        """
        if self.time_known and (MARK, str(now_ns)) not in facts.settings:
            facts.settings.append((MARK, str(now_ns)))


class Moment(NamedTuple):
    """A stream's state, its reason, and since when."""

    state: StreamState
    reason: Reason
    state_time_ns: int


@dataclass(slots=True)
class Tally:
    """What happened since the last look, for metrics and watchers; never needed for money."""

    changed: list[Stream] = field(default_factory=list)
    ended: list[Payment] = field(default_factory=list)
    late: list[Payment] = field(default_factory=list)
    skipped: list[tuple[Stream, int]] = field(default_factory=list)
    moments: dict[int, Moment] = field(default_factory=dict)
    """By stream key, how those it tells of were when it was taken: a later change of them may not
    be durable when this is.
    """

    def fix(self, by_key: Mapping[int, Stream]) -> None:
        """Take the moments, now that what happened goes into the journal."""
        paid = (by_key.get(payment.stream_key) for payment in (*self.ended, *self.late))
        for stream in (*self.changed, *(stream for stream in paid if stream is not None)):
            self.moments[stream.key] = Moment(stream.state, stream.reason, stream.state_time_ns)

    def __bool__(self) -> bool:
        return bool(self.ended or self.changed or self.late or self.skipped)
