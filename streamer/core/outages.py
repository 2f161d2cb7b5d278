"""Spans of wall time in which paying was impossible, for whole nodes and for the daemon.

A plan skips only what was impossible, so these spans decide about money: they are journaled, and
asked for by overlap. Spans of one stream (failing, in doubt, no budget) are its own: impossible.py.
"""

from __future__ import annotations

from dataclasses import replace

from streamer.core.spans import Span
from streamer.words.model import Facts, Outage
from streamer.words.money import SECOND_NS

KEPT_OUTAGES = 10_000
"""The oldest are forgotten beyond this: that can only make a stream pay for time it could skip."""
LATEST_OUTAGES = 1_000
"""Known with their cause: what a clock that is put back may have to shorten."""
JUMP_NS = 5 * SECOND_NS
"""A loop that is silent for this long beyond its second was a suspend or a stopped process: nobody
could pay.
"""
BEAT_NS = SECOND_NS
"""How often a running loop looks at the clock."""
SETTING = "outage."
"""The setting that keeps the outage that goes on: "outage." and the scope = "start_ns cause"."""


class Outages:
    """The ended outages of one scope (a node's name, "" for the daemon, or a receiver that holds:
    holds.py) and the one that goes on.
    """

    def __init__(self, scope: str = "") -> None:
        self.scope = scope
        self.since_ns = 0
        self.cause = ""
        self._alive_ns = 0
        self._spans: list[Span] = []
        self._latest_ns = 0
        self._added: list[Outage] = []

    def restore(self, ended: list[Outage], settings: dict[str, str]) -> None:
        """Take what the journal knows of this scope, the outage that went on included."""
        mine = sorted(
            (outage for outage in ended if outage.node == self.scope),
            key=lambda outage: (outage.start_ns, outage.end_ns),
        )
        self._spans = [(outage.start_ns, outage.end_ns) for outage in mine[-KEPT_OUTAGES:]]
        self._added = mine[-LATEST_OUTAGES:]
        self._latest_ns = max((end_ns for _, end_ns in self._spans), default=0)
        since, _, cause = settings.get(SETTING + self.scope, "").partition(" ")
        self.since_ns, self.cause = int(since or 0), cause

    def begin(self, cause: str, now_ns: int, facts: Facts) -> None:
        """Paying is impossible from now on; a second cause changes nothing."""
        if not self.since_ns:
            self.since_ns, self.cause = now_ns, cause
            # durable when it begins: a daemon that dies in it would else know only of the time
            # since its own last mark
            facts.settings.append((SETTING + self.scope, f"{now_ns} {cause}"))

    def end(self, now_ns: int, facts: Facts) -> None:
        """Paying is possible again."""
        if self.since_ns:
            facts.settings.append((SETTING + self.scope, ""))
            self.add(self.cause, self.since_ns, now_ns, facts)
            self.since_ns, self.cause = 0, ""

    def add(self, cause: str, start_ns: int, end_ns: int, facts: Facts) -> None:
        """Count a span that has ended."""
        if end_ns > start_ns:
            self._spans.append((start_ns, end_ns))
            self._latest_ns = max(self._latest_ns, end_ns)
            del self._spans[:-KEPT_OUTAGES]
            self._added = [*self._added, Outage(self.scope, cause, start_ns, end_ns)][
                -LATEST_OUTAGES:
            ]
            facts.outages.append(Outage(self.scope, cause, start_ns, end_ns))

    def alive(self, now_ns: int, facts: Facts) -> None:
        """The loop runs now: since it last did, nobody could pay, if that was too long ago. Ask
        this before planning.
        """
        if self._alive_ns and now_ns - self._alive_ns > JUMP_NS + BEAT_NS:
            self.add("SUSPENDED", self._alive_ns, now_ns, facts)
        self._alive_ns = now_ns

    def awake(self, now_ns: int) -> None:
        """The loop has run until now, and nobody asked: what lies before is no suspend, and has a
        cause of its own.
        """
        self._alive_ns = now_ns

    def ended_before(self, moment_ns: int) -> bool:
        """True if none goes on, and none ended after moment_ns."""
        return not self.since_ns and self._latest_ns <= moment_ns

    def move_time(self, by_ns: int, now_ns: int, facts: Facts) -> None:
        """Our time moved to now: that is no suspend. Streams have their part of the spans beyond
        now on record (timeshift.py).
        """
        self._alive_ns += by_ns if self._alive_ns else 0
        self.end_by(now_ns, facts)

    def end_by(self, now_ns: int, facts: Facts) -> None:
        """A clock that was ahead invented what lies beyond now: left there it would be skipped as
        impossible when that time comes.
        """
        late = [outage for outage in self._added if outage.end_ns > now_ns]
        self._added = [outage for outage in self._added if outage.end_ns <= now_ns]
        for outage in late:
            kept = replace(outage, end_ns=max(outage.start_ns, now_ns))
            self._spans[self._spans.index((outage.start_ns, outage.end_ns))] = (
                kept.start_ns,
                kept.end_ns,
            )
            facts.outages.append(kept)
            if kept.end_ns > kept.start_ns:  # the clock may be put back further
                self._added.append(kept)
        self._latest_ns = max((end_ns for _, end_ns in self._spans), default=0)
        if self.since_ns > now_ns:
            self.since_ns = now_ns
            facts.settings.append((SETTING + self.scope, f"{now_ns} {self.cause}"))

    def overlapping(self, from_ns: int, until_ns: int) -> list[Span]:
        """The parts of all spans within [from_ns, until_ns)."""
        spans = [
            (max(start, from_ns), min(end, until_ns))
            for start, end in self._spans
            if end > from_ns and start < until_ns
        ]
        if self.since_ns and self.since_ns < until_ns:
            spans.append((max(self.since_ns, from_ns), until_ns))
        return [span for span in spans if span[1] > span[0]]
