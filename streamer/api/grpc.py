"""The gRPC door: every service of the table in services.py, health and reflection.

Health and reflection need no key: they tell nothing about money.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import groupby
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from streamer.api.call import Call
from streamer.api.calls import Calls
from streamer.api.errors import Refusal
from streamer.api.health import Health
from streamer.api.reading import Reading
from streamer.api.services import Rpc
from streamer.api.tls import Tls
from streamer.service.reports import WATCHER_LIMIT
from streamer.words.errors import ConfigError, InvalidArgument
from streamer.words.net import bound

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""A page of 1,000 streams with labels and records stays below it."""
MAX_CALLS = 1_000 + WATCHER_LIMIT
MAX_WAITING_CALLS = 10_000
"""Calls that have come and were not looked at yet. From 1,000 on gRPC would reset some by chance,
without a word (its default).
"""
"""Calls at once, with those that watch; more are answered RESOURCE_EXHAUSTED by gRPC."""
WRITE_BUFFER_BYTES = 16 * 1024
"""Of answers that one reader does not take, so much waits here; the rest waits in the feed, once
for all.
"""

Context = grpc.aio.ServicerContext[Any, Any]


class GrpcDoor:
    """The server. start binds and opens; close says that the end is near; stop lets old calls end
    for a while.

    unready says why no node can pay now, "" if one can.
    """

    def __init__(
        self,
        calls: Calls,
        rpcs: Iterable[Rpc],
        listen: str,
        unready: Callable[[], str],
        tls: Tls | None = None,
    ) -> None:
        self._listen = listen
        self._tls = tls
        options = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.write_buffer_size", WRITE_BUFFER_BYTES),
            ("grpc.server.max_pending_requests", MAX_WAITING_CALLS),
            ("grpc.server.max_pending_requests_hard_limit", MAX_WAITING_CALLS),
        ]
        self._server = grpc.aio.server(
            interceptors=(Reading(),), options=options, maximum_concurrent_rpcs=MAX_CALLS
        )
        self._following: asyncio.Task[None] | None = None
        names = []
        for service, methods in groupby(rpcs, lambda rpc: rpc.method.containing_service.full_name):
            handlers = {rpc.method.name: _handler(calls, rpc) for rpc in methods}
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, handlers),)
            )
            names.append(service)
        self._health = Health(names, unready)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._server)
        reflection.enable_server_reflection(
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )

    async def start(self) -> str:
        """Open the door and give its address (with the real port, if 0 was asked). Raises
        ConfigError.
        """
        try:
            bound(self._listen, 1).close()  # gRPC does not say why it cannot
            if self._tls is None:
                port = self._server.add_insecure_port(self._listen)
            else:
                port = self._server.add_secure_port(self._listen, self._tls.grpc_credentials())
        except OSError as error:
            raise ConfigError(
                f"{self._listen}: cannot listen there (api.grpc_listen): {error.strerror}"
            ) from None
        except RuntimeError:
            raise ConfigError(
                f"{self._listen}: cannot listen there (api.grpc_listen): another program has this"
                " port"
            ) from None
        await self._server.start()
        await self._health.look()
        self._following = asyncio.create_task(self._health.follow())
        return f"{self._listen.rpartition(':')[0]}:{port}"

    async def close(self) -> None:
        """Nothing is served any more, as far as health says; calls under way go on."""
        if self._following is not None:
            self._following.cancel()
        await self._health.end()

    async def stop(self, grace_seconds: float) -> None:
        """Close the door; calls that do not end within grace_seconds are cut."""
        await self.close()
        await self._server.stop(grace_seconds)


def _handler(calls: Calls, rpc: Rpc) -> Any:
    """The method as gRPC wants it.

    To gRPC every request is a stream, of one: such a method is called when the call begins, and
    reads the request, as bytes, only after the key was checked.
    """
    if rpc.streams:
        return grpc.stream_stream_rpc_method_handler(_streaming(calls, rpc), None, _bytes_of)
    return grpc.stream_unary_rpc_method_handler(_unary(calls, rpc), None, _bytes_of)


def _unary(calls: Calls, rpc: Rpc) -> Callable[[object, Context], Awaitable[Message]]:
    async def serve(_: object, context: Context) -> Message:
        try:
            return await calls.unary(rpc, lambda: _read(rpc, context), _call(context))
        except Refusal as refusal:
            await _refuse(refusal, context)
            raise

    return serve


def _streaming(calls: Calls, rpc: Rpc) -> Callable[[object, Context], AsyncIterator[Message]]:
    async def serve(_: object, context: Context) -> AsyncIterator[Message]:
        try:
            async for reply in calls.streaming(rpc, lambda: _read(rpc, context), _call(context)):
                yield reply
        except Refusal as refusal:
            await _refuse(refusal, context)
            raise

    return serve


async def _read(rpc: Rpc, context: Context) -> Message:
    request = await context.read()
    if request is grpc.aio.EOF:
        raise InvalidArgument("the call ended without a request")
    return rpc.request.FromString(request)


def _call(context: Context) -> Call:
    remaining: float | None = context.time_remaining()
    deadline = None if remaining is None else asyncio.get_running_loop().time() + remaining
    task = asyncio.current_task()
    assert task is not None
    return Call(context.invocation_metadata() or (), deadline, cut=task.cancel)


async def _refuse(refusal: Refusal, context: Context) -> None:
    """End the call with its status; raises gRPC's own abort."""
    await context.abort(
        refusal.code,
        refusal.status.message,
        tuple(rpc_status.to_status(refusal.status).trailing_metadata),
    )


def _bytes_of(message: Message) -> bytes:
    return message.SerializeToString()
