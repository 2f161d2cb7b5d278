"""A TCP relay between two peers that can be shut and opened: a peer that cannot be reached, though
it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

READ_BYTES = 64 * 1024


class Relay:
    """Call everything in the thread of its loop."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self._shut = False
        self._to_port = to_port
        self._writers: set[asyncio.StreamWriter] = set()

    def close(self) -> None:
        """From here on nobody gets through, and who was through is cut off."""
        self._shut = True
        for writer in self._writers:
            writer.transport.abort()

    def open(self) -> None:
        """Who tries from here on gets through."""
        self._shut = False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._shut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self._writers -= {writer, far_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def start_relay(to_port: int) -> AsyncIterator[Relay]:
    """A relay to a port of loopback, until the block ends."""
    relay = Relay(to_port)
    server = await asyncio.start_server(relay.connected, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        relay.close()
