"""Who may call: the one admin key, a file in the data folder made at the first start.

The key comes as metadata `x-api-key`, or `authorization: Bearer KEY`. No key is UNAUTHENTICATED, a
wrong one PERMISSION_DENIED; the comparison takes the same time whatever differs.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from streamer.errors import ConfigError, PermissionDenied, Unauthenticated

KEY_FILE = "admin.key"
KEY_BYTES = 32
KEY_MODE = 0o640
"""Readable for the group, as lnd's admin.macaroon: whoever may use the daemon joins it."""

Metadata = Iterable[tuple[str, str | bytes]]

_HOW = "send the key in admin.key as metadata x-api-key, or as authorization: Bearer KEY"


def load_admin_key(data_dir: Path) -> str:
    """Read the admin key, or make one (durable before it is returned). Raises ConfigError."""
    path = data_dir / KEY_FILE
    try:
        key = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return _make(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if len(key) < KEY_BYTES:
        raise ConfigError(f"{path}: holds no key; delete the file, and the next start makes a new one")
    return key


def _make(path: Path) -> str:
    key = secrets.token_hex(KEY_BYTES)
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_MODE)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key + "\n")
            file.flush()
            os.fchmod(file.fileno(), KEY_MODE)
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    return key


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by the name of its key."""

    key: str


ADMIN = Caller("admin")
NOBODY = Caller("")
"""Before the key was looked at."""


class Keys:
    """The keys that are good: now only the admin's."""

    def __init__(self, admin_key: str) -> None:
        self._admin = _digest(admin_key)

    def authorize(self, method: str, metadata: Metadata) -> Caller:
        """Who calls this method (by its full name, such as streamer.v1.StreamService.GetStream).

        Raises Unauthenticated without a key in the metadata, PermissionDenied for a wrong one.
        """
        key = _key_in(metadata)
        if not key:
            raise Unauthenticated(f"no key came with the call: {_HOW}")
        if not hmac.compare_digest(_digest(key), self._admin):
            raise PermissionDenied(f"the key that came with the call is not known here: {_HOW}", "KEY_UNKNOWN")
        return ADMIN


def _key_in(metadata: Metadata) -> str:
    for name, value in metadata:
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if name == "x-api-key":
            return text
        if name == "authorization" and text[:7].lower() == "bearer ":
            return text[7:].strip()
    return ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
