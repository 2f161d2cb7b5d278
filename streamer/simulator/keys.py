"""Keys of simulated nodes: valid points and secrets that follow from a seed, so that runs repeat."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of secp256k1 (SEC 2)."""


def derive(seed: str, purpose: str) -> bytes:
    """32 bytes that depend on seed and purpose alone; never for real money."""
    return hashlib.sha256(f"streamer/simulator/{seed}/{purpose}".encode()).digest()


def private_key(seed: str, name: str) -> ec.EllipticCurvePrivateKey:
    """The node key of the simulated node called name."""
    scalar = int.from_bytes(derive(seed, f"node/{name}")) % (_ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256K1())


def public_key(seed: str, name: str) -> bytes:
    """Its 33-byte compressed public key."""
    return private_key(seed, name).public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
