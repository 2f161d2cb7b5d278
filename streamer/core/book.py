"""All streams of one node in memory: which payments are to be made now.

`plan` turns due streams into payments as late as possible and reserves their money. It only changes
memory and says in `Facts` what must be durable; nothing here waits, and time is an argument. What
the ends of payments mean is in ends.py, what a person does to a stream in lifecycle.py: both on
this book.
"""

from __future__ import annotations

import heapq

from streamer.core import intents
from streamer.core.buying import Levels, Nothing, Purchase, buy_within, cap_msat, impossible_ns, short
from streamer.core.ledger import Budget, fee_limit_msat
from streamer.core.outages import Outages
from streamer.core.schedule import price_msat
from streamer.core.shared import Limits, Shared, Stamp, Tally
from streamer.core.singles import Singles, Waiting
from streamer.core.slots import Entry, Slots
from streamer.core.streamtime import check_conservation, covered_ns, end_ns, origin_ns
from streamer.core.wheel import Wheel
from streamer.model import ENDED, Facts, Payment, Single, Stream, StreamState
from streamer.money import SECOND_NS
from streamer.reasons import Reason

__all__ = ["MAX_IN_DOUBT", "RUNNING", "Book", "Limits", "Shared", "Stamp", "Tally"]

MAX_IN_DOUBT = 3
"""Payments of one stream that may be in doubt before it stalls (DESIGN.md, section 4)."""
HOLD_RECHECK_NS = 5 * SECOND_NS
"""How often a stream looks again whether its destination still holds a payment."""
KEY_RECHECK_NS = 10 * SECOND_NS
"""How often a stream looks again whether reserves of its API key's budget came back."""
BUDGETS = frozenset({Reason.BUDGET_PERIOD, Reason.KEY_BUDGET_SPENT})
"""The reasons of a stall that ends without a probe: there is money again, or not."""
RUNNING = frozenset({StreamState.PENDING, StreamState.ACTIVE, StreamState.STALLED})
"""The states in which time passes for a stream and payments may fall due."""


