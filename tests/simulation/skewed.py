"""A machine whose wall clock is wrong, with a node on mainnet that finds it wrong."""

from __future__ import annotations

from dataclasses import replace

from streamer.core.shared import MARK
from streamer.ports import Clock, Node, NodeIdentity
from streamer.simulator.node import SimulatedNode
from streamer.stores.rows import Row
from streamer.words.clock import DaemonClock
from streamer.words.money import SECOND_NS
from tests.simulation.world import World

HOUR_NS = 3600 * SECOND_NS


class Lagging(SimulatedNode):
    """A node on mainnet whose chain was asleep."""

    hours = 5

    async def identity(self) -> NodeIdentity:
        real = await super().identity()
        header_ns = real.best_header_time_ns - self.hours * HOUR_NS
        return replace(
            real, network="mainnet", best_header_time_ns=header_ns, synced_to_chain=not self.hours
        )


class Synced(Lagging):
    """A node on mainnet whose newest block is fresh: it finds a clock wrong that is ahead."""

    hours = 0


class Skewed(World):
    """A machine whose wall clock is error_ns ahead."""

    error_ns = 0

    def make_node(self, name: str) -> Node:
        return Synced(self.simulation, name)

    def daemon_clock(self) -> Clock:
        mark_ns = int(self.snapshot.settings.get(MARK, "0"))
        return DaemonClock(self.clock.now_ns, lambda: self.clock.now_ns() + self.error_ns, mark_ns)

    def start_with(self, error_hours: int) -> None:
        self.error_ns = error_hours * HOUR_NS
        self.crash()

    @property
    def record(self) -> list[Row]:
        """(node, cause, start_ns, end_ns) of all outages, those too that no stream needs any
        more.
        """
        return self.store.execute(
            "SELECT node,cause,start_ns,end_ns FROM outages ORDER BY start_ns"
        )
