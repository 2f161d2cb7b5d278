"""Watching that survives: after a lost connection or a restart it goes on where it was."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

from streamer._proto.streamer.v1 import stream_pb2
from streamer.client.connection import CallFailed, Connection, NotReachable

SILENCE_SECONDS = 30.0
"""The daemon says something every ten seconds, if only where it is: after three times that it is
gone.
"""
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
SLOW_READER = "SLOW_READER"
CURSOR_GONE = "CURSOR_GONE"
"""The reason of a watch that cannot go on where it was: list again, then watch anew."""


async def watch(
    connection: Connection, filter_text: str, cursor: int
) -> AsyncIterator[stream_pb2.StreamEvent]:
    """Events after cursor (0: from now on), each once and in order, over as many calls as it takes.

    Raises CallFailed: with reason CURSOR_GONE when events were missed for good, or with whatever
    else the daemon refuses; NotReachable only if it never answered at all.
    """
    chance, wait_seconds = random.SystemRandom(), FIRST_WAIT_SECONDS
    while True:
        try:
            async for event in connection.events(filter_text, cursor, SILENCE_SECONDS):
                cursor, wait_seconds = event.cursor, FIRST_WAIT_SECONDS
                if event.HasField("stream"):
                    yield event
        except NotReachable:
            if not cursor:
                raise
        except CallFailed as error:
            if not _passes(error):
                raise
        await asyncio.sleep(wait_seconds * chance.uniform(0.5, 1))
        wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)


def _passes(error: CallFailed) -> bool:
    """Whether another call may do better."""
    return error.code in ("UNAVAILABLE", "CANCELLED") or error.reason == SLOW_READER
