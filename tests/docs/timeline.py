"""Plays a worked example of the documentation on the core.

Every payment settles at once, unless the example says otherwise: "payments fail", "payments hang"
(nothing is heard of them) and "payments are held" hold for those that are sent from then on, until
"payments settle". One that is open is marked as held and as in doubt when the daemon would mark it.
"payment 3 settles", "payments 4 to 8 fail" and "all settle" end open ones.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace

from streamer.core import ends, lifecycle
from streamer.core.book import Book, Limits, Shared
from streamer.core.budgets import Budgets
from streamer.core.ledger import Budget
from streamer.core.outages import Outages
from streamer.core.payment import Event
from streamer.core.stamp import stamp_with
from streamer.core.streamtime import origin_ns, paid_until_ns
from streamer.core.switch import Switch
from streamer.doubt.recovery import Patience
from streamer.service.terms import default_payment_interval_ns
from streamer.words.model import (
    Answer,
    ApiKey,
    BudgetTerms,
    Facts,
    Kind,
    Mark,
    Payment,
    Rate,
    Stream,
    Terms,
)
from streamer.words.money import (
    MILLISECOND_NS,
    SECOND_NS,
    format_duration,
    parse_amount,
    parse_duration,
    parse_rate,
)
from streamer.words.reasons import Halt, Reason
from streamer.words.settings import StreamSettings

START_NS = 1_800_000_000 * SECOND_NS
"""A whole hour in UTC: budgets of a minute or an hour begin a period here."""
PAYEE = bytes.fromhex("02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619")
KEY = 1
"""The number of the API key with which an example's streams are opened, if it has a budget for
one.
"""


def rate_of(text: str, payments: str | None) -> Rate:
    amount, interval = parse_rate(text)
    default = default_payment_interval_ns(amount, interval, StreamSettings())
    return Rate(amount, interval, parse_duration(payments) if payments else default)


def budget_of(text: str) -> BudgetTerms:
    """Read "41sat" or "41sat/1m"."""
    amount, _, period = text.partition("/")
    return BudgetTerms(parse_amount(amount), parse_duration(period) if period else None)


def terms_of(rate: str, given: dict[str, str]) -> Terms:
    """Take from given what the terms of a stream can be; what is left there is not a stream's."""
    settings = StreamSettings()
    terms = Terms(
        "main",
        PAYEE,
        rate_of(rate, given.pop("payments", None)),
        START_NS,
        None,
        None,
        settings.fee_floor_msat,
        settings.fee_limit_ppm,
        settings.min_payment_msat,
        settings.min_payment_interval_ns,
        None,
        settings.catch_up_ns,
        None,
        1,
        "",
        (),
        (),
        b"",
    )
    if "budget" in given:
        terms = replace(terms, budget=budget_of(given.pop("budget")))
    if "end" in given:
        terms = replace(terms, end_time_ns=START_NS + parse_duration(given.pop("end")))
    if "catch-up" in given:
        catch_up = given.pop("catch-up")
        terms = replace(
            terms, catch_up_ns=None if catch_up == "forever" else parse_duration(catch_up)
        )
    if "fee-floor" in given:
        terms = replace(terms, fee_floor_msat=parse_amount(given.pop("fee-floor")))
    return replace(terms, max_open_payments=int(given.pop("open", "1")))


