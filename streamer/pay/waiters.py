"""Who waits for the end of a payment. Whoever leaves leaves nothing behind."""

from __future__ import annotations

import asyncio

from streamer.words.model import Payment


class Waiters:
    """By payment, those who are told when its end is durable."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        """How many payments are waited for."""
        return len(self._waiting)

    async def wait_for(self, payment: Payment, patience_seconds: float) -> bool:
        """Wait until the end of payment is durable, no longer than patience; whether it is."""
        if not payment.open:
            return True
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(payment.row, set())
        waiting.add(ended)
        try:
            return bool((await asyncio.wait((ended,), timeout=patience_seconds))[0])
        finally:
            waiting.discard(ended)
            if not waiting and self._waiting.get(payment.row) is waiting:
                del self._waiting[payment.row]

    def tell(self, payment: Payment) -> None:
        """Its end is durable."""
        for waiter in self._waiting.pop(payment.row, ()):
            if not waiter.done():
                waiter.set_result(None)
