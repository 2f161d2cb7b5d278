"""One answer to "why is nothing paid?": what has no obstacle may go, and of what has one nothing
goes.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from itertools import permutations

import pytest

from streamer.core import lifecycle, obstacle
from streamer.core.obstacle import Obstacle, ObstacleKind
from streamer.core.switch import ORDER, Switch
from streamer.words.model import ENDED, BudgetTerms, Facts, Mark, Payment, Rate, Stream, StreamState
from streamer.words.reasons import DAEMON_HALTS, Halt, Reason
from tests.core.house import HOUR, MINUTE, NODE, House, S

NODE_HALTS = [halt for halt in ORDER if halt not in DAEMON_HALTS or halt is Halt.CLOCK]


@dataclass
class Reached:
    """A connection as the link knows it."""

    up: bool = True
    blocked: Reason | None = None
    problem: str = ""


def above(
    house: House, switch: Switch | None = None, link: Reached | None = None, stopping: bool = False
) -> Obstacle | None:
    return obstacle.to_plan(house.book.shared, switch or Switch(NODE), link or Reached(), stopping)


# -- the property ----------------------------------------------------------------------------------

STEPS = 400
SEEDS = range(24)
DESTINATIONS = [bytes([2]) + bytes([number]) * 32 for number in range(1, 5)]
STEPS_NS = [0, 0, 1, S // 3, S, S, 3 * S, 40 * S, 3 * MINUTE, HOUR]
FAILURES = [Reason.NO_ROUTE, Reason.TIMEOUT, Reason.RECEIVER_REJECTED, Reason.NODE_REFUSED]


class Chance:
    """A book in which, as the seed decides, all happens that can keep a stream from being paid, and
    ends again.

    At each stream's turn it is asked for its obstacle before anything is decided. It is paid if it
    has none, and only then.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        limit = self.random.choice([10**15, 10**15, 300_000])
        self.house = House(
            limit, self.random.choice([1, 2, 10]), self.random.choice([2, 5]), proven=False
        )
        self.house.book.gate.resize(self.random.choice([4, 40]), self.random.choice([4, 40]))
        self.house.add_key(1, self.random.choice([60_000, 10**7]))
        self.house.add_key(2, self.random.choice([20_000, 60_000]), HOUR)
        self.seen: Counter[str] = Counter()
        self._judge()

    def _judge(self) -> None:
        book = self.house.book
        pay = book._pay

        def judged(stream: Stream, due_ns: int, now_ns: int, facts: Facts) -> Payment | None:
            found = self.ask(stream)
            payment = pay(stream, due_ns, now_ns, facts)
            assert (payment is None) == (found is not None), f"{found} {payment} {stream}"
            return payment

        book._pay = judged  # type: ignore[method-assign]

    def ask(self, stream: Stream) -> Obstacle | None:
        found = self.house.book.obstacle(stream, above(self.house), self.house.now_ns)
        self.seen["" if found is None else found.kind] += 1
        return found

    def run(self) -> None:
        acts = (
            [self.plan] * 6
            + [self.end] * 5
            + [self.mark] * 2
            + [self.person, self.stop, self.open, self.open, self.key_ends]
        )
        for _ in range(STEPS):
            self.house.now_ns += self.random.choice(STEPS_NS)
            self.random.choice(acts)()

    def plan(self) -> None:
        """One plan, or as many as there is something for: then nobody is left whom nothing
        keeps.
        """
        house = self.house
        if self.random.random() < 0.5:
            self._plan(self.random.choice([1, 2, 5]))
            return
        while self._plan(20):
            pass
        if house.switch.sending:
            left = [stream for stream in house.book.streams.values() if self.ask(stream) is None]
            assert not left, f"nothing keeps it, and nothing goes: {left[0]}"

    def _plan(self, room: int) -> list[Payment]:
        before = {
            stream.key: (self.ask(stream), stream.state)
            for stream in self.house.book.streams.values()
        }
        planned = self.house.plan(room)
        for payment in planned:
            (found, state), stream = (
                before[payment.stream_key],
                self.house.book.by_key[payment.stream_key],
            )
            # time that took effect first may have ended a stall; and what else is planned may give
            # a stream its turn
            assert found is None or found.kind in LIFTED_BY_A_PLAN or stream.state is not state, (
                f"{found} {payment}"
            )
        return planned

    def stop(self) -> None:
        """While the daemon's switch is off, or the clock not known, each stream has an obstacle,
        and nothing goes.
        """
        house, shared = self.house, self.house.book.shared
        if not house.switch.sending:
            self._start()
            return
        halt = self.random.choice([*sorted(DAEMON_HALTS), None])
        shared.know_time(False) if halt is None else house.switch.stop(halt, "why")
        for stream in house.book.streams.values():
            found = self.ask(stream)
            assert found is not None
            assert found.kind in WANTS_NOTHING or found.reason is (halt or Halt.CLOCK), found
        assert not house.book.plan(house.now_ns, 100, Facts())
        assert not any(
            house.book.may_send(payment, house.now_ns) for payment in house.book.payments.values()
        )
        shared.know_time(True) if halt is None else house.switch.lift(halt)

    def _start(self) -> None:
        budgets = self.house.book.budgets
        self.house.switch.lift(Halt.SPEND_LIMIT)
        budgets.spend_limit.begin(max(self.house.now_ns, budgets.spend_limit.period_start_ns + 1))

    def end(self) -> None:
        doubtful = self.house.book.slots.doubtful if self.random.random() < 0.9 else ()
        payments = [
            payment for row, payment in self.house.book.payments.items() if row not in doubtful
        ]
        for payment in self.random.sample(payments, min(len(payments), 3)):
            stream = self.house.book.by_key[payment.stream_key]
            alone = obstacle.of_payment(payment, stream, self.house.book.budgets, self.house.now_ns)
            runs = stream.state in (StreamState.ACTIVE, StreamState.STALLED)
            assert (alone is None) == runs and self.house.book.may_send(
                payment, self.house.now_ns
            ) == (runs and self.house.switch.sending)
            if self.random.random() < 0.6:
                self.house.settle(
                    payment, fee_msat=self.random.randrange(payment.fee_limit_msat + 1)
                )
            else:
                self.house.fail(payment, self.random.choice(FAILURES))

    def mark(self) -> None:
        payments = list(self.house.book.payments.values())
        for payment in self.random.sample(payments, min(len(payments), 2)):
            if self.random.random() < 0.5:
                self.house.mark(payment, self.random.choice(list(Mark)))
            else:
                self._doubt_all(payment.stream_key)

    def _doubt_all(self, stream_key: int) -> None:
        book = self.house.book
        for payment in [one for one in book.payments.values() if one.stream_key == stream_key]:
            if payment.row not in book.slots.doubtful:
                self.house.doubt(payment)

    def person(self) -> None:
        running = [
            stream
            for stream in self.house.book.streams.values()
            if stream.state not in (StreamState.CLOSING, *ENDED)
        ]
        if running:
            stream = self.random.choice(running)
            self.house.act(
                self.random.choice(
                    [lifecycle.pause, lifecycle.resume, lifecycle.resume, lifecycle.renew]
                ),
                stream,
            )
            if (
                self.random.random() < 0.3
                and stream.terms.budget is not None
                and stream.state not in (StreamState.CLOSING, *ENDED)
            ):
                self.house.change(stream, budget=BudgetTerms(10**6, stream.terms.budget.period_ns))

    def key_ends(self) -> None:
        """A key without a budget, that expires soon: its streams are paused by the look after
        that.
        """
        number = 10 + self.random.randrange(1_000)
        if self.random.random() < 0.3 and number not in {
            key.number for key in self.house.book.budgets.all_keys()
        }:
            key = self.house.add_key(number, 10**12)
            key.expire_time_ns = self.house.now_ns + self.random.choice([S, 30 * S])
            self._open(number)

    def open(self) -> None:
        for stream in list(self.house.book.streams.values()):
            self.house.book.remove(stream)  # those that have ended
        if len(self.house.book.streams) < 12:
            self._open(self.random.choice([0, 1, 2, 2]))

    def _open(self, api_key: int) -> None:
        choice, now_ns = self.random.choice, self.house.now_ns
        start_ns = now_ns + choice([0, 0, 0, 2 * S])
        self.house.open(
            api_key,
            rate=choice([Rate(1_000, S, S), Rate(7_000, S, S), Rate(100_003, MINUTE, 10 * S)]),
            destination=choice(DESTINATIONS),
            start_time_ns=start_ns,
            end_time_ns=choice([None, None, start_ns + 2 * S, start_ns + 5 * S, start_ns + HOUR]),
            budget=choice(
                [
                    None,
                    None,
                    BudgetTerms(12_345, None),
                    BudgetTerms(9_000, MINUTE),
                    BudgetTerms(40_000, HOUR),
                ]
            ),
            catch_up_ns=choice([None, 0, MINUTE]),
            ttl_ns=choice([None, None, 20 * S]),
            max_open_payments=choice([1, 1, 3]),
            max_payment_msat=choice([None, 5_000]),
        )


