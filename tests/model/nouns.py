"""What the plain model speaks of beside the stream: a payment, a purchase, and the node that all
streams share.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamer.core.retry import REFUSALS_UNTIL_STALLED
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from tests.model.prices import Prices
from tests.model.spans import Causes, within

HOLD_AFTER = 30 * SECOND_NS


@dataclass(eq=False)
class Paid:
    """A payment as it was planned, and what became of it: open, settled, failed or written off."""

    seq: int
    planned: int
    due: int
    amount: int
    fee_limit: int
    until: int
    skip: int
    skip_msat: int
    probe: bool
    state: str = "open"
    fee: int = 0
    doubt: bool = False
    held: bool = False
    orphan: bool = False

    @property
    def takes_place(self) -> bool:
        return self.state == "open" and not self.doubt and not self.orphan


@dataclass(frozen=True)
class Purchase:
    amount: int
    until: int
    skip: int
    skip_msat: int
    prices: Prices


class Receiver:
    """How many payments its streams may have under way to it, by what it has shown: one, and one
    more with each that settles in time.
    """

    def __init__(self) -> None:
        self.shown = 1

    def holds(self) -> None:
        """It keeps one for too long."""
        self.shown = 1

    def ended(self, payment: Paid, now: int, outages: Causes) -> None:
        """What ends late shows that it is not proven, unless nobody could see the end: there was an
        outage meanwhile.
        """
        late = now - payment.planned > HOLD_AFTER
        if payment.held or (late and not within(outages.until(now), [(payment.planned, now)])):
            self.shown = 1
        elif payment.state == "settled" and not late:
            self.shown += 1


class Node:
    """What all streams of it share: outages, the sending switch, and what one payment may be."""

    def __init__(self, stall_after: int, most_msat: int) -> None:
        self.stall_after, self.most_msat = stall_after, most_msat
        self.outages = Causes()
        self.sending = True

    def limit(self, reason: Reason) -> int:
        """So many failures in a row, the last for this reason, stall a stream."""
        if reason is Reason.RECEIVER_REJECTED:
            return 1
        return (
            min(self.stall_after, REFUSALS_UNTIL_STALLED)
            if reason is Reason.NODE_REFUSED
            else self.stall_after
        )
