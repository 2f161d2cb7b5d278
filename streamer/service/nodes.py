"""The nodes that use cases work with: their engines, and what these share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamer.books.desk import Desk
from streamer.books.timekeeping import Timekeeping
from streamer.core.book import Shared
from streamer.pay.build import Build
from streamer.pay.engine import Engine
from streamer.ports import Clock, History
from streamer.service.forecast import payments_per_second
from streamer.words.errors import InvalidArgument
from streamer.words.model import StreamState
from streamer.words.money import SECOND_NS

ASKING = frozenset({StreamState.PENDING, StreamState.ACTIVE, StreamState.STALLED})
COUNT_AGAIN_NS = SECOND_NS
"""What all streams want together is counted at most this often: it looks at each of them."""


@dataclass(slots=True)
class Nodes:
    """engines by node name; the first is the default."""

    engines: Mapping[str, Engine]
    desk: Desk
    clock: Clock
    shared: Shared
    timekeeping: Timekeeping
    _wanted: dict[str, tuple[int, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, build: Build, engines: Mapping[str, Engine]) -> Nodes:
        """These engines were built of build."""
        return cls(engines, build.desk, build.clock, build.shared, build.timekeeping)

    @property
    def history(self) -> History:
        """The journal, to read."""
        return self.desk.history

    def known_ns(self) -> int:
        """The moment by which keys expire: 0 while nobody knows whether it is so late."""
        return self.clock.now_ns() if self.timekeeping.known else 0

    def engine_for(self, node: str) -> Engine:
        """The engine of a node by its name; empty: the first. Raises InvalidArgument."""
        if not node and self.engines:
            return next(iter(self.engines.values()))
        if node not in self.engines:
            raise InvalidArgument(
                f"no node {node!r} is configured; there are: {', '.join(self.engines)}"
            )
        return self.engines[node]

    def wanted_per_second(self, engine: Engine) -> float:
        """Payments a second that the streams of a node ask for together (as of the last second)."""
        now_ns = self.clock.now_ns()
        counted_ns, wanted = self._wanted.get(engine.name, (0, 0.0))
        if not 0 <= now_ns - counted_ns < COUNT_AGAIN_NS:
            streams = engine.book.streams.values()
            wanted = sum(
                payments_per_second(stream.terms) for stream in streams if stream.state in ASKING
            )
            self._wanted[engine.name] = (now_ns, wanted)
        return wanted


def own_pubkey(engine: Engine) -> bytes | None:
    """Of the connected node, or the one that the journal knows while it is not reached."""
    if engine.identity is not None:
        return engine.identity.pubkey
    return bytes.fromhex(engine.link.known_pubkey) or None
