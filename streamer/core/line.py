"""Who waits for the budget of one API key, whose turn it is, and how a round shares what there is.
Why it is so: rounds.py.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field

from streamer.core.away import FLIGHT_NS, MOST_LATER, TURN_NS, Away
from streamer.core.ledger import fee_limit_msat
from streamer.core.place import Place
from streamer.core.streamtime import covered_ns, origin_ns
from streamer.words.model import Stream
from streamer.words.money import SECOND_NS

UNTOLD_NS = 40 * SECOND_NS
"""So long one that is due waits for its turn and is ACTIVE: then it is told that there is no money
for it. Not while turns wait for a slow node: so does it, and that is no want of money.
"""
PROMPT_NS = SECOND_NS
"""A turn that is taken later than so long after it was given has waited for its node."""
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
    away: Away = field(default_factory=Away)
    level_msat: int = 0
    held_up_ns: dict[Place, int] = field(default_factory=dict)
    """When a turn of that node was last found to wait for it."""
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
        if not self.goes_on(now_ns) and not self.away:
            return True
        others = self.away.others(stream.key)
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
        self.away.is_back(waiting.stream.key)
        self._newcomers.append(waiting.order)
        if not self._costs[waiting.least_msat]:
            heapq.heappush(self._cheapest, waiting.least_msat)
        self._costs[waiting.least_msat] += 1
        if len(self._newcomers) + len(self._round) > 2 * len(self.waiting) + MOST_PASSED:
            self._newcomers = list({order for order in self._newcomers if self._there(order)})
            self._round = sorted({order for order in self._round if self._there(order)})

    def drop_part(self, key: int) -> bool:
        """It comes no more: whether a part was left to it, for which somebody waits."""
        self.since.pop(key, None)
        return self.away.drop(key) and bool(self.waiting)

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
        self.away.renew()

    def lapse(self, now_ns: int) -> None:
        """Take back what is not taken. Its book still has it, and lets it wait again when it can
        pay.
        """
        while self.turns:
            key, oldest = next(iter(self.turns.items()))
            if now_ns < oldest.given_ns + TURN_NS:
                return
            self.end_turn(key)
            self.held_up_ns[oldest.of.place] = now_ns
            # lost is lost: else it would get both in the next period, and the others none. But of
            # fifty streams to one receiver that takes ten payments at a time the same ones would
            # lose their turn each time, and fall behind by all of it
            if not oldest.of.place.stands_in_line(oldest.of.stream):
                oldest.of.stream.offset_msat = None

    def goes_on(self, now_ns: int) -> bool:
        """Whether the round goes on: it has turns to give, turns that may be taken, or some that
        come back are waited for.
        """
        if self.away.is_waited_for(now_ns):
            return True
        return bool(self.turns or self.left_msat)

    def begin(self, room_msat: int, period_end_ns: int | None, now_ns: int) -> None:
        """Share the room among all who wait, and leave their part to those whose payment is under
        way for long, and to those who are due again later in the period.
        """
        self._end_ns = end_ns = now_ns + FLIGHT_NS if period_end_ns is None else period_end_ns
        self.away.look(period_end_ns, end_ns, now_ns)
        cheapest = self.cheapest_msat()
        if cheapest is None or room_msat < cheapest:
            return
        for order in self._newcomers:
            heapq.heappush(self._round, order)
        self._newcomers.clear()
        absent = {
            order_of(flight.stream): self.wants_msat(flight.place, flight.stream, now_ns)
            for flight in self.away.with_parts()
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
        under_way_ns = self.away.under_way_ns(stream.key, now_ns)
        took_ns = max(SECOND_NS, stream.took_ns, under_way_ns)
        rest_ns = max(0, self._end_ns - now_ns) + under_way_ns
        most = cap * stream.terms.max_open_payments * (1 + rest_ns // took_ns)
        terms = stream.terms
        return min(wants, most + fee_limit_msat(most, terms.fee_floor_msat, terms.fee_limit_ppm))

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

    def newcomers(self) -> frozenset[int]:
        """The keys of those who came since the round began."""
        return frozenset(order[-1] for order in self._newcomers)

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
            self.since.pop(waiting.stream.key, None)
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

    def is_tired(self, waiting: Waiting, now_ns: int) -> bool:
        """Whether it has waited for UNTOLD_NS as one that is ACTIVE, and for no turn of another."""
        if self.turns:
            self.note_hold_up(next(iter(self.turns.values())), now_ns)
        since_ns = max(waiting.since_ns, self.held_up_ns.get(waiting.place, 0))
        return waiting.due_ns > 0 and now_ns >= since_ns + UNTOLD_NS

    def note_hold_up(self, turn: Turn, now_ns: int) -> None:
        """Turn was not taken before now."""
        if now_ns - turn.given_ns > PROMPT_NS:
            self.held_up_ns[turn.of.place] = now_ns

    def tired(self, now_ns: int) -> list[Waiting]:
        """Those of the first MOST_PASSED that are, and were not told."""
        first = itertools.islice(self.untold.values(), MOST_PASSED)
        return [waiting for waiting in first if self.is_tired(waiting, now_ns)]

    def next_ns(self) -> int | None:
        """When the round goes on by time, or somebody has to be told."""
        moments = [self._goes_on_ns()]
        if self.untold and not self.turns:
            first = next(iter(self.untold.values()))
            since_ns = max(first.since_ns, self.held_up_ns.get(first.place, 0))
            moments.append(since_ns + UNTOLD_NS)
        return min((moment for moment in moments if moment is not None), default=None)

    def _goes_on_ns(self) -> int | None:
        """When a turn lapses, or the round waits no more for a payment, if somebody waits for
        that.
        """
        if self.turns:
            return next(iter(self.turns.values())).given_ns + TURN_NS
        return self.away.next_ns() if self.waiting else None


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
