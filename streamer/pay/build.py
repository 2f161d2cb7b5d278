"""The one way in which engines, and what they share, are made of a journal: for the daemon, for the
tests and for the benchmarks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from streamer.books.desk import Desk
from streamer.books.timekeeping import Timekeeping
from streamer.core.book import Book
from streamer.core.shared import MARK, Limits, Shared
from streamer.core.stamp import stamp_with
from streamer.doubt.recovery import Patience
from streamer.pay.engine import Engine, Pace
from streamer.pay.link import LinkTerms
from streamer.ports import Clock, Node, Observer, Store
from streamer.words.model import Snapshot

_chance = random.SystemRandom()


@dataclass(slots=True, frozen=True, kw_only=True)
class Build:
    """What the engines of a process share. Make it with `of`, then an engine for each node."""

    shared: Shared
    desk: Desk
    clock: Clock
    secret: bytes
    observer: Observer
    timekeeping: Timekeeping

    @classmethod
    def of(
        cls,
        store: Store,
        snapshot: Snapshot,
        clock: Clock,
        secret: bytes,
        observer: Observer,
        *,
        limit_msat: int,
        period_ns: int,
        on_store_failed: Callable[[Shared, str], None],
        jitter: Callable[[], int] = lambda: _chance.randrange(100),
    ) -> Build:
        """Of what store has loaded. limit_msat each period_ns is the daemon's spend limit; jitter
        gives random numbers of 0..99; on_store_failed is told once why nothing becomes durable any
        more.
        """
        shared = Shared.restored(snapshot, limit_msat, period_ns, clock.now_ns(), jitter)
        desk = Desk(store, clock, shared, lambda text: on_store_failed(shared, text))
        mark_ns = int(snapshot.settings.get(MARK) or 0)
        return cls(
            shared=shared,
            desk=desk,
            clock=clock,
            secret=secret,
            observer=observer,
            timekeeping=Timekeeping(clock, shared, desk, mark_ns),
        )

    def engine(
        self,
        node: Node,
        *,
        limits: Limits | None = None,
        pace: Pace | None = None,
        patience: Patience | None = None,
        terms: LinkTerms | None = None,
    ) -> Engine:
        """The engine of node, with an empty book: `replay` it, or open streams in it, then `run`
        it. What is not given is as by default.
        """
        book = Book(node.name, limits or Limits(), self.shared, stamp_with(self.secret))
        return Engine(
            node,
            book,
            self.desk,
            self.clock,
            self.secret,
            self.observer,
            pace or Pace(),
            patience or Patience(),
            terms or LinkTerms(self.secret),
            self.timekeeping,
        )
