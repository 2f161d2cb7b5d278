"""Finds out what became of payments whose end was not seen: after a crash, a lost reply, a hold.

The main road, not an exception: a payment whose call ended without an answer, in this process or
an earlier one, is *loose* until the node has told its end. Each is asked for with TrackPaymentV2,
at once and then ever more rarely; core/verdict.py says what the answer means. Nothing here pays by
itself: a resend goes back to the engine, through all its gates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from streamer.archive import Archive
from streamer.channelview import UNABLE_TEXT, ChannelView
from streamer.core import ends
from streamer.core.book import Book
from streamer.core.payment import Event
from streamer.core.verdict import Circumstances, Verdict, judge
from streamer.errors import NodeRejected, NodeUnavailable
from streamer.givenup import GivenUp
from streamer.loose import Loose
from streamer.model import Answer, Facts, Kind, Mark, Payment, PaymentQuery
from streamer.money import SECOND_NS
from streamer.ports import Clock, Node
from streamer.reasons import Reason
from streamer.refunds import Refunds

ASK_AGAIN_NS = SECOND_NS
ASK_AT_MOST_EVERY_NS = 60 * SECOND_NS
LOOK_AT_LEAST_SECONDS = 1.0
"""While something is loose: what is old is marked so at most this late."""
IDLE_SECONDS = 60.0
"""While nothing is; whatever comes in wakes it."""
PARALLEL_ASKS = 16
TRACK_PATIENCE_SECONDS = 10.0
ABSENT_NS = 600 * SECOND_NS
"""How long all channels must be active without an HTLC of a payment before none can be with a frozen peer.

