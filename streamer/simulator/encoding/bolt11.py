"""Writes and reads BOLT 11 invoices, signed and field for field as lnd does it.

Fields: payment hash, payment address, description or its hash, expiry, minimal final CLTV, fallback
address, route hints, features; the payee is recovered from the signature. Errors carry the texts
that lnd gives for the same input (zpay32/decode.go).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from streamer.simulator.encoding.addresses import Address
from streamer.simulator.encoding.bech32 import (
    CHARSET,
    number,
    number_groups,
    read,
    to_bytes,
    to_groups,
    to_padded_bytes,
    write,
)
from streamer.simulator.encoding.features import INVOICE
from streamer.simulator.encoding.secp256k1 import recover, sign_recoverable

PREFIXES = {"mainnet": "bc", "testnet": "tb", "signet": "tbs", "regtest": "bcrt", "simnet": "sb"}
"""Network → human-readable part after "ln"."""

EXPIRY_SECONDS = 86_400
"""Expiry of an invoice when AddInvoice leaves it 0 (lnd since 0.14)."""

READ_EXPIRY_SECONDS = 3_600
"""Expiry when an invoice does not say (BOLT 11)."""

READ_FINAL_CLTV = 18
"""Minimal final CLTV when an invoice does not say (BOLT 11)."""

MAX_GROUPS = 1_023
"""Longest field in groups of 5 bits: its length has 10 bits."""

MAX_LETTERS = 7_089
"""Longest invoice that lnd reads (what fits a QR code of digits)."""

_UNITS = {"m": 100_000_000, "u": 100_000, "n": 100}
"""msat per unit; "p" is a tenth of a msat, and no letter is a whole bitcoin."""

_BITCOIN_MSAT = 100_000_000_000
_SIGNATURE_GROUPS = 104
_TIMESTAMP_GROUPS = 7
_HINT_BYTES = 51
_HASH_GROUPS = 52
_P, _S, _D, _H, _X, _C, _F, _R, _9 = (CHARSET.index(letter) for letter in "psdhxcfr9")


@dataclass(slots=True, frozen=True)
class HopHint:
    """One private channel on the way: its node (33 bytes), id, fees and CLTV delta."""

    node: bytes
    channel_id: int
    base_msat: int
    ppm: int
    cltv_delta: int


@dataclass(slots=True, frozen=True)
class Bolt11:
    """What an invoice says; amount_msat 0: any amount; timestamp in seconds; features: bit
    numbers.
    """

    chain: str
    amount_msat: int
    timestamp: int
    payment_hash: bytes
    payment_addr: bytes
    description: bytes = b""
    expiry_seconds: int = READ_EXPIRY_SECONDS
    min_final_cltv: int = 80
    payee: bytes = b""
    description_hash: bytes = b""
    fallback: Address | None = None
    hints: tuple[tuple[HopHint, ...], ...] = ()
    features: tuple[int, ...] = INVOICE


def encode(invoice: Bolt11, secret: int) -> str:
    """The invoice signed with the node's secret; ValueError when a field is too long."""
    prefix = "ln" + PREFIXES[invoice.chain] + _write_amount(invoice.amount_msat)
    groups = number_groups(invoice.timestamp, _TIMESTAMP_GROUPS)
    groups += _field(_P, to_groups(invoice.payment_hash))
    if invoice.description_hash:
        groups += _field(_H, to_groups(invoice.description_hash))
    else:
        groups += _field(_D, to_groups(invoice.description))
    groups += _field(_C, number_groups(invoice.min_final_cltv))
    groups += _field(_X, number_groups(invoice.expiry_seconds))
    if invoice.fallback is not None:
        groups += _field(_F, [invoice.fallback.version, *to_groups(invoice.fallback.program)])
    for route in invoice.hints:
        groups += _field(_R, to_groups(b"".join(map(_write_hint, route))))
    groups += _field(_S, to_groups(invoice.payment_addr))
    groups += _field(_9, number_groups(sum(1 << bit for bit in invoice.features)))
    groups += to_groups(sign_recoverable(secret, _digest(prefix, groups)))
    return write(prefix, groups)


