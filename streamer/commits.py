"""Makes an engine's facts durable, in order and a few at a time; what they allow happens when they are, and not before.

A commit that fails is the end: what it was to allow never happens, and nothing is begun after it. So is an engine that breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamer.errors import StoreFailed
from streamer.model import Facts
from streamer.ports import Store

MAX_COMMITS = 2
"""One is with the disk, and one gathers: a turn never waits for a disk that could be written to."""
BROKEN = "the journal cannot be written; see `streamer status`"


class Commits:
    """The commits of one engine. on_store_failed is told why one failed."""

    def __init__(self, store: Store, on_store_failed: Callable[[str], None]) -> None:
        self.failed = False
        self.begun = 0
        self._store = store
        self._on_store_failed = on_store_failed
        self._ended = asyncio.Event()
        self._broken = asyncio.Event()

    def append(self, facts: Facts) -> asyncio.Future[None]:
        """Facts are durable when the future ends without an error."""
        try:
            return self._store.append(facts)
        except StoreFailed as error:
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    def begin(self, facts: Facts, allowed: Callable[[], None]) -> asyncio.Future[None]:
        """Make facts durable; then, and only then, do what that allows."""
        self.begun += 1

        def ended(commit: asyncio.Future[None]) -> None:
            self.begun -= 1
            self._ended.set()
            if self.is_durable(commit):
                allowed()

        commit = self.append(facts)
        commit.add_done_callback(ended)
        return commit

    async def until_room(self) -> None:
        """Return when one more may begin."""
        while self.begun >= MAX_COMMITS:
            self._ended.clear()
            await self._ended.wait()

    async def durable(self, facts: Facts) -> None:
        """Return when facts, and all that was begun before, are durable: commits keep their order. Raises StoreFailed."""
        commit = self.append(facts)
        await asyncio.wait((commit,))
        if not self.is_durable(commit) or self.failed:
            raise StoreFailed(BROKEN)

    async def unless_failed(self, done: asyncio.Future[None]) -> None:
        """Return when done is, or raise StoreFailed as soon as a commit has failed, and nobody will ever do it."""
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

    def is_durable(self, commit: asyncio.Future[None]) -> bool:
        """Whether a commit that has ended went well; if not, all stops."""
        error = None if commit.cancelled() else commit.exception()
        if commit.cancelled() or error is not None:
            self.fail()
            self._on_store_failed(str(error or "the commit was abandoned"))
            return False
        return True
