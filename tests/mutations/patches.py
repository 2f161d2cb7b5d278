"""The money rules, each broken in the ways in which it could be: 1 to 8 of docs/money-rules.md."""

from __future__ import annotations

from tests.mutations.mutation import (
    BOOK,
    CASE,
    CHANNELS,
    CORE,
    CRASHES,
    END,
    ENDS,
    ENGINE,
    EVIDENCE,
    JUDGE,
    KEYSEND,
    LINK,
    OBSTACLE,
    RECOVERY,
    RULES,
    SCENARIOS,
    SLOTS,
    VERDICT,
    Mutation,
)

MUTATIONS = (
    # -- 1: intent before money
    Mutation(
        1,
        "sends before the intent is durable",
        ENGINE,
        "                commit = self._commits.begin(facts, partial(self._go_on, planned))\n",
        "                self._go_on(planned)\n                commit = self._commits.begin(facts,"
        " partial(self._go_on, []))\n",
        CRASHES,
    ),
    Mutation(
        1,
        "a resend has the limits of today",
        ENGINE,
        "            answer = await self.node.send(payment,",
        "            payment.cltv_limit = self.book.limits.cltv_limit\n            answer = await"
        " self.node.send(payment,",
        RULES,
    ),
    Mutation(
        1,
        "a resend has the fee limit of today",
        ENGINE,
        "            answer = await self.node.send(payment,",
        "            stream = self.book.by_key[payment.stream_key]\n           "
        " payment.fee_limit_msat = max(stream.terms.fee_floor_msat, payment.amount_msat *"
        " stream.terms.fee_limit_ppm // 10**6)\n            answer = await self.node.send(payment,",
        RULES,
    ),
    # -- 2: deterministic preimage
    Mutation(
        2,
        "the preimage does not depend on seq",
        KEYSEND,
        '_PREIMAGE_LABEL + id_bytes(owner) + seq.to_bytes(8, "big")',
        "_PREIMAGE_LABEL + id_bytes(owner) + bytes(8)",
        ("tests/nodes/test_keysend.py",),
    ),
    Mutation(
        2,
        "the preimage is another after a restart",
        ENGINE,
        "derive_preimage(self._secret, payment.owner, payment.seq)",
        "derive_preimage(self._secret, payment.owner, payment.seq + 1)",
        CRASHES,
    ),
    Mutation(
        2,
        "a seq is used again",
        BOOK,
        "seq = stream.account.seq + 1",
        "seq = max(1, stream.account.seq)",
        ENDS,
    ),
    Mutation(
        2,
        "an adopted seq is used again",
        END,
        "    account.seq = max(account.seq, payment.seq)\n",
        "",
        ("tests/simulation/test_adoption.py",),
    ),
    # -- 3: driven to its end, and a resend is a send
    Mutation(
        3,
        "a lost reply is a failure",
        ENGINE,
        "ends.resolve(self.book, payment, Event.LOST, answer,",
        "ends.resolve(self.book, payment, Event.FAILED if answer.kind is Kind.LOST else Event.LOST,"
        " answer,",
        CRASHES,
    ),
    Mutation(
        3,
        "a resend needs no leave",
        JUDGE,
        'Row(name="sent again", gates=(Gates.OPEN,), verdict',
        'Row(name="sent again", verdict',
        VERDICT,
    ),
    Mutation(
        3,
        "the gates are not asked right before the call",
        ENGINE,
        (
            "if obstacle.of_connection(self.switch, self.link) or not self.book.may_send(\n"
            "            payment, began_ns\n"
            "        ):"
        ),
        "if not self.link.up:",
        RULES,
    ),
    Mutation(
        3,
        "the state of the stream is no gate",
        OBSTACLE,
        (
            "return (\n"
            "        None\n"
            "        if stream.state in (StreamState.ACTIVE, StreamState.STALLED)\n"
            "        else _idle(stream, stream.state)\n"
            "    )"
        ),
        "return None",
        RULES,
    ),
    Mutation(
        3,
        "the switch of the daemon is no gate",
        BOOK,
        "above = obstacle.of_daemon(self.shared) or obstacle.of_clock(self.shared)",
        "above = obstacle.of_clock(self.shared)",
        RULES,
    ),
    Mutation(
        3,
        "resends pass the limiter by",
        ENGINE,
        "while min(tokens, self.window.size - self._in_flight) > len(resent) and self._resends:",
        "while self._resends:",
        RULES,
    ),
    Mutation(
        3,
        "a resend that was held back is withdrawn",
        ENGINE,
        "self._ended(payment, answer, None if again else Event.WITHDRAWN)",
        "self._ended(payment, answer, Event.FAILED)",
        RULES,
    ),
    Mutation(
        3,
        "losing sight frees the money",
        "streamer/core/payment.py",
        "(S.PLANNED, Event.LOST): (S.UNKNOWN, Money.HOLD)",
        "(S.PLANNED, Event.LOST): (S.FAILED, Money.VOID)",
        ("tests/core/test_payment.py",),
    ),
    # -- 4: ghosts
    Mutation(
        4,
        "FAILED is final under a ghost",
        JUDGE,
        "words=(Word.FAILED,), ghosts=(Ghost.NONE,), verdict",
        "words=(Word.FAILED,), verdict",
        VERDICT,
    ),
    Mutation(
        4,
        "FAILED of a resend is final under a ghost",
        ENGINE,
        (
            "elif (\n"
            "            answer.kind is Kind.FAILED"
            " and answer.reason is not Reason.NO_LIQUIDITY and not haunted\n"
            "        ):"
        ),
        "elif answer.kind is Kind.FAILED and answer.reason is not Reason.NO_LIQUIDITY:",
        CRASHES,
    ),
    Mutation(
        4,
        "an intent of an earlier process has no ghost",
        RECOVERY,
        "Case(payment, -1, 0, down_since_send=True, earlier=True)",
        "Case(payment, 0, 0, down_since_send=True, earlier=True)",
        CRASHES + RULES,
    ),
    Mutation(
        4,
        "a lost reply leaves no ghost",
        RECOVERY,
        "            case.ghost_until_ns = now_ns + self.patience.ghost_after_ns\n        if"
        " answer.kind is Kind.REFUSED",
        "            pass\n        if answer.kind is Kind.REFUSED",
        CRASHES + RULES,
    ),
    Mutation(
        4,
        "a ghost is not waited for once the node is back",
        RECOVERY,
        "case.ask_anew(now_ns + self.patience.ghost_after_ns)",
        "case.ask_anew(now_ns)",
        CRASHES + RULES,
    ),
    Mutation(4, "a ghost never dies", CASE, "or now_ns < self.ghost_until_ns)", "or True)", RULES),
    Mutation(
        4,
        "a late settlement is not counted",
        "streamer/core/payment.py",
        "(S.FAILED, Event.SETTLED): (S.SETTLED, Money.LATE)",
        "(S.FAILED, Event.SETTLED): (S.SETTLED, Money.NOTHING)",
        ("tests/core/test_payment.py",),
    ),
    # -- 5: NOT_FOUND is not "not paid"
    Mutation(
        5,
        "NOT_FOUND of what was accepted is sent again",
        JUDGE,
        '    Row(name="forgotten", words=(Word.FORGOTTEN,), verdict=Verdict.LOST_SIGHT),\n',
        "",
        VERDICT,
    ),
    Mutation(
        5,
        "NOT_FOUND is sent again without a witness",
        JUDGE,
        "not witness or closing",
        "closing",
        VERDICT,
    ),
    Mutation(
        5, "NOT_FOUND is sent again with a channel closing", JUDGE, "or closing or", "or", VERDICT
    ),
    Mutation(
        5,
        "NOT_FOUND is sent again while a channel is away",
        JUDGE,
        "History.PARTIAL if away else History.WHOLE",
        "History.WHOLE",
        VERDICT + RULES,
    ),
    Mutation(
        5,
        "a restart of the node is not seen",
        CHANNELS,
        "self._running_ns >= since_ns",
        "self._running_ns < 0",
        RULES,
    ),
    Mutation(
        5,
        "nobody looks for the witness",
        RECOVERY,
        "return answer.kind is not Kind.NOT_FOUND",
        "return True",
        RULES,
    ),
    Mutation(
        5,
        "the witness is not in the journal",
        EVIDENCE,
        '            facts.settings.append((self._key("witness"), self.witness.hex()))\n',
        "",
        CRASHES + RULES,
    ),
    Mutation(
        5,
        "closing channels are not looked at",
        EVIDENCE,
        "return bool(channels.closing - self.closing)",
        "return False",
        ("tests/simulation/test_letting_go.py", "tests/simulation/test_loose_ends.py"),
    ),
    Mutation(
        5,
        "an acceptance is forgotten",
        END,
        "    payment.accepted = payment.accepted or answer.accepted\n",
        "",
        CORE + RULES,
    ),
    Mutation(
        5,
        "lost sight keeps its slot",
        SLOTS,
        "FREE_MARKS = frozenset({Mark.ORPHAN, Mark.LOST_SIGHT})",
        "FREE_MARKS = frozenset({Mark.ORPHAN})",
        ENDS + RULES,
    ),
    Mutation(
        5,
        "another node is not noticed",
        LINK,
        'pubkey if self.known_pubkey not in ("", pubkey) else ""',
        '""',
        RULES,
    ),
    # -- 6: orphans
    Mutation(
        6,
        "an orphan has failed",
        RECOVERY,
        "            self._mark(payment, Mark(verdict.value), sight.channels, answer)",
        "            self._conclude(payment, Event.FAILED, answer)",
        SCENARIOS + RULES,
    ),
    Mutation(6, "what has an HTLC is an orphan", JUDGE, "if listed or not (", "if not (", VERDICT),
    Mutation(
        6,
        "an orphan is found before the node is steady",
        JUDGE,
        "if steady and not closing",
        "if not closing",
        VERDICT,
    ),
    Mutation(
        6,
        "orphans are never written off",
        RECOVERY,
        (
            "self._conclude(\n"
            "                payment, Event.WRITE_OFF,"
            " Answer(Kind.IN_FLIGHT, accepted=payment.accepted)\n"
            "            )"
        ),
        "(payment, Event.WRITE_OFF, Answer(Kind.IN_FLIGHT, accepted=payment.accepted))",
        SCENARIOS,
    ),
    Mutation(
        6,
        "a write-off is owed again",
        END,
        "account.owed_msat += reserved - payment.settled_msat",
        "account.owed_msat += reserved - (0 if written_off else payment.settled_msat)",
        ENDS,
    ),
    Mutation(
        6,
        "orphans keep their slot",
        SLOTS,
        "FREE_MARKS = frozenset({Mark.ORPHAN, Mark.LOST_SIGHT})",
        "FREE_MARKS = frozenset({Mark.LOST_SIGHT})",
        ENDS,
    ),
    # -- 7: REFUSED
    Mutation(
        7,
        "a refusal is final without asking",
        ENGINE,
        "        event = None\n        if answer.kind is Kind.SETTLED:",
        "        event = Event.REFUSED if answer.kind is Kind.REFUSED else None\n        if"
        " answer.kind is Kind.SETTLED:",
        RULES,
    ),
    Mutation(
        7,
        "a refusal is final under a ghost",
        JUDGE,
        "words=(Word.REFUSED,), ghosts=NO_LIVE_GHOST, verdict",
        "words=(Word.REFUSED,), verdict",
        VERDICT,
    ),
    Mutation(
        7,
        "refused credentials decide",
        RECOVERY,
        "            await self.node.identity()\n",
        "",
        RULES,
    ),
    Mutation(
        7,
        "a refusal that repeats does not stall",
        "streamer/core/retry.py",
        "REFUSALS_UNTIL_STALLED = 2",
        "REFUSALS_UNTIL_STALLED = 20",
        SCENARIOS + CORE,
    ),
    # -- 8: FAILED returns to owed
    Mutation(
        8,
        "what failed is not owed",
        END,
        "        stream.account.owed_msat += payment.amount_msat\n       "
        " stream.account.failed_count",
        "        stream.account.failed_count",
        ENDS,
    ),
    Mutation(
        8,
        "what failed stays reserved",
        END,
        "        stream.reserved_msat -= payment.amount_msat\n        stream.account.owed_msat +="
        " payment",
        "        stream.account.owed_msat += payment",
        ENDS,
    ),
)
