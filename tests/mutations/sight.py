"""What recovery may conclude from what a node does not show: a hash that is unknown, an HTLC that
is absent, a channel that is gone.
"""

from __future__ import annotations

from tests.mutations.mutation import (
    CASE,
    ENGINE,
    EVIDENCE,
    JUDGE,
    LINK,
    RECOVERY,
    REFUNDING,
    RULES,
    VERDICT,
    Mutation,
)

LETTING_GO = ("tests/simulation/test_letting_go.py",)
LOOSE_ENDS = ("tests/simulation/test_loose_ends.py", *LETTING_GO)
CLOSED = ("tests/simulation/test_closed_channels.py",)
REFUNDS = ("tests/simulation/test_refunds.py",)
GROWING = "channels.points | self.known_open if unsure else channels.points"

SIGHT_MUTATIONS = (
    Mutation(
        4,
        "an answer older than its ghost's death counts",
        EVIDENCE,
        "case.ghost(sight.asked_ns)",
        "case.ghost(now_ns)",
        LETTING_GO,
    ),
    Mutation(
        3,
        "a resend that waits when sending stops is forgotten",
        ENGINE,
        "if self.paying else self._hold_back(now_ns, facts)",
        "if self.paying else []",
        ("tests/simulation/test_resending.py",),
    ),
    Mutation(
        4,
        "what was used again while the journal was read is looked at",
        "streamer/doubt/givenup.py",
        "            if payment.payment_hash not in self._unread:\n",
        "            if True:\n",
        ("tests/simulation/test_suspects.py",),
    ),
    Mutation(
        4,
        "what failed lately is not looked at after a start if it was planned long ago",
        "streamer/stores/reader.py",
        "p.end_ns>=?",
        "p.planned_ns>=?",
        ("tests/store/test_both.py",),
    ),
    Mutation(
        5,
        "a resend goes by what an old connection said",
        CASE,
        "            self.phase = Phase.ASKING  # what was said on one connection sends nothing on"
        " the next\n",
        "            pass\n",
        ("tests/simulation/test_resending.py",),
    ),
    Mutation(
        5,
        "that a resend was accepted is not durable",
        ENGINE,
        "                ends.resolve(self.book, payment, Event.LOST, answer, now_ns, facts)\n",
        "                payment.accepted = payment.accepted or answer.accepted\n"
        "                ends.resolve(self.book, payment, Event.LOST, answer, now_ns, facts)\n",
        RULES,
    ),
    Mutation(
        5,
        "what closed before the ends of cut calls were taken is old news",
        LINK,
        "        await self.engine.turn()  # what closes now is no old news for the calls that were"
        " just cut\n",
        "",
        CLOSED,
    ),
    Mutation(
        6,
        "an orphan freezes what is closing",
        LINK,
        "channels, unsure=self.recovery.unsure, waiting=self.recovery.waiting",
        "channels, unsure=self.recovery.unsure, waiting=bool(self.recovery.cases)",
        CLOSED,
    ),
    Mutation(
        5,
        "what is closing counts while a payment waits",
        EVIDENCE,
        "if not waiting and",
        "if",
        (*CLOSED, *LOOSE_ENDS),
    ),
    Mutation(5, "a channel that is gone says nothing", JUDGE, " or gone:", ":", CLOSED),
    Mutation(
        5, "a channel that is gone is forgotten", EVIDENCE, GROWING, "channels.points", CLOSED
    ),
    Mutation(
        5,
        "a channel that is gone is never forgotten",
        EVIDENCE,
        GROWING,
        "channels.points | self.known_open",
        CLOSED,
    ),
    Mutation(
        5,
        "what was lost sight of is sent again",
        JUDGE,
        '    Row(name="out of sight", marks=(Mark.LOST_SIGHT,), verdict=Verdict.LOST_SIGHT),\n',
        "",
        VERDICT,
    ),
    Mutation(
        5,
        "FAILED is believed of what was lost sight of",
        JUDGE,
        "marks=(Mark.LOST_SIGHT,), verdict",
        "marks=(Mark.LOST_SIGHT,), words=tuple({*Word} - {Word.FAILED}), verdict",
        VERDICT,
    ),
    Mutation(
        5,
        "FAILED under a ghost is sent again without a witness",
        JUDGE,
        'Row(name="past lost", histories=(History.LOST,), verdict',
        'Row(name="past lost", histories=(History.LOST,), words=(Word.NOT_FOUND, Word.REFUSED),'
        " verdict",
        CLOSED,
    ),
    Mutation(
        5, "two processes have one clock", CASE, "if self.earlier else 0", "if False else 0", CLOSED
    ),
    Mutation(
        5, "FAILED needs no look at the channels", CASE, "self.ghost_until_ns != 0", "False", CLOSED
    ),
    Mutation(
        5,
        "FAILED waits no longer than its ghost",
        JUDGE,
        "words=(Word.FAILED,), ghosts=(Ghost.NONE,), verdict",
        "words=(Word.FAILED,), ghosts=NO_LIVE_GHOST, verdict",
        LETTING_GO,
    ),
    Mutation(
        5,
        "channels are forgotten while the end of a held one is open",
        RECOVERY,
        "case.haunted or not case.payment.accepted for",
        "not case.payment.accepted for",
        CLOSED,
    ),
    Mutation(
        5,
        "written off before it is asked for",
        RECOVERY,
        "return known and old",
        "return old",
        LOOSE_ENDS,
    ),
    Mutation(
        5, "written off at once", RECOVERY, "return known and old", "return known", LOOSE_ENDS
    ),
    Mutation(
        6,
        "an orphan is held again without an HTLC",
        JUDGE,
        "restarted or absent or orphan)",
        "restarted or absent)",
        VERDICT,
    ),
    Mutation(
        10,
        "what is written off is the journal's copy",
        "streamer/service/payments.py",
        "        payment = await self.now(await self._find(caller, payment_id))\n        if"
        " payment.state is PaymentState.WRITTEN_OFF:",
        "        payment = await self._find(caller, payment_id)\n        if payment.state is"
        " PaymentState.WRITTEN_OFF:",
        ("tests/simulation/test_write_off.py",),
    ),
    Mutation(
        12,
        "a hold outlives its reason",
        JUDGE,
        "verdict=Verdict.NOT_HELD",
        "verdict=Verdict.WAIT",
        VERDICT,
    ),
    Mutation(
        12,
        "a hold without an HTLC never ends",
        EVIDENCE,
        "absent=absent and",
        "absent=False and",
        LOOSE_ENDS,
    ),
    Mutation(
        11,
        "what was written off is never asked for",
        RECOVERY,
        "                await self._refunds.look(self.clock.now_ns())\n",
        "",
        REFUNDS,
    ),
    Mutation(
        5,
        "what was out of sight comes back",
        REFUNDING,
        " or payment.mark is Mark.LOST_SIGHT",
        "",
        REFUNDS,
    ),
    Mutation(
        5,
        "a write-off keeps not that it was out of sight",
        "streamer/core/ends.py",
        "Mark.LOST_SIGHT if stays else Mark.NONE",
        "Mark.NONE",
        REFUNDS,
    ),
    Mutation(
        11,
        "what was written off comes back twice",
        REFUNDING,
        "if payment.row in self._refunded:",
        "if False:",
        REFUNDS,
    ),
    Mutation(
        11,
        "what was written off comes back while nobody knows",
        REFUNDING,
        "if answer.kind is Kind.FAILED:",
        "if True:",
        REFUNDS,
    ),
    Mutation(
        4,
        "what was written off comes back under a ghost",
        REFUNDING,
        " or now_ns < payment.end_ns + self._ghost_after_ns",
        "",
        REFUNDS,
    ),
    Mutation(
        10,
        "what was written off is sent all the same",
        ENGINE,
        "if not payment.open or not self.recovery.may_go(payment):",
        "if not self.recovery.may_go(payment):",
        REFUNDS,
    ),
    Mutation(
        11,
        "an end that comes late moves money as if it came in time",
        ENGINE,
        "            if not payment.open:\n                if",
        "            if not payment.open and event is None:\n                if",
        REFUNDS,
    ),
)
