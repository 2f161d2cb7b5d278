"""The loop of one node: due → plan → journal → send → resolve.

Each turn takes the ends that came in, plans what is due within room, makes both durable in one
commit, and only then hands the new payments to a fixed pool of workers. Amounts are bound at plan
time, as late as possible: a slow node makes payments larger, never queues longer. Nothing that
watches (metrics, feed) can fail or delay a payment. The connection is link.py's, and what has no
clear end is recovery.py's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import anyio

from streamer.books.archive import Archive
from streamer.books.commits import Commits
from streamer.books.desk import Desk
from streamer.books.timekeeping import Timekeeping
from streamer.core import ends, obstacle
from streamer.core.book import MAX_IN_DOUBT, Book, Tally
from streamer.core.keysend import derive_preimage
from streamer.core.obstacle import Obstacle
from streamer.core.payment import Event
from streamer.core.rate import Bucket, Window
from streamer.core.slots import FREE_MARKS
from streamer.core.streamtime import check_conservation
from streamer.core.switch import Switch
from streamer.doubt.recovery import Patience, Recovery
from streamer.pay.link import Link, LinkTerms
from streamer.pay.pool import Pool
from streamer.pay.turns import MOST_TURN_SECONDS, Turns
from streamer.pay.waiters import Waiters
from streamer.ports import Clock, Node, NodeIdentity, Observer
from streamer.words.errors import StoreFailed, StreamerError
from streamer.words.model import (
    Answer,
    Facts,
    Kind,
    Payment,
    PaymentQuery,
    Single,
    Snapshot,
    Stream,
)
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt, Reason

WAKE_AT_LEAST_NS = SECOND_NS
"""Timers stand still in suspend; the wall of boot time does not: look at it each second."""

NOTHING_SENT = "nothing was sent: the journal cannot be written; see `streamer status`"
WITHDRAWN = Answer(Kind.FAILED, message="not sent: stopped before it was handed to the node")


@dataclass(slots=True, frozen=True)
class Pace:
    """What the operator allows of one node."""

    max_payments_per_second: int = 200
    max_in_flight: int = 100


class Engine:
    """One node, its book and its payments. `run` it for as long as it should pay."""

    def __init__(
        self,
        node: Node,
        book: Book,
        desk: Desk,
        clock: Clock,
        secret: bytes,
        observer: Observer,
        pace: Pace,
        patience: Patience,
        terms: LinkTerms,
        timekeeping: Timekeeping,
    ) -> None:
        self.name = node.name
        self.node = node
        self.book = book
        self.switch = Switch(node.name)
        self.window = Window(pace.max_in_flight)
        self.archive = Archive(
            book, desk.history, clock, secret, lambda: self.recovery.watched, self
        )
        self.recovery = Recovery(node, book, clock, patience, self)
        self.timekeeping = timekeeping
        self.link = Link(
            node, book, clock, self.switch, self.recovery, terms, self, self.timekeeping
        )
        self.timekeeping.follow(self)
        self.timekeeping.serve(book, lambda: self.link.problem, self.link.judge_clock)
        node.accepted = self.link.saw
        book.wake = self.wake
        self.stopping = False
        self._bucket = Bucket(pace.max_payments_per_second)
        self._callers = Turns(self.link, pace.max_payments_per_second, self.wake)
        self._desk = desk
        self._clock = clock
        self._secret = secret
        self._observer = observer
        self._patience_seconds = patience.hold_after_ns / SECOND_NS
        self._commits = Commits(desk)
        desk.serve(book, self._tell, self._commits.fail)
        self._ends: deque[tuple[Payment, Answer, Event | None]] = deque()
        self._actions: deque[Callable[[int, Facts], None]] = deque()
        self._resends: deque[Payment] = deque()
        self._pool = Pool(self._send)
        self._waiters = Waiters()
        self._wake = asyncio.Event()
        self._in_flight = 0
        self._behind = False

    # -- what others see ------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """The node is connected, checked, and recovery has asked about every open payment."""
        return self.link.up

    @property
    def up_since_ns(self) -> int:
        """Since when it is up; 0 if it is not."""
        return self.link.up_since_ns

    @property
    def obstacle(self) -> Obstacle | None:
        """What keeps this node from paying anything new, the daemon's obstacles too; None: nothing
        but its streams' own do.
        """
        return obstacle.to_plan(self.book.shared, self.switch, self.link, self.stopping)

    @property
    def problem(self) -> str:
        """What of the node itself keeps it from paying, in words; empty if nothing does."""
        found = obstacle.of_node(self.switch, self.link)
        return "" if found is None else found.text

    @property
    def identity(self) -> NodeIdentity | None:
        """Who the node is, as of the last connection."""
        return self.link.identity

    @property
    def in_flight(self) -> int:
        """Calls that are with the node now."""
        return self._in_flight

    @property
    def paying(self) -> bool:
        """True if new payments may be made."""
        return self.obstacle is None

    def wake(self) -> None:
        """Something changed: look at what is due."""
        self._wake.set()

    async def find(self, owner: str, seq: int) -> Payment | None:
        """The payment in the journal, open or ended."""
        return await self._desk.history.payment(owner, seq)

    async def history(self, query: PaymentQuery) -> list[Payment]:
        """Payments in the journal; see ports.Store."""
        return await self._desk.history.payments(query)

    def defer(self, action: Callable[[int, Facts], None]) -> None:
        """Do action in the next turn, with (now_ns, facts); what it puts into facts becomes
        durable. There is none after STORE_FAILED.
        """
        if not self._commits.failed:
            self._actions.append(action)
            self._wake.set()

    async def turn(self) -> None:
        """Return when what was deferred before has been done; its commit has begun. Raises
        StoreFailed if it never will be.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.defer(lambda _, __: None if done.done() else done.set_result(None))
        await self._commits.unless_failed(done)

    async def durable(self) -> None:
        """Return when what the turns before have done is durable. Raises StoreFailed."""
        await self._commits.durable()

    def resend(self, payment: Payment) -> None:
        """Send the same intent again, as soon as all gates allow it."""
        self._resends.append(payment)
        self._wake.set()

    def may_resend(self, payment: Payment) -> bool:
        """Whether the gates would allow it now (they are asked again right before the call)."""
        return self.paying and self.book.may_send(payment, self._clock.now_ns())

    def block(self, reason: Reason, text: str) -> None:
        """The whole node cannot pay; the link looks again until it can."""
        self.link.block(reason, text)

    def look(self) -> None:
        """The node does not answer as it should: find out why, now and not with the next look."""
        self.link.look_soon()

    async def begin(
        self, order: Single, facts: Facts, patience_seconds: float = MOST_TURN_SECONDS
    ) -> Payment:
        """Make one payment that belongs to no stream durable, and hand it to the node; wait_for
        tells its end.

        It waits for its turn as streams do; the requests in facts become durable with its intent.
        Raises FailedPrecondition if nothing may be sent now, Unavailable at the end,
        ResourceExhausted if its key's budget is short or its turn does not come, StoreFailed.
        """
        found = self._obstacle_of(order)
        if found is not None:
            raise self._refused(found)
        if self._commits.failed:
            raise StoreFailed(NOTHING_SENT)
        payment, commit = await self._callers.wait(
            order, facts.requests, self._clock.now_ns(), patience_seconds
        )
        await asyncio.wait((commit,))
        if commit.cancelled() or commit.exception() is not None:
            raise StoreFailed(NOTHING_SENT)
        return payment

    async def wait_for(self, payment: Payment, patience_seconds: float) -> bool:
        """Wait until the end of payment is durable, no longer than patience; whether it is."""
        return await self._waiters.wait_for(payment, patience_seconds)

    def _obstacle_of(self, order: Single) -> Obstacle | None:
        return self.obstacle or obstacle.of_single(
            order, self.book.gate, self.book.budgets, self._clock.now_ns()
        )

    def _refused(self, found: Obstacle | None) -> StreamerError:
        """The refusal of an order; None: nothing is in its way any more, but its turn found
        something.
        """
        if found is not None and found.reason is Halt.CLOCK and not self.timekeeping.known:
            return self.timekeeping.unknown()
        return self._callers.refused(found)

    def move_time(self, by_ns: int) -> None:
        """Our time is by_ns later than it was, or earlier: what is measured from a moment goes on
        as if nothing had been.
        """
        for follower in (self.link, self.recovery, self.window, self._bucket):
            follower.move_time(by_ns)
        self.wake()

    # -- life -----------------------------------------------------------------------------------

    def replay(self, snapshot: Snapshot, now_ns: int) -> None:
        """Take from the journal what concerns this node. Raises AssertionError if it does not
        balance.
        """
        self.switch.restore(snapshot.settings)
        self.link.restore(snapshot.settings, snapshot.last_index.get(self.name, 0))
        self.book.outages.restore(snapshot.outages, snapshot.settings)
        streams = [stream for stream in snapshot.streams if stream.terms.node == self.name]
        for stream in streams:
            self.book.restore(stream)
            self.book.budgets.own(stream, now_ns)
        self.book.holds.restore(snapshot.outages, snapshot.settings)
        self._replay_payments(
            [payment for payment in snapshot.open_payments if payment.node == self.name], now_ns
        )
        for stream in streams:
            check_conservation(stream)
            self.book.schedule(stream)

    def _replay_payments(self, payments: list[Payment], now_ns: int) -> None:
        for payment in payments:
            # one that was planned before our time was put back is no younger
            payment.planned_ns = min(payment.planned_ns, now_ns)
            ends.take_back(self.book, payment)
            self.recovery.replay(payment)
        self.defer(
            lambda now_ns, facts: self.book.holds.reconcile(self.book.slots.holders, now_ns, facts)
        )
        self.defer(partial(self._doubt_again, payments))

    def _doubt_again(self, payments: list[Payment], now_ns: int, facts: Facts) -> None:
        """What stalled its stream in doubt does so still: else the first that ends would lift the
        stall of all.
        """
        again: dict[int, list[Payment]] = {}
        # in the order in which they were planned: the oldest were in doubt
        for payment in payments:
            stream = self.book.by_key.get(payment.stream_key)
            if (
                payment.open
                and payment.mark not in FREE_MARKS
                and stream is not None
                and stream.doubt_since_ns
            ):
                again.setdefault(stream.key, []).append(payment)
        for stream_key, found in again.items():
            until_ns = (
                self.book.by_key[stream_key].doubt_since_ns
                - self.recovery.patience.in_doubt_after_ns
            )
            for number, payment in enumerate(found):
                if number < MAX_IN_DOUBT or payment.planned_ns <= until_ns:
                    ends.doubt(self.book, payment, now_ns, facts)

    async def run(self) -> None:
        """Pay, until cancelled. Should it break, there is no further turn: whoever waits for one,
        or comes yet, is told so.
        """
        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(self.window.limit):
                    tasks.start_soon(self._pool.work)
                tasks.start_soon(self.recovery.run)
                tasks.start_soon(self.link.run)
                tasks.start_soon(self.archive.run)
                with self._commits.failing():
                    await self._turns()
        except Exception:
            self._commits.fail()
            self._callers.refuse(lambda _: StoreFailed(NOTHING_SENT))
            raise

    async def drain(self) -> None:
        """Plan nothing new and wait until no call is with the node."""
        self.stopping = True
        while not self._commits.failed and (
            self._in_flight
            or self._pool.waiting
            or self._commits.begun
            or self._callers
            or self._ends
            or self._actions
            or self._desk.busy
        ):
            self._wake.set()
            await asyncio.sleep(0.02)

    # -- the loop -------------------------------------------------------------------------------

    async def _turns(self) -> None:
        while not self._commits.failed:
            facts = Facts()
            now_ns = self._clock.now_ns()
            if self.book.shared.time_known:
                self.book.shared.outages.alive(now_ns, facts)
            self._take_ends(now_ns, facts)
            self.link.count_outage(now_ns, facts)
            self._callers.refuse_paid()
            planned = self._plan(now_ns, facts) if self.paying else self._hold_back(now_ns, facts)
            if facts:
                self.link.remember(facts)  # without a witness what is planned could never be resent
                commit = self._commits.begin(facts, partial(self._go_on, planned))
                self._tell_turns(planned, commit)
                await self._commits.until_room()
            else:
                self._desk.commit(facts)  # what others have changed meanwhile is told with it
                self._go_on(planned)
                self._tell_turns(planned, None)
            if self._behind:
                self._behind = False
                await asyncio.sleep(0)
            elif not (self._ends or self._actions):
                await self._pause()
        self._callers.refuse(lambda _: StoreFailed(NOTHING_SENT))
        await asyncio.Event().wait()

    def _tell_turns(self, planned: list[Payment], commit: asyncio.Future[None] | None) -> None:
        """Tell those who ordered single payments what this turn has made of them."""
        for payment in self._callers.tell(planned, commit):
            self.recovery.let_go(payment.payment_hash)
        self._callers.refuse(
            lambda order: (
                None
                if self.paying and order.owner in self.book.singles
                else self._refused(self._obstacle_of(order))
            )
        )

    def _go_on(self, planned: list[Payment]) -> None:
        for payment in planned:
            self._pool.hand_over(payment)

    def _room(self) -> int:
        """Free places in the window: by the calls that are with the node, and by the payments that
        are open.
        """
        size = self.book.slots.shares.carried(self.window.size)
        return min(size - self._in_flight - self._pool.waiting, size - len(self.book.slots.window))

    def _plan(self, now_ns: int, facts: Facts) -> list[Payment]:
        tokens = self._bucket.available(now_ns)
        resent: list[Payment] = []
        # a resend is a send (money rule 3): a hundred intents of before a crash do not leave at
        # once
        while min(tokens, self.window.size - self._in_flight) > len(resent) and self._resends:
            payment = self._resends.popleft()
            if payment.open:
                resent.append(payment)
        self.book.gate.resize(self.window.most, self.book.slots.shares.carried(self.window.size))
        planned = self.book.plan(now_ns, min(self._room(), tokens - len(resent)), facts)
        if planned or resent:
            self._bucket.take(len(planned) + len(resent), now_ns)
        return resent + planned

    def _hold_back(self, now_ns: int, facts: Facts) -> list[Payment]:
        """Nothing may be sent now: what waits for its resend is asked about again, and judged anew
        before it goes. Time passes.
        """
        self._behind = self.book.let_time_pass(now_ns, facts)
        while self._resends:
            self.recovery.hold_back(self._resends.popleft())
        return []

    async def _pause(self) -> None:
        now_ns = self._clock.now_ns()
        wait_ns = WAKE_AT_LEAST_NS
        if self.paying:
            due = self.book.next_ns()
            if due is not None and self._room() > 0:
                wait_ns = min(wait_ns, max(due, self._bucket.next_ns(now_ns)) - now_ns)
        if wait_ns > 0 or not self._wake.is_set():
            timer = asyncio.get_running_loop().call_later(
                max(wait_ns, 0) / SECOND_NS, self._wake.set
            )
            await self._wake.wait()
            timer.cancel()
        self._wake.clear()

    def _take_ends(self, now_ns: int, facts: Facts) -> None:
        for _ in range(len(self._actions)):
            self._actions.popleft()(now_ns, facts)
        for _ in range(len(self._ends)):
            payment, answer, event = self._ends.popleft()
            if not payment.open:
                if event is Event.SETTLED:
                    self.recovery.settled_late(payment, answer)
                continue
            if event is not None:
                ends.resolve(self.book, payment, event, answer, now_ns, facts)
            elif (
                answer.kind is Kind.FAILED
                and answer.reason is Reason.NO_LIQUIDITY
                and payment.row not in self.recovery.cases
            ):
                self.recovery.take_short(payment, answer)
            else:
                ends.resolve(self.book, payment, Event.LOST, answer, now_ns, facts)
                self.recovery.take(payment, answer, now_ns)

    async def _send(self, payment: Payment) -> None:
        again = payment.row in self.recovery.cases
        if not payment.open or not self.recovery.may_go(payment):
            # it was written off; or the connection of its verdict is gone, and it is asked about on
            # the new one
            return
        began_ns, moved_ns, moves = (
            self._clock.now_ns(),
            self.timekeeping.moved_ns,
            self.recovery.moves,
        )
        # the commit and the queue may have taken seconds, and somebody may have stopped sending,
        # paused or cancelled meanwhile; what lnd has got is not recalled
        if obstacle.of_connection(self.switch, self.link) or not self.book.may_send(
            payment, began_ns
        ):
            answer = Answer(Kind.LOST, message="held back") if again else WITHDRAWN
            self._ended(payment, answer, None if again else Event.WITHDRAWN)
            return
        if not again:
            self._observer.sent(self.name, (began_ns - payment.due_ns) / SECOND_NS)
        self._in_flight += 1
        try:
            preimage = (
                b""
                if payment.payment_request
                else payment.preimage or derive_preimage(self._secret, payment.owner, payment.seq)
            )
            answer = await self.node.send(payment, preimage, self._patience_seconds)
        finally:
            self._in_flight -= 1
        now_ns = self._clock.now_ns()
        # by our own clock, less what that has moved: uvloop's costs 2 µs each time it is read
        latency_ns = now_ns - began_ns - (self.timekeeping.moved_ns - moved_ns)
        haunted = self.recovery.haunted(payment, began_ns) or self.recovery.moves != moves
        event = None
        if answer.kind is Kind.SETTLED:
            event = Event.SETTLED
        elif (
            answer.kind is Kind.FAILED and answer.reason is not Reason.NO_LIQUIDITY and not haunted
        ):
            event = Event.FAILED
        if event is not None:
            self.window.ended(payment.destination, latency_ns, now_ns, self._in_flight)
        self._ended(payment, answer, event)

    def _ended(self, payment: Payment, answer: Answer, event: Event | None) -> None:
        self._ends.append((payment, answer, event))
        if not self._wake.is_set():
            self._wake.set()

    def _tell(self, tally: Tally) -> None:
        """What the tally has is durable."""
        for payment in tally.ended:
            self._tell_end(payment, tally, late=False)
            self.recovery.forget(payment)
            self._waiters.tell(payment)
        for payment in tally.late:
            self._tell_end(payment, tally, late=True)
        for stream in tally.changed:
            self._observer.changed(stream, tally.moments[stream.key])
        for stream, msat in tally.skipped:
            self._observer.skipped(stream.terms.group, self._cause(stream), msat)

    def _tell_end(self, payment: Payment, tally: Tally, late: bool) -> None:
        stream, seconds = (
            self.book.by_key.get(payment.stream_key),
            (payment.end_ns - payment.planned_ns) / SECOND_NS,
        )
        self._observer.ended(payment, stream, tally.moments.get(payment.stream_key), seconds, late)

    def _cause(self, stream: Stream) -> str:
        held = self.book.holds.of((stream.terms.destination, stream.api_key)) is not None
        return (
            stream.reason
            or self.book.outages.cause
            or (Reason.RECEIVER_HOLDS if held else Halt.OPERATOR)
        )
