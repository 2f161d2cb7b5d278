"""The streaming calls: payments (SendPaymentV2, TrackPaymentV2) and SubscribeInvoices.

The model tells a stream what happened while it happens; the stream keeps it as a message until the
client takes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2 as router
from streamer.money import SECOND_NS
from streamer.simulator.books import InvoiceRecord, InvoiceState, PaymentRecord, Refused, Status
from streamer.simulator.drive import Simulation
from streamer.simulator.invoices import fill_from_invoice
from streamer.simulator.lightning_node import LightningNode
from streamer.simulator.messages import invoice_message, order_of, payment_message

MAX_UNREAD_INVOICES = 100_000
"""Invoice events that may wait for a slow subscriber; then its stream is ended."""


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


class StreamService:
    """The streaming calls at one node; each raises Refused with lnd's text."""

    def __init__(self, simulation: Simulation, node: LightningNode) -> None:
        self._simulation = simulation
        self._node = node

    async def send_payment(self, request: router.SendPaymentRequest) -> AsyncIterator[ln.Payment]:
        """SendPaymentV2."""
        network = self._simulation.network
        order = order_of(request)
        if order.payment_request:
            order = fill_from_invoice(order, network.chain, network.now_ns // SECOND_NS)
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
        stream = PaymentStream(quiet=request.no_inflight_updates)
        self._simulation.network.track(self._node, request.payment_hash, stream)
        try:
            async for message in stream.messages():
                yield message
        finally:
            stream.leave()

    async def subscribe_invoices(self, request: ln.InvoiceSubscription) -> AsyncIterator[ln.Invoice]:
        """SubscribeInvoices: what came after the indexes (0: nothing), then everything new."""
        unread: deque[ln.Invoice] = deque(self._backlog(request))
        news = asyncio.Event()

        def keep(invoice: InvoiceRecord) -> None:
            unread.append(invoice_message(invoice))
            news.set()

        self._node.on_invoice.append(keep)
        try:
            while len(unread) <= MAX_UNREAD_INVOICES:
                while unread:
                    yield unread.popleft()
                news.clear()
                await news.wait()
            raise Refused("UNKNOWN", "subscriber is too slow")
        finally:
            self._node.on_invoice.remove(keep)

    def _backlog(self, request: ln.InvoiceSubscription) -> list[ln.Invoice]:
        invoices = self._node.invoices.values()
        added = [one for one in invoices if request.add_index and one.add_index > request.add_index]
        settled = [
            one
            for one in invoices
            if request.settle_index and one.state is InvoiceState.SETTLED and one.settle_index > request.settle_index
        ]
        settled.sort(key=lambda invoice: invoice.settle_index)
        return [invoice_message(invoice) for invoice in (*added, *settled)]
