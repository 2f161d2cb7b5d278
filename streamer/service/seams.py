"""What the use cases need of the running daemon: one engine per node, and a few things shared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from streamer.core.book import Book, Shared
from streamer.model import Facts, Payment, Record
from streamer.ports import Clock, NodeIdentity, Store
from streamer.reasons import Halt
from streamer.service.reports import Events, Totals
from streamer.settings import StreamSettings


class Engine(Protocol):
    """The engine of one node, as the service sees it. Rates are payments per second, 0: not known."""

    @property
    def name(self) -> str:
        """The node's name in the configuration."""

    @property
    def book(self) -> Book:
        """Its streams and open payments."""

    @property
    def up(self) -> bool:
        """Whether the node can be used now."""

    @property
    def problem(self) -> str:
        """What keeps it from paying, and what to do; empty if nothing does."""

    @property
    def identity(self) -> NodeIdentity | None:
        """Who the node is; None until it was reached once."""

    @property
    def halts(self) -> Collection[Halt]:
        """Reasons that stop this node."""

    @property
    def window(self) -> int:
        """Payments that may be in flight now."""

    @property
    def in_flight(self) -> int:
        """Payments that are in flight."""

    @property
    def capacity(self) -> float:
        """What the node manages, as measured."""

    @property
    def wanted(self) -> float:
        """What its streams ask for together."""

    def wake(self) -> None:
        """Look at the book again: something was changed."""

    async def pay(
        self, owner: str, *, destination: bytes, amount_msat: int, fee_limit_msat: int, records: tuple[Record, ...], facts: Facts
    ) -> Payment:
        """Plan one payment of no stream, make it durable with facts, and send it.

        Returns when it is durable. Raises Unavailable, FailedPrecondition or ResourceExhausted if it
        may not be sent; then nothing was paid.
        """

    async def ended(self, payment: Payment) -> None:
        """Return when payment has ended; cancelling it does nothing."""

    async def drained(self) -> None:
        """Return when nothing is in flight."""

    async def accepts_keysend(self, destination: bytes) -> bool | None:
        """What the graph says; None: nothing known."""

    async def accept_identity(self, pubkey: bytes) -> None:
        """Take another node in the place of the one known so far. Raises FailedPrecondition."""


@dataclass(slots=True)
class Surroundings:
    """What all use cases share.

    replay reads the journal again after STORE_FAILED. preimage gives the preimage of a single
    payment. stream_keys gives the keys of new streams, rising.
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
