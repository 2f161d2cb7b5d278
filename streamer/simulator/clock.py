"""Clocks, and an event loop whose time stands still while there is work and jumps when there is
none.

On the virtual loop an hour of simulated time takes as long as its events need, and a run depends on
nothing but its inputs: no wall clock, no threads (what would go to a thread runs in place).
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple, Unpack

from streamer.words.money import SECOND_NS

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

VIRTUAL_START_NS = 1_800_000_000 * SECOND_NS
"""The wall moment at which a virtual run begins unless told otherwise (2027-01-15 08:00 UTC)."""


RESOLUTION_SECONDS = 1e-7
"""Timers closer than this are one moment: more than a float's step after ten years of virtual time,
or a timer that is due would never be seen as due."""


class VirtualDeadlockError(RuntimeError):
    """Nothing is scheduled and the main coroutine has not ended: it waits for what cannot come."""


class _LeapSelector(selectors.SelectSelector):
    """Instead of sleeping until the next timer it moves the loop's time there."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_ns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise VirtualDeadlockError(
                "virtual time stands still: no timer is set, and every task waits for another"
            )
        if timeout > 0:
            # at least 1 ns, or a timer that is off by a rounding would spin
            self.elapsed_ns += max(1, round(timeout * SECOND_NS))
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on virtual time; time() is the seconds since its start."""

    def __init__(self) -> None:
        self._leap = _LeapSelector()
        super().__init__(self._leap)
        self._clock_resolution = RESOLUTION_SECONDS

    @property
    def elapsed_ns(self) -> int:
        """Virtual time since the loop was made."""
        return self._leap.elapsed_ns

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._leap.elapsed_ns / SECOND_NS

    def leap(self, duration_ns: int) -> None:
        """Time passes at once, without anything running meanwhile, as in a suspended machine."""
        self._leap.elapsed_ns += duration_ns

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run func here and now: on virtual time there are no threads."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class VirtualClock:
    """The Clock port on a virtual loop, with a seeded generator for whoever needs chance."""

    def __init__(self, loop: VirtualLoop, start_ns: int, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._loop = loop
        self._start_ns = start_ns
        self._step_ns = self._moved_ns = 0

    def now_ns(self) -> int:
        """Virtual time since 1970, which steps of the wall clock do not show."""
        return self._start_ns + self._loop.elapsed_ns + self._moved_ns

    def wall_ns(self) -> int:
        """The same, with the steps that step_wall made and not with what move did."""
        return self._start_ns + self._loop.elapsed_ns + self._step_ns

    def move(self, by_ns: int) -> None:
        """Now is by_ns later than it was, or earlier."""
        self._moved_ns += by_ns

    def step_wall(self, duration_ns: int) -> None:
        """Move the wall clock only, forwards or backwards."""
        self._step_ns += duration_ns

    def suspend(self, duration_ns: int) -> None:
        """The machine sleeps: time goes on, and nothing runs meanwhile."""
        self._loop.leap(duration_ns)


def run_virtual(
    main: Callable[[VirtualClock], Coroutine[Any, Any, T]],
    *,
    start_ns: int = VIRTUAL_START_NS,
    seed: int = 0,
) -> T:
    """Run main(clock) on a new virtual loop and give its result; tasks left over are cancelled.

    Raises VirtualDeadlockError when main waits and nothing is scheduled any more.
    """
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main(VirtualClock(loop, start_ns, seed)))
    finally:
        try:
            _cancel_all(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _cancel_all(loop: VirtualLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    if not tasks:
        return
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
