"""All streams of one node in memory: which payments are to be made now.

`plan` turns due streams into payments as late as possible and reserves their money. It only changes
memory and says in `Facts` what must be durable; nothing here waits, and time is an argument. What
the ends of payments mean is in ends.py, what a person does to a stream in lifecycle.py: both on
this book.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from streamer.core import intents, obstacle
from streamer.core.buying import (
    Levels,
    Nothing,
    Purchase,
    buy,
    buy_within,
    cap_msat,
    short,
    skip_at_end,
)
from streamer.core.gate import Entry, Gate
from streamer.core.holds import Holds
from streamer.core.impossible import Sources, left, with_span
from streamer.core.ledger import fee_limit_msat
from streamer.core.obstacle import Obstacle
from streamer.core.outages import Outages
from streamer.core.retry import stalls
from streamer.core.shared import Limits, Shared, Stamp, Tally
from streamer.core.singles import Singles, Waiting
from streamer.core.slots import Slots
from streamer.core.spans import KEPT_SPANS, Span, length_ns
from streamer.core.stream import Move, moved
from streamer.core.streamtime import (
    check_conservation,
    covered_ns,
    dropped_msat,
    end_pause,
    not_passed,
    origin_ns,
    owed_by_price_msat,
    skipped_stretch,
    with_stretch,
)
from streamer.core.wheel import Wheel
from streamer.words.model import ENDED, Facts, Payment, Single, Stream, StreamState
from streamer.words.reasons import Reason

__all__ = ["MAX_IN_DOUBT", "RUNNING", "Book", "Limits", "Shared", "Stamp", "Tally"]

MAX_IN_DOUBT = 3
"""Payments of one stream that may be in doubt before it stalls: each may have been paid, and nobody
can tell.
"""
MOST_LOOKS = 1_000
"""Streams that one turn looks at, about: a hundred thousand whose ttl passed while the daemon was
away end in many commits, not in one.
"""
RUNNING = frozenset({StreamState.PENDING, StreamState.ACTIVE, StreamState.STALLED})
"""The states in which time passes for a stream and payments may fall due."""


class Book:
    """The streams of one node and their open payments."""

    def __init__(self, node: str, limits: Limits, shared: Shared, stamp: Stamp) -> None:
        self.node = node
        self.limits = limits
        self.shared = shared
        self.budgets = shared.budgets
        self.rounds = shared.rounds
        self.outages = Outages(node)
        self._sources = (self.outages, shared.outages)
        self.slots = Slots(limits.max_in_flight_per_destination, limits.hold_after_ns)
        self.holds = Holds(node)
        self.singles = Singles()
        self.streams: dict[str, Stream] = {}
        self.by_key: dict[int, Stream] = {}
        self.recalled: dict[int, Stream] = {}
        self.opened: set[int] = set()
        """The keys of streams that this process has opened, to begin at once: they move with its
        time (timeshift.py).
        """
        self.gap: Span = (0, 0)
        """From the journal's mark until this run's time began to be right: how long that was, only
        our clock says.
        """
        self.paused: set[int] = set()
        """The keys of streams whose pause began in this run's time: that moves with it."""
        self.stood: dict[int, int] = {}
        """By stream key, for how long it stood still over the gap (ns): in a pause of an earlier
        run, or skipped.
        """
        self.ahead: dict[int, int] = {}
        """By stream key, how far it is covered beyond where it would be had our time not gone back
        (ns).
        """
        self.missed: dict[int, tuple[Span, ...]] = {}
        """By stream key, what it was paused while it was ahead, in moments of this run: it stood
        still for none of it.
        """
        self.aside: dict[int, tuple[Span, ...]] = {}
        """By stream key, what was impossible for it in an earlier run, in moments that are to come
        again.
        """
        self.expiries: set[int] = set()
        """The same of streams whose expire_time it has set."""
        self.renewed: set[int] = set()
        """The keys of streams that somebody renewed while the time was not known: their ttl counts
        from when it is.
        """
        self.payments: dict[int, Payment] = {}
        self.largest_spendable_msat: int | None = None
        self.tally = Tally()
        self.wake: Callable[[], None] = lambda: None
        self._stamp = stamp
        self._wheel = Wheel()
        self._overdue: dict[int, int] = {}
        """Since when streams are due that have been looked at while nothing could be sent: with the
        turn that called them out of a line.
        """
        self.gate = Gate(self.slots, self.by_key)

    def add(self, stream: Stream) -> None:
        """Take a stream in, new or from the journal; schedule it afterwards."""
        self.streams[stream.id] = self.by_key[stream.key] = stream

    def restore(self, stream: Stream) -> None:
        """Take one in at a start: a destination that was ever paid is proven until it shows
        otherwise.
        """
        self.add(stream)
        if stream.account.settled_count:
            self.slots.prove(stream.terms.destination, self.slots.cap)

    def recall(self, stream: Stream) -> None:
        """Take back one that had left; only those in recalled stand behind newer ones."""
        self.add(stream)
        self.recalled[stream.key] = stream

    def remove(self, stream: Stream) -> bool:
        """Let an ended stream go, if nothing of it is open and nothing in here waits for it;
        whether it went.
        """
        if (
            self.by_key.get(stream.key) is not stream
            or stream.state not in ENDED
            or stream.reserved_msat
            or stream.key in self.gate
        ):
            return False
        del self.streams[stream.id], self.by_key[stream.key]
        self.recalled.pop(stream.key, None)
        self.stood.pop(stream.key, None)
        self.ahead.pop(stream.key, None)
        self.missed.pop(stream.key, None)
        self.aside.pop(stream.key, None)
        for known in (self.opened, self.paused, self.expiries, self.renewed):
            known.discard(stream.key)
        self.budgets.forget(stream)
        if stream.key in self._overdue:
            self._pass_turn_on(stream)
        return True

    def move_time(self, by_ns: int) -> None:
        """Our time has moved: who is due since earlier stays before who is due since later, who has
        waited since before the move too.
        """
        self._overdue = {key: due_ns + by_ns for key, due_ns in self._overdue.items()}
        self.gate.move_time(by_ns)
        self.singles.move_time(by_ns)
        self.slots.move_time(by_ns)
        self.rounds.move_waiting(self, by_ns)

    def take_tally(self) -> Tally:
        """What happened since the last call."""
        tally, self.tally = self.tally, Tally()
        tally.fix(self.by_key)
        return tally

    # -- when ---------------------------------------------------------------------------------

    def next_ns(self) -> int | None:
        """When a payment falls due: 0 if one waits already, None if none ever will."""
        if self.gate.ready or self._overdue or self._next_single() is not None:
            return 0
        moments = [
            moment
            for moment in (self._wheel.next_ns(), self.rounds.next_ns())
            if moment is not None
        ]
        return min(moments, default=None)

    @property
    def ready_streams(self) -> int:
        """Streams that are due and wait for room; those whose receiver holds a payment wait for
        that.
        """
        return len(self.gate)

    def due_ns(self, stream: Stream) -> int | None:
        """When the next payment of stream is due; None while it waits for something else."""
        account, state = stream.account, stream.state
        if state is StreamState.PENDING:
            return stream.terms.start_time_ns
        if (
            state not in (StreamState.ACTIVE, StreamState.STALLED)
            or stream.reason is Reason.IN_DOUBT
        ):
            return None
        # whatever else is open: a renewal waits for no payment's end
        if state is StreamState.STALLED and stream.short_of:
            return (
                self.rounds.renewal_ns(stream)
                if self.rounds.waits(stream)
                else stream.short_until_ns
            )
        if not self.may_open_another(stream):
            return None
        due, end_time = origin_ns(stream) + covered_ns(stream), stream.terms.end_time_ns
        if end_time is not None and due >= end_time:
            due = end_time
        elif account.seq:
            due = max(due, account.due_ns + stream.terms.min_payment_interval_ns)
        return max(due, account.next_attempt_ns)

    def next_attempt_ns(self, stream: Stream, now_ns: int) -> int | None:
        """The same for people: not the past, for one that is due and waits until the round of its
        API key goes on.
        """
        due, goes_on_ns = self.due_ns(stream), self.rounds.goes_on_ns(stream)
        return (
            due
            if due is None or due > now_ns or not self.rounds.waits(stream)
            else goes_on_ns or self.rounds.renewal_ns(stream)
        )

    def may_open_another(self, stream: Stream) -> bool:
        """Whether the open payments of stream leave it a place."""
        limit = (
            1
            if stream.account.streak or stream.state is StreamState.STALLED
            else stream.terms.max_open_payments
        )
        return stream.open_payments < limit and not (
            self.slots.doubtful and self.slots.doubts(stream.key) >= MAX_IN_DOUBT
        )

    def schedule(self, stream: Stream) -> None:
        """Put stream where it belongs: due at a moment, or waiting for something else."""
        if stream.key in self.gate and not self._stops_waiting(stream):
            return
        if stream.state in ENDED or stream.state is StreamState.CLOSING:
            self._wheel.cancel(stream.key)
            self.rounds.leave(stream)
            return
        self._schedule_at(stream, None if self.rounds.keeps(self, stream) else self.due_ns(stream))

    def _schedule_at(self, stream: Stream, moment: int | None, after_ns: int = 0) -> None:
        """At moment, or when its ttl or its end comes, if that is earlier: its end if that comes
        after after_ns.
        """
        if (
            stream.expire_time_ns
            and stream.state in RUNNING
            and (moment is None or stream.expire_time_ns < moment)
        ):
            moment = stream.expire_time_ns
        end_time = stream.terms.end_time_ns
        if (
            end_time is not None
            and end_time > after_ns
            and (moment is None or end_time < moment)
            and (self.gate.waits(stream.key) or self._end_of_waiting(stream) is not None)
        ):
            moment = end_time
        if moment is None:
            self._wheel.cancel(stream.key)
        else:
            self._wheel.schedule(stream.key, moment)

    def _stops_waiting(self, stream: Stream) -> bool:
        """Take stream out of its line if it may not pay any more; what else comes to it there comes
        in its time.
        """
        if not self.gate.waits(stream.key):
            return False
        if stream.state in RUNNING:
            self._schedule_at(stream, None)
            return False
        self.gate.leave(stream)
        return True

    def _end_of_waiting(self, stream: Stream) -> int | None:
        return (
            stream.terms.end_time_ns
            if stream.state in (StreamState.PAUSED, StreamState.STALLED)
            else None
        )

    # -- plan ---------------------------------------------------------------------------------

    def plan(self, now_ns: int, room: int, facts: Facts) -> list[Payment]:
        """At most room payments, earliest due first; their intents and what changed go into
        facts.
        """
        if obstacle.of_clock(self.shared) is not None:
            return []
        overdue, self._overdue = [(due_ns, key) for key, due_ns in self._overdue.items()], {}
        for entry in overdue + self._wheel.pop_due(now_ns, MOST_LOOKS):
            if entry[1] not in self.gate:
                self.gate.add(entry)
            elif self.gate.waits(entry[1]):
                self._look_at_line(self.by_key[entry[1]], now_ns, facts)
        self.rounds.look(now_ns)
        ready = self.gate.ready
        planned: list[Payment] = []
        while (
            room > len(planned)
            and len(facts.streams) < MOST_LOOKS
            and obstacle.of_daemon(self.shared) is None
        ):
            if self.rounds.go_on(self, ready[0][0] if ready else None, now_ns, facts):
                continue
            waiting = self._next_single()
            if waiting is not None and (not ready or waiting.due_ns <= ready[0][0]):
                payment = self._take_single(waiting, now_ns, facts)
            elif ready:
                payment = self._take_stream(heapq.heappop(ready), now_ns, facts)
            else:
                break
            if payment is not None:
                planned.append(payment)
        return planned

    def let_time_pass(self, now_ns: int, facts: Facts) -> bool:
        """Nothing may be sent, so nobody plans: what time alone does to streams takes effect all
        the same, for all to see.

        A ttl that ran out behind `sending stop` was shown as ACTIVE for days. What is due stays so
        until a plan is made again. True if there are more: at most MOST_LOOKS are looked at.
        """
        if not self.shared.time_known:
            return False
        passed = self.gate.take_ready(MOST_LOOKS) or self._wheel.pop_due(now_ns, MOST_LOOKS)
        for due_ns, key in passed:
            stream = self.by_key[key]
            if key in self.gate:
                self._look_at_line(stream, now_ns, facts)
                continue
            self.pass_time(stream, now_ns, facts)
            if stream.state in RUNNING:
                self._overdue.setdefault(key, due_ns)
                self._schedule_at(stream, None, now_ns)
            else:
                self.schedule(stream)
                self._pass_turn_on(stream)
        return len(passed) == MOST_LOOKS or bool(self.gate.ready)

    def _pass_turn_on(self, stream: Stream) -> None:
        """Stream will have no turn: if it was called out of its line for one, that is the next
        one's.

        Who was called while sending was stopped, and whose ttl ran out then, would else leave all
        behind it waiting for ever.
        """
        self._overdue.pop(stream.key, None)
        self.gate.call(stream.terms.destination, stream.api_key)

    def _look_at_line(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """The ttl or the end of a stream that waits in a line has come."""
        self.pass_time(stream, now_ns, facts)
        if self.gate.waits(stream.key) and stream.state in RUNNING:
            self._schedule_at(stream, None, now_ns)
        else:
            self.schedule(stream)

    def _next_single(self) -> Waiting | None:
        return self.singles.first(self.gate.has_turn) if self.singles else None

    def _take_single(self, waiting: Waiting, now_ns: int, facts: Facts) -> Payment | None:
        """Its turn has come: it is planned, or refused (its receiver holds one of ours, a budget is
        short).
        """
        order = waiting.order
        self.singles.remove(order.owner)
        if self.gate.refuses(order) is not Reason.NONE:
            return None
        payment = self.single(order, now_ns, facts)
        if payment is not None:
            facts.requests.extend(waiting.requests)
        return payment

    def _take_stream(self, entry: Entry, now_ns: int, facts: Facts) -> Payment | None:
        stream, payment = self.by_key[entry[1]], None
        if not self._must_wait(stream, entry, now_ns, facts):
            self.gate.done(stream.key)
            payment = self._take_turn(stream, now_ns, facts)
        self.gate.call(stream.terms.destination, stream.api_key)
        return payment

    def _take_turn(self, stream: Stream, now_ns: int, facts: Facts) -> Payment | None:
        called_ns = self.rounds.answer(self, stream, now_ns, facts)
        due = self.tick(stream, now_ns, facts)
        if due is None:
            self.schedule(stream)
            return None
        payment = self._pay(stream, max(due, called_ns), now_ns, facts)
        if payment is not None:
            facts.intents.append(payment)
        return payment

    def call_up(self, stream: Stream, due_ns: int) -> None:
        """Let stream enter the ready queue: there is money of its key for it."""
        if stream.key not in self.gate:
            self._wheel.cancel(stream.key)
            self.gate.add((due_ns, stream.key))

    def cap_msat(self, stream: Stream) -> int | None:
        """The largest payment that stream makes now; None: of any size."""
        return cap_msat(stream, self.largest_spendable_msat)

    def own_msat(self, stream: Stream, until_ns: int, now_ns: int) -> int | None:
        """What its own budget holds until then, with its renewals; None if it has none."""
        budget = self.budgets.own(stream, now_ns)
        if budget is None:
            return None
        end_ns, period_ns = budget.end_ns(), budget.period_ns
        if end_ns is None or period_ns is None or end_ns >= until_ns:
            return budget.room_msat()
        return budget.room_msat() + budget.limit_msat * (1 + (until_ns - end_ns - 1) // period_ns)

    def stands_in_line(self, stream: Stream) -> bool:
        """It could pay, and waits for room at the node or at its receiver, which holds nothing."""
        terms = stream.terms
        return self.gate.waits(stream.key) and not self.slots.holds(
            terms.destination, stream.api_key
        )

    def _must_wait(self, stream: Stream, entry: Entry, now_ns: int, facts: Facts) -> bool:
        """Let stream wait in its line, if there is one for it; and time take effect before, a
        renewed budget too, for all to see.
        """
        place = self.gate.place(stream) if stream.state in RUNNING else None
        if place is None or (
            self.tick(stream, now_ns, facts) is None and self.rounds.turn(stream) is None
        ):
            return False
        self.gate.park(entry, stream, place)
        self._schedule_at(stream, None)
        return True

    def _is_all_bought(self, stream: Stream, now_ns: int) -> bool:
        """Whether nothing is left that a payment could buy up to the end."""
        probe, has_end = stream.stalled_by is not Reason.NONE, stream.terms.end_time_ns is not None
        return (
            has_end
            and buy(stream, now_ns, probe, None, None, self.outages_of(stream)) is Nothing.ENDED
        )

    def pass_time(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """Let start, ttl, renewal and end take effect at their own moments, however late that is
        noticed; a wrong clock's are none.
        """
        if not self.shared.time_known or (
            # of most streams time alone changes nothing: this is asked three times a payment
            stream.state is StreamState.ACTIVE
            and stream.terms.end_time_ns is None
            and not (stream.expire_time_ns or stream.short_of)
            and self.budgets.key_end_ns(stream.api_key) is None
        ):
            return
        if stream.state is StreamState.PENDING and now_ns >= stream.terms.start_time_ns:
            self.enter(stream, Move.START, Reason.NONE, stream.terms.start_time_ns, facts)
        if stream.expire_time_ns and now_ns >= stream.expire_time_ns and stream.state in RUNNING:
            self.stop_time(stream, stream.expire_time_ns, Reason.TTL_EXPIRED, facts)
        key_end_ns = self.budgets.key_end_ns(stream.api_key)
        if key_end_ns is not None and now_ns >= key_end_ns and stream.state in RUNNING:
            # its streams are paused a thousand at a time: nothing is bought for one whose turn has
            # not come, nor after a crash in between
            self.stop_time(stream, max(key_end_ns, stream.state_time_ns), Reason.KEY_REVOKED, facts)
        if stream.short_of is Reason.BUDGET_PERIOD and self._has_renewed(stream, now_ns):
            self.look_at_budget(stream, now_ns, facts)
        elif stream.short_of is Reason.KEY_BUDGET_SPENT and self._has_come_to_its_end(
            stream, now_ns
        ):
            self._let_key_renew(stream, facts)
        if self._has_come_to_its_end(stream, now_ns) or self._has_ended(stream, now_ns):
            self.close(stream, StreamState.COMPLETED, Reason.END_TIME, now_ns, facts)

    def _has_renewed(self, stream: Stream, now_ns: int) -> bool:
        """Whether the renewal for which stream waits has come, and not after its end.

        Not only a plan looks: a stream whose budget renewed while its node was away is not STALLED
        at its end, and what it owes is paid.
        """
        end_time_ns, until_ns = stream.terms.end_time_ns, stream.short_until_ns
        lives = stream.state in RUNNING or stream.state is StreamState.PAUSED
        return lives and until_ns <= now_ns and (end_time_ns is None or until_ns <= end_time_ns)

    def _has_come_to_its_end(self, stream: Stream, now_ns: int) -> bool:
        end_time = self._end_of_waiting(stream)
        return end_time is not None and now_ns >= end_time

    def _let_key_renew(self, stream: Stream, facts: Facts) -> None:
        """At its end a stream is not STALLED if there was money of its key before, or a renewal
        that nobody has looked at yet.

        That looks first which is due first, the end or the round of the renewal: at the same moment
        it was the end, and all was dropped.
        """
        since_ns, end_time_ns = self.rounds.funded_ns(stream), stream.terms.end_time_ns
        if since_ns is None or end_time_ns is None or since_ns > end_time_ns:
            return
        if self.rounds.turn(stream) is None:
            # it comes back as one that is due, and is told if there is nothing for it
            self.rounds.leave(stream)
        self.is_funded(stream, since_ns, facts)

    def _has_ended(self, stream: Stream, now_ns: int) -> bool:
        """Whether an ACTIVE stream has nothing to pay at its end any more.

        It ends then, also where no plan looks at it: in a line, or while its node is away. Else
        what fails or settles after the end would decide what was impossible before it.
        """
        end_time_ns = stream.terms.end_time_ns
        if end_time_ns is None or now_ns < end_time_ns or stream.state is not StreamState.ACTIVE:
            return False
        return stream.open_payments == 0 and self._is_all_bought(stream, now_ns)

    def tick(self, stream: Stream, now_ns: int, facts: Facts) -> int | None:
        """Let time take effect, a renewed budget too; since when stream is due, None if it is
        not.
        """
        self.pass_time(stream, now_ns, facts)
        due = self.due_ns(stream)
        if due is not None and due <= now_ns and stream.short_of:
            self.look_at_budget(stream, now_ns, facts)
            due = self.due_ns(stream)
        return due if due is not None and due <= now_ns else None

    def next_purchase(self, stream: Stream, now_ns: int) -> tuple[Purchase | Nothing, Levels]:
        """What stream buys if it is planned now, and what bounds it."""
        levels = Levels(
            self.budgets.own(stream, now_ns),
            self.rounds.turn_msat(stream, now_ns),
            self.budgets.spend_limit.limit_msat,
        )
        probe, cap = (
            stream.state is StreamState.STALLED,
            cap_msat(stream, self.largest_spendable_msat),
        )
        return buy_within(stream, now_ns, probe, cap, levels, self.outages_of(stream)), levels

    def _pay(self, stream: Stream, due_ns: int, now_ns: int, facts: Facts) -> Payment | None:
        bought, levels = self.next_purchase(stream, now_ns)
        if isinstance(bought, Nothing):
            self._nothing(stream, bought, levels, due_ns, now_ns, facts)
            return None
        fee_limit = fee_limit_msat(
            bought.amount_msat, stream.terms.fee_floor_msat, stream.terms.fee_limit_ppm
        )
        if self.rounds.must_wait(
            self, stream, bought.amount_msat + fee_limit, due_ns, now_ns, facts
        ):
            if stream.state is StreamState.ACTIVE:  # its ttl may run out before its turn comes
                self._schedule_at(stream, None)
            return None
        if not self.shared.within_spend_limit(bought.amount_msat + fee_limit, now_ns, facts):
            self.gate.add((now_ns, stream.key))
            return None
        probe, sources = stream.state is StreamState.STALLED, self.outages_of(stream)
        payment = self._intend(stream, bought, fee_limit, probe, due_ns, now_ns)
        spans = stream.spans if probe else left(stream, now_ns, sources)
        if bought.skip_ns:
            self._skip(stream, bought, facts)
        if stream.short_since_ns:
            # a probe counts nothing
            spans = with_span(stream, stream.short_since_ns, now_ns) if probe else spans
        if spans != stream.spans or stream.short_since_ns:
            stream.spans, stream.short_since_ns = spans, 0
            facts.streams.append(stream)
        self.take_intent(stream, payment)
        self.rounds.planned(self, payment, stream)
        check_conservation(stream)
        if stream.expire_time_ns or self.may_open_another(stream):
            self.schedule(stream)
        return payment

    def _intend(
        self,
        stream: Stream,
        bought: Purchase,
        fee_limit: int,
        probe: bool,
        due_ns: int,
        now_ns: int,
    ) -> Payment:
        seq = stream.account.seq + 1
        who, name = (
            self._stamp(stream, stream.id, seq, bought.amount_msat),
            (next(self.shared.rows), seq),
        )
        payment = intents.of_stream(
            name, self.node, self.limits, stream, bought, fee_limit, probe, (due_ns, now_ns), who
        )
        self.budgets.stamp(payment)
        return payment

    def _skip(self, stream: Stream, bought: Purchase, facts: Facts) -> None:
        stretch = skipped_stretch(stream, covered_ns(stream), bought.skip_ns)
        stream.stretches = with_stretch(stream, stretch)
        stream.skipped_ns += bought.skip_ns
        self._note_skipped(stream, stretch[0], bought.skip_ns)
        stream.skipped_msat += bought.skip_msat
        stream.segments = bought.segments
        stream.stretches = not_passed(stream)
        facts.streams.append(stream)
        self.tally.skipped.append((stream, bought.skip_msat))

    def _note_skipped(self, stream: Stream, from_ns: int, length_ns: int) -> None:
        """Stream has skipped length_ns, from from_ns on: what of that lay in the gap may have been
        shorter (timeshift.py).
        """
        mark_ns, since_ns = self.gap
        in_gap_ns = min(length_ns, since_ns - max(from_ns, mark_ns))
        if in_gap_ns > 0:
            self.stood[stream.key] = self.stood.get(stream.key, 0) + in_gap_ns

    def take_intent(self, stream: Stream, payment: Payment) -> None:
        """Count a payment as planned: at plan, and again at replay, by the same code."""
        account = stream.account
        if payment.seq > account.seq:
            account.seq = payment.seq
            account.bought_until_ns, account.due_ns, account.owed_msat = (
                payment.bought_until_ns,
                payment.due_ns,
                0,
            )
            if not payment.probe:
                account.counted_until_ns = payment.planned_ns
        stream.reserved_msat += payment.amount_msat
        stream.reserved_fee_msat += payment.fee_limit_msat
        stream.open_payments += 1
        self.take_open(payment)

    def take_open(self, payment: Payment) -> None:
        """Count payment as open: reserved in the budgets, in the window."""
        self.budgets.reserve(payment)
        self.payments[payment.row] = payment
        self.slots.take(payment)

    def single(self, order: Single, now_ns: int, facts: Facts) -> Payment | None:
        """Plan one payment that belongs to no stream; None if the budget of its key or the spend
        limit does not allow it.
        """
        amount_msat, fee_limit = order.amount_msat, order.fee_limit_msat
        if obstacle.of_daemon(self.shared) or self.budgets.key_shortage(
            order.api_key, amount_msat + fee_limit, now_ns
        ):
            return None
        if not self.shared.within_spend_limit(amount_msat + fee_limit, now_ns, facts):
            return None
        who = (
            (order.payment_hash, b"", b"")
            if order.payment_request
            else self._stamp(None, order.owner, 0, amount_msat)
        )
        payment = intents.of_single(
            next(self.shared.rows), self.node, self.limits, order, now_ns, who
        )
        self.budgets.stamp(payment)
        self.take_open(payment)
        facts.intents.append(payment)
        return payment

    def _nothing(
        self, stream: Stream, why: Nothing, levels: Levels, due_ns: int, now_ns: int, facts: Facts
    ) -> None:
        end_time, own = stream.terms.end_time_ns, levels.own
        self.rounds.leave(stream)
        if why is Nothing.ENDED and end_time is not None:
            if now_ns < end_time:
                self._schedule_at(stream, end_time)
            elif stream.open_payments == 0:
                self.close(stream, StreamState.COMPLETED, Reason.END_TIME, now_ns, facts)
        elif levels.turn_msat is not None and not short(stream, own):
            # what was promised went to a late settlement
            self.rounds.refuse(self, stream, due_ns, now_ns, facts)
        elif own is not None and own.period_ns is not None:
            self.fall_short(stream, Reason.BUDGET_PERIOD, own.end_ns() or now_ns, now_ns, facts)
        elif stream.open_payments == 0:
            self.close(stream, StreamState.COMPLETED, Reason.BUDGET_SPENT, now_ns, facts)
        elif not stream.short_since_ns:
            # a total: it waits for what is reserved and may come back, which stalls nobody
            stream.short_since_ns = now_ns
            facts.streams.append(stream)
            self._schedule_at(
                stream, end_time if end_time is not None and end_time > now_ns else None
            )

    def look_at_budget(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """A budget that was empty may have renewed, or got money back. That of a key says so by a
        turn (rounds.py).
        """
        of_key = stream.short_of is Reason.KEY_BUDGET_SPENT
        budget = (
            self.budgets.of_key(stream.api_key, now_ns)
            if of_key
            else self.budgets.own(stream, now_ns)
        )
        if budget is None or not short(stream, budget):
            # a renewal ends the stall at its own moment, however late it is noticed; money of a key
            # is there with a turn only
            self.is_funded(
                stream,
                now_ns
                if of_key
                else min(now_ns, max(stream.short_until_ns, stream.short_since_ns)),
                facts,
            )
        elif of_key:
            return
        elif budget.period_ns is None:
            # it was made a total meanwhile, which does not renew: the plan ends the stream
            self.is_funded(stream, now_ns, facts)
        elif now_ns >= stream.short_until_ns:
            self.fall_short(stream, Reason.BUDGET_PERIOD, budget.end_ns() or now_ns, now_ns, facts)

    def note_room(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """Money came back to the stream's own budget, or that is another: if it was empty, it may
        hold a payment from now on.
        """
        if stream.short_of is Reason.BUDGET_PERIOD:
            self.look_at_budget(stream, now_ns, facts)
        elif (
            stream.short_since_ns
            and not stream.short_of
            and not short(stream, self.budgets.own(stream, now_ns))
        ):
            # a total: what comes now, until the plan, is our own queue
            self.end_span(stream, stream.short_since_ns, now_ns, facts)
            stream.short_since_ns = 0

    # -- states -------------------------------------------------------------------------------

    def enter(self, stream: Stream, move: Move, reason: Reason, now_ns: int, facts: Facts) -> None:
        """Change the state of stream by the table, with its reason and time. Raises AssertionError
        if that has no such move.
        """
        stream.state, stream.reason, stream.state_time_ns = (
            moved(stream.state, move),
            reason,
            now_ns,
        )
        facts.streams.append(stream)
        self.tally.changed.append(stream)

    def restate(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """Let a running stream be STALLED, by the first cause that holds, or ACTIVE: nobody else
        says which of them it is.
        """
        if stream.state not in (StreamState.ACTIVE, StreamState.STALLED):
            return
        reason = stall_reason(stream)
        if reason is Reason.NONE and stream.state is StreamState.STALLED:
            self.enter(stream, Move.RECOVER, Reason.NONE, now_ns, facts)
        elif reason is not Reason.NONE and (
            stream.state is StreamState.ACTIVE or stream.reason is not reason
        ):
            self.enter(stream, Move.STALL, reason, now_ns, facts)

    def fall_short(
        self, stream: Stream, of: Reason, until_ns: int, now_ns: int, facts: Facts
    ) -> None:
        """A budget (of) does not hold the minimum payment of stream: it is looked at again at
        until_ns.
        """
        stream.short_since_ns = stream.short_since_ns or now_ns
        stream.short_of, stream.short_until_ns = of, until_ns
        facts.streams.append(stream)
        self.restate(stream, now_ns, facts)
        self.schedule(stream)

    def is_funded(self, stream: Stream, since_ns: int, facts: Facts) -> None:
        """The budgets of stream hold money again, since since_ns."""
        if stream.short_of:
            self.end_span(stream, stream.short_since_ns, since_ns, facts)
            stream.short_of, stream.short_since_ns, stream.short_until_ns = Reason.NONE, 0, 0
            self._lifted(stream, since_ns, facts)

    def note_doubt(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """One more payment of stream is in doubt."""
        if self.slots.doubts(stream.key) >= MAX_IN_DOUBT and not stream.doubt_since_ns:
            stream.doubt_since_ns = now_ns
            facts.streams.append(stream)
            self.restate(stream, now_ns, facts)

    def note_less_doubt(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """A payment of stream has ended, or is doubtful no more."""
        if stream.doubt_since_ns and self.slots.doubts(stream.key) < MAX_IN_DOUBT:
            self.end_span(stream, stream.doubt_since_ns, now_ns, facts)
            stream.doubt_since_ns = 0
            self._lifted(stream, now_ns, facts)

    def _lifted(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """What stands above the row of failures has ended: stream is what the row makes it, which
        went on meanwhile.
        """
        if not stream.doubt_since_ns and not stream.short_of:
            stream.stalled_by = Reason.NONE
            self.note_row(stream)
        self.restate(stream, now_ns, facts)

    def note_row(self, stream: Stream) -> None:
        """Let a row of failures that is long enough stall stream, as soon as nothing above it
        does.
        """
        if not stream.stalled_by and stalls(
            stream.failing, stream.account.streak, self.limits.stall_after
        ):
            stream.stalled_by = stream.failing

    def end_span(self, stream: Stream, since_ns: int, now_ns: int, facts: Facts) -> None:
        """Keep a span of impossible time that has ended, until a plan counts it."""
        stream.spans = with_span(stream, since_ns, now_ns, self.may_return_ns(stream))
        facts.streams.append(stream)

    def stop_time(self, stream: Stream, at_ns: int, reason: Reason, facts: Facts) -> None:
        """Pause stream from at_ns on: what that costs is known when it goes on."""
        stream.paused_at_ns = at_ns
        # before the time was right for the first time there is no gap yet, and it lies in that
        if at_ns >= self.gap[1] > 0:
            self.paused.add(stream.key)
        stream.expire_time_ns = 0
        self.enter(stream, Move.PAUSE, reason, at_ns, facts)

    def may_return_ns(self, stream: Stream) -> int:
        """By how much what stream has bought may come to reach less far, should our time go
        forward: nothing of that is forgotten.
        """
        return self.ahead.get(stream.key, 0) + length_ns(self.missed.get(stream.key, ()))

    def count_pause(self, stream: Stream, now_ns: int) -> None:
        """Count what has stood still in the pause of stream until now, as time that may have been
        shorter (timeshift.py), if it may.

        A stream that is ahead stands still for less than it would have: by so much it is ahead no
        more. Should our time go forward again, over what it then has not bought, an hour that it
        was paused is not owed.
        """
        ahead_ns, before_ns = self.ahead.get(stream.key, 0), stream.paused_ns
        from_ns = max(stream.paused_at_ns, origin_ns(stream) + covered_ns(stream) - ahead_ns)
        end_pause(stream, now_ns, self.may_return_ns(stream))
        stood_ns = stream.paused_ns - before_ns
        if now_ns - stood_ns > from_ns:
            self.ahead[stream.key] = ahead_ns - (now_ns - stood_ns - from_ns)
            self.missed[stream.key] = (
                *self.missed.get(stream.key, ()),
                (from_ns, now_ns - stood_ns),
            )[-KEPT_SPANS:]
        if stood_ns and stream.key not in self.paused:
            self.stood[stream.key] = self.stood.get(stream.key, 0) + stood_ns

    def close(
        self, stream: Stream, ends_as: StreamState, reason: Reason, now_ns: int, facts: Facts
    ) -> None:
        """End stream: nothing new is paid; it has ended when nothing is open that may come back."""
        if reason is Reason.END_TIME and stream.terms.end_time_ns is not None:
            self._skip_at_end(stream, stream.terms.end_time_ns, now_ns, facts)
        stream.ends_as = ends_as
        self.enter(stream, Move.END, reason, now_ns, facts)
        stream.dropped_msat = dropped_msat(stream)
        self.settle_closing(stream, now_ns, facts)
        self.schedule(stream)

    def _skip_at_end(self, stream: Stream, end_time_ns: int, now_ns: int, facts: Facts) -> None:
        """What of the time up to the end was impossible beyond catch-up is skipped, and not
        dropped, though no plan is made any more.
        """
        if stream.state is StreamState.PAUSED:
            end_pause(stream, end_time_ns)
        skip, account = skip_at_end(stream, now_ns, self.outages_of(stream)), stream.account
        if skip is not None:
            self._skip(stream, skip, facts)
            account.bought_until_ns = max(skip.until_ns, account.bought_until_ns - skip.skip_ns)
            account.owed_msat = owed_by_price_msat(stream)
            check_conservation(stream)

    def settle_closing(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """Let a CLOSING stream end if nothing holds it any more."""
        if (
            stream.state is StreamState.CLOSING
            and stream.open_payments == 0
            and stream.ends_as is not None
        ):
            move = Move.COMPLETE if stream.ends_as is StreamState.COMPLETED else Move.CANCEL
            self.enter(stream, move, stream.reason, now_ns, facts)

    def outages_of(self, stream: Stream) -> Sources:
        """All spans in which paying stream was impossible, but for those of its own account."""
        held = self.holds.of((stream.terms.destination, stream.api_key)) if self.holds else None
        return self._sources if held is None else (*self._sources, held)

    def moved(self, payment: Payment, now_ns: int, facts: Facts) -> None:
        """What payment takes has changed: its receiver holds it now or no more, and who waited for
        its room may go on.
        """
        pair = (payment.destination, payment.api_key)
        self.holds.follow(pair, self.slots.holds(*pair), now_ns, facts)
        self.gate.call(*pair)

    def may_send(self, payment: Payment, now_ns: int) -> bool:
        """Whether payment may be handed to the node now: by the switch, and by its stream's state;
        a single one's by its key.
        """
        above = obstacle.of_daemon(self.shared) or obstacle.of_clock(self.shared)
        return (
            above is None
            and obstacle.of_payment(
                payment, self.by_key.get(payment.stream_key), self.budgets, now_ns
            )
            is None
        )

    def obstacle(self, stream: Stream, above: Obstacle | None, now_ns: int) -> Obstacle | None:
        """What keeps stream from being paid now; above: what keeps its node from it
        (obstacle.to_plan).
        """
        return obstacle.of_stream(stream, self, above, now_ns)


def stall_reason(stream: Stream) -> Reason:
    """What stalls stream: doubt before an empty budget before a row of failures (docs/streams.md);
    NONE if nothing does.
    """
    return Reason.IN_DOUBT if stream.doubt_since_ns else stream.short_of or stream.stalled_by
