"""The commits of one engine's turns, a few at a time; what they allow happens when they are
durable, and not before.

A commit that fails is the end: what it was to allow never happens, and nothing is begun after it.
So is an engine that breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamer.books.desk import BROKEN, Commit, Desk
from streamer.words.errors import StoreFailed
from streamer.words.model import Facts

MAX_COMMITS = 2
"""One is with the disk, and one gathers: a turn never waits for a disk that could be written to."""


class Commits:
    """The commits of one engine."""

    def __init__(self, desk: Desk) -> None:
        self.failed = False
        self.begun = 0
        self._desk = desk
        self._ended = asyncio.Event()
        self._broken = asyncio.Event()

    def begin(self, facts: Facts, allowed: Callable[[], None]) -> Commit:
        """Make facts durable; then, and only then, do what that allows."""
        self.begun += 1

        def ended(commit: Commit) -> None:
            self.begun -= 1
            self._ended.set()
            if not (self.failed or commit.cancelled() or commit.exception()):
                allowed()

        commit = self._desk.commit(facts)
        commit.add_done_callback(ended)
        return commit

    async def until_room(self) -> None:
        """Return when one more may begin."""
        while self.begun >= MAX_COMMITS:
            self._ended.clear()
            await self._ended.wait()

    async def durable(self) -> None:
        """Return when all that was begun before is durable: commits keep their order. Raises
        StoreFailed.
        """
        await self._desk.settled()
        if self.failed:
            raise StoreFailed(BROKEN)

    async def unless_failed(self, done: asyncio.Future[None]) -> None:
        """Return when done is, or raise StoreFailed as soon as a commit has failed, and nobody will
        ever do it.
        """
        broken = asyncio.ensure_future(self._broken.wait())
        try:
            await asyncio.wait((done, broken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            broken.cancel()
        if not done.done():
            raise StoreFailed(BROKEN)

    def fail(self) -> None:
        """Nothing becomes durable any more: a commit failed, or who began them has ended."""
        self.failed = True
        self._broken.set()

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Should the block break, what it has not begun yet never will be durable."""
        try:
            yield
        except Exception:
            self.fail()
            raise
