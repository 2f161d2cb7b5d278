"""Channels: two sides, each with a balance, a reserve, a fee for forwarding, and at most 483 HTLCs,
or as many as the other accepts.

The one who opened a channel pays its commitment transaction and both anchors. Left out on purpose:
what each pending HTLC adds to that fee, and dust.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.simulator.network.lightning_node import LightningNode

MAX_HTLCS = 483
"""Most HTLCs one side may offer at a time (BOLT 2)."""

RESERVE_DIVISOR = 100
"""Each side keeps 1 % of the capacity (lnd's default channel reserve)."""

COMMIT_SAT = 284
"""Fee of a commitment transaction with both outputs and anchors: 1,124 weight units at 253 sat per
1,000.
"""

ANCHORS_SAT = 660
"""Both anchor outputs (BOLT 3)."""


@dataclass(slots=True, frozen=True)
class Policy:
    """What a side asks for forwarding over its channel: base_msat + amount · ppm // 10⁶."""

    base_msat: int = 1_000
    ppm: int = 1
    cltv_delta: int = 80
    min_htlc_msat: int = 1_000

    def fee_msat(self, amount_msat: int) -> int:
        """The fee for forwarding amount_msat, in msat."""
        return self.base_msat + amount_msat * self.ppm // 1_000_000


@dataclass(slots=True)
class Htlc:
    """One HTLC that is pending in a channel."""

    payment_hash: bytes
    amount_msat: int
    expiry_height: int


@dataclass(slots=True, eq=False)
class Side:
    """One end of a channel: what `node` holds in it and offers to `peer`."""

    channel: Channel
    node: LightningNode
    peer: LightningNode
    balance_msat: int
    reserve_msat: int
    policy: Policy
    htlcs: dict[int, Htlc] = field(default_factory=dict)
    next_htlc: int = 0
    sent_msat: int = 0
    closer: bool = False
    max_htlcs: int = field(default_factory=lambda: MAX_HTLCS)

    def close(self, *, forced: bool = False) -> None:
        """This end closes the channel: with the other, or by force."""
        self.closer = self.channel.closing = True
        self.channel.forced = forced

    @property
    def closing(self) -> bool:
        """Whether this end knows of it: the other's commitment it sees in a block, and none comes
        that has it.
        """
        return self.channel.closing and (self.closer or not self.channel.forced)

    @property
    def active(self) -> bool:
        """What this end calls the channel: active, too, when it was closed by force and this end
        does not know.
        """
        return self.channel.connected and not self.closing

    @property
    def spendable_msat(self) -> int:
        """What an HTLC may take now; 0 when the channel is inactive or all slots are taken."""
        if len(self.htlcs) >= self.max_htlcs or not self.channel.active:
            return 0
        return max(0, self.balance_msat - self.reserve_msat)

    @property
    def other(self) -> Side:
        """The other end."""
        first, second = self.channel.sides
        return second if first is self else first


@dataclass(slots=True, eq=False)
class Channel:
    """A channel that sides[0] opened; capacity_msat is the sum of balances, pending HTLCs, and what
    the commitment costs.

    A private channel is not in the graph.
    """

    id: int
    point: str
    capacity_msat: int
    private: bool = False
    push_msat: int = 0
    opened_ns: int = 0
    closing: bool = False
    forced: bool = False
    disabled: bool = False
    sides: tuple[Side, ...] = ()
    updates: int = 0

    @property
    def active(self) -> bool:
        """True while both ends are up and the channel is neither closing nor cut."""
        return not self.closing and self.connected

    @property
    def connected(self) -> bool:
        """True while both ends are up and the channel is not cut."""
        return not self.disabled and self.sides[0].node.up and self.sides[1].node.up


@dataclass(slots=True)
class Hop:
    """One step of a route: the side that offers, the amount over it, its expiry, its HTLC's
    number.
    """

    side: Side
    amount_msat: int
    expiry_height: int
    htlc: int = -1
