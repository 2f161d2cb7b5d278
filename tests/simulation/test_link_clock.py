"""The node's best block header tells whether our clock can be right."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from streamer.core.outages import SETTING
from streamer.core.shared import MARK
from streamer.errors import NodeRejected
from streamer.money import SECOND_NS
from streamer.ports import Clock, Node, NodeIdentity
from streamer.reasons import Halt
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.lightning_node import CallFate
from streamer.simulator.node import SimulatedNode
from streamer.stores.rows import Row
from tests.simulation.beating import beating
from tests.simulation.test_money_rules import die, one_open
from tests.simulation.test_scenarios import QUICK
from tests.simulation.world import World

HOUR_NS = 3600 * SECOND_NS


@dataclass
class Anchored:
    """The clock of a daemon that was started while the wall clock was wrong."""

    real: VirtualClock
    start_error_ns: int
    error_ns: int

    def now_ns(self) -> int:
        return self.real.now_ns() + self.start_error_ns

    def wall_ns(self) -> int:
        return self.real.now_ns() + self.error_ns


class Lagging(SimulatedNode):
    """A node on mainnet whose chain was asleep."""

    hours = 5

    async def open(self) -> NodeIdentity:
        real = await super().open()
        header_ns = real.best_header_time_ns - self.hours * HOUR_NS
        return replace(real, network="mainnet", best_header_time_ns=header_ns, synced_to_chain=not self.hours)


class Laggard(World):
    def make_node(self, name: str) -> Node:
        return Lagging(self.simulation, name)


@pytest.mark.parametrize(
    ("network", "header_hours", "stopped"),
    [
        ("mainnet", 0, False),
        ("mainnet", 4, True),
        ("mainnet", -4, True),
        ("mainnet", -2, False),
        ("regtest", 4, True),
        ("regtest", -400, False),
    ],
)
def test_a_clock_far_from_the_chain_stops_the_node(network: str, header_hours: int, stopped: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        pubkey = world.network.named["payer"].pubkey
        fine = NodeIdentity(pubkey, "payer", network, "0", clock.now_ns(), 1)
        odd = replace(fine, best_header_time_ns=clock.now_ns() + header_hours * HOUR_NS)
        if not stopped:
            world.engine.link._check(odd)
            return
        with pytest.raises(NodeRejected, match=r"3 hours .* best block header.*: put the clock right$") as refusal:
            world.engine.link._check(odd)
        assert refusal.value.reason is Halt.CLOCK

    run_virtual(main)


@pytest.mark.parametrize("start_hours", [-5, 5])
def test_a_clock_that_is_put_right_is_taken_up_by_beginning_anew(start_hours: int) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        anchored = Anchored(clock, start_hours * HOUR_NS, start_hours * HOUR_NS)
        link, asked = world.engine.link, []
        link.clock, link.begin_anew = anchored, lambda: asked.append(1)
        identity = NodeIdentity(world.network.named["payer"].pubkey, "payer", "mainnet", "0", clock.now_ns(), 1)
        for error_hours, asks in ((start_hours, 0), (-start_hours, 0), (0, 1)):
            anchored.error_ns = error_hours * HOUR_NS
            with pytest.raises(NodeRejected, match="put the clock right"):
                link._check(identity)
            assert (len(asked), link.clock_checked) == (asks, False)
        anchored.start_error_ns = 0  # the new start
        link._check(identity)
        assert (len(asked), link.clock_checked) == (1, True)

    run_virtual(main)


def test_a_wall_clock_that_goes_wrong_while_ours_is_right_changes_nothing() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        link, asked = world.engine.link, []
        link.clock, link.begin_anew = Anchored(clock, 0, 50 * HOUR_NS), lambda: asked.append(1)
        link._check(NodeIdentity(world.network.named["payer"].pubkey, "payer", "mainnet", "0", clock.now_ns(), 1))
        assert (asked, link.clock_checked) == ([], True)

    run_virtual(main)


def test_a_node_that_lags_behind_the_chain_is_told_to_sync_and_pays_by_itself_when_it_has() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Laggard(clock)
        await world.open("1000msat/1s")
        halts = world.engine.link.switch.halts
        async with world.running():
            await asyncio.sleep(600)
            assert set(halts) == {Halt.CLOCK, Halt.RECOVERING} and world.received_msat() == 0
            assert "lnd is not synced to the chain: let it sync (is its bitcoind online?), or put the clock right" in halts[Halt.CLOCK]
            node = world.engine.link.node
            assert isinstance(node, Lagging)
            node.hours = 0
            await asyncio.sleep(10)
            assert not halts and world.received_msat() > 0

    run_virtual(main)


class Synced(Lagging):
    """A node on mainnet whose newest block is fresh: it finds a clock wrong that is ahead."""

    hours = 0


class Skewed(World):
    """A machine whose clock is error_ns ahead in the processes that start now."""

    error_ns = 0

    def make_node(self, name: str) -> Node:
        return Synced(self.simulation, name)

    def daemon_clock(self) -> Clock:
        return Anchored(self.clock, self.error_ns, self.error_ns)

    def start_with(self, error_hours: int) -> None:
        self.error_ns = error_hours * HOUR_NS
        self.crash()

    @property
    def record(self) -> list[Row]:
        """(node, cause, start_ns, end_ns) of all outages, those too that no stream needs any more."""
        return sorted(self.store._durable.outages.values(), key=lambda row: row[2])


@pytest.mark.parametrize("hours", [24, -24])
def test_a_clock_that_was_wrong_puts_no_outage_on_record_and_moves_no_mark(hours: int) -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        async with world.running(), beating(world):
            stream = await world.open("1sat/1s")
            await asyncio.sleep(60)
            await one_open(world, stream, CallFate.ACCEPTED, then=die)
        mark_ns = int(world.store.load().settings[MARK])
        await asyncio.sleep(48 * 3600)
        world.start_with(hours)
        async with world.running(), beating(world, clock_checked=False):
            await asyncio.sleep(60)
            assert Halt.CLOCK in world.engine.switch.halts
            world.engine.defer(lambda _, facts: facts.ends.extend(world.book.payments.values()))  # as when a person writes one off
            await asyncio.sleep(60)
            settings = world.store.load().settings
            assert (world.record, settings.get(SETTING + "payer", ""), int(settings[MARK])) == ([], "", mark_ns)
        world.start_with(0)
        began_ns = clock.now_ns()
        async with world.running(), beating(world):
            await asyncio.sleep(60)
            assert world.record[0] == ("", "DAEMON_DOWN", mark_ns, began_ns)
            assert all(row[3] <= clock.now_ns() for row in world.record)

    run_virtual(main)


def test_what_was_impossible_before_a_node_was_there_to_check_the_clock_is_on_record_with_the_first_mark() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        async with world.running(), beating(world):
            await world.open("1sat/1s")
            await asyncio.sleep(60.5)  # nothing is under way: an HTLC that nobody watches for two days would close the channel
        mark_ns = int(world.store.load().settings[MARK])
        world.faults.take_down("payer")
        for last in (False, True):  # the first of these leaves nothing: the second counts what it saw as a time without a daemon
            world.start_with(0)
            began_ns = clock.now_ns()
            async with world.running(), beating(world, clock_checked=False) as told:
                await asyncio.sleep(24 * 3600)
                assert (world.record, int(world.store.load().settings[MARK])) == ([], mark_ns)
                if last:
                    world.faults.bring_up("payer")
                    while not world.engine.link.clock_checked:
                        await asyncio.sleep(0.01)
                    told.clock_checked = True
                    while int(world.store.load().settings[MARK]) == mark_ns:
                        await asyncio.sleep(0.01)
        assert world.record[0] == ("", "DAEMON_DOWN", mark_ns, began_ns)
        going_on = world.store.load().settings[SETTING + "payer"]
        assert going_on == f"{began_ns} NODE_DOWN" or world.record[1][:3] == ("payer", "NODE_DOWN", began_ns)
        world.start_with(0)
        async with world.running(), beating(world):
            await asyncio.sleep(600)
            [stream] = world.book.streams.values()
            assert stream.skipped_ns > 47 * HOUR_NS

    run_virtual(main)
