"""Those who ordered a single payment, until its turn has come: planned with the streams, refused,
or not in time.

What waits is in core/singles.py; here is who waits for it. Until its turn nothing of it is reserved
or durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from streamer.core.obstacle import NO_SHARE, Obstacle, ObstacleKind
from streamer.pay.link import Link
from streamer.words.errors import FailedPrecondition, ResourceExhausted, StreamerError, Unavailable
from streamer.words.model import Payment, Request, Single
from streamer.words.reasons import Reason

LEAST_TURN_SECONDS = 1.0
MOST_TURN_SECONDS = 5.0
"""How long an order waits for its turn, as its caller has patience within these; it is known soon,
and takes nobody's place for long.
"""
BUSY = "NODE_BUSY"
TRY_AGAIN_SECONDS = 1

Planned = tuple[Payment, asyncio.Future[None]]
"""A payment whose turn has come, and the commit of its intent."""


class Turns:
    """The callers of one node's single payments. per_second is its pace; wake makes its engine look
    at what waits.
    """

    def __init__(self, link: Link, per_second: int, wake: Callable[[], None]) -> None:
        self._link = link
        self._book = link.book
        self._singles = link.book.singles
        self._per_second = per_second
        self._wake = wake
        self._callers: dict[str, tuple[Single, asyncio.Future[Planned]]] = {}

    def __bool__(self) -> bool:
        return bool(self._callers)

    async def wait(
        self, order: Single, requests: Sequence[Request], now_ns: int, patience_seconds: float
    ) -> Planned:
        """Wait for the turn of order. Raises ResourceExhausted (NODE_BUSY) if too many wait, or it
        does not come in time.
        """
        if not self._singles.add(order, requests, now_ns, self._per_second):
            raise self._busy("as many single payments as may wait for their turn")
        turn: asyncio.Future[Planned] = asyncio.get_running_loop().create_future()
        self._callers[order.owner] = order, turn
        self._wake()
        try:
            await asyncio.wait(
                (turn,), timeout=min(MOST_TURN_SECONDS, max(LEAST_TURN_SECONDS, patience_seconds))
            )
        finally:
            self._singles.remove(order.owner)
            self._callers.pop(order.owner, None)
        if not turn.done():
            admitted = self._book.slots.admits(
                order.destination, order.api_key, bool(order.payment_request)
            )
            raise (
                self._busy("the payment's turn did not come in time")
                if admitted
                else self._no_share()
            )
        return turn.result()

    def _busy(self, what: str) -> ResourceExhausted:
        text = (
            f"{what} at the node {self._book.node}, which is busy (pace, payments in flight, or the"
            " receiver's share of them): nothing was sent; call again later, or raise"
            " node.max_payments_per_second"
        )
        return ResourceExhausted(text, BUSY, TRY_AGAIN_SECONDS)

    def _no_share(self) -> ResourceExhausted:
        return ResourceExhausted(NO_SHARE, Reason.NO_SLOTS, TRY_AGAIN_SECONDS)

    def tell(
        self, planned: Sequence[Payment], commit: asyncio.Future[None] | None
    ) -> list[Payment]:
        """Tell those whose payment was planned; which payments that were: the others are streams',
        or resent.
        """
        told = (
            [payment for payment in planned if payment.owner in self._callers]
            if commit is not None and self._callers
            else []
        )
        for payment in told:
            if commit is not None:
                self._callers.pop(payment.owner)[1].set_result((payment, commit))
        return told

    def refuse_paid(self) -> None:
        """Refuse those orders whose hash has just turned out to be paid, by an attempt before that
        was given up.
        """
        paid = {late.payment_hash for late in self._book.tally.late} if self else set()
        if paid:
            text = (
                "an attempt before, which had been given up, has just settled: call again to be"
                " told"
            )
            self.refuse(lambda order: Unavailable(text) if order.payment_hash in paid else None)

    def refuse(self, why: Callable[[Single], StreamerError | None]) -> None:
        """Send those away for whose order there is a why."""
        for owner, (order, turn) in list(self._callers.items()):
            error = why(order)
            if error is not None:
                self._singles.remove(owner)
                del self._callers[owner]
                turn.set_exception(error)

    def refused(self, found: Obstacle | None) -> StreamerError:
        """The refusal of an order that has this obstacle; None: what its turn found was gone a
        moment later.
        """
        if found is None:
            return self._busy("the payment's turn found no room")
        match found.kind:
            case ObstacleKind.STOPPING:
                return Unavailable(found.text, "STOPPING")
            case ObstacleKind.KEY_BUDGET:
                return ResourceExhausted(found.text, Reason.KEY_BUDGET_SPENT)
            case ObstacleKind.SLOTS:
                return self._no_share()
            case ObstacleKind.RECEIVER:
                return FailedPrecondition(found.text, Reason.RECEIVER_HOLDS)
            case ObstacleKind.NODE:
                return FailedPrecondition(
                    f"the node {self._book.node} cannot pay now: {found.text}"
                )
            case _:
                return FailedPrecondition(found.words)
