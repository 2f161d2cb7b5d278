"""One header block of a gRPC client, said again and again.

RFC 7541 (HPACK) and gRPC's "HTTP2 protocol mapping" are the sources of all numbers here. Pure:
bytes in, bytes out. The request's headers are the same for every call, so that they are sent in
full once and after that as indexes into the peer's table; of the peer we ask for no table at all,
so that a block of its headers can be read, or left unread, by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from hpack import Decoder, HPACKError

from streamer.words.http2 import integer, string

OK_BLOCK = b"\x88"
"""`:status: 200` as every server writes it: an index of the static table."""

_STATIC_HEADERS = 61
_ENTRY_OVERHEAD = 32
"""What HPACK adds to the length of name and value for an entry of the table (RFC 7541, 4.1)."""


def table_bytes(headers: Sequence[tuple[str, str]]) -> int:
    """What headers take of the peer's table."""
    return sum(len(name) + len(value) + _ENTRY_OVERHEAD for name, value in headers)


def literal(headers: Sequence[tuple[str, str]], remember: bool) -> bytes:
    """headers in full; remember: each enters the peer's table, so that `indexed` can name them."""
    mark = b"\x40" if remember else b"\x10"
    parts = [mark + string(name) + string(value) for name, value in headers]
    return b"".join(parts)


def indexed(count: int) -> bytes:
    """The count headers that `literal` made the peer remember, in the same order: the newest has
    the lowest index.
    """
    return b"".join(integer(_STATIC_HEADERS + number, 7, 0x80) for number in range(count, 0, -1))


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
