"""The Node port straight on the simulated network: no gRPC, for engines on a virtual clock.

It answers as the lnd adapter does for the same events; what lnd would say as a gRPC status comes
from the model, so both doors of the simulator tell the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.ports import (
    Answer,
    Channel,
    Channels,
    DecodedInvoice,
    InvoiceState,
    Kind,
    NodeIdentity,
    NodeInvoice,
    NodePayment,
)
from streamer.simulator.encoding.tlv import decode_records
from streamer.simulator.lnrpc.invoice_service import InvoiceService
from streamer.simulator.lnrpc.pages import page
from streamer.simulator.network.books import (
    KEYSEND_RECORD,
    Failure,
    InvoiceRecord,
    Order,
    PaymentRecord,
    Refused,
    Status,
)
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.invoices import fill_from_invoice, read_invoice
from streamer.simulator.network.lightning_node import LightningNode
from streamer.words.errors import InvalidArgument, NodeRejected, NodeUnavailable
from streamer.words.model import Payment
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason

VERSION = "0.21.2-beta.simulated"

REASONS = {
    Failure.NONE: Reason.TIMEOUT,
    Failure.TIMEOUT: Reason.TIMEOUT,
    Failure.ERROR: Reason.TIMEOUT,
    Failure.CANCELED: Reason.TIMEOUT,
    Failure.NO_ROUTE: Reason.NO_ROUTE,
    Failure.INCORRECT_PAYMENT_DETAILS: Reason.RECEIVER_REJECTED,
    Failure.INSUFFICIENT_BALANCE: Reason.NO_LIQUIDITY,
}


class _Send:
    """One call of ours: resolves its future with the end, or with LOST."""

    __slots__ = ("accepted", "future", "tell")

    def __init__(self, future: asyncio.Future[Answer], tell: Callable[[bytes, int], None]) -> None:
        self.future = future
        self.tell = tell
        self.accepted: PaymentRecord | None = None

    def update(self, payment: PaymentRecord) -> None:
        if self.accepted is None:
            self.tell(payment.order.payment_hash, payment.index)
        self.accepted = payment
        if payment.status is not Status.IN_FLIGHT and not self.future.done():
            self.future.set_result(_answer(payment))

    def refuse(self, refusal: Refused) -> None:
        kind = Kind.DUPLICATE if refusal.code == "ALREADY_EXISTS" else Kind.REFUSED
        self._give(Answer(kind, message=refusal.text))

    def cut(self) -> None:
        self.lose("connection lost")

    def lose(self, message: str) -> None:
        """End it as LOST: what was seen until now tells whether a ghost may be alive."""
        record = self.accepted
        if record is None:
            self._give(Answer(Kind.LOST, closed=False, message=message))
        else:
            self._give(
                Answer(
                    Kind.LOST,
                    accepted=True,
                    amount_msat=record.order.amount_msat,
                    message=message,
                    index=record.index,
                )
            )

    def _give(self, answer: Answer) -> None:
        if not self.future.done():
            self.future.set_result(answer)


class _Look:
    """A track call: keeps the first thing that it is told."""

    def __init__(self) -> None:
        self.answer = Answer(Kind.LOST, closed=False, message="connection lost")

    def update(self, payment: PaymentRecord) -> None:
        self.answer = _answer(payment)

    def refuse(self, refusal: Refused) -> None:
        kind = Kind.NOT_FOUND if refusal.code == "NOT_FOUND" else Kind.LOST
        self.answer = Answer(kind, message=refusal.text)

    def cut(self) -> None:
        """It stays LOST."""


def _tell_nobody(payment_hash: bytes, index: int) -> None:
    """What `accepted` is until somebody wants to know."""


def _answer(record: PaymentRecord) -> Answer:
    amount, index, invoice = record.order.amount_msat, record.index, record.order.payment_request
    if record.status is Status.SUCCEEDED:
        return Answer(
            Kind.SETTLED,
            True,
            True,
            amount,
            record.fee_msat,
            index=index,
            preimage=record.preimage,
            payment_request=invoice,
        )
    if record.status is Status.FAILED:
        name = f"FAILURE_REASON_{record.failure.name}"
        return Answer(
            Kind.FAILED,
            True,
            True,
            amount,
            reason=REASONS[record.failure],
            message=name,
            index=index,
            payment_request=invoice,
        )
    return Answer(Kind.IN_FLIGHT, True, True, amount, index=index, payment_request=invoice)


class SimulatedNode:
    """The simulated node called `at` as a Node; name is what the daemon calls it."""

    def __init__(self, simulation: Simulation, at: str, name: str = "") -> None:
        self.name = name or at
        self.accepted: Callable[[bytes, int], None] = _tell_nobody
        self._simulation = simulation
        self._node: LightningNode = simulation.network.named[at]
        self._invoices = InvoiceService(simulation, self._node)
        self._lost: asyncio.Future[str] | None = None
        self._calls: set[_Send] = set()

    # -- connection --------------------------------------------------------------------------

    async def open(self) -> NodeIdentity:
        """Connect; raises NodeUnavailable (down, not ready) or NodeRejected (credentials)."""
        await self.close()
        identity = await self.identity()
        self._lost = asyncio.get_running_loop().create_future()
        self._node.on_down.append(self._went_down)
        return identity

    async def lost(self) -> str:
        """Return why the connection is gone, when it is."""
        if self._lost is None:
            return "not connected"
        return await asyncio.shield(self._lost)

    async def close(self) -> None:
        """End the connection; calls in flight give LOST."""
        self._went_down("closed")
        self._lost = None

    def _went_down(self, text: str) -> None:
        if self._went_down in self._node.on_down:
            self._node.on_down.remove(self._went_down)
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(f"{self.name}: {text}")
        calls, self._calls = self._calls, set()
        for call in calls:
            call.cut()

    @property
    def _connected(self) -> bool:
        return self._lost is not None and not self._lost.done()

    # -- payments ----------------------------------------------------------------------------

    async def send(self, payment: Payment, preimage: bytes, patience_seconds: float) -> Answer:
        """Send one keysend, or pay one invoice, and give its end, or LOST when patience runs out
        first.
        """
        if not self._connected:
            return Answer(Kind.LOST, message="not connected")
        simulation = self._simulation
        loop = asyncio.get_running_loop()
        call = _Send(loop.create_future(), self.accepted)
        simulation.sync()
        try:
            order = self._order(payment, preimage)
        except Refused as refusal:
            return Answer(Kind.REFUSED, message=refusal.text)
        simulation.network.submit(self._node, order, call)
        self._calls.add(call)
        patience = loop.call_later(patience_seconds, call.lose, "no answer in time")
        try:
            return await call.future
        finally:
            patience.cancel()
            self._calls.discard(call)

    def _order(self, payment: Payment, preimage: bytes) -> Order:
        order = Order(
            payment.destination,
            payment.payment_hash,
            payment.amount_msat,
            payment.fee_limit_msat,
            payment.cltv_limit,
        )
        if not payment.payment_request:
            order.records = {**decode_records(payment.records), KEYSEND_RECORD: preimage}
            return order
        self._node.gate()
        # the request names only the invoice, and so does the call
        order.destination = order.payment_hash = b""
        network, order.payment_request = self._simulation.network, payment.payment_request
        order.amount_msat = (
            0
            if read_invoice(order.payment_request, network.chain).amount_msat
            else payment.amount_msat
        )
        return fill_from_invoice(order, network.chain, network.now_ns // SECOND_NS)

    async def track(self, payment_hash: bytes, patience_seconds: float) -> Answer:
        """What the node knows of the hash now."""
        if not self._connected:
            return Answer(Kind.LOST, message="not connected")
        if not await self._thawed(patience_seconds):
            return Answer(Kind.LOST, closed=False, message="no answer in time")
        look = _Look()
        self._simulation.network.track(self._node, payment_hash, look, follow=False)
        return look.answer

    async def payments_after(self, index: int, limit: int) -> Sequence[NodePayment]:
        """The node's payments with a higher index, oldest first, at most limit."""
        await self._ready()
        found = page(
            self._node.payments.values(),
            lambda record: record.index,
            index,
            limit,
            reverse=False,
            keep=lambda _: True,
        )
        return [_listed(record) for record in found]

    # -- the node ----------------------------------------------------------------------------

    async def identity(self) -> NodeIdentity:
        """Who the node is. Raises NodeUnavailable or NodeRejected."""
        await self._ready()
        network = self._simulation.network
        active = sum(side.active for side in self._node.sides)
        header_ns = network.now_ns // SECOND_NS * SECOND_NS
        return NodeIdentity(
            self._node.pubkey, self._node.name, network.chain, VERSION, header_ns, active
        )

    async def channels(self) -> Channels:
        """All channels, inactive ones too. Raises NodeUnavailable or NodeRejected."""
        await self._ready()
        shown: list[Channel] = []
        closing: set[str] = set()
        for side in self._node.sides:
            if side.closing:
                closing.add(str(side.channel.id))
                continue
            other = side.other
            shown.append(
                Channel(
                    side.channel.id,
                    side.active,
                    max(0, side.balance_msat - side.reserve_msat),
                    max(0, other.balance_msat - other.reserve_msat),
                    len(side.htlcs),
                    {htlc.payment_hash: htlc.expiry_height for htlc in side.htlcs.values()},
                    side.balance_msat,
                    str(side.channel.id),
                    side.max_htlcs,
                )
            )
        network = self._simulation.network
        running_ns = network.now_ns - max(network.start_ns, self._node.up_since_ns)
        return Channels(tuple(shown), frozenset(closing), network.height, running_ns // SECOND_NS)

    async def accepts_keysend(self, destination: bytes) -> bool | None:
        """What the graph says of the destination; None: it has no channel that anybody knows."""
        await self._ready()
        node = self._simulation.network.nodes.get(destination)
        return node.keysend if node is not None and node.sides else None

    # -- invoices ----------------------------------------------------------------------------

    async def add_invoice(self, amount_msat: int, memo: str, expiry_seconds: int) -> str:
        """Make an invoice; its payment_request."""
        await self._ready()
        try:
            made = self._invoices.add_invoice(
                ln.Invoice(value_msat=amount_msat, memo=memo, expiry=expiry_seconds)
            )
        except Refused as refusal:
            raise InvalidArgument(f"the invoice cannot be made: {refusal.text}") from refusal
        return made.payment_request

    async def decode_invoice(self, payment_request: str) -> DecodedInvoice:
        """What an invoice says. Raises InvalidArgument as lnd refuses it."""
        await self._ready()
        try:
            found = read_invoice(payment_request, self._simulation.network.chain)
        except Refused as refusal:
            raise InvalidArgument(f"the invoice cannot be read: {refusal.text}") from refusal
        return DecodedInvoice(
            found.payee,
            found.payment_hash,
            found.amount_msat,
            found.description.decode(errors="replace"),
            found.timestamp * SECOND_NS,
            (found.timestamp + found.expiry_seconds) * SECOND_NS,
        )

    async def find_invoice(self, payment_hash: bytes) -> NodeInvoice | None:
        """The invoice that this node made with the hash."""
        await self._ready()
        found = self._node.invoices.get(payment_hash)
        return None if found is None else _shown(found)

    async def invoices_before(self, index: int, limit: int) -> tuple[Sequence[NodeInvoice], int]:
        """A page of this node's invoices, newest first, without keysends, and the index to go on
        from.
        """
        await self._ready()
        found = page(
            self._node.invoices.values(),
            lambda invoice: invoice.add_index,
            index,
            limit,
            reverse=True,
            keep=lambda _: True,
        )
        return [_shown(invoice) for invoice in reversed(found) if invoice.payment_request], found[
            0
        ].add_index if found else 0

    async def _thawed(self, patience_seconds: float) -> bool:
        """Wait while the node is frozen, or until patience or the connection ends."""
        self._simulation.sync()
        if not self._node.frozen:
            return True
        thawed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        wake = _resolver(thawed)
        self._node.on_thaw.append(wake)
        self._node.on_down.append(wake)
        try:
            await asyncio.wait((thawed,), timeout=patience_seconds)
        finally:
            self._node.on_thaw.remove(wake)
            self._node.on_down.remove(wake)
        self._simulation.sync()
        return self._node.listening and not self._node.frozen

    async def _ready(self) -> None:
        if not await self._thawed(READ_PATIENCE_SECONDS) or not self._node.listening:
            raise NodeUnavailable(f"{self.name}: connection refused")
        try:
            self._node.gate()
        except Refused as refusal:
            if self._node.credentials_text:
                raise NodeRejected(f"{self.name}: {refusal.text}") from refusal
            raise NodeUnavailable(f"{self.name}: {refusal.text}") from refusal


READ_PATIENCE_SECONDS = 30.0
"""How long a reading call waits at a frozen node."""


def _resolver(future: asyncio.Future[None]) -> Callable[..., None]:
    def resolve(*_: object) -> None:
        if not future.done():
            future.set_result(None)

    return resolve


def _listed(record: PaymentRecord) -> NodePayment:
    hops = record.route
    destination = record.order.destination if hops else b""
    records = dict(record.order.records) if hops else {}
    return NodePayment(
        record.index,
        record.order.payment_hash,
        _answer(record),
        destination,
        records,
        record.created_ns,
    )


def _shown(invoice: InvoiceRecord) -> NodeInvoice:
    return NodeInvoice(
        invoice.add_index,
        invoice.payment_hash,
        invoice.payment_request,
        invoice.memo,
        invoice.value_msat,
        invoice.paid_msat,
        InvoiceState(invoice.state.name),
        invoice.created_ns,
        invoice.created_ns + invoice.expiry_seconds * SECOND_NS,
        invoice.settled_ns,
    )
