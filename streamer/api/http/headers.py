"""HTTP headers that mean something to a call: the key, metadata and the deadline."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

from streamer.words.errors import DeadlineExceeded, InvalidArgument

PREFIX = "grpc-metadata-"
"""`Grpc-Metadata-Foo: x` is the metadata `foo: x`."""
PASSED = ("x-api-key", "authorization")
IDEMPOTENCY_KEY = "idempotency-key"
TIMEOUT = "grpc-timeout"
LONGEST_TIMEOUT_SECONDS = 86_400.0

_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def metadata_in(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What gRPC would carry as metadata, by lower-case names."""
    found = [
        (name.removeprefix(PREFIX), value) for name, value in headers if name.startswith(PREFIX)
    ]
    return [*found, *((name, value) for name, value in headers if name in PASSED)]


def deadline_in(timeout: str | None) -> float | None:
    """The moment that `Grpc-Timeout: 500m` means, by the loop's clock. Raises InvalidArgument,
    DeadlineExceeded for 0.
    """
    if timeout is None:
        return None
    match = _TIMEOUT.fullmatch(timeout)
    if match is None:
        raise InvalidArgument(
            f"Grpc-Timeout is {timeout!r}; digits and a unit are needed: 5S (seconds), 500m"
            " (milliseconds), 2M (minutes)"
        )
    if int(match[1]) == 0:
        raise DeadlineExceeded(f"Grpc-Timeout is {timeout}: no time at all")
    return asyncio.get_running_loop().time() + min(
        int(match[1]) * _SECONDS[match[2]], LONGEST_TIMEOUT_SECONDS
    )