class Timeline:
    """The streams of one example, from their start: one, or as many equal ones as it says. Events
    are those of the first.

    example: "60sat/1m payments 10s budget 41sat end 30500ms catch-up 1m open 3 key 10sat/1m streams
    2".
    """

    def __init__(self, example: str) -> None:
        rate, *rest = example.split()
        given = dict(zip(rest[::2], rest[1::2], strict=True))
        terms = terms_of(rate, given)
        self.shared = Shared(
            Budgets(Budget(10**15, None)), Switch(), Outages(), itertools.count(1), lambda: 0
        )
        self.book = Book("main", Limits(), self.shared, stamp_with(bytes(32)))
        key = KEY if "key" in given else 0
        if key:
            self.shared.budgets.add_key(
                ApiKey(key, "key_1", "", frozenset(), budget=budget_of(given.pop("key")))
            )
        numbers = range(1, int(given.pop("streams", "1")) + 1)
        self.streams = [
            lifecycle.new_stream(f"st_{number:032x}", number, terms, START_NS, key)
            for number in numbers
        ]
        assert not given, f"the example says what nobody understands: {given}"
        self.stream: Stream = self.streams[0]
        self.now_ns = START_NS
        self.down = False
        self.send = "settle"
        self.held: set[int] = set()

    # -- time -----------------------------------------------------------------------------------

    def play(self, at: str, event: str) -> None:
        """Let time run to at, with all payments on the way, and let event happen."""
        until_ns = START_NS + parse_duration(at)
        while (moment := self._next_ns()) is not None and max(moment, self.now_ns) < until_ns:
            before = self.now_ns
            self.now_ns = max(moment, before)
            if not self._mark() and not self._pay() and self.now_ns == before:
                self.now_ns += MILLISECOND_NS
        self.now_ns = until_ns
        self._mark()
        self._happen(event)
        while self._pay():
            pass

    @property
    def _pays(self) -> bool:
        return not self.down and self.shared.switch.sending

    def _next_ns(self) -> int | None:
        moments = [moment for moment, _, _ in self._marks()]
        due_ns = self.book.next_ns() if self._pays else None
        return min(moments if due_ns is None else [*moments, due_ns], default=None)

    def _marks(self) -> Iterator[tuple[int, bool, Payment]]:
        """Which open payments are to be called held (True) or in doubt, and when."""
        for payment in self.book.payments.values():
            if payment.row in self.held and payment.mark is not Mark.HELD:
                yield payment.planned_ns + self.book.limits.hold_after_ns, True, payment
            if payment.row not in self.book.slots.doubtful:
                yield payment.planned_ns + Patience().in_doubt_after_ns, False, payment

    def _mark(self) -> bool:
        """Mark what is to be marked by now; whether there was any."""
        due = [(held, payment) for moment, held, payment in self._marks() if moment <= self.now_ns]
        for held, payment in due:
            if held:
                ends.mark(self.book, payment, Mark.HELD, self.now_ns, Facts())
            else:
                ends.doubt(self.book, payment, self.now_ns, Facts())
        return bool(due)

    # -- events ---------------------------------------------------------------------------------

    def _happen(self, event: str) -> None:
        verb, _, rest = event.partition(" ")
        facts = Facts()
        match verb:
            case "–":
                pass
            case "open":
                for stream in self.streams:
                    lifecycle.open_stream(self.book, stream, self.now_ns, facts)
            case "pause" | "resume" | "cancel":
                getattr(lifecycle, verb)(self.book, self.stream, self.now_ns, facts)
            case "set":
                self._set(rest, facts)
            case "node" | "sending":
                self._pay()
                self._turn(event, facts)
            case "payment" | "payments" | "all":
                self._payments(event)
            case _:
                raise AssertionError(f"the example has an event that nobody understands: {event}")

    def _set(self, terms: str, facts: Facts) -> None:
        """ "RATE payments INTERVAL" or "budget AMOUNT/PERIOD"."""
        first, *rest = terms.split()
        after = (
            {"budget": budget_of(rest[0])}
            if first == "budget"
            else {"rate": rate_of(first, rest[1])}
        )
        lifecycle.change(
            self.book, self.stream, replace(self.stream.terms, **after), self.now_ns, facts
        )

    def _turn(self, event: str, facts: Facts) -> None:
        match event:
            case "node down":
                self.down = True
                self.book.outages.begin(Reason.NODE_DOWN, self.now_ns, facts)
            case "node up":
                self.down = False
                self.book.outages.end(self.now_ns, facts)
            case "sending stop":
                self.shared.switch.stop(Halt.OPERATOR, "", facts)
                self.shared.count_stopped(self.now_ns, facts)
            case "sending start":
                self.shared.switch.lift(Halt.OPERATOR, facts)
                self.shared.count_stopped(self.now_ns, facts)
            case _:
                raise AssertionError(f"the example has an event that nobody understands: {event}")

    def _payments(self, event: str) -> None:
        if match := re.fullmatch(r"payments (settle|fail|hang|are held)", event):
            self.send = match[1]
        elif match := re.fullmatch(r"payments? (\d+)(?: to (\d+))? (settle|fail)s?", event):
            self._end(range(int(match[1]), int(match[2] or match[1]) + 1), match[3])
        elif event == "all settle":
            self._end(range(1, self.stream.account.seq + 1), "settle")
        else:
            raise AssertionError(f"the example has an event that nobody understands: {event}")

    def _end(self, numbers: range, how: str) -> None:
        for payment in [
            one
            for one in self.book.payments.values()
            if one.stream_key == self.stream.key and one.seq in numbers
        ]:
            self._resolve(payment, how)

    # -- payments -------------------------------------------------------------------------------

    def _pay(self) -> bool:
        planned = self.book.plan(self.now_ns, 10, Facts()) if self._pays else []
        for payment in planned:
            self._resolve(payment, self.send)
        return bool(planned)

    def _resolve(self, payment: Payment, how: str) -> None:
        if how == "settle":
            answer = Answer(Kind.SETTLED, accepted=True, amount_msat=payment.amount_msat)
            ends.resolve(self.book, payment, Event.SETTLED, answer, self.now_ns, Facts())
        elif how == "fail":
            answer = Answer(Kind.FAILED, accepted=True, reason=Reason.TIMEOUT)
            ends.resolve(self.book, payment, Event.FAILED, answer, self.now_ns, Facts())
        elif how == "are held":
            self.held.add(payment.row)

    def shown(self) -> dict[str, str]:
        """What the columns of an example can say."""
        stream = self.stream
        return {
            "paid": f"{stream.account.settled_msat:,} msat",
            "the other": f"{self.streams[-1].account.settled_msat:,} msat",
            "open": f"{stream.reserved_msat:,} msat",
            "paid until": format_duration(origin_ns(stream) + paid_until_ns(stream) - START_NS),
            "skipped": f"{stream.skipped_msat:,} msat",
            "dropped": f"{stream.dropped_msat:,} msat",
            "state": str(stream.state),
            "reason": str(stream.reason) if stream.reason else "–",
        }
