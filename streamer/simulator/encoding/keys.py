"""Keys of simulated nodes: valid points and secrets that follow from a seed, so that runs
repeat.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of secp256k1 (SEC 2)."""


def derive(seed: str, purpose: str) -> bytes:
    """32 bytes that depend on seed and purpose alone; never for real money."""
    return hashlib.sha256(f"streamer/simulator/{seed}/{purpose}".encode()).digest()


def secret_scalar(seed: str, name: str) -> int:
    """The secret key of the simulated node called name."""
    return int.from_bytes(derive(seed, f"node/{name}")) % (_ORDER - 1) + 1


def public_key(seed: str, name: str) -> bytes:
    """Its 33-byte compressed public key."""
    key = ec.derive_private_key(secret_scalar(seed, name), ec.SECP256K1())
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
