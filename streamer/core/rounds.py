"""A short key budget, served in rounds over all nodes: who waits for it, whose turn it is, and for
how much.

A key is *short* from the moment its budget does not hold what one of its streams would buy until
nobody waits for it. Whoever came first would else take all of it, period after period: of two equal
streams at 10,100 msat a minute one got 606,000 msat in an hour and the other 4,000. While a key is
short

- a round begins with a renewal or with money that comes back (a void, a refund, a settle that cost
  less than was reserved);
- each stream that waits has one turn in it, he first who was served least, and then whose last
  payment was planned longest ago (never: his start_time);
- a turn raises its stream to the *level* up to which the room raises all who wait: that is `room //
  number of those waiting` for those who were served alike, and more for one who is behind; it may
  always take the minimum payment;
- nobody gets more than it will want, and can take, until the renewal (its own budget, its largest
  payment, the pace of its receiver): the others share the rest;
- what is left begins the next round, when the payments of this one have ended; who found nothing
  comes first then.

A turn is *promised* money: it is free for nobody else until it is taken or goes back. Whoever
cannot take it (paused, ended, its node down, its destination full) loses it, and blocks nobody.

Why a round waits for the ends of its payments, and for those to come back who want more: fee limits
mostly come back. With five streams, 60 sat a minute and a fee floor of 5 sat each takes 12 sat,
pays 7, and 25 sat come back. Given away one by one they would go to the fastest receiver, always
the same one, or to the node that looks first; and they would be cut into twenty payments of 1 sat,
each with its own fee. So they are shared when all are back, and no turn is smaller than what makes
the amount as large as its fee limit, if the room holds that.

What a stream *was served* is all that it has paid or reserved, with a turn or without: so what
fails is given back by itself, and nothing is counted per payment. Three streams whose receivers
take 25 s would else drift apart by 60 shares in four hours: one that is alone at a renewal takes
all, and an equal share of what follows never makes that up. A stream that comes new, was paused, or
lost a turn begins as one of those that were served most; nobody is behind by more than its key may
spend in a period, and while it fails it has no credit. All this lives in memory: after a start all
begin alike.

While others of the key come back soon, a stream buys without a turn only up to the level, and only
if as much is left for each of them: the last payments before the money runs out would else go by
due order, and the same stream be one ahead each period. And to a stream whose payment is under way
for longer than a round waits, its part is left for a while (away.ABSENT_NS), but never more than it
will want: a slow receiver is not served less, and one that wants little keeps nobody waiting.

To a stream whose payment has ended, and that is due again before the budget renews, what it will
want until then is left, up to the level too (the first away.MOST_LATER of them). Three streams with
a payment each ten minutes on 5,000 sat an hour had else 43,800, 39,000 and 39,000 sat after a day:
the last payment of a period goes by due order, and that is the same stream where payments and
periods keep step. And beside one that pays each second, one that pays each ten minutes got a
twelfth of what it wanted: all was gone when it was due. Who is due after the renewal is kept in
mind for that: at that moment only those wait who are not paid ahead.

So equal streams have got within one share of the same after any period from the second on; in the
first, what was paid before the key was short went by due order.

One line per key is all that waits: no stream of it is on a wheel, however many there are. It lives
in memory: after a start it is made of the streams that are STALLED with KEY_BUDGET_SPENT.
"""

from __future__ import annotations

import heapq

from streamer.core.away import Flight
from streamer.core.budgets import Budgets
from streamer.core.ledger import Budget
from streamer.core.line import (
    MOST_PASSED,
    MOST_TURNS,
    Line,
    Turn,
    Waiting,
    served_msat,
    waiting_of,
)
from streamer.core.place import Place
from streamer.core.wheel import Wheel
from streamer.words.model import Facts, Payment, Stream, StreamState
from streamer.words.reasons import Reason


