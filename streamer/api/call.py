"""One call, as a method sees it: who calls, and how much time there is. The same for every door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from streamer.api.auth import NOBODY, Caller, Metadata

DEFAULT_PATIENCE_SECONDS = 60.0
"""How long a waiting call waits that brought no deadline."""
LONGEST_PATIENCE_SECONDS = 3600.0
REPLY_MARGIN_SECONDS = 0.25
"""A waiting call replies this much before its deadline, so that the reply still arrives."""


def _wait() -> None:
    """A call that answers once ends by itself."""


@dataclass(slots=True)
class Call:
    """What came with a request.

    metadata has lower-case names. deadline is a moment of the running loop's clock, None without
    one. cut ends a stream of answers of which the caller takes nothing any more. caller is set when
    the key was checked.
    """

    metadata: Metadata
    deadline: float | None = None
    caller: Caller = field(default_factory=lambda: NOBODY)
    cut: Callable[[], object] = _wait

    def time_remaining(self) -> float | None:
        """Seconds until the deadline, None without one."""
        return None if self.deadline is None else self.deadline - asyncio.get_running_loop().time()

    def patience_seconds(self, without_deadline: float = DEFAULT_PATIENCE_SECONDS) -> float:
        """How long this call may wait for something to end."""
        remaining = self.time_remaining()
        if remaining is None:
            return without_deadline
        return max(0.0, min(remaining - REPLY_MARGIN_SECONDS, LONGEST_PATIENCE_SECONDS))
