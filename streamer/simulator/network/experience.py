"""What a payer learns about pairs of nodes by paying: lnd's mission control, made simple.

A pair that carried an amount is trusted with it, one that could not is avoided for PENALTY_NS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from streamer.simulator.network.channels import Hop, Side
from streamer.words.money import SECOND_NS

PENALTY_NS = 60 * SECOND_NS
"""How long a payer avoids a pair of nodes that could not carry an amount (lnd: its least penalty, a
minute).
"""

HALF_LIFE_NS = 3_600 * SECOND_NS
KNOWN_PROBABILITY = 0.95
UNKNOWN_PROBABILITY = 0.6
"""lnd's defaults: until when a failure counts half; an own channel, or a pair that has carried as
much; any other pair.
"""

Pair = tuple[bytes, bytes]


@dataclass(slots=True)
class Experience:
    """By (from, to): the least amount that failed between them and when, and the most that went
    through.
    """

    failed: dict[Pair, tuple[int, int]] = field(default_factory=dict)
    carried: dict[Pair, int] = field(default_factory=dict)

    def fail(self, side: Side, amount_msat: int, now_ns: int) -> None:
        """The channels of this pair could not carry amount_msat."""
        pair = _pair(side)
        self.failed[pair] = (amount_msat, now_ns)
        self.carried[pair] = min(self.carried.get(pair, 0), amount_msat - 1)

    def succeed(self, route: Sequence[Hop]) -> None:
        """The route carried its HTLC to the end. What a payer's own channels can carry it knows
        without.
        """
        for hop in route[1:]:
            pair = _pair(hop.side)
            self.carried[pair] = max(self.carried.get(pair, 0), hop.amount_msat)
            least, when = self.failed.get(pair, (hop.amount_msat + 1, 0))
            if least <= hop.amount_msat:
                self.failed[pair] = (hop.amount_msat + 1, when)

    def avoids(self, side: Side, amount_msat: int, now_ns: int) -> bool:
        """True while the pair is not to be tried with so much."""
        known = self.failed.get(_pair(side))
        if known is None:
            return False
        least, when = known
        return amount_msat >= least and now_ns < when + PENALTY_NS

    def probability(self, route: Sequence[Hop], now_ns: int) -> float:
        """How likely the route is to carry its HTLC, from 0 to 1."""
        found = KNOWN_PROBABILITY
        for hop in route[1:]:
            found *= self._between(hop.side, hop.amount_msat, now_ns)
        return found

    def _between(self, side: Side, amount_msat: int, now_ns: int) -> float:
        pair = _pair(side)
        if amount_msat <= self.carried.get(pair, 0):
            return KNOWN_PROBABILITY
        least, when = self.failed.get(pair, (amount_msat + 1, now_ns))
        if amount_msat < least:
            return UNKNOWN_PROBABILITY
        return UNKNOWN_PROBABILITY * (1 - math.exp2((when - now_ns) / HALF_LIFE_NS))


def _pair(side: Side) -> Pair:
    return side.node.pubkey, side.peer.pubkey
