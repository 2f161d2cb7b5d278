"""What keys promise (docs/keys.md), each broken in the ways in which it could be. Their rule is 0,
or that of budgets: 11.
"""

from __future__ import annotations

from tests.mutations.mutation import DESK, OBSTACLE, Mutation

BUDGETS = "streamer/core/budgets.py"
BOOK = "streamer/core/book.py"
BUYING = "streamer/core/buying.py"
PERMISSION = "streamer/service/permission.py"
KEYS = "streamer/service/keys.py"
STREAMS = "streamer/service/streams.py"
PAYMENTS = "streamer/service/payments.py"
AUTH = "streamer/api/auth.py"
PERIOD_ROLLS = "            self._roll(budget, now_ns)\n        return budget\n\n    def free_msat"
LINE = "streamer/core/line.py"
AWAY = "streamer/core/away.py"
ROUNDS = "streamer/core/rounds.py"
SHARED = ("tests/core/test_rounds.py",)
FAIR = ("tests/core/test_fair_hours.py",)
CORE = ("tests/core/test_key_budgets.py", "tests/core/test_machine.py")
API = ("tests/api/test_keys.py", "tests/api/test_key_orders.py")
STORE = ("tests/store/test_keys.py",)

KEY_MUTATIONS = (
    Mutation(
        11,
        "key: nothing is reserved",
        BUDGETS,
        "        _reserve(self._keys.get(payment.api_key), payment.key_period_ns, msat)\n",
        "",
        CORE,
    ),
    Mutation(
        11,
        "key: nothing is released",
        BUDGETS,
        "            key.release(payment.key_period_ns, reserved_msat, spent_msat, planned_ns)\n",
        "",
        CORE,
    ),
    Mutation(
        11,
        "key: what was spent is not in the journal",
        BUDGETS,
        "            self._moved.add(payment.api_key)\n",
        "",
        CORE,
    ),
    Mutation(
        11,
        "key: what was spent is forgotten at a start",
        BUDGETS,
        "budget.begin(spend.period_start_ns, spend.spent_msat)",
        "pass",
        CORE,
    ),
    Mutation(
        11,
        "key: the period of a reserve is not kept",
        BUDGETS,
        "key.period_start_ns if key is not None else 0",
        "0",
        CORE,
    ),
    Mutation(
        11,
        "key: a budget never renews",
        BUDGETS,
        PERIOD_ROLLS,
        PERIOD_ROLLS.replace("self._roll(budget, now_ns)", "pass"),
        CORE,
    ),
    Mutation(
        11,
        "key: streams do not look at it",
        BUYING,
        "    if levels.turn_msat is not None:\n",
        "    if False:\n",
        CORE,
    ),
    Mutation(
        11,
        "key: single payments do not look at it",
        BOOK,
        (
            " or self.budgets.key_shortage(\n"
            "            order.api_key, amount_msat + fee_limit, now_ns\n"
            "        )"
        ),
        "",
        CORE,
    ),
    Mutation(
        11,
        "key: a total ends while money may come back",
        ROUNDS,
        (
            "return (\n"
            "            budget.period_ns is None\n"
            "            and not budget.reserved_msat\n"
            "            and not self._budgets.promised.get(number)\n"
            "        )"
        ),
        "return budget.period_ns is None and not self._budgets.promised.get(number)",
        CORE,
    ),
    Mutation(
        0,
        "short key: whoever is first takes all",
        LINE,
        "                    self.level_msat - waiting.order[0],\n",
        "                    self.left_msat,\n",
        SHARED,
    ),
    Mutation(
        0,
        "short key: what is promised is free",
        BUDGETS,
        " - self.promised.get(number, 0)",
        "",
        SHARED,
    ),
    Mutation(
        0,
        "short key: a turn never lapses",
        LINE,
        "if now_ns < oldest.given_ns + TURN_NS:",
        "if True:",
        SHARED,
    ),
    Mutation(
        0,
        "short key: a held payment stops the others",
        AWAY,
        "return now_ns < self.until_ns",
        "return True",
        SHARED,
    ),
    Mutation(
        0,
        "short key: nobody is waited for",
        AWAY,
        "return due_ns is not None and due_ns < self.until_ns",
        "return False",
        SHARED,
    ),
    Mutation(
        0,
        "short key: the oldest comes first",
        ROUNDS,
        "line.join(waiting)",
        "waiting.order = (0, 0, 0, stream.key)\n        line.join(waiting)",
        SHARED,
    ),
    Mutation(
        0,
        "short key: what one was served is not counted",
        LINE,
        "stream.account.settled_msat + stream.reserved_msat + ",
        "",
        FAIR,
    ),
    Mutation(
        0,
        "short key: nothing is left to a slow receiver",
        AWAY,
        "            if first.payment.open:\n",
        "            if False:\n",
        FAIR,
    ),
    Mutation(
        0,
        "short key: all that is left is for a slow receiver",
        LINE,
        "            if not found:\n",
        "            if True:\n",
        FAIR,
    ),
    Mutation(
        0,
        "short key: a turn is for more than its stream wants",
        LINE,
        "self.wants_msat(waiting.place, waiting.stream, now_ns),\n                ),",
        "10**15,\n                ),",
        FAIR,
    ),
    Mutation(
        0,
        "short key: nothing is left for who comes later in the period",
        AWAY,
        "not failing and len(self.later) < MOST_LATER",
        "False",
        FAIR,
    ),
    Mutation(
        0,
        "short key: who fails keeps his part for the day",
        AWAY,
        "failing = flight.stream.account.streak > 0",
        "failing = False",
        FAIR,
    ),
    Mutation(
        0,
        "short key: who waits for what is left to others stays active",
        ROUNDS,
        "            free = 0  # what there is",
        "            pass  # what there is",
        FAIR,
    ),
    Mutation(
        0,
        "short key: what a slow receiver cannot take is left to it",
        LINE,
        "        if cap is None:\n            return wants",
        "        if True:\n            return wants",
        FAIR,
    ),
    Mutation(
        0,
        "short key: whoever comes back soon is not minded",
        LINE,
        "return msat * (1 + others) <= free_msat",
        "return True",
        FAIR,
    ),
    Mutation(
        0,
        "short key: a pause gives credit",
        ROUNDS,
        "if stream.state is StreamState.PAUSED:",
        "if False:",
        FAIR,
    ),
    Mutation(
        0, "short key: credit is without bound", ROUNDS, "and behind_msat > 0:", "and False:", FAIR
    ),
    Mutation(
        0,
        "short key: a share is cut into crumbs",
        LINE,
        "max(terms.min_payment_msat, terms.fee_floor_msat)",
        "terms.min_payment_msat",
        SHARED,
    ),
    Mutation(
        0,
        "short key: other nodes are not woken",
        ROUNDS,
        "            place.wake()\n",
        "            pass\n",
        SHARED,
    ),
    Mutation(
        0,
        "short key: what comes back begins no round",
        BUDGETS,
        "self.freed.add(payment.api_key)",
        "pass",
        SHARED,
    ),
    Mutation(
        0,
        "short key: each stream looks itself",
        BOOK,
        "None if self.rounds.keeps(self, stream) else self.due_ns(stream)",
        "self.due_ns(stream)",
        SHARED,
    ),
    Mutation(
        11,
        "key: streams belong to nobody",
        "streamer/core/lifecycle.py",
        "        api_key=api_key,\n",
        "        api_key=0,\n",
        CORE,
    ),
    Mutation(
        0,
        "key: any scope allows any method",
        "streamer/api/scopes.py",
        "(Scope.ADMIN in scopes or SCOPES[method] in scopes)",
        "True",
        ("tests/api/test_scopes.py",),
    ),
    Mutation(
        0,
        "key: a method without a row is allowed",
        "streamer/api/scopes.py",
        "method in SCOPES and (Scope",
        "method not in SCOPES or (Scope",
        ("tests/api/test_scopes.py",),
    ),
    Mutation(
        0,
        "key: a revoked one is let in",
        AUTH,
        "        require_live(caller, now_ns if self._time_known() else 0)\n",
        "",
        API,
    ),
    Mutation(
        0,
        "key: nobody counts requests",
        AUTH,
        "        await limiter.acquire()",
        "        pass",
        API,
    ),
    Mutation(
        0,
        "key: others' things are seen",
        PERMISSION,
        "return caller.admin or caller.number == api_key",
        "return True",
        API,
    ),
    Mutation(
        0,
        "key: the admin sees only his own",
        PERMISSION,
        "return caller.admin or caller.number == api_key",
        "return caller.number == api_key",
        API,
    ),
    Mutation(
        0,
        "key: request_ids are shared",
        PERMISSION,
        'return f"{caller.number}{_OF_KEY}{request_id}" if caller.number else request_id',
        "return request_id",
        API,
    ),
    Mutation(
        0,
        "key: destinations do not bind",
        PERMISSION,
        "if caller.destinations and destination not in caller.destinations:",
        "if False:",
        API,
    ),
    Mutation(
        0,
        "key: revoked while it waited, it pays",
        PERMISSION,
        "    require_live(caller, now_ns)\n    if caller.destinations",
        "    if caller.destinations",
        API,
    ),
    Mutation(
        3,
        "key: what a revoked one ordered is sent again",
        OBSTACLE,
        "ended = budgets.key_ended(payment.api_key, now_ns)",
        "ended = False",
        ("tests/simulation/test_revoked_keys.py",),
    ),
    Mutation(
        0,
        "key: streams are not counted",
        PERMISSION,
        "if running >= caller.max_streams:",
        "if False:",
        API,
    ),
    Mutation(
        0,
        "key: ended streams count",
        PERMISSION,
        " and stream.state not in ENDED for stream in streams",
        " for stream in streams",
        API,
    ),
    Mutation(
        0,
        "key: a payment above its whole budget is taken",
        PERMISSION,
        "amount_msat + fee_msat > owner.budget.amount_msat",
        "False",
        API,
    ),
    Mutation(
        0,
        "key: a payment above the whole spend limit is taken",
        PERMISSION,
        "    if amount_msat + fee_msat > spend_limit_msat:",
        "    if False:",
        API,
    ),
    Mutation(
        0,
        "key: revoking pauses nothing",
        KEYS,
        "if stream.api_key in ended and stream.state in RUNNING:",
        "if False:",
        API,
    ),
    Mutation(0, "key: revoking is not durable", KEYS, "            facts.keys += keys\n", "", API),
    Mutation(
        0,
        "key: who revokes again is answered before it is durable",
        KEYS,
        "            await self._nodes.desk.settled()",
        "            pass",
        ("tests/simulation/test_refused_yet_durable.py",),
    ),
    Mutation(
        0,
        "who pauses or cancels again is answered before it is durable",
        DESK,
        "        commit = self._append(facts) if facts else self._last()\n",
        "        commit = self._append(facts) if facts else self._nothing()\n",
        ("tests/simulation/test_refused_yet_durable.py",),
    ),
    Mutation(
        0,
        "key: a new one is not durable",
        KEYS,
        "        await self._nodes.desk.durable(Facts(keys=[key]))\n",
        "",
        API,
    ),
    Mutation(
        0,
        "key: streams of a revoked one are resumed",
        STREAMS,
        "            require_not_revoked(self._ring.of(stream.api_key), stream)\n",
        "",
        API,
    ),
    Mutation(
        0,
        "key: watchers see all",
        STREAMS,
        (
            "return (\n"
            "                stream is not None\n"
            "                and owns(caller, stream.api_key)\n"
            "                and wanted.matches(stream, event.state, event.reason)\n"
            "            )"
        ),
        "return stream is not None and wanted.matches(stream, event.state, event.reason)",
        API,
    ),
    Mutation(
        0,
        "key: renewing renews all",
        STREAMS,
        (
            "if (\n"
            "                stream.terms.ttl_ns is not None\n"
            "                and owns(caller, stream.api_key)\n"
            "                and wanted.matches(stream)\n"
            "            ):"
        ),
        "if stream.terms.ttl_ns is not None and wanted.matches(stream):",
        API,
    ),
    Mutation(
        0,
        "key: an admin key can be bounded",
        KEYS,
        "if Scope.ADMIN in scopes and (",
        "if False and (",
        API,
    ),
    Mutation(
        0,
        "key: the text is kept",
        "streamer/service/keyring.py",
        'return hmac.digest(self._pepper, text.encode("utf-8", "surrogateescape"), "sha256")',
        'return text.encode("utf-8", "surrogateescape")',
        API,
    ),
    Mutation(
        0,
        "key: a payment of a key may lose it",
        "streamer/stores/rows.py",
        "if api_key or key_period_ns else crc",
        "if False else crc",
        STORE,
    ),
    Mutation(
        0,
        "key: a key may be gone",
        "streamer/stores/replay.py",
        "        if number not in there:",
        "        if False:",
        STORE,
    ),
    Mutation(
        0,
        "key: the doors listen everywhere in the clear",
        "streamer/config/__init__.py",
        "if not api.encrypted and not is_loopback(listen):",
        "if False:",
        ("tests/config/test_config.py",),
    ),
    Mutation(
        0,
        "key: the client speaks in the clear everywhere",
        "streamer/client/connection.py",
        "return trust if trust is not None or is_loopback(server) else Trust()",
        "return trust",
        ("tests/api/test_door.py",),
    ),
    Mutation(
        12,
        "key: who waits for its receiver when its turn lapses falls behind by all of it",
        "streamer/core/line.py",
        "            if not oldest.of.place.stands_in_line(oldest.of.stream):\n    ",
        "",
        ("tests/core/test_fair_hours.py",),
    ),
)
