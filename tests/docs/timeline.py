"""Plays a worked example of the documentation on the core: every payment settles at once."""

from __future__ import annotations

import itertools
from dataclasses import replace

from streamer.core import ends, lifecycle
from streamer.core.book import Book, Limits, Shared
from streamer.core.budgets import Budgets
from streamer.core.ledger import Budget
from streamer.core.outages import Outages
from streamer.core.payment import Event
from streamer.core.streamtime import origin_ns, paid_until_ns
from streamer.core.switch import Switch
from streamer.keysends import stamp_with
from streamer.model import Answer, BudgetTerms, Facts, Kind, Rate, Stream, Terms
from streamer.money import MILLISECOND_NS, SECOND_NS, format_duration, parse_amount, parse_duration, parse_rate
from streamer.reasons import Reason
from streamer.service.terms import default_payment_interval_ns
from streamer.settings import StreamSettings

START_NS = 1_800_000_000 * SECOND_NS
PAYEE = bytes.fromhex("02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619")


def rate_of(text: str, payments: str | None) -> Rate:
    amount, interval = parse_rate(text)
    default = default_payment_interval_ns(amount, interval, StreamSettings())
    return Rate(amount, interval, parse_duration(payments) if payments else default)


def terms_of(text: str) -> Terms:
    """Read "60sat/1m payments 10s budget 41sat end 30500ms catch-up 1m"."""
    rate, *rest = text.split()
    given = dict(zip(rest[::2], rest[1::2], strict=True))
    settings = StreamSettings()
    terms = Terms(
        "main", PAYEE, rate_of(rate, given.pop("payments", None)), START_NS, None, None, settings.fee_floor_msat, settings.fee_limit_ppm,
        settings.min_payment_msat, settings.min_payment_interval_ns, None, settings.catch_up_ns, None, 1, "", (), (), b"",
    )  # fmt: skip
    if "budget" in given:
        terms = replace(terms, budget=BudgetTerms(parse_amount(given.pop("budget")), None))
    if "end" in given:
        terms = replace(terms, end_time_ns=START_NS + parse_duration(given.pop("end")))
    if "catch-up" in given:
        terms = replace(terms, catch_up_ns=parse_duration(given.pop("catch-up")))
    assert not given, f"the example says what nobody understands: {given}"
    return terms


class Timeline:
    """One stream, from its start."""

    def __init__(self, terms: str) -> None:
        shared = Shared(Budgets(Budget(10**15, None)), Switch(), Outages(), itertools.count(1), lambda: 0)
        self.book = Book("main", Limits(), shared, stamp_with(bytes(32)))
        self.stream: Stream = lifecycle.new_stream("st_" + "0" * 32, 1, terms_of(terms), START_NS)
        self.now_ns = START_NS
        self.down = False

    def play(self, at: str, event: str) -> None:
        """Let time run to at, with all payments on the way, and let event happen."""
        until_ns = START_NS + parse_duration(at)
        while not self.down and (due := self.book.next_ns()) is not None and max(due, self.now_ns) < until_ns:
            before = self.now_ns
            self.now_ns = max(due, before)
            if not self._pay() and self.now_ns == before:
                self.now_ns += MILLISECOND_NS
        self.now_ns = until_ns
        self._happen(event)
        while not self.down and self._pay():
            pass

    def _happen(self, event: str) -> None:
        verb, _, rest = event.partition(" ")
        facts = Facts()
        match verb:
            case "–":
                pass
            case "open":
                lifecycle.open_stream(self.book, self.stream, self.now_ns, facts)
            case "pause" | "resume" | "cancel":
                getattr(lifecycle, verb)(self.book, self.stream, self.now_ns, facts)
            case "set":
                rate, _, payments = rest.split()
                lifecycle.change(self.book, self.stream, replace(self.stream.terms, rate=rate_of(rate, payments)), self.now_ns, facts)
            case "node":
                self._pay()
                self.down = rest == "down"
                if self.down:
                    self.book.outages.begin(Reason.NODE_DOWN, self.now_ns, facts)
                else:
                    self.book.outages.end(self.now_ns, facts)
            case _:
                raise AssertionError(f"the example has an event that nobody understands: {event}")

    def _pay(self) -> bool:
        facts = Facts()
        if self.down:
            return False
        planned = self.book.plan(self.now_ns, 10, facts)
        for payment in planned:
            answer = Answer(Kind.SETTLED, accepted=True, amount_msat=payment.amount_msat)
            ends.resolve(self.book, payment, Event.SETTLED, answer, self.now_ns, facts)
        return bool(planned)

    def shown(self) -> dict[str, str]:
        """What the columns of an example can say."""
        stream = self.stream
        return {
            "paid": f"{stream.account.settled_msat:,} msat",
            "paid until": format_duration(origin_ns(stream) + paid_until_ns(stream) - START_NS),
            "skipped": f"{stream.skipped_msat:,} msat",
            "state": str(stream.state),
        }
