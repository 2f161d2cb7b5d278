"""On-chain addresses, as far as an invoice may name one to fall back to.

Errors carry lnd's texts (btcutil.DecodeAddress, below AddInvoice).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from streamer.simulator.encoding import bech32

PUBKEY_HASH, SCRIPT_HASH = 17, 18
"""The version that BOLT 11 writes for the two kinds of Base58 address."""

SEGWIT_PREFIXES = {
    "mainnet": "bc",
    "testnet": "tb",
    "signet": "tb",
    "regtest": "bcrt",
    "simnet": "sb",
}
"""Network → prefix of its segwit addresses (BIP 173)."""

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VERSIONS = {"mainnet": (0, 5), "simnet": (63, 123)}
_TEST_VERSIONS = (111, 196)
_HASH_BYTES = 20


@dataclass(slots=True, frozen=True)
class Address:
    """version: 0 to 16 is segwit's, 17 and 18 are BOLT 11's; program: the hash or key behind it."""

    version: int
    program: bytes


def read_address(text: str, chain: str) -> Address:
    """The address of network chain that text writes; ValueError has btcutil's words."""
    prefix = text.lower().rpartition("1")[0]
    if prefix in SEGWIT_PREFIXES.values():
        return _read_segwit(text, prefix, chain)
    decoded = _base58(text)
    if len(decoded) < 5 or decoded[-4:] != _checksum(decoded[:-4]):
        raise ValueError("checksum mismatch")
    version, program = decoded[0], decoded[1:-4]
    if len(program) != _HASH_BYTES:
        raise ValueError("decoded address is of unknown size")
    versions = _BASE58_VERSIONS.get(chain, _TEST_VERSIONS)
    if version not in versions:
        raise ValueError("unknown address type")
    return Address((PUBKEY_HASH, SCRIPT_HASH)[versions.index(version)], program)


def write_address(address: Address, chain: str) -> str:
    """The text of an address on network chain."""
    if address.version in (PUBKEY_HASH, SCRIPT_HASH):
        version = _BASE58_VERSIONS.get(chain, _TEST_VERSIONS)[address.version - PUBKEY_HASH]
        content = bytes([version]) + address.program
        return _write_base58(content + _checksum(content))
    constant = bech32.BECH32M if address.version else bech32.BECH32
    return bech32.write(
        SEGWIT_PREFIXES[chain], [address.version, *bech32.to_groups(address.program)], constant
    )


def _read_segwit(text: str, prefix: str, chain: str) -> Address:
    version = bech32.CHARSET.find(text.lower()[len(prefix) + 1 : len(prefix) + 2])
    _, groups = bech32.read(text, bech32.BECH32M if version > 0 else bech32.BECH32)
    program = bech32.to_bytes(groups[1:])
    if (version, len(program)) not in ((0, 20), (0, 32), (1, 32)):
        raise ValueError(
            f"unsupported witness version or program length: {version}, {len(program)}"
        )
    if prefix != SEGWIT_PREFIXES[chain]:
        raise ValueError(f"fallback address is not for {chain}")
    return Address(version, program)


def _base58(text: str) -> bytes:
    value = 0
    for letter in text:
        position = _BASE58.find(letter)
        if position < 0:
            return b""
        value = value * 58 + position
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + value.to_bytes((value.bit_length() + 7) // 8)


def _write_base58(content: bytes) -> str:
    value, text = int.from_bytes(content), ""
    while value:
        value, digit = divmod(value, 58)
        text = _BASE58[digit] + text
    return "1" * (len(content) - len(content.lstrip(b"\x00"))) + text


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(content).digest()).digest()[:4]
