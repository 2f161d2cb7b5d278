"""Mutations of the answer to "why is nothing paid?": an obstacle that is not seen, or seen where
none is, or in the wrong order.
"""

from __future__ import annotations

from tests.mutations.mutation import BOOK, ENGINE, OBSTACLE, Mutation

SWITCH = "streamer/core/switch.py"
TESTS = ("tests/core/test_obstacle.py",)

OBSTACLE_MUTATIONS = (
    Mutation(
        0,
        "obstacle: a full place is none",
        OBSTACLE,
        "if not place.may_open_another(stream):",
        "if False:",
        TESTS,
    ),
    Mutation(
        0,
        "obstacle: a busy receiver is none",
        OBSTACLE,
        "if place.gate.place(stream) is not None:",
        "if False:",
        TESTS,
    ),
    Mutation(
        0,
        "obstacle: a short key is none",
        OBSTACLE,
        "if not place.rounds.lets_buy(stream, msat, now_ns):",
        "if False:",
        TESTS,
    ),
    Mutation(
        0,
        "obstacle: the spend limit is none before it stops",
        OBSTACLE,
        "if msat > place.budgets.spend_limit.room_at_msat(now_ns):",
        "if False:",
        TESTS,
    ),
    Mutation(
        0,
        "obstacle: who was called is told to wait",
        OBSTACLE,
        "and due_ns > now_ns and not called:",
        "and due_ns > now_ns:",
        TESTS,
    ),
    Mutation(
        0,
        "obstacle: a ttl that nobody has noticed",
        OBSTACLE,
        "now_ns >= stream.expire_time_ns:",
        "False:",
        TESTS,
    ),
    Mutation(
        0,
        "obstacle: a stopping daemon plans",
        OBSTACLE,
        "    if stopping:\n",
        "    if False:\n",
        TESTS,
    ),
    Mutation(
        0,
        "obstacle: the node before the daemon",
        OBSTACLE,
        "of_daemon(shared) or of_node(switch, link) or of_clock(shared)",
        "of_node(switch, link) or of_daemon(shared) or of_clock(shared)",
        TESTS,
    ),
    Mutation(
        0,
        "obstacle: the first halt that came counts",
        SWITCH,
        "for halt in ORDER if halt in self.halts",
        "for halt in self.halts",
        TESTS,
    ),
    Mutation(
        0,
        "obstacle: a payment is sent by a guess of the time",
        BOOK,
        " or obstacle.of_clock(self.shared)",
        "",
        TESTS,
    ),
    Mutation(
        3,
        "obstacle: a call goes past its node's switch",
        ENGINE,
        (
            "if obstacle.of_connection(self.switch, self.link) or not self.book.may_send(\n"
            "            payment, began_ns\n"
            "        ):"
        ),
        "if not self.link.up or not self.book.may_send(payment, began_ns):",
        ("tests/simulation/test_obstacles.py",),
    ),
    Mutation(
        0,
        "obstacle: a node that is up and stopped is ready",
        "streamer/service/sending.py",
        ("(engine.name, one) for engine in engines if (one := engine.obstacle) is not None"),
        (
            "(engine.name, one)\n"
            "            for engine in engines\n"
            "            if (one := engine.obstacle) is not None and not engine.up"
        ),
        ("tests/api/test_unready.py",),
    ),
)