class Rounds:
    """The lines of all short keys."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._lines: dict[int, Line] = {}
        self._wheel = Wheel()
        self._due: list[tuple[int, int]] = []
        self._marked: set[int] = set()
        self._number = 0
        self._reached_msat: dict[int, int] = {}

    # -- what books ask -------------------------------------------------------------------------

    def next_ns(self) -> int | None:
        """When a round may begin or go on: 0 if one may now."""
        return 0 if self._due or self._budgets.freed else self._wheel.next_ns()

    def waits(self, stream: Stream) -> bool:
        """Whether stream is in the line of its key, and has no turn."""
        line = self._lines.get(stream.api_key)
        return line is not None and stream.key in line.waiting

    def goes_on_ns(self, stream: Stream) -> int | None:
        """When the round goes on for which stream waits, by time alone; None if it waits for none,
        or for its renewal.
        """
        budget = self._budgets.of_key(stream.api_key, 0) if self.waits(stream) else None
        moment = self._wheel.due_ns(stream.api_key)
        return None if budget is None or moment == budget.end_ns() else moment

    def turn(self, stream: Stream) -> Turn | None:
        """The turn of stream, if it has one."""
        line = self._lines.get(stream.api_key)
        return None if line is None else line.turns.get(stream.key)

    def turn_msat(self, stream: Stream, now_ns: int) -> int | None:
        """What stream may take at its turn, fee limit included; None if it has none."""
        turn = self.turn(stream) if self._lines else None
        budget = None if turn is None else self._budgets.of_key(stream.api_key, now_ns)
        return None if turn is None or budget is None else min(turn.msat, budget.room_msat())

    def renewal_ns(self, stream: Stream) -> int | None:
        """When the budget of its key renews; None: it is a total."""
        budget = self._budgets.of_key(stream.api_key, 0)
        return None if budget is None else budget.end_ns()

    def funded_ns(self, stream: Stream) -> int | None:
        """Since when there may be money for stream, which waits for its key's: since its turn, or a
        renewal that nobody has looked at.
        """
        line, turn = self._lines.get(stream.api_key), self.turn(stream)
        if line is None or not (turn is not None or self.waits(stream)):
            return stream.short_until_ns or None
        if turn is not None:  # of a renewal, or of what came back later
            return (
                line.period_start_ns
                if stream.short_since_ns < line.period_start_ns
                else turn.given_ns
            )
        budget = self._budgets.of_key(stream.api_key, 0)
        if budget is None or budget.period_ns is None:
            return None
        return max(line.period_start_ns + budget.period_ns, stream.short_until_ns)

    def answer(self, place: Place, stream: Stream, now_ns: int, facts: Facts) -> int:
        """Stream is looked at: at its turn there is money for it again. Since when it has that
        turn, and was not due before; else 0.
        """
        turn = self.turn(stream) if self._lines else None
        if turn is None:
            return 0
        place.pass_time(stream, now_ns, facts)
        if stream.state is StreamState.STALLED and stream.short_of is Reason.KEY_BUDGET_SPENT:
            place.is_funded(stream, now_ns, facts)
        return turn.due_ns

    def keeps(self, place: Place, stream: Stream) -> bool:
        """Whether stream is to wait here and not on a wheel: it is stalled for want of its key's
        money. Any other leaves the line.
        """
        if stream.state is StreamState.PAUSED:
            stream.offset_msat = None  # it gets no credit for time in which it wants nothing
        if stream.state is not StreamState.STALLED or stream.reason is not Reason.KEY_BUDGET_SPENT:
            self.leave(stream)
            return False
        if self.turn(stream) is not None:
            return False
        if not self.waits(stream):
            budget = self._budgets.of_key(stream.api_key, 0)
            if budget is None:
                return False
            self._join(place, stream, budget, 0, 0)
            self._mark(stream.api_key, 0)
        return True

    def leave(self, stream: Stream) -> None:
        """Stream does not wait: it loses its place, and gives its turn back."""
        line = self._lines.get(stream.api_key)
        if line is None:
            return
        line.leave(stream.key)
        comes = stream.state in (StreamState.ACTIVE, StreamState.STALLED, StreamState.PENDING)
        # what was left to one that is paused for hours would lie there for hours
        left = not comes and line.drop_part(stream.key)
        if line.end_turn(stream.key) is not None or not line.short or left:
            self._mark(stream.api_key, 0)

    def reconsider(self, stream: Stream) -> None:
        """Its terms have changed: what is left to it may be too much now."""
        line = self._lines.get(stream.api_key)
        if line is not None and line.waiting and stream.key in line.away.later:
            self._mark(stream.api_key, 0)

    def must_wait(
        self, place: Place, stream: Stream, msat: int, due_ns: int, now_ns: int, facts: Facts
    ) -> bool:
        """Whether a stream that is due and would buy for msat, fee limit included, has to wait for
        its key; it then does.
        """
        budget = self._budgets.of_key(stream.api_key, now_ns)
        if budget is None or self.turn(stream) is not None:
            return False
        self._bound_credit(stream, budget)
        if self.lets_buy(stream, msat, now_ns):
            return False
        self.refuse(place, stream, due_ns, now_ns, facts)
        return True

    def lets_buy(self, stream: Stream, msat: int, now_ns: int) -> bool:
        """Whether the budget of its key lets stream buy for msat, fee limit included: at its turn,
        or as one that needs none.
        """
        if self._budgets.of_key(stream.api_key, now_ns) is None or self.turn(stream) is not None:
            return True
        line, free_msat = self._lines.get(stream.api_key), self._budgets.free_msat(stream.api_key)
        return msat <= free_msat and (
            line is None or line.lets_buy(stream, msat, free_msat, now_ns)
        )

    def refuse(self, place: Place, stream: Stream, due_ns: int, now_ns: int, facts: Facts) -> None:
        """Let stream wait; it is stalled if not even its minimum payment is free, and else waits
        for a moment only.
        """
        budget = self._budgets.of_key(stream.api_key, now_ns)
        if budget is None:
            return
        line = self._lines.get(stream.api_key)
        if line is not None and line.end_turn(stream.key) is not None:
            self._budgets.promised[stream.api_key] = line.promised_msat
        waiting = line.waiting.get(stream.key) if line is not None else None
        waiting = waiting or self._join(place, stream, budget, due_ns, now_ns)
        self._mark(stream.api_key, now_ns)
        free_msat = self._budgets.free_msat(stream.api_key)
        line = self._lines[stream.api_key]
        if free_msat < waiting.least_msat or line.is_tired(waiting, now_ns):
            self._turn_away(waiting, budget, now_ns, facts)

    def planned(self, place: Place, payment: Payment, stream: Stream) -> None:
        """A payment of a key's stream was planned: its turn is taken, if it had one."""
        self._number += 1
        stream.last_turn = (payment.planned_ns, self._number)
        budget = self._budgets.of_key(payment.api_key, payment.planned_ns)
        if budget is None:
            return
        reached_msat = self._begin_at_most(stream)
        self._reached_msat[payment.api_key] = max(reached_msat, served_msat(stream))
        line = self._lines.get(payment.api_key)
        if line is None:
            return
        line.away.is_back(stream.key)
        line.since.pop(stream.key, None)
        line.away.flights[stream.key] = Flight(place, stream, payment)
        turn = line.end_turn(stream.key)
        if turn is None:
            return
        stream.last_turn = (payment.planned_ns, turn.number)
        line.note_hold_up(turn, payment.planned_ns)
        self._budgets.promised[payment.api_key] = line.promised_msat
        if line.left_msat and 2 * len(line.turns) < MOST_TURNS:
            self._mark(payment.api_key, payment.planned_ns)

    def move_waiting(self, place: Place, by_ns: int) -> None:
        """Our time moves: who waits in this place is due since the same moment, by the new time."""
        for line in self._lines.values():
            for waiting in (*line.waiting.values(), *(turn.of for turn in line.turns.values())):
                if waiting.place is place and waiting.due_ns:
                    waiting.due_ns += by_ns
                    waiting.since_ns += by_ns

    def move_time(self) -> None:
        """Our time moved: turns and waits that were measured by the time before begin anew."""
        self._due.clear()
        self._marked.clear()
        for number, line in self._lines.items():
            line.renew(line.period_start_ns)
            line.away.forget_parts()
            line.since.clear()
            line.held_up_ns.clear()
            self._budgets.promised[number] = line.promised_msat
            self._mark(number, 0)

    # -- rounds ---------------------------------------------------------------------------------

    def look(self, now_ns: int) -> None:
        """Find the keys whose round may begin or go on: by a renewal, by money that came back, by
        time.
        """
        for moment, number in self._wheel.pop_due(now_ns):
            self._mark(number, moment)
        for number in self._budgets.freed:
            self._mark(number, now_ns)
        self._budgets.freed.clear()

    def go_on(self, here: Place, before_ns: int | None, now_ns: int, facts: Facts) -> bool:
        """Do so for one key, at whose moment nothing else is due before (before_ns; None: nothing
        at all); False if there is none.
        """
        if not self._due or (before_ns is not None and before_ns <= self._due[0][0]):
            return False
        number = heapq.heappop(self._due)[1]
        self._marked.discard(number)
        line, budget = self._lines.get(number), self._budgets.of_key(number, now_ns)
        if line is not None and budget is not None:
            self._deal(number, line, budget, here, now_ns, facts)
        return True

    def _deal(
        self, number: int, line: Line, budget: Budget, here: Place, now_ns: int, facts: Facts
    ) -> None:
        if line.period_start_ns != budget.period_start_ns:
            line.renew(budget.period_start_ns)
        line.lapse(now_ns)
        goes_on = line.goes_on(now_ns)
        if not goes_on:
            line.begin(budget.room_msat(), budget.end_ns(), now_ns)
        shares = not goes_on or line.left_msat > 0
        # who came since the round began is told nothing by its end: the next is theirs
        newcomers = line.newcomers() if goes_on else frozenset()
        given = line.give(self._number + 1, now_ns)
        if goes_on and not given and not line.goes_on(now_ns):
            # the rest of the last round found nobody: the next begins
            line.begin(budget.room_msat(), budget.end_ns(), now_ns)
            given, newcomers = line.give(self._number + 1, now_ns), frozenset()
        self._number += len(given)
        self._budgets.promised[number] = line.promised_msat
        for turn in given:
            turn.of.place.call_up(turn.of.stream, turn.due_ns)
        # whoever is not given a turn has to be told once that it waits; those who know are not
        # looked at again
        found_nothing = [
            waiting
            for key, waiting in line.untold.items()
            if shares and not line.left_msat and key not in newcomers
        ]
        if not given and self._is_spent(number, line, budget):
            found_nothing = list(line.waiting.values())[:MOST_PASSED]
        free = self._budgets.free_msat(number)
        away = line.away
        oldest = next(iter(line.turns.values()), None)
        held_up = oldest is not None and oldest.given_ns < now_ns
        waited_for = held_up or away.flights or away.absent
        if away.later and not waited_for and budget.period_ns is not None:
            free = 0  # what there is is left to those who come later: for longer than a moment
        called = [turn.of.place for turn in given]
        # beside one that is paid each 5 s there is always money for a moment, and never for it
        for waiting in dict.fromkeys((*found_nothing, *line.tired(now_ns))):
            is_tired = line.is_tired(waiting, now_ns)
            if free >= waiting.least_msat and not is_tired:
                continue
            if waiting.place is here:
                self._turn_away(waiting, budget, now_ns, facts)
            else:  # its own book says so, in a commit of its own: it looks again, and comes back
                if is_tired:
                    line.untold.pop(waiting.stream.key, None)
                else:
                    line.leave(waiting.stream.key)
                waiting.place.call_up(waiting.stream, waiting.due_ns or now_ns)
                called.append(waiting.place)
        for place in {*called} - {here}:
            place.wake()
        self._watch(number, line, budget, now_ns)

    def _is_spent(self, number: int, line: Line, budget: Budget) -> bool:
        """Whether nobody of the line will ever pay again."""
        cheapest = line.cheapest_msat()
        return (
            self._is_final(number, budget)
            and cheapest is not None
            and budget.room_msat() < cheapest
        )

    def _is_final(self, number: int, budget: Budget) -> bool:
        return (
            budget.period_ns is None
            and not budget.reserved_msat
            and not self._budgets.promised.get(number)
        )

    def _turn_away(self, waiting: Waiting, budget: Budget, now_ns: int, facts: Facts) -> None:
        """There is no money for it now; a total that nothing comes back to ends it."""
        stream, place = waiting.stream, waiting.place
        line = self._lines[stream.api_key]
        line.untold.pop(stream.key, None)
        line.since.pop(stream.key, None)
        if self._is_final(stream.api_key, budget) and budget.room_msat() < waiting.least_msat:
            place.close(stream, StreamState.COMPLETED, Reason.KEY_BUDGET_SPENT, now_ns, facts)
        elif stream.short_of is not Reason.KEY_BUDGET_SPENT:
            waiting.due_ns = 0  # it is tired no more
            place.fall_short(stream, Reason.KEY_BUDGET_SPENT, budget.end_ns() or 0, now_ns, facts)

    def _join(
        self, place: Place, stream: Stream, budget: Budget, due_ns: int, now_ns: int
    ) -> Waiting:
        line = self._lines.get(stream.api_key)
        if line is None:
            line = self._lines[stream.api_key] = Line(budget.period_start_ns)
            self._budgets.watched.add(stream.api_key)
        self._begin_at_most(stream)
        self._bound_credit(stream, budget)
        reached_msat = self._reached_msat.get(stream.api_key, 0)
        waiting = waiting_of(place, stream, due_ns, now_ns, reached_msat)
        line.join(waiting)
        if due_ns:
            line.untold[stream.key] = waiting
        return waiting

    def _begin_at_most(self, stream: Stream) -> int:
        """Let a stream that comes new, or comes back, be one of those that were served most; what
        these have come to.
        """
        reached_msat = self._reached_msat.get(stream.api_key, 0)
        if stream.offset_msat is None:
            stream.offset_msat = 0
            stream.offset_msat = reached_msat - served_msat(stream)
        return reached_msat

    def _bound_credit(self, stream: Stream, budget: Budget) -> None:
        """Nobody is behind by more than its key may spend in a period: who wanted little for days
        does not get all for days.
        """
        behind_msat = (
            self._reached_msat.get(stream.api_key, 0) - served_msat(stream) - budget.limit_msat
        )
        if stream.offset_msat is not None and behind_msat > 0:
            stream.offset_msat += behind_msat

    def _watch(self, number: int, line: Line, budget: Budget, now_ns: int) -> None:
        """Look again at the renewal, and when the round waits no more; forget the key if nothing of
        it waits.
        """
        if not (line.short or line.away):
            del self._lines[number]
            self._wheel.cancel(number)
            self._budgets.watched.discard(number)
            self._budgets.freed.discard(number)
            self._budgets.promised.pop(number, None)
            return
        moments = [moment for moment in (budget.end_ns(), line.next_ns()) if moment is not None]
        if self._is_spent(number, line, budget):
            moments = [now_ns + 1]  # the rest of them ends in the next step
        if moments:
            self._wheel.schedule(number, min(moments))
        else:
            self._wheel.cancel(number)

    def _mark(self, number: int, since_ns: int) -> None:
        if number not in self._marked:
            self._marked.add(number)
            heapq.heappush(self._due, (since_ns, number))
