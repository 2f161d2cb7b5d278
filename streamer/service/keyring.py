"""All API keys in memory: found by what a caller sends, by id, or by number.

Of a key only a digest is kept: HMAC-SHA256 with the folder's preimage secret, so that a copy of the
journal alone does not even let somebody try short keys that were imported.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from streamer.words.model import ADMIN, ApiKey

_LABEL = b"streamer/api-key/v1"


class Keyring:
    """The admin's key, and those that the journal has, revoked ones too: their numbers are not
    given again.
    """

    def __init__(self, secret: bytes, admin_key: str, keys: Iterable[ApiKey] = ()) -> None:
        self._pepper = hashlib.sha256(_LABEL + secret).digest()
        self._admin = self.digest(admin_key)
        self._by_digest: dict[bytes, ApiKey] = {}
        self._by_number: dict[int, ApiKey] = {}
        for key in keys:
            self.add(key)

    def digest(self, text: str) -> bytes:
        """What is kept of a key."""
        return hmac.digest(self._pepper, text.encode("utf-8", "surrogateescape"), "sha256")

    def add(self, key: ApiKey) -> None:
        """Take a key in."""
        self._by_digest[key.digest] = key
        self._by_number[key.number] = key

    def find(self, text: str) -> ApiKey | None:
        """The key that is meant by this text, revoked or not.

        Nothing is learnt from the time it takes: what is compared are digests that only the secret
        gives.
        """
        digest = self.digest(text)
        if hmac.compare_digest(digest, self._admin):
            return ADMIN
        found = self._by_digest.get(digest)
        return found if found is not None and hmac.compare_digest(found.digest, digest) else None

    def get(self, key_id: str) -> ApiKey | None:
        """The key with this id."""
        return next((key for key in self._by_number.values() if key.id == key_id), None)

    def of(self, number: int) -> ApiKey:
        """The key with this number; 0 is the admin's."""
        return ADMIN if number == ADMIN.number else self._by_number[number]

    def all(self) -> list[ApiKey]:
        """Every key, newest first."""
        return sorted(self._by_number.values(), key=lambda key: -key.number)

    def next_number(self) -> int:
        """The number of the next new key."""
        return max(self._by_number, default=0) + 1
