"""`python -m streamer.nodes.sender_process FD`: an lnd adapter that does what the other end of FD asks.

It ends when the other end does. Signals are the daemon's affair: it drains first, and then hangs up.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from streamer.errors import NodeUnavailable, StreamerError
from streamer.model import Payment
from streamer.nodes.credentials import Access
from streamer.nodes.frames import Frames, answer_fields
from streamer.nodes.lnd import LndNode
from streamer.pool import Pool

WORKERS = 1_024
"""More calls than any window allows; beyond it they wait here."""


@dataclass(slots=True)
class Order:
    """What the adapter needs of a Payment to send it."""

    destination: bytes
    payment_hash: bytes
    amount_msat: int
    fee_limit_msat: int
    cltv_limit: int
    timeout_seconds: int
    records: bytes


class Sender:
    """Does what comes in, and says what came of it."""

    def __init__(self, other: socket.socket) -> None:
        self.ended = asyncio.Event()
        self._socket = other
        self._node: LndNode | None = None
        self._sends = Pool(self._send)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until the other end hangs up."""
        loop = asyncio.get_running_loop()
        _, self._frames = await loop.create_connection(lambda: Frames(self._received, self.ended.set), sock=self._socket)
        self._tasks |= {loop.create_task(self._sends.work()) for _ in range(WORKERS)}
        await self.ended.wait()

    def _received(self, message: Any) -> None:
        number, method, arguments = message
        if method == "send":
            self._sends.hand_over((number, arguments))
            return
        task = asyncio.get_running_loop().create_task(self._call(number, method, arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, job: tuple[int, tuple[Any, ...]]) -> None:
        number, (*order, preimage, patience_seconds) = job
        if self._node is None:
            return
        answer = await self._node.send(cast(Payment, Order(*order)), preimage, patience_seconds)
        self._frames.say((number, "answer", answer_fields(answer)))

    async def _call(self, number: int, method: str, arguments: tuple[Any, ...]) -> None:
        try:
            if method == "open":
                result = await self._open(*arguments)
            elif self._node is None:
                raise NodeUnavailable("not connected to lnd")
            else:
                result = await getattr(self._node, method)(*arguments)
        except StreamerError as error:
            self._frames.say((number, "error", (type(error).__name__, str(error), str(error.reason))))
        else:
            self._frames.say((number, "result", pickle.dumps(result)))

    async def _open(self, name: str, rpcserver: str, tlscertpath: str, macaroonpath: str, lndconnect: str) -> Any:
        paths = (Path(tlscertpath) if tlscertpath else None, Path(macaroonpath) if macaroonpath else None)
        node = LndNode(name, Access(rpcserver, *paths, lndconnect))
        node.accepted = lambda payment_hash, index: self._frames.say((0, "accepted", (payment_hash, index)))
        identity = await node.open()
        self._node = node
        task = asyncio.get_running_loop().create_task(self._until_lost(node))
        self._tasks.add(task)
        return identity

    async def _until_lost(self, node: LndNode) -> None:
        self._frames.say((0, "lost", await node.lost()))


def main() -> None:
    """Serve the socket whose number is the one argument."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sender = socket.socket(fileno=int(sys.argv[1]))
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(Sender(sender).run())


if __name__ == "__main__":
    main()
