"""One HTTP/2 connection to lnd on which one streaming method is called, many times at once.

The keysend path by itself: grpc.aio spends most of a payment's time on what every call could need
and ours never does (docs/architecture.md has the figures). Here all requests of a turn of the loop
leave in one write, headers are sent once, and an answer costs the caller one wake-up. Everything
else that lnd is asked goes over grpc.aio.

A call ends with what its reader made of a message, or with a Status: nothing here retries, waits
for a reconnect, or judges a payment. What is not written when the connection ends never leaves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast
from urllib.parse import unquote

import grpc

from streamer.nodes import frames
from streamer.words import http2
from streamer.words.http2 import HEAD

MAX_REQUEST_BYTES = http2.DEFAULT_FRAME_BYTES - 5
"""A request is one DATA frame; records must fit into an onion of 1,300 bytes (BOLT 4), and invoices
are shorter.
"""
MAX_MESSAGE_BYTES = 64 << 20
"""An update repeats every attempt with its route; gRPC's own limit is 4 MiB."""
WINDOW_BYTES = 16 << 20
"""What the peer may send ahead, of a call and of all together; given back when half is used."""
MAX_BLOCK_BYTES = 64 << 10
"""Headers of one reply, CONTINUATIONs included."""
HANDSHAKE_SECONDS = 10.0
TICK_SECONDS = 10.0
PING_AFTER_TICKS = 3
LOST_AFTER_TICKS = 4
"""A connection with calls on it that is silent for 30 s is asked, and lost 10 s later; lnd forbids
pings more often than each 5 s.
"""

NOT_SENT = "not sent: the request is larger than a payment can be"


class Status:
    """How a call ended that brought no answer: code() and details(), as grpc's errors have them."""

    __slots__ = ("_code", "_details")

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self._code = code
        self._details = details

    def code(self) -> grpc.StatusCode:
        """gRPC's code; UNAVAILABLE and CANCELLED are the client's own."""
        return self._code

    def details(self) -> str:
        """lnd's text, or ours."""
        return self._details


class Reader(Protocol):
    """What becomes of a call's messages."""

    def take(self, message: bytes) -> Any | None:
        """Look at one message; anything but None is the call's answer. Must not raise."""


class _Call:
    __slots__ = ("answer", "deadline", "reader", "received", "rest")

    def __init__(self, reader: Reader, answer: asyncio.Future[Any], deadline: float) -> None:
        self.reader = reader
        self.answer = answer
        self.deadline = deadline
        self.rest = b""
        self.received = 0