def decode(text: str, chain: str) -> Bolt11:
    """Read an invoice of network chain and check its checksum and signature; ValueError has lnd's
    words.
    """
    if len(text) > MAX_LETTERS:
        raise ValueError("invoice is too large")
    prefix, groups = read(text)
    if len(prefix) < 3:
        raise ValueError("hrp too short")
    if not prefix.startswith("ln"):
        raise ValueError('prefix should be "ln"')
    if not prefix.startswith(PREFIXES[chain], 2):
        raise ValueError(f"invoice not for current active network '{chain}'")
    amount = _read_amount(prefix[2 + len(PREFIXES[chain]) :])
    if len(groups) < _SIGNATURE_GROUPS:
        raise ValueError("short invoice")
    data, signature = groups[:-_SIGNATURE_GROUPS], to_bytes(groups[-_SIGNATURE_GROUPS:])
    if len(data) < _TIMESTAMP_GROUPS:
        raise ValueError(f"data too short: {len(data)}")
    fields, hints = _sorted(data[_TIMESTAMP_GROUPS:])
    payee = recover(signature, _digest(prefix, data))
    if _P not in fields:
        raise ValueError("no payment hash found")
    if _D not in fields and _H not in fields:
        raise ValueError("neither description nor description hash set")
    fallback = fields.get(_F)
    return Bolt11(
        chain,
        amount,
        number(data[:_TIMESTAMP_GROUPS]),
        to_bytes(fields[_P]),
        to_bytes(fields.get(_S, [])),
        _text(to_bytes(fields.get(_D, []))),
        number(fields[_X]) if _X in fields else READ_EXPIRY_SECONDS,
        number(fields[_C]) if _C in fields else READ_FINAL_CLTV,
        payee,
        to_bytes(fields.get(_H, [])),
        Address(fallback[0], to_bytes(fallback[1:])) if fallback else None,
        hints,
        tuple(_bits(number(fields.get(_9, [])))),
    )


def _sorted(groups: list[int]) -> tuple[dict[int, list[int]], tuple[tuple[HopHint, ...], ...]]:
    """The first field of each kind, and all route hints; hashes of another length are as if
    absent.
    """
    fields: dict[int, list[int]] = {}
    hints = []
    for kind, content in _fields(groups):
        if kind == _R:
            hints.append(_read_hints(to_bytes(content)))
        elif kind not in (_P, _S, _H) or len(content) == _HASH_GROUPS:
            fields.setdefault(kind, content)
    return fields, tuple(hints)


def _fields(groups: list[int]) -> Iterable[tuple[int, list[int]]]:
    position = 0
    while position < len(groups):
        if position + 3 > len(groups):
            raise ValueError("last tagged field is broken")
        length = groups[position + 1] << 5 | groups[position + 2]
        if position + 3 + length > len(groups):
            raise ValueError("invalid field length")
        yield groups[position], groups[position + 3 : position + 3 + length]
        position += 3 + length


def _field(kind: int, groups: list[int]) -> list[int]:
    if len(groups) > MAX_GROUPS:
        raise ValueError(f"data length too big to fit within 10 bits: {len(groups)}")
    return [kind, len(groups) >> 5, len(groups) & 31, *groups]


def _write_hint(hint: HopHint) -> bytes:
    numbers = hint.channel_id.to_bytes(8) + hint.base_msat.to_bytes(4) + hint.ppm.to_bytes(4)
    return hint.node + numbers + hint.cltv_delta.to_bytes(2)


def _read_hints(data: bytes) -> tuple[HopHint, ...]:
    if len(data) % _HINT_BYTES:
        raise ValueError("length is not a multiple of hop hint length")
    if not data:
        raise ValueError("route hint field contains no hop data")
    return tuple(
        _read_hint(data[start : start + _HINT_BYTES]) for start in range(0, len(data), _HINT_BYTES)
    )


def _read_hint(data: bytes) -> HopHint:
    places = ((33, 41), (41, 45), (45, 49), (49, 51))
    return HopHint(data[:33], *(int.from_bytes(data[start:end]) for start, end in places))


def _write_amount(amount_msat: int) -> str:
    if not amount_msat:
        return ""
    if amount_msat % _BITCOIN_MSAT == 0:
        return f"{amount_msat // _BITCOIN_MSAT}"
    for unit, msat in _UNITS.items():
        if amount_msat % msat == 0:
            return f"{amount_msat // msat}{unit}"
    return f"{amount_msat * 10}p"


def _read_amount(text: str) -> int:
    if not text:
        return 0
    if text[-1].isdigit():
        return _whole(text) * _BITCOIN_MSAT
    if text[-1] != "p" and text[-1] not in _UNITS:
        raise ValueError(f"unknown multiplier {text[-1]}")
    if len(text) == 1:
        raise ValueError("number must be non-empty")
    count = _whole(text[:-1])
    if text[-1] != "p":
        return count * _UNITS[text[-1]]
    if count < 10:
        raise ValueError("minimum amount is 10p")
    if count % 10:
        raise ValueError(f"amount {count} pBTC not expressible in msat")
    return count // 10


def _whole(digits: str) -> int:
    if not digits.isdigit():
        raise ValueError(f'strconv.ParseUint: parsing "{digits}": invalid syntax')
    return int(digits)


def _text(description: bytes) -> bytes:
    try:
        description.decode()
    except UnicodeDecodeError as error:
        raise ValueError("description is not valid UTF-8") from error
    return description


def _bits(value: int) -> Iterable[int]:
    return (bit for bit in range(value.bit_length()) if value >> bit & 1)


def _digest(prefix: str, groups: list[int]) -> bytes:
    """What is signed: the prefix and the data, padded to whole bytes."""
    return hashlib.sha256(prefix.encode() + to_padded_bytes(groups)).digest()
