"""Channels and the search for a way through them.

A channel has two sides; each holds a balance, keeps a reserve, names a fee for forwarding towards
the other side, and offers at most 483 HTLCs. Left out on purpose: commitment fees, anchors, dust,
and a payer that has to guess the balances of others (its retries are folded into one search).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamer.simulator.books import Failure, Order

if TYPE_CHECKING:
    from streamer.simulator.lightning_node import LightningNode

MAX_HTLCS = 483
"""Most HTLCs one side may offer at a time (BOLT 2)."""

RESERVE_DIVISOR = 100
"""Each side keeps 1 % of the capacity (lnd's default channel reserve)."""

DEFAULT_FINAL_DELTA = 80
"""final_cltv_delta when a call leaves it 0 (lnd)."""

BLOCK_PADDING = 3
"""Blocks that lnd adds to the final expiry, so that a block found meanwhile does no harm."""

MAX_CLTV = 2_016
"""cltv_limit when a call leaves it 0 (lnd's max-cltv-expiry)."""


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

    @property
    def spendable_msat(self) -> int:
        """What an HTLC may take now; 0 when the channel is inactive or all slots are taken."""
        if len(self.htlcs) >= MAX_HTLCS or not self.channel.active:
            return 0
        return max(0, self.balance_msat - self.reserve_msat)

    @property
    def other(self) -> Side:
        """The other end."""
        first, second = self.channel.sides
        return second if first is self else first


@dataclass(slots=True, eq=False)
class Channel:
    """A channel; capacity_msat is the sum of both balances and of all pending HTLCs."""

    id: int
    point: str
    capacity_msat: int
    closing: bool = False
    disabled: bool = False
    sides: tuple[Side, ...] = ()
    updates: int = 0

    @property
    def active(self) -> bool:
        """True while both ends are up and the channel is neither closing nor cut."""
        return not self.closing and not self.disabled and self.sides[0].node.up and self.sides[1].node.up


@dataclass(slots=True)
class Hop:
    """One step of a route: the side that offers, the amount over it, its expiry, its HTLC's number."""

    side: Side
    amount_msat: int
    expiry_height: int
    htlc: int = -1


def find_route(payer: LightningNode, destination: LightningNode | None, order: Order, height: int) -> list[Hop] | Failure:
    """The cheapest route for order within its limits, or why there is none, as lnd would say it."""
    amount = order.amount_msat
    final = (order.final_cltv_delta or DEFAULT_FINAL_DELTA) + BLOCK_PADDING
    limit = order.cltv_limit or MAX_CLTV
    if destination is not None and final <= limit + BLOCK_PADDING:
        direct = _roomiest(payer.sides_to.get(destination.pubkey, ()), amount)
        if direct is not None:
            return [Hop(direct, amount, height + final)]
    if max((side.spendable_msat for side in payer.sides), default=0) < amount:
        return Failure.INSUFFICIENT_BALANCE
    if destination is None:
        return Failure.NO_ROUTE
    return _cheapest(payer, destination, order, height, final)


def _roomiest(sides: Iterable[Side], amount_msat: int) -> Side | None:
    best, most = None, amount_msat - 1
    for side in sides:
        # spendable_msat, with the cheap comparison first: this is the hot loop of every payment
        room = side.balance_msat - side.reserve_msat
        if room > most and len(side.htlcs) < MAX_HTLCS and side.channel.active and amount_msat >= side.policy.min_htlc_msat:
            best, most = side, room
    return best


def _cheapest(payer: LightningNode, destination: LightningNode, order: Order, height: int, final: int) -> list[Hop] | Failure:
    """Dijkstra from the destination back to the payer over what each node must be handed."""
    most = order.amount_msat + order.fee_limit_msat
    latest = (order.cltv_limit or MAX_CLTV) + BLOCK_PADDING
    queue: list[tuple[int, int, bytes]] = [(order.amount_msat, final, destination.pubkey)]
    ways: dict[bytes, Hop | None] = {}
    best: dict[bytes, tuple[int, int, Hop | None]] = {destination.pubkey: (order.amount_msat, final, None)}
    nodes = {destination.pubkey: destination}
    while queue:
        amount, cltv, pubkey = heapq.heappop(queue)
        if pubkey in ways:
            continue
        ways[pubkey] = best[pubkey][2]
        if pubkey == payer.pubkey:
            return _unwind(payer, ways)
        for inward in nodes[pubkey].sides:
            side = inward.other
            if side.spendable_msat < amount or amount < side.policy.min_htlc_msat or side.node.pubkey in ways:
                continue
            first = side.node is payer
            need = amount if first else amount + side.policy.fee_msat(amount)
            blocks = cltv if first else cltv + side.policy.cltv_delta
            known = best.get(side.node.pubkey)
            if need <= most and blocks <= latest and (known is None or (need, blocks) < known[:2]):
                best[side.node.pubkey] = (need, blocks, Hop(side, amount, height + cltv))
                nodes[side.node.pubkey] = side.node
                heapq.heappush(queue, (need, blocks, side.node.pubkey))
    return Failure.NO_ROUTE


def _unwind(payer: LightningNode, ways: dict[bytes, Hop | None]) -> list[Hop]:
    route, at = [], ways[payer.pubkey]
    while at is not None:
        route.append(at)
        at = ways[at.side.peer.pubkey]
    return route
