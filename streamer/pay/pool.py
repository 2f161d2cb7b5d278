"""A fixed pool of workers: a task per worker, not per payment (a new task costs more than a
handoff).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Job = TypeVar("Job")


class Pool(Generic[Job]):
    """Jobs are done in the order in which they come, at most as many at once as there are workers.

    do must not raise. The queue is bounded by the caller, who asks `waiting` before he hands over
    more.
    """

    def __init__(self, do: Callable[[Job], Awaitable[None]]) -> None:
        self._do = do
        self._jobs: deque[Job] = deque()
        self._idle: deque[asyncio.Future[Job]] = deque()
        self._handed = 0

    @property
    def waiting(self) -> int:
        """Jobs that no worker has begun yet."""
        return len(self._jobs) + self._handed

    def hand_over(self, job: Job) -> None:
        """Let the next free worker do job."""
        while self._idle:
            worker = self._idle.popleft()
            if not worker.done():
                worker.set_result(job)
                self._handed += 1
                return
        self._jobs.append(job)

    async def work(self) -> None:
        """One worker, for ever: start as many as should work at once."""
        loop = asyncio.get_running_loop()
        do, jobs, idle = self._do, self._jobs, self._idle
        while True:
            if jobs:
                await do(jobs.popleft())
            else:
                turn: asyncio.Future[Job] = loop.create_future()
                idle.append(turn)
                job = await turn
                self._handed -= 1
                await do(job)
