"""Hex and floats as Go's library reads and writes them, with its words: lnd passes them on."""

from __future__ import annotations

from streamer.simulator.network.books import Refused


def from_hex(text: str) -> bytes:
    """Bytes of hex; raises Refused in the words of encoding/hex."""
    for letter in text:
        if letter not in "0123456789abcdefABCDEF":
            raise Refused("UNKNOWN", f"encoding/hex: invalid byte: U+{ord(letter):04X} '{letter}'")
    if len(text) % 2:
        raise Refused("UNKNOWN", "encoding/hex: odd length hex string")
    return bytes.fromhex(text)


def float_text(value: int) -> str:
    """A float as %v writes it from ten million on: shortest digits, exponent."""
    digits = str(value).rstrip("0")
    exponent = len(str(value)) - 1
    return f"{digits[0]}.{digits[1:] or '0'}e+{exponent:02d}"
