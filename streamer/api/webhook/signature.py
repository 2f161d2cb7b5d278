"""How a receiver knows that an event is ours, and not an old one sent again.

The header `Streamer-Signature: t=SECONDS,v1=HEX` has the time of this attempt and
HMAC-SHA256(secret, SECONDS + "." + body).
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from streamer.words.errors import ConfigError

HEADER = "Streamer-Signature"
LEAST_SECRET_BYTES = 32


def signature(secret: bytes, seconds: int, body: bytes) -> str:
    """The value of the header."""
    return f"t={seconds},v1={hmac.new(secret, b'%d.' % seconds + body, hashlib.sha256).hexdigest()}"


def read_secret(path: Path) -> bytes:
    """The secret in a file, without the end of its line. Raises ConfigError."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"{path}: webhook.secret_file cannot be read: {error.strerror}") from None
    if len(secret) < LEAST_SECRET_BYTES:
        raise ConfigError(
            f"{path}: webhook.secret_file has {len(secret)} characters: at least"
            f" {LEAST_SECRET_BYTES} are needed, such as `openssl rand -hex 32` makes"
        )
    return secret
