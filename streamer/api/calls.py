"""One way for every call, whatever door it came through: key, request, method, clock, errors.

A door knows its transport and nothing else. It makes a Call, hands over a function that reads the
request, and gets the reply or a Refusal, which says the same whichever door shows it. The key is
looked at before the request is read: who has none learns nothing about it, and nothing is kept of
what he sends, nor waited for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable

import grpc
from google.protobuf.message import DecodeError, Message

from streamer.api.auth import Keys
from streamer.api.call import Call
from streamer.api.errors import Refusal, refusal
from streamer.api.services import Rpc
from streamer.words.errors import DeadlineExceeded, InvalidArgument, StreamerError, Unavailable

log = logging.getLogger(__name__)

Observe = Callable[[str, str, float], None]
"""Told of each call: method, code, seconds."""

Read = Callable[[], Awaitable[Message]]
"""Takes the request from the wire. May raise Refusal, StreamerError or DecodeError."""

READ_SECONDS = 30.0
"""How long a request may take to arrive."""


class Calls:
    """Answers calls: checks the key, reads the request, runs the method, counts it."""

    def __init__(self, keys: Keys, observe: Observe) -> None:
        self._keys = keys
        self._observe = observe
        self._closing = False
        self._under_way: set[asyncio.Timeout] = set()

    def close(self) -> None:
        """Refuse every new call; those under way go on to their ends."""
        self._closing = True

    def cut(self) -> None:
        """End the calls that still wait for something, and tell them."""
        for timeout in self._under_way:
            timeout.reschedule(asyncio.get_running_loop().time())

    async def unary(self, rpc: Rpc, read: Read, call: Call) -> Message:
        """The reply. Raises Refusal, for every failure there is, and CancelledError when the caller
        left.
        """
        began = time.perf_counter()
        try:
            async with asyncio.timeout_at(call.deadline) as timeout:
                request = await self._admit(rpc, read, call)
                self._under_way.add(timeout)
                try:
                    reply: Message = await rpc.serve(request, call)
                finally:
                    self._under_way.discard(timeout)
        except asyncio.CancelledError:
            self._count(rpc, grpc.StatusCode.CANCELLED, began)
            raise
        except Exception as error:
            raise self._refusal(rpc, error, began) from None
        self._count(rpc, grpc.StatusCode.OK, began)
        return reply

    async def streaming(self, rpc: Rpc, read: Read, call: Call) -> AsyncGenerator[Message, None]:
        """The replies, one by one. Raises as unary does."""
        began = time.perf_counter()
        try:
            request = await self._admit(rpc, read, call)
            async for reply in rpc.serve(request, call):
                yield reply
        except (asyncio.CancelledError, GeneratorExit):
            self._count(rpc, grpc.StatusCode.CANCELLED, began)
            raise
        except Exception as error:
            raise self._refusal(rpc, error, began) from None
        self._count(rpc, grpc.StatusCode.OK, began)

    async def _admit(self, rpc: Rpc, read: Read, call: Call) -> Message:
        self._refuse_at_the_end()
        call.caller = await self._keys.authorize(rpc.full_name, call.metadata)
        try:
            async with asyncio.timeout(READ_SECONDS) as patience:
                self._under_way.add(patience)
                try:
                    request = await read()
                finally:
                    self._under_way.discard(patience)
            self._refuse_at_the_end()
            return request
        except TimeoutError:
            if not patience.expired():
                raise
            self._refuse_at_the_end()
            raise DeadlineExceeded(
                f"the request did not arrive within {READ_SECONDS:.0f} s"
            ) from None
        except DecodeError:
            raise InvalidArgument(
                f"the request is no {rpc.request.DESCRIPTOR.full_name}: it cannot be decoded"
            ) from None

    def _refuse_at_the_end(self) -> None:
        if self._closing:
            raise Unavailable(
                "streamer is stopping: call again when it is back", "STOPPING"
            ) from None

    def _refusal(self, rpc: Rpc, error: Exception, began: float) -> Refusal:
        if isinstance(error, TimeoutError) and self._closing:
            error = Unavailable(
                "streamer stopped before this call ended: when it is back, ask again with the same"
                " request_id what became of it",
                "STOPPING",
            )
        elif isinstance(error, TimeoutError):
            error = DeadlineExceeded(
                "the deadline of the call passed before its end: ask what became of it, or allow"
                " more time"
            )
        refused = error if isinstance(error, Refusal) else refusal(error)
        self._count(rpc, refused.code, began)
        if not isinstance(error, (StreamerError, Refusal)):
            log.error("%s failed", rpc.name, exc_info=error)
        return refused

    def _count(self, rpc: Rpc, code: grpc.StatusCode, began: float) -> None:
        self._observe(rpc.name, code.name, time.perf_counter() - began)
