"""What a keysend of ours is made of: preimage, hash, and the custom records that say what it is.

Pure bytes, no wire: the planner calls this for each payment, the adapter when it sends, recovery
and the payee's side when they read. Nothing here decides anything, and nothing here is random:
the same secret, owner and seq give the same hash for ever, which is what makes the node itself
refuse a second payment (money rule 2).

Records are kept and sent as a BOLT 1 TLV stream (types ascending, BigSize type and length). The
stream record, type 1937011309, holds a TLV stream of its own; its integers are BOLT 1's truncated
`tu64` (big-endian without leading zeros, 0 is empty):

| type | field | unit |
|---|---|---|
| 1 | token: whose stream it is, as the payee gave it out, else derived | bytes |
| 3 | seq: number of the payment within the stream, from 1 (gaps are legal) | |
| 5 | amount of this payment | msat |
| 7 | settled by lower seqs, as known when this payment was planned: a lower bound | msat |
| 9 | rate: amount per interval | msat |
| 11 | rate: the interval | ns |
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from streamer.words.model import Rate

PREIMAGE_TYPE = 5482373484
"""The record that carries the preimage of a keysend (lnd: record.KeySendType)."""

STREAM_TYPE = 1937011309
"""The record of a stream: "strm" read as a big-endian number; odd, so others may ignore it."""

TOKEN_BYTES = 16
SECRET_BYTES = 32

_SIZES = tuple(bytes((size,)) for size in range(9))
_BLOCK_BYTES = 64
_STREAM_HEAD = b"\xfe" + STREAM_TYPE.to_bytes(4, "big")
_STREAM_VALUE = len(_STREAM_HEAD) + 1  # where its value begins, after a length of one byte
_PREIMAGE_LABEL = b"streamer/preimage/v1"
_TOKEN_LABEL = b"streamer/token/v1"
_TOKEN, _SEQ, _AMOUNT, _SETTLED, _RATE_AMOUNT, _RATE_INTERVAL = 1, 3, 5, 7, 9, 11


@dataclass(slots=True, frozen=True)
class StreamRecord:
    """The fields of the stream record; amounts in msat, the rate's interval in ns."""

    token: bytes
    seq: int
    amount_msat: int
    settled_msat: int
    rate_amount_msat: int
    rate_interval_ns: int


def derive_preimage(secret: bytes, owner: str, seq: int) -> bytes:
    """The 32-byte preimage of a payment: HMAC-SHA256(secret, label ‖ 16-byte id ‖ 8-byte seq).

    owner is "st_" or "pay_" and 32 hex digits; seq is 0 for a single payment. ValueError if owner
    is anything else; OverflowError if seq does not fit into 8 bytes.
    """
    return hmac.digest(secret, _PREIMAGE_LABEL + id_bytes(owner) + seq.to_bytes(8, "big"), "sha256")


def preimages(secret: bytes) -> Callable[[bytes, int], bytes]:
    """derive_preimage of one secret, by id_bytes: HMAC's keyed blocks are absorbed once (RFC
    2104).
    """
    block = (
        secret.ljust(_BLOCK_BYTES, b"\0")
        if len(secret) <= _BLOCK_BYTES
        else hashlib.sha256(secret).digest().ljust(_BLOCK_BYTES, b"\0")
    )
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + _PREIMAGE_LABEL)
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def derive(owner: bytes, seq: int) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(owner + seq.to_bytes(8, "big"))
        second.update(first.digest())
        return second.digest()

    return derive


def payment_hash(preimage: bytes) -> bytes:
    """SHA-256 of the preimage: the hash by which the node knows the payment."""
    return hashlib.sha256(preimage).digest()


def derive_token(secret: bytes, owner: str) -> bytes:
    """The 16-byte token of a stream whose payee gave none: stable, and tells nothing about
    secret.
    """
    return hmac.digest(secret, _TOKEN_LABEL + id_bytes(owner), "sha256")[:TOKEN_BYTES]


def encode_stream_record(
    token: bytes, seq: int, amount_msat: int, settled_msat: int, rate: Rate
) -> bytes:
    """The value of the stream record (see the table on top).

    settled_msat: what lower seqs have settled. OverflowError for a number outside 0 to 2⁶⁴ − 1.
    """
    return b"".join(
        (
            b"\x01",
            _bigsize(len(token)),
            token,
            b"\x03",
            _sized_tu64(seq),
            b"\x05",
            _sized_tu64(amount_msat),
            b"\x07",
            _sized_tu64(settled_msat),
            b"\x09",
            _sized_tu64(rate.amount_msat),
            b"\x0b",
            _sized_tu64(rate.interval_ns),
        )
    )


