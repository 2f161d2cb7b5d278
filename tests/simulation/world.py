"""A whole engine on a virtual clock: simulated lnd nodes, a memory store, and the real rest."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from streamer.core import lifecycle
from streamer.core.book import Limits
from streamer.core.schedule import price_msat
from streamer.core.shared import MARK, Moment
from streamer.core.streamtime import check_conservation, origin_ns, paid_until_ns, stream_now_ns
from streamer.pay.build import Build
from streamer.pay.engine import Engine
from streamer.pay.engine import Pace as EnginePace
from streamer.ports import Clock, Node
from streamer.simulator.clock import VirtualClock
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.faults import Faults
from streamer.simulator.network.network import Network
from streamer.simulator.network.pace import Pace
from streamer.simulator.node import SimulatedNode
from streamer.stores.memory import MemoryStore
from streamer.words.clock import DaemonClock
from streamer.words.model import Facts, Payment, Rate, Single, Stream, Terms
from streamer.words.money import DAY_NS, SECOND_NS, parse_duration, parse_rate

SECRET = bytes(range(32))
MONTH_SECONDS = 30 * 86_400


class Counting:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.latenesses: list[float] = []
        self.payments: list[Payment] = []
        self.late: list[Payment] = []
        self.skipped_msat = 0
        self.states: list[tuple[str, str, str]] = []

    def sent(self, node: str, lateness_seconds: float) -> None:
        self.latenesses.append(lateness_seconds)

    def ended(
        self,
        payment: Payment,
        stream: Stream | None,
        moment: Moment | None,
        seconds: float,
        late: bool,
    ) -> None:
        (self.late if late else self.payments).append(payment)

    def changed(self, stream: Stream, moment: Moment) -> None:
        self.states.append((stream.id, moment.state, moment.reason))

    def skipped(self, group: str, cause: str, msat: int) -> None:
        self.skipped_msat += msat


class World:
    """Paying nodes with channels to receivers, and an engine on each; book and engine are the first
    one's.

    proven: the receivers have settled in time before each start, and may have several payments
    under way at once. hub: the payers have one channel each, to a node that has one to each
    receiver. keep_ns: of history.
    """

    keep_ns = 400 * DAY_NS

    def __init__(
        self,
        clock: VirtualClock,
        pace: Pace | None = None,
        receivers: int = 1,
        payers: int = 1,
        **options: object,
    ) -> None:
        self.clock = clock
        self.options = options
        self.network = Network(seed=clock.random.randrange(1 << 30), start_ns=clock.now_ns())
        self.payers = ["payer", *(f"payer{number}" for number in range(2, payers + 1))]
        paying = [self.network.add_node(name, pace) for name in self.payers]
        hubs = [self.network.add_node("hub")] if options.get("hub") else []
        for payer, hub in itertools.product(paying, hubs):
            self.network.open_channel(payer, hub, 100_000_000)
        for number in range(receivers):
            receiver = self.network.add_node(f"receiver{number}")
            for payer in hubs or paying:
                self.network.open_channel(payer, receiver, 100_000_000)
        self.simulation = Simulation(self.network, clock)
        self.faults = Faults(self.network, self.simulation.sync)
        self.store = MemoryStore()
        self.observer = Counting()
        self.failures: list[str] = []
        self._keys = itertools.count(1)
        self._build()

    def _build(self) -> None:
        snapshot = self.store.load()
        self.snapshot = snapshot
        clock, failures = self.daemon_clock(), self.failures
        self.parts = Build.of(
            self.store,
            snapshot,
            clock,
            SECRET,
            self.observer,
            limit_msat=int(str(self.options.get("spend_limit_msat", 10**15))),
            period_ns=3600 * SECOND_NS,
            on_store_failed=lambda _, text: failures.append(text),
            jitter=lambda: self.clock.random.randrange(100),
        )
        self.shared, self.desk = self.parts.shared, self.parts.desk
        self.timekeeping = self.parts.timekeeping
        self.switch, self.daemon_outages = self.shared.switch, self.shared.outages
        self.engines = {name: self._engine(name) for name in self.payers}
        self.engine = self.engines["payer"]
        self.book = self.engine.book
        for engine in self.engines.values():
            engine.replay(snapshot, clock.now_ns())

    def _engine(self, name: str) -> Engine:
        limits = Limits(max_in_flight_per_destination=self._option("per_destination", 10))
        engine = self.parts.engine(
            self.make_node(name),
            limits=limits,
            pace=EnginePace(
                self._option("max_payments_per_second", 200), self._option("max_in_flight", 100)
            ),
            patience=self.options.get("patience"),  # type: ignore[arg-type]
        )
        for node in self.network.nodes.values() if self.options.get("proven") else ():
            engine.book.slots.prove(node.pubkey, limits.max_in_flight_per_destination)
        return engine

    def _option(self, name: str, usual: int) -> int:
        return int(str(self.options.get(name, usual)))

    def make_node(self, name: str) -> Node:
        """The engine's way to a paying node; each process has its own."""
        return SimulatedNode(self.simulation, name)

    def daemon_clock(self) -> Clock:
        """The clock of the process that starts now: it begins at the journal's mark."""
        return DaemonClock(
            self.clock.now_ns, self.clock.wall_ns, int(self.snapshot.settings.get(MARK, "0"))
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[World]:
        task = asyncio.ensure_future(self.engine.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled() and task.exception() is not None:
                raise task.exception()  # type: ignore[misc]

    def crash(self) -> None:
        """What a kill leaves: the store. `running` again is the restart."""
        self.store = self.store.reopen()
        self._build()

    def terms(self, rate: str, receiver: int = 0, **changes: object) -> Terms:
        amount, interval = parse_rate(rate)
        payment = interval
        while payment * amount // interval < 1_000 or payment < SECOND_NS:
            payment += interval
        terms = Terms(
            "payer",
            self.network.named[f"receiver{receiver}"].pubkey,
            Rate(amount, interval, payment),
            self.clock.now_ns(),
            None,
            None,
            5_000,
            10_000,
            1_000,
            SECOND_NS,
            None,
            parse_duration("5m"),
            None,
            1,
            "",
            (),
            (),
            b"",
        )
        return replace(terms, **changes)  # type: ignore[arg-type]

    async def open(self, rate: str, receiver: int = 0, **changes: object) -> Stream:
        key = next(self._keys)
        stream = lifecycle.new_stream(
            f"st_{key:032x}", key, self.terms(rate, receiver, **changes), self.clock.now_ns()
        )
        facts = Facts()
        lifecycle.open_stream(self.book, stream, self.clock.now_ns(), facts)
        await self.store.append(facts)
        self.engine.wake()
        return stream

    async def open_many(
        self, rate: str, receivers: Iterable[int], each: int, api_key: int = 0, **changes: object
    ) -> list[Stream]:
        """So many streams to each of these receivers, of one API key, in one commit."""
        facts, opened = Facts(), []
        for receiver in receivers:
            for _ in range(each):
                key, now_ns = next(self._keys), self.clock.now_ns()
                stream = lifecycle.new_stream(
                    f"st_{key:032x}", key, self.terms(rate, receiver, **changes), now_ns, api_key
                )
                lifecycle.open_stream(self.book, stream, now_ns, facts)
                opened.append(stream)
        await self.store.append(facts)
        self.engine.wake()
        return opened

    async def do(self, action: object, stream: Stream, *arguments: object) -> None:
        """One of lifecycle's functions on a stream, durable when it returns."""
        facts = Facts()
        action(self.book, stream, *arguments, self.clock.now_ns(), facts)  # type: ignore[operator]
        await self.store.append(facts)
        self.engine.wake()

    async def pay(self, order: Single) -> Payment:
        """A payment of no stream, waited for to its end. Raises what begin raises."""
        payment = await self.engine.begin(order, Facts())
        await self.engine.wait_for(payment, MONTH_SECONDS)
        return payment

    def price_now(self, stream: Stream) -> int:
        return price_msat(stream.segments, max(0, stream_now_ns(stream, self.clock.now_ns())))

    def ahead_ns(self, stream: Stream) -> int:
        """How far settled money reaches beyond now."""
        return origin_ns(stream) + paid_until_ns(stream) - self.clock.now_ns()

    def received_msat(self, receiver: int = 0) -> int:
        node = self.network.named[f"receiver{receiver}"]
        return sum(htlc.amount_msat for invoice in node.invoices.values() for htlc in invoice.htlcs)

    def number_of(self, destination: bytes) -> int:
        """Which receiver has this pubkey."""
        return next(
            int(name.removeprefix("receiver"))
            for name, node in self.network.named.items()
            if node.pubkey == destination
        )

    def check(self) -> None:
        for stream in self.book.streams.values():
            check_conservation(stream)
