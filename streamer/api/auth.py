"""Who may call what: the admin key, a file in the data folder made at the first start, and the keys
it made.

The key comes as metadata `x-api-key`, or `authorization: Bearer KEY`. No key is UNAUTHENTICATED, a
wrong one PERMISSION_DENIED.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from aiolimiter import AsyncLimiter

from streamer.api.scopes import SCOPES, allows
from streamer.ports import Clock
from streamer.service.keyring import Keyring
from streamer.service.permission import require_live
from streamer.words.errors import ConfigError, PermissionDenied, ResourceExhausted, Unauthenticated
from streamer.words.model import ApiKey

KEY_FILE = "admin.key"
KEY_BYTES = 32
KEY_MODE = 0o640
"""Readable for the group, as lnd's admin.macaroon: whoever may use the daemon joins it."""

BURST_SECONDS = 10
"""A key that was silent for so long may call at once as often as it could have."""
REQUEST_RATE = "REQUEST_RATE"
"""The reason of a refusal that waiting a second heals."""

Metadata = Iterable[tuple[str, str | bytes]]

_HOW = (
    "send a key, such as the one in admin.key, as metadata x-api-key, or as authorization:"
    " Bearer KEY"
)


def load_admin_key(data_dir: Path) -> str:
    """Read the admin key, or make one (durable before it is returned). Raises ConfigError."""
    path = data_dir / KEY_FILE
    try:
        key = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return _make(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        key = ""
    if len(key) < KEY_BYTES:
        raise ConfigError(
            f"{path}: holds no key; delete the file, and the next start makes a new one"
        )
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


Caller = ApiKey
"""Who calls: the key that came with the call."""

NOBODY = ApiKey(-1, "", "", frozenset())
"""Before the key was looked at."""


class Keys:
    """The keys of the ring. Every call of every door passes `authorize`. While the time is not
    known no key has expired.
    """

    def __init__(
        self,
        ring: Keyring,
        clock: Clock,
        requests_per_second: int,
        time_known: Callable[[], bool] = lambda: True,
    ) -> None:
        self._ring = ring
        self._time_known = time_known
        self._clock = clock
        self._per_second = requests_per_second
        self._limiters: dict[int, AsyncLimiter] = {}

    async def authorize(self, method: str, metadata: Metadata) -> Caller:
        """Who calls this method (by its full name, such as streamer.v1.StreamService.GetStream).

        Raises Unauthenticated without a key in the metadata; PermissionDenied for a wrong, revoked
        or expired one, and for one whose scopes do not allow the method; ResourceExhausted for one
        that calls too often.
        """
        text = _key_in(metadata)
        if not text:
            raise Unauthenticated(f"no key came with the call: {_HOW}")
        caller = self._ring.find(text)
        if caller is None:
            raise PermissionDenied(
                f"the key that came with the call is not known here: {_HOW}", "KEY_UNKNOWN"
            )
        now_ns = self._clock.now_ns()
        require_live(caller, now_ns if self._time_known() else 0)
        await self._count(caller)
        if not allows(caller.scopes, method):
            needed, has = (
                SCOPES.get(method, "a row in the table of scopes"),
                " ".join(sorted(caller.scopes)),
            )
            raise PermissionDenied(
                f"{method} needs {needed}, and the key {caller.id} has {has}", "SCOPE_MISSING"
            )
        return caller

    async def _count(self, caller: Caller) -> None:
        limiter = self._limiters.get(caller.number)
        most = self._per_second * BURST_SECONDS
        if limiter is None:
            limiter = self._limiters[caller.number] = AsyncLimiter(most, BURST_SECONDS)
        if not limiter.has_capacity():
            raise ResourceExhausted(
                f"the key {caller.id} calls too often: {self._per_second} requests a second, {most}"
                " at once (api.requests_per_second); wait a second",
                REQUEST_RATE,
                1,
            )
        await limiter.acquire()  # which does not wait: there is room


def _key_in(metadata: Metadata) -> str:
    for name, value in metadata:
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if name == "x-api-key":
            return text
        if name == "authorization" and text[:7].lower() == "bearer ":
            return text[7:].strip()
    return ""
