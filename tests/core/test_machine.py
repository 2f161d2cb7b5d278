"""Everything at once: any order of plans, ends, crashes, outages and people, against a plain model
of the money.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamer.core import ends, lifecycle
from streamer.core.away import FLIGHT_NS
from streamer.core.book import Book
from streamer.core.payment import Event
from streamer.core.schedule import price_msat
from streamer.core.slots import FREE_MARKS
from streamer.core.streamtime import covered_ns, running_pause_ns, stream_now_ns
from streamer.words.model import (
    ENDED,
    Answer,
    BudgetTerms,
    Facts,
    Kind,
    Mark,
    Payment,
    PaymentState,
    Rate,
    Stream,
    StreamState,
)
from streamer.words.reasons import Halt, Reason
from tests.core.house import HOUR, MINUTE, PEER, House, S, adopted
from tests.core.reference import Money, picture, taken_msat

OTHER_PEER = b"\x03" + b"\x22" * 32
STEPS_NS = [0, 1, S // 3, S, 7 * S, MINUTE, 11 * MINUTE, HOUR, 30 * HOUR]
RATES = [
    Rate(1_000, S, S),
    Rate(50_000, MINUTE, 2 * S),
    Rate(333, S, 10 * S),
    Rate(7, 3 * S, 1_000 * S),
    Rate(S, S, S),
    Rate(100_003, S, S),
]
REASONS = [
    Reason.NO_ROUTE,
    Reason.NO_LIQUIDITY,
    Reason.TIMEOUT,
    Reason.RECEIVER_REJECTED,
    Reason.NODE_REFUSED,
    Reason.NONE,
]
NOTHING_NEW = frozenset({StreamState.PAUSED, StreamState.CLOSING, *ENDED})


class Streaming(RuleBasedStateMachine):
    """The book and the model, side by side."""

    @initialize(
        limit=st.sampled_from([10**15, 40_000_000, 300_000, 300_000]),
        per_destination=st.sampled_from([1, 2, 10]),
    )
    def begin(self, limit: int, per_destination: int) -> None:
        self.house = House(limit, per_destination, stall_after=3)
        self.house.add_key(1, 3_000_000)
        self.house.add_key(2, 400_000, HOUR)
        self.model = Money()
        self.node_down = self.daemon_down = False
        self.rates: dict[int, list[Rate]] = {}
        self.last_due: dict[int, int] = {}

    # -- time -----------------------------------------------------------------------------------

    @rule(step=st.sampled_from(STEPS_NS))
    def wait(self, step: int) -> None:
        held = [
            payment for payment in self.house.book.payments.values() if payment.mark is Mark.HELD
        ]
        holders = {(payment.destination, payment.api_key) for payment in held}
        for stream in self.house.book.streams.values():
            own = stream.account.failing_since_ns or stream.doubt_since_ns or stream.short_since_ns
            holding = (stream.terms.destination, stream.api_key) in holders
            if (
                self.node_down
                or self.daemon_down
                or own
                or holding
                or not self.house.switch.sending
            ):
                # what stands still in a pause is no time of the stream, and none that could be
                # skipped
                stood = running_pause_ns(stream, self.house.now_ns + step) - running_pause_ns(
                    stream, self.house.now_ns
                )
                self.model.impossible_ns[stream.key] = (
                    self.model.impossible_ns.get(stream.key, 0) + step - stood
                )
        self.house.now_ns += step

    @rule(room=st.integers(0, 5))
    def plan(self, room: int) -> None:
        house = self.house
        if self.node_down or self.daemon_down:
            return
        before = {
            stream.key: (stream.state, stream.skipped_ns, covered_ns(stream))
            for stream in house.book.streams.values()
        }
        sending = house.switch.sending
        planned = house.plan(room)
        assert len(planned) <= room
        assert sending or not planned
        for payment in planned:
            self.model.take(payment)
            self._check_planned(payment, before[payment.stream_key])
        if planned:
            self._check_budgets(planned)
        if not house.switch.sending:
            self.wait(MINUTE)
            assert not house.plan(), "what is stopped plans nothing, small as it may be"

    def _check_planned(self, payment: Payment, before: tuple[StreamState, int, int]) -> None:
        stream, now = self.house.book.by_key[payment.stream_key], self.house.now_ns
        terms, account = stream.terms, stream.account
        assert before[0] not in NOTHING_NEW and stream.state not in NOTHING_NEW
        assert payment.amount_msat >= terms.min_payment_msat
        assert payment.fee_limit_msat == max(
            terms.fee_floor_msat, payment.amount_msat * terms.fee_limit_ppm // 10**6
        )
        assert terms.max_payment_msat is None or payment.amount_msat <= terms.max_payment_msat
        assert not self.house.book.slots.holds(payment.destination, payment.api_key)
        assert not payment.probe or payment.skip_ns == 0
        assert now >= terms.start_time_ns and payment.due_ns <= now
        assert payment.due_ns >= self.last_due.get(stream.key, 0) + terms.min_payment_interval_ns
        self.last_due[stream.key] = payment.due_ns
        assert not stream.expire_time_ns or now < stream.expire_time_ns
        if payment.skip_ns:
            assert terms.catch_up_ns is not None
            if terms.end_time_ns is None:
                assert stream_now_ns(stream, now) - before[2] >= terms.catch_up_ns, (
                    "never less than catch_up is caught up"
                )
        spare = (
            2 * terms.min_payment_msat
            + terms.fee_floor_msat
            + 2
            + stream.segments[-1].rate.amount_msat
        )
        purchase = max(
            rate.payment_interval_ns * rate.amount_msat // rate.interval_ns
            for rate in self.rates[stream.key]
        )
        reached = price_msat(stream.segments, max(0, stream_now_ns(stream, now)))
        assert account.settled_msat + stream.reserved_msat <= reached + purchase + spare, (
            "never more than one purchase ahead"
        )

    def _check_budgets(self, planned: list[Payment]) -> None:
        for payment in planned:
            stream = self.house.book.by_key[payment.stream_key]
            terms = stream.terms.budget
            self._check_key(payment)
            same_day = [
                e
                for e in self.model.all()
                if e.payment.daemon_period_ns == payment.daemon_period_ns
            ]
            assert taken_msat(same_day) <= self.house.spend_limit_msat
            if terms is None:
                continue
            period = (
                0
                if terms.period_ns is None
                else payment.planned_ns - payment.planned_ns % terms.period_ns
            )
            assert payment.period_start_ns == period
            assert (
                taken_msat(
                    [
                        e
                        for e in self.model.stream(stream.key)
                        if e.payment.period_start_ns == period
                    ]
                )
                <= terms.amount_msat
            )

    def _check_key(self, payment: Payment) -> None:
        stream = self.house.book.by_key[payment.stream_key]
        assert payment.api_key == stream.api_key, "whoever opened it pays for it"
        if not payment.api_key:
            return
        budget = self.house.key_budget(payment.api_key)
        start = (
            0
            if budget.period_ns is None
            else payment.planned_ns - payment.planned_ns % budget.period_ns
        )
        assert payment.key_period_ns == start
        assert taken_msat(self.model.key(payment.api_key, start)) <= budget.limit_msat

    # -- ends -----------------------------------------------------------------------------------

    def _open(self) -> list[Payment]:
        return list(self.house.book.payments.values())

    @precondition(lambda self: self._open())
    @rule(data=st.data(), fee=st.integers(0, 100), other=st.sampled_from([0, 0, 0, -1, -400, 400]))
    def settle(self, data: st.DataObject, fee: int, other: int) -> None:
        payment = data.draw(st.sampled_from(self._open()), "settles")
        self._settled(
            payment, max(1, payment.amount_msat + other), min(fee, payment.fee_limit_msat)
        )

    def _settled(self, payment: Payment, amount: int, fee: int) -> None:
        entry = self.model.of(payment)
        entry.state, entry.settled_msat, entry.fee_msat = "settled", amount, fee
        self.house.settle(payment, amount, fee)

    @precondition(lambda self: self._open())
    @rule(data=st.data(), reason=st.sampled_from(REASONS), blame=st.booleans())
    def fail(self, data: st.DataObject, reason: Reason, blame: bool) -> None:
        payment = data.draw(st.sampled_from(self._open()), "fails")
        event = Event.FAILED
        if payment.state is not PaymentState.IN_FLIGHT and reason is Reason.NODE_REFUSED:
            event = Event.REFUSED
        elif payment.state is PaymentState.PLANNED and reason is Reason.NONE:
            event = Event.WITHDRAWN
        self.model.of(payment).state = "failed"
        self.house.resolve(payment, event, Answer(Kind.FAILED, reason=reason, message="no"), blame)

    @precondition(lambda self: self._open())
    @rule(data=st.data(), event=st.sampled_from([Event.LOST, Event.ACCEPTED]))
    def lose(self, data: st.DataObject, event: Event) -> None:
        payment = data.draw(st.sampled_from(self._open()), "is lost")
        self.house.resolve(
            payment, event, Answer(Kind.LOST, accepted=event is Event.ACCEPTED, closed=False)
        )

    @precondition(lambda self: self._open())
    @rule(data=st.data(), to=st.sampled_from(list(Mark)))
    def mark(self, data: st.DataObject, to: Mark) -> None:
        self.house.mark(data.draw(st.sampled_from(self._open()), "is marked"), to)

    @precondition(lambda self: self._open())
    @rule(data=st.data())
    def doubt(self, data: st.DataObject) -> None:
        self.house.doubt(data.draw(st.sampled_from(self._open()), "is in doubt"))

    @precondition(lambda self: self._open())
    @rule(data=st.data())
    def write_off(self, data: st.DataObject) -> None:
        payment = data.draw(st.sampled_from(self._open()), "is written off")
        entry = self.model.of(payment)
        entry.state, entry.settled_msat, entry.fee_msat = (
            "settled",
            payment.amount_msat,
            payment.fee_limit_msat,
        )
        self.house.write_off(payment)

    def _ended(self, *states: PaymentState) -> list[Payment]:
        return [entry.payment for entry in self.model.all() if entry.payment.state in states]

    @precondition(lambda self: self._ended(PaymentState.FAILED, PaymentState.REFUSED))
    @rule(data=st.data(), fee=st.integers(0, 100))
    def settle_late(self, data: st.DataObject, fee: int) -> None:
        payment = data.draw(
            st.sampled_from(self._ended(PaymentState.FAILED, PaymentState.REFUSED)), "settles late"
        )
        self._settled(payment, payment.amount_msat, fee)

    @precondition(lambda self: self._ended(PaymentState.WRITTEN_OFF))
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        payment = data.draw(
            st.sampled_from(self._ended(PaymentState.WRITTEN_OFF)), "was not paid after all"
        )
        stream, entry = self.house.book.by_key[payment.stream_key], self.model.of(payment)
        settled, owed = stream.account.settled_msat, stream.account.owed_msat
        self.house.fail(payment)
        assert (stream.account.settled_msat, stream.account.owed_msat) == (settled, owed), (
            "budgets get it back, the stream does not"
        )
        entry.state, entry.fee_msat = "refunded", 0

    def _not_ended(self) -> list[Stream]:
        return [stream for stream in self.house.book.streams.values() if stream.state not in ENDED]

    @precondition(lambda self: self._not_ended())
    @rule(
        data=st.data(),
        kind=st.sampled_from([Kind.SETTLED, Kind.FAILED, Kind.IN_FLIGHT]),
        amount=st.integers(1_000, 90_000),
    )
    def adopt(self, data: st.DataObject, kind: Kind, amount: int) -> None:
        book, now = self.house.book, self.house.now_ns
        stream = data.draw(st.sampled_from(self._not_ended()), "adopts")
        seq = stream.account.seq + 1
        theirs = adopted(
            book, stream, seq, amount, now, bought_until_ns=stream.account.bought_until_ns
        )
        entry, facts = self.model.take(theirs), Facts()
        if kind is not Kind.IN_FLIGHT:
            entry.state = kind.value
            entry.settled_msat = amount if kind is Kind.SETTLED else 0
        ends.adopt(book, stream, theirs, Answer(kind, True, amount_msat=amount), now, facts)
        self.house.commit(facts)

    # -- people and the world ---------------------------------------------------------------------

    @precondition(lambda self: len(self.house.book.streams) < 4)
    @rule(
        rate=st.sampled_from(RATES),
        destination=st.sampled_from([PEER, OTHER_PEER]),
        start=st.sampled_from([0, 0, MINUTE]),
        length=st.sampled_from([None, None, 10 * S, 3 * HOUR]),
        budget=st.sampled_from(
            [
                None,
                None,
                BudgetTerms(2_000_000, None),
                BudgetTerms(500_000, HOUR),
                BudgetTerms(10_300, None),
            ]
        ),
        ppm=st.sampled_from([0, 10_000]),
        most=st.sampled_from([None, 5_000, 10**11]),
        catch_up=st.sampled_from([None, 0, 5 * MINUTE]),
        ttl=st.sampled_from([None, None, 20 * MINUTE]),
        slots=st.integers(1, 3),
        api_key=st.sampled_from([0, 1, 2]),
    )
    def open(
        self, rate: Rate, start: int, length: int | None, most: int | None, **terms: Any
    ) -> None:
        begin = self.house.now_ns + start
        stream = self.house.open(
            terms["api_key"],
            rate=rate,
            start_time_ns=begin,
            end_time_ns=None if length is None else begin + length,
            max_payment_msat=most,
            fee_limit_ppm=terms["ppm"],
            catch_up_ns=terms["catch_up"],
            ttl_ns=terms["ttl"],
            max_open_payments=terms["slots"],
            destination=terms["destination"],
            budget=terms["budget"],
        )
        self.rates[stream.key] = [rate]

    def _running(self) -> list[Stream]:
        return [
            s
            for s in self.house.book.streams.values()
            if s.state not in ENDED and s.state is not StreamState.CLOSING
        ]

    @precondition(lambda self: self._running())
    @rule(
        data=st.data(),
        act=st.sampled_from(["pause", "resume", "pause", "resume", "renew", "cancel"]),
    )
    def person(self, data: st.DataObject, act: str) -> None:
        stream = data.draw(st.sampled_from(self._running()), act)
        self.house.act(getattr(lifecycle, act), stream)

    @precondition(lambda self: self._running())
    @rule(data=st.data(), rate=st.sampled_from(RATES))
    def change_rate(self, data: st.DataObject, rate: Rate) -> None:
        stream = data.draw(st.sampled_from(self._running()), "changes its rate")
        self.house.act(Book.pass_time, stream)
        covered, paid = covered_ns(stream), stream.account.settled_msat + stream.reserved_msat
        if stream.state in NOTHING_NEW - {StreamState.PAUSED}:
            return
        old = price_msat(stream.segments, max(covered, stream_now_ns(stream, self.house.now_ns)))
        self.house.change(stream, rate=rate)
        self.rates[stream.key].append(rate)
        assert (
            covered_ns(stream) == covered
            and stream.account.settled_msat + stream.reserved_msat == paid
        )
        assert (
            price_msat(stream.segments, max(covered, stream_now_ns(stream, self.house.now_ns)))
            == old
        ), "unpaid time keeps its rate"

    @precondition(lambda self: self._running())
    @rule(data=st.data(), amount=st.sampled_from([20_000, 800_000, 10**10]))
    def change_budget(self, data: st.DataObject, amount: int) -> None:
        stream = data.draw(st.sampled_from(self._running()), "changes its budget")
        if stream.terms.budget is not None:
            self.house.change(stream, budget=replace(stream.terms.budget, amount_msat=amount))

    @rule(whole=st.booleans())
    def outage(self, whole: bool) -> None:
        facts, book = Facts(), self.house.book
        outages = self.house.outages if whole else book.outages
        down = self.daemon_down if whole else self.node_down
        (
            outages.end(self.house.now_ns, facts)
            if down
            else outages.begin("cause", self.house.now_ns, facts)
        )
        if whole:
            self.daemon_down = not down
        else:
            self.node_down = not down
        self.house.commit(facts)

    @precondition(lambda self: not self.house.switch.sending)
    @rule()
    def start_sending(self) -> None:
        facts, budgets = Facts(), self.house.book.budgets
        self.house.switch.lift(Halt.SPEND_LIMIT, facts)
        budgets.spend_limit.begin(max(self.house.now_ns, budgets.spend_limit.period_start_ns + 1))
        facts.spends.append(budgets.spend())
        self.house.outages.end(self.house.now_ns, facts)
        self.daemon_down = False
        self.house.commit(facts)

    @rule()
    def crash(self) -> None:
        doubtful = sorted(self.house.book.slots.doubtful)
        # who is told of a doubt is looked at, and a ttl that has passed unseen takes effect: let it
        # do so before
        for row in doubtful:
            stream = self.house.book.by_key.get(self.house.payment(row).stream_key)
            if stream is not None:
                self.house.act(Book.pass_time, stream)
        before = picture(self.house)
        self.house.crash()
        for row in doubtful:
            self.house.doubt(self.house.payment(row))
        after = picture(self.house)
        for name in before:
            assert after[name] == before[name], name
        for payment in self._open():
            self.model.of(payment).payment = payment

    # -- always ---------------------------------------------------------------------------------

    @invariant()
    def the_money_is_the_models(self) -> None:
        if not hasattr(self, "house"):
            return
        for stream in self.house.book.streams.values():
            account, entries = stream.account, self.model.stream(stream.key)
            settled = sum(e.settled_msat for e in entries)
            reserved = sum(e.amount_msat for e in entries if e.state == "open")
            assert account.settled_msat == settled
            assert stream.reserved_msat == reserved
            assert stream.reserved_fee_msat == sum(
                e.fee_limit_msat for e in entries if e.state == "open"
            )
            assert settled + reserved + account.owed_msat == price_msat(
                stream.segments, account.bought_until_ns
            )
            assert account.seq == len(entries)
            slots = [
                e.payment for e in entries if e.state == "open" and e.payment.mark not in FREE_MARKS
            ]
            assert stream.open_payments == sum(
                p.row not in self.house.book.slots.doubtful for p in slots
            )
            assert 0 <= stream.skipped_ns <= self.model.impossible_ns.get(stream.key, 0), (
                "only impossible time is skipped, once"
            )
            assert stream.terms.catch_up_ns is not None or stream.skipped_ns == 0
            assert (
                stream_now_ns(stream, self.house.now_ns)
                <= self.house.now_ns - stream.terms.start_time_ns
            )
        for number in (1, 2):
            budget = self.house.key_budget(number)
            taken = taken_msat(self.model.key(number, budget.period_start_ns))
            assert budget.spent_msat + budget.reserved_msat == taken, (
                "nothing that a key pays is lost, or counted twice"
            )
        assert set(self.house.book.payments) == {
            e.payment.row for e in self.model.all() if e.state == "open"
        }

    def teardown(self) -> None:
        """When all is well again, everything that is due gets paid: nobody was forgotten."""
        if not hasattr(self, "house"):
            return
        house, book = self.house, self.house.book
        facts = Facts()
        book.outages.end(house.now_ns, facts)
        house.outages.end(house.now_ns, facts)
        house.commit(facts)
        self.node_down = self.daemon_down = False
        if not house.switch.sending:
            self.start_sending()
        for payment in self._open():
            self._settled(payment, payment.amount_msat, 0)
        for stream in self._running():
            if stream.state is StreamState.STALLED:
                house.resume(stream)
        house.now_ns += 10 * S
        for _ in range(200):
            planned = house.plan()
            for payment in planned:
                self.model.take(payment)
                self._settled(payment, payment.amount_msat, 0)
            if not house.switch.sending:
                break
            if not planned:
                rounds = [
                    moment
                    for stream in self._running()
                    if (moment := book.rounds.goes_on_ns(stream)) is not None
                ]
                if not rounds:
                    break
                later = any(line.away.later for line in book.rounds._lines.values())
                assert later or min(rounds) <= house.now_ns + FLIGHT_NS, (
                    "a round waits for nobody for longer; a part may be left to who comes later"
                )
                house.now_ns = max(house.now_ns, min(rounds))
        if planned or not house.switch.sending:
            return
        for stream in self._running():
            due, end_time = book.next_attempt_ns(stream, house.now_ns), stream.terms.end_time_ns
            waits_for_end = end_time is not None and house.now_ns < end_time
            # for a round of its key, which waits for its payments
            if book.rounds.waits(stream) and stream.state is StreamState.ACTIVE:
                next_ns = book.next_ns()
                assert next_ns is not None and next_ns <= house.now_ns + FLIGHT_NS, stream
                continue
            assert (
                stream.state is StreamState.PAUSED
                or (due is not None and due > house.now_ns)
                or waits_for_end
            ), stream


TestStreaming = Streaming.TestCase
# not shrunk: that takes longer than any test may
TestStreaming.settings = settings(
    max_examples=15 if os.environ.get("STREAMER_MUTANTS") else 200,
    stateful_step_count=50,
    derandomize=True,
    deadline=None,
    print_blob=True,
    report_multiple_bugs=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
