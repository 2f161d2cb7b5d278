"""Finds out what became of payments whose end was not seen: after a crash, a lost reply, a hold.

The main road, not an exception: a payment whose call ended without an answer, in this process or
an earlier one, is *loose* until the node has told its end. Each is asked for with TrackPaymentV2,
at once and then ever more rarely; core/verdict.py says what the answer means. Nothing here pays by
itself: a resend goes back to the engine, through all its gates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from streamer.books.archive import Archive
from streamer.core import ends
from streamer.core.book import Book
from streamer.core.payment import Event
from streamer.core.slots import FREE_MARKS
from streamer.core.verdict import Gates, Ghost, Verdict, judge
from streamer.doubt.case import ASK_AT_LEAST_EVERY_NS, Case, Phase
from streamer.doubt.channelview import UNABLE_TEXT, ChannelView
from streamer.doubt.evidence import Evidence, Sight
from streamer.doubt.givenup import GivenUp
from streamer.doubt.refunds import Refunds
from streamer.ports import Clock, Node
from streamer.words.errors import NodeRejected, NodeUnavailable
from streamer.words.model import Answer, Facts, Kind, Mark, Payment, PaymentQuery
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason

LOOK_AT_LEAST_SECONDS = 1.0
"""While something is loose: what is old is marked so at most this late."""
IDLE_SECONDS = 60.0
"""While nothing is; whatever comes in wakes it."""
PARALLEL_ASKS = 16
TRACK_PATIENCE_SECONDS = 10.0


@dataclass(slots=True, frozen=True)
class Patience:
    """When open payments become what: all in ns."""

    ghost_after_ns: int = 120 * SECOND_NS
    hold_after_ns: int = 30 * SECOND_NS
    in_doubt_after_ns: int = 600 * SECOND_NS
    orphan_write_off_after_ns: int = 86_400 * SECOND_NS


class Sender(Protocol):
    """What recovery needs of the engine."""

    @property
    def up_since_ns(self) -> int:
        """Since when the node is up; 0 if it is not."""

    def defer(self, action: Callable[[int, Facts], None]) -> None:
        """Do action in the engine's next turn; what it puts into facts becomes durable."""

    def resend(self, payment: Payment) -> None:
        """Send the same intent again, as soon as all gates allow it."""

    def may_resend(self, payment: Payment) -> bool:
        """Whether the gates would allow it now."""

    archive: Archive

    def block(self, reason: Reason, text: str) -> None:
        """The whole node cannot pay for now."""

    def look(self) -> None:
        """The node does not answer as it should: look at it soon."""

    async def history(self, query: PaymentQuery) -> list[Payment]:
        """Payments in the journal; see ports.Store."""


