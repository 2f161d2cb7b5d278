"""The one door from memory to the journal: nobody else appends, and nobody is told of what is not
durable.

Memory changes at once, in the loop, and what has changed is one commit, which follows all that were
made before. What goes along with every commit is put into it here: the sums of the budgets and the
journal's last moment, and the events for the webhook. Metrics, watchers and those who wait for the
end of a payment hear of a change when its commit is durable, in the order of the commits.

Told earlier, a watcher gets PAUSED from a disk that blocks, and a start later the stream pays on.
So what books have noted (`Book.tally`) is taken with each commit, whoever made it: it is of this
commit or of an earlier one. If the store fails it is never told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from streamer.core.book import Book
from streamer.core.shared import Shared, Tally
from streamer.ports import Clock, History, Store
from streamer.words.errors import StoreFailed
from streamer.words.model import Facts

BROKEN = "the journal cannot be written; see `streamer status`"

STEP_ROWS = 1_000
"""Of one commit of a change to many streams: some 15 ms of the loop."""

S = TypeVar("S")
T = TypeVar("T")
Tell = Callable[[Tally], None]
Commit = asyncio.Future[None]


class _Pending(NamedTuple):
    commit: Commit
    facts: Facts


class Desk:
    """One for the daemon. on_store_failed is told, once, why a commit failed; also may add to the
    facts of each.
    """

    def __init__(
        self, store: Store, clock: Clock, shared: Shared, on_store_failed: Callable[[str], None]
    ) -> None:
        self.why_failed = ""
        self.also: Callable[[Facts], None] = lambda facts: None
        self._store = store
        self._clock = clock
        self._shared = shared
        self._on_store_failed = on_store_failed
        self._books: list[tuple[Book, Tell]] = []
        self._on_failed: list[Callable[[], None]] = []
        self._pending: deque[_Pending] = deque()

    @property
    def failed(self) -> bool:
        """Nothing becomes durable any more."""
        return bool(self.why_failed)

    @property
    def history(self) -> History:
        """The journal for those who only read it."""
        return self._store

    @property
    def busy(self) -> bool:
        """Whether a commit is under way."""
        return bool(self._pending)

    def serve(self, book: Book, tell: Tell, on_failed: Callable[[], None]) -> None:
        """Let tell have what book notes, when it is durable; on_failed is called when nothing will
        be durable any more.
        """
        self._books.append((book, tell))
        self._on_failed.append(on_failed)

    def commit(self, facts: Facts) -> Commit:
        """Let facts follow all that was changed before; done when they are durable, or with
        StoreFailed. Not to be cancelled.
        """
        told = [(tell, book.take_tally()) for book, tell in self._books if book.tally]
        commit = self._append(facts) if facts else self._last()
        for tell, tally in told:
            if commit.done():
                self._told(tell, tally, commit)
            else:
                commit.add_done_callback(partial(self._told, tell, tally))
        return commit

    async def durable(self, facts: Facts) -> None:
        """Return when facts, and all that was changed before, are durable. Raises StoreFailed."""
        commit = self.commit(facts)
        await asyncio.wait((commit,))
        self._require_durable(commit)

    async def make(self, action: Callable[[int, Facts], T]) -> T:
        """Do action now, with (now_ns, facts); what it gives, when what it has changed is durable.

        Also when it raises: time may have taken effect before something was refused, and another
        call's change is durable then, too. Raises StoreFailed, and what action raises.
        """
        facts = Facts()
        try:
            return action(self._clock.now_ns(), facts)
        finally:
            await self.durable(facts)

    async def make_in_steps(
        self, items: Sequence[S], action: Callable[[S, int, Facts], object]
    ) -> None:
        """Do action with each of items, STEP_ROWS of them a commit, each durable before the next:
        payments of others pass between.

        All at once, a renewal of 270,000 streams stands in the loop for seconds, and takes the
        whole room of the journal's queue. Raises StoreFailed, and what action raises: what came
        before is done then.
        """
        for first in range(0, len(items), STEP_ROWS):
            facts = Facts()
            for item in items[first : first + STEP_ROWS]:
                action(item, self._clock.now_ns(), facts)
            if facts:
                await self.durable(facts)
            else:
                await asyncio.sleep(0)

    async def settled(self) -> None:
        """The barrier: return when all that was changed before is durable. Raises StoreFailed."""
        await self.durable(Facts())

    async def settled_of(self, owner: str, seq: int = 0) -> None:
        """Return when what was changed of this stream (its id), or payment (the owner's seq), is
        durable.

        Who reads it is told nothing that a crash takes back, and nothing that is no more. Raises
        StoreFailed.
        """
        found = [
            pending.commit for pending in self._pending if _concerns(pending.facts, owner, seq)
        ]
        if found:
            await asyncio.wait(found[-1:])
            self._require_durable(found[-1])

    # -- inside -----------------------------------------------------------------------------------

    def _append(self, facts: Facts) -> Commit:
        if facts.intents or facts.ends:
            facts.spends += self._shared.budgets.spends()
        # no period in the journal begins after its last moment: a start could not tell that our
        # clock was ahead. Nor was a ttl renewed after it, but by a run that did not know the time
        if facts.spends or facts.streams:
            self._shared.mark(self._clock.now_ns(), facts)
        self.also(facts)
        try:
            commit = self._store.append(facts)
        except StoreFailed as error:
            commit = asyncio.get_running_loop().create_future()
            commit.set_exception(error)
        self._pending.append(_Pending(commit, facts))
        commit.add_done_callback(self._ended)
        return commit

    def _last(self) -> Commit:
        return self._pending[-1].commit if self._pending else self._nothing()

    def _nothing(self) -> Commit:
        nothing: Commit = asyncio.get_running_loop().create_future()
        if self.failed:
            nothing.set_exception(StoreFailed(self.why_failed))
            nothing.exception()
        else:
            nothing.set_result(None)
        return nothing

    def _ended(self, commit: Commit) -> None:
        while self._pending and self._pending[0].commit.done():
            self._pending.popleft()
        error = None if commit.cancelled() else commit.exception()
        if (commit.cancelled() or error is not None) and not self.failed:
            self.why_failed = str(error or BROKEN)
            self._on_store_failed(self.why_failed)
            for on_failed in self._on_failed:
                on_failed()

    def _require_durable(self, commit: Commit) -> None:
        error = None if commit.cancelled() else commit.exception()
        if self.failed or commit.cancelled() or error is not None:
            raise StoreFailed(self.why_failed or str(error or BROKEN))

    def _told(self, tell: Tell, tally: Tally, commit: Commit) -> None:
        if not (self.failed or commit.cancelled() or commit.exception()):
            tell(tally)


def _concerns(facts: Facts, owner: str, seq: int) -> bool:
    if any(
        payment.owner == owner and payment.seq == seq for payment in (*facts.intents, *facts.ends)
    ):
        return True
    return not seq and any(stream.id == owner for stream in (*facts.streams, *facts.accounts))
