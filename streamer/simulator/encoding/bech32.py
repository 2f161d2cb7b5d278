"""Bech32 as BOLT 11 and on-chain addresses use it (BIP 173, BIP 350): text to groups of 5 bits and
back.

Errors carry the texts that lnd gives for the same input (zpay32/bech32.go).
"""

from __future__ import annotations

from collections.abc import Iterable

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
"""Bech32's alphabet (BIP 173)."""

BECH32, BECH32M = 1, 0x2BC830A3
"""What a checksum comes to: witness version 0 and invoices; witness versions from 1 on (BIP
350).
"""

CHECKSUM_GROUPS = 6
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def write(prefix: str, groups: list[int], constant: int = BECH32) -> str:
    """Prefix, separator, groups and checksum as text."""
    return prefix + "1" + letters([*groups, *_checksum(prefix, groups, constant)])


def read(text: str, constant: int = BECH32) -> tuple[str, list[int]]:
    """Prefix and groups without the checksum; ValueError has lnd's words."""
    if len(text) < 8:
        raise ValueError(f"invalid bech32 string length {len(text)}")
    strange = next((letter for letter in text if not "!" <= letter <= "~"), None)
    if strange is not None:
        raise ValueError(f"invalid character in string: '{strange}'")
    lowered = text.lower()
    if text not in (lowered, text.upper()):
        raise ValueError("string not all lowercase or all uppercase")
    split = lowered.rfind("1")
    if split < 1 or split + 1 + CHECKSUM_GROUPS > len(lowered):
        raise ValueError("invalid index of 1")
    prefix, found = lowered[:split], [_group(letter) for letter in lowered[split + 1 :]]
    groups, given = found[:-CHECKSUM_GROUPS], found[-CHECKSUM_GROUPS:]
    expected = _checksum(prefix, groups, constant)
    if given != expected:
        raise ValueError(f"checksum failed. Expected {letters(expected)}, got {letters(given)}.")
    return prefix, groups


def letters(groups: Iterable[int]) -> str:
    """Groups as letters of the alphabet."""
    return "".join(CHARSET[group] for group in groups)


def number(groups: Iterable[int]) -> int:
    """Groups as one number, the first group on top."""
    value = 0
    for group in groups:
        value = value << 5 | group
    return value


def number_groups(value: int, length: int = 0) -> list[int]:
    """A number in groups, at least `length` of them."""
    groups: list[int] = []
    while value or len(groups) < length:
        groups.insert(0, value & 31)
        value >>= 5
    return groups


def to_groups(data: bytes) -> list[int]:
    """Bytes in groups, the last one padded with zeros."""
    count = -(-len(data) * 8 // 5)
    return number_groups(int.from_bytes(data) << (count * 5 - len(data) * 8), count)


def to_bytes(groups: list[int]) -> bytes:
    """Groups as whole bytes; what is left of the last group is dropped."""
    bits = len(groups) * 5
    return (number(groups) >> bits % 8).to_bytes(bits // 8)


def to_padded_bytes(groups: list[int]) -> bytes:
    """Groups as bytes, the last one padded with zeros."""
    count = -(-len(groups) * 5 // 8)
    return (number(groups) << (count * 8 - len(groups) * 5)).to_bytes(count)


def _group(letter: str) -> int:
    position = CHARSET.find(letter)
    if position < 0:
        raise ValueError(
            f"failed converting data to bytes: invalid character not part of charset: {ord(letter)}"
        )
    return position


def _checksum(prefix: str, groups: list[int], constant: int) -> list[int]:
    expanded = (
        [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    )
    value = _polymod([*expanded, *groups, 0, 0, 0, 0, 0, 0]) ^ constant
    return [value >> 5 * (CHECKSUM_GROUPS - 1 - place) & 31 for place in range(CHECKSUM_GROUPS)]


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, factor in enumerate(_GENERATOR):
            check ^= factor if top >> place & 1 else 0
    return check
