"""One connection of the HTTP port: what uvicorn does not bound is bounded here.

uvicorn closes a connection when all was taken that it has to send: for a reader who takes nothing
that is never. And it waits without end for the first request, or for the rest of a request's head.
Both hold a connection, and there are only so many (http.py).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Any, cast

import grpc
import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from streamer.api.errors import refused
from streamer.api.http.answers import error_response

NO_HTTP = (
    "the request is not HTTP/1.1: its first line, or the name or value of a header, has what may"
    " not be there, or is too long"
)
IDLE_SECONDS = 75
"""A connection without a request is closed then: later than clients do it, who may be about to send
one.
"""
LOOK_SECONDS = IDLE_SECONDS + 15
"""A connection on which nothing moved for so long, neither a request nor an answer, is cut,
whatever it waits for.
"""
NO_LINGER = struct.pack("ii", 1, 0)
"""socket(7): close with a reset, and without waiting for what was not sent."""
CUT = "streamer.cut"
"""Where an application finds in its scope what ends the connection at once, with all that was not
taken yet.
"""


class Connection(H11Protocol):
    """uvicorn's, which can be cut by the application, and is cut if nothing moves between two
    requests.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(cast("asyncio.Transport", transport))
        served = self.app

        async def cuttable(scope: Any, receive: Any, send: Any) -> None:
            scope[CUT] = self.cut
            await served(scope, receive, send)

        self.app = cuttable
        self._look = self.loop.call_later(LOOK_SECONDS, self._moved, None, 0)

    def on_response_complete(self) -> None:
        """The next request has its time from here."""
        super().on_response_complete()
        self._look.cancel()
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._look.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as every other refusal is answered, and close."""
        told = refused(grpc.StatusCode.INVALID_ARGUMENT, NO_HTTP, "INVALID_ARGUMENT")
        answer = error_response(told)
        headers = [*answer.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=answer.status_code, headers=headers),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    @property
    def stuck(self) -> bool:
        """Whether its reader does not take what there is for him."""
        return bool(self.flow.write_paused)

    def _expect(self) -> None:
        self._look = self.loop.call_later(
            LOOK_SECONDS, self._moved, self.cycle, self.transport.get_write_buffer_size()
        )

    def _moved(self, cycle: object, unsent_bytes: int) -> None:
        """Cut, unless a request has come since, or more of the answer before was taken."""
        if self.cycle is not cycle:
            return
        if self.transport.get_write_buffer_size() < unsent_bytes:
            self._expect()
        else:
            self.cut()

    def cut(self) -> None:
        """End it now; the kernel, too, forgets what was not taken."""
        with suppress(OSError):  # its other end is gone already
            self.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER
            )
        self.transport.abort()
