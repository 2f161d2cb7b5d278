"""What the heartbeat sees: a clock that jumps, a machine that sleeps, a disk that fills; on the whole engine, in virtual time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from streamer.clock import BootClock
from streamer.core.shared import MARK
from streamer.errors import StoreFailed
from streamer.heartbeat import LEAST_FREE_BYTES, MARK_EVERY_NS, PURGE_EVERY_NS, PURGE_STEP, Beats, Heartbeat
from streamer.model import StreamState
from streamer.money import DAY_NS, SECOND_NS
from streamer.reasons import Halt
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.lightning_node import CallFate
from tests.simulation.served import service_of
from tests.simulation.test_money_rules import die, one_open
from tests.simulation.world import World

HOUR_NS = 3600 * SECOND_NS
MINUTE_NS = 60 * SECOND_NS
MAKE_ROOM = "make room, then `streamer sending start`"


@dataclass
class Steps:
    """The clock of a daemon: paced by boot time, while somebody sets the wall clock."""

    real: VirtualClock
    step_ns: int = 0
    slept_ns: int = 0

    def now_ns(self) -> int:
        return self.real.now_ns() + self.slept_ns

    def wall_ns(self) -> int:
        return self.real.now_ns() + self.slept_ns + self.step_ns


@dataclass
class Told:
    """What the heartbeat asked for."""

    halts: dict[Halt, str] = field(default_factory=dict)
    replays: int = 0
    clock_checked: bool = True


@asynccontextmanager
async def beating(world: World, clock_checked: bool = True) -> AsyncIterator[Told]:
    """A heartbeat beside the world's engine, started as the daemon starts it."""
    told = Told(clock_checked=clock_checked)

    def halt(why: Halt, text: str) -> None:
        told.halts[why] = text
        world.switch.stop(why, text)

    def replay() -> None:
        told.replays += 1

    beats = Beats(halt, lambda _: None, replay, lambda: told.clock_checked)
    heart = Heartbeat(world.store, world.book.shared, world.engine._clock, 400 * DAY_NS, beats)
    heart.start(world.store.load().settings)
    task = asyncio.ensure_future(heart.run())
    try:
        yield told
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def with_steps(clock: VirtualClock) -> tuple[World, Steps]:
    steps = Steps(clock)
    world = World(clock)
    world.clock = steps  # type: ignore[assignment]
    world._build()
    return world, steps


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS])
def test_a_wall_clock_that_jumps_while_running_creates_and_loses_nothing(step_ns: int) -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        async with world.running(), beating(world) as told:
            stream = await world.open("1sat/1s")
            await asyncio.sleep(60)
            steps.step_ns = step_ns
            await asyncio.sleep(60.5)
            assert (told.halts, told.replays) == ({}, 0)
            assert stream.account.settled_msat == 121_000
            assert (stream.skipped_ns, stream.state) == (0, StreamState.ACTIVE)
            assert world.received_msat() == 121_000
            world.check()

    run_virtual(main)


