"""What all use cases share: the engines, the journal, and a few functions of the daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from streamer.core.book import Shared
from streamer.engine import Engine
from streamer.errors import InvalidArgument
from streamer.model import StreamState
from streamer.money import SECOND_NS
from streamer.ports import Clock, Store
from streamer.reasons import Halt
from streamer.service.forecast import payments_per_second
from streamer.service.keyring import Keyring
from streamer.service.reports import Events, Totals
from streamer.settings import InvoiceSettings, StreamSettings

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
    store: Store
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
    _wanted: dict[str, tuple[int, float]] = field(default_factory=dict)

    def engine_for(self, node: str) -> Engine:
        """The engine of a node by its name; empty: the first. Raises InvalidArgument."""
        if not node and self.engines:
            return next(iter(self.engines.values()))
        if node not in self.engines:
            raise InvalidArgument(f"no node {node!r} is configured; there are: {', '.join(self.engines)}")
        return self.engines[node]

    def wanted_per_second(self, engine: Engine) -> float:
        """Payments a second that the streams of a node ask for together (as of the last second)."""
        now_ns = self.clock.now_ns()
        counted_ns, wanted = self._wanted.get(engine.name, (0, 0.0))
        if now_ns - counted_ns >= COUNT_AGAIN_NS:
            streams = engine.book.streams.values()
            wanted = sum(payments_per_second(stream.terms) for stream in streams if stream.state in ASKING)
            self._wanted[engine.name] = (now_ns, wanted)
        return wanted


def own_pubkey(engine: Engine) -> bytes | None:
    """Of the connected node, or the one that the journal knows while it is not reached."""
    if engine.identity is not None:
        return engine.identity.pubkey
    return bytes.fromhex(engine.link.known_pubkey) or None


def problem_of(engine: Engine) -> str:
    """What keeps a node from paying, in words; empty if nothing does.

    RECOVERING holds from the start until the first connection is checked: while that cannot be made,
    the reason for that says more.
    """
    halts = engine.switch.halts
    grave = next((text for halt, text in halts.items() if halt is not Halt.RECOVERING), "")
    return grave or engine.link.problem or halts.get(Halt.RECOVERING, "") or ("" if engine.up else "not reached yet")
