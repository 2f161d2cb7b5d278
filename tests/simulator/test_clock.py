"""The virtual loop: time jumps, nothing waits, nothing depends on the machine."""

from __future__ import annotations

import asyncio
import time

import pytest

from streamer.simulator.clock import (
    VIRTUAL_START_NS,
    VirtualClock,
    VirtualDeadlockError,
    run_virtual,
)

SECOND = 10**9


def test_a_year_of_sleep_takes_no_time_and_ends_on_the_nanosecond() -> None:
    async def main(clock: VirtualClock) -> int:
        for _ in range(365):
            await asyncio.sleep(86_400)
        return clock.now_ns()

    before = time.monotonic()
    assert run_virtual(main) == VIRTUAL_START_NS + 365 * 86_400 * SECOND
    assert time.monotonic() - before < 5


def test_timers_fire_in_order_and_at_their_time() -> None:
    seen: list[tuple[str, int]] = []

    async def mark(clock: VirtualClock, name: str, delay: float) -> None:
        await asyncio.sleep(delay)
        seen.append((name, clock.now_ns() - VIRTUAL_START_NS))

    async def main(clock: VirtualClock) -> None:
        await asyncio.gather(
            mark(clock, "c", 0.3),
            mark(clock, "a", 0.1),
            mark(clock, "b", 0.1),
            mark(clock, "d", 7200.5),
        )

    run_virtual(main)
    assert seen == [
        ("a", SECOND // 10),
        ("b", SECOND // 10),
        ("c", 3 * SECOND // 10),
        ("d", 7200 * SECOND + SECOND // 2),
    ]


def test_waiting_for_what_cannot_come_is_an_error_not_a_hang() -> None:
    async def main(clock: VirtualClock) -> None:
        await asyncio.Event().wait()

    with pytest.raises(VirtualDeadlockError, match="no timer is set"):
        run_virtual(main)


def test_timeouts_work_on_virtual_time() -> None:
    async def main(clock: VirtualClock) -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return clock.now_ns() - VIRTUAL_START_NS

    assert run_virtual(main) == 30 * SECOND


def test_what_would_go_to_a_thread_runs_in_place_with_its_result_and_its_error() -> None:
    async def main(clock: VirtualClock) -> int:
        empty: dict[int, int] = {}
        with pytest.raises(KeyError):
            await asyncio.to_thread(empty.__getitem__, 1)
        return await asyncio.get_running_loop().run_in_executor(None, lambda: 42)

    assert run_virtual(main) == 42


def test_wall_steps_do_not_show_in_now_and_suspension_does() -> None:
    async def main(clock: VirtualClock) -> tuple[int, int, int]:
        start = clock.now_ns()
        clock.step_wall(-3600 * SECOND)
        stepped = clock.now_ns() - start
        clock.suspend(60 * SECOND)
        await asyncio.sleep(1)
        return stepped, clock.now_ns() - start, clock.wall_ns() - start

    assert run_virtual(main) == (0, 61 * SECOND, (61 - 3600) * SECOND)


def test_tasks_left_over_are_cancelled_and_may_clean_up() -> None:
    cleaned: list[str] = []

    async def sleeper() -> None:
        try:
            await asyncio.sleep(10**6)
        finally:
            await asyncio.sleep(1)
            cleaned.append("yes")

    async def main(clock: VirtualClock) -> None:
        task = asyncio.create_task(sleeper())
        await asyncio.sleep(1)
        assert not task.done()

    run_virtual(main)
    assert cleaned == ["yes"]


def test_the_seed_is_the_only_chance() -> None:
    async def main(clock: VirtualClock) -> list[float]:
        return [clock.random.random() for _ in range(5)]

    assert run_virtual(main, seed=1) == run_virtual(main, seed=1) != run_virtual(main, seed=2)
