"""The heartbeat watches the disk, also while it forgets history; on the whole engine, in virtual
time.
"""

from __future__ import annotations

import asyncio

import pytest

from streamer.core.shared import MARK, MARK_EVERY_NS
from streamer.run.heartbeat import LEAST_FREE_BYTES, PURGE_EVERY_NS, PURGE_STEP
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import StoreFailed
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt
from tests.simulation.beating import beating, with_steps

MAKE_ROOM = "make room, then `streamer sending start`"


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
            assert told.halts == {
                Halt.STORE_FAILED: (
                    "only 63 MiB are free for the journal: make room, then `streamer sending start`"
                )
            }
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


def test_a_disk_that_does_not_say_what_is_free_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world, _ = with_steps(clock)
        asked = list[int]()

        def space(_: object) -> tuple[int, int]:
            asked.append(clock.now_ns())
            if len(asked) < 4:
                raise OSError("stale file handle")
            return 0, LEAST_FREE_BYTES - 1

        monkeypatch.setattr(type(world.store), "space", space)
        async with beating(world, checked=True) as told:
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
        async with beating(world, checked=True) as told:
            await asyncio.sleep(30)
            assert (
                int(world.store.load().settings[MARK]) >= clock.now_ns() - MARK_EVERY_NS - SECOND_NS
            )
            free = 0
            await asyncio.sleep(7)
            assert told.halts == {
                Halt.STORE_FAILED: "only 0 MiB are free for the journal: " + MAKE_ROOM
            }
            await asyncio.sleep(500)
            assert steps == ended == 100, "one after the other, until there is nothing to forget"
            await asyncio.sleep(PURGE_EVERY_NS / SECOND_NS - 500)
            assert steps > 100
        before = steps
        await asyncio.sleep(10)
        assert steps == ended == before, "it ends with the heartbeat"

    run_virtual(main)


def test_a_store_that_fails_while_history_is_forgotten_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world, _ = with_steps(clock)

        async def purge(*_: int) -> int:
            raise StoreFailed("the disk is gone")

        monkeypatch.setattr(world.store, "purge", purge)
        async with beating(world, checked=True) as told:
            await asyncio.sleep(5)
            assert told.halts == {Halt.STORE_FAILED: "the disk is gone"}

    run_virtual(main)
