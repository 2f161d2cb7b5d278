"""The other end of a connection for keysends: h2, an HTTP/2 of other people's, which refuses what
is not allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings

from streamer.nodes.wire import Wire

METHOD = "/routerrpc.Router/SendPaymentV2"
METADATA = (("macaroon", "0201" * 60),)
Codes = h2.settings.SettingCodes


class Pipe(asyncio.Transport):
    """What the wire writes; aborted says that it gave the connection up."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.aborted = False

    def write(self, data: Any) -> None:
        assert not self.aborted
        self.written += data

    def abort(self) -> None:
        self.aborted = True

    def drained(self) -> bytes:
        data = bytes(self.written)
        self.written.clear()
        return data


class Last:
    """A reader that ends its call with the first message that starts with "!"."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def take(self, message: bytes) -> bytes | None:
        self.seen.append(message)
        return message if message.startswith(b"!") else None


class Peer:
    """A wire and a server by h2 on one pipe. say delivers what the server has to say, in pieces of
    any size.
    """

    def __init__(self, **settings: int) -> None:
        self.reasons: list[str] = []
        self.pipe = Pipe()
        self.wire = Wire(METHOD, "lnd:10009", METADATA, self.reasons.append)
        self.server = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        if settings:
            self.server.local_settings = h2.settings.Settings(
                client=False,
                initial_values={getattr(Codes, name): value for name, value in settings.items()},
            )
        self.server.initiate_connection()
        self.events: list[h2.events.Event] = []
        self.wire.connection_made(self.pipe)

    async def turn(self, piece: int = 1 << 20) -> None:
        """Let both say what they have to say, until nobody has anything left."""
        for _ in range(4):
            await asyncio.sleep(0)
            data = self.pipe.drained()
            if data:
                self.events += self.server.receive_data(data)
            self.say(self.server.data_to_send(), piece)

    def say(self, data: bytes, piece: int = 1 << 20) -> None:
        for at in range(0, len(data), piece):
            self.wire.data_received(data[at : at + piece])

    def requests(self) -> dict[int, bytes]:
        """Stream id → what came as its body."""
        bodies: dict[int, bytes] = {}
        for event in self.events:
            if isinstance(event, h2.events.DataReceived):
                assert event.stream_id is not None and event.data is not None
                bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
        return bodies

    def headers(self) -> dict[int, dict[str, str]]:
        return {
            event.stream_id: {str(name): str(value) for name, value in event.headers}
            for event in self.events
            if isinstance(event, h2.events.RequestReceived)
            and event.stream_id is not None
            and event.headers is not None
        }

    def resets(self) -> list[int]:
        return [
            event.stream_id
            for event in self.events
            if isinstance(event, h2.events.StreamReset) and event.stream_id is not None
        ]

    def begin(self, stream: int) -> None:
        self.server.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])

    def answer(self, stream: int, *messages: bytes, padding: int | None = None) -> None:
        body = b"".join(grpc_message(message) for message in messages)
        for at in range(0, len(body), 16_000):
            self.server.send_data(stream, body[at : at + 16_000], pad_length=padding)

    def trailers(self, stream: int, status: str, text: str = "") -> None:
        self.server.send_headers(
            stream, [("grpc-status", status), ("grpc-message", text)], end_stream=True
        )


def grpc_message(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def scene(play: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(_whole(play), 20))


async def _whole(play: Callable[[], Awaitable[None]]) -> None:
    await play()