class StreamRecordFrame:
    """The stream record of one stream and rate: what never changes of it is encoded once."""

    __slots__ = ("_after", "_before")

    def __init__(self, token: bytes, rate: Rate) -> None:
        self._before = b"\x01" + _bigsize(len(token)) + token + b"\x03"
        self._after = (
            b"\x09" + _sized_tu64(rate.amount_msat) + b"\x0b" + _sized_tu64(rate.interval_ns)
        )

    def encode(self, seq: int, amount_msat: int, settled_msat: int) -> bytes:
        """As encode_stream_record."""
        return b"%b%b\x05%b\x07%b%b" % (
            self._before,
            _sized_tu64(seq),
            _sized_tu64(amount_msat),
            _sized_tu64(settled_msat),
            self._after,
        )

    @staticmethod
    def alone(record: bytes) -> bytes:
        """As encode_records, of this record and no other."""
        return _STREAM_HEAD + _bigsize(len(record)) + record


def decode_stream_record(value: bytes) -> StreamRecord:
    """Read the value of a stream record; odd types that we do not know are skipped.

    ValueError if a field is missing, an integer is not minimal, or an unknown type is even.
    """
    fields = decode_records(value)
    known = (_TOKEN, _SEQ, _AMOUNT, _SETTLED, _RATE_AMOUNT, _RATE_INTERVAL)
    if strange := [kind for kind in fields if kind not in known and kind % 2 == 0]:
        raise ValueError(f"stream record has the even type {strange[0]}, which is not known here")
    if missing := [kind for kind in known if kind not in fields]:
        raise ValueError(f"stream record lacks the type {missing[0]}")
    return StreamRecord(fields[_TOKEN], *(_read_tu64(fields[kind]) for kind in known[1:]))


def encode_records(records: Iterable[tuple[int, bytes]]) -> bytes:
    """Records as one TLV stream, sorted by type: the durable form, `Payment.records`.

    ValueError if a type comes twice, or if the preimage is among them: it is never stored.
    """
    ordered = sorted(records)
    parts: list[bytes] = []
    before = -1
    for kind, value in ordered:
        if kind == before:
            raise ValueError(f"record type {kind} comes twice")
        if kind == PREIMAGE_TYPE:
            raise ValueError("the preimage is not a record to keep")
        before = kind
        parts += (_bigsize(kind), _bigsize(len(value)), value)
    return b"".join(parts)


def decode_records(stream: bytes) -> dict[int, bytes]:
    """Read a TLV stream. ValueError if it is torn, not minimal, or its types do not ascend."""
    # one short stream record, as of nearly every payment: read at each send, so without the loop
    if stream.startswith(_STREAM_HEAD) and len(stream) > _STREAM_VALUE:
        length = stream[_STREAM_VALUE - 1]
        if length < 0xFD and len(stream) == _STREAM_VALUE + length:
            return {STREAM_TYPE: stream[_STREAM_VALUE:]}
    records: dict[int, bytes] = {}
    position, end, before = 0, len(stream), -1
    while position < end:
        kind, position = _read_bigsize(stream, position)
        length, position = _read_bigsize(stream, position)
        if kind <= before:
            raise ValueError(f"record type {kind} comes after type {before}")
        if position + length > end:
            raise ValueError(f"record type {kind} ends before its length of {length} bytes")
        records[kind] = stream[position : position + length]
        position += length
        before = kind
    return records


def without_preimage(records: Mapping[int, bytes]) -> dict[int, bytes]:
    """The records that may be kept and shown: all but the preimage."""
    return {kind: value for kind, value in records.items() if kind != PREIMAGE_TYPE}


def id_bytes(owner: str) -> bytes:
    """The 16 bytes of "st_…" or "pay_…". ValueError if owner is anything else."""
    kind, _, digits = owner.partition("_")
    if kind not in ("st", "pay") or len(digits) != 32:
        raise ValueError(f"{owner!r} is no id of a stream or a payment")
    return bytes.fromhex(digits)


def _sized_tu64(number: int) -> bytes:
    if number >> 64:
        raise OverflowError(f"{number} does not fit into a tu64")
    size = (number.bit_length() + 7) >> 3
    return _SIZES[size] + number.to_bytes(size, "big")


def _read_tu64(value: bytes) -> int:
    if len(value) > 8 or value[:1] == b"\x00":
        raise ValueError(f"integer of {len(value)} bytes is not a minimal tu64")
    return int.from_bytes(value, "big")


def _bigsize(number: int) -> bytes:
    if number < 0xFD:
        return number.to_bytes(1, "big")
    if number <= 0xFFFF:
        return b"\xfd" + number.to_bytes(2, "big")
    if number <= 0xFFFF_FFFF:
        return b"\xfe" + number.to_bytes(4, "big")
    return b"\xff" + number.to_bytes(8, "big")


def _read_bigsize(stream: bytes, position: int) -> tuple[int, int]:
    first = stream[position] if position < len(stream) else 0xFF
    if first < 0xFD:
        return first, position + 1
    size = 1 << (first - 0xFC)
    following = position + 1 + size
    if following > len(stream):
        raise ValueError("records end within a number")
    number = int.from_bytes(stream[position + 1 : following], "big")
    if number < (0xFD if size == 2 else 1 << (size * 4)):
        raise ValueError("records hold a number that is not minimal")
    return number, following
