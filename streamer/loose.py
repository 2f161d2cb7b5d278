"""A payment whose end is asked for, and what is known of the calls that were made for it."""

from __future__ import annotations

from dataclasses import dataclass

from streamer.model import Answer, Kind, Payment
from streamer.money import SECOND_NS

CLOCKS_APART_NS = 6 * 3600 * SECOND_NS
"""How far the clocks of two processes may differ: each may be off by 3 hours (link.CLOCK_TOLERANCE_NS)."""


@dataclass(slots=True)
class Loose:
    """A payment whose end is asked for.

    ghost_until_ns: 0 no ghost, -1 until the node is back. absent_since_ns: 0 if it is not.
    earlier: another process planned it, by a clock of its own.
    """

    payment: Payment
    ghost_until_ns: int
    next_ask_ns: int
    asks: int = 0
    refusal: Answer | None = None
    down_since_send: bool = False
    resending: bool = False
    absent_since_ns: int = 0
    earlier: bool = False

    @property
    def sent_after_ns(self) -> int:
        """Before this moment of our clock it was not sent."""
        return self.payment.planned_ns - (CLOCKS_APART_NS if self.earlier else 0)

    @property
    def haunted(self) -> bool:
        """A call of unknown end was made for it."""
        return self.ghost_until_ns != 0

    def is_unpaid(self, answer: Answer) -> bool:
        """The node says so, as one would that was put back to an old copy of what it paid before."""
        return answer.kind is Kind.NOT_FOUND or (answer.kind is Kind.FAILED and self.haunted)
