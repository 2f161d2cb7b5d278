"""Writes and reads BOLT 11 invoices, as much of them as a simulated node needs.

Fields: payment hash, payment address, description, expiry, minimal final CLTV, features; the payee
is recovered from the signature. Errors carry the texts that lnd gives for the same input.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from streamer.simulator.secp256k1 import recover, sign_recoverable

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
"""Bech32's alphabet (BIP 173)."""

PREFIXES = {"mainnet": "bc", "testnet": "tb", "signet": "tbs", "regtest": "bcrt", "simnet": "sb"}
"""Network → human-readable part after "ln"."""

EXPIRY_SECONDS = 86_400
"""Expiry of an invoice when AddInvoice leaves it 0 (lnd since 0.14)."""

READ_EXPIRY_SECONDS = 3_600
"""Expiry when an invoice does not say (BOLT 11)."""

MAX_GROUPS = 1_023
"""Longest field in groups of 5 bits: its length has 10 bits."""

_UNITS = {"m": 100_000_000, "u": 100_000, "n": 100, "": 100_000_000_000}
"""msat per unit; "p" is a tenth of a msat."""

_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_SIGNATURE_GROUPS = 104
_TIMESTAMP_GROUPS = 7
_HASH, _SECRET, _DESCRIPTION, _EXPIRY, _CLTV, _FEATURES = (CHARSET.index(letter) for letter in "psdxc9")
_FEATURE_BITS = (1 << 8) | (1 << 14) | (1 << 17)
"""var_onion, payment_secret, basic_mpp (BOLT 9), as lnd writes them."""


@dataclass(slots=True, frozen=True)
class Bolt11:
    """What an invoice says; amount_msat 0: any amount; timestamp in seconds."""

    chain: str
    amount_msat: int
    timestamp: int
    payment_hash: bytes
    payment_addr: bytes
    description: bytes
    expiry_seconds: int = READ_EXPIRY_SECONDS
    min_final_cltv: int = 80
    payee: bytes = b""


def encode(invoice: Bolt11, secret: int) -> str:
    """The invoice signed with the node's secret; ValueError when the description is too long."""
    prefix = "ln" + PREFIXES[invoice.chain] + _write_amount(invoice.amount_msat)
    groups = _number_groups(invoice.timestamp, _TIMESTAMP_GROUPS)
    groups += _field(_HASH, _to_groups(invoice.payment_hash))
    groups += _field(_SECRET, _to_groups(invoice.payment_addr))
    groups += _field(_DESCRIPTION, _to_groups(invoice.description))
    groups += _field(_EXPIRY, _number_groups(invoice.expiry_seconds))
    groups += _field(_CLTV, _number_groups(invoice.min_final_cltv))
    groups += _field(_FEATURES, _number_groups(_FEATURE_BITS))
    groups += _to_groups(sign_recoverable(secret, _digest(prefix, groups)))
    groups += _checksum(prefix, groups)
    return prefix + "1" + "".join(CHARSET[group] for group in groups)


def decode(text: str) -> Bolt11:
    """Read an invoice and check its checksum and signature; ValueError has lnd's words."""
    lowered = text.lower()
    if text not in (lowered, text.upper()):
        raise ValueError("string not all lowercase or all uppercase")
    split = lowered.rfind("1")
    if split < 1 or split + 7 > len(lowered):
        raise ValueError(f"invalid index of 1: {split}")
    prefix, groups = lowered[:split], [_group(letter) for letter in lowered[split + 1 :]]
    if _polymod([*_expand(prefix), *groups]) != 1:
        raise ValueError("checksum failed")
    found = re.fullmatch(r"ln(bcrt|bc|tbs|tb|sb)(\d+[munp]?)?", prefix)
    groups = groups[:-6]
    if found is None or len(groups) < _SIGNATURE_GROUPS + _TIMESTAMP_GROUPS:
        raise ValueError("invoice is too short or has no known prefix")
    chain = next(name for name, short in PREFIXES.items() if short == found.group(1))
    data, signature = groups[:-_SIGNATURE_GROUPS], _to_bytes(groups[-_SIGNATURE_GROUPS:])
    fields = dict(_fields(data[_TIMESTAMP_GROUPS:]))
    return Bolt11(
        chain,
        _read_amount(found.group(2) or ""),
        _number(data[:_TIMESTAMP_GROUPS]),
        _to_bytes(fields.get(_HASH, [])),
        _to_bytes(fields.get(_SECRET, [])),
        _to_bytes(fields.get(_DESCRIPTION, [])),
        _number(fields[_EXPIRY]) if _EXPIRY in fields else READ_EXPIRY_SECONDS,
        _number(fields[_CLTV]) if _CLTV in fields else 18,
        recover(signature, _digest(prefix, data)),
    )


def _group(letter: str) -> int:
    position = CHARSET.find(letter)
    if position < 0:
        raise ValueError(f"failed converting data to bytes: invalid character not part of charset: {ord(letter)}")
    return position


def _fields(groups: list[int]) -> Iterable[tuple[int, list[int]]]:
    position = 0
    while position + 3 <= len(groups):
        length = groups[position + 1] << 5 | groups[position + 2]
        yield groups[position], groups[position + 3 : position + 3 + length]
        position += 3 + length


def _field(kind: int, groups: list[int]) -> list[int]:
    if len(groups) > MAX_GROUPS:
        raise ValueError(f"data length too big to fit within 10 bits: {len(groups)}")
    return [kind, len(groups) >> 5, len(groups) & 31, *groups]


def _write_amount(amount_msat: int) -> str:
    if not amount_msat:
        return ""
    for unit in ("m", "u", "n"):
        if amount_msat % _UNITS[unit] == 0:
            return f"{amount_msat // _UNITS[unit]}{unit}"
    return f"{amount_msat * 10}p"


def _read_amount(text: str) -> int:
    if not text:
        return 0
    if text[-1] == "p":
        return int(text[:-1]) // 10
    unit = text[-1] if text[-1] in _UNITS else ""
    return int(text.removesuffix(unit)) * _UNITS[unit]


def _number(groups: Iterable[int]) -> int:
    value = 0
    for group in groups:
        value = value << 5 | group
    return value


def _number_groups(value: int, length: int = 0) -> list[int]:
    groups: list[int] = []
    while value or len(groups) < length:
        groups.insert(0, value & 31)
        value >>= 5
    return groups


def _to_groups(data: bytes) -> list[int]:
    count = -(-len(data) * 8 // 5)
    return _number_groups(int.from_bytes(data) << (count * 5 - len(data) * 8), count)


def _to_bytes(groups: list[int]) -> bytes:
    bits = len(groups) * 5
    return (_number(groups) >> bits % 8).to_bytes(bits // 8)


def _digest(prefix: str, groups: list[int]) -> bytes:
    """What is signed: the prefix and the data, padded to whole bytes."""
    count = -(-len(groups) * 5 // 8)
    data = (_number(groups) << (count * 8 - len(groups) * 5)).to_bytes(count)
    return hashlib.sha256(prefix.encode() + data).digest()


def _expand(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _checksum(prefix: str, groups: list[int]) -> list[int]:
    value = _polymod([*_expand(prefix), *groups, 0, 0, 0, 0, 0, 0]) ^ 1
    return [value >> 5 * (5 - place) & 31 for place in range(6)]


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, factor in enumerate(_GENERATOR):
            check ^= factor if top >> place & 1 else 0
    return check
