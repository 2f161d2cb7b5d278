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

from streamer.archive import Archive
from streamer.commits import Commits
from streamer.core import ends, lifecycle
from streamer.core.book import Book, Tally
from streamer.core.payment import Event
from streamer.core.rate import Bucket, Window
from streamer.core.shared import open_until_ns
from streamer.core.streamtime import check_conservation
from streamer.core.switch import Switch
from streamer.errors import StoreFailed, StreamerError, Unavailable
from streamer.link import Link, LinkTerms
from streamer.model import Answer, Facts, Kind, Payment, PaymentQuery, Single, Snapshot, Stream
from streamer.money import SECOND_NS
from streamer.nodes.keysend import derive_preimage
from streamer.pool import Pool
from streamer.ports import Clock, Node, NodeIdentity, Observer, Store
from streamer.reasons import Halt, Reason
from streamer.recovery import Patience, Recovery
from streamer.turns import MOST_TURN_SECONDS, Turns
from streamer.waiters import Waiters

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
        store: Store,
        clock: Clock,
        secret: bytes,
        observer: Observer,
        pace: Pace,
        patience: Patience,
        terms: LinkTerms,
        on_store_failed: Callable[[str], None],
    ) -> None:
        self.name = node.name
        self.node = node
        self.book = book
        self.switch = Switch(node.name)
        self.window = Window(pace.max_in_flight)
        self.archive = Archive(book, store, clock, secret, lambda: self.recovery.watched, self)
        self.recovery = Recovery(node, book, clock, patience, self)
        self.link = Link(node, book, clock, self.switch, self.recovery, terms, self)
        node.accepted = self.link.saw
        self.stopping = False
        self._bucket = Bucket(pace.max_payments_per_second)
        self._callers = Turns(self.link, pace.max_payments_per_second, self.wake)
        self._store = store
        self._clock = clock
        self._secret = secret
        self._observer = observer
        self._patience_seconds = patience.hold_after_ns / SECOND_NS
        self._commits = Commits(store, on_store_failed)
        self._ends: deque[tuple[Payment, Answer, Event | None]] = deque()
        self._actions: deque[Callable[[int, Facts], None]] = deque()
        self._resends: deque[Payment] = deque()
        self._pool = Pool(self._send)
        self._waiters = Waiters()
        self._wake = asyncio.Event()
        self._in_flight = 0

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
    def problem(self) -> str:
        """What keeps this node from paying, in words; empty if nothing does."""
        return next(iter(self.switch.halts.values()), "") or self.link.problem

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
        return self.link.up and not self.link.blocked and not self.stopping and self.switch.sending and self.book.shared.switch.sending

    def wake(self) -> None:
        """Something changed: look at what is due."""
        self._wake.set()

    async def find(self, owner: str, seq: int) -> Payment | None:
        """The payment in the journal, open or ended."""
        return await self._store.payment(owner, seq)

    async def history(self, query: PaymentQuery) -> list[Payment]:
        """Payments in the journal; see ports.Store."""
        return await self._store.payments(query)

    def defer(self, action: Callable[[int, Facts], None]) -> None:
        """Do action in the next turn, with (now_ns, facts); what it puts into facts becomes durable. There is none after STORE_FAILED."""
        if not self._commits.failed:
            self._actions.append(action)
            self._wake.set()

    async def turn(self) -> None:
        """Return when what was deferred before has been done; its commit has begun. Raises StoreFailed if it never will be."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.defer(lambda _, __: None if done.done() else done.set_result(None))
        await self._commits.unless_failed(done)

    async def durable(self) -> None:
        """Return when what the turns before have done is durable. Raises StoreFailed."""
        await self._commits.durable(Facts())

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

    async def begin(self, order: Single, facts: Facts, patience_seconds: float = MOST_TURN_SECONDS) -> Payment:
        """Make one payment that belongs to no stream durable, and hand it to the node; wait_for tells its end.

        It waits for its turn as streams do; the requests in facts become durable with its intent. Raises FailedPrecondition if nothing may
        be sent now, Unavailable at the end, ResourceExhausted if its key's budget is short or its turn does not come, StoreFailed.
        """
        short = self.book.budgets.key_shortage(order.api_key, order.amount_msat + order.fee_limit_msat, self._clock.now_ns())
        if short or not self.paying or self.book.slots.holds(order.destination):
            raise self._why_not(order)
        if self._commits.failed:
            raise StoreFailed(NOTHING_SENT)
        payment, commit = await self._callers.wait(order, facts.requests, self._clock.now_ns(), patience_seconds)
        await asyncio.wait((commit,))
        if commit.cancelled() or commit.exception() is not None:
            raise StoreFailed(NOTHING_SENT)
        return payment

    async def wait_for(self, payment: Payment, patience_seconds: float) -> bool:
        """Wait until the end of payment is durable, no longer than patience; whether it is."""
        return await self._waiters.wait_for(payment, patience_seconds)

    def _why_not(self, order: Single) -> StreamerError:
        if self.stopping:
            return Unavailable("streamer is stopping: call again when it is back", "STOPPING")
        return self._callers.why_not(order, self._clock.now_ns())

    # -- life -----------------------------------------------------------------------------------

    def replay(self, snapshot: Snapshot, now_ns: int) -> None:
        """Take from the journal what concerns this node. Raises AssertionError if it does not balance."""
        self.switch.restore(snapshot.settings)
        self.link.restore(snapshot.settings)
        self.link.last_index = snapshot.last_index.get(self.name, 0)
        self.book.outages.restore(snapshot.outages, snapshot.settings)
        streams = [stream for stream in snapshot.streams if stream.terms.node == self.name]
        for stream in streams:
            self.book.add(stream)
            self.book.budgets.own(stream, now_ns)
        moved = lifecycle.outlast_start(streams, open_until_ns(snapshot.settings, now_ns), now_ns)
        self.defer(lambda _, facts: facts.streams.extend(moved))
        self._replay_payments([payment for payment in snapshot.open_payments if payment.node == self.name])
        for stream in streams:
            check_conservation(stream)
            self.book.schedule(stream)

    def _replay_payments(self, payments: list[Payment]) -> None:
        for payment in payments:
            ends.take_back(self.book, payment)
            self.recovery.replay(payment)

    async def run(self) -> None:
        """Pay, until cancelled. Should it break, there is no further turn: whoever waits for one, or comes yet, is told so."""
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
            self._in_flight or self._pool.waiting or self._commits.begun or self._callers or self._ends or self._actions or self.book.tally
        ):
            self._wake.set()
            await asyncio.sleep(0.02)

    # -- the loop -------------------------------------------------------------------------------

    async def _turns(self) -> None:
        while not self._commits.failed:
            facts = Facts()
            now_ns = self._clock.now_ns()
            self.book.shared.outages.alive(now_ns, facts)
            self._take_ends(now_ns, facts)
            self.link.count_outage(now_ns, facts)
            self._callers.refuse_paid()
            planned = self._plan(now_ns, facts) if self.paying else self._hold_back()
            if facts:
                self.link.remember(facts)  # without a witness what is planned could never be resent
                commit = self._commits.begin(self._whole(facts), partial(self._go_on, planned, self.book.take_tally(), now_ns))
                self._tell_turns(planned, commit)
                await self._commits.until_room()
            else:
                self._go_on(planned, self.book.take_tally(), now_ns)
                self._tell_turns(planned, None)
            if not (self._ends or self._actions):
                await self._pause()
        self._callers.refuse(lambda _: StoreFailed(NOTHING_SENT))
        await asyncio.Event().wait()

    def _tell_turns(self, planned: list[Payment], commit: asyncio.Future[None] | None) -> None:
        """Tell those who ordered single payments what this turn has made of them."""
        for payment in self._callers.tell(planned, commit):
            self.recovery.let_go(payment.payment_hash)
        self._callers.refuse(lambda order: None if self.paying and order.owner in self.book.singles else self._why_not(order))

    def _whole(self, facts: Facts) -> Facts:
        """With what goes along with every payment: the sums of the budgets, and the time."""
        if facts.intents or facts.ends:
            facts.spends += self.book.budgets.spends()
            if self.link.clock_checked:
                self.book.shared.mark(self._clock.now_ns(), facts)
        return facts

    def _go_on(self, planned: list[Payment], tally: Tally, now_ns: int) -> None:
        for payment in planned:
            self._pool.hand_over(payment)
        if tally:
            self._tell(tally, now_ns)

    def _room(self) -> int:
        """Free places in the window: by the calls that are with the node, and by the payments that are open."""
        size = self.window.size
        return min(size - self._in_flight - self._pool.waiting, size - len(self.book.slots.window))

    def _plan(self, now_ns: int, facts: Facts) -> list[Payment]:
        tokens = self._bucket.available(now_ns)
        resent: list[Payment] = []
        while min(tokens, self.window.size - self._in_flight) > len(resent) and self._resends:
            payment = self._resends.popleft()
            if payment.open:
                resent.append(payment)
        planned = self.book.plan(now_ns, min(self._room(), tokens - len(resent)), facts)
        if planned or resent:
            self._bucket.take(len(planned) + len(resent), now_ns)
        return resent + planned

    def _hold_back(self) -> list[Payment]:
        """Nothing may be sent now: what waits for its resend is asked about again, and judged anew before it goes."""
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
            timer = asyncio.get_running_loop().call_later(max(wait_ns, 0) / SECOND_NS, self._wake.set)
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
            elif answer.kind is Kind.FAILED and answer.reason is Reason.NO_LIQUIDITY and payment.row not in self.recovery.loose:
                self.recovery.take_short(payment, answer)
            else:
                ends.resolve(self.book, payment, Event.LOST, answer, now_ns, facts)
                self.recovery.take(payment, answer, now_ns)

    async def _send(self, payment: Payment) -> None:
        again = payment.row in self.recovery.loose
        if not payment.open or (again and not self.recovery.loose[payment.row].resending):
            return  # it was written off; or the connection of its verdict is gone, and it is asked about on the new one
        began_ns = self._clock.now_ns()
        if not (self.link.up and self.switch.sending and self.book.may_send(payment, began_ns)):
            answer = Answer(Kind.LOST, message="held back") if again else WITHDRAWN
            self._ended(payment, answer, None if again else Event.WITHDRAWN)
            return
        if not again:
            self._observer.sent(self.name, (began_ns - payment.due_ns) / SECOND_NS)
        self._in_flight += 1
        try:
            preimage = b"" if payment.payment_request else payment.preimage or derive_preimage(self._secret, payment.owner, payment.seq)
            answer = await self.node.send(payment, preimage, self._patience_seconds)
        finally:
            self._in_flight -= 1
        now_ns = self._clock.now_ns()
        event = None
        if answer.kind is Kind.SETTLED:
            event = Event.SETTLED
            self.window.ended(payment.destination, now_ns - began_ns, now_ns, self._in_flight)
        elif answer.kind is Kind.FAILED and answer.reason is not Reason.NO_LIQUIDITY and not self.recovery.haunted(payment, began_ns):
            event = Event.FAILED
            self.window.ended(payment.destination, now_ns - began_ns, now_ns, self._in_flight)
        self._ended(payment, answer, event)

    def _ended(self, payment: Payment, answer: Answer, event: Event | None) -> None:
        self._ends.append((payment, answer, event))
        if not self._wake.is_set():
            self._wake.set()

    def _tell(self, tally: Tally, now_ns: int) -> None:
        for payment in tally.ended:
            self._observer.ended(payment, self.book.by_key.get(payment.stream_key), (now_ns - payment.planned_ns) / SECOND_NS, False)
            self.recovery.forget(payment)
            self._waiters.tell(payment)
        for payment in tally.late:
            self._observer.ended(payment, self.book.by_key.get(payment.stream_key), (now_ns - payment.planned_ns) / SECOND_NS, True)
        for stream in tally.changed:
            self._observer.changed(stream)
        for stream, msat in tally.skipped:
            self._observer.skipped(stream.terms.group, self._cause(stream), msat)

    def _cause(self, stream: Stream) -> str:
        return stream.reason or self.book.outages.cause or Halt.OPERATOR
