"""What one node was seen to have: the newest payment that it took, its channels, its newest index.
And what follows for a case.

A node that was put back to an old copy says NOT_FOUND of what it has paid, and FAILED of what a
later call ended (money rule 5). Nothing in its answer tells; but it does not know the *witness*
either, or channels are closing or gone that were open. So what was seen is kept in the journal, and
is not brought up to date while something is open of which it may have to tell: what closes under
that is news until it has ended.

The running engine writes it down, and the restarted one reads it: both ask the same questions here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streamer.core.verdict import (
    Age,
    Circumstances,
    Gates,
    History,
    Htlc,
    history_of,
    htlc_of,
    word_of,
)
from streamer.doubt.case import Case
from streamer.doubt.channelview import ChannelView
from streamer.words.model import Answer, Facts, Kind, Mark, Payment
from streamer.words.money import SECOND_NS

ABSENT_NS = 600 * SECOND_NS
"""How long all channels must be active without an HTLC of a payment before none can be with a
frozen peer.

lnd hangs up on a peer that is silent for five minutes, on one that answers no ping after 90 seconds
(lnd peer/brontide.go).
"""


@dataclass(slots=True, frozen=True, kw_only=True)
class Sight:
    """What one round of questions shows of the node, for all the payments that it was about.

    channels: None if no answer made anybody look. witness: the node still knows it. asked_ns: when
    the round began, so that no answer is older; up_since_ns: since when the node is up, 0 if it is
    not.
    """

    channels: ChannelView | None
    witness: bool
    asked_ns: int
    up_since_ns: int


class Evidence:
    """What was seen of one node, and is in its journal.

    witness: the hash of the newest payment that it took, None if there is none. closing: the
    channels that were, None if nobody has looked. known_open: those that were open. last_index: the
    highest that it gave to a payment.
    """

    def __init__(self, node: str) -> None:
        self.witness: bytes | None = None
        self.closing: frozenset[str] | None = None
        self.known_open: frozenset[str] = frozenset()
        self.last_index = 0
        self._node = node
        self._written: bytes | None = None
        # (hash, newest open row when it was accepted)
        self._candidate: tuple[bytes, int] | None = None

    def restore(self, settings: Mapping[str, str], last_index: int) -> None:
        """Take what the journal has."""
        self.witness = self._written = bytes.fromhex(settings.get(self._key("witness"), "")) or None
        self.closing = frozenset(settings.get(self._key("closing"), "").split())
        self.known_open = frozenset(settings.get(self._key("open"), "").split())
        self.last_index = last_index

    # -- what was seen --------------------------------------------------------------------------

    def saw(self, payment_hash: bytes, index: int, newest_row: int) -> None:
        """The node has accepted this payment: the next witness, once it proves something about
        every open payment, up to newest_row.
        """
        if self._candidate is None:
            self._candidate = (payment_hash, newest_row)
        self.last_index = max(self.last_index, index)

    def remember(self, opened: Mapping[int, Payment], facts: Facts) -> None:
        """Put the newest witness into a commit that happens anyway. opened: all open payments by
        row, the oldest first.
        """
        if self._candidate is not None and _is_older_than_all_unsure(self._candidate[1], opened):
            self.witness, self._candidate = self._candidate[0], None
        if self.witness is not self._written and self.witness is not None:
            self._written = self.witness
            facts.settings.append((self._key("witness"), self.witness.hex()))

    def look(self, channels: ChannelView, *, unsure: bool, waiting: bool) -> list[tuple[str, str]]:
        """Take which channels are open and closing; what the journal must know of that.

        unsure: of some payment nobody can tell whether the node has executed it: what was open then
        stays known. waiting: it may depend on what was closing before what becomes of some payment.
        """
        found = []
        known_open = channels.points | self.known_open if unsure else channels.points
        if known_open != self.known_open:
            self.known_open = known_open
            found.append((self._key("open"), " ".join(sorted(known_open))))
        if not waiting and channels.closing != self.closing:
            self.closing = channels.closing
            found.append((self._key("closing"), " ".join(sorted(channels.closing))))
        return found

    # -- what follows ---------------------------------------------------------------------------

    def circumstances(
        self,
        case: Case,
        answer: Answer,
        sight: Sight,
        gates: Gates,
        now_ns: int,
        hold_after_ns: int,
    ) -> Circumstances:
        """All that the verdict on the answer hangs on; how long its HTLC has been absent is noted
        with the case.
        """
        payment = case.payment
        return Circumstances(
            word=word_of(payment, answer, case.refusal is not None),
            mark=payment.mark,
            # an answer that was given while the ghost lived is older than what the ghost did
            ghost=case.ghost(sight.asked_ns),
            history=self._history(case, sight, now_ns),
            htlc=self._htlc(case, answer, sight, now_ns),
            age=Age.OLD if now_ns - payment.planned_ns >= hold_after_ns else Age.YOUNG,
            gates=gates,
        )

    def _history(self, case: Case, sight: Sight, now_ns: int) -> History:
        channels = sight.channels
        if channels is None:
            return history_of(witness=sight.witness, closing=False, gone=False, away=False)
        return history_of(
            witness=sight.witness,
            closing=self._closes(channels),
            gone=bool(self.known_open - channels.points),
            away=channels.has_restarted(case.sent_after_ns, now_ns) and not channels.all_active,
        )

    def _htlc(self, case: Case, answer: Answer, sight: Sight, now_ns: int) -> Htlc:
        channels, payment, up_since_ns = sight.channels, case.payment, sight.up_since_ns
        listed = channels is not None and channels.has_htlc(payment.payment_hash)
        restarted = channels is None or channels.has_restarted(case.sent_after_ns, now_ns)
        absent = (
            answer.kind is Kind.IN_FLIGHT
            and channels is not None
            and not listed
            and channels.all_active
        )
        case.absent_since_ns = (case.absent_since_ns or now_ns) if absent else 0
        return htlc_of(
            listed=listed,
            restarted=restarted and case.was_away(up_since_ns),
            absent=absent and now_ns - case.absent_since_ns >= ABSENT_NS,
            orphan=payment.mark is Mark.ORPHAN,
            steady=up_since_ns > 0
            and channels is not None
            and channels.is_steady(now_ns - up_since_ns),
            closing=channels is not None and self._closes(channels),
        )

    def _closes(self, channels: ChannelView) -> bool:
        """A channel went into closing that was not closing when we last saw all well."""
        if self.closing is None:
            self.closing = channels.closing
        return bool(channels.closing - self.closing)

    def _key(self, what: str) -> str:
        return f"{what}.{self._node}"


def _is_older_than_all_unsure(newest_row: int, opened: Mapping[int, Payment]) -> bool:
    """No payment that was open at its acceptance may have been executed and deleted before it,
    unseen by us.

    Else a history lost in between would show the witness, and that payment as never executed.
    """
    for row, payment in opened.items():
        if row > newest_row:
            return True
        if not payment.accepted and payment.mark is not Mark.LOST_SIGHT:
            return False
    return True
