"""An order that moves money, whose answer may be lost: whoever repeats it must not pay twice, and
is told how.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import click

from streamer.words.errors import StreamerError

_UNSURE = frozenset(
    {"STOPPING", "STORE_FAILED", "DEADLINE_EXCEEDED", "INTERNAL", "CANCELLED", "UNKNOWN"}
)
"""Reasons with which a daemon breaks off what it had begun."""


def new_request_id() -> str:
    """The name of one order: the daemon carries it out once, however often it is asked."""
    return "cli-" + secrets.token_hex(8)


@contextmanager
def telling(how: str) -> Iterator[None]:
    """Add how to ask again to every failure that leaves open whether the order was carried out, and
    to Ctrl-C.
    """
    from streamer.client import NotReachable

    try:
        yield
    except asyncio.CancelledError:
        click.echo(how, err=True)
        raise
    except StreamerError as error:
        if error.sent if isinstance(error, NotReachable) else error.reason in _UNSURE:
            raise StreamerError(f"{error}. {how}", error.reason) from None
        raise
