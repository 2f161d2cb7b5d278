"""Lets ended streams leave memory, and takes one back when something of it turns out not to be
over.

What a daemon holds and reads at start then grows with the streams that live, and not with all that
ever were. A stream goes, into the journal's archive, when it has ended for ARCHIVE_AFTER_NS,
nothing of it is open (an orphan is open), and no failure of it is watched (givenup.py); and only
while its node is up. It is shown and listed from there as before. Money stays right, because

* an ended stream plans nothing, and is never anything but ended again;
* whatever was sent for it has its intent in the journal: all of it was, before it ended, and what
  the node had that an older copy of the journal lacked was adopted when the node came up, while
  adoption could see the stream, for nothing leaves while the node is not up;
* the one payment that may still come is a ghost: a call of hours ago that is executed after its
  payment was called FAILED. Who finds one (givenup.py, or adoption.py, which looks up the tokens of
  archived streams too) recalls the stream first, by a commit that moves it back, and then posts as
  ever; so does who finds that a payment failed which was written off (refunds.py);
* budgets of keys and of the daemon are sums of their own, and know nothing of streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from contextlib import suppress
from typing import Protocol

from streamer.core.book import Book
from streamer.core.keysend import derive_token
from streamer.core.streamtime import check_conservation
from streamer.ports import ArchiveQuery, Clock, History
from streamer.words.errors import ResourceExhausted, StoreFailed, Unavailable
from streamer.words.model import ENDED, Facts, Stream
from streamer.words.money import DAY_NS

ARCHIVE_AFTER_NS = DAY_NS
"""How long a stream has ended before it may leave: far longer than anything is watched
(givenup.WATCH_NS), than a ghost lives (node.ghost_after), and than anybody watches a viewer's
session after its end.
"""
FIRST_LOOK_SECONDS = 5.0
LOOK_SECONDS = 60.0
"""How often what may go is looked for, and how soon after a start: a folder from before there was
an archive has all its streams.
"""
YIELD_EVERY = 5_000
"""Streams looked at before payments go first again."""
STEP_STREAMS = 50
"""Of one commit: two or three milliseconds of the loop."""
STEP_PAUSE_SECONDS = 0.05
PAGE_STREAMS = 1_000
UNREADABLE = (StoreFailed, Unavailable, ResourceExhausted)
"""What says that the journal cannot be read now."""


class Turns(Protocol):
    """What is needed of the engine."""

    @property
    def up(self) -> bool:
        """The node is connected, checked, and all that it has was compared with the journal."""

    def defer(self, action: Callable[[int, Facts], None]) -> None:
        """Do action in the engine's next turn; what it puts into facts becomes durable."""

    async def turn(self) -> None:
        """Return when what was deferred has been done; its commit has begun. Raises StoreFailed if
        it never will be.
        """

    async def durable(self) -> None:
        """Return when what has been done is durable. Raises StoreFailed."""


class Archive:
    """The ended streams of one node. leaving: those that memory holds no more, and the journal's
    readers do not see yet, by id.
    """

    def __init__(
        self,
        book: Book,
        history: History,
        clock: Clock,
        secret: bytes,
        watched: Callable[[], Container[int]],
        turns: Turns,
    ) -> None:
        self.leaving: dict[str, Stream] = {}
        self._book = book
        self._history = history
        self._clock = clock
        self._secret = secret
        self._watched = watched
        self._turns = turns
        self._moving = asyncio.Lock()

    async def run(self) -> None:
        """Let go what may go, for ever."""
        await asyncio.sleep(FIRST_LOOK_SECONDS)
        while True:
            with suppress(StoreFailed):  # the engine says so, and stops
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Let go what may go now, a few at a time. Raises StoreFailed."""
        found, watched = list[Stream](), self._watched()
        for number, stream in enumerate(tuple(self._book.streams.values()), 1):
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
            if stream.state in ENDED and self._may_go(stream, self._clock.now_ns(), watched):
                found.append(stream)
        for first in range(0, len(found), STEP_STREAMS):
            await self._let_go(found[first : first + STEP_STREAMS])
            await asyncio.sleep(STEP_PAUSE_SECONDS)

    def _may_go(self, stream: Stream, now_ns: int, watched: Container[int]) -> bool:
        ended = stream.state in ENDED and now_ns - stream.state_time_ns >= ARCHIVE_AFTER_NS
        return (
            ended
            and self._turns.up
            and self._book.shared.time_known
            and not stream.reserved_msat
            and stream.key not in watched
        )

    async def _let_go(self, streams: list[Stream]) -> None:
        def action(now_ns: int, facts: Facts) -> None:
            watched = self._watched()
            for stream in streams:
                if self._may_go(stream, now_ns, watched) and self._book.remove(stream):
                    self.leaving[stream.id] = stream
                    facts.archived.append(
                        (stream, stream.terms.token or derive_token(self._secret, stream.id))
                    )

        async with self._moving:
            self._turns.defer(action)
            await self._turns.turn()
            await self._turns.durable()
            self.leaving.clear()

    async def is_empty(self) -> bool:
        """True if no stream was ever archived, or none is any more. Raises StoreFailed, Unavailable
        or ResourceExhausted.
        """
        return not self.leaving and not await self._history.archived(ArchiveQuery(limit=1))

    async def of_token(self, token: bytes) -> list[Stream]:
        """Archived streams of this node whose payments carry token: mostly one. Raises StoreFailed,
        Unavailable or ResourceExhausted.
        """
        found: list[Stream] = []
        page = await self._history.archived(ArchiveQuery(token=token, limit=PAGE_STREAMS))
        while page:
            found += [stream for stream in page if stream.terms.node == self._book.node]
            page = await self._history.archived(
                ArchiveQuery(token=token, before_key=page[-1].key, limit=PAGE_STREAMS)
            )
        return found

    async def recall(self, stream_id: str) -> Stream | None:
        """The stream, in memory again if it was archived: something of it is to be posted. None:
        the journal has it no more.

        Raises StoreFailed, Unavailable or ResourceExhausted: then nothing may be posted yet.
        """
        async with self._moving:
            held = self._book.streams.get(stream_id)
            if held is not None:
                return held
            found = await self._history.archived(ArchiveQuery(id=stream_id, limit=1))
            if not found:
                return None

            def action(now_ns: int, facts: Facts) -> None:
                self._book.recall(found[0])
                self._book.budgets.own(found[0], now_ns)
                check_conservation(found[0])
                facts.recalled.append(found[0])

            self._turns.defer(action)
            await self._turns.turn()
            return found[0]