lnd hangs up on a peer that is silent for five minutes, on one that answers no ping after 90 seconds (lnd peer/brontide.go).
"""


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

    def __init__(self, node: Node, book: Book, clock: Clock, patience: Patience, sender: Sender) -> None:
        self.node = node
        self.book = book
        self.clock = clock
        self.patience = patience
        self.sender = sender
        self.loose: dict[int, Loose] = {}
        self.witness: bytes | None = None
        self.closing: frozenset[str] | None = None
        self.known_open: frozenset[str] = frozenset()
        self._short: list[tuple[Payment, Answer]] = []
        self._given_up = GivenUp(node, book, sender)
        self._refunds = Refunds(node, book, sender, patience.ghost_after_ns)
        self._wake = asyncio.Event()

    # -- what comes in ------------------------------------------------------------------------

    def replay(self, payment: Payment) -> None:
        """An intent that was open when we started: a call of an earlier process may be alive. One that went astray is a person's."""
        if ends.astray(self.book, payment):
            return
        self.loose[payment.row] = Loose(payment, -1, 0, down_since_send=True, earlier=True)

    def take(self, payment: Payment, answer: Answer, now_ns: int) -> None:
        """A call ended without the payment's end."""
        loose = self.loose.get(payment.row)
        if loose is None:
            loose = self.loose[payment.row] = Loose(payment, 0, now_ns)
        loose.resending = False
        loose.next_ask_ns = max(now_ns, loose.next_ask_ns)
        if not answer.closed:
            loose.ghost_until_ns = now_ns + self.patience.ghost_after_ns
        if answer.kind is Kind.REFUSED:
            loose.refusal = answer
        self._wake.set()

    def hold_back(self, payment: Payment) -> None:
        """It was not sent again, and its verdict is of no use any more: ask about it as before."""
        loose = self.loose.get(payment.row)
        if loose is not None:
            loose.resending = False
            self._wake.set()

    def take_short(self, payment: Payment, answer: Answer) -> None:
        """The node said that its balance is insufficient: find out whose fault that is (MONEY.md 6)."""
        self._short.append((payment, answer))
        self._wake.set()

    @property
    def watched(self) -> frozenset[int]:
        """The keys of streams of which a payment has failed that may settle late: they stay in memory."""
        return self._given_up.streams

    @property
    def unsure(self) -> bool:
        """True while nobody can tell of some payment whether the node has executed it, or which of its calls it has ended."""
        bound = (loose for loose in self.loose.values() if loose.payment.mark not in ends.FREE_MARKS)
        return any(loose.haunted or not loose.payment.accepted for loose in bound)

    @property
    def waiting(self) -> bool:
        """True while it may depend on what was closing before what becomes of some payment: not of an orphan, or one out of sight."""
        return any(loose.payment.mark not in ends.FREE_MARKS for loose in self.loose.values())

    def haunted(self, payment: Payment, now_ns: int) -> bool:
        """True while a call of unknown end of this payment may be alive."""
        loose = self.loose.get(payment.row)
        return loose is not None and loose.ghost_until_ns != 0 and (loose.ghost_until_ns < 0 or now_ns < loose.ghost_until_ns)

    def forget(self, payment: Payment) -> None:
        """The payment has ended."""
        loose = self.loose.pop(payment.row, None)
        self._given_up.ended(payment, loose is not None and loose.haunted, self.clock.now_ns())

    def suspect(self, payment: Payment) -> None:
        """The node lists as settled what the journal calls failed: ask about it now."""
        self._given_up.suspect(payment, self.clock.now_ns())

    def settled_late(self, payment: Payment, answer: Answer) -> None:
        """The node says that a payment which the journal calls failed has settled: it is posted in the next turn, once."""
        self._given_up.settled(payment, answer, self.clock.now_ns())

    def let_go(self, payment_hash: bytes) -> None:
        """Earlier payments with this hash have ended for good: it is used again, or its end is known."""
        self._given_up.let_go(payment_hash)

    def lost_connection(self) -> None:
        """The connection died: its ghosts live on until the node is back, and then for ghost_after."""
        for loose in self.loose.values():
            loose.down_since_send = True
            loose.absent_since_ns = 0
            loose.resending = False  # what was said on one connection sends nothing on the next
            loose.refusal = None  # a node that would not have us any more refuses each call
            if loose.ghost_until_ns:
                loose.ghost_until_ns = -1

    # -- what goes on -------------------------------------------------------------------------

    async def catch_up(self) -> None:
        """The node is reachable: ask once about every loose payment. Raises NodeUnavailable or NodeRejected."""
        now_ns = self.clock.now_ns()
        self._refunds.connected(now_ns)
        for loose in self.loose.values():
            loose.next_ask_ns = loose.asks = 0
            if loose.ghost_until_ns:
                loose.ghost_until_ns = now_ns + self.patience.ghost_after_ns
        await self._round(now_ns)
        self._wake.set()

    async def run(self) -> None:
        """Ask about what is loose, as often as it is worth it, for ever."""
        while True:
            await self._sleep()
            if not self.sender.up_since_ns:
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
        wait = max(0.05, min(LOOK_AT_LEAST_SECONDS if self.loose else IDLE_SECONDS, (self._due_ns(now_ns) - now_ns) / SECOND_NS))
        timer = asyncio.get_running_loop().call_later(wait, self._wake.set)
        await self._wake.wait()
        timer.cancel()
        self._wake.clear()
        self._mark_old(self.clock.now_ns())

    def _due_ns(self, now_ns: int) -> int:
        """When a loose payment is to be asked for; nobody can be asked while the node is away."""
        asking = self.loose.values() if self.sender.up_since_ns else ()
        return min((loose.next_ask_ns for loose in asking if not loose.resending), default=now_ns + ASK_AT_MOST_EVERY_NS)

    def _mark_old(self, now_ns: int) -> None:
        for loose in self.loose.values():
            payment = loose.payment
            old = now_ns - payment.planned_ns > self.patience.in_doubt_after_ns
            if old and payment.mark not in ends.FREE_MARKS and payment.row not in self.book.slots.doubtful:
                self._doubt(payment)

    def _doubt(self, payment: Payment) -> None:
        def action(now_ns: int, facts: Facts) -> None:
            if payment.open:
                ends.doubt(self.book, payment, now_ns, facts)

        self.sender.defer(action)

    async def _round(self, now_ns: int) -> None:
        due = [loose for loose in self.loose.values() if loose.next_ask_ns <= now_ns and not loose.resending]
        short, self._short = self._short, []
        try:
            answers = await self._ask([loose.payment for loose in due])
            unpaid = any(loose.is_unpaid(answer) for loose, answer in zip(due, answers, strict=True))
            needs_look = short or unpaid or any(answer.kind is Kind.IN_FLIGHT for answer in answers)
            channels = ChannelView(await self.node.channels()) if needs_look else None
            witness = await self._witness_found() if unpaid else True
        except (NodeUnavailable, NodeRejected):
            self._short = short + self._short
            raise
        if any(answer.kind is Kind.LOST for answer in answers):
            self.sender.look()
        for payment, answer in short:
            assert channels is not None
            self._judge_short(payment, answer, channels)
        for loose, answer in zip(due, answers, strict=True):
            if loose.payment.open:
                await self._decide(loose, answer, channels, witness, now_ns)

    async def _ask(self, payments: Sequence[Payment]) -> list[Answer]:
        answers: list[Answer] = []
        for first in range(0, len(payments), PARALLEL_ASKS):
            batch = payments[first : first + PARALLEL_ASKS]
            answers += await asyncio.gather(*(self.node.track(payment.payment_hash, TRACK_PATIENCE_SECONDS) for payment in batch))
        return answers

    async def _witness_found(self) -> bool:
        if self.witness is None:
            return False
        answer = await self.node.track(self.witness, TRACK_PATIENCE_SECONDS)
        if answer.kind is Kind.LOST:
            raise NodeUnavailable("lnd did not answer about the witness")
        return answer.kind is not Kind.NOT_FOUND

    async def _decide(self, loose: Loose, answer: Answer, channels: ChannelView | None, witness: bool, asked_ns: int) -> None:
        payment, now_ns = loose.payment, self.clock.now_ns()
        loose.asks += 1
        loose.next_ask_ns = now_ns + min(ASK_AT_MOST_EVERY_NS, ASK_AGAIN_NS << min(loose.asks, 6))
        so = self._circumstances(loose, answer, channels, witness, (asked_ns, now_ns))
        verdict = judge(payment, answer, so)
        if verdict is Verdict.SETTLE:
            self._conclude(payment, Event.SETTLED, answer)
        elif verdict is Verdict.FAIL:
            await self._failed(loose, answer)
        elif verdict is Verdict.RESEND:
            loose.resending = True
            self.sender.resend(payment)
        elif verdict is Verdict.WAIT:
            if answer.kind is Kind.IN_FLIGHT:
                self._conclude(payment, Event.ACCEPTED, answer)
            elif not self.sender.up_since_ns:
                loose.next_ask_ns = now_ns  # nothing may be resent yet: ask again as soon as the node is open
        elif self._is_written_off(payment, verdict, now_ns):
            self._conclude(payment, Event.WRITE_OFF, Answer(Kind.IN_FLIGHT, accepted=payment.accepted))
        else:
            self._mark(payment, Mark(verdict.value), channels, answer)

    def _is_written_off(self, payment: Payment, verdict: Verdict, now_ns: int) -> bool:
        """Its time has come, and the node, just asked, cannot tell its end."""
        known = Mark(verdict.value) is payment.mark and payment.mark in ends.FREE_MARKS
        old = now_ns - payment.planned_ns > self.patience.orphan_write_off_after_ns
        return known and old

    def _circumstances(
        self, loose: Loose, answer: Answer, channels: ChannelView | None, witness: bool, when_ns: tuple[int, int]
    ) -> Circumstances:
        asked_ns, now_ns = when_ns
        up_since_ns, planned_ns = self.sender.up_since_ns, loose.payment.planned_ns
        pending = channels is not None and channels.has_htlc(loose.payment.payment_hash)
        restarted = channels is None or channels.has_restarted(loose.sent_after_ns, now_ns)
        absent = answer.kind is Kind.IN_FLIGHT and channels is not None and not pending and channels.all_active
        loose.absent_since_ns = (loose.absent_since_ns or now_ns) if absent else 0
        return Circumstances(
            refused=loose.refusal is not None,
            # an answer that was given while the ghost lived is older than what the ghost did
            ghost=self.haunted(loose.payment, asked_ns),
            haunted=loose.haunted,
            may_resend=self.sender.may_resend(loose.payment),
            witness=witness,
            closing=channels is not None and self._closes(channels),
            closed=channels is not None and bool(self.known_open - channels.points),
            partial=channels is not None and restarted and not channels.all_active,
            pending=pending,
            down_since_send=restarted and (loose.down_since_send or up_since_ns > planned_ns),
            steady=up_since_ns > 0 and channels is not None and channels.is_steady(now_ns - up_since_ns),
            absent=absent and now_ns - loose.absent_since_ns >= ABSENT_NS,
            long_open=now_ns - planned_ns >= self.patience.hold_after_ns,
        )

    def _closes(self, channels: ChannelView) -> bool:
        """A channel went into closing that was not closing when we last saw all well."""
        if self.closing is None:
            self.closing = channels.closing
        return bool(channels.closing - self.closing)

    async def _failed(self, loose: Loose, answer: Answer) -> None:
        if loose.refusal is not None and answer.kind is Kind.NOT_FOUND:
            await self.node.identity()
            refusal = loose.refusal
            self._conclude(loose.payment, Event.REFUSED, Answer(Kind.REFUSED, reason=Reason.NODE_REFUSED, message=refusal.message))
        elif answer.kind is Kind.NOT_FOUND:
            message = "the node never executed it: its call was lost"
            self._conclude(loose.payment, Event.FAILED, Answer(Kind.FAILED, reason=Reason.TIMEOUT, message=message))
        elif answer.reason is Reason.NO_LIQUIDITY:
            self.take_short(loose.payment, answer)
        elif answer.reason is Reason.NO_ROUTE and self._was_away(loose):
            given_up = replace(answer, reason=Reason.TIMEOUT, message="the node gave it up when it was restarted")
            self._conclude(loose.payment, Event.FAILED, given_up)
        else:
            self._conclude(loose.payment, Event.FAILED, answer)

    def _was_away(self, loose: Loose) -> bool:
        """The node may have been restarted since it was sent: what lnd then finds under way it gives up, and calls that NO_ROUTE."""
        return loose.down_since_send or self.sender.up_since_ns > loose.payment.planned_ns

    def _judge_short(self, payment: Payment, answer: Answer, channels: ChannelView) -> None:
        reason = channels.why_unable(payment.amount_msat if payment.stream_key == 0 else self._minimum_msat(payment))
        if reason is Reason.NONE:
            message = f"{answer.message or 'insufficient balance'}: no single channel could carry it, smaller payments can go"
            answer.reason, answer.message = Reason.NO_LIQUIDITY, message
            self._conclude(payment, Event.FAILED, answer)
            return
        answer.reason = reason
        if payment.stream_key:
            self.sender.block(reason, UNABLE_TEXT[reason])
        self._conclude(payment, Event.FAILED, answer, blame=False)

    def _minimum_msat(self, payment: Payment) -> int:
        return self.book.by_key[payment.stream_key].terms.min_payment_msat

    def _mark(self, payment: Payment, mark: Mark, channels: ChannelView | None, answer: Answer) -> None:
        slots = channels.slots if channels is not None else 0

        def action(now_ns: int, facts: Facts) -> None:
            # counted here, or all that are found in one round would pass together
            full = mark is Mark.HELD and payment.mark is not Mark.HELD and self.book.slots.held >= slots // 2
            if payment.open and not full:
                if answer.kind is Kind.IN_FLIGHT:
                    ends.resolve(self.book, payment, Event.ACCEPTED, answer, now_ns, facts)
                ends.mark(self.book, payment, mark, now_ns, facts)

        self.sender.defer(action)

    def _conclude(self, payment: Payment, event: Event, answer: Answer, blame: bool = True) -> None:
        def action(now_ns: int, facts: Facts) -> None:
            if payment.open:
                ends.resolve(self.book, payment, event, answer, now_ns, facts, blame)

        self.sender.defer(action)
