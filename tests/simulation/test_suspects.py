"""What failed is looked at again: which payments, from when to when, and what a second look may
do.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable

import pytest

from streamer.doubt import givenup
from streamer.doubt.givenup import MAX_WATCHED, WATCH_NS, GivenUp
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import ResourceExhausted, StoreFailed, StreamerError, Unavailable
from streamer.words.model import Facts, Payment, PaymentQuery, PaymentState
from tests.simulation.desk import Desk, S, settled


class Past:
    """A journal that answers with the same payments, and turns that come when the test says so."""

    def __init__(self, ended: list[Payment]) -> None:
        self.ended = ended
        self.queries: list[PaymentQuery] = []
        self.turns: list[Callable[[int, Facts], None]] = []
        self.trouble: Exception | None = None

    def defer(self, action: Callable[[int, Facts], None]) -> None:
        self.turns.append(action)

    async def history(self, query: PaymentQuery) -> list[Payment]:
        self.queries.append(query)
        if self.trouble is not None:
            raise self.trouble
        found = [
            payment
            for payment in self.ended
            if not query.before_row or payment.row < query.before_row
        ]
        return [copy.copy(payment) for payment in found if payment.end_ns >= query.unpaid_since_ns][
            : query.limit
        ]

    def take_turns(self, now_ns: int) -> None:
        for action in self.turns:
            action(now_ns, Facts())


def scene(
    clock: VirtualClock, count: int = 1, remembers: bool = False
) -> tuple[Desk, Past, GivenUp, list[Payment]]:
    """So many payments that failed an instant ago; remembers: the journal tells of them."""
    desk = Desk(clock)
    payments = [desk.payment() for _ in range(count)]
    for payment in payments:
        desk.house.fail(payment)
    past = Past(payments if remembers else [])
    return desk, past, GivenUp(desk, desk.house.book, past), payments  # type: ignore[arg-type]


def asked(desk: Desk, payments: list[Payment]) -> list[int]:
    return [len(desk.asked[payment.payment_hash]) for payment in payments]


def test_a_suspect_is_looked_at_from_now_on_for_an_hour() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, _, watch, payments = scene(clock)
        now_ns = clock.now_ns()
        watch.suspect(payments[0], now_ns)
        for moment_ns, times in (
            (now_ns, 1),
            (now_ns + WATCH_NS - 1, 2),
            (now_ns + 2 * WATCH_NS, 3),
            (now_ns + 3 * WATCH_NS, 3),
        ):
            await watch.look(moment_ns)
            assert asked(desk, payments) == [times]

    run_virtual(main)


def test_the_journal_is_asked_for_what_failed_here_lately_and_for_a_hash_newest_attempt() -> None:
    """The newest at this node: another node's word is not about what was sent through this one."""

    async def main(clock: VirtualClock) -> None:
        desk, past, watch, payments = scene(clock, remembers=True)
        payments[0].payment_request = "lnbcrt1"
        now_ns = clock.now_ns()
        await watch.look(now_ns)
        assert past.queries == [
            PaymentQuery(node="node", unpaid_since_ns=now_ns - WATCH_NS, limit=MAX_WATCHED),
            PaymentQuery(node="node", payment_hash=payments[0].payment_hash, limit=1),
        ]
        assert asked(desk, payments) == [1]
        await watch.look(now_ns)
        assert len(past.queries) == 2, "once"

    run_virtual(main)


@pytest.mark.parametrize(("more_ns", "times"), [(0, 1), (-1, 0)])
def test_what_failed_an_hour_ago_is_not_looked_at_any_more(more_ns: int, times: int) -> None:
    async def main(clock: VirtualClock) -> None:
        desk, _, watch, payments = scene(clock, remembers=True)
        payments[0].end_ns = clock.now_ns() - WATCH_NS + more_ns
        await watch.look(clock.now_ns())
        assert asked(desk, payments) == [times]

    run_virtual(main)


@pytest.mark.parametrize(
    "error", [Unavailable("busy"), ResourceExhausted("too many"), StoreFailed("no disk")]
)
def test_a_journal_that_cannot_be_read_holds_up_nothing(error: StreamerError) -> None:
    async def main(clock: VirtualClock) -> None:
        desk, past, watch, payments = scene(clock)
        past.trouble = error
        watch.suspect(payments[0], clock.now_ns())
        await watch.look(clock.now_ns())
        assert asked(desk, payments) == [1]

    run_virtual(main)


