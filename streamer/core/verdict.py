"""What an answer about an open payment means: the money rules 3 to 7, as one decision.

A *ghost* is a call of unknown end whose bytes may still be executed. While one may be alive, FAILED
and NOT_FOUND are not the end: the node takes a failed or unknown hash as a fresh try, and both may be
what a node says that was put back to an old copy. Of what is out of sight for that, only SETTLED is
believed. What else is found IN_FLIGHT is the node's to end, unless no HTLC of it exists anywhere: then
it never will. That is so after a restart of the node. Without one, a direct peer that freezes leaves no pending HTLC in
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
    unknown end may be alive, or was when FAILED was said first, which could not be checked yet.
    may_resend: switch, stream and pace allow it now.
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
    haunted: bool
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
    if answer.kind not in (Kind.FAILED, Kind.NOT_FOUND, Kind.IN_FLIGHT):
        return Verdict.WAIT
    if payment.mark is Mark.LOST_SIGHT:
        # it may have been paid in what the node has lost: a witness, a call or an end that came since is not about that
        return Verdict.LOST_SIGHT
    if answer.kind is Kind.IN_FLIGHT:
        return _held_or_orphan(payment, so)
    if answer.kind is Kind.FAILED:
        return _by_history(so) if so.haunted else Verdict.FAIL
    if so.refused and not so.ghost and not payment.accepted:
        return Verdict.FAIL
    return Verdict.LOST_SIGHT if payment.accepted else _by_history(so)


def _held_or_orphan(payment: Payment, so: Circumstances) -> Verdict:
    # what was an orphan once stays one: a later process may not know of the restart that made it one
    bereft = not so.pending and (so.down_since_send or so.absent or payment.mark is Mark.ORPHAN)
    if so.long_open and not bereft:
        return Verdict.HELD
    if bereft and (payment.mark is Mark.ORPHAN or (so.steady and not so.closing)):
        return Verdict.ORPHAN
    return Verdict.NOT_HELD if bereft and payment.mark is Mark.HELD else Verdict.WAIT


def _by_history(so: Circumstances) -> Verdict:
    # put back to an old copy, the node may have paid it in what it lost: it knows it no more, or only a later call that failed
    if not so.witness or so.closing or so.closed:
        return Verdict.LOST_SIGHT
    if so.partial:
        return Verdict.WAIT
    if not so.ghost:
        return Verdict.FAIL
    return Verdict.RESEND if so.may_resend else Verdict.WAIT
