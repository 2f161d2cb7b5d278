"""A node in a process of its own: this side asks, sender_process.py speaks to lnd.

grpc.aio costs 100 to 150 µs of one core for each payment, more than everything else that a payment
needs. In a process of its own it has a core to itself, and the engine another. The process holds
nothing: when it dies, or this one does, its calls are calls of unknown end, as after any lost
connection, and recovery finds out what became of them.

Frames on the socket are a 4-byte length and a marshal of a list of messages, so that what gathers
during one turn of the loop costs one write. Only these two ends, of one program, ever speak it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from streamer.errors import NodeRejected, NodeUnavailable
from streamer.model import Answer, Kind, Payment
from streamer.nodes.credentials import Access
from streamer.nodes.frames import Frames, answer_from
from streamer.ports import Channels, NodeIdentity, NodePayment

CALL_SECONDS = 60.0
"""How long any call but a send may take; the adapter's own bounds are shorter."""
OVERDUE_SECONDS = 10.0
"""A send that has not come back so long after its patience means that the process hangs."""
STOP_SECONDS = 3.0
ENDED = "the process that speaks to lnd has ended"
ERRORS = {"NodeUnavailable": NodeUnavailable, "NodeRejected": NodeRejected}


class SenderNode:
    """The Node port on an lnd adapter that runs in a process of its own."""

    def __init__(self, name: str, access: Access) -> None:
        self.name = name
        self.accepted: Callable[[bytes, int], None] = _tell_nobody
        self._access = access
        self._process: subprocess.Popen[bytes] | None = None
        self._frames: Frames | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[asyncio.Future[Any], float, bool]] = {}
        self._gone: asyncio.Future[str] | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def open(self) -> NodeIdentity:
        """Start the process, and let it connect and check. Raises NodeUnavailable, NodeRejected."""
        await self.close()
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        access = self._access
        paths = [access.rpcserver, str(access.tlscertpath or ""), str(access.macaroonpath or ""), access.lndconnect]
        self._process = subprocess.Popen(  # noqa: ASYNC220 - starts a process and does not wait for it
            [sys.executable, "-m", "streamer.nodes.sender_process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "GRPC_VERBOSITY": "NONE"},
        )
        theirs.close()
        self._gone = loop.create_future()
        _, self._frames = await loop.create_connection(lambda: Frames(self._received, self._ended), sock=ours)
        self._sweep = loop.call_later(1.0, self._look_for_overdue)
        try:
            identity: NodeIdentity = await self._call("open", self.name, *paths)
        except BaseException:
            await self.close()
            raise
        return identity

    async def lost(self) -> str:
        """The reason, when the connection or the process is gone."""
        return "not connected to lnd" if self._gone is None else await asyncio.shield(self._gone)

    async def send(self, payment: Payment, preimage: bytes, patience_seconds: float) -> Answer:
        """One keysend, made by the process; LOST if it dies."""
        frames, gone = self._frames, self._gone
        if frames is None or gone is None or gone.done():
            return Answer(Kind.LOST, message="not connected to lnd")
        loop = asyncio.get_running_loop()
        number, answered = next(self._numbers), loop.create_future()
        self._waiting[number] = (answered, loop.time() + patience_seconds + OVERDUE_SECONDS, True)
        order = (
            payment.destination, payment.payment_hash, payment.amount_msat, payment.fee_limit_msat, payment.cltv_limit,
            payment.timeout_seconds, payment.records, preimage, patience_seconds,
        )  # fmt: skip
        frames.say((number, "send", order))
        answer: Answer = await answered
        return answer

    async def track(self, payment_hash: bytes, patience_seconds: float) -> Answer:
        """Ask about a payment."""
        try:
            answer: Answer = await self._call("track", payment_hash, patience_seconds)
        except NodeUnavailable as error:
            return Answer(Kind.LOST, message=str(error))
        return answer

    async def channels(self) -> Channels:
        """List the channels."""
        channels: Channels = await self._call("channels")
        return channels

    async def identity(self) -> NodeIdentity:
        """Ask who the node is."""
        identity: NodeIdentity = await self._call("identity")
        return identity

    async def payments_after(self, index: int, limit: int) -> Sequence[NodePayment]:
        """List payments."""
        payments: Sequence[NodePayment] = await self._call("payments_after", index, limit)
        return payments

    async def accepts_keysend(self, destination: bytes) -> bool | None:
        """Ask the graph."""
        accepts: bool | None = await self._call("accepts_keysend", destination)
        return accepts

    async def close(self) -> None:
        """End the process. Calls in flight give LOST."""
        if self._sweep is not None:
            self._sweep.cancel()
        self._lose("closed")
        frames, process, self._frames, self._process = self._frames, self._process, None, None
        if frames is not None:
            frames.close()
        if process is not None:
            await asyncio.to_thread(_end, process)
        self._ended()

    async def _call(self, method: str, *arguments: Any) -> Any:
        if self._frames is None or self._gone is None or self._gone.done():
            raise NodeUnavailable("not connected to lnd")
        loop = asyncio.get_running_loop()
        number, answered = next(self._numbers), loop.create_future()
        self._waiting[number] = (answered, loop.time() + CALL_SECONDS, False)
        self._frames.say((number, method, arguments))
        return await answered

    def _received(self, message: Any) -> None:
        number, what, value = message
        if what == "accepted":
            self.accepted(*value)
            return
        if what == "lost":
            self._lose(value)
            return
        waiting = self._waiting.pop(number, None)
        if waiting is None or waiting[0].done():
            return
        if what == "answer":
            waiting[0].set_result(answer_from(value))
        elif what == "result":
            waiting[0].set_result(pickle.loads(value))  # noqa: S301 - from the other half of this program
        else:
            name, text, reason = value
            waiting[0].set_exception(ERRORS[name](text, reason))

    def _ended(self) -> None:
        self._lose(ENDED)
        waiting, self._waiting = self._waiting, {}
        for answered, _, is_send in waiting.values():
            if answered.done():
                continue
            if is_send:
                answered.set_result(Answer(Kind.LOST, closed=False, message=ENDED))
            else:
                answered.set_exception(NodeUnavailable(ENDED))

    def _lose(self, why: str) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(why)

    def _look_for_overdue(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(1.0, self._look_for_overdue)
        oldest = next(iter(self._waiting.values()), None)
        if oldest is not None and loop.time() > oldest[1] and self._process is not None:
            self._process.kill()


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tell_nobody(payment_hash: bytes, index: int) -> None:
    """What `accepted` is until somebody wants to know."""
