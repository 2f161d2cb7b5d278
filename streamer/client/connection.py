"""The wire below the client: one channel, the key on every call, and errors in the daemon's words.

Beyond loopback it speaks TLS only, for the key would travel in the clear. Every failure is a
StreamerError: NotReachable if nobody answered, CallFailed if the daemon refused, with its own words
and reason.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from streamer._proto.imp.api.lightning import lightning_pb2_grpc
from streamer._proto.streamer.v1 import (
    admin_pb2_grpc,
    payment_pb2_grpc,
    stream_pb2,
    stream_pb2_grpc,
)
from streamer.client.access import Trust
from streamer.words.errors import ConfigError, InvalidArgument, StreamerError
from streamer.words.net import is_loopback

DEFAULT_TIMEOUT_SECONDS = 15.0
"""For calls that answer at once; a daemon that takes longer is in trouble."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
LONGEST_RECONNECT_MS = 5_000
"""How long after a daemon came back the channel finds it again at the latest."""


_ADDRESS = re.compile(r"(?:[^/:\[\]\s]+|\[[0-9A-Fa-f:.%a-z]+\]):[0-9]{1,5}")
NO_SUCH_HOST = ("dns resolution failed", "errors resolving")
NEVER_SENT = ("failed to connect to all addresses", *NO_SUCH_HOST)
"""How gRPC begins what it says of a call that did not leave (core/lib, pick_first and the DNS
resolver); of others we do not know.
"""


class NotReachable(StreamerError):
    """No answer from that address, or not in time. sent: the daemon may have had the request, and
    done what it asks for.
    """

    reason = "NOT_REACHABLE"

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class CallFailed(StreamerError):
    """The daemon answered with an error: code is gRPC's name of it, reason one of ours."""

    def __init__(self, message: str, code: str, reason: str) -> None:
        super().__init__(message, reason)
        self.code = code


class Connection:
    """A channel to a daemon with the stubs of its services. Made and ended inside one event
    loop.
    """

    def __init__(self, server: str, key: str, trust: Trust | None = None) -> None:
        self.server = server
        self._trust = _checked(server, trust)
        self._metadata = (("x-api-key", key),)
        options = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.enable_http_proxy", 0),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", LONGEST_RECONNECT_MS),
        ]
        self._channel = _channel(server, self._trust, options)
        self.streams = stream_pb2_grpc.StreamServiceStub(self._channel)
        self.payments = payment_pb2_grpc.PaymentServiceStub(self._channel)
        self.admin = admin_pb2_grpc.AdminServiceStub(self._channel)
        self.lightning = lightning_pb2_grpc.LightningStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._channel.close()

    async def call(
        self, method: Any, request: Message, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> Any:
        """Make one call and give its reply: `await client.call(client.streams.GetStream,
        GetStreamRequest(id=…))`.
        """
        pending = method(request, timeout=timeout_seconds, metadata=self._metadata)
        try:
            return await pending
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from None

    async def events(
        self, filter_text: str, cursor: int, silence_seconds: float
    ) -> AsyncGenerator[stream_pb2.StreamEvent, None]:
        """One WatchStreams call, bookmarks included. NotReachable after silence_seconds without a
        message.
        """
        request = stream_pb2.WatchStreamsRequest(filter=filter_text, cursor=cursor)
        call = self.streams.WatchStreams(request, metadata=self._metadata)
        messages = aiter(call)
        try:
            while True:
                async with asyncio.timeout(silence_seconds):
                    event = await anext(messages, None)
                if event is None:
                    return
                yield event
        except TimeoutError:
            raise NotReachable(
                f"the daemon at {self.server} has not said anything for {silence_seconds:.0f} s"
            ) from None
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from None
        finally:
            call.cancel()

    def _nobody(self, said: str) -> str:
        if self._trust is not None and any(
            word in said.lower() for word in ("handshake", "certificate", "ssl")
        ):
            whom = (
                f"{self._trust.tls_cert}"
                if self._trust.tls_cert
                else "the certificates of this machine's authorities"
            )
            return (
                f"{self.server} is not the daemon that {whom} vouches for, or speaks no TLS: name"
                " its certificate with --tls-cert"
            )
        if said.lower().startswith(NO_SUCH_HOST):
            return (
                f"no host is known by the name in {self.server}: name the daemon's address with"
                " --server"
            )
        if "http1" in said:
            return (
                f"{self.server} answers in HTTP/1: name the daemon's gRPC address (api.grpc_listen)"
                " with --server"
            )
        return (
            f"no daemon answers at {self.server}: start it with `streamer serve`, or name its"
            " address with --server"
            + (
                ""
                if self._trust is not None
                else " (and its certificate with --tls-cert, if it speaks TLS)"
            )
        )

    def _failure(self, error: grpc.aio.AioRpcError) -> StreamerError:
        reason = _reason(error)
        code = error.code()
        message = error.details() or code.name
        if reason:
            return CallFailed(message, code.name, reason)
        if code is grpc.StatusCode.UNAVAILABLE:
            if message.lower().startswith(NEVER_SENT):
                return NotReachable(self._nobody(message))
            return NotReachable(
                f"the connection to {self.server} broke before the answer came: `streamer status`"
                " tells whether a daemon is there",
                sent=True,
            )
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return NotReachable(f"the daemon at {self.server} did not answer in time", sent=True)
        return CallFailed(message, code.name, code.name)


def _reason(error: grpc.aio.AioRpcError) -> str:
    """ErrorInfo's reason; empty if the error was not made by a daemon of ours."""
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            info = error_details_pb2.ErrorInfo()
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(info):
                    return str(info.reason)
    return ""


def _checked(server: str, trust: Trust | None) -> Trust | None:
    """How server is to be trusted; None: in the clear, on this machine only."""
    if not _ADDRESS.fullmatch(server) or not 0 < int(server.rpartition(":")[2]) < 65_536:
        raise InvalidArgument(
            f"server {server!r} is not understood: write host:port, such as 127.0.0.1:8881"
        )
    return trust if trust is not None or is_loopback(server) else Trust()


def _channel(server: str, trust: Trust | None, options: list[tuple[str, Any]]) -> grpc.aio.Channel:
    if trust is None:
        return grpc.aio.insecure_channel(server, options=options)
    roots = None
    if trust.tls_cert is not None:
        try:
            roots = trust.tls_cert.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{trust.tls_cert}: the daemon's certificate cannot be read: {error.strerror}"
            ) from None
        if b"-----BEGIN CERTIFICATE-----" not in roots:
            raise ConfigError(f"{trust.tls_cert}: holds no certificate (PEM)")
    if trust.name:
        options = [*options, ("grpc.ssl_target_name_override", trust.name)]
    return grpc.aio.secure_channel(server, grpc.ssl_channel_credentials(roots), options=options)
