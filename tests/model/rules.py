"""What a stream means, a second time: a plain model of its rules, written from their text and not
from the core.

It keeps what happened with its moments and works out the rest when it is asked: stream time from
the spans of wall time that do not count, the outage from spans of impossible time. It is slow,
knows one node and no crash, and is driven beside the core by `compare.py`: where the two differ,
the text decides which of them is wrong.

Where the text has two readings, these are meant; none of them pays anything twice:
- A budget is empty for as long as it does not hold the minimum payment: a period that begins ends a
  stall only if it does, and so does a change of the budget. What waits then, until a plan, waits in
  our own queue.
- A pause moves no renewal, and one that comes in a pause is one. A renewal that comes with the end
comes before it.
- A total budget that waits for what is reserved is impossible time, until it has room again.
- At the end an ACTIVE stream to which nothing is owed beyond the skip has ended: it waits for what
is open, but for no back-off.
- The gap ends at the end. If the end is put off, the time after it was in no gap, and what was
impossible of it counts.
- A last remainder that does not fit whole leaves a minimum payment for itself; where that is not
  possible, as much of it as fits goes into the payment before ("the largest payment that fits is
  made").
- What a new rate replaces is owed no more; what failed of the time before is, and is dropped if it
is never paid.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streamer.core.retry import DEFAULT_BACKOFF_NS, FIRST_BACKOFF_NS, MAX_BACKOFF_NS
from streamer.words.model import ENDED, Rate, StreamState, Terms
from streamer.words.reasons import Reason
from tests.model.nouns import Node, Paid, Purchase, Receiver
from tests.model.prices import Piece, Prices
from tests.model.spans import Causes, Span, length, oldest, union, within, without

MOST_IN_DOUBT = 3
ROW, DOUBT, BUDGET, HOLDS = "row", "doubt", "budget", "holds"
RUNNING = frozenset({StreamState.ACTIVE, StreamState.STALLED})
LOWERS_CAP = frozenset({Reason.NO_ROUTE, Reason.NO_LIQUIDITY})


class Stream:
    """One standing order; every moment is wall time but those that are said to be stream time."""

    def __init__(self, node: Node, terms: Terms, now: int) -> None:
        self.node, self.terms, self.receiver = node, terms, Receiver()
        self.prices = Prices((Piece(0, terms.rate),))
        self.state, self.reason = StreamState.PENDING, Reason.NONE
        self.ends_as = StreamState.COMPLETED
        self.payments: list[Paid] = []
        self.settled = self.reserved = self.bought_until = self.skipped = self.skipped_msat = 0
        self.gone: list[Span] = []
        self.counted: list[Span] = []
        self.causes = Causes()
        self.paused_at = self.next_attempt = self.budget_until = self.streak = 0
        self.last_reason = Reason.NONE
        self.row_stalled = self.was_higher = False
        self.cap: int | None = None
        self.target: int | None = None
        self.expire = 0
        self.renewed(now)
        self.pass_time(now)

    # -- time -----------------------------------------------------------------------------------

    def gone_until(self, now: int) -> list[Span]:
        """What is no stream time: skipped, or a pause, which begins where the bought time ends."""
        if self.state is not StreamState.PAUSED:
            return self.gone
        return union([*self.gone, (max(self.paused_at, self.wall(self.covered())), now)])

    def stream_at(self, moment: int, now: int) -> int:
        return (
            moment - self.terms.start_time_ns - length(within(self.gone_until(now), [(0, moment)]))
        )

    def wall(self, moment: int) -> int:
        """When this moment of stream time is or was."""
        at = self.terms.start_time_ns + moment
        for start, end in self.gone:
            at += end - start if start <= at else 0
        return at

    def covered(self) -> int:
        """Stream time: the last payment's bought until, unless something failed or settled late
        since.
        """
        paid = self.settled + self.reserved
        return (
            self.bought_until
            if self.prices.price(self.bought_until) == paid
            else self.prices.moment(paid)
        )

    def paid_until(self) -> int:
        """Stream time that is settled."""
        return self.prices.moment(self.settled) if self.reserved else self.covered()

    def gap(self, now: int) -> list[Span]:
        """The unpaid time until now, or until the end."""
        last = now if self.terms.end_time_ns is None else min(now, self.terms.end_time_ns)
        return without([(self.wall(self.covered()), last)], self.gone_until(now))

    def skip_due(self, now: int) -> int:
        """skip = max(0, min(outage, gap - catch_up)); the outage is what no plan has counted."""
        if self.terms.catch_up_ns is None:
            return 0
        gap = self.gap(now)
        impossible = union([*self.causes.until(now), *self.node.outages.until(now)])
        return max(
            0,
            min(
                length(without(within(impossible, gap), self.counted)),
                length(gap) - self.terms.catch_up_ns,
            ),
        )

    # -- what time brings -------------------------------------------------------------------------

    def pass_time(self, now: int) -> None:
        """Start, ttl, renewal of the budget and end, each at its moment and in their order."""
        while True:
            due = [
                (moment, order, act)
                for order, (moment, act) in enumerate(self.appointments())
                if moment <= now
            ]
            due = [
                appointment
                for appointment in due
                if appointment[2] != self.end or self.ends_at(appointment[0])
            ]
            if not due:
                return
            moment, _, act = min(due)
            act(moment)

    def appointments(self) -> list[tuple[int, Any]]:
        coming: list[tuple[int, Any]] = []
        if self.state is StreamState.PENDING:
            coming.append((self.terms.start_time_ns, self.started))
        if self.budget_until:
            coming.append((self.budget_until, self.look_at_budget))
        end = self.terms.end_time_ns
        if end is not None and self.state not in (StreamState.PENDING, StreamState.CLOSING, *ENDED):
            coming.append((end, self.end))
        if self.expire and self.state in RUNNING:
            coming.append((self.expire, self.expired))
        return coming

    def ends_at(self, end: int) -> bool:
        """Whether nothing is paid any more when the end has come: stalled, paused, or nothing left
        that a payment could buy.

        What is owed is still paid after the end, by the same rules: what may come back is waited
        for, but no back-off if nothing is owed: the gap ends at the end, and waiting would change
        nothing.
        """
        if self.state is not StreamState.ACTIVE:
            return True
        may_come_back = any(payment.takes_place for payment in self.payments)
        return (
            not may_come_back
            and self.owed_at(end, self.skip_due(end))[1] < self.terms.min_payment_msat
        )

    def owed_at(self, end: int, skip: int) -> tuple[Prices, int]:
        """The prices after a skip, and what is unpaid until the end."""
        prices = self.prices.remove(self.covered(), skip)
        return (
            prices,
            prices.price(max(0, self.stream_at(end, end) - skip)) - self.settled - self.reserved,
        )

    def started(self, now: int) -> None:
        self.state = StreamState.ACTIVE
        self.update(now)

    def look_at_budget(self, now: int) -> None:
        """Its period is over, its terms are new, or money came back: is it empty still ("not even
        the minimum fits")?

        A budget that no renewal fills goes on being empty, and that is no time in our own queue; so
        does one that became smaller.
        """
        if BUDGET not in self.causes.since:
            return
        if self.largest(now, self.most()) >= self.terms.min_payment_msat:
            self.budget_until = 0
            self.causes.hold(BUDGET, False, now)
        elif self.budget_until and self.budget_until <= now:
            self.budget_until = self.period_end(now)
        self.update(now)

    def expired(self, now: int) -> None:
        self.pause(now, Reason.TTL_EXPIRED)

    def end(self, now: int) -> None:
        skip, covered = self.skip_due(now), self.covered()
        # else the last payment's bought until stays: what was paid beyond it by a late settlement
        # may yet go back
        if skip:
            self.use_skip(now, skip)
            self.bought_until = max(covered, self.bought_until - skip)
        owed = self.owed_at(now, 0)[1]
        self.close(now, StreamState.COMPLETED, Reason.END_TIME, self.settled + self.reserved + owed)

    def close(self, now: int, ends_as: StreamState, reason: Reason, target: int) -> None:
        """target: what would have been paid; what does not settle of it is dropped."""
        self.state, self.reason, self.ends_as = StreamState.CLOSING, reason, ends_as
        self.target, self.expire, self.budget_until = target, 0, 0
        self.update(now)

    @property
    def dropped(self) -> int:
        return 0 if self.target is None else max(0, self.target - self.settled - self.reserved)

    # -- what holds -------------------------------------------------------------------------------

    def open_payments(self) -> list[Paid]:
        return [payment for payment in self.payments if payment.state == "open"]

    def higher(self) -> Reason:
        """The reason of a stall that comes before any failure."""
        if sum(payment.doubt for payment in self.open_payments()) >= MOST_IN_DOUBT:
            return Reason.IN_DOUBT
        return Reason.BUDGET_PERIOD if self.budget_until else Reason.NONE

    def update(self, now: int) -> None:
        """State, reason and impossible time follow from what is open and what failed."""
        higher = self.higher()
        self.causes.hold(DOUBT, higher is Reason.IN_DOUBT, now)
        self.causes.hold(HOLDS, any(payment.held for payment in self.open_payments()), now)
        if self.was_higher and not higher:
            self.row_stalled = self.row_reached()
        self.was_higher = bool(higher)
        if self.state in RUNNING:
            reason = higher or (self.last_reason if self.row_stalled else Reason.NONE)
            self.state, self.reason = (
                (StreamState.STALLED if reason else StreamState.ACTIVE),
                reason,
            )
        if self.state is StreamState.CLOSING and not any(
            payment.takes_place for payment in self.payments
        ):
            self.state = self.ends_as

    def row_reached(self) -> bool:
        return bool(self.streak) and self.streak >= self.node.limit(self.last_reason)

    # -- what people do ---------------------------------------------------------------------------

    def ended(self, now: int) -> bool:
        self.pass_time(now)
        return self.state is StreamState.CLOSING or self.state in ENDED

    def pause(self, now: int, reason: Reason = Reason.USER) -> None:
        if self.state in (StreamState.PENDING, *RUNNING):
            self.state, self.reason, self.paused_at, self.expire = (
                StreamState.PAUSED,
                reason,
                now,
                0,
            )

    def resume(self, now: int) -> None:
        """Time goes on; only the waiting time is forgotten, of a stall for a failure, too. A higher
        one stays.
        """
        if self.state is StreamState.PAUSED:
            self.gone = self.gone_until(now)
            self.next_attempt = 0
            self.row_stalled = self.row_stalled or (not self.higher() and self.row_reached())
            self.state = (
                StreamState.PENDING if now < self.terms.start_time_ns else StreamState.ACTIVE
            )
            self.renewed(now)
            self.update(now)
        elif self.state in RUNNING and not self.higher():
            self.next_attempt = min(self.next_attempt, now)

    def renewed(self, now: int) -> None:
        if self.terms.ttl_ns is not None and self.state in (StreamState.PENDING, *RUNNING):
            self.expire = max(now, self.terms.start_time_ns) + self.terms.ttl_ns

    def cancel(self, now: int) -> None:
        self.close(now, StreamState.CANCELLED, Reason.USER, self.prices.price(self.bought_until))

    def change(self, now: int, **changes: Any) -> None:
        """New terms; a new rate starts where the covered time ends, or now if that is later."""
        if "rate" in changes:
            self.new_rate(now, changes["rate"])
        self.terms = replace(self.terms, **changes)
        if "budget" in changes:
            self.look_at_budget(now)

    def new_rate(self, now: int, rate: Rate) -> None:
        if rate == self.terms.rate:
            return
        start = max(self.covered(), self.stream_at(now, now))
        # "unpaid time keeps the rate it had": what failed of it is owed, or dropped
        self.bought_until = min(self.bought_until, start)
        self.prices = self.prices.with_rate(start, rate)

    # -- what becomes of payments ------------------------------------------------------------------

    def settle(self, payment: Paid, fee: int, now: int) -> None:
        """Of an open payment, or late of a failed one: the row of failures ends."""
        was_open = payment.state == "open"
        self.reserved -= payment.amount if was_open else 0
        self.settled += payment.amount
        payment.state, payment.fee = "settled", fee
        if was_open:
            self.receiver.ended(payment, now, self.node.outages)
        self.streak = self.next_attempt = 0
        self.row_stalled = False
        self.causes.hold(ROW, False, now)
        if self.cap is not None:
            self.cap = 2 * self.cap if 2 * self.cap < self.most() else None
        self.money_moved(now)

    def fail(self, payment: Paid, reason: Reason, now: int) -> None:
        """Its amount is owed again; the row goes on, and the stream waits longer each time."""
        self.reserved -= payment.amount
        payment.state = "failed"
        self.receiver.ended(payment, now, self.node.outages)
        self.streak, self.last_reason = self.streak + 1, reason
        wait = min(
            MAX_BACKOFF_NS,
            FIRST_BACKOFF_NS.get(reason, DEFAULT_BACKOFF_NS) << min(self.streak - 1, 16),
        )
        self.next_attempt = now + wait
        self.causes.hold(ROW, True, now)
        if reason in LOWERS_CAP:
            half = max(self.terms.min_payment_msat, payment.amount // 2)
            self.cap = half if self.cap is None else min(self.cap, half)
        self.row_stalled = self.row_stalled or (not self.higher() and self.row_reached())
        self.money_moved(now)

    def write_off(self, payment: Paid, now: int) -> None:
        """Counted as paid, with its fee limit; nothing has settled."""
        self.reserved -= payment.amount
        self.settled += payment.amount
        payment.state, payment.fee = "written off", payment.fee_limit
        self.receiver.ended(payment, now, self.node.outages)
        self.money_moved(now)

    def mark(self, payment: Paid, mark: str, now: int) -> None:
        """In doubt, held, or an orphan; an orphan is no doubt."""
        if payment.state == "open" and not payment.orphan:
            payment.doubt = mark == "doubt" or (payment.doubt and mark != "orphan")
            payment.held = mark == "held" or (payment.held and mark != "orphan")
            payment.orphan = mark == "orphan"
            if mark != "orphan":
                self.receiver.holds()
            self.update(now)

    def money_moved(self, now: int) -> None:
        """A budget that was empty may have room again; what the stream is then follows from what
        holds.
        """
        self.look_at_budget(now)
        self.update(now)

    # -- budgets ----------------------------------------------------------------------------------

    def fee_limit(self, amount: int) -> int:
        return max(self.terms.fee_floor_msat, amount * self.terms.fee_limit_ppm // 10**6)

    def period(self, now: int) -> int:
        budget = self.terms.budget
        return 0 if budget is None or budget.period_ns is None else now - now % budget.period_ns

    def period_end(self, now: int) -> int:
        budget = self.terms.budget
        return (
            0 if budget is None or budget.period_ns is None else self.period(now) + budget.period_ns
        )

    def room(self, now: int) -> int | None:
        """What the budget's period has left: amounts and fees, or fee limits until they are
        known.
        """
        if self.terms.budget is None:
            return None
        taken = 0
        for payment in self.payments:
            if payment.state != "failed" and self.period(payment.planned) == self.period(now):
                taken += payment.amount + (
                    payment.fee_limit if payment.state == "open" else payment.fee
                )
        return self.terms.budget.amount_msat - taken

    def largest(self, now: int, most: int) -> int:
        """The largest amount that the budget holds with its fee limit, at most this much; below the
        minimum: none.
        """
        room = self.room(now)
        if room is None:
            return most
        low, high = 0, max(0, min(most, room))
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (
                (middle, high) if middle + self.fee_limit(middle) <= room else (low, middle - 1)
            )
        return low

    # -- buying -----------------------------------------------------------------------------------

    def most(self) -> int:
        """What one payment may be, by its terms or the node's channels."""
        return (
            self.node.most_msat
            if self.terms.max_payment_msat is None
            else self.terms.max_payment_msat
        )

    def due(self) -> int:
        """Where the covered time ends, by what does not count until now; a back-off moves it, and
        so does the payment before.
        """
        due = max(self.terms.start_time_ns + length(self.gone) + self.covered(), self.next_attempt)
        return (
            max(due, self.payments[-1].due + self.terms.min_payment_interval_ns)
            if self.payments
            else due
        )

    def may_plan(self, now: int) -> bool:
        if (
            not self.node.sending
            or self.state not in RUNNING
            or self.higher()
            or HOLDS in self.causes.since
        ):
            return False
        places = min(1 if self.streak else self.terms.max_open_payments, self.receiver.shown)
        return sum(payment.takes_place for payment in self.payments) < places and self.due() <= now

    def wakes(self) -> list[int]:
        """The moments at which something may happen by itself."""
        return [moment for moment, _ in self.appointments()] + (
            [self.due()] if self.state in RUNNING else []
        )

    def plan(self, now: int) -> Paid | None:
        """At most one payment, and what it buys."""
        self.pass_time(now)
        if not self.may_plan(now):
            return None
        probe, end = self.state is StreamState.STALLED, self.terms.end_time_ns
        if (
            end is not None
            and self.owed_at(end, 0 if probe else self.skip_due(now))[1]
            < self.terms.min_payment_msat
        ):
            return None
        if self.largest(now, self.most()) < self.terms.min_payment_msat:
            self.budget_empty(now)
            return None
        self.causes.hold(BUDGET, False, now)
        bought = self.buy(now, probe)
        return None if bought is None else self.planned(bought, probe, now)

    def budget_empty(self, now: int) -> None:
        """A renewing one stalls until renewal; a total one waits for what may come back, and then
        completes the stream.
        """
        budget = self.terms.budget
        assert budget is not None
        if budget.period_ns is None and not any(payment.takes_place for payment in self.payments):
            self.close(
                now,
                StreamState.COMPLETED,
                Reason.BUDGET_SPENT,
                self.prices.price(self.bought_until),
            )
            return
        self.causes.hold(BUDGET, True, now)
        if budget.period_ns is not None:
            self.budget_until = self.period_end(now)
            self.update(now)

    def buy(self, now: int, probe: bool) -> Purchase | None:
        skip = 0 if probe else self.skip_due(now)
        covered, minimum = self.covered(), self.terms.min_payment_msat
        skip_msat = self.prices.price(covered + skip) - self.prices.price(covered)
        prices = self.prices.remove(covered, skip)
        paid = self.settled + self.reserved
        end = (
            None
            if self.terms.end_time_ns is None
            else self.stream_at(self.terms.end_time_ns, now) - skip
        )
        until = prices.grid_after(
            covered if probe else max(covered, self.stream_at(now, now) - skip)
        )
        while prices.price(until) - paid < minimum and (end is None or until < end):
            until = prices.grid_after(until)
        until = until if end is None else min(until, end)
        left = None if end is None else prices.price(end) - paid
        if prices.price(until) - paid < minimum:
            return None
        amount = self.amount(now, prices.price(until) - paid, left)
        # though the time after the grid moment may cost nothing
        if end is not None and amount == left:
            until = end
        elif amount != prices.price(until) - paid:
            until = prices.moment(paid + amount)
        return Purchase(amount, until, skip, skip_msat, prices)

    def amount(self, now: int, wanted: int, left: int | None) -> int:
        """As much as is wanted, the bounds allow, and leaves no remainder that no payment could
        buy, where that can be seen.

        left: what is unpaid until the end, None: there is no end.
        """
        minimum, budget, room = self.terms.min_payment_msat, self.terms.budget, self.room(now)
        most = self.most() if self.cap is None else max(minimum, min(self.cap, self.most()))
        bound = self.largest(now, most)
        total = budget is not None and budget.period_ns is None
        amount = min(wanted, bound)
        if left is not None and 0 < left - amount < minimum:
            leaves_one = bound < left and left - minimum >= minimum and not (total and bound < most)
            amount = left - minimum if leaves_one else min(left, bound)
        if total and room is not None and room - amount < minimum + self.fee_limit(minimum):
            amount = bound if left is None else min(bound, left)
        return amount

    def planned(self, bought: Purchase, probe: bool, now: int) -> Paid:
        due, limit = self.due(), self.fee_limit(bought.amount)
        if not probe:
            self.use_skip(now, bought.skip)
        assert self.prices == bought.prices
        self.bought_until = bought.until
        self.reserved += bought.amount
        seq = len(self.payments) + 1
        self.payments.append(
            Paid(
                seq,
                now,
                due,
                bought.amount,
                limit,
                bought.until,
                bought.skip,
                bought.skip_msat,
                probe,
            )
        )
        return self.payments[-1]

    def use_skip(self, now: int, skip: int) -> None:
        """The oldest time of the gap is gone, at its old rate; no plan counts the gap's impossible
        time again.
        """
        gap, covered = self.gap(now), self.covered()
        self.skipped += skip
        self.skipped_msat += self.prices.price(covered + skip) - self.prices.price(covered)
        self.prices = self.prices.remove(covered, skip)
        self.counted = union([*self.counted, *gap])
        self.gone = union([*self.gone, *oldest(gap, skip)])
