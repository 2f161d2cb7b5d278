"""The bytes of HTTP/2 that a gRPC client needs: frames, settings, and one header block said again
and again.

RFC 9113 (HTTP/2), RFC 7541 (HPACK) and gRPC's "HTTP2 protocol mapping" are the sources of all
numbers here. Pure: bytes in, bytes out. The request's headers are the same for every call, so that
they are sent in full once and after that as indexes into the peer's table; of the peer we ask for
no table at all, so that a block of its headers can be read, or left unread, by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from hpack import Decoder, HPACKError

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
DEFAULT_TABLE_BYTES = 4_096
MAX_STREAM_ID = 2**31 - 1
OK_BLOCK = b"\x88"
"""`:status: 200` as every server writes it: an index of the static table."""

_STATIC_HEADERS = 61
_ENTRY_OVERHEAD = 32
"""What HPACK adds to the length of name and value for an entry of the table (RFC 7541, 4.1)."""


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


def table_bytes(headers: Sequence[tuple[str, str]]) -> int:
    """What headers take of the peer's table."""
    return sum(len(name) + len(value) + _ENTRY_OVERHEAD for name, value in headers)


def literal(headers: Sequence[tuple[str, str]], remember: bool) -> bytes:
    """headers in full; remember: each enters the peer's table, so that `indexed` can name them."""
    mark = b"\x40" if remember else b"\x10"
    parts = [mark + _string(name) + _string(value) for name, value in headers]
    return b"".join(parts)


def indexed(count: int) -> bytes:
    """The count headers that `literal` made the peer remember, in the same order: the newest has
    the lowest index.
    """
    return b"".join(_integer(_STATIC_HEADERS + number, 7, 0x80) for number in range(count, 0, -1))


def read_headers(block: bytes) -> dict[str, str]:
    """A block of headers that uses no table. ValueError if it is none."""
    decoder = Decoder()
    decoder.max_allowed_table_size = 0
    decoder.header_table_size = 0
    try:
        return {_text(name): _text(value) for name, value in decoder.decode(block, raw=True)}
    except HPACKError as error:
        raise ValueError(f"headers that cannot be read ({error})") from None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _string(text: str) -> bytes:
    value = text.encode()
    return _integer(len(value), 7, 0) + value


def _integer(value: int, bits: int, mark: int) -> bytes:
    most = (1 << bits) - 1
    if value < most:
        return bytes((mark | value,))
    out = [mark | most]
    value -= most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))
