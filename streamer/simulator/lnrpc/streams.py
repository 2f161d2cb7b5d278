"""The streaming calls: payments (SendPaymentV2, TrackPaymentV2, TrackPayments) and invoices.

The model tells a stream what happened while it happens; the stream keeps it as a message until the
client takes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from streamer._proto.invoicesrpc import invoices_pb2 as inv
from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2 as router
from streamer.simulator.lnrpc.invoice_messages import invoice_message
from streamer.simulator.lnrpc.orders import order_of
from streamer.simulator.lnrpc.payment_messages import payment_message
from streamer.simulator.network.books import (
    HASH_BYTES,
    InvoiceRecord,
    InvoiceState,
    PaymentRecord,
    Refused,
    Status,
)
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.lightning_node import LightningNode
from streamer.words.money import SECOND_NS

T = TypeVar("T")

MAX_UNREAD = 100_000
"""Events that may wait for a slow subscriber; then its stream is ended."""

ANNOUNCED = (InvoiceState.OPEN, InvoiceState.SETTLED)
"""The states of an invoice that SubscribeInvoices tells of."""


@contextmanager
def _told(watchers: list[Callable[[T], None]], keep: Callable[[T], None]) -> Iterator[None]:
    """keep is a watcher inside the block."""
    watchers.append(keep)
    try:
        yield
    finally:
        watchers.remove(keep)


class PaymentStream:
    """The Call behind one SendPaymentV2 or TrackPaymentV2: messages until the payment ends."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._unread: deque[ln.Payment] = deque()
        self._news = asyncio.Event()
        self._refusal: Refused | None = None
        self._ended = False
        self.record: PaymentRecord | None = None

    def update(self, payment: PaymentRecord) -> None:
        """Keep the payment as it is now."""
        self.record = payment
        self._ended = payment.status is not Status.IN_FLIGHT
        if self._ended or not self._quiet:
            self._unread.append(payment_message(payment))
            self._news.set()

    def refuse(self, refusal: Refused) -> None:
        """End with a status."""
        self._refusal = refusal
        self._news.set()

    def cut(self) -> None:
        """End as a broken connection does at the client."""
        self.refuse(Refused("UNAVAILABLE", "transport is closing"))

    async def messages(self) -> AsyncIterator[ln.Payment]:
        """All messages in order; raises Refused when the call is refused or cut."""
        while True:
            while self._unread:
                yield self._unread.popleft()
            if self._refusal is not None:
                raise self._refusal
            if self._ended:
                return
            self._news.clear()
            await self._news.wait()

    def leave(self) -> None:
        """The client is gone: the payment goes on without it."""
        if self.record is not None and self in self.record.calls:
            self.record.calls.remove(self)


class EventQueue(Generic[T]):
    """What a subscriber has not taken yet."""

    def __init__(self, backlog: Iterable[T] = ()) -> None:
        self._unread: deque[T] = deque(backlog)
        self._news = asyncio.Event()

    def put(self, message: T) -> None:
        """Keep a message until it is taken."""
        self._unread.append(message)
        self._news.set()

    async def messages(self) -> AsyncIterator[T]:
        """All messages in order, without an end; raises Refused when too many wait."""
        while len(self._unread) <= MAX_UNREAD:
            while self._unread:
                yield self._unread.popleft()
            self._news.clear()
            await self._news.wait()
        raise Refused("UNKNOWN", "subscriber is too slow")


class StreamService:
    """The streaming calls at one node; each raises Refused with lnd's text."""

    def __init__(self, simulation: Simulation, node: LightningNode) -> None:
        self._simulation = simulation
        self._node = node

    async def send_payment(self, request: router.SendPaymentRequest) -> AsyncIterator[ln.Payment]:
        """SendPaymentV2."""
        network = self._simulation.network
        order = order_of(request, network.chain, network.now_ns // SECOND_NS)
        stream = PaymentStream(quiet=request.no_inflight_updates)
        network.submit(self._node, order, stream)
        # an instant node has its answer by now: one more look saves a turn of the loop
        self._simulation.sync()
        try:
            async for message in stream.messages():
                yield message
        finally:
            stream.leave()

    async def track_payment(self, request: router.TrackPaymentRequest) -> AsyncIterator[ln.Payment]:
        """TrackPaymentV2."""
        if len(request.payment_hash) != HASH_BYTES:
            raise Refused(
                "UNKNOWN", f"invalid hash length of {len(request.payment_hash)}, want {HASH_BYTES}"
            )
        stream = PaymentStream(quiet=request.no_inflight_updates)
        self._simulation.network.track(self._node, request.payment_hash, stream)
        try:
            async for message in stream.messages():
                yield message
        finally:
            stream.leave()

    async def track_payments(
        self, request: router.TrackPaymentsRequest
    ) -> AsyncIterator[ln.Payment]:
        """TrackPayments: every change of every payment from now on."""
        queue: EventQueue[ln.Payment] = EventQueue()

        def keep(payment: PaymentRecord) -> None:
            if not request.no_inflight_updates or payment.status is not Status.IN_FLIGHT:
                queue.put(payment_message(payment))

        with _told(self._node.on_payment, keep):
            async for message in queue.messages():
                yield message

    async def subscribe_invoices(
        self, request: ln.InvoiceSubscription
    ) -> AsyncIterator[ln.Invoice]:
        """SubscribeInvoices: what came after the indexes (0: nothing), then everything new."""
        queue = EventQueue(self._backlog(request))

        def keep(invoice: InvoiceRecord) -> None:
            if invoice.state in ANNOUNCED:
                queue.put(invoice_message(invoice))

        with _told(self._node.on_invoice, keep):
            async for message in queue.messages():
                yield message

    async def subscribe_single_invoice(
        self, request: inv.SubscribeSingleInvoiceRequest
    ) -> AsyncIterator[ln.Invoice]:
        """SubscribeSingleInvoice: the invoice as it is, if there is one, then each change."""
        if len(request.r_hash) != HASH_BYTES:
            raise Refused(
                "UNKNOWN", f"invalid hash length of {len(request.r_hash)}, want {HASH_BYTES}"
            )
        known = self._node.invoices.get(request.r_hash)
        queue = EventQueue([invoice_message(known)] if known is not None else ())

        def keep(invoice: InvoiceRecord) -> None:
            if invoice.payment_hash == request.r_hash:
                queue.put(invoice_message(invoice))

        with _told(self._node.on_invoice, keep):
            async for message in queue.messages():
                yield message

    def _backlog(self, request: ln.InvoiceSubscription) -> list[ln.Invoice]:
        invoices = self._node.invoices.values()
        added = [one for one in invoices if request.add_index and one.add_index > request.add_index]
        settled = [
            one
            for one in invoices
            if request.settle_index
            and one.state is InvoiceState.SETTLED
            and one.settle_index > request.settle_index
        ]
        settled.sort(key=lambda invoice: invoice.settle_index)
        return [invoice_message(invoice) for invoice in (*added, *settled)]
