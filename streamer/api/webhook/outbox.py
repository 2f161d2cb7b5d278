"""Which facts are events, put beside them into the same commit: what is durable is told, and
nothing else.

The desk calls `add` with the facts of each commit, before the journal reads them. An event is
written whole, as it will be sent, so that it says what was, however late it goes out. At most LIMIT
wait; more are dropped and counted. Money never waits: nothing here does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from streamer.ports import Clock
from streamer.service.reports import Event
from streamer.words.event_types import of_payment, of_stream
from streamer.words.model import Facts, Outgoing, Payment, PaymentState, Stream

log = logging.getLogger(__name__)

LIMIT = 50_000
"""Events that wait for a receiver that does not answer: some 25 MB of journal."""

Show = Callable[[str, str, Event], bytes]
"""Makes the document of an event of its id and type."""


class Outbox:
    """Give its `add` to the desk, and afterwards `show` and `stream_of`.

    waiting: how many events the journal keeps. kept: the number of the newest of them, or of one
    that was there. last: the number that was used last; the next ones are above it, and above
    `above`, which no earlier run has reached, so that none is ever used twice.
    """

    def __init__(
        self,
        kinds: frozenset[str],
        clock: Clock,
        waiting: int,
        kept: int,
        streams: Iterable[Stream],
        limit: int = LIMIT,
        above: int = 0,
    ) -> None:
        self.waiting = waiting
        self.kept = kept
        self.last = max(kept, above, clock.now_ns() // 1_000)
        self.on_dropped: Callable[[], None] = lambda: None
        self.on_news: Callable[[], None] = lambda: None
        self.show: Show | None = None
        self.stream_of: Callable[[Payment], Stream | None] = lambda _: None
        self._kinds = kinds
        self._clock = clock
        self._limit = limit
        self._told = {stream.key: stream.state_time_ns for stream in streams}

    def add(self, facts: Facts) -> None:
        """Put the events of facts into facts."""
        self.waiting -= len(facts.delivered)
        self._told.update((stream.key, stream.state_time_ns) for stream in facts.recalled)
        for stream in facts.streams:
            if self._told.get(stream.key) != stream.state_time_ns:
                self._told[stream.key] = stream.state_time_ns
                self._put(of_stream(stream.state), facts, stream, None)
        for stream, _ in facts.archived:  # afterwards: one that leaves may be among the others
            self._told.pop(stream.key, None)
        for payment in {payment.row: payment for payment in facts.ends if _ended(payment)}.values():
            self._put(of_payment(payment.state), facts, self.stream_of(payment), payment)

    def _put(self, kind: str, facts: Facts, stream: Stream | None, payment: Payment | None) -> None:
        if kind not in self._kinds or self.show is None:
            return
        self.last += 1
        if self.waiting >= self._limit:
            self.on_dropped()
            return
        now_ns = self._clock.now_ns()
        event = Event(self.last, now_ns, stream, payment)
        if stream is not None:
            event.state, event.reason, event.state_time_ns = (
                stream.state,
                stream.reason,
                stream.state_time_ns,
            )
        try:
            document = self.show(event_id(self.last), kind, event)
        except Exception:
            # whatever is wrong with an event must not stop the commit that it belongs to
            log.exception("an event for the webhook cannot be written")
            self.on_dropped()
            return
        facts.outgoing.append(Outgoing(self.last, now_ns, document))
        self.kept = self.last
        self.waiting += 1
        self.on_news()


def _ended(payment: Payment) -> bool:
    """Whether that is its end; the money of one that was written off may come back later, which is
    none (refunds.py).
    """
    refunded = payment.state is PaymentState.WRITTEN_OFF and not payment.settled_msat
    return not payment.open and not refunded


def event_id(number: int) -> str:
    """What receivers know an event by."""
    return f"ev_{number:016x}"
