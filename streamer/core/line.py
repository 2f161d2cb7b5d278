"""Who waits for the budget of one API key, whose turn it is, and how a round shares what there is.
Why it is so: rounds.py.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Protocol

from streamer.core.ledger import fee_limit_msat
from streamer.core.streamtime import covered_ns, origin_ns
from streamer.words.model import Facts, Mark, Payment, Stream, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason

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
UNTOLD_NS = 40 * SECOND_NS
"""So long one that is due waits for its turn and is ACTIVE: then it is told that there is no money
for it.
"""
MOST_LATER = 300
"""To so many that are due again later in a period a part is left, and so many are kept in mind for
the next: a round looks at each of them.
"""
MOST_PASSES = 8
"""So often a round looks for those who want less than their share."""
MOST_TURNS = 1_000
"""Turns of a key that are given and not yet taken; the others of a round follow as these are
taken.
"""
MOST_PASSED = 1_000
"""So many whose minimum does not fit are passed over in a round in search of one whose does; and so
many streams end in one step.
"""

Order = tuple[int, int, int, int]
"""(what it was served, in msat; when the last payment was planned; its number at that moment;
stream key): the least comes first.
"""


class Place(Protocol):
    """The book of a stream that waits."""

    def due_ns(self, stream: Stream) -> int | None:
        """When its next payment is due; None while it waits for something else."""

    def call_up(self, stream: Stream, due_ns: int) -> None:
        """Its turn has come: it enters the ready queue."""

    def cap_msat(self, stream: Stream) -> int | None:
        """The largest payment that it makes; None: of any size."""

    def own_msat(self, stream: Stream, until_ns: int, now_ns: int) -> int | None:
        """What its own budget holds until then, with its renewals; None if it has none."""

    def stands_in_line(self, stream: Stream) -> bool:
        """It could pay, and waits for room at the node or at its receiver."""

    def pass_time(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """Let its start, ttl and end take effect."""

    def fall_short(
        self, stream: Stream, of: Reason, until_ns: int, now_ns: int, facts: Facts
    ) -> None:
        """The budget (of) does not hold its minimum payment."""

    def is_funded(self, stream: Stream, since_ns: int, facts: Facts) -> None:
        """There is money for it again."""

    def close(
        self, stream: Stream, ends_as: StreamState, reason: Reason, now_ns: int, facts: Facts
    ) -> None:
        """It ends."""

    def wake(self) -> None:
        """Its engine looks at what is due."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One in the line: the least that lets it pay, what a turn is worth at least, since when it was
    due (0: it was stalled), and when it joined then.
    """

    place: Place
    stream: Stream
    order: Order
    least_msat: int
    worthwhile_msat: int
    due_ns: int
    since_ns: int

    def is_tired(self, now_ns: int) -> bool:
        """Whether it waits for too long as one that is ACTIVE."""
        return self.due_ns > 0 and now_ns >= self.since_ns + UNTOLD_NS


@dataclass(slots=True, eq=False)
class Turn:
    """msat are promised, fee limit included."""

    of: Waiting
    msat: int
    number: int
    given_ns: int

    @property
    def due_ns(self) -> int:
        """Since when it is due: one that was stalled, since there is money."""
        return self.of.due_ns or self.given_ns


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
class Line:
    """Who waits for the budget of one key, and its round."""

    period_start_ns: int
    waiting: dict[int, Waiting] = field(default_factory=dict)
    untold: dict[int, Waiting] = field(default_factory=dict)
    since: dict[int, int] = field(default_factory=dict)
    """By stream key, since when those wait that have not paid since, and are not told: each end of
    another payment of theirs has them leave and come back.
    """
    turns: dict[int, Turn] = field(default_factory=dict)
    flights: dict[int, Flight] = field(default_factory=dict)
    absent: dict[int, Flight] = field(default_factory=dict)
    later: dict[int, Flight] = field(default_factory=dict)
    beyond: dict[int, Flight] = field(default_factory=dict)
    level_msat: int = 0
    _first_later_ns: int = 0
    _end_ns: int = 0
    _dealt: bool = False
    left_msat: int = 0
    given_msat: int = 0
    _round: list[Order] = field(default_factory=list)
    _newcomers: list[Order] = field(default_factory=list)
    _costs: Counter[int] = field(default_factory=Counter)
    _cheapest: list[int] = field(default_factory=list)

    @property
    def short(self) -> bool:
        """Somebody waits, or has a turn."""
        return bool(self.waiting or self.turns)

    def lets_buy(self, stream: Stream, msat: int, free_msat: int, now_ns: int) -> bool:
        """Whether stream may buy for msat, fee limit included, without a turn.

        It may while nobody waits and nobody comes back. Up to the level of the last round that
        money is its own; where not as much would be left for each that comes back, they share what
        is left.
        """
        if self.short:
            return False
        if not self.goes_on(now_ns) and not self.absent and not self.later:
            return True
        others = sum(
            len(group) - (stream.key in group) for group in (self.flights, self.absent, self.later)
        )
        if others and served_msat(stream) + msat > self.level_msat:
            return False
        return msat * (1 + others) <= free_msat

    @property
    def promised_msat(self) -> int:
        """What is free for nobody else."""
        return self.left_msat + self.given_msat

    def join(self, waiting: Waiting) -> None:
        """Wait for the next round."""
        self.waiting[waiting.stream.key] = waiting
        if waiting.due_ns:
            waiting.since_ns = self.since.setdefault(waiting.stream.key, waiting.since_ns)
        self.is_back(waiting.stream.key)
        self._newcomers.append(waiting.order)
        if not self._costs[waiting.least_msat]:
            heapq.heappush(self._cheapest, waiting.least_msat)
        self._costs[waiting.least_msat] += 1
        if len(self._newcomers) + len(self._round) > 2 * len(self.waiting) + MOST_PASSED:
            self._newcomers = list({order for order in self._newcomers if self._there(order)})
            self._round = sorted({order for order in self._round if self._there(order)})

    def is_back(self, key: int) -> None:
        """It is due again: no part has to be left to it."""
        for group in (self.flights, self.absent, self.later, self.beyond):
            flight = group.pop(key, None)
            if flight is not None and not flight.payment.open:
                flight.stream.took_ns = flight.payment.end_ns - flight.payment.planned_ns

    def drop_part(self, key: int) -> bool:
        """It comes no more: whether a part was left to it, for which somebody waits."""
        self.since.pop(key, None)
        found = [group.pop(key, None) for group in (self.absent, self.later, self.beyond)]
        return bool(self.waiting) and any(found[:2])

    def leave(self, key: int) -> Waiting | None:
        """Wait no more."""
        waiting = self.waiting.pop(key, None)
        self.untold.pop(key, None)
        if waiting is not None:
            self._costs[waiting.least_msat] -= 1
            if not self._costs[waiting.least_msat]:
                del self._costs[waiting.least_msat]
        return waiting

    def cheapest_msat(self) -> int | None:
        """The least that lets any of them pay; None if nobody waits."""
        while self._cheapest and self._cheapest[0] not in self._costs:
            heapq.heappop(self._cheapest)
        return self._cheapest[0] if self._cheapest else None

    def end_turn(self, key: int) -> Turn | None:
        """It is taken, or goes back."""
        turn = self.turns.pop(key, None)
        if turn is not None:
            self.given_msat -= turn.msat
        return turn

    def renew(self, period_start_ns: int) -> None:
        """Another period: whoever has not taken its turn waits again, as it did; to whoever pays
        just now a part is left, and to who is paid ahead into this period.
        """
        self.period_start_ns, self.left_msat, self.level_msat = period_start_ns, 0, 0
        self.since.clear()
        for key in list(self.turns):
            turn = self.end_turn(key)
            if turn is not None:
                self.join(turn.of)
        for key, flight in self.flights.items():
            if flight.payment.open:
                self.absent[key] = flight
            self._waits_for_later(key, flight)
        self.flights.clear()
        for key, flight in self.beyond.items():
            self._waits_for_later(key, flight)
        self.beyond.clear()

    def lapse(self, now_ns: int) -> None:
        """Take back what is not taken. Its book still has it, and lets it wait again when it can
        pay.
        """
        while self.turns:
            key, oldest = next(iter(self.turns.items()))
            if now_ns < oldest.given_ns + TURN_NS:
                return
            self.end_turn(key)
            # lost is lost: else it would get both in the next period, and the others none. But of
            # fifty streams to one receiver that takes ten payments at a time the same ones would
            # lose their turn each time, and fall behind by all of it
            if not oldest.of.place.stands_in_line(oldest.of.stream):
                oldest.of.stream.offset_msat = None

    def goes_on(self, now_ns: int) -> bool:
        """Whether the round goes on: it has turns to give, turns that may be taken, or some that
        come back are waited for.
        """
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
        return bool(self.turns or self.left_msat)

    def _waits_for_later(self, key: int, flight: Flight) -> None:
        """Leave a part to a stream whose payment has ended, and that is due again another time."""
        failing = flight.stream.account.streak > 0  # it has no credit, and may wait for an hour
        if not flight.payment.open and not failing and len(self.later) < MOST_LATER:
            self.later[key] = flight

    def begin(self, room_msat: int, period_end_ns: int | None, now_ns: int) -> None:
        """Share the room among all who wait, and leave their part to those whose payment is under
        way for long, and to those who are due again later in the period.
        """
        self._end_ns = end_ns = now_ns + FLIGHT_NS if period_end_ns is None else period_end_ns
        self._look_who_is_away(period_end_ns, end_ns, now_ns)
        cheapest = self.cheapest_msat()
        if cheapest is None or room_msat < cheapest:
            return
        for order in self._newcomers:
            heapq.heappush(self._round, order)
        self._newcomers.clear()
        absent = {
            order_of(flight.stream): self.wants_msat(flight.place, flight.stream, now_ns)
            for flight in (*self.absent.values(), *self.later.values())
            if flight.comes_before(end_ns)
        }
        parts_msat = self._raise(room_msat, cheapest, absent, now_ns)
        if room_msat - parts_msat >= cheapest:
            self.left_msat, self._dealt = room_msat - parts_msat, False

    def _raise(
        self, room_msat: int, cheapest_msat: int, absent: dict[Order, int], now_ns: int
    ) -> int:
        """Set the level, and tell how much is left to the absent, of whom is given what they will
        want.

        Who wants less than up to the level gets no more than that, and the others share the rest.
        A stream of 300 msat a second is always behind one of 3 sat: with all up to the level as its
        turn, of which it took 300 msat, the large one got a tenth of what it wanted, and three
        quarters of the money stayed.
        """
        modest: set[Order] = set()
        left_msat = parts_msat = 0
        for _ in range(MOST_PASSES):
            level_msat, seen = self._level(
                room_msat - left_msat, cheapest_msat, absent.keys(), modest
            )
            self.level_msat = max(self.level_msat, level_msat) if modest else level_msat
            found = {
                order: want
                for order in seen[:MOST_LATER]
                if (want := self._wants_msat(order, absent, now_ns)) < level_msat - order[0]
            }
            if not found:
                break
            modest |= found.keys()
            left_msat += sum(found.values())
            parts_msat += sum(want for order, want in found.items() if order in absent)
            if len(modest) >= len(self.waiting) + len(absent):
                break
        return parts_msat + sum(
            max(0, self.level_msat - order[0]) for order in absent.keys() - modest
        )

    def _wants_msat(self, order: Order, absent: dict[Order, int], now_ns: int) -> int:
        if order in absent:
            return absent[order]
        waiting = self.waiting[order[-1]]
        return self.wants_msat(waiting.place, waiting.stream, now_ns)

    def wants_msat(self, place: Place, stream: Stream, now_ns: int) -> int:
        """What stream will want until the period ends, and can take: no more than its own budget
        holds, and than fits into payments of a bounded size that each take as long as its last one.
        """
        wants, cap = wants_msat(stream, self._end_ns), place.cap_msat(stream)
        own = place.own_msat(stream, self._end_ns, now_ns)
        if own is not None:
            wants = min(wants, max(0, own))
        if cap is None:
            return wants
        flight = self.flights.get(stream.key) or self.absent.get(stream.key)
        under_way_ns = now_ns - flight.payment.planned_ns if flight and flight.payment.open else 0
        took_ns = max(SECOND_NS, stream.took_ns, under_way_ns)
        rest_ns = max(0, self._end_ns - now_ns) + under_way_ns
        most = cap * stream.terms.max_open_payments * (1 + rest_ns // took_ns)
        terms = stream.terms
        return min(wants, most + fee_limit_msat(most, terms.fee_floor_msat, terms.fee_limit_ppm))

    def _look_who_is_away(self, period_end_ns: int | None, end_ns: int, now_ns: int) -> None:
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

    def _level(
        self, room_msat: int, cheapest_msat: int, absent: Set[Order], modest: Set[Order]
    ) -> tuple[int, list[Order]]:
        """Up to where the room raises those who were served least, and who they are: with room for
        60, 0 and 0 get 30 each beside a third one at 90. The modest are not among them.

        Only as many are looked at as the room has payments of the minimum; the others get an equal
        share of the rest.
        """
        for order in absent - modest:
            heapq.heappush(self._round, order)
        most = min(MOST_TURNS, max(0, room_msat) // cheapest_msat + 1)
        seen: list[Order] = []
        aside: list[Order] = []
        sum_msat = max(0, room_msat)
        level_msat = None
        while self._round and level_msat is None:
            first = self._round[0]
            if first in modest:
                aside.append(heapq.heappop(self._round))
            elif not (self._there(first) or first in absent) or first in seen[-1:]:
                heapq.heappop(self._round)
            elif seen and sum_msat <= first[0] * len(seen):
                level_msat = sum_msat // len(seen)
            elif len(seen) == most:
                others = len(self.waiting) + len(absent) - len(modest)
                level_msat = first[0] + (sum_msat - first[0] * len(seen)) // max(1, others)
            else:
                seen.append(heapq.heappop(self._round))
                sum_msat += first[0]
        for order in {*seen, *aside} - absent:
            heapq.heappush(self._round, order)
        return sum_msat // max(1, len(seen)) if level_msat is None else level_msat, seen

    def give(self, number: int, now_ns: int) -> list[Turn]:
        """Turns in their order, as long as the room holds them; the first has that number."""
        given: list[Turn] = []
        passed: list[Order] = []
        while self.left_msat and len(self.turns) < MOST_TURNS:
            waiting = self._next(passed)
            if waiting is None or self._is_crumb(waiting):
                passed += [waiting.order] if waiting is not None else []
                self.left_msat = 0
                break
            self._dealt = True
            turn_msat = max(
                min(
                    self.level_msat - waiting.order[0],
                    self.wants_msat(waiting.place, waiting.stream, now_ns),
                ),
                waiting.worthwhile_msat,
            )
            turn = Turn(waiting, min(self.left_msat, turn_msat), number + len(given), now_ns)
            self.leave(waiting.stream.key)
            self.turns[waiting.stream.key] = turn
            self.left_msat -= turn.msat
            self.given_msat += turn.msat
            given.append(turn)
        self._newcomers += passed
        return given

    def _is_crumb(self, waiting: Waiting) -> bool:
        """Whether the rest of a round that others had is less than is worth its fee: it is more
        when their fee limits come back.
        """
        return self._dealt and self.left_msat < waiting.worthwhile_msat

    def _next(self, passed: list[Order]) -> Waiting | None:
        """The first whose minimum payment the rest holds; those before it are passed over."""
        cheapest = self.cheapest_msat()
        while (
            self._round
            and cheapest is not None
            and cheapest <= self.left_msat
            and len(passed) < MOST_PASSED
        ):
            order = heapq.heappop(self._round)
            if not self._there(order):
                continue
            waiting = self.waiting[order[-1]]
            if waiting.least_msat <= self.left_msat:
                return waiting
            passed.append(order)
        return None

    def _there(self, order: Order) -> bool:
        waiting = self.waiting.get(order[-1])
        return waiting is not None and waiting.order == order

    def tired(self, now_ns: int) -> list[Waiting]:
        """Those of the first MOST_PASSED that have waited for UNTOLD_NS, and were not told."""
        first = itertools.islice(self.untold.values(), MOST_PASSED)
        return [waiting for waiting in first if waiting.is_tired(now_ns)]

    def next_ns(self) -> int | None:
        """When the round goes on by time, or somebody has to be told."""
        moments = [self._goes_on_ns()]
        if self.untold:
            moments.append(next(iter(self.untold.values())).since_ns + UNTOLD_NS)
        return min((moment for moment in moments if moment is not None), default=None)

    def _goes_on_ns(self) -> int | None:
        """When a turn lapses, or the round waits no more for a payment, if somebody waits for
        that.
        """
        if self.turns:
            return next(iter(self.turns.values())).given_ns + TURN_NS
        if self.flights and self.waiting:
            return next(iter(self.flights.values())).until_ns
        if self.absent and self.waiting:
            return next(iter(self.absent.values())).payment.planned_ns + ABSENT_NS
        if self.later and self.waiting:
            return self._first_later_ns + TURN_NS
        return None


def served_msat(stream: Stream) -> int:
    """What stream was served, to be compared with the others of its key: all that it has paid or
    reserved, and where it began.
    """
    return stream.account.settled_msat + stream.reserved_msat + (stream.offset_msat or 0)


def wants_msat(stream: Stream, until_ns: int) -> int:
    """What stream will want until then, with fees like those that it has paid so far. With fee
    limits, which are mostly far above, small streams would keep others waiting for money that comes
    back.
    """
    terms, account = stream.terms, stream.account
    wants_ns = max(0, until_ns - origin_ns(stream) - covered_ns(stream))
    amount = max(
        terms.min_payment_msat, wants_ns * terms.rate.amount_msat // terms.rate.interval_ns
    )
    return amount + amount * account.fee_msat // max(1, account.settled_msat)


def order_of(stream: Stream) -> Order:
    """Its place among those that wait."""
    account = stream.account
    planned = stream.last_turn or (
        (account.due_ns, 0) if account.seq else (stream.terms.start_time_ns, -1)
    )
    return (served_msat(stream), *planned, stream.key)


def waiting_of(
    place: Place, stream: Stream, due_ns: int, now_ns: int, reached_msat: int
) -> Waiting:
    """Stream as one that waits. reached_msat: what the one that was served most has come to.

    While it fails it has no credit: its turns come back, and would each time be as large as all
    that it did not get.
    """
    terms = stream.terms
    order = order_of(stream)
    if stream.account.streak:
        order = (reached_msat, *order[1:])
    least, worthwhile = (
        amount + fee_limit_msat(amount, terms.fee_floor_msat, terms.fee_limit_ppm)
        for amount in (terms.min_payment_msat, max(terms.min_payment_msat, terms.fee_floor_msat))
    )
    return Waiting(place, stream, order, least, worthwhile, due_ns, now_ns)
