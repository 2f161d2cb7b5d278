"""One at a time for each request_id, so that a retry that overtakes its first try does not act
twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Once:
    """Locks by name, each held by the work itself and not by its caller.

    A caller's deadline may pass while what he asked for is on its way to the disk: nobody else sees
    it there, and the name must not be free before it is. A name takes room only while somebody
    holds it or waits for it.
    """

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def only(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do work as the only one with this name; once begun it goes on to its end, with or without
        its caller.
        """
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._users[name] = self._users.get(name, 0) + 1
        try:
            await lock.acquire()
        except asyncio.CancelledError:
            self._leave(name)
            raise
        task = asyncio.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._ended(name, task))
        await asyncio.wait((task,))
        return task.result()

    def _ended(self, name: str, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()
        self._locks[name].release()
        self._leave(name)

    def _leave(self, name: str) -> None:
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name], self._locks[name]
