"""HTTP/2 by hand: what a client's windows have no room for waits."""

from __future__ import annotations

from typing import Any, cast

import hpack

from streamer.simulator.lnrpc.http2 import Call, Connection
from streamer.words.http2 import (
    DATA,
    HEAD,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PREFACE,
    SETTINGS,
    WINDOW_UPDATE,
)

WINDOW, MESSAGE = 120, bytes(range(100))


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1)

    def sent(self) -> list[tuple[int, int]]:
        """Kind and length of each frame so far."""
        frames, position = [], 0
        while position < len(self.written):
            high, low, kind, _, _ = HEAD.unpack_from(self.written, position)
            frames.append((kind, high << 8 | low))
            position += HEAD.size + (high << 8 | low)
        return frames


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return HEAD.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def test_messages_wait_for_the_streams_window_and_keep_their_order() -> None:
    calls: list[tuple[Call, bytes]] = []
    connection, wire = Connection(lambda call, body: calls.append((call, body)), set()), Wire()
    connection.transport = cast(Any, wire)
    headers = hpack.Encoder().encode([(":path", "/a/b"), ("macaroon", "00")])
    said = (
        PREFACE
        + frame(SETTINGS, 0, 0, INITIAL_WINDOW_SIZE.to_bytes(2) + WINDOW.to_bytes(4))
        + frame(HEADERS, 4, 1, headers)
    )
    for byte in said + frame(DATA, 1, 1, b"\x00\x00\x00\x00\x02hi"):
        connection.data_received(bytes([byte]))
    ((call, body),) = calls
    assert (call.path, call.macaroons, body) == ("/a/b", ["00"], b"hi")
    call.message(MESSAGE)
    call.message(MESSAGE)
    call.end()
    length = len(MESSAGE) + 5
    assert [size for kind, size in wire.sent() if kind == DATA] == [length]
    assert wire.sent()[-1] == (DATA, length)
    connection.data_received(frame(WINDOW_UPDATE, 0, 1, WINDOW.to_bytes(4)))
    assert [kind for kind, _ in wire.sent()][-3:] == [DATA, DATA, HEADERS]
