"""A world that dies at a given point: before any step of the loop, any commit, and any call to the
node.

A kill takes the process's memory and its connections, and nothing else. So two points between which
nothing outside changed (no commit begun or done, no call made, no time passed) leave the same; they
count as one, and a run that crashes at each of the others has crashed at every await.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import TypeVarTuple

from streamer.doubt.recovery import Patience
from streamer.ports import Channels, NodeIdentity, NodePayment
from streamer.simulator.clock import VIRTUAL_START_NS, VirtualClock, VirtualLoop
from streamer.simulator.network.books import Failure
from streamer.simulator.network.lightning_node import CallFate
from streamer.simulator.network.pace import Pace
from streamer.simulator.node import SimulatedNode
from streamer.stores.memory import MemoryStore
from streamer.words.model import Answer, Payment, PaymentQuery, PaymentState, Stream, StreamState
from streamer.words.money import MILLISECOND_NS, SECOND_NS
from tests.simulation.world import World

Ts = TypeVarTuple("Ts")

COMMIT_SECONDS = 0.003
PATIENCE = Patience(
    ghost_after_ns=5 * SECOND_NS,
    in_doubt_after_ns=90 * SECOND_NS,
    orphan_write_off_after_ns=120 * SECOND_NS,
)
LATE_NS = 2 * SECOND_NS
MAX_POINTS = 2_000
"""More in one life than any way has: a run that reaches it does not end."""


@dataclass(frozen=True)
class Way:
    """What happens to the payment apart from the crashes.

    fates: what becomes of the first calls that send it. fails_for: how long every payment fails.
    restart_at: when the payer's lnd restarts, and whether it orphans what is open. seconds: how
    long to run on until all must have ended. idle_ns: time of this length makes a point of its own,
    even if nothing was done meanwhile.
    """

    name: str
    fates: tuple[CallFate, ...] = ()
    fails_for: float = 0.0
    restart_at: float = 0.0
    orphans: bool = False
    seconds: float = 45.0
    idle_ns: int = 1


WAYS = (
    Way("plain"),
    Way("reply lost", (CallFate.ACCEPTED,)),
    Way("call lost", (CallFate.NEVER,)),
    Way("ghost", (CallFate.LATE,)),
    Way("two ghosts", (CallFate.LATE, CallFate.LATE)),
    Way("a ghost, and the resend fails", (CallFate.LATE,), fails_for=1.5, seconds=95.0),
    Way("fails", fails_for=1.0, seconds=95.0),
    Way("lnd restarts", restart_at=0.06, seconds=95.0, idle_ns=SECOND_NS // 4),
    Way(
        "lnd restarts and orphans",
        restart_at=0.06,
        orphans=True,
        seconds=255.0,
        idle_ns=10 * SECOND_NS,
    ),
)


class SteppedLoop(VirtualLoop):
    """Tells `before_step` of each step that the loop makes."""

    before_step: Callable[[], None] | None = None

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon(self._step, callback, *args, context=context)

    def _step(self, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        if self.before_step is not None:
            self.before_step()
        callback(*args)


class MortalNode(SimulatedNode):
    """The connection of one process: when that is dead, its calls are never made and never
    answered.
    """

    def __init__(self, world: CrashingWorld) -> None:
        super().__init__(world.simulation, "payer")
        self.world = world
        self.dead = False

    def die(self) -> None:
        self.dead = True
        self._went_down("the process is gone")

    async def _begin(self) -> None:
        self.world.point()
        if self.dead:
            await asyncio.get_running_loop().create_future()
        self.world.effects += 1

    async def open(self) -> NodeIdentity:
        await self._begin()
        return await super().open()

    async def send(self, payment: Payment, preimage: bytes, patience_seconds: float) -> Answer:
        await self._begin()
        self.world.sends(payment)
        return await super().send(payment, preimage, patience_seconds)

    async def track(self, payment_hash: bytes, patience_seconds: float) -> Answer:
        await self._begin()
        return await super().track(payment_hash, patience_seconds)

    async def channels(self) -> Channels:
        await self._begin()
        return await super().channels()

    async def payments_after(self, index: int, limit: int) -> Sequence[NodePayment]:
        await self._begin()
        return await super().payments_after(index, limit)


class CrashingWorld(World):
    """A world whose process can be killed at its N-th point."""

    def __init__(self, clock: VirtualClock, way: Way) -> None:
        self.way = way
        self.fates = list(way.fates)
        self.effects = 0
        self.steps = self.points = 0
        self._crash_at: int | None = None
        self._seen: tuple[int, int] | None = None
        self._died: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.parameters: dict[bytes, set[tuple[bytes, int, int, int, bytes]]] = {}
        super().__init__(
            clock,
            Pace(latency_ns=(80 * MILLISECOND_NS, 120 * MILLISECOND_NS)),
            max_in_flight=2,
            patience=PATIENCE,
        )
        self.store = MemoryStore(self._commit)
        self._build()

    async def _commit(self) -> None:
        self.effects += 1
        await asyncio.sleep(COMMIT_SECONDS)
        self.effects += 1

    def _build(self) -> None:
        # what a dead process still says is nobody's
        self.failures = []
        super()._build()

    def make_node(self, name: str) -> MortalNode:
        self.node = MortalNode(self)
        return self.node

    def sends(self, payment: Payment) -> None:
        """The node is called: with parameters that never change, after the intent is durable."""
        if not payment.row:
            return
        sent = (
            payment.destination,
            payment.amount_msat,
            payment.fee_limit_msat,
            payment.cltv_limit,
            payment.records,
        )
        self.parameters.setdefault(payment.payment_hash, set()).add(sent)
        assert payment.row in {found.row for found in self.store.load().open_payments}, (
            "sent before its intent was durable"
        )
        if self.fates:
            self.faults.lose_calls("payer", 1, self.fates.pop(0), LATE_NS)

    def point(self) -> None:
        """The process may die here."""
        if self._crash_at is None or self._died.done():
            return
        self.steps += 1
        seen = (self.effects, self.clock.now_ns() // self.way.idle_ns)
        if seen == self._seen:
            return
        self._seen = seen
        self.points += 1
        if self._over():
            self._died.set_result(False)
        elif self.points == self._crash_at:
            self.node.die()
            self.store = self.store.reopen()
            self._died.set_result(True)

    def _over(self) -> bool:
        """The way of the first payment is gone: it has ended, durably, and one is settled."""
        if (
            not self.engine.up
            or self.book.payments
            or not all(stream.account.settled_count for stream in self.book.streams.values())
        ):
            return False
        return not self.store.load().open_payments

    async def live(self, crash_at: int) -> bool:
        """One life of the process, until its crash (True), or until the payment's way is gone
        (False): then it lives on.
        """
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SteppedLoop)
        self._crash_at, self._seen, self.points = crash_at, None, 0
        self._died = loop.create_future()
        task = asyncio.ensure_future(self.engine.run())
        loop.before_step = self.point
        await asyncio.wait(
            (self._died, task), timeout=self.way.seconds, return_when=asyncio.FIRST_COMPLETED
        )
        loop.before_step = None
        assert self._died.done(), (
            "the payment's way has no end" if not task.done() else task.exception()
        )
        crashed = self._died.result()
        if crashed:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._build()
        return crashed

    async def begin(self) -> None:
        """The stream is durable, and the trouble of the way is set up."""
        await self.open("10sat/10s", catch_up_ns=None)
        self.began_ns = self.clock.now_ns()
        loop = asyncio.get_running_loop()
        if self.way.fails_for:
            self.faults.fail_randomly("payer", 1.0, Failure.TIMEOUT)
            loop.call_later(self.way.fails_for, self.faults.fail_randomly, "payer", 0.0)
        if self.way.restart_at:
            loop.call_later(
                self.way.restart_at, self.faults.restart, "payer", float(self.way.orphans)
            )

    async def finish(self) -> None:
        """Run on, and find that everything has ended, once, and that nothing is behind."""
        grid_ns = 10 * SECOND_NS
        until_ns = self.clock.now_ns() + int(self.way.seconds * SECOND_NS)
        until_ns += grid_ns // 2 - (until_ns - self.began_ns) % grid_ns
        await asyncio.sleep((until_ns - self.clock.now_ns()) / SECOND_NS)
        assert not self.failures, self.failures
        assert not self.observer.late, "its time was paid again while a call of it was alive"
        self.check()
        [stream] = self.book.streams.values()
        ended = await self.store.payments(PaymentQuery(limit=1000))
        assert not self.book.payments and not [payment for payment in ended if payment.open], (
            "something is open"
        )
        self._check_books(stream, ended)
        assert stream.state is StreamState.ACTIVE and not stream.skipped_ns
        assert 0 <= stream.account.settled_msat - self.price_now(stream) <= 10_000, (
            "the stream is not current"
        )

    def _check_books(self, stream: Stream, ended: Sequence[Payment]) -> None:
        invoices = self.network.named["receiver0"].invoices.values()
        received = Counter(
            {invoice.payment_hash: len(invoice.htlcs) for invoice in invoices if invoice.htlcs}
        )
        settled = {
            payment.payment_hash for payment in ended if payment.state is PaymentState.SETTLED
        }
        written_off = [payment for payment in ended if payment.state is PaymentState.WRITTEN_OFF]
        assert max(received.values()) == 1, "a hash was paid twice"
        assert set(received) == settled, "the receiver's books are not the ledger"
        assert self.way.orphans or not written_off
        assert stream.account.written_off_msat == sum(
            payment.settled_msat for payment in written_off
        )
        assert self.received_msat() == stream.account.settled_msat - stream.account.written_off_msat
        assert all(len(sent) == 1 for sent in self.parameters.values()), (
            "a resend had other parameters"
        )


@dataclass(frozen=True)
class Outcome:
    """How far a run came: crashes that happened, points and steps of its last counted life."""

    crashes: int
    points: int
    steps: int


def run_way(kind: type[CrashingWorld], way: Way, *crash_at: int) -> Outcome:
    """Go the way with a crash at these points of one life after the other; fails if money is wrong,
    or a caller is not told.
    """

    async def main() -> Outcome:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SteppedLoop)
        world = kind(VirtualClock(loop, VIRTUAL_START_NS, 1), way)
        await world.begin()
        crashes = 0
        for point in crash_at:
            if not await world.live(point):
                break
            crashes += 1
        outcome = Outcome(crashes, world.points, world.steps)
        async with asyncio.TaskGroup() as tasks:
            last = tasks.create_task(world.engine.run()) if crashes == len(crash_at) else None
            await world.finish()
            if last is not None:
                last.cancel()
        return outcome

    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        return runner.run(main())
