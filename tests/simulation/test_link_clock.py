"""The node's best block header tells whether our clock can be right."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from streamer.books.timekeeping import ClockState
from streamer.core.outages import SETTING
from streamer.core.shared import MARK
from streamer.ports import Node, NodeIdentity
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.lightning_node import CallFate
from streamer.words.reasons import Halt
from tests.simulation.beating import beating
from tests.simulation.skewed import HOUR_NS, Lagging, Skewed
from tests.simulation.test_money_rules import die, one_open
from tests.simulation.test_scenarios import QUICK
from tests.simulation.world import World


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
def test_a_clock_far_from_the_chain_stops_the_node(
    network: str, header_hours: int, stopped: bool
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        pubkey = world.network.named["payer"].pubkey
        fine = NodeIdentity(pubkey, "payer", network, "0", clock.now_ns(), 1)
        odd = replace(fine, best_header_time_ns=clock.now_ns() + header_hours * HOUR_NS)
        world.engine.link._check(odd)
        text = world.engine.switch.halts.get(Halt.CLOCK, "")
        assert (
            bool(re.search(r"3 hours .* best block header.*: put the clock right$", text))
            is stopped
        )
        assert world.timekeeping.state is (ClockState.WRONG if stopped else ClockState.RIGHT)

    run_virtual(main)


@pytest.mark.parametrize("start_hours", [-5, 5])
def test_a_clock_that_is_put_right_is_taken_up_without_a_new_start(start_hours: int) -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        async with world.running(), beating(world):
            await world.open("1sat/1s")
            await asyncio.sleep(60.5)
        mark_ns, paid = int(world.store.load().settings[MARK]), world.received_msat()
        world.start_with(start_hours)
        began_ns, timekeeping = clock.now_ns(), world.timekeeping
        async with world.running(), beating(world):
            for error_hours in (start_hours, -start_hours):
                world.error_ns = error_hours * HOUR_NS
                await asyncio.sleep(30)
                assert (timekeeping.state, world.received_msat()) == (ClockState.WRONG, paid)
                assert world.engine._clock.now_ns() == mark_ns + clock.now_ns() - began_ns, (
                    "the least that it can be"
                )
            world.error_ns = 0
            await asyncio.sleep(10)
            assert timekeeping.state is ClockState.RIGHT
            assert world.engine._clock.now_ns() == clock.now_ns()
            assert world.received_msat() > paid

    run_virtual(main)


def test_a_wall_clock_that_goes_wrong_while_ours_is_right_changes_nothing() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock)
        link = world.engine.link
        identity = NodeIdentity(
            world.network.named["payer"].pubkey, "payer", "mainnet", "0", clock.now_ns(), 1
        )
        link._check(identity)
        world.error_ns = 50 * HOUR_NS
        link._check(identity)
        assert (
            not link.switch.halts.keys() & {Halt.CLOCK}
            and world.timekeeping.state is ClockState.RIGHT
        )
        assert world.engine._clock.now_ns() == clock.now_ns()

    run_virtual(main)


def test_a_node_that_lags_behind_the_chain_is_told_to_sync_and_pays_by_itself_when_it_has() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Laggard(clock)
        await world.open("1000msat/1s")
        halts = world.engine.link.switch.halts
        async with world.running():
            await asyncio.sleep(600)
            assert set(halts) == {Halt.CLOCK} and world.received_msat() == 0
            assert (
                "lnd is not synced to the chain: let it sync (is its bitcoind online?), or put the"
                " clock right" in halts[Halt.CLOCK]
            )
            node = world.engine.link.node
            assert isinstance(node, Lagging)
            node.hours = 0
            await asyncio.sleep(10)
            assert not halts and world.received_msat() > 0

    run_virtual(main)


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
        async with world.running(), beating(world):
            await asyncio.sleep(60)
            assert Halt.CLOCK in world.engine.switch.halts
            # as when a person writes one off
            world.engine.defer(lambda _, facts: facts.ends.extend(world.book.payments.values()))
            await asyncio.sleep(60)
            settings = world.store.load().settings
            assert (world.record, settings.get(SETTING + "payer", ""), int(settings[MARK])) == (
                [],
                "",
                mark_ns,
            )
        world.start_with(0)
        began_ns = clock.now_ns()
        async with world.running(), beating(world):
            await asyncio.sleep(60)
            assert world.record[0] == ("", "DAEMON_DOWN", mark_ns, began_ns)
            assert all(row[3] <= clock.now_ns() for row in world.record)

    run_virtual(main)


def test_all_time_before_a_node_was_there_to_check_the_clock_is_one_outage() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        async with world.running(), beating(world):
            await world.open("1sat/1s")
            # nothing is under way: an HTLC that nobody watches for two days would close the channel
            await asyncio.sleep(60.5)
        mark_ns = int(world.store.load().settings[MARK])
        world.faults.take_down("payer")
        # the first of these leaves nothing: the second counts what it saw as a time without a
        # daemon
        for last in (False, True):
            world.start_with(0)
            async with world.running(), beating(world):
                await asyncio.sleep(24 * 3600)
                assert (world.record, int(world.store.load().settings[MARK])) == ([], mark_ns)
                if last:
                    world.faults.bring_up("payer")
                    while int(world.store.load().settings[MARK]) == mark_ns:
                        await asyncio.sleep(0.01)
                    right_ns = int(world.store.load().settings[MARK])
        assert [row for row in world.record if not row[0]] == [
            ("", "DAEMON_DOWN", mark_ns, right_ns)
        ], "one span, whatever it was"
        world.start_with(0)
        async with world.running(), beating(world):
            await asyncio.sleep(600)
            [stream] = world.book.streams.values()
            assert stream.skipped_ns > 47 * HOUR_NS

    run_virtual(main)
