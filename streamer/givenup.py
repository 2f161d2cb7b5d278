"""Looks again at payments that were given up although a call of theirs had an unknown end.

A ghost may outlive ghost_after: bytes that lay in a proxy are executed when the payment has long
been called FAILED, and its time been paid again (money rule 4). Nothing can undo that, but it must not
go unseen: it is posted late, as a credit of the stream, and alarmed. What is executed while this
process is away has a new index at the node, and is found by adoption at the next connect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streamer.core import ends
from streamer.core.book import Book
from streamer.core.payment import Event
from streamer.model import Answer, Facts, Kind, Payment
from streamer.money import SECOND_NS
from streamer.ports import Node

WATCH_NS = 3600 * SECOND_NS
ASK_EVERY_NS = 60 * SECOND_NS
MAX_WATCHED = 1_000
"""The oldest are let go beyond this."""
PATIENCE_SECONDS = 10.0


@dataclass(slots=True)
class _Watched:
    payment: Payment
    until_ns: int
    next_ask_ns: int


class GivenUp:
    """The payments of one node that are looked at again."""

    def __init__(self, node: Node, book: Book, defer: Callable[[Callable[[int, Facts], None]], None]) -> None:
        self._node = node
        self._book = book
        self._defer = defer
        self._watched: dict[int, _Watched] = {}

    def add(self, payment: Payment, now_ns: int) -> None:
        """Look at payment again from now on, for WATCH_NS."""
        while len(self._watched) >= MAX_WATCHED:
            del self._watched[next(iter(self._watched))]
        self._watched[payment.row] = _Watched(payment, now_ns + WATCH_NS, now_ns + ASK_EVERY_NS)

    def let_go(self, payment_hash: bytes) -> None:
        """Look no more at what was sent with this hash: a new attempt has it now, and the node's word is about that one."""
        for row in [row for row, watched in self._watched.items() if watched.payment.payment_hash == payment_hash]:
            del self._watched[row]

    async def look(self, now_ns: int) -> None:
        """Ask about those whose time has come; what settled after all is posted late."""
        for watched in [watched for watched in self._watched.values() if watched.next_ask_ns <= now_ns]:
            watched.next_ask_ns = now_ns + ASK_EVERY_NS
            payment = watched.payment
            answer = await self._node.track(payment.payment_hash, PATIENCE_SECONDS)
            if payment.row not in self._watched:
                continue
            if answer.kind is Kind.SETTLED:

                def late(at_ns: int, facts: Facts, payment: Payment = payment, answer: Answer = answer) -> None:
                    ends.resolve(self._book, payment, Event.SETTLED, answer, at_ns, facts)

                self._defer(late)
            if answer.kind is Kind.SETTLED or now_ns >= watched.until_ns:
                self._watched.pop(payment.row, None)
