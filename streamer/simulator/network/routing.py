"""The search for a way through the network, as a payer makes it who knows only its own balances.

The graph says which channels there are, what they cost and how large they are; what is in them it
does not say. A payer finds out by trying (experience.py).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from streamer.simulator.network.books import Failure, Order
from streamer.simulator.network.channels import RESERVE_DIVISOR, Hop, Policy, Side
from streamer.simulator.network.experience import Experience

if TYPE_CHECKING:
    from streamer.simulator.encoding.bolt11 import HopHint
    from streamer.simulator.network.lightning_node import LightningNode

DEFAULT_FINAL_DELTA = 80
"""final_cltv_delta when a call leaves it 0 (lnd)."""

BLOCK_PADDING = 3
"""Blocks that lnd adds to the final expiry, so that a block found meanwhile does no harm."""

MAX_CLTV = 2_016
"""cltv_limit when a call leaves it 0 (lnd's max-cltv-expiry)."""

Avoids = Callable[[Side, int], bool]
"""Whether the payer would rather not hand so much to the side."""


def find_route(
    payer: LightningNode,
    destination: LightningNode | None,
    order: Order,
    height: int,
    now_ns: int,
    *,
    padding: int = BLOCK_PADDING,
    experienced: bool = True,
) -> list[Hop] | Failure:
    """The cheapest route for order within its limits, or why there is none, as lnd would say it.

    experienced: the payer avoids what has just failed.
    """
    amount = order.amount_msat
    final = (order.final_cltv_delta or DEFAULT_FINAL_DELTA) + padding
    limit = order.cltv_limit or MAX_CLTV
    if destination is not None and final <= limit + padding and not order.last_hop:
        direct = _roomiest(_allowed(payer.sides_to.get(destination.pubkey, ()), order), amount)
        if direct is not None:
            return [Hop(direct, amount, height + final)]
    if max((side.spendable_msat for side in _allowed(payer.sides, order)), default=0) < amount:
        return Failure.INSUFFICIENT_BALANCE
    if destination is None:
        return Failure.NO_ROUTE
    experience = payer.experience if experienced else Experience()
    return _cheapest(
        payer, destination, order, height, final, partial(experience.avoids, now_ns=now_ns)
    )


def blocked_hop(route: list[Hop]) -> int:
    """The first hop after the payer's own whose channel cannot carry it, or -1."""
    for number, hop in enumerate(route[1:], 1):
        if hop.side.spendable_msat < hop.amount_msat:
            return number
    return -1


def _allowed(sides: Iterable[Side], order: Order) -> Iterable[Side]:
    if not order.outgoing_channels:
        return sides
    return [side for side in sides if side.channel.id in order.outgoing_channels]


def _roomiest(sides: Iterable[Side], amount_msat: int) -> Side | None:
    best, most = None, amount_msat - 1
    for side in sides:
        # spendable_msat, with the cheap comparison first: this is the hot loop of every payment
        room = side.balance_msat - side.reserve_msat
        if (
            room > most
            and len(side.htlcs) < side.max_htlcs
            and side.channel.active
            and amount_msat >= side.policy.min_htlc_msat
        ):
            best, most = side, room
    return best


def _cheapest(
    payer: LightningNode,
    destination: LightningNode,
    order: Order,
    height: int,
    final: int,
    avoids: Avoids,
) -> list[Hop] | Failure:
    """Dijkstra from the destination back to the payer over what each node must be handed."""
    most = order.amount_msat + order.fee_limit_msat
    latest = (order.cltv_limit or MAX_CLTV) + BLOCK_PADDING
    hinted = {hint.channel_id: hint for route in order.hints for hint in route}
    queue: list[tuple[int, int, bytes]] = [(order.amount_msat, final, destination.pubkey)]
    ways: dict[bytes, Hop | None] = {}
    best: dict[bytes, tuple[int, int, Hop | None]] = {
        destination.pubkey: (order.amount_msat, final, None)
    }
    nodes = {destination.pubkey: destination}
    while queue:
        amount, cltv, pubkey = heapq.heappop(queue)
        if pubkey in ways:
            continue
        ways[pubkey] = best[pubkey][2]
        if pubkey == payer.pubkey:
            return _unwind(payer, ways)
        for side in _inward(payer, nodes[pubkey], order, amount, avoids):
            neighbour = side.node.pubkey
            if neighbour in ways or (
                side.channel.private and side.node is not payer and side.channel.id not in hinted
            ):
                continue
            terms = _terms(side, hinted)
            first = side.node is payer
            need = amount if first else amount + terms.fee_msat(amount)
            blocks = cltv if first else cltv + terms.cltv_delta
            known = best.get(neighbour)
            if need <= most and blocks <= latest and (known is None or (need, blocks) < known[:2]):
                best[neighbour] = (need, blocks, Hop(side, amount, height + cltv))
                nodes[neighbour] = side.node
                heapq.heappush(queue, (need, blocks, neighbour))
    return Failure.NO_ROUTE


def _inward(
    payer: LightningNode, node: LightningNode, order: Order, amount_msat: int, avoids: Avoids
) -> Iterator[Side]:
    """The sides over which node may be handed so much, as far as the payer knows: its roomiest
    channel comes first.
    """
    last = node.pubkey == order.destination and order.last_hop
    for inward in sorted(
        node.sides, key=lambda side: -side.other.balance_msat if side.peer is payer else 0
    ):
        side = inward.other
        if (
            not side.channel.active
            or amount_msat < side.policy.min_htlc_msat
            or (last and side.node.pubkey != order.last_hop)
        ):
            continue
        if side.node is payer:
            usable = side.spendable_msat >= amount_msat and (
                not order.outgoing_channels or side.channel.id in order.outgoing_channels
            )
        else:
            most = side.channel.capacity_msat - side.channel.capacity_msat // RESERVE_DIVISOR
            usable = amount_msat <= most and not avoids(side, amount_msat)
        if usable:
            yield side


def _terms(side: Side, hinted: dict[int, HopHint]) -> Policy:
    """What forwarding over the side costs: of a hinted private channel what the hint says."""
    hint = hinted.get(side.channel.id) if side.channel.private else None
    return side.policy if hint is None else Policy(hint.base_msat, hint.ppm, hint.cltv_delta)


def _unwind(payer: LightningNode, ways: dict[bytes, Hop | None]) -> list[Hop]:
    route, at = [], ways[payer.pubkey]
    while at is not None:
        route.append(at)
        at = ways[at.side.peer.pubkey]
    return route
