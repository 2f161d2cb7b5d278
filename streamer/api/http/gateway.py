"""The HTTP door to every method: what `google.api.http` says of it, read from the descriptors at
run time.

The rules are those of grpc-gateway v2. There is no second list of routes: a method with the
annotation is served, and goes the same way as over gRPC (calls.py). Errors are one JSON object,
{"code", "message", "details"}; a server stream is one {"result"} a line, and {"error"} if it
breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing

import grpc
from google.protobuf.message import Message
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message as Event
from starlette.types import Receive, Scope, Send

from streamer.api.call import Call
from streamer.api.calls import Calls, Read
from streamer.api.errors import Refusal, refusal, refused
from streamer.api.http.answers import (
    JSON_TYPE,
    TOO_LARGE,
    JsonResponse,
    error_line,
    error_response,
    result_line,
)
from streamer.api.http.connection import CUT
from streamer.api.http.headers import IDEMPOTENCY_KEY, TIMEOUT, deadline_in, metadata_in
from streamer.api.http.incoming import Incoming, request_of
from streamer.api.http.jsonwire import shown
from streamer.api.http.paths import Route, Routes
from streamer.api.services import Rpc
from streamer.service.reports import WATCHER_LIMIT
from streamer.watch.fanout import CUT_SECONDS
from streamer.words.errors import DeadlineExceeded, StreamerError, Unavailable

MAX_BODY_BYTES = 4 * 1024 * 1024
"""gRPC's own default; a stream with all its records is a few kilobytes."""
REQUEST_SECONDS = 190.0
"""No answer takes longer, streams aside: paying an invoice may take 180 s."""
MAX_CALLS = 1_000 + WATCHER_LIMIT
"""Calls at once, with those that watch; as many as gRPC's."""
FOREIGN = frozenset(
    [
        "auth",
        "config",
        "contacts",
        "core",
        "did",
        "federate",
        "id",
        "ipfs",
        "key",
        "kv",
        "message",
        "messaging",
        "relay",
        "sign",
        "signing",
        "socket",
        "subscribe",
        "vpn",
        "websocket",
    ]
)
"""First words below /v1/ of what Impervious serves and streamer does not."""


