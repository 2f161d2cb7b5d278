"""The bytes of HTTP/2 that both ends of a gRPC call need: numbers, frames, and the text of HPACK.

RFC 9113 (HTTP/2) and RFC 7541 (HPACK) are the sources of all numbers here. Pure: bytes in, bytes
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = Struct(">HBBBL")
"""Of a frame: length in two parts (16 and 8 bits), kind, flags, stream id (31 bits)."""

(
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION,
) = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(
    1, 6
)
CANCEL = 0x8

DEFAULT_WINDOW_BYTES = 65_535
DEFAULT_FRAME_BYTES = 16_384
"""Longest frame that either side sends before it is told that more is welcome (RFC 9113, 6.5.2)."""
DEFAULT_TABLE_BYTES = 4_096
MAX_STREAM_ID = 2**31 - 1


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame. OverflowError if payload is longer than a frame can say."""
    return (len(payload) << 48 | kind << 40 | flags << 32 | stream).to_bytes(
        HEAD.size, "big"
    ) + payload


def settings(values: Sequence[tuple[int, int]]) -> bytes:
    """A SETTINGS frame."""
    return frame(
        SETTINGS,
        0,
        0,
        b"".join(kind.to_bytes(2, "big") + value.to_bytes(4, "big") for kind, value in values),
    )


def read_settings(payload: bytes) -> dict[int, int]:
    """The settings of a frame, the last of each kind. ValueError if it is torn."""
    if len(payload) % 6:
        raise ValueError("a SETTINGS frame of the wrong length")
    return {
        int.from_bytes(payload[at : at + 2], "big"): int.from_bytes(payload[at + 2 : at + 6], "big")
        for at in range(0, len(payload), 6)
    }


def window_update(stream: int, size: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big"))


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of DATA or HEADERS without padding and priority. ValueError if it is torn."""
    end = len(payload)
    start = 0
    if flags & PADDED:
        start, end = 1, end - (payload[0] if payload else 1)
    if flags & WITH_PRIORITY:
        start += 5
    if start > end:
        raise ValueError("a frame that is shorter than its padding")
    return payload[start:end]


def string(text: str) -> bytes:
    """A text of HPACK, not compressed."""
    value = text.encode()
    return integer(len(value), 7, 0) + value


def integer(value: int, bits: int, mark: int) -> bytes:
    """An integer of HPACK, in the last bits of its first byte, beside mark (RFC 7541, 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((mark | value,))
    out = [mark | most]
    value -= most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))
