"""A daemon in trouble: its disk is slow, full or fails, its clock steps, its nodes answer late;
doors open as the daemon's.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from streamer.core.book import Book
from streamer.core.keysend import derive_preimage
from streamer.core.ledger import Budget
from streamer.core.shared import MARK
from streamer.doubt.recovery import Patience
from streamer.ports import Node, NodeIdentity
from streamer.run.heartbeat import Beats, Heartbeat
from streamer.service import Keyring, Nodes, Service
from streamer.service.reports import Totals
from streamer.simulator.clock import VirtualClock
from streamer.simulator.network.pace import Pace
from streamer.simulator.node import SimulatedNode
from streamer.stores.archive import COLUMNS, stream_of
from streamer.stores.memory import MemoryStore
from streamer.stores.rows import Row
from streamer.watch.feed import Feed
from streamer.words.errors import StoreFailed
from streamer.words.model import Answer, Facts, Kind, Payment, Stream
from streamer.words.money import DAY_NS, MILLISECOND_NS, SECOND_NS
from streamer.words.reasons import Halt
from streamer.words.settings import StreamSettings
from tests.simulation.world import SECRET, World

PACE = Pace(latency_ns=(20 * MILLISECOND_NS, 2_000 * MILLISECOND_NS))
WRITE_OFF_NS = 3600 * SECOND_NS
SLOW_NS = (MILLISECOND_NS, 300 * MILLISECOND_NS)
PLENTY_BYTES = 1 << 50
SETTLED_LIMIT_MSAT = 10**15
"""A spend limit that nothing reaches."""


class TroubledStore(MemoryStore):
    """fail_rate: of the commits that fail, half have taken effect; on_commit is told of each that
    begins.
    """

    def __init__(self, rng: random.Random, on_commit: Callable[[], None]) -> None:
        super().__init__()
        self.rng = rng
        self.on_commit = on_commit
        self.slow = self.full = False
        self.free_bytes = PLENTY_BYTES
        self.fail_rate = 0.0
        self._under_way = 0

    def reopen(self) -> TroubledStore:
        other = TroubledStore(self.rng, self.on_commit)
        other.slow, other.full, other.free_bytes = self.slow, self.full, self.free_bytes
        self._hand_over(other)
        return other

    def revert(self, copy: bytes) -> set[bytes]:
        """The disk holds that copy; the hashes of the invoices of which it lacks an attempt."""
        now = self._attempts()
        self.restore(copy)
        before = self._attempts()
        return {payment_hash for row, payment_hash in now.items() if row not in before}

    def _attempts(self) -> dict[int, bytes]:
        return dict(self.execute("SELECT row,payment_hash FROM invoice_payments"))

    def marked_ns(self) -> int:
        """The journal's last moment."""
        return int(self.execute("SELECT value FROM settings WHERE name=?", MARK)[0][0])

    def space(self) -> tuple[int, int]:
        return 0, self.free_bytes

    def append(self, facts: Facts) -> asyncio.Future[None]:
        self.on_commit()
        troubled = self.slow or self.full or self.fail_rate or self._under_way
        # a good disk needs no task for each commit
        self.commit = self._disk if troubled else None
        commit = super().append(facts)
        if troubled:
            self._under_way += 1
            commit.add_done_callback(self._done)
        if not self.fail_rate or self.rng.random() >= self.fail_rate:
            return commit
        return asyncio.ensure_future(self._fail_after(commit))

    def _done(self, commit: asyncio.Future[None]) -> None:
        self._under_way -= 1

    async def _disk(self) -> None:
        if self.full:
            raise StoreFailed("database or disk is full")
        if self.rng.random() < self.fail_rate:
            raise StoreFailed("input/output error, and nothing was written")
        if self.slow:
            await asyncio.sleep(self.rng.randint(*SLOW_NS) / SECOND_NS)

    async def _fail_after(self, commit: asyncio.Future[None]) -> None:
        await commit
        self.fail("input/output error, and yet it was written")
        assert self.failure is not None
        raise self.failure


class LateNode(SimulatedNode):
    """Of its answers some come late, and the news of an acceptance twice."""

    def __init__(self, world: Troubled, name: str) -> None:
        super().__init__(world.simulation, name)
        self.world = world

    async def identity(self) -> NodeIdentity:
        """As on mainnet, where a clock is found wrong that is ahead."""
        return replace(await super().identity(), network="mainnet")

    async def send(self, payment: Payment, preimage: bytes, patience_seconds: float) -> Answer:
        answer = await super().send(payment, preimage, patience_seconds)
        if await self._late() and answer.accepted:
            self.accepted(payment.payment_hash, answer.index)
        return self._if_connected(answer)

    async def track(self, payment_hash: bytes, patience_seconds: float) -> Answer:
        answer = await super().track(payment_hash, patience_seconds)
        await self._late()
        return self._if_connected(answer)

    async def _late(self) -> bool:
        late = self.world.late_rate and self.world.rng.random() < self.world.late_rate
        if late:
            await asyncio.sleep(self.world.rng.random() * 5)
        return bool(late)

    def _if_connected(self, answer: Answer) -> Answer:
        if self._connected or answer.kind is Kind.LOST:
            return answer
        return Answer(
            Kind.LOST,
            answer.accepted,
            answer.accepted,
            message="connection lost",
            index=answer.index,
        )


