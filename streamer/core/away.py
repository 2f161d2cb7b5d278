"""Who of a short key does not wait, and comes again: a payment of theirs is under way, or they are
due later. A part of the budget is left to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from streamer.core.place import Place
from streamer.core.streamtime import covered_ns, origin_ns
from streamer.words.model import Mark, Payment, Stream
from streamer.words.money import SECOND_NS

TURN_NS = 10 * SECOND_NS
"""A turn that is not taken in this time goes back: its node is down, or its destination has no
room.
"""
FLIGHT_NS = 10 * SECOND_NS
"""So long a round waits for the end of a payment, and its stream: a receiver that holds one stops
nobody else of the key.
"""
ABSENT_NS = 40 * SECOND_NS
"""So long a part is left to a stream whose payment is under way for longer than that: a slow
receiver is not served less.
"""
MOST_LATER = 300
"""To so many that are due again later in a period a part is left, and so many are kept in mind for
the next: a round looks at each of them.
"""


@dataclass(slots=True, eq=False)
class Flight:
    """The last payment of a stream: a round waits for its end, and for the stream if it wants more
    at once; to one that is due later in the period its part is left.
    """

    place: Place
    stream: Stream
    payment: Payment

    @property
    def until_ns(self) -> int:
        """So long the round waits."""
        return self.payment.planned_ns + FLIGHT_NS

    def is_away(self, now_ns: int) -> bool:
        """Whether it is under way, not for too long, and nobody says that it is held; or has ended,
        and its stream comes when it is due. One whose node is down does not.
        """
        if self.payment.open:
            return now_ns < self.payment.planned_ns + ABSENT_NS and self.payment.mark is Mark.NONE
        comes_ns = self.comes_ns()
        return comes_ns is not None and now_ns < comes_ns + TURN_NS

    def comes_ns(self) -> int | None:
        """When its stream wants more; None while it waits for something else."""
        if self.payment.open:
            return origin_ns(self.stream) + covered_ns(self.stream)
        due_ns = self.place.due_ns(self.stream)
        return None if due_ns is None else max(due_ns, self.payment.end_ns)

    def comes_before(self, end_ns: int) -> bool:
        """Whether it wants more in the period."""
        comes_ns = self.comes_ns()
        return comes_ns is not None and comes_ns < end_ns

    def comes_back(self, now_ns: int) -> bool:
        """Whether the end of the payment, or its stream, is to be waited for."""
        if now_ns >= self.until_ns or self.payment.open:
            return now_ns < self.until_ns
        due_ns = self.place.due_ns(self.stream)
        return due_ns is not None and due_ns < self.until_ns


@dataclass(slots=True, eq=False)
class Away:
    """By stream key, in the order of their payments: *flights* a round waits for; *absent* ones are
    under way for longer, *later* ones due again in the period, *beyond* after it.
    """

    flights: dict[int, Flight] = field(default_factory=dict)
    absent: dict[int, Flight] = field(default_factory=dict)
    later: dict[int, Flight] = field(default_factory=dict)
    beyond: dict[int, Flight] = field(default_factory=dict)
    _first_later_ns: int = 0

    def __bool__(self) -> bool:
        """Somebody comes again in the period."""
        return bool(self.flights or self.absent or self.later)

    def others(self, key: int) -> int:
        """How many do, but for this one."""
        return sum(len(group) - (key in group) for group in (self.flights, self.absent, self.later))

    def with_parts(self) -> Iterator[Flight]:
        """Those to whom a part is left."""
        yield from self.absent.values()
        yield from self.later.values()

    def under_way_ns(self, key: int, now_ns: int) -> int:
        """For how long the last payment of this one is; 0: it is not."""
        flight = self.flights.get(key) or self.absent.get(key)
        return now_ns - flight.payment.planned_ns if flight and flight.payment.open else 0

    def is_back(self, key: int) -> None:
        """It is due again: no part has to be left to it."""
        for group in (self.flights, self.absent, self.later, self.beyond):
            flight = group.pop(key, None)
            if flight is not None and not flight.payment.open:
                flight.stream.took_ns = flight.payment.end_ns - flight.payment.planned_ns

    def drop(self, key: int) -> bool:
        """It comes no more: whether a part was left to it."""
        found = [group.pop(key, None) for group in (self.absent, self.later, self.beyond)]
        return any(found[:2])

    def forget_parts(self) -> None:
        """Leave nothing to anybody: our time has moved."""
        for group in (self.absent, self.later, self.beyond):
            group.clear()

    def renew(self) -> None:
        """Another period: to whoever pays just now a part is left, and to who is paid ahead into
        this period.
        """
        for key, flight in self.flights.items():
            if flight.payment.open:
                self.absent[key] = flight
            self._waits_for_later(key, flight)
        self.flights.clear()
        for key, flight in self.beyond.items():
            self._waits_for_later(key, flight)
        self.beyond.clear()

    def is_waited_for(self, now_ns: int) -> bool:
        """Whether a round waits for somebody who comes back soon."""
        while self.absent:
            key, first = next(iter(self.absent.items()))
            if first.payment.open and now_ns < first.payment.planned_ns + ABSENT_NS:
                break
            del self.absent[key]
            self._waits_for_later(key, first)
        while self.flights:
            key, first = next(iter(self.flights.items()))
            if first.comes_back(now_ns):
                return True
            del self.flights[key]
            if first.payment.open:
                self.absent[key] = first
            self._waits_for_later(key, first)
        return False

    def _waits_for_later(self, key: int, flight: Flight) -> None:
        """Leave a part to a stream whose payment has ended, and that is due again another time."""
        failing = flight.stream.account.streak > 0  # it has no credit, and may wait for an hour
        if not flight.payment.open and not failing and len(self.later) < MOST_LATER:
            self.later[key] = flight

    def look(self, period_end_ns: int | None, end_ns: int, now_ns: int) -> None:
        """Forget those who do not come, and put aside those who come after the period (a total has
        none).
        """
        for key in [key for key, flight in self.absent.items() if not flight.payment.open]:
            self._waits_for_later(key, self.absent.pop(key))
        for group in (self.absent, self.later):
            for key in [key for key, flight in group.items() if not flight.is_away(now_ns)]:
                del group[key]
        for key in [key for key, flight in self.later.items() if not flight.comes_before(end_ns)]:
            flight = self.later.pop(key)
            if period_end_ns is not None and len(self.beyond) < MOST_LATER:
                self.beyond[key] = flight
        self._first_later_ns = min(
            (flight.comes_ns() or now_ns for flight in self.later.values()), default=now_ns
        )

    def next_ns(self) -> int | None:
        """When a round waits no more for the first of them."""
        if self.flights:
            return next(iter(self.flights.values())).until_ns
        if self.absent:
            return next(iter(self.absent.values())).payment.planned_ns + ABSENT_NS
        if self.later:
            return self._first_later_ns + TURN_NS
        return None
