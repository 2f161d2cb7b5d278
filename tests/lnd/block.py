"""Blocks of regtest made by hand, so that a test decides the time in their headers: a chain can be
hours old at once.

btcd takes any time later than the median of the eleven blocks before (BIP 113), and at most two
hours ahead of its clock.
"""

from __future__ import annotations

import hashlib
import itertools
import struct

EASIEST_BITS = 0x207FFFFF
"""Regtest's least difficulty (chaincfg.RegressionNetParams): every second hash is low enough."""
VERSION = 0x20000000
"""A block that signals no deployment (BIP 9)."""
NOTHING_SPENT = bytes(32) + b"\xff" * 4
ANYONE = b"\x01\x51"
"""An output script with its length: OP_TRUE."""

_numbers = itertools.count(1)


def made(parent: str, time_seconds: int) -> tuple[str, str]:
    """(hash, block) after parent, all in hex: a coinbase that takes no reward, and nothing else."""
    transaction = _coinbase(next(_numbers))
    root = _twice(transaction)
    for nonce in itertools.count():
        header = (
            struct.pack("<i", VERSION)
            + bytes.fromhex(parent)[::-1]
            + root
            + struct.pack("<III", time_seconds, EASIEST_BITS, nonce)
        )
        digest = _twice(header)[::-1]
        if digest[0] < EASIEST_BITS >> 16 & 0xFF:
            return digest.hex(), (header + b"\x01" + transaction).hex()
    raise AssertionError("unreachable")


def _coinbase(number: int) -> bytes:
    """Each is another one: two with the same hash cannot be in one chain (BIP 30)."""
    script = b"\x09\x08" + struct.pack("<q", number)
    return (
        struct.pack("<i", 1)
        + b"\x01"
        + NOTHING_SPENT
        + script
        + b"\xff" * 4
        + b"\x01"
        + bytes(8)
        + ANYONE
        + bytes(4)
    )


def _twice(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()