class Recovery:
    """The loose payments of one node."""

    def __init__(
        self, node: Node, book: Book, clock: Clock, patience: Patience, sender: Sender
    ) -> None:
        self.node = node
        self.book = book
        self.clock = clock
        self.patience = patience
        self.sender = sender
        self.cases: dict[int, Case] = {}
        self.evidence = Evidence(book.node)
        self.moves = 0
        """How often our time has moved: a moment from before a move is not to be compared with one
        from after it.
        """
        self._connected = False
        self._given_up = GivenUp(node, book, sender)
        self._refunds = Refunds(node, book, sender, patience.ghost_after_ns)
        self._wake = asyncio.Event()

    # -- what comes in ------------------------------------------------------------------------

    def replay(self, payment: Payment) -> None:
        """An intent that was open when we started: a call of an earlier process may be alive. One
        that went astray is a person's.
        """
        if ends.astray(self.book, payment):
            return
        self.cases[payment.row] = Case(payment, -1, 0, down_since_send=True, earlier=True)

    def take(self, payment: Payment, answer: Answer, now_ns: int) -> None:
        """A call ended without the payment's end."""
        case = self.cases.get(payment.row)
        if case is None:
            case = self.cases[payment.row] = Case(payment, 0, now_ns)
        case.phase, case.short = Phase.ASKING, None
        case.next_ask_ns = max(now_ns, case.next_ask_ns)
        # a call that brought an update or a status has ended at the node, too; one that was cut may
        # still be executed
        if not answer.closed:
            case.ghost_until_ns = now_ns + self.patience.ghost_after_ns
        if answer.kind is Kind.REFUSED:
            case.refusal = answer
        self._wake.set()

    def hold_back(self, payment: Payment) -> None:
        """It was not sent again, and its verdict is of no use any more: ask about it as before."""
        case = self.cases.get(payment.row)
        if case is not None and case.phase is Phase.RESENDING:
            case.phase = Phase.ASKING
            self._wake.set()

    def take_short(self, payment: Payment, answer: Answer) -> None:
        """The node said that its balance is insufficient: find out whose fault that is (money rule
        12).
        """
        case = self.cases.get(payment.row)
        if case is None:
            case = self.cases[payment.row] = Case(payment, 0, self.clock.now_ns())
        case.phase, case.short = Phase.SHORT, answer
        self._wake.set()

    def may_go(self, payment: Payment) -> bool:
        """False if the end of payment is unclear, and nobody has judged on this connection that the
        same call may go again.
        """
        case = self.cases.get(payment.row)
        return case is None or case.phase is Phase.RESENDING

    @property
    def watched(self) -> frozenset[int]:
        """The keys of streams of which a payment has failed that may settle late: they stay in
        memory.
        """
        return self._given_up.streams

    @property
    def unclear(self) -> bool:
        """True while the end of some payment is: of what failed for want of balance, and had no
        ghost, the node has told it.
        """
        return any(case.unclear for case in self.cases.values())

    @property
    def unsure(self) -> bool:
        """True while nobody can tell of some payment whether the node has executed it, or which of
        its calls it has ended.
        """
        return any(case.haunted or not case.payment.accepted for case in self._bound())

    @property
    def waiting(self) -> bool:
        """True while it may depend on what was closing before what becomes of some payment: not of
        an orphan, or one out of sight.
        """
        return any(self._bound())

    def _bound(self) -> Iterator[Case]:
        """Those whose end may depend on what a channel has become: one that has closed since is
        remembered for them, and if it is taken for open too long, the next payment that is lost
        counts as one that went over it.
        """
        return (
            case
            for case in self.cases.values()
            if case.unclear and case.payment.open and case.payment.mark not in FREE_MARKS
        )

    def haunted(self, payment: Payment, now_ns: int) -> bool:
        """True while a call of unknown end of this payment may be alive."""
        case = self.cases.get(payment.row)
        return case is not None and case.ghost(now_ns) is Ghost.ALIVE

    def forget(self, payment: Payment) -> None:
        """The payment has ended."""
        case = self.cases.pop(payment.row, None)
        self._given_up.ended(payment, case is not None and case.haunted, self.clock.now_ns())

    def suspect(self, payment: Payment) -> None:
        """The node lists as settled what the journal calls failed: ask about it now."""
        self._given_up.suspect(payment, self.clock.now_ns())

    def settled_late(self, payment: Payment, answer: Answer) -> None:
        """The node says that a payment which the journal calls failed has settled: it is posted in
        the next turn, once.
        """
        self._given_up.settled(payment, answer, self.clock.now_ns())

    def let_go(self, payment_hash: bytes) -> None:
        """Earlier payments with this hash have ended for good: it is used again, or its end is
        known.
        """
        self._given_up.let_go(payment_hash)

    def lost_connection(self) -> None:
        """The connection died: its ghosts live on until the node is back, and then for
        ghost_after.
        """
        self._connected = False
        for case in self.cases.values():
            case.lose_connection()
        if self._short():
            self._wake.set()

    def move_time(self, by_ns: int) -> None:
        """Our time is by_ns later than it was, or earlier: a ghost lives as long as before, and
        what is being asked is asked again.
        """
        self.moves += 1
        for case in self.cases.values():
            case.move_time(by_ns)
        self._given_up.move_time(by_ns)
        self._refunds.move_time(by_ns)

    # -- what goes on -------------------------------------------------------------------------

    async def catch_up(self) -> None:
        """The node is reachable: ask once about every loose payment. Raises NodeUnavailable or
        NodeRejected.
        """
        now_ns = self.clock.now_ns()
        self._connected = True
        self._refunds.connected(now_ns)
        for case in self.cases.values():
            case.ask_anew(now_ns + self.patience.ghost_after_ns)
        await self._round(now_ns)
        self._wake.set()

    async def run(self) -> None:
        """Ask about what is loose, as often as it is worth it, for ever."""
        while True:
            await self._sleep()
            if not self.sender.up_since_ns:
                if not self._connected:
                    self._end_short()
                continue
            try:
                await self._round(self.clock.now_ns())
                await self._given_up.look(self.clock.now_ns())
                await self._refunds.look(self.clock.now_ns())
            except (NodeUnavailable, NodeRejected):
                # the link finds out by itself, and says what to do
                await asyncio.sleep(1)

    async def _sleep(self) -> None:
        now_ns = self.clock.now_ns()
        wait = max(
            0.05,
            min(
                LOOK_AT_LEAST_SECONDS if self.cases else IDLE_SECONDS,
                (self._due_ns(now_ns) - now_ns) / SECOND_NS,
            ),
        )
        timer = asyncio.get_running_loop().call_later(wait, self._wake.set)
        await self._wake.wait()
        timer.cancel()
        self._wake.clear()
        self._mark_old(self.clock.now_ns())

    def _due_ns(self, now_ns: int) -> int:
        """When a loose payment is to be asked for; nobody can be asked while the node is away."""
        asking = self.cases.values() if self.sender.up_since_ns else ()
        return min(
            (case.next_ask_ns for case in asking if case.phase is Phase.ASKING),
            default=now_ns + ASK_AT_LEAST_EVERY_NS,
        )

    def _mark_old(self, now_ns: int) -> None:
        if not self.book.shared.time_known:
            return
        for case in self.cases.values():
            payment = case.payment
            old = now_ns - payment.planned_ns > self.patience.in_doubt_after_ns
            if (
                old
                and payment.mark not in FREE_MARKS
                and payment.row not in self.book.slots.doubtful
            ):
                self._doubt(payment)

    def _doubt(self, payment: Payment) -> None:
        def action(now_ns: int, facts: Facts) -> None:
            if payment.open:
                ends.doubt(self.book, payment, now_ns, facts)

        self.sender.defer(action)

    async def _round(self, now_ns: int) -> None:
        due = [case for case in self.cases.values() if case.is_due(now_ns)]
        short, moves = self._short(), self.moves
        try:
            answers = await self._ask([case.payment for case in due])
            unpaid = any(case.is_unpaid(answer) for case, answer in zip(due, answers, strict=True))
            needs_look = short or unpaid or any(answer.kind is Kind.IN_FLIGHT for answer in answers)
            channels = ChannelView(await self.node.channels()) if needs_look else None
            witness = await self._witness_found() if unpaid else True
        except (NodeUnavailable, NodeRejected):
            self._wake.set()
            raise
        # the moments by which these answers would be judged are those of another clock: ask again
        if moves != self.moves:
            return
        if any(answer.kind is Kind.LOST for answer in answers):
            self.sender.look()
        for case in short:
            if channels is not None:
                self._judge_short(case, channels)
        for case, answer in zip(due, answers, strict=True):
            if case.payment.open and moves == self.moves:
                sight = Sight(
                    channels=channels,
                    witness=witness,
                    asked_ns=now_ns,
                    up_since_ns=self.sender.up_since_ns,
                )
                await self._decide(case, answer, sight)

    async def _ask(self, payments: Sequence[Payment]) -> list[Answer]:
        answers: list[Answer] = []
        for first in range(0, len(payments), PARALLEL_ASKS):
            batch = payments[first : first + PARALLEL_ASKS]
            answers += await asyncio.gather(
                *(
                    self.node.track(payment.payment_hash, TRACK_PATIENCE_SECONDS)
                    for payment in batch
                )
            )
        return answers

    async def _witness_found(self) -> bool:
        if self.evidence.witness is None:
            return False
        answer = await self.node.track(self.evidence.witness, TRACK_PATIENCE_SECONDS)
        if answer.kind is Kind.LOST:
            raise NodeUnavailable("lnd did not answer about the witness")
        return answer.kind is not Kind.NOT_FOUND

    async def _decide(self, case: Case, answer: Answer, sight: Sight) -> None:
        payment, now_ns = case.payment, self.clock.now_ns()
        case.put_off(now_ns)
        gates = Gates.OPEN if self.sender.may_resend(payment) else Gates.SHUT
        verdict = judge(
            self.evidence.circumstances(
                case, answer, sight, gates, now_ns, self.patience.hold_after_ns
            )
        )
        if verdict is Verdict.SETTLE:
            self._conclude(payment, Event.SETTLED, answer)
        elif verdict is Verdict.FAIL:
            await self._failed(case, answer)
        elif verdict is Verdict.RESEND:
            case.phase = Phase.RESENDING
            self.sender.resend(payment)
        elif verdict is Verdict.WAIT:
            if answer.kind is Kind.IN_FLIGHT:
                self._conclude(payment, Event.ACCEPTED, answer)
            elif not sight.up_since_ns:
                # nothing may be resent yet: ask again as soon as the node is open
                case.next_ask_ns = now_ns
        elif self._is_written_off(payment, verdict, now_ns):
            self._conclude(
                payment, Event.WRITE_OFF, Answer(Kind.IN_FLIGHT, accepted=payment.accepted)
            )
        else:
            self._mark(payment, Mark(verdict.value), sight.channels, answer)

    def _is_written_off(self, payment: Payment, verdict: Verdict, now_ns: int) -> bool:
        """Its time has come, and the node, just asked, cannot tell its end."""
        known = Mark(verdict.value) is payment.mark and payment.mark in FREE_MARKS
        old = now_ns - payment.planned_ns > self.patience.orphan_write_off_after_ns
        return known and old and self.book.shared.time_known

    async def _failed(self, case: Case, answer: Answer) -> None:
        refusal = case.refusal
        if refusal is not None and answer.kind is Kind.NOT_FOUND:
            # raises if the node refuses us altogether: then it was the macaroon that it refused,
            # and not this payment
            await self.node.identity()
            if case.refusal is not refusal:
                return  # the connection was lost meanwhile, and the word with it: it is asked anew
            self._conclude(
                case.payment,
                Event.REFUSED,
                Answer(Kind.REFUSED, reason=Reason.NODE_REFUSED, message=refusal.message),
            )
        elif answer.kind is Kind.NOT_FOUND:
            message = "the node never executed it: its call was lost"
            self._conclude(
                case.payment,
                Event.FAILED,
                Answer(Kind.FAILED, reason=Reason.TIMEOUT, message=message),
            )
        elif answer.reason is Reason.NO_LIQUIDITY:
            self.take_short(case.payment, answer)
        elif answer.reason is Reason.NO_ROUTE and case.was_away(self.sender.up_since_ns):
            # what lnd finds under way when it starts it gives up, and calls that NO_ROUTE
            given_up = replace(
                answer, reason=Reason.TIMEOUT, message="the node gave it up when it was restarted"
            )
            self._conclude(case.payment, Event.FAILED, given_up)
        else:
            self._conclude(case.payment, Event.FAILED, answer)

    def _short(self) -> list[Case]:
        return [case for case in self.cases.values() if case.phase is Phase.SHORT]

    def _judge_short(self, case: Case, channels: ChannelView) -> None:
        payment, answer = case.payment, case.told_short(self.clock.now_ns())
        if answer is None or not payment.open:
            return
        # a stream's next payment can be smaller, so only the minimum tells of the node; a single
        # payment has one amount
        reason = channels.why_unable(
            payment.amount_msat if payment.stream_key == 0 else self._minimum_msat(payment)
        )
        if reason is Reason.NONE:
            message = (
                f"{answer.message or 'insufficient balance'}: no single channel could carry it,"
                " smaller payments can go"
            )
            answer.reason, answer.message = Reason.NO_LIQUIDITY, message
            self._conclude(payment, Event.FAILED, answer)
            return
        answer.reason = reason
        if payment.stream_key:
            self.sender.block(reason, UNABLE_TEXT[reason])
        self._conclude(payment, Event.FAILED, answer, blame=False)

    def _end_short(self) -> None:
        """Nobody can be asked any more whose fault it was, but that they failed, their node has
        said.

        Waiting for the next connection they might never end: another node there (NODE_CHANGED) is
        asked nothing, cannot be accepted while payments of the old one are open, and what is not in
        doubt cannot be written off.
        """
        for case in self._short():
            answer = case.told_short(self.clock.now_ns())
            if answer is not None:
                self._conclude(case.payment, Event.FAILED, answer, blame=False)

    def _minimum_msat(self, payment: Payment) -> int:
        return self.book.by_key[payment.stream_key].terms.min_payment_msat

    def _mark(
        self, payment: Payment, mark: Mark, channels: ChannelView | None, answer: Answer
    ) -> None:
        out_of_sight = (
            mark is Mark.LOST_SIGHT
            and channels is not None
            and channels.has_htlc(payment.payment_hash)
        )

        def action(now_ns: int, facts: Facts) -> None:
            if payment.open:
                if answer.kind is Kind.IN_FLIGHT:
                    ends.resolve(self.book, payment, Event.ACCEPTED, answer, now_ns, facts)
                ends.mark(self.book, payment, mark, now_ns, facts)
                ends.see(self.book, payment, out_of_sight, now_ns, facts)

        self.sender.defer(action)

    def _conclude(self, payment: Payment, event: Event, answer: Answer, blame: bool = True) -> None:
        def action(now_ns: int, facts: Facts) -> None:
            if payment.open:
                ends.resolve(self.book, payment, event, answer, now_ns, facts, blame)

        self.sender.defer(action)
