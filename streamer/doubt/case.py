"""A payment whose end is unclear: how far one has come with it, and what is known of the calls that
were made for it.

A case begins when a call ends without the payment's end, when a process finds the payment open at
its start, or when the node has failed it for want of balance, and it is not known whose fault that
is. It ends with the payment; one that ends unpaid under a ghost is looked at for an hour more,
because what lay in a proxy for too long may settle it late (money rule 4).

    ASKING ⇄ RESENDING      the node was asked, and the same call may go again; when that has
                            ended, it is asked again
    ASKING → SHORT          the node has failed it for want of balance
    → GIVEN_UP              it has ended unpaid, with a ghost
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from streamer.core.verdict import Ghost, ghost_of
from streamer.words.model import Answer, Kind, Payment
from streamer.words.money import SECOND_NS

CLOCKS_APART_NS = 6 * 3600 * SECOND_NS
"""How far the clocks of two processes may differ: each may be off by 3 hours
(link.CLOCK_TOLERANCE_NS).
"""


ASK_AGAIN_NS = SECOND_NS
ASK_AT_LEAST_EVERY_NS = 60 * SECOND_NS


class Phase(Enum):
    """How far one has come with a case."""

    ASKING = "the node is asked for its end"
    RESENDING = (
        "the same call is about to go again, or is with the node: nobody asks before it has ended"
    )
    SHORT = "the node has failed it for want of balance: its channels tell whose fault that was"
    GIVEN_UP = (
        "it has ended unpaid: the node is asked now and then whether it has settled after all"
    )


@dataclass(slots=True)
class Case:
    """A payment whose end is unclear.

    ghost_until_ns: 0 no ghost, -1 until the node is back. absent_since_ns: 0 if it is not. earlier:
    another process planned it, by a clock of its own. short: what the node said of one that is
    SHORT. until_ns: how long one that is GIVEN_UP is looked at.
    """

    payment: Payment
    ghost_until_ns: int
    next_ask_ns: int
    asks: int = 0
    refusal: Answer | None = None
    down_since_send: bool = False
    absent_since_ns: int = 0
    earlier: bool = False
    phase: Phase = Phase.ASKING
    short: Answer | None = None
    until_ns: int = 0

    @property
    def sent_after_ns(self) -> int:
        """Before this moment of our clock it was not sent."""
        return self.payment.planned_ns - (CLOCKS_APART_NS if self.earlier else 0)

    @property
    def haunted(self) -> bool:
        """A call of unknown end was made for it."""
        return self.ghost_until_ns != 0

    @property
    def unclear(self) -> bool:
        """Its end is: of one that is SHORT, and has no ghost, the node has told it."""
        return self.phase is not Phase.SHORT or self.haunted

    def ghost(self, now_ns: int) -> Ghost:
        """What its calls of unknown end may still do."""
        return ghost_of(self.haunted, self.ghost_until_ns < 0 or now_ns < self.ghost_until_ns)

    def move_time(self, by_ns: int) -> None:
        """Our time is by_ns later than it was, or earlier."""
        self.next_ask_ns += by_ns
        self.ghost_until_ns += by_ns if self.ghost_until_ns > 0 else 0
        self.absent_since_ns += by_ns if self.absent_since_ns else 0
        self.until_ns += by_ns if self.until_ns else 0

    def lose_connection(self) -> None:
        """The connection died: what was said on it counts no more, and a ghost lives on until the
        node is back.
        """
        self.down_since_send = True
        self.absent_since_ns = 0
        if self.phase is Phase.RESENDING:
            self.phase = Phase.ASKING  # what was said on one connection sends nothing on the next
        self.refusal = None  # a node that would not have us any more refuses each call
        if self.haunted:
            # not from now: what was said to a frozen lnd, or lies in a proxy, is executed when that
            # is back
            self.ghost_until_ns = -1

    def ask_anew(self, ghost_until_ns: int) -> None:
        """The node is back: ask about it now, as if for the first time. A ghost lives no longer
        than until ghost_until_ns.
        """
        self.next_ask_ns = self.asks = 0
        if self.haunted:
            self.ghost_until_ns = ghost_until_ns

    def put_off(self, now_ns: int) -> None:
        """It was asked for: the next time comes ever later, and within a minute."""
        self.asks += 1
        self.next_ask_ns = now_ns + min(ASK_AT_LEAST_EVERY_NS, ASK_AGAIN_NS << min(self.asks, 6))

    def told_short(self, now_ns: int) -> Answer | None:
        """What the node said of one that is SHORT, to be judged once: it is asked for as any other,
        should its end not come of that.
        """
        if self.phase is not Phase.SHORT:
            return None
        answer, self.short, self.phase = self.short, None, Phase.ASKING
        self.put_off(now_ns)
        return answer

    def is_due(self, now_ns: int) -> bool:
        """It is time to ask the node about it: not of one that has ended, while that is on its way
        to the disk.
        """
        return self.phase is Phase.ASKING and self.payment.open and self.next_ask_ns <= now_ns

    def is_unpaid(self, answer: Answer) -> bool:
        """The node says so, as one would that was put back to an old copy of what it paid
        before.
        """
        return answer.kind is Kind.NOT_FOUND or (answer.kind is Kind.FAILED and self.haunted)

    def was_away(self, up_since_ns: int) -> bool:
        """The node may have been restarted since it was sent."""
        return self.down_since_send or up_since_ns > self.payment.planned_ns
