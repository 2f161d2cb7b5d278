"""What the heartbeat sees: a clock that jumps, a machine that sleeps, sending that stops; on the
whole engine, in virtual time.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from streamer.core.shared import MARK, MARK_EVERY_NS
from streamer.core.spans import Span
from streamer.run.heartbeat import LEAST_FREE_BYTES
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.lightning_node import CallFate
from streamer.words.clock import BootClock
from streamer.words.model import Facts, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt
from tests.simulation.beating import beating, with_steps
from tests.simulation.served import service_of
from tests.simulation.test_money_rules import die, one_open
from tests.simulation.world import World

HOUR_NS = 3600 * SECOND_NS
MINUTE_NS = 60 * SECOND_NS


def in_future(world: World, now_ns: int) -> list[Span]:
    """What the node's and the daemon's outages have beyond now."""
    return [
        span
        for outages in (world.book.outages, world.shared.outages)
        for span in outages.overlapping(now_ns, now_ns + 2 * HOUR_NS)
    ]


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS])
def test_a_wall_clock_that_jumps_while_running_creates_and_loses_nothing(step_ns: int) -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        async with world.running(), beating(world) as told:
            stream = await world.open("1sat/1s")
            await asyncio.sleep(60)
            steps.step_ns = step_ns
            await asyncio.sleep(60.5)
            assert told.halts == {}
            assert stream.account.settled_msat == 121_000
            assert (stream.skipped_ns, stream.state) == (0, StreamState.ACTIVE)
            assert world.received_msat() == 121_000
            world.check()

    run_virtual(main)


@pytest.mark.parametrize("step_seconds", [3600, -3600])
def test_the_daemons_clock_does_not_follow_a_step(
    monkeypatch: pytest.MonkeyPatch, step_seconds: int
) -> None:
    clock = BootClock()
    real = time.time_ns
    before = clock.now_ns()
    monkeypatch.setattr(time, "time_ns", lambda: real() + step_seconds * SECOND_NS)
    assert 0 <= clock.now_ns() - before < MINUTE_NS
    assert abs(clock.wall_ns() - clock.now_ns()) > HOUR_NS - MINUTE_NS


def test_an_hour_asleep_is_an_outage_of_an_hour() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        async with world.running(), beating(world) as told:
            stream = await world.open("1sat/1s")
            await asyncio.sleep(60)
            steps.slept_ns = HOUR_NS
            await asyncio.sleep(60)
            assert told.halts == {}
            # five minutes of the hour are caught up, the rest is nobody's
            assert abs(stream.skipped_ns - 55 * MINUTE_NS) <= 3 * SECOND_NS
            assert abs(world.received_msat() - 1_000 * (2 * 60 + 5 * 60)) <= 5_000
            world.check()

    run_virtual(main)


@pytest.mark.parametrize(("behind_ns", "stops"), [(HOUR_NS, True), (59 * SECOND_NS, False)])
def test_a_start_with_the_clock_behind_the_journal_waits_until_it_is_right(
    behind_ns: int, stops: bool
) -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        async with world.running(), beating(world):
            stream = await world.open("1sat/1s", catch_up_ns=None)
            await asyncio.sleep(60.5)
        last_ns = int(world.store.load().settings[MARK])
        assert steps.now_ns() - last_ns <= MARK_EVERY_NS + 2 * SECOND_NS
        steps.step_ns = -behind_ns
        world.crash()
        stream = world.book.streams[stream.id]
        paid = world.received_msat()
        async with beating(world) as told, world.running():
            await asyncio.sleep(30)
            if not stops:
                assert told.halts == {}
                return
            assert list(told.halts) == [Halt.CLOCK]
            assert (
                "s behind the journal's last entry: put the clock right, sending then starts"
                in told.halts[Halt.CLOCK]
            )
            assert world.received_msat() == paid
            steps.step_ns = 0
            await asyncio.sleep(15)  # no new start is needed
            assert world.switch.sending and world.received_msat() > paid
            # the time that was set back was bought once
            assert abs(world.price_now(stream) - stream.account.settled_msat) <= 2_000
            assert world.received_msat() == stream.account.settled_msat
            world.check()

    run_virtual(main)


def test_no_moment_is_marked_before_a_node_has_found_the_clock_right() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        steps.step_ns = 5 * HOUR_NS
        async with beating(world) as told:
            await asyncio.sleep(30)
            assert MARK not in world.store.load().settings
            steps.step_ns = 0
            world.timekeeping.judge("payer", "")
            await asyncio.sleep(3 * MARK_EVERY_NS / SECOND_NS)
            assert MARK in world.store.load().settings
        world.crash()
        async with beating(world) as told:
            assert told.halts == {}

    run_virtual(main)


def test_a_start_that_stops_for_the_clock_leaves_the_journals_last_moment_to_the_next() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        async with beating(world, checked=True):
            await asyncio.sleep(20)
        last_ns = int(world.store.load().settings[MARK])
        steps.step_ns = -HOUR_NS
        for _ in range(2):
            world.crash()
            world.switch.halts.clear()
            async with beating(world) as told:
                await asyncio.sleep(30)
                assert list(told.halts) == [Halt.CLOCK]
        assert int(world.store.load().settings[MARK]) == last_ns
        async with beating(world, checked=True):
            # a person says that the clock is right, not the journal
            await service_of(world).sending.start(b"")
            await asyncio.sleep(20)
            assert world.engine._clock.now_ns() == steps.wall_ns()
        world.crash()
        async with beating(world) as told:
            assert told.halts == {}

    run_virtual(main)


def test_an_outage_of_a_journal_that_was_ahead_ends_when_a_person_says_so() -> None:
    """Left in the future that was invented it would be skipped as impossible when that time
    comes.
    """

    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        steps.step_ns = HOUR_NS
        async with world.running(), beating(world):
            await world.open("1sat/1s")
            await asyncio.sleep(60)
            world.faults.take_down("payer")
            await asyncio.sleep(600)
            world.faults.bring_up("payer")
            await asyncio.sleep(60)
            facts = Facts()
            now_ns = steps.wall_ns()
            world.shared.outages.add("SUSPENDED", now_ns - MINUTE_NS, now_ns, facts)
            await world.store.append(facts)
            assert len(in_future(world, steps.wall_ns() - HOUR_NS)) == 2
        steps.step_ns = 0
        world.crash()
        async with beating(world) as told, world.running():
            await asyncio.sleep(30)
            assert list(told.halts) == [Halt.CLOCK]
            await service_of(world).sending.start(b"")
            now_ns = steps.wall_ns()
            assert in_future(world, now_ns) == []
            await asyncio.sleep(5)
        world.crash()
        assert in_future(world, now_ns) == [], "and the journal knows it"

    run_virtual(main)


def test_what_ends_while_the_clock_is_wrong_lifts_no_halt_of_the_next_start() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        async with world.running(), beating(world):
            stream = await world.open("1sat/1s")
            await asyncio.sleep(60)
            await one_open(world, stream, CallFate.ACCEPTED, then=die)
        last_ns = int(world.store.load().settings[MARK])
        steps.step_ns = -HOUR_NS
        for _ in range(2):
            world.crash()
            async with beating(world) as told, world.running():
                paid = world.received_msat()
                await asyncio.sleep(60)
                assert list(told.halts) == [Halt.CLOCK] and world.received_msat() == paid
                assert not world.book.payments, "its end is learned all the same"
        assert int(world.store.load().settings[MARK]) == last_ns

    run_virtual(main)


def test_a_start_with_the_clock_an_hour_ahead_pays_no_more_than_may_be_caught_up() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        async with world.running(), beating(world):
            stream = await world.open("1sat/1s")
            await asyncio.sleep(60.5)
        steps.step_ns = HOUR_NS
        world.crash()
        async with beating(world) as told, world.running():
            await asyncio.sleep(10.5)
            assert told.halts == {}
            stream = world.book.streams[stream.id]
            assert abs(stream.skipped_ns - 55 * MINUTE_NS) <= 12 * SECOND_NS
            assert abs(world.received_msat() - 1_000 * (61 + 5 * 60 + 10)) <= 15_000
            world.check()

    run_virtual(main)


@pytest.mark.parametrize("cause", ["no room", "an engine broke"])
def test_what_stops_sending_by_itself_is_an_outage_until_the_journal_is_replayed(
    monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    async def main(clock: VirtualClock) -> None:
        world, _ = with_steps(clock)
        free = LEAST_FREE_BYTES
        monkeypatch.setattr(type(world.store), "space", lambda _: (0, free))
        async with beating(world):
            async with world.running():
                await world.open("1sat/1s")
                await asyncio.sleep(60)
                if cause == "no room":
                    free = 0
                    await asyncio.sleep(10)
            if cause == "an engine broke":
                world.switch.stop(Halt.STORE_FAILED, cause)
            await asyncio.sleep(3600)
            assert world.daemon_outages.cause == Halt.STORE_FAILED
        paid = world.received_msat()
        free = LEAST_FREE_BYTES
        world.crash()
        async with beating(world), world.running():
            await asyncio.sleep(60)
            # an hour in which nothing could be paid, of which five minutes are caught up
            [stream] = world.book.streams.values()
            assert abs(stream.skipped_ns - 55 * MINUTE_NS) <= 15 * SECOND_NS
            assert abs(world.received_msat() - paid - 1_000 * (5 * 60 + 60)) <= 15_000
            assert not world.daemon_outages.since_ns
            world.check()
        world.crash()
        assert not world.daemon_outages.since_ns, "its end is in the journal"

    run_virtual(main)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_stop_begins_no_outage_by_a_wrong_clock(stopped: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        async with beating(world, checked=True):
            await asyncio.sleep(20)
        last_ns = int(world.store.load().settings[MARK])
        steps.step_ns = -HOUR_NS
        world.crash()
        async with beating(world):
            if stopped:
                await service_of(world).sending.stop(False, 0)
            await asyncio.sleep(20)
        steps.step_ns = 0
        world.crash()
        async with beating(world, checked=True) as told:
            assert not told.halts
            await asyncio.sleep(20)
            assert world.daemon_outages.cause == (Halt.OPERATOR if stopped else "")
            assert {
                start_ns
                for start_ns, _ in world.daemon_outages.overlapping(0, clock.now_ns())
                if start_ns <= last_ns
            } == {last_ns}

    run_virtual(main)
