"""What the list of a node's channels says: about payments of unknown end, and whether anything can
be paid.

Read once for many payments: what all of them ask is worked out once.
"""

from __future__ import annotations

from collections.abc import Set

from streamer.ports import Channels
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason

STEADY_NS = 60 * SECOND_NS
"""How long a node must be up before a payment without HTLC counts as an orphan (money rule 6)."""
STEADY_WITHOUT_ALL_NS = 600 * SECOND_NS
"""The same with a channel whose peer stays away: an orphan is counted as paid in the end, so a
wrong guess costs no money.
"""


class ChannelView:
    """The channels of one moment."""

    def __init__(self, channels: Channels) -> None:
        self.points = frozenset(channel.point for channel in channels.channels)
        """The funding outpoints of all that are neither closing nor closed."""
        self.closing = channels.closing
        self.active = [channel for channel in channels.channels if channel.active]
        self.all_active = len(self.active) == len(channels.channels)
        """No channel waits for its peer."""
        self._pending = frozenset[bytes]().union(
            *(channel.pending for channel in channels.channels)
        )
        self._running_ns = channels.running_seconds * SECOND_NS

    def has_htlc(self, payment_hash: bytes) -> bool:
        """A channel has an HTLC of this hash."""
        return payment_hash in self._pending

    def has_restarted(self, since_ns: int, now_ns: int) -> bool:
        """True unless the node says that it has run since before since_ns."""
        return now_ns - self._running_ns >= since_ns

    def is_steady(self, up_ns: int) -> bool:
        """What has no HTLC by now will have none: the node is up for long enough, with all its
        channels or without.
        """
        return up_ns >= (STEADY_NS if self.all_active else STEADY_WITHOUT_ALL_NS)

    def why_unable(self, minimum_msat: int) -> Reason:
        """Why no channel can carry a payment of minimum_msat; NONE if one can."""
        if not self.active:
            return Reason.NODE_DOWN
        # lnd says INSUFFICIENT_BALANCE in all three cases, and to a payment that is only too large
        # for any one channel
        able = [channel for channel in self.active if channel.spendable_msat >= minimum_msat]
        if not able:
            return Reason.NO_LIQUIDITY
        return (
            Reason.NONE
            if any(channel.slots < channel.max_htlcs for channel in able)
            else Reason.NO_SLOTS
        )

    @property
    def slots(self) -> int:
        """HTLCs of ours that the peers of the active channels accept together."""
        return sum(channel.max_htlcs for channel in self.active)

    def free(self, hashes: Set[bytes]) -> int:
        """How many slots there are for us, those of the HTLCs with these hashes (ours) among them:
        what others have taken is taken.

        Only half of them carry what is under way: lnd says that a payment has settled when it knows
        the preimage, but its HTLC keeps its slot until both peers have signed that it is gone, for
        up to as long again (tests/lnd/test_few_slots.py).
        """
        taken = sum(channel.slots - len(hashes & channel.pending.keys()) for channel in self.active)
        return max(0, self.slots - taken)


UNABLE_TEXT = {
    Reason.NODE_DOWN: (
        "the node has no active channel: see that its peers are online (`lncli listchannels`)"
    ),
    Reason.NO_LIQUIDITY: (
        "no channel of the node can send the minimum payment: open a channel, or receive first"
    ),
    Reason.NO_SLOTS: (
        "all HTLC slots of the node's channels are taken: wait for held payments, or open a channel"
    ),
}
