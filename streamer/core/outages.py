"""Spans of wall time in which paying was impossible, for whole nodes and for the daemon.

A plan skips only what was impossible, so these spans decide about money: they are journaled, and
asked for by overlap. Spans of one stream (failing, no budget) live in its account.
"""

from __future__ import annotations

from streamer.model import Facts, Outage
from streamer.money import SECOND_NS

KEPT_OUTAGES = 10_000
"""The oldest are forgotten beyond this: that can only make a stream pay for time it could skip."""
JUMP_NS = 5 * SECOND_NS
"""A loop that is silent for this long beyond its second was a suspend or a stopped process: nobody could pay."""
BEAT_NS = SECOND_NS
"""How often a running loop looks at the clock."""
SETTING = "outage."
"""The setting that keeps the outage that goes on: "outage." and the scope = "start_ns cause"."""


class Record:
    """What is to become durable of all scopes' outages: kept back while nobody has found this process's clock right."""

    def __init__(self) -> None:
        self.kept_back: Facts | None = None

    def of(self, facts: Facts) -> Facts:
        """Where it goes now."""
        return facts if self.kept_back is None else self.kept_back


class Outages:
    """The ended outages of one scope (a node's name, or "" for the daemon) and the one that goes on.

    daemon: those of the daemon, for a node's: what is kept back is kept back of all.
    """

    def __init__(self, scope: str = "", daemon: Outages | None = None) -> None:
        self.scope = scope
        self._record: Record = Record() if daemon is None else daemon._record
        self.since_ns = 0
        self.cause = ""
        self._alive_ns = 0
        self._spans: list[tuple[int, int]] = []

    def restore(self, ended: list[Outage], settings: dict[str, str]) -> None:
        """Take what the journal knows of this scope, the outage that went on included."""
        self._spans = sorted((outage.start_ns, outage.end_ns) for outage in ended if outage.node == self.scope)[-KEPT_OUTAGES:]
        since, _, cause = settings.get(SETTING + self.scope, "").partition(" ")
        self.since_ns, self.cause = int(since or 0), cause

    def keep_back(self) -> None:
        """Let nothing become durable until publish: the journal's last moment stands still as long, so the next start covers it."""
        self._record.kept_back = Facts()

    def publish(self, facts: Facts) -> None:
        """The clock is right: what was kept back becomes durable with the moment that is marked, or not at all."""
        if self._record.kept_back is not None:
            facts.settings += self._record.kept_back.settings
            facts.outages += self._record.kept_back.outages
            self._record.kept_back = None

    def begin(self, cause: str, now_ns: int, facts: Facts) -> None:
        """Paying is impossible from now on; a second cause changes nothing."""
        if not self.since_ns:
            self.since_ns, self.cause = now_ns, cause
            self._record.of(facts).settings.append((SETTING + self.scope, f"{now_ns} {cause}"))

    def end(self, now_ns: int, facts: Facts) -> None:
        """Paying is possible again."""
        if self.since_ns:
            self._record.of(facts).settings.append((SETTING + self.scope, ""))
            self.add(self.cause, self.since_ns, now_ns, facts)
            self.since_ns, self.cause = 0, ""

    def add(self, cause: str, start_ns: int, end_ns: int, facts: Facts) -> None:
        """Count a span that has ended."""
        if end_ns > start_ns:
            self._spans.append((start_ns, end_ns))
            del self._spans[:-KEPT_OUTAGES]
            self._record.of(facts).outages.append(Outage(self.scope, cause, start_ns, end_ns))

    def alive(self, now_ns: int, facts: Facts) -> None:
        """The loop runs now: since it last did, nobody could pay, if that was too long ago. Ask this before planning."""
        if self._alive_ns and now_ns - self._alive_ns > JUMP_NS + BEAT_NS:
            self.add("SUSPENDED", self._alive_ns, now_ns, facts)
        self._alive_ns = now_ns

    def overlapping(self, from_ns: int, until_ns: int) -> list[tuple[int, int]]:
        """The parts of all spans within [from_ns, until_ns)."""
        spans = [(max(start, from_ns), min(end, until_ns)) for start, end in self._spans if end > from_ns and start < until_ns]
        if self.since_ns and self.since_ns < until_ns:
            spans.append((max(self.since_ns, from_ns), until_ns))
        return [span for span in spans if span[1] > span[0]]


def union_ns(spans: list[tuple[int, int]]) -> int:
    """The total length of the spans, what overlaps counted once."""
    total = reached = 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total