def test_one_that_is_let_go_in_its_last_minute_is_no_trouble() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, _, watch, payments = scene(clock, 2)
        for payment in payments:
            watch.add(payment, clock.now_ns())
        desk.answer_seconds = 0.1
        looking = asyncio.ensure_future(watch.look(clock.now_ns() + WATCH_NS))
        await asyncio.sleep(0.05)
        watch.let_go(payments[0].payment_hash)
        await looking
        assert asked(desk, payments) == [1, 1]

    run_virtual(main)


def test_what_settled_is_posted_once_and_remembered_as_long_as_others_are_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(givenup, "MAX_WATCHED", 2)

    async def main(clock: VirtualClock) -> None:
        desk, past, watch, payments = scene(clock, 3)
        now_ns = clock.now_ns()
        for payment in payments:
            desk.answers[payment.payment_hash] = settled()
            watch.suspect(payment, now_ns)
            await watch.look(now_ns)
            await watch.look(now_ns + 60 * S)
            past.take_turns(now_ns + 61 * S)
        assert len(past.turns) == 6 and {
            (payment.state, payment.end_ns) for payment in payments
        } == {(PaymentState.SETTLED, now_ns + 61 * S)}
        assert [stream.account.settled_msat for stream in desk.house.book.streams.values()] == [
            1_000
        ] * 3
        for payment in payments:
            watch.suspect(payment, now_ns + 120 * S)
        await watch.look(now_ns + 120 * S)
        assert asked(desk, payments) == [
            3,
            2,
            2,
        ], "the oldest is forgotten; the table of moves posts nothing twice"
        past.take_turns(now_ns + 121 * S)
        assert [stream.account.settled_msat for stream in desk.house.book.streams.values()] == [
            1_000
        ] * 3

    run_virtual(main)


@pytest.mark.parametrize("let_go_at", [0.0, 0.05, 0.15])
def test_what_is_used_again_before_the_journal_has_been_read_is_not_looked_at(
    let_go_at: float,
) -> None:
    """Before it is read, while what failed is read, and while the newest attempt is: the new one
    may be in neither.
    """

    async def main(clock: VirtualClock) -> None:
        desk, past, watch, payments = scene(clock, 2, remembers=True)
        payments[0].payment_request = "lnbcrt1"
        read = past.history

        async def slow(query: PaymentQuery) -> list[Payment]:
            found = await read(query)
            await asyncio.sleep(0.1)
            return found

        past.history = slow  # type: ignore[method-assign]
        asyncio.get_running_loop().call_later(let_go_at, watch.let_go, payments[0].payment_hash)
        await asyncio.sleep(0)
        await watch.look(clock.now_ns())
        assert len(past.queries) == 2 and asked(desk, payments) == [0, 1]

    run_virtual(main)


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "times"), [(True, False, 1), (False, False, 0), (True, True, 0)]
)
def test_the_attempt_for_which_another_was_let_go_is_looked_at_in_its_place_if_it_fails(
    remembered: bool, first: bool, second: bool, times: int
) -> None:
    """first: the attempt before was looked at. second: this one settled. Before the journal is
    read, nobody knows of the first.
    """

    async def main(clock: VirtualClock) -> None:
        desk, _, watch, payments = scene(clock)
        now_ns, again = clock.now_ns(), desk.payment()
        again.payment_hash = payments[0].payment_hash
        if remembered:
            await watch.look(now_ns)
        if first:
            watch.add(payments[0], now_ns)
        watch.let_go(again.payment_hash)
        (desk.house.settle if second else desk.house.fail)(again)
        for _ in range(2):
            watch.ended(again, haunted=False, now_ns=now_ns)
        other = desk.payment()
        desk.house.fail(other)
        watch.ended(other, haunted=False, now_ns=now_ns)
        for moment_ns in (now_ns + 60 * S - 1, now_ns + 60 * S):
            await watch.look(moment_ns)
        assert asked(desk, [again, other]) == [times if remembered else int(not second), 0]

    run_virtual(main)