@pytest.mark.parametrize("step_seconds", [3600, -3600])
def test_the_daemons_clock_does_not_follow_a_step(monkeypatch: pytest.MonkeyPatch, step_seconds: int) -> None:
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
def test_a_start_with_the_clock_behind_the_journal_waits_until_it_is_right(behind_ns: int, stops: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        async with world.running(), beating(world):
            stream = await world.open("1sat/1s", catch_up_ns=None)
            await asyncio.sleep(60.5)
        last_ns = int(world.store.load().settings[MARK])
        assert steps.now_ns() - last_ns <= MARK_EVERY_NS + 2 * SECOND_NS
        steps.slept_ns = -behind_ns
        world.crash()
        stream = world.book.streams[stream.id]
        paid = world.received_msat()
        async with beating(world) as told, world.running():
            await asyncio.sleep(30)
            if not stops:
                assert (told.halts, told.replays) == ({}, 0)
                return
            assert list(told.halts) == [Halt.CLOCK]
            assert "s behind the journal's last entry: put the clock right, sending then starts" in told.halts[Halt.CLOCK]
            assert (world.received_msat(), told.replays) == (paid, 0)
            steps.slept_ns = 0
            await asyncio.sleep(2)
            assert told.replays >= 1
        world.crash()
        world.switch.halts.clear()
        async with beating(world) as told, world.running():
            await asyncio.sleep(5)
            assert told.halts == {}
            stream = world.book.streams[stream.id]
            # the time that was set back was bought once
            assert abs(world.price_now(stream) - stream.account.settled_msat) <= 2_000
            assert world.received_msat() == stream.account.settled_msat
            world.check()

    run_virtual(main)


def test_no_moment_is_marked_before_a_node_has_found_the_clock_right() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        steps.slept_ns = 5 * HOUR_NS
        async with beating(world, clock_checked=False) as told:
            await asyncio.sleep(30)
            assert MARK not in world.store.load().settings
            steps.slept_ns = 0
            told.clock_checked = True
            await asyncio.sleep(3 * MARK_EVERY_NS / SECOND_NS)
            assert MARK in world.store.load().settings
        world.crash()
        async with beating(world) as told:
            assert told.halts == {}

    run_virtual(main)


def test_a_start_that_stops_for_the_clock_leaves_the_journals_last_moment_to_the_next() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        async with beating(world):
            await asyncio.sleep(20)
        last_ns = int(world.store.load().settings[MARK])
        steps.slept_ns = -HOUR_NS
        for _ in range(2):
            world.crash()
            world.switch.halts.clear()
            async with beating(world) as told:
                await asyncio.sleep(30)
                assert list(told.halts) == [Halt.CLOCK]
        assert int(world.store.load().settings[MARK]) == last_ns
        async with beating(world):
            # a person says that the clock is right, not the journal
            world.switch.lift(Halt.CLOCK)
            await asyncio.sleep(20)
        world.crash()
        async with beating(world) as told:
            assert told.halts == {}

    run_virtual(main)


def test_what_ends_while_the_clock_is_wrong_lifts_no_halt_of_the_next_start() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        async with world.running(), beating(world):
            stream = await world.open("1sat/1s")
            await asyncio.sleep(60)
            await one_open(world, stream, CallFate.ACCEPTED, then=die)
        last_ns = int(world.store.load().settings[MARK])
        steps.slept_ns = -HOUR_NS
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
        steps.slept_ns = HOUR_NS
        world.crash()
        async with beating(world) as told, world.running():
            await asyncio.sleep(10.5)
            assert told.halts == {}
            stream = world.book.streams[stream.id]
            assert abs(stream.skipped_ns - 55 * MINUTE_NS) <= 12 * SECOND_NS
            assert abs(world.received_msat() - 1_000 * (61 + 5 * 60 + 10)) <= 15_000
            world.check()

    run_virtual(main)


def test_sending_stops_before_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(clock: VirtualClock) -> None:
        world, _ = with_steps(clock)
        free = LEAST_FREE_BYTES
        monkeypatch.setattr(type(world.store), "space", lambda _: (0, free))
        async with world.running(), beating(world) as told:
            stream = await world.open("1sat/1s")
            await asyncio.sleep(20)
            assert told.halts == {}
            free = LEAST_FREE_BYTES - 1
            await asyncio.sleep(7)
            assert told.halts == {Halt.STORE_FAILED: "only 63 MiB are free for the journal: make room, then `streamer sending start`"}
            paid = world.received_msat()
            await asyncio.sleep(60)
            assert world.received_msat() == paid == stream.account.settled_msat
        world.crash()
        async with beating(world) as told:
            # a start without room stops before anything is paid
            assert list(told.halts) == [Halt.STORE_FAILED]
        free = LEAST_FREE_BYTES
        world.crash()
        async with beating(world) as told, world.running():
            await asyncio.sleep(5)
            assert told.halts == {}
            assert world.received_msat() > paid
            world.check()

    run_virtual(main)


@pytest.mark.parametrize("cause", ["no room", "an engine broke"])
def test_what_stops_sending_by_itself_is_an_outage_until_the_journal_is_replayed(monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
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
        async with beating(world):
            await asyncio.sleep(20)
        last_ns = int(world.store.load().settings[MARK])
        steps.slept_ns = -HOUR_NS
        world.crash()
        async with beating(world):
            if stopped:
                await service_of(world).sending.stop(False, 0)
            await asyncio.sleep(20)
        steps.slept_ns = 0
        world.crash()
        async with beating(world) as told:
            assert not told.halts
            await asyncio.sleep(20)
            assert world.daemon_outages.cause == (Halt.OPERATOR if stopped else "")
            assert {start_ns for start_ns, _ in world.daemon_outages.overlapping(0, clock.now_ns()) if start_ns <= last_ns} == {last_ns}

    run_virtual(main)


def test_a_disk_that_does_not_say_what_is_free_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(clock: VirtualClock) -> None:
        world, _ = with_steps(clock)
        asked = list[int]()

        def space(_: object) -> tuple[int, int]:
            asked.append(clock.now_ns())
            if len(asked) < 4:
                raise OSError("stale file handle")
            return 0, LEAST_FREE_BYTES - 1

        monkeypatch.setattr(type(world.store), "space", space)
        async with beating(world) as told:
            await asyncio.sleep(60)
            assert len(asked) > 4 and list(told.halts) == [Halt.STORE_FAILED]

    run_virtual(main)


def test_forgetting_history_keeps_no_beat_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(clock: VirtualClock) -> None:
        world, _ = with_steps(clock)
        steps, ended, free = 0, 0, LEAST_FREE_BYTES

        async def purge(*_: int) -> int:
            nonlocal steps, ended
            steps += 1
            try:
                await asyncio.sleep(1)
            finally:
                ended += 1
            return PURGE_STEP if steps % 100 else 0

        monkeypatch.setattr(world.store, "purge", purge)
        monkeypatch.setattr(type(world.store), "space", lambda _: (0, free))
        async with beating(world) as told:
            await asyncio.sleep(30)
            assert int(world.store.load().settings[MARK]) >= clock.now_ns() - MARK_EVERY_NS - SECOND_NS
            free = 0
            await asyncio.sleep(7)
            assert told.halts == {Halt.STORE_FAILED: "only 0 MiB are free for the journal: " + MAKE_ROOM}
            await asyncio.sleep(500)
            assert steps == ended == 100, "one after the other, until there is nothing to forget"
            await asyncio.sleep(PURGE_EVERY_NS / SECOND_NS - 500)
            assert steps > 100
        before = steps
        await asyncio.sleep(10)
        assert steps == ended == before, "it ends with the heartbeat"

    run_virtual(main)


def test_a_store_that_fails_while_history_is_forgotten_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(clock: VirtualClock) -> None:
        world, _ = with_steps(clock)

        async def purge(*_: int) -> int:
            raise StoreFailed("the disk is gone")

        monkeypatch.setattr(world.store, "purge", purge)
        async with beating(world) as told:
            await asyncio.sleep(5)
            assert told.halts == {Halt.STORE_FAILED: "the disk is gone"}

    run_virtual(main)