class Book:
    """The streams of one node and their open payments."""

    def __init__(self, node: str, limits: Limits, shared: Shared, stamp: Stamp) -> None:
        self.node = node
        self.limits = limits
        self.shared = shared
        self.budgets = shared.budgets
        self.outages = Outages(node, shared.outages)
        self.slots = Slots(limits.max_in_flight_per_destination)
        self.singles = Singles()
        self.streams: dict[str, Stream] = {}
        self.by_key: dict[int, Stream] = {}
        self.recalled: dict[int, Stream] = {}
        self.payments: dict[int, Payment] = {}
        self.largest_spendable_msat: int | None = None
        self.tally = Tally()
        self._stamp = stamp
        self._wheel = Wheel()
        self._ready: list[Entry] = []
        self._queued: set[int] = set()

    def add(self, stream: Stream) -> None:
        """Take a stream in, new or from the journal; schedule it afterwards."""
        self.streams[stream.id] = self.by_key[stream.key] = stream

    def recall(self, stream: Stream) -> None:
        """Take back one that had left; only those in recalled stand behind newer ones."""
        self.add(stream)
        self.recalled[stream.key] = stream

    def remove(self, stream: Stream) -> bool:
        """Let an ended stream go, if nothing of it is open and nothing in here waits for it; whether it went."""
        if self.by_key.get(stream.key) is not stream or stream.state not in ENDED or stream.reserved_msat or stream.key in self._queued:
            return False
        del self.streams[stream.id], self.by_key[stream.key]
        self.recalled.pop(stream.key, None)
        self.budgets.forget(stream)
        return True

    def take_tally(self) -> Tally:
        """What happened since the last call."""
        tally, self.tally = self.tally, Tally()
        return tally

    # -- when ---------------------------------------------------------------------------------

    def next_ns(self) -> int | None:
        """When a payment falls due: 0 if one waits already, None if none ever will."""
        return 0 if self._ready or self._next_single() is not None else self._wheel.next_ns()

    @property
    def ready_streams(self) -> int:
        """Streams that are due and wait for room."""
        return len(self._queued)

    def due_ns(self, stream: Stream) -> int | None:
        """When the next payment of stream is due; None while it waits for something else."""
        account, state = stream.account, stream.state
        if state is StreamState.PENDING:
            return stream.terms.start_time_ns
        if state not in (StreamState.ACTIVE, StreamState.STALLED) or not self._may_open_another(stream):
            return None
        due, end_time = origin_ns(stream) + covered_ns(stream), stream.terms.end_time_ns
        if end_time is not None and due >= end_time:
            due = end_time
        elif account.seq:
            due = max(due, account.due_ns + stream.terms.min_payment_interval_ns)
        return max(due, account.next_attempt_ns)

    def _may_open_another(self, stream: Stream) -> bool:
        limit = 1 if stream.account.streak or stream.state is StreamState.STALLED else stream.terms.max_open_payments
        return stream.open_payments < limit and self.slots.doubts(stream.key) < MAX_IN_DOUBT

    def schedule(self, stream: Stream) -> None:
        """Put stream where it belongs: due at a moment, or waiting for something else."""
        if stream.key in self._queued:
            return
        if stream.state in ENDED or stream.state is StreamState.CLOSING:
            self._wheel.cancel(stream.key)
            return
        moment = self.due_ns(stream)
        if stream.expire_time_ns and stream.state in RUNNING and (moment is None or stream.expire_time_ns < moment):
            moment = stream.expire_time_ns
        end_time = self._end_of_waiting(stream)
        if end_time is not None and (moment is None or end_time < moment):
            moment = end_time
        if moment is None:
            self._wheel.cancel(stream.key)
        else:
            self._wheel.schedule(stream.key, moment)

    def _end_of_waiting(self, stream: Stream) -> int | None:
        return stream.terms.end_time_ns if stream.state in (StreamState.PAUSED, StreamState.STALLED) else None

    # -- plan ---------------------------------------------------------------------------------

    def plan(self, now_ns: int, room: int, facts: Facts) -> list[Payment]:
        """At most room payments, earliest due first; their intents and what changed go into facts."""
        for entry in self._wheel.pop_due(now_ns):
            self._enqueue(entry)
        planned: list[Payment] = []
        while room > len(planned) and self.shared.switch.sending:
            waiting = self._next_single()
            if waiting is not None and (not self._ready or waiting.due_ns <= self._ready[0][0]):
                payment = self._take_single(waiting, now_ns, facts)
            elif self._ready:
                payment = self._take_stream(heapq.heappop(self._ready), now_ns, facts)
            else:
                break
            if payment is not None:
                planned.append(payment)
        return planned

    def _next_single(self) -> Waiting | None:
        return self.singles.first(self.slots.full) if self.singles else None

    def _take_single(self, waiting: Waiting, now_ns: int, facts: Facts) -> Payment | None:
        """Its turn has come: it is planned, or refused (its receiver holds one of ours, a budget is short)."""
        self.singles.remove(waiting.order.owner)
        if self.slots.holds(waiting.order.destination):
            return None
        payment = self.single(waiting.order, now_ns, facts)
        if payment is not None:
            facts.requests.extend(waiting.requests)
        return payment

    def _take_stream(self, entry: Entry, now_ns: int, facts: Facts) -> Payment | None:
        stream = self.by_key[entry[1]]
        if self._must_wait(stream, entry, now_ns):
            return None
        self._queued.discard(stream.key)
        due, payment = self.tick(stream, now_ns, facts), None
        if due is not None:
            payment = self._pay(stream, due, now_ns, facts)
        else:
            self.schedule(stream)
        if payment is None:
            self._let_next(stream.terms.destination)
        else:
            facts.intents.append(payment)
        return payment

    def _enqueue(self, entry: Entry) -> None:
        heapq.heappush(self._ready, entry)
        self._queued.add(entry[1])

    def _must_wait(self, stream: Stream, entry: Entry, now_ns: int) -> bool:
        destination = stream.terms.destination
        if stream.state not in RUNNING:
            return False
        if self.slots.holds(destination):
            self._queued.discard(stream.key)
            self._wheel.schedule(stream.key, now_ns + HOLD_RECHECK_NS)
            self._let_next(destination)
            return True
        if self.slots.full(destination):
            self.slots.park(destination, entry)
            return True
        return False

    def _let_next(self, destination: bytes) -> None:
        """A stream took no room at its destination after all: one that is parked for it may go on."""
        entry = self.slots.unpark(destination)
        if entry is not None:
            heapq.heappush(self._ready, entry)

    def pass_time(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """Let start, ttl and end take effect at their own moments, however late that is noticed."""
        if stream.state is StreamState.PENDING and now_ns >= stream.terms.start_time_ns:
            self.enter(stream, StreamState.ACTIVE, Reason.NONE, stream.terms.start_time_ns, facts)
        if stream.expire_time_ns and now_ns >= stream.expire_time_ns and stream.state in RUNNING:
            self.stop_time(stream, stream.expire_time_ns, Reason.TTL_EXPIRED, facts)
        end_time = self._end_of_waiting(stream)
        if end_time is not None and now_ns >= end_time:
            self.close(stream, StreamState.COMPLETED, Reason.END_TIME, now_ns, facts)

    def tick(self, stream: Stream, now_ns: int, facts: Facts) -> int | None:
        """Let time take effect, a renewed budget too; since when stream is due, None if it is not."""
        self.pass_time(stream, now_ns, facts)
        due = self.due_ns(stream)
        if due is None or due > now_ns:
            return None
        if stream.reason is Reason.BUDGET_PERIOD:
            self.enter(stream, StreamState.ACTIVE, Reason.NONE, now_ns, facts)
        return due

    def _pay(self, stream: Stream, due_ns: int, now_ns: int, facts: Facts) -> Payment | None:
        levels = Levels(self.budgets.own(stream, now_ns), self.budgets.of_key(stream.api_key, now_ns), self.budgets.spend_limit.limit_msat)
        if stream.reason is Reason.KEY_BUDGET_SPENT and not short(stream, levels.key):
            self.enter(stream, StreamState.ACTIVE, Reason.NONE, now_ns, facts)
        probe = stream.state is StreamState.STALLED
        outages = (self.outages, self.shared.outages)
        bought = buy_within(stream, now_ns, probe, cap_msat(stream, self.largest_spendable_msat), levels, outages)
        if isinstance(bought, Nothing):
            self._nothing(stream, bought, levels, now_ns, facts)
            return None
        fee_limit = fee_limit_msat(bought.amount_msat, stream.terms.fee_floor_msat, stream.terms.fee_limit_ppm)
        if not self.shared.within_spend_limit(bought.amount_msat + fee_limit, now_ns, facts):
            self._enqueue((now_ns, stream.key))
            return None
        payment = self._intend(stream, bought, fee_limit, probe, due_ns, now_ns)
        if bought.skip_ns:
            self._skip(stream, bought, facts)
        elif stream.carried_outage_ns and not probe:
            facts.streams.append(stream)
        self.take_intent(stream, payment)
        check_conservation(stream)
        if stream.expire_time_ns or self._may_open_another(stream):
            self.schedule(stream)
        return payment

    def _intend(self, stream: Stream, bought: Purchase, fee_limit: int, probe: bool, due_ns: int, now_ns: int) -> Payment:
        seq = stream.account.seq + 1
        who, name = self._stamp(stream, stream.id, seq, bought.amount_msat), (next(self.shared.rows), seq)
        payment = intents.of_stream(name, self.node, self.limits, stream, bought, fee_limit, probe, (due_ns, now_ns), who)
        self.budgets.stamp(payment)
        return payment

    def _skip(self, stream: Stream, bought: Purchase, facts: Facts) -> None:
        stream.skipped_ns += bought.skip_ns
        stream.skipped_msat += bought.skip_msat
        stream.segments = bought.segments
        facts.streams.append(stream)
        self.tally.skipped.append((stream, bought.skip_msat))

    def take_intent(self, stream: Stream, payment: Payment) -> None:
        """Count a payment as planned: at plan, and again at replay, by the same code."""
        account = stream.account
        if payment.seq > account.seq:
            account.seq = payment.seq
            account.bought_until_ns, account.due_ns, account.owed_msat = payment.bought_until_ns, payment.due_ns, 0
            if not payment.probe:
                account.counted_until_ns = payment.planned_ns
                stream.carried_outage_ns = 0
                if account.failing_until_ns:
                    account.failing_since_ns = account.failing_until_ns = 0
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
        """Plan one payment that belongs to no stream; None if the budget of its key or the spend limit does not allow it."""
        amount_msat, fee_limit = order.amount_msat, order.fee_limit_msat
        if not self.shared.switch.sending or self.budgets.key_shortage(order.api_key, amount_msat + fee_limit, now_ns):
            return None
        if not self.shared.within_spend_limit(amount_msat + fee_limit, now_ns, facts):
            return None
        who = (order.payment_hash, b"", b"") if order.payment_request else self._stamp(None, order.owner, 0, amount_msat)
        payment = intents.of_single(next(self.shared.rows), self.node, self.limits, order, now_ns, who)
        self.budgets.stamp(payment)
        self.take_open(payment)
        facts.intents.append(payment)
        return payment

    def _nothing(self, stream: Stream, why: Nothing, levels: Levels, now_ns: int, facts: Facts) -> None:
        end_time, own = stream.terms.end_time_ns, levels.own
        if why is Nothing.ENDED and end_time is not None:
            if now_ns < end_time:
                self._wheel.schedule(stream.key, end_time)
            elif stream.open_payments == 0:
                self.close(stream, StreamState.COMPLETED, Reason.END_TIME, now_ns, facts)
        elif levels.key is not None and short(stream, levels.key) and not short(stream, own):
            self._key_spent(stream, levels.key, now_ns, facts)
        elif own is not None and own.period_ns is not None:
            self.stall(stream, Reason.BUDGET_PERIOD, own.end_ns() or now_ns, now_ns, facts)
        elif stream.open_payments == 0:
            self.close(stream, StreamState.COMPLETED, Reason.BUDGET_SPENT, now_ns, facts)

    def _key_spent(self, stream: Stream, key: Budget, now_ns: int, facts: Facts) -> None:
        """Wait for the budget of its key: for what is reserved and may come back, then for its renewal; a total ends the stream."""
        again = [moment for moment in (key.end_ns(), now_ns + KEY_RECHECK_NS if key.reserved_msat else None) if moment is not None]
        if not again:
            self.close(stream, StreamState.COMPLETED, Reason.KEY_BUDGET_SPENT, now_ns, facts)
        elif stream.reason is Reason.KEY_BUDGET_SPENT and key.reserved_msat:
            self._wheel.schedule(stream.key, min(again))
        elif stream.reason is Reason.KEY_BUDGET_SPENT:
            stream.account.next_attempt_ns = min(again)
            facts.accounts.append(stream)
            self.schedule(stream)
        else:
            self.stall(stream, Reason.KEY_BUDGET_SPENT, min(again), now_ns, facts)

    # -- states -------------------------------------------------------------------------------

    def enter(self, stream: Stream, state: StreamState, reason: Reason, now_ns: int, facts: Facts) -> None:
        """Change the state of stream, with its reason and time."""
        if stream.reason in BUDGETS and state is StreamState.ACTIVE:
            stream.account.failing_until_ns = now_ns
            stream.account.next_attempt_ns = 0
        stream.state, stream.reason, stream.state_time_ns = state, reason, now_ns
        facts.streams.append(stream)
        self.tally.changed.append(stream)

    def stall(self, stream: Stream, reason: Reason, next_attempt_ns: int, now_ns: int, facts: Facts) -> None:
        """Paying this stream is impossible until its next attempt settles."""
        stream.account.next_attempt_ns = next_attempt_ns
        self.begin_row(stream, now_ns, facts)
        self.enter(stream, StreamState.STALLED, reason, now_ns, facts)
        self.schedule(stream)

    def begin_row(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """Paying is impossible from now on, if it was not before; a row that has ended is not forgotten."""
        account = stream.account
        if account.failing_until_ns:
            self.carry_outage(stream, now_ns)
            account.failing_since_ns = account.failing_until_ns = 0
            facts.streams.append(stream)
        account.failing_since_ns = account.failing_since_ns or now_ns

    def carry_outage(self, stream: Stream, until_ns: int) -> None:
        """Put impossible time before until_ns that no plan has counted on record, for the next one."""
        stream.carried_outage_ns = impossible_ns(stream, until_ns, (self.outages, self.shared.outages))
        stream.account.counted_until_ns = max(stream.account.counted_until_ns, until_ns)

    def stop_time(self, stream: Stream, at_ns: int, reason: Reason, facts: Facts) -> None:
        """Pause stream from at_ns on."""
        self.carry_outage(stream, at_ns)
        stream.paused_at_ns = at_ns
        stream.expire_time_ns = 0
        self.enter(stream, StreamState.PAUSED, reason, at_ns, facts)

    def close(self, stream: Stream, ends_as: StreamState, reason: Reason, now_ns: int, facts: Facts) -> None:
        """End stream: nothing new is paid; it has ended when nothing is open that may come back."""
        left = stream.account.owed_msat
        ends_ns = end_ns(stream, now_ns)
        if reason is Reason.END_TIME and ends_ns is not None:
            left = price_msat(stream.segments, ends_ns) - stream.account.settled_msat - stream.reserved_msat
        stream.dropped_msat += max(0, left)
        stream.ends_as = ends_as
        self.enter(stream, StreamState.CLOSING, reason, now_ns, facts)
        self.settle_closing(stream, now_ns, facts)
        self.schedule(stream)

    def settle_closing(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """Let a CLOSING stream end if nothing holds it any more."""
        if stream.state is StreamState.CLOSING and stream.open_payments == 0 and stream.ends_as is not None:
            self.enter(stream, stream.ends_as, stream.reason, now_ns, facts)

    def leave_window(self, payment: Payment) -> None:
        """Free its place in the window, once; a stream parked for its destination goes on."""
        entry = self.slots.leave(payment)
        if entry is not None:
            heapq.heappush(self._ready, entry)

    def may_send(self, payment: Payment, now_ns: int) -> bool:
        """Whether payment may be handed to the node now: by the switch, and by its stream's state; a single one's by its key."""
        if not self.shared.switch.sending:
            return False
        stream = self.by_key.get(payment.stream_key)
        if stream is None:
            return not self.budgets.key_ended(payment.api_key, now_ns)
        return stream.state in (StreamState.ACTIVE, StreamState.STALLED)
