"""As much of an HTTP/2 server as gRPC needs: the simulator's fast mode, three times as quick as
grpc.aio.

RFC 9113 (HTTP/2), RFC 7541 (HPACK) and gRPC's "HTTP2 protocol mapping" are the sources of all
numbers. Left out: compression, priorities, a limit to pings. What a client says wrong closes its
connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from urllib.parse import quote

import hpack

from streamer.words.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_BYTES,
    DEFAULT_WINDOW_BYTES,
    END_HEADERS,
    END_STREAM,
    HEAD,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    read_settings,
    string,
    unpadded,
)

MAX_WINDOW = 2**31 - 1
MAX_STREAMS = 10_000
MAX_REQUEST_BYTES = 4 * 1024 * 1024
"""Longest request, as grpc's own default; and the window of each stream, so that it needs no
refill.
"""

REFILL_BYTES = 1 << 20
"""After so much the window of the connection is opened again."""

MAX_HEADER_BYTES = 64 * 1024
MAX_KNOWN_BLOCKS = 256
_PREFIX_BYTES = 5


class ProtocolError(Exception):
    """The client does not speak HTTP/2 as it must."""


class Call:
    """One call on a connection: what was asked, and the answer as it is given."""

    __slots__ = (
        "_connection",
        "_pending",
        "_started",
        "_stream",
        "_trailers",
        "body",
        "done",
        "macaroons",
        "on_cancel",
        "path",
        "window",
    )

    def __init__(
        self, connection: Connection, stream: int, path: str, macaroons: list[str], window: int
    ) -> None:
        self.path, self.macaroons = path, macaroons
        self.body = bytearray()
        self.window = window
        self.done = False
        self.on_cancel: Callable[[], object] | None = None
        self._connection, self._stream = connection, stream
        self._started = False
        self._trailers = b""
        self._pending: deque[bytes] = deque()

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._connection.peer

    def message(self, content: bytes) -> None:
        """Send one message."""
        if self.done:
            return
        if not self._started:
            self._started = True
            self._connection.put(HEADERS, END_HEADERS, self._stream, ANSWER_HEADERS)
        data = b"\x00" + len(content).to_bytes(4) + content
        self._pending.extend(
            data[start : start + DEFAULT_FRAME_BYTES]
            for start in range(0, len(data), DEFAULT_FRAME_BYTES)
        )
        self.flush()

    def end(self, code: int = 0, text: str = "") -> None:
        """Send the status and close the stream."""
        if self.done:
            return
        self.done = True
        trailers = (
            OK_TRAILERS
            if not code
            else _literal("grpc-status", str(code))
            + _literal("grpc-message", quote(text, safe=SAFE))
        )
        self._pending.append(b"")
        self._trailers = trailers if self._started else ANSWER_HEADERS + trailers
        self.flush()

    def flush(self) -> None:
        """Send what the client's windows have room for."""
        connection, pending = self._connection, self._pending
        while pending:
            size = len(pending[0])
            if not size:
                connection.put(HEADERS, END_HEADERS | END_STREAM, self._stream, self._trailers)
                pending.popleft()
                connection.forget(self._stream)
            elif size <= min(self.window, connection.window):
                connection.put(DATA, 0, self._stream, pending.popleft())
                self.window -= size
                connection.window -= size
            else:
                return
        connection.flush()

    def cancel(self) -> None:
        """The client is gone."""
        self.done = True
        self._pending.clear()
        if self.on_cancel is not None:
            self.on_cancel()
            self.on_cancel = None


