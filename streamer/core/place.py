"""What a round over all nodes needs of the book of a stream."""

from __future__ import annotations

from typing import Protocol

from streamer.words.model import Facts, Stream, StreamState
from streamer.words.reasons import Reason


class Place(Protocol):
    """The book of a stream that waits."""

    def due_ns(self, stream: Stream) -> int | None:
        """When its next payment is due; None while it waits for something else."""

    def call_up(self, stream: Stream, due_ns: int) -> None:
        """Its turn has come: it enters the ready queue."""

    def cap_msat(self, stream: Stream) -> int | None:
        """The largest payment that it makes; None: of any size."""

    def own_msat(self, stream: Stream, until_ns: int, now_ns: int) -> int | None:
        """What its own budget holds until then, with its renewals; None if it has none."""

    def stands_in_line(self, stream: Stream) -> bool:
        """It could pay, and waits for room at the node or at its receiver."""

    def pass_time(self, stream: Stream, now_ns: int, facts: Facts) -> None:
        """Let its start, ttl and end take effect."""

    def fall_short(
        self, stream: Stream, of: Reason, until_ns: int, now_ns: int, facts: Facts
    ) -> None:
        """The budget (of) does not hold its minimum payment."""

    def is_funded(self, stream: Stream, since_ns: int, facts: Facts) -> None:
        """There is money for it again."""

    def close(
        self, stream: Stream, ends_as: StreamState, reason: Reason, now_ns: int, facts: Facts
    ) -> None:
        """It ends."""

    def wake(self) -> None:
        """Its engine looks at what is due."""
