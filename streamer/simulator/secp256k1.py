"""Recoverable ECDSA signatures on secp256k1, as a BOLT 11 invoice carries them.

For simulated nodes only: plain Python, a few milliseconds each, not constant in time.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
"""Field, order and generator (SEC 2, 2.4.1)."""

Point = tuple[int, int] | None
"""Affine coordinates; None is the point at infinity."""


def sign_recoverable(secret: int, digest: bytes) -> bytes:
    """64 bytes r ‖ s (low s) and the recovery id, of a 32-byte digest."""
    message = int.from_bytes(digest)
    # the nonce must never repeat for another message: it hangs on both
    nonce = int.from_bytes(hashlib.sha256(secret.to_bytes(32) + digest).digest()) % N
    point = multiply(G, nonce)
    if point is None:
        raise ValueError("nonce is zero")
    r, parity = point[0] % N, point[1] & 1
    s = pow(nonce, -1, N) * (message + r * secret) % N
    if s > N // 2:
        s, parity = N - s, parity ^ 1
    return r.to_bytes(32) + s.to_bytes(32) + bytes([parity])


@lru_cache(maxsize=1_024)
def recover(signature: bytes, digest: bytes) -> bytes:
    """The 33-byte public key that made a 65-byte signature; ValueError if there is none."""
    r, s, parity = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64]
    if not (0 < r < N and 0 < s < N and parity < 2):
        raise ValueError("invalid signature")
    y = pow(r**3 + 7, (P + 1) // 4, P)
    if (y * y - r**3 - 7) % P:
        raise ValueError("invalid signature: no such point")
    point = (r, y if y & 1 == parity else P - y)
    inverse = pow(r, -1, N)
    message = int.from_bytes(digest)
    key = add(multiply(point, s * inverse % N), multiply(G, -message * inverse % N))
    if key is None:
        raise ValueError("invalid signature")
    return bytes([2 + (key[1] & 1)]) + key[0].to_bytes(32)


def multiply(point: Point, scalar: int) -> Point:
    """scalar times point."""
    total: Point = None
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def add(one: Point, two: Point) -> Point:
    """The sum of two points."""
    if one is None or two is None:
        return two if one is None else one
    if one[0] == two[0]:
        if (one[1] + two[1]) % P == 0:
            return None
        slope = 3 * one[0] * one[0] * pow(2 * one[1], -1, P) % P
    else:
        slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, P) % P
    x = (slope * slope - one[0] - two[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P
