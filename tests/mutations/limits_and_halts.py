"""The money rules 9 to 12, each broken in a way in which it could be: old data, halts, books and budgets, and who may stop whom."""

from __future__ import annotations

from tests.mutations.mutation import ADOPTION, BOOK, CHANNELS, COMMITS, CORE, END, ENDS, LINK, RECOVERY, RULES, SCENARIOS, Mutation

LATER_MUTATIONS = (
    # -- 9: our data may be old
    Mutation(9, "nothing is adopted", ADOPTION, "        if not self._book.streams:\n            return", "        return", RULES),
    Mutation(
        3, "nobody asks about what was adopted", ADOPTION, "self._recovery.replay(payment)", "pass", ("tests/simulation/test_rereading.py",)
    ),
    Mutation(
        9,
        "what is not durable yet is adopted again",
        ADOPTION,
        "if payment.payment_hash in self.taken:",
        "if False:",
        ("tests/simulation/test_rereading.py",),
    ),
    Mutation(9, "a stranger's payment is adopted", END, "payment.destination != stream.terms.destination", "False", RULES),
    Mutation(
        9,
        "adopted with our own amounts",
        END,
        "payment.settled_msat = payment.amount_msat if written_off else answer.amount_msat",
        "payment.settled_msat = payment.amount_msat",
        ENDS,
    ),
    Mutation(
        9,
        "a late settlement in the list is passed over",
        ADOPTION,
        "self._recovery.suspect(known)",
        "pass",
        ("tests/simulation/test_adoption.py",),
    ),
    Mutation(
        4,
        "what a killed process gave up is forgotten",
        "streamer/givenup.py",
        "await self._remember(now_ns)",
        "self._remembered = True",
        ("tests/simulation/test_givenup.py",),
    ),
    Mutation(
        9,
        "two daemons may share a folder",
        "streamer/stores/folder.py",
        "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        ("tests/store/test_folder.py",),
    ),
    # -- 10: halt rather than guess
    Mutation(
        10,
        "a failed commit is gone on from",
        COMMITS,
        "            if self.is_durable(commit):\n                allowed()",
        "            self.is_durable(commit)\n            allowed()",
        SCENARIOS + RULES,
    ),
    Mutation(10, "a failed commit stops nothing", COMMITS, "            self.failed = True\n", "", SCENARIOS + RULES),
    Mutation(
        10,
        "the spend limit is forgotten by a restart",
        "streamer/model.py",
        "frozenset({Halt.OPERATOR, Halt.SPEND_LIMIT, Halt.HASH_COLLISION})",
        "frozenset({Halt.OPERATOR, Halt.HASH_COLLISION})",
        SCENARIOS,
    ),
    Mutation(
        10,
        "a full disk is no outage",
        "streamer/heartbeat.py",
        "        self._shared.count_stopped(now_ns, facts)\n",
        "",
        ("tests/simulation/test_heartbeat.py",),
    ),
    Mutation(
        10,
        "a stop counts from the moment of a wrong clock",
        "streamer/core/shared.py",
        "        elif Halt.CLOCK not in self.switch.halts:\n",
        "        else:\n",
        ("tests/simulation/test_heartbeat.py",),
    ),
    Mutation(
        10,
        "a node that its own switch stops has no outage",
        LINK,
        "        elif not self.switch.sending:\n",
        "        elif False:\n",
        RULES,
    ),
    # -- 11: conservation, and the budgets
    Mutation(
        11,
        "room ignores reserves",
        "streamer/core/ledger.py",
        "return self.limit_msat - self.spent_msat - self.reserved_msat",
        "return self.limit_msat - self.spent_msat",
        CORE,
    ),
    Mutation(
        11,
        "fee limits are not reserved",
        "streamer/core/budgets.py",
        "msat = payment.amount_msat + payment.fee_limit_msat",
        "msat = payment.amount_msat",
        CORE,
    ),
    Mutation(
        11,
        "a total budget that was a renewing one forgets the fee limits of write-offs",
        "streamer/core/lifecycle.py",
        " + stream.written_off_fee_msat",
        "",
        CORE,
    ),
    Mutation(11, "fees are not counted", END, "spent = payment.settled_msat + payment.fee_msat", "spent = payment.settled_msat", ENDS),
    Mutation(11, "a replay reserves nothing", BOOK, "        self.budgets.reserve(payment)\n", "", CORE),
    Mutation(
        11,
        "a reserve moves into the next period",
        "streamer/core/ledger.py",
        "if period_start_ns != self.period_start_ns:",
        "if False:",
        CORE,
    ),
    Mutation(
        11,
        "the spend limit has no bound",
        "streamer/core/shared.py",
        "        if msat <= limit.room_msat():",
        "        if True:",
        CORE + SCENARIOS,
    ),
    # -- 12: nobody stops the others
    Mutation(12, "held destinations are not blocked", BOOK, "if self.slots.holds(destination):", "if False:", CORE),
    Mutation(
        12,
        "held payments stay in the window",
        END,
        "    if to is not Mark.NONE:\n        book.leave_window(payment)",
        "    if False:\n        pass",
        ENDS,
    ),
    Mutation(12, "held payments are without bound", RECOVERY, "self.book.slots.held >= slots // 2", "False", RULES),
    Mutation(
        12,
        "one large payment blocks the node",
        CHANNELS,
        "        if not able:\n            return Reason.NO_LIQUIDITY",
        "        return Reason.NO_LIQUIDITY",
        SCENARIOS,
    ),
    Mutation(
        12,
        "full slots are not noticed",
        CHANNELS,
        "return Reason.NONE if any(channel.slots < SLOTS_PER_CHANNEL for channel in able) else Reason.NO_SLOTS",
        "return Reason.NONE",
        RULES,
    ),
    Mutation(
        12, "amounts are not halved", END, "max(stream.terms.min_payment_msat, payment.amount_msat // 2)", "payment.amount_msat", ENDS
    ),
    Mutation(
        12,
        "cltv_limit is not sent",
        "streamer/nodes/lnd.py",
        "cltv_limit=payment.cltv_limit",
        "cltv_limit=0",
        ("tests/nodes/test_send.py",),
    ),
)
