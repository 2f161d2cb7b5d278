"""What makes an invoice be paid once, and its payer be told, each broken in a way in which it could
be.
"""

from __future__ import annotations

from tests.mutations.mutation import Mutation

PAYING = "streamer/service/paying.py"
API = (
    "tests/api/test_lightning.py",
    "tests/api/test_paid_once.py",
    "tests/api/test_invoices_and_keys.py",
)
WAYS = ("tests/simulation/test_crash_points_of_invoices.py",)

TWO = ("tests/api/test_two_nodes.py",)

LEAVING = ("tests/simulation/test_callers_who_leave.py",)

TURNS = ("tests/simulation/test_turns.py", "tests/core/test_singles.py")

INVOICE_MUTATIONS = (
    Mutation(
        12,
        "single payments go before the streams that wait for longer",
        "streamer/core/book.py",
        "waiting.due_ns <= ready[0][0]",
        "True",
        TURNS,
    ),
    Mutation(
        12,
        "single payments fill their destination",
        "streamer/core/singles.py",
        " if may_go(waiting.order)",
        "",
        TURNS,
    ),
    Mutation(
        4,
        "an invoice is attempted anew although the attempt before has settled meanwhile",
        "streamer/pay/engine.py",
        "            self._callers.refuse_paid()\n",
        "",
        TURNS,
    ),
    Mutation(
        1,
        "a request_id is free again when its caller leaves, its intent on the way to the disk",
        "streamer/service/once.py",
        "        await asyncio.wait((task,))\n",
        "        await task\n",
        LEAVING,
    ),
    Mutation(
        1,
        "a request_id makes a stream and a payment at once",
        "streamer/service/streams.py",
        "self._request_ids.once(",
        "type(self._request_ids)(self._nodes.desk).once(",
        ("tests/api/test_request_ids.py",),
    ),
    Mutation(
        1,
        "only the named node is asked whether an invoice is paid",
        PAYING,
        "if other is not engine and other.up",
        "if False",
        TWO,
    ),
    Mutation(
        11,
        "an adopted payment is in no period of a budget",
        "streamer/core/ends.py",
        "book.budgets.stamp_adopted(payment, stream, now_ns)",
        "book.budgets.own(stream, now_ns)",
        ("tests/core/test_adopted.py",),
    ),
    Mutation(
        1,
        "two calls for one invoice do not wait for each other",
        PAYING,
        ("found.payment_hash.hex(), lambda: self._by_hash(caller, engine, order, found, asked)"),
        ("secrets.token_hex(16), lambda: self._by_hash(caller, engine, order, found, asked)"),
        WAYS,
    ),
    Mutation(
        1,
        "the node is not asked before an invoice is paid",
        PAYING,
        "            if answer.kind is Kind.SETTLED:\n                _require_same(",
        "            if False:\n                _require_same(",
        API,
    ),
    Mutation(
        1,
        "an invoice is sent without being in the intent",
        "streamer/stores/batch.py",
        "        self.intents.append(intent_row(payment))\n        if payment.payment_request:",
        "        self.intents.append(intent_row(payment))\n        if payment.preimage:",
        ("tests/store/test_invoices.py",),
    ),
    Mutation(
        2,
        "the preimage of an invoice is not kept",
        "streamer/core/ends.py",
        "        payment.preimage = answer.preimage\n",
        "        payment.preimage = b''\n",
        ("tests/core/test_singles.py",),
    ),
    Mutation(
        3,
        "what a caller finds settled late is posted beside the watch",
        "streamer/doubt/givenup.py",
        "        if payment.row in self._posted:\n",
        "        if False:\n",
        ("tests/simulation/test_givenup.py",),
    ),
    Mutation(
        3,
        "an open attempt to pay an invoice is followed by another",
        "streamer/words/model.py",
        "UNPAID = frozenset({PaymentState.FAILED, PaymentState.REFUSED})",
        "UNPAID = frozenset({PaymentState.FAILED, PaymentState.REFUSED, PaymentState.UNKNOWN,"
        " PaymentState.IN_FLIGHT})",
        (*API, *WAYS),
    ),
    Mutation(
        3,
        "a written-off invoice is paid again",
        "streamer/words/model.py",
        "UNPAID = frozenset({PaymentState.FAILED, PaymentState.REFUSED})",
        "UNPAID = frozenset({PaymentState.FAILED, PaymentState.REFUSED, PaymentState.WRITTEN_OFF})",
        (*API, *WAYS),
    ),
    Mutation(
        4,
        "the watch over a failed attempt goes on beside the next one",
        "streamer/pay/engine.py",
        "            self.recovery.let_go(payment.payment_hash)\n",
        "            pass\n",
        WAYS,
    ),
    Mutation(
        4,
        "after a start a failed attempt is not looked at if there was another at another node",
        "streamer/doubt/givenup.py",
        "PaymentQuery(node=payment.node, payment_hash",
        "PaymentQuery(payment_hash",
        ("tests/simulation/test_suspects.py",),
    ),
    Mutation(
        4,
        "a failed attempt is not looked at in the place of the one before, whose ghost may be"
        " alive",
        "streamer/doubt/givenup.py",
        "(haunted or after_one)",
        "haunted",
        ("tests/simulation/test_givenup.py",),
    ),
    Mutation(
        9,
        "another invoice with a hash that was paid counts as paid",
        PAYING,
        "    if payment_request.lower() != order.payment_request:",
        "    if not payment_request and order.payment_request:",
        API,
    ),
    Mutation(
        11,
        "an invoice is paid beyond the destinations of its key",
        PAYING,
        "        require_may_pay(caller, found.destination, self._nodes.clock.now_ns())\n       "
        " asked_now",
        "        caller = replace(caller, destinations=frozenset())\n        asked_now",
        API,
    ),
    Mutation(
        11,
        "another key is told the preimage",
        PAYING,
        "    if not owns(caller, payment.api_key):",
        "    if False:",
        API,
    ),
)
