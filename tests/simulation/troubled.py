"""A world whose disk is slow and sometimes fails, before a commit took effect or after it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from streamer.errors import StoreFailed
from streamer.model import Facts
from streamer.money import MILLISECOND_NS, SECOND_NS
from streamer.recovery import Patience
from streamer.simulator.clock import VirtualClock
from streamer.simulator.pace import Pace
from streamer.stores.memory import MemoryStore
from tests.simulation.world import World

PACE = Pace(latency_ns=(20 * MILLISECOND_NS, 2_000 * MILLISECOND_NS))
WRITE_OFF_NS = 3600 * SECOND_NS

SLOW_NS = (MILLISECOND_NS, 300 * MILLISECOND_NS)


class TroubledStore(MemoryStore):
    """fail_rate: of the commits that fail, half have taken effect; on_commit is told of each that begins."""

    def __init__(self, rng: random.Random, on_commit: Callable[[], None]) -> None:
        super().__init__()
        self.rng = rng
        self.on_commit = on_commit
        self.slow = False
        self.fail_rate = 0.0
        self.commit = self._disk

    def reopen(self) -> TroubledStore:
        other = TroubledStore(self.rng, self.on_commit)
        other.slow, other._durable = self.slow, super().reopen()._durable
        return other

    def append(self, facts: Facts) -> asyncio.Future[None]:
        self.on_commit()
        commit = super().append(facts)
        if self.rng.random() >= self.fail_rate:
            return commit
        return asyncio.ensure_future(self._fail_after(commit))

    async def _disk(self) -> None:
        if self.rng.random() < self.fail_rate:
            raise StoreFailed("input/output error, and nothing was written")
        if self.slow:
            await asyncio.sleep(self.rng.randint(*SLOW_NS) / SECOND_NS)

    async def _fail_after(self, commit: asyncio.Future[None]) -> None:
        await commit
        self.fail("input/output error, and yet it was written")
        assert self.failure is not None
        raise self.failure


class Troubled(World):
    """A world on such a disk. excused: streams (by key) whose user lowered a budget below what was spent.

    forgotten: payments that the node's operator deleted after they had ended. orphaned: payments that a restart of the
    node orphaned; a closed channel and another restart may have ended them since.
    """

    def __init__(self, clock: VirtualClock, receivers: int, rng: random.Random, on_commit: Callable[[], None]) -> None:
        self.excused: set[int] = set()
        self.forgotten: set[bytes] = set()
        self.orphaned: set[bytes] = set()
        self._disk = TroubledStore(rng, on_commit)
        super().__init__(clock, PACE, receivers, patience=Patience(orphan_write_off_after_ns=WRITE_OFF_NS))

    def _build(self) -> None:
        if not isinstance(self.store, TroubledStore):
            self.store = self._disk
        super()._build()
