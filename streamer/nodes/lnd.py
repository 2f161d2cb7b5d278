"""Drives lnd: the Node port over lnd's own gRPC.

It sends one payment per call, says what came back and how sure that is, and checks everything that
must be true of a connection before anything is sent on it. It is not the judge of a payment:
ghosts, resends and refusals are decided above (engine, recovery), from the facts given here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import grpc
from grpc.aio import EOF, AioRpcError

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2 as router
from streamer.core.keysend import PREIMAGE_TYPE, decode_records
from streamer.nodes import answers, faults, invoices, permissions
from streamer.nodes.checks import (
    CALL_SECONDS,
    ask,
    pass_on_cancellation,
    require_active,
    require_permissions,
)
from streamer.nodes.connection import Connection
from streamer.nodes.credentials import Access
from streamer.ports import (
    Answer,
    Channels,
    DecodedInvoice,
    Kind,
    NodeIdentity,
    NodeInvoice,
    NodePayment,
)
from streamer.words.errors import ConfigError, NodeRejected, NodeUnavailable
from streamer.words.model import Payment

KEYSEND_FEATURE = 55
"""The feature bit by which a node says that it takes keysends (bLIP-3)."""

TERMINAL = frozenset({answers.SUCCEEDED, answers.FAILED})
NOT_CONNECTED = "not connected to lnd"


class LndNode:
    """One lnd, reached by its gRPC. Implements ports.Node; open it before anything else."""

    def __init__(self, name: str, access: Access) -> None:
        self.name = name
        self.accepted: Callable[[bytes, int], None] = _tell_nobody
        self._access = access
        self._connection: Connection | None = None

    async def open(self) -> NodeIdentity:
        """Connect anew, with credentials read anew, and check all that sending relies on."""
        await self.close()
        try:
            connection = Connection(self._access.read())
        except ConfigError as error:
            raise NodeRejected(str(error)) from None
        try:
            await require_active(connection)
            await connection.dial()
            connection.watch()
            identity = answers.identity(
                await ask(
                    connection, connection.get_info, ln.GetInfoRequest(), permissions.GET_INFO
                )
            )
            await require_permissions(connection, identity.pubkey)
            if not connection.ready():
                raise NodeUnavailable(
                    f"the connection to lnd at {connection.rpcserver} was lost again at once"
                )
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return identity

    async def lost(self) -> str:
        """The reason, when the connection is gone; at once if there is none."""
        if self._connection is None:
            return NOT_CONNECTED
        return await asyncio.shield(self._connection.gone)

    async def send(self, payment: Payment, preimage: bytes, patience_seconds: float) -> Answer:
        """One SendPaymentV2, read until its end."""
        connection = self._connection
        try:
            request = (
                invoices.send_request(payment)
                if payment.payment_request
                else payment_request(payment, preimage)
            )
        except ValueError as error:
            return Answer(Kind.REFUSED, message=f"not sent: {error}")
        # closed, so no ghost: nothing has left, and nothing will, because no call waits inside for
        # a connection
        if connection is None or not connection.ready():
            return Answer(Kind.LOST, message=NOT_CONNECTED)
        reader = _Updates(payment.payment_hash, self.accepted)
        ended = await connection.wire.start(request.SerializeToString(), reader, patience_seconds)
        if isinstance(ended, Answer):
            return ended
        if ended.code() is grpc.StatusCode.OK:
            return Answer(
                Kind.LOST,
                accepted=reader.accepted,
                closed=reader.accepted,
                message="lnd ended the call without a result",
            )
        return faults.send_failure(ended, reader.accepted)

    async def track(self, payment_hash: bytes, patience_seconds: float) -> Answer:
        """The first update of TrackPaymentV2."""
        connection = self._connection
        if connection is None or not connection.ready():
            return Answer(Kind.LOST, message=NOT_CONNECTED)
        request = router.TrackPaymentRequest(payment_hash=payment_hash)
        call = connection.track(request, timeout=patience_seconds, metadata=connection.metadata)
        try:
            update = await call.read()
            return (
                answers.payment_answer(update)
                if update is not EOF
                else Answer(Kind.LOST, message="lnd said nothing of this payment")
            )
        except AioRpcError as error:
            return faults.track_failure(error)
        except asyncio.CancelledError:
            pass_on_cancellation()
            return Answer(Kind.LOST, message="the connection was closed")
        except Exception as error:  # an answer that cannot be read is no answer
            return Answer(
                Kind.LOST, message=f"lnd's answer could not be read ({type(error).__name__})"
            )
        finally:
            call.cancel()

    async def channels(self) -> Channels:
        """ListChannels, then PendingChannels and GetInfo: a channel that begins to close meanwhile
        is in one of them.
        """
        here = self._required()
        listed = await ask(
            here, here.list_channels, ln.ListChannelsRequest(), permissions.LIST_CHANNELS
        )
        pending, info = await asyncio.gather(
            ask(
                here,
                here.pending_channels,
                ln.PendingChannelsRequest(),
                permissions.PENDING_CHANNELS,
            ),
            ask(here, here.get_info, ln.GetInfoRequest(), permissions.GET_INFO),
        )
        return answers.all_channels(listed, pending, info.block_height)

    async def identity(self) -> NodeIdentity:
        """GetInfo."""
        here = self._required()
        return answers.identity(
            await ask(here, here.get_info, ln.GetInfoRequest(), permissions.GET_INFO)
        )

    async def payments_after(self, index: int, limit: int) -> Sequence[NodePayment]:
        """One page of ListPayments; the last hop of an attempt tells destination and records."""
        here = self._required()
        request = ln.ListPaymentsRequest(
            include_incomplete=True, index_offset=index, max_payments=limit
        )
        listed = await ask(here, here.list_payments, request, permissions.LIST_PAYMENTS)
        return [answers.node_payment(payment) for payment in listed.payments]

    async def accepts_keysend(self, destination: bytes) -> bool | None:
        """GetNodeInfo; a node that announces no features at all does not say, so None."""
        here = self._required()
        request = ln.NodeInfoRequest(pub_key=destination.hex())
        try:
            info = await here.get_node_info(request, timeout=CALL_SECONDS, metadata=here.metadata)
        except AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise faults.explain(error, permissions.GET_NODE_INFO, here.rpcserver) from None
        return KEYSEND_FEATURE in info.node.features if info.node.features else None

    async def add_invoice(self, amount_msat: int, memo: str, expiry_seconds: int) -> str:
        """AddInvoice."""
        return await invoices.add(self._required(), amount_msat, memo, expiry_seconds)

    async def decode_invoice(self, payment_request: str) -> DecodedInvoice:
        """DecodePayReq."""
        return await invoices.decode(self._required(), payment_request)

    async def find_invoice(self, payment_hash: bytes) -> NodeInvoice | None:
        """LookupInvoice."""
        return await invoices.find(self._required(), payment_hash)

    async def invoices_before(self, index: int, limit: int) -> tuple[Sequence[NodeInvoice], int]:
        """One page of ListInvoices, without keysends."""
        return await invoices.page_before(self._required(), index, limit)

    async def close(self) -> None:
        """End the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _required(self) -> Connection:
        if self._connection is None or not self._connection.ready():
            raise NodeUnavailable(NOT_CONNECTED)
        return self._connection


