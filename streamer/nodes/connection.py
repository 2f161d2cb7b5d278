"""One gRPC connection to lnd, verified once and never trusted after it was lost.

gRPC reconnects by itself, silently, and lets calls wait for that inside the client, from where they
are executed later: a payment that nobody waits for (money rule 4). So each connection has a channel
of its own, calls start only while it is READY, and the first time it is not, it is closed for good.
Keysends go over a connection of their own (wire.py), made and lost together with it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.aio

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer._proto.routerrpc import router_pb2 as router
from streamer.nodes import permissions
from streamer.nodes.credentials import DEFAULT_PORT, Credentials
from streamer.nodes.wire import HANDSHAKE_SECONDS, Wire
from streamer.words.errors import NodeRejected, NodeUnavailable

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""A page of payments or all channels of a large node; gRPC's own limit is 4 MiB."""

KEEPALIVE_MS = 30_000
KEEPALIVE_TIMEOUT_MS = 10_000
"""lnd answers too_many_pings below 5 s; a dead peer is noticed after both times."""

OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)
"""One intent is one call (no retries), a new connection is really new (no shared subchannels)."""

GET_STATE = "/lnrpc.State/GetState"
ALPN = "h2"
READY = grpc.ChannelConnectivity.READY


class Connection:
    """A channel with lnd's methods on it; `gone` is done, with the reason, when it must not be
    used.
    """

    def __init__(self, credentials: Credentials) -> None:
        secure = grpc.ssl_channel_credentials(credentials.certificate)
        self.rpcserver = credentials.rpcserver
        self.metadata = (("macaroon", credentials.macaroon),)
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._channel = grpc.aio.secure_channel(credentials.rpcserver, secure, OPTIONS)
        self._certificate = credentials.certificate
        self._watch: asyncio.Task[None] | None = None
        self.wire = Wire(permissions.SEND, credentials.rpcserver, self.metadata, self._wire_lost)
        self.track = self._streaming(permissions.TRACK, router.TrackPaymentRequest, ln.Payment)
        self.get_state = self._unary(GET_STATE, state.GetStateRequest, state.GetStateResponse)
        self.get_info = self._unary(permissions.GET_INFO, ln.GetInfoRequest, ln.GetInfoResponse)
        self.list_channels = self._unary(
            permissions.LIST_CHANNELS, ln.ListChannelsRequest, ln.ListChannelsResponse
        )
        self.pending_channels = self._unary(
            permissions.PENDING_CHANNELS, ln.PendingChannelsRequest, ln.PendingChannelsResponse
        )
        self.get_node_info = self._unary(permissions.GET_NODE_INFO, ln.NodeInfoRequest, ln.NodeInfo)
        self.list_payments = self._unary(
            permissions.LIST_PAYMENTS, ln.ListPaymentsRequest, ln.ListPaymentsResponse
        )
        self.add_invoice = self._unary(permissions.ADD_INVOICE, ln.Invoice, ln.AddInvoiceResponse)
        self.lookup_invoice = self._unary(permissions.LOOKUP_INVOICE, ln.PaymentHash, ln.Invoice)
        self.list_invoices = self._unary(
            permissions.LIST_INVOICES, ln.ListInvoiceRequest, ln.ListInvoiceResponse
        )
        self.decode_pay_req = self._unary(permissions.DECODE_PAY_REQ, ln.PayReqString, ln.PayReq)

    def ready(self) -> bool:
        """True if a call that starts now leaves now: it is looked up anew each time."""
        return not self.gone.done() and not self.wire.lost and self._channel.get_state() is READY

    async def dial(self) -> None:
        """Make the connection for keysends. Call once, after a first call succeeded. Raises
        NodeUnavailable, NodeRejected.
        """
        address = urlsplit(f"//{self.rpcserver}")
        host, port = address.hostname or "", address.port or DEFAULT_PORT
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: self.wire,
                    host,
                    port,
                    ssl=_trust(self._certificate),
                    server_hostname=host,
                )
                if transport.get_extra_info("ssl_object").selected_alpn_protocol() != ALPN:
                    self.wire.close("it does not speak HTTP/2")
                await self.wire.greeted
        except (OSError, TimeoutError) as error:
            raise NodeUnavailable(
                f"a second connection to lnd at {self.rpcserver} could not be made:"
                f" {error or 'no answer'}"
            ) from None
        except ValueError as error:
            raise NodeRejected(
                f"the certificate for lnd at {self.rpcserver} cannot be used: copy lnd's tls.cert"
                f" again ({error})"
            ) from None
        if self.wire.lost:
            raise NodeUnavailable(
                f"the connection to lnd at {self.rpcserver} was lost again at once:"
                f" {self.wire.lost}"
            )

    def watch(self) -> None:
        """Begin to notice the loss of the connection. Call once, after the first call succeeded."""
        self._watch = asyncio.create_task(self._until_lost())

    async def close(self, why: str = "closed") -> None:
        """End the channel: calls in flight are cancelled, and no new one can start."""
        if not self.gone.done():
            self.gone.set_result(why)
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        self.wire.close(why)
        await self._channel.close()

    async def _until_lost(self) -> None:
        while (now := self._channel.get_state()) is READY:
            await self._channel.wait_for_state_change(now)
        await self.close(f"the connection to lnd at {self.rpcserver} was lost")

    def _wire_lost(self, why: str) -> None:
        if self._watch is not None and not self.gone.done():
            self.gone.set_result(f"the connection to lnd at {self.rpcserver} was lost")

    def _streaming(self, method: str, request: type[Any], reply: type[Any]) -> Callable[..., Any]:
        return self._starting(
            self._channel.unary_stream(method, request.SerializeToString, reply.FromString)
        )

    def _unary(self, method: str, request: type[Any], reply: type[Any]) -> Callable[..., Any]:
        return self._starting(
            self._channel.unary_unary(method, request.SerializeToString, reply.FromString)
        )

    def _starting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """A call that would start after the channel was closed, between two questions, finds the
        node away.
        """

        def start(*arguments: Any, **terms: Any) -> Any:
            try:
                return method(*arguments, **terms)
            except grpc.aio.UsageError:
                raise NodeUnavailable(
                    f"the connection to lnd at {self.rpcserver} was closed"
                ) from None

        return start


def _trust(certificate: bytes | None) -> ssl.SSLContext:
    """Verify against this certificate and no other, or against the system's roots, by the name that
    was dialled.
    """
    context = ssl.create_default_context(
        cadata=None if certificate is None else certificate.decode("ascii")
    )
    context.verify_flags = (
        context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN
    ) & ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols([ALPN])
    return context