class Wire(asyncio.Protocol):
    """The connection. on_lost is called once, with the reason, when it must not be used any
    more.
    """

    def __init__(
        self,
        method: str,
        authority: str,
        metadata: Sequence[tuple[str, str]],
        on_lost: Callable[[str], None],
    ) -> None:
        self.lost = ""
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._headers = (
            (":method", "POST"),
            (":scheme", "https"),
            (":path", method),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "streamer"),
            *metadata,
        )
        self._transport: asyncio.Transport | None = None
        self._block = b""
        self._remember = False
        self._calls: dict[int, _Call] = {}
        self._waiting: deque[tuple[_Call, bytes]] = deque()
        self._next_id = 1
        self._out: list[bytes] = []
        self._rest = b""
        self._partial: tuple[int, int, bytes] | None = None
        self._window = http2.DEFAULT_WINDOW_BYTES
        self._max_calls = http2.MAX_STREAM_ID
        self._received = 0
        self._silent_ticks = 0
        self._tick: asyncio.TimerHandle | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._sweep_at = float("inf")

    # -- for the caller -----------------------------------------------------------------------

    def start(self, request: bytes, reader: Reader, patience_seconds: float) -> asyncio.Future[Any]:
        """Call the method now. The future's result is the reader's answer, or a Status; it never
        raises.

        Cancelling the future cancels the call at the peer (RST_STREAM) when it is noticed; what was
        sent may be executed all the same.
        """
        answer = self._loop.create_future()
        if self.lost:
            answer.set_result(Status(grpc.StatusCode.UNAVAILABLE, self.lost))
            return answer
        if len(request) > MAX_REQUEST_BYTES:
            answer.set_result(Status(grpc.StatusCode.INVALID_ARGUMENT, NOT_SENT))
            return answer
        deadline = self._loop.time() + patience_seconds
        call = _Call(reader, answer, deadline)
        if deadline < self._sweep_at:
            self._sweep_from(deadline)
        if self._waiting or len(self._calls) >= self._max_calls or self._window < len(request) + 5:
            self._waiting.append((call, request))
        else:
            self._send(call, request)
        return answer

    def close(self, why: str = "closed") -> None:
        """End the connection at once: calls end with UNAVAILABLE, and what is not yet written never
        leaves.
        """
        self._lose(why)

    # -- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet: our settings, and a wide window."""
        self._transport = cast(asyncio.Transport, transport)
        own = (
            (http2.HEADER_TABLE_SIZE, 0),
            (http2.ENABLE_PUSH, 0),
            (http2.INITIAL_WINDOW_SIZE, WINDOW_BYTES),
        )
        credit = http2.window_update(0, WINDOW_BYTES - http2.DEFAULT_WINDOW_BYTES)
        self._write(http2.PREFACE + http2.settings(own) + credit)
        self._tick = self._loop.call_later(TICK_SECONDS, self._listen)

    def connection_lost(self, problem: Exception | None) -> None:
        """The peer, or the way to it, is gone."""
        self._lose(f"Socket closed ({problem})" if problem else "Socket closed")

    def data_received(self, data: bytes) -> None:
        """Frames, as many as there are; a torn one waits for its rest."""
        self._silent_ticks = 0
        if self._rest:
            data = self._rest + data
        at, size = 0, len(data)
        while size - at >= HEAD.size:
            high, low, kind, flags, stream = HEAD.unpack_from(data, at)
            length = high << 8 | low
            start = at + HEAD.size
            at = start + length
            if length > http2.DEFAULT_FRAME_BYTES:
                self._lose(
                    f"a frame of {length} bytes came, and {http2.DEFAULT_FRAME_BYTES} are allowed"
                )
                return
            if at > size:
                at = start - HEAD.size
                break
            try:
                self._frame(kind, flags, stream & 0x7FFFFFFF, data[start:at])
            except ValueError as error:
                self._lose(f"not HTTP/2 as it should be: {error}")
            if self.lost:
                return
        self._rest = data[at:]

    # -- frames in ----------------------------------------------------------------------------

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == http2.DATA:
            self._data(flags, stream, payload)
        elif kind == http2.HEADERS:
            self._headers_in(
                flags,
                stream,
                http2.unpadded(flags, payload)
                if flags & (http2.PADDED | http2.WITH_PRIORITY)
                else payload,
            )
        elif kind == http2.CONTINUATION:
            self._continued(flags, stream, payload)
        elif kind == http2.WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
            self._send_waiting()
        elif kind == http2.SETTINGS and not flags & http2.ACK:
            self._settings(http2.read_settings(payload))
        elif kind == http2.PING and not flags & http2.ACK:
            self._write(http2.frame(http2.PING, http2.ACK, 0, payload))
        elif kind == http2.RST_STREAM:
            # no answer of lnd's, whatever the error code: it may be paying, so this is a lost
            # reply, and never a refusal
            self._end(
                stream,
                Status(
                    grpc.StatusCode.UNAVAILABLE,
                    f"RST_STREAM with error code {int.from_bytes(payload, 'big')}",
                ),
            )
        elif kind == http2.GOAWAY:
            self._lose("lnd is closing the connection (GOAWAY)")
        elif kind == http2.PUSH_PROMISE:
            raise ValueError("a PUSH_PROMISE came, and push is off")

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        size = len(payload)
        self._received += size
        # counted for calls that have ended, too: their updates use up the connection's window, and
        # when that is empty no call hears anything more
        if self._received >= WINDOW_BYTES // 2:
            self._write(http2.window_update(0, self._received))
            self._received = 0
        call = self._calls.get(stream)
        if call is None:
            return
        call.received += size
        if call.received >= WINDOW_BYTES // 2:
            self._write(http2.window_update(stream, call.received))
            call.received = 0
        if flags & http2.PADDED:
            payload = http2.unpadded(http2.PADDED, payload)
        self._messages(stream, call, call.rest + payload if call.rest else payload)
        if flags & http2.END_STREAM:
            self._end(
                stream,
                Status(grpc.StatusCode.UNAVAILABLE, "Stream removed: it ended without a status"),
            )

    def _messages(self, stream: int, call: _Call, data: bytes) -> None:
        at, size = 0, len(data)
        while size - at >= 5:
            length = int.from_bytes(data[at + 1 : at + 5], "big")
            if data[at] or length > MAX_MESSAGE_BYTES:
                self._reset(
                    stream,
                    Status(
                        grpc.StatusCode.INTERNAL,
                        f"RST_STREAM: a message of {length} bytes or compressed came",
                    ),
                )
                return
            if size - at - 5 < length:
                break
            at += 5 + length
            if not call.answer.done():
                answer = call.reader.take(data[at - length : at])
                if answer is not None:
                    call.answer.set_result(answer)
        call.rest = data[at:]

    def _headers_in(self, flags: int, stream: int, block: bytes) -> None:
        if not flags & http2.END_HEADERS:
            self._partial = (flags, stream, block)
        elif flags & http2.END_STREAM:
            self._trailers(stream, block)
        # a block can stay unread because we gave the peer no table: none changes what a later one
        # means
        elif block[:1] != frames.OK_BLOCK:
            self._status_line(stream, block)

    def _continued(self, flags: int, stream: int, payload: bytes) -> None:
        if (
            self._partial is None
            or self._partial[1] != stream
            or len(self._partial[2]) + len(payload) > MAX_BLOCK_BYTES
        ):
            raise ValueError("a CONTINUATION came out of place, or too many of them")
        first, _, block = self._partial
        self._partial = (first, stream, block + payload)
        if flags & http2.END_HEADERS:
            self._partial = None
            self._headers_in(first | http2.END_HEADERS, stream, block + payload)

    def _status_line(self, stream: int, block: bytes) -> None:
        status = frames.read_headers(block).get(":status", "200")
        if status != "200":
            self._reset(
                stream,
                Status(grpc.StatusCode.UNAVAILABLE, f"Received http2 header with status: {status}"),
            )

    def _trailers(self, stream: int, block: bytes) -> None:
        call = self._calls.get(stream)
        if call is None or call.answer.done():
            self._end(stream, None)
            return
        headers = frames.read_headers(block)
        if headers.get(":status", "200") != "200":
            text = f"Received http2 header with status: {headers[':status']}"
            self._end(stream, Status(grpc.StatusCode.UNAVAILABLE, text))
            return
        code = _CODES.get(headers.get("grpc-status", ""), grpc.StatusCode.UNKNOWN)
        self._end(stream, Status(code, unquote(headers.get("grpc-message", ""))))

    def _settings(self, peer: dict[int, int]) -> None:
        # only the connection's window is counted here: a call's own must hold its one frame,
        # whatever its size
        if (
            peer.get(http2.INITIAL_WINDOW_SIZE, http2.DEFAULT_WINDOW_BYTES)
            < http2.DEFAULT_FRAME_BYTES
        ):
            raise ValueError("its window is smaller than a request")
        self._max_calls = peer.get(http2.MAX_CONCURRENT_STREAMS, self._max_calls)
        remember = peer.get(
            http2.HEADER_TABLE_SIZE, http2.DEFAULT_TABLE_BYTES
        ) >= frames.table_bytes(self._headers)
        self._write(http2.frame(http2.SETTINGS, http2.ACK, 0, b""))
        if not self.greeted.done():
            self._block = frames.literal(self._headers, remember)
            if len(self._block) > http2.DEFAULT_FRAME_BYTES:
                raise ValueError("the macaroon is too large")
            self.greeted.set_result(None)
            self._remember = remember
        elif not remember:
            self._block = frames.literal(self._headers, False)
            self._remember = False
        self._send_waiting()

    # -- frames out ---------------------------------------------------------------------------

    def _send(self, call: _Call, request: bytes) -> None:
        stream = self._next_id
        if stream > http2.MAX_STREAM_ID:
            self._lose("all stream ids of this connection are used up")
            return
        self._next_id = stream + 2
        self._calls[stream] = call
        size = len(request) + 5
        self._window -= size
        block = self._block
        if self._remember:
            self._remember = False
            self._block = frames.indexed(len(self._headers))
        self._write(
            b"%b%b%b\0%b%b"
            % (
                HEAD.pack(
                    len(block) >> 8, len(block) & 0xFF, http2.HEADERS, http2.END_HEADERS, stream
                ),
                block,
                HEAD.pack(size >> 8, size & 0xFF, http2.DATA, http2.END_STREAM, stream),
                (size - 5).to_bytes(4, "big"),
                request,
            )
        )

    def _send_waiting(self) -> None:
        while (
            self._waiting
            and len(self._calls) < self._max_calls
            and self._window >= len(self._waiting[0][1]) + 5
        ):
            call, request = self._waiting.popleft()
            # given up while it waited: sent now it would be paid, and nobody would hear of it
            if not call.answer.done():
                self._send(call, request)

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        if self._transport is not None and not self.lost:
            self._transport.write(b"".join(self._out))
        self._out.clear()

    # -- ends ---------------------------------------------------------------------------------

    def _end(self, stream: int, status: Status | None) -> None:
        call = self._calls.pop(stream, None)
        if call is not None and status is not None and not call.answer.done():
            call.answer.set_result(status)
        if self._waiting:
            self._send_waiting()

    def _reset(self, stream: int, status: Status) -> None:
        self._write(http2.frame(http2.RST_STREAM, 0, stream, http2.CANCEL.to_bytes(4, "big")))
        self._end(stream, status)

    def _sweep_from(self, deadline: float) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        self._sweep_at = deadline
        self._sweep = self._loop.call_at(deadline, self._sweep_now)

    def _sweep_now(self) -> None:
        now = self._loop.time()
        late = Status(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        for stream in [
            stream
            for stream, call in self._calls.items()
            if call.deadline <= now or call.answer.cancelled()
        ]:
            self._reset(stream, late)
        for call, _ in self._waiting:
            if call.deadline <= now and not call.answer.done():
                call.answer.set_result(late)
        left = [call.deadline for call in self._calls.values()] + [
            call.deadline for call, _ in self._waiting if not call.answer.done()
        ]
        self._sweep_at = float("inf")
        if left and not self.lost:
            self._sweep_from(min(left))

    def _listen(self) -> None:
        self._silent_ticks = self._silent_ticks + 1 if self._calls else 0
        if self._silent_ticks >= LOST_AFTER_TICKS:
            self._lose("keepalive: lnd has not answered a ping")
        elif self._silent_ticks == PING_AFTER_TICKS:
            self._write(http2.frame(http2.PING, 0, 0, bytes(8)))
        if not self.lost:
            self._tick = self._loop.call_later(TICK_SECONDS, self._listen)

    def _lose(self, why: str) -> None:
        if self.lost:
            return
        self.lost = why or "closed"
        for timer in (self._tick, self._sweep):
            if timer is not None:
                timer.cancel()
        if self._transport is not None:
            # close would still write what lies in the buffer: calls whose callers are told in this
            # moment that they are lost
            self._transport.abort()
        ended = Status(grpc.StatusCode.UNAVAILABLE, self.lost)
        for call in [*self._calls.values(), *(call for call, _ in self._waiting)]:
            if not call.answer.done():
                call.answer.set_result(ended)
        self._calls.clear()
        self._waiting.clear()
        if not self.greeted.done():
            self.greeted.set_result(None)
        self._on_lost(self.lost)


_CODES = {str(code.value[0]): code for code in grpc.StatusCode}
