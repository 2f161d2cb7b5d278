"""What an answer about an open payment means: the money rules 3 to 7, as one decision.

A *ghost* is a call of unknown end whose bytes may still be executed. While one may be alive, FAILED
and NOT_FOUND are not the end: the node takes a failed or unknown hash as a fresh try. What is
found IN_FLIGHT is the node's to end, unless no HTLC of it exists anywhere: then it never will. That
is so after a restart of the node. Without one, a direct peer that freezes leaves no pending HTLC in
ListChannels either (tried on lnd 0.21.2), so an old payment counts as held with and without one, until
its HTLC has been absent for so long that a frozen peer would have been hung up on. A hold needs its
reason to last: without it, the destination is free again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from streamer.model import Answer, Kind, Mark, Payment


class Verdict(Enum):
    """What to do with an open payment."""

    SETTLE = "settle"
    FAIL = "fail"
    RESEND = "resend"
    WAIT = "wait"
    HELD = "held"
    NOT_HELD = ""
    ORPHAN = "orphan"
    LOST_SIGHT = "lost_sight"


@dataclass(slots=True, frozen=True)
class Circumstances:
    """What is known beside the answer.

    refused: the newest call was answered with an error status before any update. ghost: a call of
    unknown end may be alive. may_resend: switch, stream and pace allow it now.
    witness: the newest payment that the node had accepted is still known to it. closing: a channel
    went into closing since. closed: one that was open, when what became of each payment was known last,
    is no longer: even if it has been closed for good meanwhile. partial: the node has restarted since, and a channel of it is not active
    again: if its history was restored from an old copy, only the peer at the other end may know.
    pending: the hash is in a channel's pending HTLCs. down_since_send: the connection was lost since
    the payment was sent, and the node may have restarted. steady: the node has been up, its channels
    active, for a minute. absent: for so long that no peer can be frozen, all channels were active and
    none had an HTLC of it.
    long_open: open for longer than hold_after.
    """

    refused: bool
    ghost: bool
    may_resend: bool
    witness: bool
    closing: bool
    closed: bool
    partial: bool
    pending: bool
    down_since_send: bool
    steady: bool
    absent: bool
    long_open: bool


def judge(payment: Payment, answer: Answer, so: Circumstances) -> Verdict:
    """What the node's answer about an open payment means, in these circumstances."""
    if answer.kind is Kind.SETTLED:
        return Verdict.SETTLE
    if answer.kind is Kind.FAILED:
        return _resend_or_wait(payment, so) if so.ghost else Verdict.FAIL
    if answer.kind is Kind.NOT_FOUND:
        if so.refused and not so.ghost and not payment.accepted:
            return Verdict.FAIL
        if payment.mark is Mark.LOST_SIGHT:
            # a witness that came after it was lost proves nothing about it
            return Verdict.LOST_SIGHT
        if payment.accepted or not so.witness or so.closing or so.closed:
            return Verdict.LOST_SIGHT
        if so.partial:
            return Verdict.WAIT
        return _resend_or_wait(payment, so) if so.ghost else Verdict.FAIL
    if answer.kind is Kind.IN_FLIGHT:
        return _held_or_orphan(payment, so)
    return Verdict.WAIT


def _held_or_orphan(payment: Payment, so: Circumstances) -> Verdict:
    # what was an orphan once stays one: a later process may not know of the restart that made it one
    bereft = not so.pending and (so.down_since_send or so.absent or payment.mark is Mark.ORPHAN)
    if so.long_open and not bereft:
        return Verdict.HELD
    if bereft and (payment.mark is Mark.ORPHAN or (so.steady and not so.closing)):
        return Verdict.ORPHAN
    return Verdict.NOT_HELD if bereft and payment.mark is Mark.HELD else Verdict.WAIT


def _resend_or_wait(payment: Payment, so: Circumstances) -> Verdict:
    # a node that has lost its history may have paid it in what it lost, whatever it says of a later call
    return Verdict.RESEND if so.may_resend and payment.mark is not Mark.LOST_SIGHT else Verdict.WAIT
