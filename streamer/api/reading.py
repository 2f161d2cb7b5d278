"""Health and reflection answer INVALID_ARGUMENT to bytes that they cannot read.

Their ready-made handlers let gRPC read the request, which logs a traceback and answers UNKNOWN; and
anybody may call them, without a key. Our own methods read theirs in calls.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

Context = grpc.aio.ServicerContext[Any, Any]


class Reading(grpc.aio.ServerInterceptor):
    """Takes the reading of requests out of gRPC's hands, for every handler that left it there."""

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """The handler, or one around it."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(_unary(handler), None, handler.response_serializer)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(_watch(handler), None, handler.response_serializer)
        return grpc.stream_stream_rpc_method_handler(_talk(handler), None, handler.response_serializer)


def _unary(handler: Any) -> Any:
    async def serve(request: bytes, context: Context) -> Any:
        return await handler.unary_unary(await _read(handler, request, context), context)

    return serve


def _watch(handler: Any) -> Any:
    """Health's Watch is a coroutine that writes to the context."""

    async def serve(request: bytes, context: Context) -> None:
        await handler.unary_stream(await _read(handler, request, context), context)

    return serve


def _talk(handler: Any) -> Any:
    async def serve(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        async def read() -> AsyncIterator[Any]:
            async for request in requests:
                yield await _read(handler, request, context)

        async for reply in handler.stream_stream(read(), context):
            yield reply

    return serve


async def _read(handler: Any, request: bytes, context: Context) -> Any:
    try:
        return handler.request_deserializer(request)
    except DecodeError:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request cannot be decoded")