class Gateway:
    """An ASGI application: every path that is not one of the port's own."""

    def __init__(self, calls: Calls, rpcs: Iterable[Rpc]) -> None:
        self._calls = calls
        self._routes = Routes(rpcs)
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000, "reason": "not part of streamer"})
            return
        self._open += 1
        begun = False

        async def tell(event: Event) -> None:
            nonlocal begun
            begun = True
            await send(event)

        try:
            await self._answer(scope, receive, tell)
        except (
            asyncio.CancelledError
            # at the end of the server, of what does not end by itself; or the caller left, and
            # nobody hears this
        ):
            if not begun:
                stopping = Unavailable(
                    "streamer is stopping: call again when it is back", "STOPPING"
                )
                await error_response(refusal(stopping))(scope, receive, send)
        except Refusal as told:
            await error_response(told)(scope, receive, send)
        except StreamerError as error:
            await error_response(refusal(error))(scope, receive, send)
        finally:
            self._open -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open > MAX_CALLS:
            raise refused(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{MAX_CALLS} calls are being answered already",
                "RESOURCE_EXHAUSTED",
            )
        request = Request(scope, receive)
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        route, variables = self._find(request.method, path)
        call = Call(metadata_in(request.headers.items()), deadline_in(request.headers.get(TIMEOUT)))
        query = scope["query_string"].decode("latin-1")
        arrived = asyncio.Event()

        async def read() -> Message:
            incoming = Incoming(
                route, variables, query, await _body(request), request.headers.get(IDEMPOTENCY_KEY)
            )
            arrived.set()
            return request_of(incoming)

        if route.rpc.streams:
            await self._stream(route, read, call, scope, _after(arrived, receive), send)
            return
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                reply = await self._calls.unary(route.rpc, read, call)
        except TimeoutError:
            raise DeadlineExceeded("the request took too long: ask what became of it") from None
        await JsonResponse(shown(reply))(scope, receive, send)

    def _find(self, verb: str, path: str) -> tuple[Route, dict[str, str]]:
        """The method that is meant. Raises Refusal as grpc-gateway does: 404 for a path, 501 for a
        verb.
        """
        found = self._routes.find(verb, path)
        if found is not None:
            return found
        verbs = self._routes.verbs(path)
        if verbs:
            raise refused(
                grpc.StatusCode.UNIMPLEMENTED,
                f"{path} is not called by {verb}, but by {' or '.join(verbs)}",
                "METHOD_NOT_ALLOWED",
            )
        if path.startswith("/v1/") and path.split("/")[2] in FOREIGN:
            raise refused(
                grpc.StatusCode.UNIMPLEMENTED,
                f"{path} is not part of streamer",
                "NOT_PART_OF_STREAMER",
            )
        raise refused(
            grpc.StatusCode.NOT_FOUND, f"{path} is not known here; /docs lists what is", "NOT_FOUND"
        )

    async def _stream(
        self, route: Route, read: Read, call: Call, scope: Scope, receive: Receive, send: Send
    ) -> None:
        lines = _Lines(send)
        left = asyncio.ensure_future(_gone(receive))
        told = asyncio.ensure_future(self._tell(route, read, call, lines))
        call.cut = scope.get(CUT, told.cancel)
        try:
            await asyncio.wait((left, told), return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                told.result()
        finally:
            for task in (left, told):
                task.cancel()
            await asyncio.gather(left, told, return_exceptions=True)

    async def _tell(self, route: Route, read: Read, call: Call, lines: _Lines) -> None:
        try:
            replies = self._calls.streaming(route.rpc, read, call)
            async with asyncio.timeout_at(call.deadline), aclosing(replies):
                async for reply in replies:
                    await lines.result(reply)
            await lines.close()
        except TimeoutError:
            await _end(lines, refusal(DeadlineExceeded("the deadline of the call passed")), call)
        except Refusal as told:
            await _end(lines, told, call)


class _Lines:
    """A server stream on its way out: opened late, so that an early refusal is an ordinary
    answer.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._opened = False

    async def open(self) -> None:
        if not self._opened:
            self._opened = True
            await self._send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [(b"content-type", JSON_TYPE.encode())],
                }
            )
            await self._send({"type": "http.response.body", "body": b"", "more_body": True})

    async def result(self, message: Message) -> None:
        await self.open()
        await self._send(
            {"type": "http.response.body", "body": result_line(message), "more_body": True}
        )

    async def fail(self, told: Refusal) -> None:
        """Raises the refusal if nothing was sent yet."""
        if not self._opened:
            raise told
        await self._send(
            {"type": "http.response.body", "body": error_line(told), "more_body": True}
        )

    async def close(self) -> None:
        await self.open()
        await self._send({"type": "http.response.body", "body": b""})


async def _end(lines: _Lines, told: Refusal, call: Call) -> None:
    """Say why the stream ends; who does not take it in time is cut."""
    try:
        async with asyncio.timeout(CUT_SECONDS):
            await lines.fail(told)
            await lines.close()
    except TimeoutError:
        call.cut()


async def _gone(receive: Receive) -> None:
    """Ends when the reader has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _after(arrived: asyncio.Event, receive: Receive) -> Receive:
    """What comes when the request has arrived."""

    async def later() -> Event:
        await arrived.wait()
        return await receive()

    return later


async def _body(request: Request) -> bytes:
    """The whole body. Raises Refusal for one that is too large, CancelledError when the caller
    left.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise refused(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"the body is larger than {MAX_BODY_BYTES} bytes",
                    TOO_LARGE,
                )
            parts.append(part)
    except ClientDisconnect:
        raise asyncio.CancelledError from None
    return b"".join(parts)
