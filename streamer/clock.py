"""Time: wall time read once at the start, and paced by CLOCK_BOOTTIME from there.

A step of the wall clock while running neither creates nor loses a payment, and unlike
CLOCK_MONOTONIC boot time goes on while the machine sleeps (MONEY.md 13).
"""

from __future__ import annotations

import time


class BootClock:
    """The Clock port on Linux."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def now_ns(self) -> int:
        """Wall time as of the start, paced by boot time; nanoseconds since 1970."""
        return self._offset_ns + time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_ns(self) -> int:
        """The wall clock as it is now."""
        return time.time_ns()
