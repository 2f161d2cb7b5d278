"""What all use cases share: the engines, the journal, and a few functions of the daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from streamer.books.desk import Desk
from streamer.books.timekeeping import Timekeeping
from streamer.core.book import Shared
from streamer.pay.engine import Engine
from streamer.ports import Clock, History
from streamer.service.forecast import payments_per_second
from streamer.service.keyring import Keyring
from streamer.service.reports import Events, Totals
from streamer.service.requests import Requests
from streamer.words.errors import InvalidArgument
from streamer.words.model import StreamState
from streamer.words.money import SECOND_NS
from streamer.words.settings import InvoiceSettings, StreamSettings

ASKING = frozenset({StreamState.PENDING, StreamState.ACTIVE, StreamState.STALLED})
COUNT_AGAIN_NS = SECOND_NS
"""What all streams want together is counted at most this often: it looks at each of them."""


@dataclass(slots=True)
class Surroundings:
    """Made once by the daemon.

    engines by node name, the first is the default. replay reads the journal again after
    STORE_FAILED. preimage gives the preimage of a single payment. stream_keys gives the keys of new
    streams, rising.
    """

    engines: Mapping[str, Engine]
    desk: Desk
    clock: Clock
    shared: Shared
    settings: StreamSettings
    events: Events
    stream_keys: Iterator[int]
    preimage: Callable[[str], bytes]
    totals: Callable[[], Totals]
    replay: Callable[[], None]
    start_time_ns: int
    keys: Keyring
    invoices: InvoiceSettings = field(default_factory=InvoiceSettings)
    request_ids: Requests = field(init=False)
    """One for all that a request_id can make: a stream and a payment that are asked for at once
    would both find it unused.
    """
    _wanted: dict[str, tuple[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.request_ids = Requests(self.desk)

    @property
    def history(self) -> History:
        """The journal, to read."""
        return self.desk.history

    @property
    def timekeeping(self) -> Timekeeping:
        """Whether the clock is right; the engines share it."""
        return next(iter(self.engines.values())).timekeeping

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
