"""The gRPC door: StreamService, PaymentService, AdminService, health and reflection.

Each method of a service in the schema is served by the method of the same name below; around each
stand the key check, the clock and the one table of errors. Health and reflection need no key: they
tell nothing about money.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2
from streamer.api.auth import Keys
from streamer.api.errors import rich_status
from streamer.api.rpcs import AdminRpcs, Context, PaymentRpcs, StreamRpcs
from streamer.errors import ConfigError, StreamerError
from streamer.service import Service

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""A page of 1,000 streams with labels and records stays below it."""
MAX_CALLS = 1_000
"""Calls at once; more are answered RESOURCE_EXHAUSTED by gRPC."""

Unary = Callable[[Any, Context], Awaitable[Message]]
Streaming = Callable[[Any, Context], AsyncIterator[Message]]
Observe = Callable[[str, str, float], None]
"""Told of each call: method, code, seconds."""


class GrpcDoor:
    """The server. start binds and opens; stop refuses new calls and lets old ones end for a while."""

    def __init__(self, service: Service, keys: Keys, listen: str, observe: Observe) -> None:
        self._listen = listen
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.so_reuseport", 0)], maximum_concurrent_rpcs=MAX_CALLS
        )
        guard = _Guard(keys, observe)
        described: list[tuple[ServiceDescriptor, object]] = [
            (stream_pb2.DESCRIPTOR.services_by_name["StreamService"], StreamRpcs(service)),
            (payment_pb2.DESCRIPTOR.services_by_name["PaymentService"], PaymentRpcs(service)),
            (admin_pb2.DESCRIPTOR.services_by_name["AdminService"], AdminRpcs(service)),
        ]
        for descriptor, rpcs in described:
            handlers = {method.name: guard.handler(method, getattr(rpcs, method.name)) for method in descriptor.methods}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(descriptor.full_name, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [descriptor.full_name for descriptor, _ in described]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)

    async def start(self) -> str:
        """Open the door and give its address (with the real port, if 0 was asked). Raises ConfigError."""
        try:
            port = self._server.add_insecure_port(self._listen)
        except RuntimeError:
            raise ConfigError(f"{self._listen}: cannot listen there (api.grpc_listen): another program has this port") from None
        await self._server.start()
        await self.ready(True)
        return f"{self._listen.rpartition(':')[0]}:{port}"

    async def ready(self, ready: bool) -> None:
        """Set what the health service says of the whole server."""
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING)

    async def stop(self, grace_seconds: float) -> None:
        """Close the door; calls that do not end within grace_seconds are cut."""
        await self._server.stop(grace_seconds)


class _Guard:
    """What stands around every method: key, clock, errors."""

    def __init__(self, keys: Keys, observe: Observe) -> None:
        self._keys = keys
        self._observe = observe

    def handler(self, method: MethodDescriptor, serve: Callable[[Any, Any], Any]) -> Any:
        request = message_factory.GetMessageClass(method.input_type)
        name = f"{method.containing_service.name}/{method.name}"
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self._streaming(name, serve), request.FromString, _bytes_of)
        return grpc.unary_unary_rpc_method_handler(self._unary(name, serve), request.FromString, _bytes_of)

    def _unary(self, name: str, serve: Unary) -> Unary:
        async def call(request: Any, context: Context) -> Message:
            began = time.perf_counter()
            try:
                self._keys.check(context.invocation_metadata() or ())
                reply = await serve(request, context)
            except asyncio.CancelledError:
                self._observe(name, grpc.StatusCode.CANCELLED.name, time.perf_counter() - began)
                raise
            except Exception as error:
                await self._refuse(name, error, began, context)
                raise
            self._observe(name, grpc.StatusCode.OK.name, time.perf_counter() - began)
            return reply

        return call

    def _streaming(
        self, name: str, serve: Callable[[Any, Any], AsyncIterator[Message]]
    ) -> Callable[[Message, Any], AsyncIterator[Message]]:
        async def call(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Message]:
            began = time.perf_counter()
            try:
                self._keys.check(context.invocation_metadata() or ())
                async for reply in serve(request, context):
                    yield reply
            except (asyncio.CancelledError, GeneratorExit):
                self._observe(name, grpc.StatusCode.CANCELLED.name, time.perf_counter() - began)
                raise
            except Exception as error:
                await self._refuse(name, error, began, context)
                raise
            self._observe(name, grpc.StatusCode.OK.name, time.perf_counter() - began)

        return call

    async def _refuse(self, name: str, error: Exception, began: float, context: Context) -> None:
        """End the call with the error's status; raises gRPC's own abort."""
        code, message, details = rich_status(error)
        self._observe(name, code.name, time.perf_counter() - began)
        if not isinstance(error, StreamerError):
            log.exception("%s failed", name)
        await context.abort(code, message, details)


def _bytes_of(message: Message) -> bytes:
    return message.SerializeToString()
