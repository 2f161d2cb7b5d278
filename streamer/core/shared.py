"""What a book is given, what it shares with the books of other nodes, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from streamer.core.budgets import Budgets
from streamer.core.outages import Outages
from streamer.core.switch import Switch
from streamer.model import Facts, Payment, Stream
from streamer.money import format_amount
from streamer.reasons import Halt

MARK = "mark"
"""The setting that keeps the journal's last moment: what comes after it is the outage of a daemon that died."""

DOORS = "doors"
"""The setting that keeps when the doors were last open, while nobody has checked the clock: a ttl may have run out then."""

Stamp = Callable[[Stream | None, str, int, int], tuple[bytes, bytes, bytes]]
"""(stream, owner, seq, amount_msat) → (payment hash, records, preimage): the keysend's identity."""


def open_until_ns(settings: dict[str, str], now_ns: int) -> int:
    """When the doors were last open, as far as the journal knows; a clock that was ahead of now knows nothing."""
    marked_ns, doors_ns = int(settings.get(MARK) or 0), int(settings.get(DOORS) or 0)
    return max(marked_ns, doors_ns) if doors_ns <= now_ns else marked_ns


@dataclass(slots=True, frozen=True)
class Limits:
    """The bounds of one node's book."""

    max_in_flight_per_destination: int = 10
    stall_after: int = 5
    cltv_limit: int = 288
    timeout_seconds: int = 30


@dataclass(slots=True)
class Shared:
    """What all nodes of a daemon share. jitter gives random numbers of 0..99."""

    budgets: Budgets
    switch: Switch
    outages: Outages
    rows: Iterator[int]
    jitter: Callable[[], int]

    def within_spend_limit(self, msat: int, now_ns: int, facts: Facts) -> bool:
        """True if the daemon's spend limit still holds msat; if not, all sending stops."""
        limit = self.budgets.spend_limit
        limit.roll(now_ns)
        if msat <= limit.room_msat():
            return True
        text = f"the spend limit of {format_amount(limit.limit_msat)} is reached: find what spends, then `streamer sending start`"
        self.switch.stop(Halt.SPEND_LIMIT, text, facts)
        self.count_stopped(now_ns, facts)
        return False

    def count_stopped(self, now_ns: int, facts: Facts) -> None:
        """While anything stops sending there is an outage. A wrong clock does not say since when: that time is the next start's."""
        if self.switch.sending:
            self.outages.end(now_ns, facts)
        elif Halt.CLOCK not in self.switch.halts:
            self.outages.begin(next(iter(self.switch.halts)), now_ns, facts)

    def mark(self, now_ns: int, facts: Facts) -> None:
        """Keep now as the journal's last moment: what a wrong clock says would stop the next start, or start it too soon."""
        if Halt.CLOCK not in self.switch.halts:
            facts.settings.append((MARK, str(now_ns)))
            self.outages.publish(facts)


@dataclass(slots=True)
class Tally:
    """What happened since the last look, for metrics and watchers; never needed for money."""

    changed: list[Stream] = field(default_factory=list)
    ended: list[Payment] = field(default_factory=list)
    late: list[Payment] = field(default_factory=list)
    skipped: list[tuple[Stream, int]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ended or self.changed or self.late or self.skipped)
