"""The life of a payment: one table, and what each move does to the money.

A payment is PLANNED when its intent is durable: its amount and fee limit are reserved. From then on
only knowledge moves it, never time:

- The node acknowledges it (IN_FLIGHT), or the call's end was not seen (UNKNOWN). Both keep the
  reserve. UNKNOWN is not FAILED: the node may be executing it this very moment.
- The node says that it settled: the reserve is *posted* with the node's own amount and fee.
- The node says for certain that it failed or was refused, and no call that could still be executed
  is alive (money rules 3, 4, 7): the reserve is *voided*, and its amount is owed again. The next
  payment gets the next seq and a new hash; this one is never sent again.
- It was planned but never handed to the node, by this very process (WITHDRAWN): voided as well.
- A person, or the rule for orphans, writes it off: counted as paid, so that it can never be paid
  twice. The safe side: the stream's bought time stays bought.

Two moves look odd, and are legal. FAILED → SETTLED: the node executed a copy of the call after it
had said "failed" (money rule 4): posted *late*, and alarmed; the stream then has a credit.
WRITTEN_OFF and then known as failed: the budgets get the money back (*refund*), the stream does
not.

There is no move from an open state to an ended one that knowledge did not cause, and none out of
SETTLED at all.
"""

from __future__ import annotations

from enum import Enum

from streamer.words.model import PaymentState as S


class Event(Enum):
    """What became known about a payment. Hashed by identity: Enum's own hash is a Python call."""

    __hash__ = object.__hash__

    ACCEPTED = "accepted"
    LOST = "lost"
    SETTLED = "settled"
    FAILED = "failed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    WRITE_OFF = "write_off"


class Money(Enum):
    """What a move does to the reserve."""

    HOLD = "hold"
    POST = "post"
    VOID = "void"
    LATE = "late"
    REFUND = "refund"
    NOTHING = "nothing"


TABLE: dict[tuple[S, Event], tuple[S, Money]] = {
    (S.PLANNED, Event.ACCEPTED): (S.IN_FLIGHT, Money.HOLD),
    (S.PLANNED, Event.LOST): (S.UNKNOWN, Money.HOLD),
    (S.PLANNED, Event.SETTLED): (S.SETTLED, Money.POST),
    (S.PLANNED, Event.FAILED): (S.FAILED, Money.VOID),
    (S.PLANNED, Event.REFUSED): (S.REFUSED, Money.VOID),
    (S.PLANNED, Event.WITHDRAWN): (S.FAILED, Money.VOID),
    (S.PLANNED, Event.WRITE_OFF): (S.WRITTEN_OFF, Money.POST),
    (S.IN_FLIGHT, Event.ACCEPTED): (S.IN_FLIGHT, Money.HOLD),
    (S.IN_FLIGHT, Event.LOST): (S.UNKNOWN, Money.HOLD),
    (S.IN_FLIGHT, Event.SETTLED): (S.SETTLED, Money.POST),
    (S.IN_FLIGHT, Event.FAILED): (S.FAILED, Money.VOID),
    (S.IN_FLIGHT, Event.WRITE_OFF): (S.WRITTEN_OFF, Money.POST),
    (S.UNKNOWN, Event.ACCEPTED): (S.IN_FLIGHT, Money.HOLD),
    (S.UNKNOWN, Event.LOST): (S.UNKNOWN, Money.HOLD),
    (S.UNKNOWN, Event.SETTLED): (S.SETTLED, Money.POST),
    (S.UNKNOWN, Event.FAILED): (S.FAILED, Money.VOID),
    (S.UNKNOWN, Event.REFUSED): (S.REFUSED, Money.VOID),
    (S.UNKNOWN, Event.WRITE_OFF): (S.WRITTEN_OFF, Money.POST),
    (S.FAILED, Event.SETTLED): (S.SETTLED, Money.LATE),
    (S.FAILED, Event.FAILED): (S.FAILED, Money.NOTHING),
    (S.REFUSED, Event.SETTLED): (S.SETTLED, Money.LATE),
    (S.REFUSED, Event.REFUSED): (S.REFUSED, Money.NOTHING),
    (S.SETTLED, Event.SETTLED): (S.SETTLED, Money.NOTHING),
    (S.WRITTEN_OFF, Event.SETTLED): (S.WRITTEN_OFF, Money.NOTHING),
    (S.WRITTEN_OFF, Event.FAILED): (S.WRITTEN_OFF, Money.REFUND),
    (S.WRITTEN_OFF, Event.WRITE_OFF): (S.WRITTEN_OFF, Money.NOTHING),
}


def move(state: S, event: Event) -> tuple[S, Money]:
    """The state after event, and what happens to the money.

    Raises AssertionError for a move that is not in the table: knowledge that contradicts itself.
    """
    found = TABLE.get((state, event))
    if found is None:
        raise AssertionError(f"a payment that is {state} cannot become known as {event.value}")
    return found
