"""Asks again about payments that were written off: if the node says that one failed after all, the
budgets get its money back.

lnd ends an orphan when it is started after that channel was closed, and a hold ends some blocks
after its expiry, or when the channel that lnd closes for it then is settled on chain, so this looks
at each connection and then now and then (money rule 6). The stream gets nothing: the time it bought
stays bought, so that nobody's verdict can ever make it pay twice. A later "settled" is what the
write-off had assumed, and "unknown" says nothing. Nor does "failed" of what was out of sight: it
may be a later call's, and the one that paid be lost (money rule 5).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from streamer.books.archive import UNREADABLE, Archive
from streamer.core import ends
from streamer.core.book import Book
from streamer.core.payment import Event
from streamer.ports import Node
from streamer.words.model import WRITTEN_OFF, Answer, Facts, Kind, Mark, Payment, PaymentQuery
from streamer.words.money import DAY_NS, SECOND_NS, format_amount

log = logging.getLogger(__name__)

WATCH_NS = 30 * DAY_NS
"""How long after it was planned a payment is asked for: fifteen times the expiry of an HTLC
(node.cltv_limit).
"""
LOOK_EVERY_NS = 3600 * SECOND_NS
READ_AGAIN_NS = 600 * SECOND_NS
"""After the journal could not be read: others wait for its one reader."""
ASKS_A_LOOK = 50
LOOK_SECONDS = 5.0
"""No more are asked for after it, so that what is open does not wait for what has ended: the next
look goes on where this one stopped.
"""
PATIENCE_SECONDS = 10.0

MESSAGE = "written off; the node then said that it had failed, and the budgets have the money back"


class Journal(Protocol):
    """What is needed of the engine."""

    archive: Archive

    def defer(self, action: Callable[[int, Facts], None]) -> None:
        """Do action in the engine's next turn; what it puts into facts becomes durable."""

    async def history(self, query: PaymentQuery) -> list[Payment]:
        """Payments in the journal; see ports.Store."""


class Refunds:
    """The written-off payments of one node."""

    def __init__(self, node: Node, book: Book, journal: Journal, ghost_after_ns: int) -> None:
        self._node = node
        self._book = book
        self._journal = journal
        self._ghost_after_ns = ghost_after_ns
        self._next_look_ns = 0
        self._below_row = 0
        """Where the next look goes on; 0: at the newest."""
        self._refunded: set[int] = set()
        """Rows; what is read from the journal may be older than these."""

    def connected(self, now_ns: int) -> None:
        """The node is back, perhaps from a restart: look when no call of an earlier connection can
        be alive.
        """
        self._next_look_ns, self._below_row = now_ns + self._ghost_after_ns, 0

    def move_time(self, by_ns: int) -> None:
        """Our time is by_ns later than it was, or earlier."""
        self._next_look_ns += by_ns

    async def look(self, now_ns: int) -> None:
        """Ask about some, if it is time. Raises NodeUnavailable or NodeRejected."""
        if now_ns < self._next_look_ns:
            return
        try:
            if await self._ask_some(now_ns):
                self._next_look_ns, self._below_row = now_ns + LOOK_EVERY_NS, 0
        except UNREADABLE:
            self._next_look_ns = now_ns + READ_AGAIN_NS

    async def _ask_some(self, now_ns: int) -> bool:
        """Whether there are no others. Raises Unavailable, ResourceExhausted or StoreFailed, and
        what look raises.
        """
        page = await self._journal.history(
            PaymentQuery("", self._book.node, WRITTEN_OFF, self._below_row, ASKS_A_LOOK)
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + LOOK_SECONDS
        young = [payment for payment in page if payment.planned_ns >= now_ns - WATCH_NS]
        for payment in young:
            if loop.time() >= end:
                return False
            self._below_row = payment.row
            if not await self._ask(payment, now_ns):
                return False
        return not young or len(page) < ASKS_A_LOOK

    async def _ask(self, payment: Payment, now_ns: int) -> bool:
        """Whether the node answers."""
        has_it_back = payment.settled_msat + payment.fee_msat == 0
        if (
            has_it_back
            or payment.mark is Mark.LOST_SIGHT
            or now_ns < payment.end_ns + self._ghost_after_ns
        ):
            return True
        answer = await self._node.track(payment.payment_hash, PATIENCE_SECONDS)
        if answer.kind is Kind.FAILED:
            if payment.stream_key and payment.stream_key not in self._book.by_key:
                await self._journal.archive.recall(payment.owner)
            self._journal.defer(lambda now_ns, facts: self._refund(payment, answer, now_ns, facts))
        return answer.kind is not Kind.LOST

    def _refund(self, payment: Payment, answer: Answer, now_ns: int, facts: Facts) -> None:
        if payment.row in self._refunded:
            return
        self._refunded.add(payment.row)
        back = format_amount(payment.settled_msat + payment.fee_msat)
        payment.message = MESSAGE
        ends.resolve(self._book, payment, Event.FAILED, answer, now_ns, facts)
        log.info(
            "payment %s was written off, and has failed: the budgets have %s back", payment.id, back
        )
