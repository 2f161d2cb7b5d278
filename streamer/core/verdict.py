"""What an answer about an open payment means: the money rules 3 to 7, as one table.

A *ghost* is a call of unknown end whose bytes may still be executed. While one may be alive, FAILED
and NOT_FOUND are not the end: the node takes a failed or unknown hash as a fresh try, and both may
be what a node says that was put back to an old copy. Of what is out of sight for that, only SETTLED
is believed. What else is found IN_FLIGHT is the node's to end, unless no HTLC of it exists
anywhere: then it never will. That is so after a restart of the node. Without one, a direct peer
that freezes leaves no pending HTLC in ListChannels either (tried on lnd 0.21.2), so an old payment
counts as held with and without one, until its HTLC has been absent for so long that a frozen peer
would have been hung up on. A hold needs its reason to last: without it, the destination is free
again.

The rows are read from the top, and the first that fits decides; each is there for a case that
breaks without it. Which of them a crashed engine comes to and which a running one is no question of
the table: both ask the node, and both come here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from streamer.words.model import Answer, Kind, Mark, Payment


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


class Word(Enum):
    """What the node says of a payment, beside what it was seen to do with it. FORGOTTEN, REFUSED:
    not found, either.
    """

    SETTLED = "settled"
    FAILED = "failed"
    IN_FLIGHT = "in flight"
    NOT_FOUND = "not found"
    FORGOTTEN = "not found, and it was seen to take it"
    REFUSED = "not found, and it has refused the newest call"
    NOTHING = "nothing"


class Ghost(Enum):
    """What its calls of unknown end may still do. DEAD also says: FAILED may be the end of another
    call than the one that paid.
    """

    NONE = "each call has ended"
    DEAD = "none is executed any more"
    ALIVE = "one may be, or might have been when the node was asked"


class History(Enum):
    """Whether the node has its past, all of it (money rule 5)."""

    WHOLE = "the witness is there, and so is each channel"
    PARTIAL = (
        "it has restarted, and a channel is not back of which only the peer may know that its past"
        " is old"
    )
    LOST = (
        "it may have been put back to an old copy: there is no witness, or a channel is closing or"
        " gone"
    )


class Htlc(Enum):
    """Where an HTLC may be of a payment that the node has in flight."""

    SOMEWHERE = "in a channel, or with a peer that is frozen"
    UNSEEN = (
        "in none that is listed; but the node has not been up for long, or a channel closes, whose"
        " HTLCs have no hashes"
    )
    NOWHERE = "in none, and none will come"


class Age(Enum):
    """How long it is open."""

    YOUNG = "not for hold_after"
    OLD = "for hold_after"


class Gates(Enum):
    """What switch, stream and pace say of a resend now."""

    OPEN = "it may go"
    SHUT = "it may not"


@dataclass(slots=True, frozen=True, kw_only=True)
class Circumstances:
    """All that a verdict on one payment hangs on. mark: what was found of it before."""

    word: Word
    mark: Mark
    ghost: Ghost
    history: History
    htlc: Htlc
    age: Age
    gates: Gates


@dataclass(slots=True, frozen=True, kw_only=True)
class Row:
    """In circumstances of which each is among those that are named, the verdict. Empty: whatever it
    is.
    """

    name: str
    verdict: Verdict
    words: tuple[Word, ...] = ()
    marks: tuple[Mark, ...] = ()
    ghosts: tuple[Ghost, ...] = ()
    histories: tuple[History, ...] = ()
    htlcs: tuple[Htlc, ...] = ()
    ages: tuple[Age, ...] = ()
    gates: tuple[Gates, ...] = ()

    def fits(self, so: Circumstances) -> bool:
        """Whether this row speaks of such circumstances."""
        return (
            (not self.words or so.word in self.words)
            and (not self.marks or so.mark in self.marks)
            and (not self.ghosts or so.ghost in self.ghosts)
            and (not self.histories or so.history in self.histories)
            and (not self.htlcs or so.htlc in self.htlcs)
            and (not self.ages or so.age in self.ages)
            and (not self.gates or so.gates in self.gates)
        )


NO_LIVE_GHOST = (Ghost.NONE, Ghost.DEAD)

TABLE = (
    Row(name="settled", words=(Word.SETTLED,), verdict=Verdict.SETTLE),
    Row(name="silence", words=(Word.NOTHING,), verdict=Verdict.WAIT),
    # it may have been paid in what the node has lost: a witness, a call or an end that came since
    # is not about that
    Row(name="out of sight", marks=(Mark.LOST_SIGHT,), verdict=Verdict.LOST_SIGHT),
    # -- in flight
    # also without an HTLC in the list: that of a direct peer that froze is not shown there
    Row(
        name="held",
        words=(Word.IN_FLIGHT,),
        htlcs=(Htlc.SOMEWHERE,),
        ages=(Age.OLD,),
        verdict=Verdict.HELD,
    ),
    Row(name="under way", words=(Word.IN_FLIGHT,), htlcs=(Htlc.SOMEWHERE,), verdict=Verdict.WAIT),
    Row(name="orphan", words=(Word.IN_FLIGHT,), htlcs=(Htlc.NOWHERE,), verdict=Verdict.ORPHAN),
    # a later process may not know of the restart that made it one
    Row(
        name="still an orphan",
        words=(Word.IN_FLIGHT,),
        marks=(Mark.ORPHAN,),
        verdict=Verdict.ORPHAN,
    ),
    # called an orphan too soon its slot is given away, and in the end it counts as paid, though it
    # may settle or fail; but whoever held it holds it no more
    Row(name="let go", words=(Word.IN_FLIGHT,), marks=(Mark.HELD,), verdict=Verdict.NOT_HELD),
    Row(name="not steady", words=(Word.IN_FLIGHT,), verdict=Verdict.WAIT),
    # -- an end, or none that the node knows of
    # with two calls of one hash FAILED may be the end of the second only: the first is then taken
    # for a new try
    Row(name="failed", words=(Word.FAILED,), ghosts=(Ghost.NONE,), verdict=Verdict.FAIL),
    # the call itself was refused and left nothing at the node, so no lost history can hide its
    # payment, and no witness is asked for: an invoice that expired between intent and resend would
    # else be refused again and again, for ever
    Row(name="refused", words=(Word.REFUSED,), ghosts=NO_LIVE_GHOST, verdict=Verdict.FAIL),
    # what lnd was seen to take and does not know any more was in the history that it has lost, paid
    # or not
    Row(name="forgotten", words=(Word.FORGOTTEN,), verdict=Verdict.LOST_SIGHT),
    # put back to an old copy, the node may have paid it in what it lost: it knows it no more, or
    # only a later call that failed
    Row(name="past lost", histories=(History.LOST,), verdict=Verdict.LOST_SIGHT),
    # the peer that is away may be the only one who knows that it was paid: on real lnd the channels
    # that were back carried it a second time
    Row(name="peer away", histories=(History.PARTIAL,), verdict=Verdict.WAIT),
    # nothing can be executed any more, and the next payment buys this one's time together with what
    # has passed since
    Row(name="never executed", ghosts=NO_LIVE_GHOST, verdict=Verdict.FAIL),
    # while a ghost may be alive only its own hash is safe: whichever call comes first, lnd pays it
    # once
    Row(name="sent again", gates=(Gates.OPEN,), verdict=Verdict.RESEND),
    Row(name="kept back", verdict=Verdict.WAIT),
)


def judge(so: Circumstances) -> Verdict:
    """What to do with a payment in these circumstances."""
    return row_of(so).verdict


def row_of(so: Circumstances) -> Row:
    """The row that decides: the last fits whatever is so."""
    return next(row for row in TABLE if row.fits(so))


# -- what is known, in the words of the table ---------------------------------------------------


def word_of(payment: Payment, answer: Answer, refused: bool) -> Word:
    """What the answer says of the payment. refused: an error status ended its newest call before
    any update.
    """
    if answer.kind is Kind.NOT_FOUND and payment.accepted:
        return Word.FORGOTTEN
    if answer.kind is Kind.NOT_FOUND:
        return Word.REFUSED if refused else Word.NOT_FOUND
    return _WORDS.get(answer.kind, Word.NOTHING)


def ghost_of(made: bool, alive: bool) -> Ghost:
    """made: a call of it had an unknown end. alive: it may be executed yet, or was so when the node
    was asked.
    """
    if not made:
        return Ghost.NONE
    return Ghost.ALIVE if alive else Ghost.DEAD


def history_of(*, witness: bool, closing: bool, gone: bool, away: bool) -> History:
    """What the node's past is worth.

    witness: the newest payment that the node had accepted is still known to it. closing: a channel
    went into closing since. gone: one that was open, when what became of each payment was known
    last, is no longer: even if it has been closed for good meanwhile. away: the node has restarted
    since, and a channel of it is not active again.
    """
    if not witness or closing or gone:
        return History.LOST
    return History.PARTIAL if away else History.WHOLE


def htlc_of(
    *, listed: bool, restarted: bool, absent: bool, orphan: bool, steady: bool, closing: bool
) -> Htlc:
    """Where an HTLC of it may be.

    listed: the hash is in a channel's pending HTLCs. restarted: the connection was lost since the
    payment was sent, and the node may have restarted. absent: for so long that no peer can be
    frozen, all channels were active and none had an HTLC of it. orphan: it was one when it was
    looked for last. steady: the node has been up, its channels active, for a minute.
    """
    if listed or not (restarted or absent or orphan):
        return Htlc.SOMEWHERE
    return Htlc.NOWHERE if steady and not closing else Htlc.UNSEEN


_WORDS = {Kind.SETTLED: Word.SETTLED, Kind.FAILED: Word.FAILED, Kind.IN_FLIGHT: Word.IN_FLIGHT}