class _Updates:
    """Reads the updates of one SendPaymentV2: the first one means that lnd has recorded the
    payment.
    """

    __slots__ = ("_hash", "_tell", "accepted")

    def __init__(self, payment_hash: bytes, tell: Callable[[bytes, int], None]) -> None:
        self.accepted = False
        self._hash = payment_hash
        self._tell = tell

    def take(self, message: bytes) -> Answer | None:
        first, self.accepted = not self.accepted, True
        try:
            update = ln.Payment.FromString(message)
            if first:
                self._tell(self._hash, update.payment_index)
            return answers.payment_answer(update) if update.status in TERMINAL else None
        # whatever it was, the payment may be on its way: doubt, not a crash
        except Exception as error:
            return Answer(
                Kind.LOST,
                accepted=self.accepted,
                closed=self.accepted,
                message=f"lnd's answer could not be read ({type(error).__name__})",
            )


def _tell_nobody(payment_hash: bytes, index: int) -> None:
    """What `accepted` is until somebody wants to know."""


def payment_request(payment: Payment, preimage: bytes) -> router.SendPaymentRequest:
    """The keysend of an intent, exactly as it was recorded.

    ValueError if the intent cannot be a payment of lnd's: a record or a number that does not fit,
    or a timeout or CLTV limit of 0, which lnd reads as its own default. A fee limit of 0 is sent as
    it is: lnd reads it as "only free routes".
    """
    if (
        payment.amount_msat <= 0
        or payment.fee_limit_msat < 0
        or payment.timeout_seconds <= 0
        or payment.cltv_limit <= 0
    ):
        raise ValueError(
            "amount, timeout and CLTV limit must be above 0, and the fee limit not below it"
        )
    request = router.SendPaymentRequest(
        dest=payment.destination,
        payment_hash=payment.payment_hash,
        amt_msat=payment.amount_msat,
        fee_limit_msat=payment.fee_limit_msat,
        cltv_limit=payment.cltv_limit,
        timeout_seconds=payment.timeout_seconds,
        max_parts=1,
        dest_features=(ln.TLV_ONION_OPT,),
    )
    # one by one: a mapping given to the constructor is copied by Python code
    records = request.dest_custom_records
    for kind, value in decode_records(payment.records).items():
        records[kind] = value
    records[PREIMAGE_TYPE] = preimage
    return request