WANTS_NOTHING = frozenset(
    {ObstacleKind.NOT_BEGUN, ObstacleKind.PAUSED, ObstacleKind.CLOSING, ObstacleKind.ENDED}
)
LIFTED_BY_A_PLAN = frozenset({ObstacleKind.TURN, ObstacleKind.KEY_BUDGET})
"""A round of the key's budget is dealt while a plan is made; nothing else that keeps a stream
passes in one.
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_what_has_no_obstacle_goes_and_what_has_one_does_not(seed: int) -> None:
    Chance(seed).run()


def test_chance_comes_upon_every_obstacle_of_a_stream() -> None:
    seen: Counter[str] = Counter()
    above_all = {ObstacleKind.STOPPING, ObstacleKind.NODE_HALT, ObstacleKind.NODE}
    for seed in SEEDS:
        world = Chance(seed)
        world.run()
        seen += world.seen
        unseen = {str(kind) for kind in ObstacleKind if not seen[kind]}
        if unseen == above_all:
            return
    pytest.fail(f"never seen: {unseen - above_all}, of {dict(seen)}")


# -- the order -------------------------------------------------------------------------------------


def test_every_halt_has_its_place_in_the_order() -> None:
    assert sorted(ORDER) == sorted(Halt) and len(ORDER) == len(Halt)


@pytest.mark.parametrize(
    "came", list(permutations([Halt.OPERATOR, Halt.SPEND_LIMIT, Halt.STORE_FAILED]))
)
def test_of_several_halts_that_counts_which_is_to_be_repaired_first(came: tuple[Halt, ...]) -> None:
    """`sending start` lifts no OPERATOR while the journal is not repaired, whichever of them came
    first.
    """
    house = House()
    for halt in came:
        house.switch.stop(halt, f"because of {halt}")
    for halt in (Halt.STORE_FAILED, Halt.SPEND_LIMIT, Halt.OPERATOR):
        found = above(house)
        assert found is not None and (found.kind, found.reason) == (ObstacleKind.DAEMON_HALT, halt)
        assert found.words == f"sending is stopped ({halt}): because of {halt}"
        house.switch.lift(halt)
    assert above(house) is None


def test_what_is_lifted_shows_what_is_behind_it() -> None:
    """All at once: the widest first, and of a stream what its state says before all."""
    house, node, link = (
        House(),
        Switch(NODE),
        Reached(blocked=Reason.NODE_DOWN, problem="no channel is active"),
    )
    stream = house.open(max_open_payments=1)
    house.plan()
    house.switch.stop(Halt.OPERATOR, "by hand")
    node.stop(Halt.CREDENTIALS, "macaroon")
    house.book.shared.know_time(False)
    house.pause(stream)

    def kind(stopping: bool = False) -> str:
        found = house.book.obstacle(stream, above(house, node, link, stopping), house.now_ns)
        return "" if found is None else found.kind

    assert kind(stopping=True) == ObstacleKind.PAUSED
    house.book.shared.know_time(True)
    house.resume(stream)
    house.book.shared.know_time(False)
    assert kind(stopping=True) == ObstacleKind.STOPPING and kind() == ObstacleKind.DAEMON_HALT
    house.switch.lift(Halt.OPERATOR)
    assert kind() == ObstacleKind.NODE_HALT
    node.lift(Halt.CREDENTIALS)
    assert kind() == ObstacleKind.NODE
    link.blocked, link.problem = None, ""
    assert kind() == ObstacleKind.CLOCK
    house.book.shared.know_time(True)
    assert kind() == ObstacleKind.OPEN
    [payment] = house.book.payments.values()
    house.settle(payment)
    assert kind() == ObstacleKind.AHEAD
    house.now_ns += 10 * S
    assert kind() == ""


@pytest.mark.parametrize("halt", NODE_HALTS)
def test_a_nodes_halt_stops_what_is_handed_over_as_well_as_plans(halt: Halt) -> None:
    node = Switch(NODE)
    node.stop(halt, "why")
    found = obstacle.of_connection(node, Reached())
    assert found is not None and (found.reason, found.text) == (halt, "why")
    assert above(House(), node) == found


def test_what_is_planned_is_handed_over_by_a_daemon_that_stops_and_to_unable_channels() -> None:
    blocked = Reached(blocked=Reason.NO_SLOTS, problem="all slots are taken")
    assert obstacle.of_connection(Switch(NODE), blocked) is None
    found = above(House(), link=blocked)
    assert found is not None and (found.kind, found.reason, found.text) == (
        ObstacleKind.NODE,
        Reason.NO_SLOTS,
        "all slots are taken",
    )
    stopping = above(House(), stopping=True)
    assert stopping is not None and stopping.reason == "STOPPING"


def test_while_nothing_can_be_asked_yet_the_reason_for_that_says_more_than_recovering() -> None:
    node, down = Switch(NODE), Reached(up=False, problem="the wallet is locked")
    node.stop(Halt.RECOVERING, "asking the node")
    found = obstacle.of_node(node, down)
    assert found is not None and (found.reason, found.text) == (
        Reason.NODE_DOWN,
        "the wallet is locked",
    )
    down.problem = ""
    found = obstacle.of_node(node, down)
    assert found is not None and (found.reason, found.text, found.halt) == (
        Halt.RECOVERING,
        "asking the node",
        False,
    )
    node.lift(Halt.RECOVERING)
    found = obstacle.of_node(node, down)
    assert found is not None and (found.reason, found.text) == (Reason.NODE_DOWN, "not reached yet")


def test_what_time_does_is_said_before_anybody_has_noticed_it() -> None:
    house = House()
    key = house.add_key(1, 10**9)
    mortal, short_lived = house.open(api_key=1), house.open(ttl_ns=5 * S)
    key.expire_time_ns = house.now_ns + 5 * S
    house.now_ns += 6 * S
    for stream, reason in ((mortal, Reason.KEY_REVOKED), (short_lived, Reason.TTL_EXPIRED)):
        found = house.book.obstacle(stream, above(house), house.now_ns)
        assert found is not None and stream.state is StreamState.ACTIVE
        assert (found.kind, found.reason, found.since_ns) == (
            ObstacleKind.PAUSED,
            reason,
            house.now_ns - S,
        )
    assert house.plan() == [] and {mortal.state, short_lived.state} == {StreamState.PAUSED}
