"""A node whose calls are timed, for the metrics. Sends are not: payment_seconds tells of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from streamer.ports import (
    Answer,
    Channels,
    DecodedInvoice,
    Kind,
    Node,
    NodeIdentity,
    NodeInvoice,
    NodePayment,
)
from streamer.words.errors import StreamerError

Called = Callable[[str, str, float, str], None]
"""(node, method, seconds, error code; empty: well)."""
Result = TypeVar("Result")


class MeteredNode:
    """The Node port around another one; it changes nothing of what that one says."""

    def __init__(self, node: Node, called: Called) -> None:
        self.name = node.name
        self.send = node.send
        self.lost = node.lost
        self.close = node.close
        self._node = node
        self._called = called

    @property
    def accepted(self) -> Callable[[bytes, int], None]:
        """Who is told of accepted payments: passed on."""
        return self._node.accepted

    @accepted.setter
    def accepted(self, tell: Callable[[bytes, int], None]) -> None:
        self._node.accepted = tell

    async def open(self) -> NodeIdentity:
        """Connect, timed."""
        return await self._timed("open", self._node.open())

    async def track(self, payment_hash: bytes, patience_seconds: float) -> Answer:
        """Ask about a payment, timed; no answer counts as an error."""
        began = time.perf_counter()
        answer = await self._node.track(payment_hash, patience_seconds)
        self._called(
            self.name,
            "TrackPaymentV2",
            time.perf_counter() - began,
            "LOST" if answer.kind is Kind.LOST else "",
        )
        return answer

    async def channels(self) -> Channels:
        """List the channels, timed."""
        return await self._timed("ListChannels", self._node.channels())

    async def identity(self) -> NodeIdentity:
        """Ask who the node is, timed."""
        return await self._timed("GetInfo", self._node.identity())

    async def payments_after(self, index: int, limit: int) -> Sequence[NodePayment]:
        """List payments, timed."""
        return await self._timed("ListPayments", self._node.payments_after(index, limit))

    async def accepts_keysend(self, destination: bytes) -> bool | None:
        """Ask the graph, timed."""
        return await self._timed("GetNodeInfo", self._node.accepts_keysend(destination))

    async def add_invoice(self, amount_msat: int, memo: str, expiry_seconds: int) -> str:
        """Make an invoice, timed."""
        return await self._timed(
            "AddInvoice", self._node.add_invoice(amount_msat, memo, expiry_seconds)
        )

    async def decode_invoice(self, payment_request: str) -> DecodedInvoice:
        """Read an invoice, timed."""
        return await self._timed("DecodePayReq", self._node.decode_invoice(payment_request))

    async def find_invoice(self, payment_hash: bytes) -> NodeInvoice | None:
        """Look an invoice up, timed."""
        return await self._timed("LookupInvoice", self._node.find_invoice(payment_hash))

    async def invoices_before(self, index: int, limit: int) -> tuple[Sequence[NodeInvoice], int]:
        """List invoices, timed."""
        return await self._timed("ListInvoices", self._node.invoices_before(index, limit))

    async def _timed(self, method: str, call: Awaitable[Result]) -> Result:
        began = time.perf_counter()
        try:
            result = await call
        except StreamerError as error:
            self._called(self.name, method, time.perf_counter() - began, error.reason)
            raise
        self._called(self.name, method, time.perf_counter() - began, "")
        return result
