"""Recoverable ECDSA signatures on secp256k1, as a BOLT 11 invoice carries them.

For simulated nodes only: plain Python where cryptography has no such thing, not constant in time.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec

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
    # the library multiplies the generator a hundred times as fast as Python does
    point = ec.derive_private_key(nonce, ec.SECP256K1()).public_key().public_numbers()
    r, parity = point.x % N, point.y & 1
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
    """scalar times point, in Jacobian coordinates: one inversion at the end instead of one for each
    step.
    """
    if point is None or not scalar:
        return None
    x, y, z = point[0], point[1], 1
    for bit in bin(scalar)[3:]:
        x, y, z = _double(x, y, z)
        if bit == "1":
            x, y, z = _add_affine((x, y, z), point)
    if not z:
        return None
    inverse = pow(z, -1, P)
    return x * inverse * inverse % P, y * inverse * inverse * inverse % P


def _double(x: int, y: int, z: int) -> tuple[int, int, int]:
    square = y * y % P
    four = 4 * x * square % P
    slope = 3 * x * x % P
    new_x = (slope * slope - 2 * four) % P
    return new_x, (slope * (four - new_x) - 8 * square * square) % P, 2 * y * z % P


def _add_affine(one: tuple[int, int, int], two: tuple[int, int]) -> tuple[int, int, int]:
    x, y, z = one
    if not z:
        return two[0], two[1], 1
    square = z * z % P
    width, height = (two[0] * square - x) % P, (two[1] * square * z - y) % P
    if not width:
        return (0, 1, 0) if height else _double(x, y, z)
    width_2 = width * width % P
    width_3, base = width_2 * width % P, x * width_2 % P
    new_x = (height * height - width_3 - 2 * base) % P
    return new_x, (height * (base - new_x) - y * width_3) % P, z * width % P


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