class Connection(asyncio.Protocol):
    """One client; `begin` is called with each call once its request is whole."""

    def __init__(
        self, begin: Callable[[Call, bytes], object], connections: set[Connection]
    ) -> None:
        self.window = DEFAULT_WINDOW_BYTES
        self.transport: asyncio.Transport | None = None
        self.peer = ""
        self._begin = begin
        self._connections = connections
        self._calls: dict[int, Call] = {}
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._greeted = False
        self._reading = False
        self._stream_window = DEFAULT_WINDOW_BYTES
        self._consumed = 0
        self._decoder = hpack.Decoder()
        self._known: dict[bytes, tuple[str, list[str]]] = {}
        self._block: tuple[int, int, bytearray] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what the client may send."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.peer = str(transport.get_extra_info("peername")[0])
        self._connections.add(self)
        limits = ((MAX_CONCURRENT_STREAMS, MAX_STREAMS), (INITIAL_WINDOW_SIZE, MAX_REQUEST_BYTES))
        self.put(
            SETTINGS, 0, 0, b"".join(kind.to_bytes(2) + value.to_bytes(4) for kind, value in limits)
        )
        self.put(WINDOW_UPDATE, 0, 0, (MAX_WINDOW - DEFAULT_WINDOW_BYTES).to_bytes(4))
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """All calls of the client are canceled."""
        self._connections.discard(self)
        self.transport = None
        for call in list(self._calls.values()):
            call.cancel()
        self._calls.clear()

    def data_received(self, data: bytes) -> None:
        """Read whole frames, and send all answers to them at once."""
        self._buffer += data
        self._reading = True
        try:
            self._read()
        except (ProtocolError, hpack.HPACKError):
            if self.transport is not None:
                self.transport.abort()
        finally:
            self._reading = False
            self.flush()

    def put(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Keep a frame until `flush`."""
        size = len(payload)
        self._out.append(HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload)

    def flush(self) -> None:
        """Send what was put, unless more is about to come."""
        if self._out and not self._reading:
            if self.transport is not None:
                self.transport.write(b"".join(self._out))
            self._out.clear()

    def forget(self, stream: int) -> None:
        """The call of a stream has ended."""
        self._calls.pop(stream, None)

    def _read(self) -> None:
        buffer, position = self._buffer, 0
        if not self._greeted:
            if len(buffer) < len(PREFACE):
                return
            if not buffer.startswith(PREFACE):
                raise ProtocolError("no preface")
            self._greeted, position = True, len(PREFACE)
        while len(buffer) - position >= HEAD.size:
            high, low, kind, flags, stream = HEAD.unpack_from(buffer, position)
            size = high << 8 | low
            if size > DEFAULT_FRAME_BYTES:
                raise ProtocolError("a frame that is too long")
            end = position + HEAD.size + size
            if end > len(buffer):
                break
            self._frame(kind, flags, stream & MAX_WINDOW, bytes(buffer[position + HEAD.size : end]))
            position = end
        del buffer[:position]

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None and kind != CONTINUATION:
            raise ProtocolError("headers that do not end")
        if kind == HEADERS:
            self._headers(flags, stream, _content(flags, payload))
        elif kind == DATA:
            self._data(flags, stream, payload)
        elif kind == CONTINUATION:
            self._continue(flags, stream, payload)
        elif kind == SETTINGS and not flags & ACK:
            self._settings(payload)
        elif kind == WINDOW_UPDATE:
            self._opened(stream, int.from_bytes(payload) & MAX_WINDOW)
        elif kind == PING and not flags & ACK:
            self.put(PING, ACK, 0, payload)
        elif kind == RST_STREAM:
            call = self._calls.pop(stream, None)
            if call is not None:
                call.cancel()

    def _headers(self, flags: int, stream: int, block: bytes) -> None:
        if flags & END_HEADERS:
            self._open(flags, stream, block)
        else:
            self._block = (flags, stream, bytearray(block))

    def _continue(self, flags: int, stream: int, payload: bytes) -> None:
        if (
            self._block is None
            or self._block[1] != stream
            or len(self._block[2]) > MAX_HEADER_BYTES
        ):
            raise ProtocolError("a continuation of nothing")
        self._block[2].extend(payload)
        if flags & END_HEADERS:
            first, _, block = self._block
            self._block = None
            self._open(first, stream, bytes(block))

    def _open(self, flags: int, stream: int, block: bytes) -> None:
        path, macaroons = self._decoded(block)
        if stream in self._calls:
            raise ProtocolError("a stream that is open already")
        call = self._calls[stream] = Call(self, stream, path, macaroons, self._stream_window)
        if flags & END_STREAM:
            self._begin(call, b"")

    def _decoded(self, block: bytes) -> tuple[str, list[str]]:
        """Path and macaroons; a block of nothing but indexes means the same until the table
        changes.
        """
        known = self._known.get(block)
        if known is not None:
            return known
        path, macaroons = "", []
        for name, value in self._decoder.decode(block, raw=True):
            if name == b":path":
                path = value.decode("ascii", "replace")
            elif name == b"macaroon":
                macaroons.append(value.decode("ascii", "replace"))
        if min(block, default=0) < _INDEXED or len(self._known) >= MAX_KNOWN_BLOCKS:
            self._known.clear()
        else:
            self._known[block] = (path, macaroons)
        return path, macaroons

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        self._consumed += len(payload)
        if self._consumed > REFILL_BYTES:
            self.put(WINDOW_UPDATE, 0, 0, self._consumed.to_bytes(4))
            self._consumed = 0
        call = self._calls.get(stream)
        if call is None:
            return
        call.body += _content(flags & ~WITH_PRIORITY, payload)
        if len(call.body) > MAX_REQUEST_BYTES:
            raise ProtocolError("a request that is too long")
        if flags & END_STREAM:
            body = bytes(call.body)
            if (
                len(body) < _PREFIX_BYTES
                or body[0]
                or int.from_bytes(body[1:_PREFIX_BYTES]) != len(body) - _PREFIX_BYTES
            ):
                raise ProtocolError("not one message without compression")
            self._begin(call, body[_PREFIX_BYTES:])

    def _settings(self, payload: bytes) -> None:
        try:
            value = read_settings(payload).get(INITIAL_WINDOW_SIZE)
        except ValueError as error:
            raise ProtocolError(str(error)) from None
        if value is not None:
            for call in self._calls.values():
                call.window += value - self._stream_window
            self._stream_window = value
        self.put(SETTINGS, ACK, 0, b"")
        self._flush_calls()

    def _opened(self, stream: int, size: int) -> None:
        if not stream:
            self.window += size
            self._flush_calls()
        elif stream in self._calls:
            self._calls[stream].window += size
            self._calls[stream].flush()

    def _flush_calls(self) -> None:
        for call in list(self._calls.values()):
            call.flush()


def _content(flags: int, payload: bytes) -> bytes:
    try:
        return unpadded(flags, payload)
    except ValueError as error:
        raise ProtocolError(str(error)) from None


def _literal(name: str, value: str) -> bytes:
    """One header in full, which enters no table."""
    return b"\x00" + string(name) + string(value)


_INDEXED = 0x80
SAFE = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""What gRPC leaves as it is in grpc-message: printable ASCII but the percent sign."""
ANSWER_HEADERS = b"\x88" + _literal("content-type", "application/grpc")
"""`:status: 200`, which has a place in HPACK's static table, and gRPC's content type."""
OK_TRAILERS = _literal("grpc-status", "0") + _literal("grpc-message", "")
