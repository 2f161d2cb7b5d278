"""A TCP proxy before a simulated node that loses the exchange at a byte of its own choice, or keeps
it for later.

It ends the client's TLS with the node's own certificate and speaks TLS to the node, so the bytes it
counts are those of HTTP/2: a cut inside a frame, or between two, is really there for both ends. It
lives in the thread of the simulated networks.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

READ_BYTES = 64 * 1024
MAX_HELD_BYTES = 1024 * 1024
"""Most bytes that a lane keeps for later; nothing that we exchange with a node comes near it."""
SHUTDOWN_SECONDS = 0.5


class Way(Enum):
    """In which direction bytes go."""

    UP = "client to node"
    DOWN = "node to client"


class Fate(Enum):
    """What happens when a trap springs."""

    CUT = "both ends lose the connection"
    KEEP = (
        "from here on the bytes of this way are kept on every connection there is, even when the"
        " client is gone"
    )


@dataclass(slots=True)
class Trap:
    """Springs when `left` more bytes have gone this way and another one comes, or at once behind
    the last of them.
    """

    way: Way
    left: int
    fate: Fate


@dataclass(slots=True, eq=False)
class Lane:
    """One way of one connection."""

    way: Way
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    keeping: bool = False
    kept: bytearray = field(default_factory=bytearray)

    async def write(self, data: bytes) -> None:
        """A client that is gone loses them."""
        with suppress(OSError):
            self.writer.write(data)
            await self.writer.drain()


class Proxy:
    """Call everything in the thread of its loop. `passed` counts bytes that went through, by
    way.
    """

    def __init__(self) -> None:
        self.address = ""
        self.delay_seconds = 0.0
        self.passed = dict.fromkeys(Way, 0)
        self.connections = 0
        self.last_byte = 0.0
        self._trap: Trap | None = None
        self._hole = False
        self._pairs: set[tuple[Lane, Lane]] = set()

    def set_trap(self, way: Way, after: int, fate: Fate = Fate.CUT) -> None:
        """It springs once; `after` bytes of this way still go through, counted from now over all
        connections.
        """
        self._trap = Trap(way, after, fate)

    def clear_trap(self) -> None:
        """No trap is set any more."""
        self._trap = None

    @property
    def trapped(self) -> bool:
        """Whether no trap is set: the last one has sprung."""
        return self._trap is None

    def quiet(self, seconds: float) -> bool:
        """Whether there is a connection and nothing was said on any for so long."""
        return bool(self._pairs) and asyncio.get_running_loop().time() - self.last_byte > seconds

    def keeps(self, words: bytes) -> bool:
        """Whether these bytes are kept."""
        return any(words in lane.kept for pair in self._pairs for lane in pair)

    def swallow(self) -> None:
        """A black hole: connections stay and new ones are taken, nothing comes through either
        way.
        """
        self._hole = True
        for pair in self._pairs:
            for lane in pair:
                lane.keeping = True

    async def deliver(self) -> None:
        """What was kept goes on, in order, whoever is gone by now; then all is as it was."""
        self._hole = False
        for pair in list(self._pairs):
            for lane in pair:
                data, lane.keeping = bytes(lane.kept), False
                lane.kept.clear()
                await lane.write(data)

    def drop(self) -> None:
        """What was kept is lost, with all connections; new ones work."""
        self._hole = False
        for up, down in list(self._pairs):
            up.writer.transport.abort()
            down.writer.transport.abort()

    # -- inside ------------------------------------------------------------------------------

    async def serve(self, up: Lane, down: Lane) -> None:
        """One connection, to the end of both of its ways."""
        self.connections += 1
        up.keeping = down.keeping = self._hole
        pair = (up, down)
        self._pairs.add(pair)
        answers = asyncio.create_task(self._pump(down, up))
        try:
            await self._pump(up, down)
            if up.keeping or up.kept:
                await answers  # the node's end stays open for what is delivered late
        finally:
            answers.cancel()
            self._pairs.discard(pair)
            for lane in pair:
                lane.writer.close()

    async def _pump(self, lane: Lane, back: Lane) -> None:
        while data := await self._read(lane):
            self.last_byte = asyncio.get_running_loop().time()
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            if lane.keeping:
                self._keep(lane, data)
                continue
            trap = self._trap
            if trap is None or trap.way is not lane.way or len(data) < trap.left:
                if trap is not None and trap.way is lane.way:
                    trap.left -= len(data)
                self.passed[lane.way] += len(data)
                await lane.write(data)
            else:
                self._trap = None
                if trap.fate is Fate.KEEP:
                    for each in (
                        one for pair in self._pairs for one in pair if one.way is lane.way
                    ):
                        each.keeping = True
                await lane.write(data[: trap.left])
                if trap.fate is Fate.CUT:
                    back.writer.transport.abort()
                    break
                self._keep(lane, data[trap.left :])
        if lane.way is Way.DOWN or not lane.keeping:
            lane.writer.close()

    @staticmethod
    async def _read(lane: Lane) -> bytes:
        try:
            return await lane.reader.read(READ_BYTES)
        except OSError:
            return b""

    @staticmethod
    def _keep(lane: Lane, data: bytes) -> None:
        lane.kept += data
        assert len(lane.kept) <= MAX_HELD_BYTES


@asynccontextmanager
async def start_proxy(node_address: str, certificate: Path, key: Path) -> AsyncIterator[Proxy]:
    """A proxy on a free port of loopback, until the block ends; its address is for
    --node.rpcserver.
    """
    inside = ssl.create_default_context(cafile=str(certificate))
    inside.check_hostname = False
    outside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    outside.load_cert_chain(certificate, key)
    for context in (inside, outside):
        context.set_alpn_protocols(["h2"])
    proxy = Proxy()
    host, _, port = node_address.rpartition(":")
    running: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        task.add_done_callback(running.discard)
        try:
            far_reader, far_writer = await asyncio.open_connection(
                host, int(port), ssl=inside, ssl_shutdown_timeout=SHUTDOWN_SECONDS
            )
        except OSError:
            writer.transport.abort()
            return
        await proxy.serve(Lane(Way.UP, reader, far_writer), Lane(Way.DOWN, far_reader, writer))

    server = await asyncio.start_server(
        connected, "127.0.0.1", 0, ssl=outside, ssl_shutdown_timeout=SHUTDOWN_SECONDS
    )
    own_host, own_port = server.sockets[0].getsockname()
    proxy.address = f"{own_host}:{own_port}"
    try:
        yield proxy
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
