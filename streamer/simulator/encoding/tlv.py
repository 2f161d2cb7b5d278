"""Reads and writes a TLV stream (BOLT 1): the durable form of a payment's records.

The simulator keeps its own reader, so that it does not share a mistake with the adapter it tests.
"""

from __future__ import annotations

_WIDTHS = {0xFD: 2, 0xFE: 4, 0xFF: 8}
"""First byte of a BigSize number → how many bytes follow (BOLT 1)."""


def decode_records(stream: bytes) -> dict[int, bytes]:
    """Type → value; ValueError when the stream ends within a record."""
    records: dict[int, bytes] = {}
    position = 0
    while position < len(stream):
        kind, position = _number(stream, position)
        length, position = _number(stream, position)
        if position + length > len(stream):
            raise ValueError("a record is longer than the stream")
        records[kind] = stream[position : position + length]
        position += length
    return records


def _number(stream: bytes, position: int) -> tuple[int, int]:
    if position >= len(stream):
        raise ValueError("the stream ends within a record")
    first = stream[position]
    width = _WIDTHS.get(first, 0)
    if not width:
        return first, position + 1
    end = position + 1 + width
    if end > len(stream):
        raise ValueError("the stream ends within a number")
    return int.from_bytes(stream[position + 1 : end]), end


def encode_records(records: dict[int, bytes]) -> bytes:
    """A TLV stream of the records, by rising type."""
    return b"".join(
        _write(kind) + _write(len(value)) + value for kind, value in sorted(records.items())
    )


def _write(number: int) -> bytes:
    for first, width in ((0xFD, 2), (0xFE, 4), (0xFF, 8)):
        if number < 1 << 8 * width:
            return number.to_bytes(1) if number < 0xFD else bytes([first]) + number.to_bytes(width)
    raise ValueError(f"{number} does not fit 8 bytes")
