"""What the engine's process and the sender's say to each other over a socket pair.

A frame is a 4-byte length and a marshal of a list of messages, so that what gathers during one turn
of the loop costs one write. Only the two halves of one program ever speak it, of the same Python.
"""

from __future__ import annotations

import asyncio
import marshal
from collections.abc import Callable
from typing import Any, cast

from streamer.model import Answer, Kind
from streamer.reasons import Reason

LENGTH_BYTES = 4


class Frames(asyncio.Protocol):
    """One end of the socket: gathers messages into frames, and takes frames apart."""

    def __init__(self, received: Callable[[Any], None], ended: Callable[[], None]) -> None:
        self._received = received
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._out: list[Any] = []
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours."""
        self._transport = cast(asyncio.Transport, transport)

    def say(self, message: Any) -> None:
        """Send message with the others of this turn of the loop."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(message)

    def _flush(self) -> None:
        frame = marshal.dumps(self._out)
        self._out = []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(len(frame).to_bytes(LENGTH_BYTES, "big") + frame)

    def data_received(self, data: bytes) -> None:
        """Hand over each message of each whole frame."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= LENGTH_BYTES:
            end = start + LENGTH_BYTES + int.from_bytes(buffer[start : start + LENGTH_BYTES], "big")
            if len(buffer) < end:
                break
            with memoryview(buffer) as view:
                messages = marshal.loads(view[start + LENGTH_BYTES : end])  # noqa: S302 - from the other half of this program
            for message in messages:
                self._received(message)
            start = end
        del buffer[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        """The other end is gone."""
        self._ended()

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()


_KINDS = {kind.value: kind for kind in Kind}
_REASONS = {str(reason): reason for reason in Reason}


def answer_from(fields: tuple[Any, ...]) -> Answer:
    """The answer of answer_fields."""
    kind, accepted, closed, amount, fee, reason, text, index, preimage = fields
    return Answer(_KINDS[kind], accepted, closed, amount, fee, _REASONS[reason], text, index, preimage)


def answer_fields(answer: Answer) -> tuple[Any, ...]:
    """An answer as marshal can carry it."""
    return (
        answer.kind.value, answer.accepted, answer.closed, answer.amount_msat, answer.fee_msat, str(answer.reason), answer.message,
        answer.index, answer.preimage,
    )  # fmt: skip
