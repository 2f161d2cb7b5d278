"""Health and reflection, which need no key: few calls at once, and INVALID_ARGUMENT to bytes that
they cannot read.

Their ready-made handlers let gRPC read the request, which logs a traceback and answers UNKNOWN, and
they hold a call for as long as the caller likes, who may be anybody: without a bound of their own
such calls could take all places of the port. Our own methods read theirs in calls.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

Context = grpc.aio.ServicerContext[Any, Any]

KEYLESS_CALLS = 32
"""Calls without a key at once: so many that are answered once, and so many that stay open."""
READ_SECONDS = 5.0
"""How long the request of a call that is answered once may take to arrive."""


class Reading(grpc.aio.ServerInterceptor):
    """Takes the reading of requests out of gRPC's hands, for every handler that left it there."""

    def __init__(self) -> None:
        self._open = {"answered": 0, "lasting": 0}

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """The handler, or one around it: to gRPC its request is a stream, so that it is called, and
        counted, before that arrives.
        """
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler
        if handler.unary_unary is not None:
            return grpc.stream_unary_rpc_method_handler(
                self._unary(handler), None, handler.response_serializer
            )
        serve = _watch(handler) if handler.unary_stream is not None else _talk(handler)
        return grpc.stream_stream_rpc_method_handler(
            self._lasting(serve), None, handler.response_serializer
        )

    def _unary(self, handler: Any) -> Any:
        async def serve(_: object, context: Context) -> Any:
            await self._enter("answered", context)
            try:
                return await handler.unary_unary(await _first(handler, context), context)
            finally:
                self._open["answered"] -= 1

        return serve

    def _lasting(self, inner: Callable[[AsyncIterator[bytes], Context], Awaitable[None]]) -> Any:
        async def serve(requests: AsyncIterator[bytes], context: Context) -> None:
            await self._enter("lasting", context)
            try:
                await inner(requests, context)
            finally:
                self._open["lasting"] -= 1

        return serve

    async def _enter(self, kind: str, context: Context) -> None:
        if self._open[kind] >= KEYLESS_CALLS:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{KEYLESS_CALLS} calls of health and reflection are open already: end some, or"
                " come later",
            )
        self._open[kind] += 1


def _watch(handler: Any) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
    """Health's Watch is a coroutine that writes to the context."""

    async def serve(_: object, context: Context) -> None:
        await handler.unary_stream(await _first(handler, context), context)

    return serve


def _talk(handler: Any) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
    async def serve(requests: AsyncIterator[bytes], context: Context) -> None:
        async def read() -> AsyncIterator[Any]:
            async for request in requests:
                yield await _read(handler, request, context)

        async for reply in handler.stream_stream(read(), context):
            await context.write(reply)

    return serve


async def _first(handler: Any, context: Context) -> Any:
    try:
        async with asyncio.timeout(READ_SECONDS):
            request = await context.read()
    except TimeoutError:
        await context.abort(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            f"the request did not arrive within {READ_SECONDS:.0f} s",
        )
    if request is grpc.aio.EOF:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call ended without a request")
    return await _read(handler, request, context)


async def _read(handler: Any, request: bytes, context: Context) -> Any:
    try:
        return handler.request_deserializer(request)
    except DecodeError:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request cannot be decoded")