@dataclass(slots=True)
class Excuses:
    """What may be so because of what people did, by the key of a stream or the hash of a payment.

    budget: its user lowered the budget below what was spent. forgotten: the node's operator deleted
    it after it had ended. orphaned: a restart of the node orphaned it; a closed channel and another
    restart may have ended it since. written_off: by a person. overtaken: the node got an old
    database back that did not have it as it was. doubted: nodes that lost a history or a channel.
    lost_streams: tokens of streams that an old copy of the journal lacks. invoices: hashes of
    invoices, whose HTLCs carry no record of ours. lost_singles: single payments may be missing as
    well. lost_attempts: hashes of invoices of which an attempt is missing. incomplete: nodes of
    which an old journal has not read yet what it lacks. completed_ns: when one had, last: what was
    paid already counts in the period in which the node made it, even if that is more than a budget
    or the limit allowed then (our clock was another, or a period had begun by hand that the old
    journal does not know). moved: by budget, its period and what was spent and reserved in it when
    our time had been put right: what counts there may be of several periods of a time that was
    wrong.
    """

    budget: set[int]
    forgotten: set[bytes]
    orphaned: set[bytes]
    written_off: set[bytes]
    overtaken: set[bytes]
    doubted: set[str]
    lost_streams: set[bytes]
    invoices: set[bytes]
    lost_singles: bool = False
    lost_attempts: set[bytes] = field(default_factory=set)
    incomplete: set[str] = field(default_factory=set)
    completed_ns: int = 0
    moved: dict[str, tuple[int, int]] = field(default_factory=dict)


class Troubled(World):
    """A world on such a disk, with such nodes, whose people use the service behind the doors."""

    def __init__(
        self,
        clock: VirtualClock,
        receivers: int,
        payers: int,
        rng: random.Random,
        on_commit: Callable[[], None],
    ) -> None:
        self.rng = rng
        self.late_rate = 0.0
        self.excuses = Excuses(set(), set(), set(), set(), set(), set(), set(), set())
        self.replay_asked = asyncio.Event()
        self._disk = TroubledStore(rng, on_commit)
        self._keys_given = itertools.count(1)
        self._read: dict[object, tuple[Row, Stream]] = {}
        self.settings = StreamSettings(
            min_payment_interval_ns=rng.choice((1, 1, 30, 300)) * SECOND_NS
        )
        options = {
            "patience": Patience(orphan_write_off_after_ns=WRITE_OFF_NS),
            "max_in_flight": rng.choice((2, 8, 30)),
            "per_destination": rng.choice((1, 5, 10)),
            "spend_limit_msat": rng.choice(
                (SETTLED_LIMIT_MSAT, SETTLED_LIMIT_MSAT, rng.randint(1_000_000, 50_000_000))
            ),
        }
        super().__init__(clock, PACE, receivers, payers, **options)

    def _build(self) -> None:
        if not isinstance(self.store, TroubledStore):
            self.store = self._disk
        super()._build()
        self.timekeeping.follow(self)
        self.replay_asked.clear()
        self.keyring = Keyring(SECRET, "the admin key", self.snapshot.keys)
        self.service = Service(
            Nodes.of(self.parts, self.engines),
            self.keyring,
            Feed(),
            stream_keys=self._keys_given,
            preimage=lambda owner: derive_preimage(SECRET, owner, 0),
            totals=Totals,
            replay=self.replay_asked.set,
            settings=self.settings,
        )

    def make_node(self, name: str) -> Node:
        return LateNode(self, name)

    def now_ns(self) -> int:
        """As the daemon sees it."""
        return self.engine._clock.now_ns()

    def move_time(self, by_ns: int) -> None:
        """Our time has moved; at a start it has not: it had not begun."""
        if self.timekeeping.known or self.timekeeping._was_right:
            sums = {
                name: (budget.period_start_ns, budget.spent_msat + budget.reserved_msat)
                for name, budget in self.budgets.items()
            }
            self.excuses.moved.update(sums)

    @property
    def budgets(self) -> dict[str, Budget]:
        """All that there are, of every level, by name."""
        shared = self.shared.budgets
        keys = {f"key {number}": budget for number, budget in shared._keys.items()}
        own = {f"stream {key}": budget for key, budget in shared._own.items()}
        return {"the spend limit": shared.spend_limit, **keys, **own}

    async def beat(self) -> None:
        """The daemon's heartbeat, for ever."""
        beats = Beats(self._halt, lambda _: None)
        heart = Heartbeat(
            self.store,
            self.desk,
            self.shared,
            self.engine._clock,
            400 * DAY_NS,
            beats,
            self.timekeeping,
        )
        heart.start()
        await heart.run()

    def _halt(self, halt: Halt, text: str) -> None:
        self.switch.stop(halt, text)

    @property
    def books(self) -> list[Book]:
        return [engine.book for engine in self.engines.values()]

    @property
    def streams(self) -> list[Stream]:
        """All there are, of all nodes, the oldest first; copies of those that the journal alone
        has.
        """
        rows = self.store.execute(f"SELECT {','.join(COLUMNS)} FROM archive")
        found = {row[0]: self._archived(row) for row in rows}
        for engine in self.engines.values():
            found |= {
                stream.key: stream
                for stream in (*engine.archive.leaving.values(), *engine.book.streams.values())
            }
        return [found[key] for key in sorted(found)]

    def _archived(self, row: Row) -> Stream:
        """Read once, as long as it is the same."""
        known = self._read.get(row[0])
        if known is None or known[0] != row:
            known = self._read[row[0]] = (row, stream_of(row))
        return known[1]

    @property
    def open_payments(self) -> list[Payment]:
        return [payment for book in self.books for payment in book.payments.values()]

    def book_of(self, stream: Stream) -> Book:
        return self.engines[stream.terms.node].book
