"""Time: from a moment that is given, or else from the wall clock, and paced by CLOCK_BOOTTIME from
there.

A step of the wall clock while running neither creates nor loses a payment, and unlike
CLOCK_MONOTONIC boot time goes on while the machine sleeps: by the other, a laptop that slept for 8
hours would pay 8 hours late until the next start, and then all of it at once. Whether the wall
clock is right, and when our time follows it, is decided in timekeeping.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Nanoseconds = Callable[[], int]


class DaemonClock:
    """The Clock port over two clocks: boot_ns goes on evenly, wall_ns may be set by anybody at any
    moment.

    mark_ns: what now is to begin with, the least that it can be by the journal (0: nothing is
    known, so it is the wall clock).
    """

    def __init__(self, boot_ns: Nanoseconds, wall_ns: Nanoseconds, mark_ns: int = 0) -> None:
        self._boot_ns, self._wall_ns = boot_ns, wall_ns
        self._offset_ns = (mark_ns or wall_ns()) - boot_ns()

    def now_ns(self) -> int:
        """Our time, nanoseconds since 1970."""
        return self._offset_ns + self._boot_ns()

    def wall_ns(self) -> int:
        """The wall clock as it is now."""
        return self._wall_ns()

    def move(self, by_ns: int) -> None:
        """Now is by_ns later than it was, or earlier."""
        self._offset_ns += by_ns


class BootClock(DaemonClock):
    """The same on Linux."""

    def __init__(self, mark_ns: int = 0) -> None:
        super().__init__(_boot_ns, _wall_ns, mark_ns)

    def now_ns(self) -> int:
        """See DaemonClock; three times a payment, so with one call less."""
        return self._offset_ns + time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _wall_ns() -> int:
    return time.time_ns()
