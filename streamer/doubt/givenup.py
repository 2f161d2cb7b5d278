"""Looks again at payments that were given up although a call of theirs may have had an unknown end.

A ghost may outlive ghost_after: bytes that lay in a proxy are executed when the payment has long
been called FAILED, and its time been paid again (money rule 4). Nothing can undo that, but it must
not go unseen: it is posted late, as a credit of the stream, and counted (settled_late). The journal
does not say which calls had an unknown end, so after a start all that failed lately is looked at.
What is executed while this process is away has a new index at the node, and is found at the next
connect by adoption, which calls it a suspect; and whoever asks for an invoice may hear of it first.
On an lnd with native SQL on SQLite the newest payment keeps its index: its FAILED row is deleted
and inserted again, and SQLite gives the highest number anew (sql_store.go InitPayment; no
AUTOINCREMENT). Adoption does not see that one: only WATCH_NS finds it. Only here is anything posted
late, and nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from streamer.books.archive import UNREADABLE, Archive
from streamer.core import ends
from streamer.core.book import Book
from streamer.core.payment import Event
from streamer.doubt.case import Case, Phase
from streamer.ports import Node
from streamer.words.model import UNPAID, Answer, Facts, Kind, Payment, PaymentQuery
from streamer.words.money import SECOND_NS

WATCH_NS = 3600 * SECOND_NS
ASK_EVERY_NS = 60 * SECOND_NS
MAX_WATCHED = 1_000
"""The oldest are let go beyond this."""
ASKS_A_LOOK = 50
"""So that what is open does not wait for what has ended."""
PATIENCE_SECONDS = 10.0


class Journal(Protocol):
    """What is needed of the engine."""

    archive: Archive

    def defer(self, action: Callable[[int, Facts], None]) -> None:
        """Do action in the engine's next turn; what it puts into facts becomes durable."""

    async def history(self, query: PaymentQuery) -> list[Payment]:
        """Payments in the journal; see ports.Store."""


class GivenUp:
    """The payments of one node that are looked at again, and the streams that stay in memory for
    them.
    """

    def __init__(self, node: Node, book: Book, journal: Journal) -> None:
        self._node = node
        self._book = book
        self._journal = journal
        self._watched: dict[int, Case] = {}
        self._posted: dict[int, None] = {}
        self._remembered = False
        self._unread: set[bytes] = set()
        """What was used again before the journal has been read, and may not be in what is read."""
        self._let_go: set[bytes] = set()
        """Hashes of open attempts, each after one that was looked at, or may have been had the
        journal been read.
        """

    @property
    def streams(self) -> frozenset[int]:
        """The keys of the streams to which these payments belong."""
        return frozenset(watched.payment.stream_key for watched in self._watched.values())

    def add(self, payment: Payment, now_ns: int) -> None:
        """Look at payment again from now on, for WATCH_NS."""
        self._watch(payment, now_ns + WATCH_NS, now_ns + ASK_EVERY_NS)

    def ended(self, payment: Payment, haunted: bool, now_ns: int) -> None:
        """Payment has ended: look at it again if that was unpaid, and a call with its hash may be
        alive.

        haunted: one of its own; or else one of an attempt before, which was let go for it.
        """
        after_one = payment.payment_hash in self._let_go
        self._let_go.discard(payment.payment_hash)
        if payment.state in UNPAID and (haunted or after_one):
            self.add(payment, now_ns)

    def suspect(self, payment: Payment, now_ns: int) -> None:
        """Look at payment at the next look."""
        if payment.row in self._watched:
            self._watched[payment.row].next_ask_ns = now_ns
        else:
            self._watch(payment, now_ns + WATCH_NS, now_ns)

    def settled(self, payment: Payment, answer: Answer, now_ns: int) -> None:
        """The node says that payment has settled: post it in the next turn, unless that was
        done.
        """
        if payment.row not in self._watched:
            self._watch(payment, now_ns + WATCH_NS, now_ns)
        self._post(payment, answer)

    def let_go(self, payment_hash: bytes) -> None:
        """Look no more at what was sent with this hash: a new attempt has it now, and the node's
        word is about that one.

        Should that end unpaid, it is looked at in the place of those before it, whose ghosts may
        still be alive.
        """
        rows = [
            row
            for row, watched in self._watched.items()
            if watched.payment.payment_hash == payment_hash
        ]
        for row in rows:
            del self._watched[row]
        if not self._remembered:
            self._unread.add(payment_hash)
        if rows or not self._remembered:
            self._let_go.add(payment_hash)

    def move_time(self, by_ns: int) -> None:
        """Our time is by_ns later than it was, or earlier."""
        for watched in self._watched.values():
            watched.move_time(by_ns)

    async def look(self, now_ns: int) -> None:
        """Ask about those whose time has come; what settled after all is posted late."""
        if not self._remembered:
            with suppress(*UNREADABLE):
                await self._remember(now_ns)
        due = [watched for watched in self._watched.values() if watched.next_ask_ns <= now_ns]
        for watched in sorted(due, key=lambda watched: watched.next_ask_ns)[:ASKS_A_LOOK]:
            watched.next_ask_ns = now_ns + ASK_EVERY_NS
            answer = await self._node.track(watched.payment.payment_hash, PATIENCE_SECONDS)
            if answer.kind is Kind.SETTLED:
                await self._post_to_stream(watched.payment, answer)
            elif now_ns >= watched.until_ns:
                self._watched.pop(watched.payment.row, None)

    def _watch(self, payment: Payment, until_ns: int, next_ask_ns: int) -> None:
        if payment.row in self._posted:
            return  # the journal was read before that was durable
        while len(self._watched) >= MAX_WATCHED:
            del self._watched[next(iter(self._watched))]
        self._watched[payment.row] = Case(
            payment, 0, next_ask_ns, phase=Phase.GIVEN_UP, until_ns=until_ns
        )

    async def _remember(self, now_ns: int) -> None:
        """What failed before this process began. Raises Unavailable, ResourceExhausted or
        StoreFailed.
        """
        query = PaymentQuery(
            node=self._book.node, unpaid_since_ns=now_ns - WATCH_NS, limit=MAX_WATCHED
        )
        recent = [
            payment
            for payment in await self._journal.history(query)
            if payment.row not in self._watched
        ]
        last = [
            payment
            for payment in recent
            if not payment.payment_request or await self._is_last(payment)
        ]
        self._remembered = True
        for payment in reversed(last):
            if payment.payment_hash not in self._unread:
                self._watch(payment, payment.end_ns + WATCH_NS, now_ns)
        self._unread.clear()

    async def _is_last(self, payment: Payment) -> bool:
        [newest] = await self._journal.history(
            PaymentQuery(node=payment.node, payment_hash=payment.payment_hash, limit=1)
        )
        return newest.row == payment.row

    async def _post_to_stream(self, payment: Payment, answer: Answer) -> None:
        """Its stream may be archived: then it comes back first; if the journal cannot be read now,
        the next look tries again.
        """
        with suppress(*UNREADABLE):
            if payment.stream_key and payment.stream_key not in self._book.by_key:
                await self._journal.archive.recall(payment.owner)
            self._post(payment, answer)

    def _post(self, payment: Payment, answer: Answer) -> None:
        def late(now_ns: int, facts: Facts) -> None:
            watched = self._watched.pop(payment.row, None)
            if watched is None:
                return
            while len(self._posted) >= MAX_WATCHED:
                del self._posted[next(iter(self._posted))]
            self._posted[payment.row] = None
            ends.resolve(self._book, watched.payment, Event.SETTLED, answer, now_ns, facts)

        self._journal.defer(late)
