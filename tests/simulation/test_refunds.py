"""What was written off, and has failed after all: the budgets get it back, once, and the stream
does not (money rule 6).
"""

from __future__ import annotations

import asyncio
import logging

import pytest

from streamer.core import ends
from streamer.core.payment import Event
from streamer.doubt import refunds
from streamer.doubt.recovery import Patience
from streamer.doubt.refunds import (
    LOOK_EVERY_NS,
    LOOK_SECONDS,
    PATIENCE_SECONDS,
    READ_AGAIN_NS,
    WATCH_NS,
    Refunds,
)
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.pace import Pace
from streamer.words.errors import NodeUnavailable, Unavailable
from streamer.words.model import (
    WRITTEN_OFF,
    Answer,
    Facts,
    Kind,
    Mark,
    Payment,
    PaymentQuery,
    PaymentState,
    Stream,
    StreamState,
)
from streamer.words.money import DAY_NS, SECOND_NS, format_amount
from tests.core.house import House, budget_of
from tests.simulation.desk import IN_FLIGHT, LOST, NOT_FOUND, Desk, failed, settled
from tests.simulation.test_suspects import Past
from tests.simulation.world import World

SLOW = Pace(latency_ns=(2 * SECOND_NS, 3 * SECOND_NS))
GHOST_NS = 120 * SECOND_NS
AMOUNT_MSAT = 1_000


def scene(clock: VirtualClock, count: int = 1) -> tuple[Desk, Past, Refunds, list[Payment]]:
    """So many payments that were written off an instant ago; the newest is the journal's first."""
    desk = Desk(clock)
    desk.house.add_key(7, 10**9, DAY_NS)
    payments = [desk.payment(desk.open(api_key=7, budget=budget_of(10**9))) for _ in range(count)]
    for payment in payments:
        desk.house.write_off(payment)
    past = Past(payments[::-1])
    return desk, past, Refunds(desk, desk.house.book, past, GHOST_NS), payments  # type: ignore[arg-type]


def spent(desk: Desk, stream: Stream) -> tuple[int, int, int]:
    """What the spend limit, the key's budget and the stream's own say was spent."""
    budgets, now_ns = desk.house.book.budgets, desk.clock.now_ns()
    own = budgets.own(stream, now_ns)
    return (
        budgets.spend_limit.spent_msat,
        desk.house.key_budget(7).spent_msat,
        own.spent_msat if own is not None else 0,
    )


def asked(desk: Desk) -> int:
    return sum(map(len, desk.asked.values()))


def test_what_failed_after_all_is_back_in_the_budgets_and_not_in_the_stream() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, past, watch, [payment] = scene(clock)
        [stream] = desk.house.book.streams.values()
        assert spent(desk, stream) == (1_100, 1_100, 1_100)
        desk.answers[payment.payment_hash] = failed()
        before = repr(stream.account)
        await watch.look(clock.now_ns() + GHOST_NS)
        await watch.look(clock.now_ns() + GHOST_NS + LOOK_EVERY_NS)
        assert len(past.turns) == 2, "the journal told of it as it was, twice"
        past.take_turns(clock.now_ns())
        assert spent(desk, stream) == (0, 0, 0)
        stream.account.period_spent_msat = 1_100
        assert repr(stream.account) == before, "what was bought stays bought, and nothing is owed"

    run_virtual(main)


@pytest.mark.parametrize("answer", [settled(), IN_FLIGHT, NOT_FOUND, LOST])
def test_nothing_else_that_the_node_says_gives_anything_back(answer: Answer) -> None:
    async def main(clock: VirtualClock) -> None:
        desk, past, watch, [payment] = scene(clock)
        desk.answers[payment.payment_hash] = answer
        await watch.look(clock.now_ns() + GHOST_NS)
        assert asked(desk) == 1 and not past.turns

    run_virtual(main)


def test_what_was_out_of_sight_when_written_off_gives_nothing_back_though_called_failed() -> None:
    """That may be a later call's end: what paid it is in what the node has lost."""

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        stream = desk.open()
        lost, orphan = desk.payment(stream), desk.payment(desk.open())
        for payment, mark in ((lost, Mark.LOST_SIGHT), (orphan, Mark.ORPHAN)):
            desk.house.mark(payment, mark)
            desk.house.write_off(payment)
            desk.answers[payment.payment_hash] = failed()
        assert (lost.mark, orphan.mark) == (Mark.LOST_SIGHT, Mark.NONE), "the journal keeps it"
        past = Past([orphan, lost])
        await Refunds(desk, desk.house.book, past, GHOST_NS).look(clock.now_ns() + GHOST_NS)  # type: ignore[arg-type]
        past.take_turns(clock.now_ns())
        assert (
            len(past.turns) == 1
            and desk.house.book.budgets.spend_limit.spent_msat
            == lost.amount_msat + lost.fee_limit_msat
        )

    run_virtual(main)


def test_it_is_asked_for_when_no_call_of_it_can_be_alive() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, _, watch, [payment] = scene(clock)
        desk.answers[payment.payment_hash] = failed()
        await watch.look(payment.end_ns + GHOST_NS - 1)
        assert asked(desk) == 0
        connected_ns = payment.end_ns + 2 * LOOK_EVERY_NS
        watch.connected(connected_ns)
        await watch.look(connected_ns + GHOST_NS - 1)
        assert asked(desk) == 0
        await watch.look(connected_ns + GHOST_NS)
        assert asked(desk) == 1

    run_virtual(main)


def test_each_connection_and_each_hour_asks_again() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, past, watch, [payment] = scene(clock)
        now_ns = payment.end_ns + GHOST_NS
        for moment_ns, times in (
            (now_ns, 1),
            (now_ns + LOOK_EVERY_NS - 1, 1),
            (now_ns + LOOK_EVERY_NS, 2),
        ):
            await watch.look(moment_ns)
            assert asked(desk) == times
        watch.connected(now_ns + LOOK_EVERY_NS)
        await watch.look(now_ns + LOOK_EVERY_NS + GHOST_NS)
        assert asked(desk) == 3
        assert past.queries[0] == PaymentQuery(
            node="node", states=WRITTEN_OFF, limit=refunds.ASKS_A_LOOK
        )

    run_virtual(main)


def test_only_so_many_are_asked_for_at_once_and_each_in_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refunds, "ASKS_A_LOOK", 2)

    async def main(clock: VirtualClock) -> None:
        desk, _, watch, payments = scene(clock, 5)
        now_ns = clock.now_ns() + GHOST_NS
        for times in (2, 4, 5, 5):
            await watch.look(now_ns)
            assert asked(desk) == times
        assert all(len(desk.asked[payment.payment_hash]) == 1 for payment in payments)
        await watch.look(now_ns + LOOK_EVERY_NS)
        assert [len(desk.asked[payment.payment_hash]) for payment in payments] == [
            1,
            1,
            1,
            2,
            2,
        ], "the newest first"
        watch.connected(now_ns + LOOK_EVERY_NS)
        await watch.look(now_ns + LOOK_EVERY_NS + GHOST_NS)
        assert [len(desk.asked[payment.payment_hash]) for payment in payments] == [
            1,
            1,
            1,
            3,
            3,
        ], "from the newest again"

    run_virtual(main)


def test_a_node_that_does_not_answer_makes_no_look_long_and_passes_over_nobody() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, _, watch, [first, second, third] = scene(clock, 3)
        desk.answers[second.payment_hash] = LOST
        now_ns = clock.now_ns() + GHOST_NS
        await watch.look(now_ns)
        assert [len(desk.asked[payment.payment_hash]) for payment in (third, second, first)] == [
            1,
            1,
            0,
        ]
        await watch.look(now_ns + SECOND_NS)
        assert [len(desk.asked[payment.payment_hash]) for payment in (third, second, first)] == [
            1,
            1,
            1,
        ]
        desk.trouble["track"] = NodeUnavailable("away")
        with pytest.raises(NodeUnavailable):
            await watch.look(now_ns + SECOND_NS + LOOK_EVERY_NS)

    run_virtual(main)


def test_a_node_that_answers_slowly_makes_no_look_long_and_the_next_one_goes_on() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, past, watch, payments = scene(clock, 5)
        desk.answer_seconds = LOOK_SECONDS - 1
        now_ns = clock.now_ns() + GHOST_NS
        for times in (2, 4, 5, 5):
            began_ns = clock.now_ns()
            await watch.look(now_ns)
            assert (
                asked(desk) == times
                and clock.now_ns() - began_ns <= (LOOK_SECONDS + PATIENCE_SECONDS) * SECOND_NS
            )
        assert (
            all(len(desk.asked[payment.payment_hash]) == 1 for payment in payments)
            and len(past.queries) == 3
        )

    run_virtual(main)


def test_a_journal_that_cannot_be_read_now_is_left_alone_for_minutes_and_then_read() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, past, watch, _ = scene(clock)
        now_ns = clock.now_ns() + GHOST_NS
        past.trouble = Unavailable("busy")
        for moment_ns in (now_ns, now_ns + SECOND_NS, now_ns + READ_AGAIN_NS - 1):
            await watch.look(moment_ns)
            assert len(past.queries) == 1
        past.trouble = None
        await watch.look(now_ns + READ_AGAIN_NS)
        assert asked(desk) == 1

    run_virtual(main)


def test_what_was_planned_too_long_ago_is_not_asked_for_and_what_lies_below_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refunds, "ASKS_A_LOOK", 2)

    async def main(clock: VirtualClock) -> None:
        desk, past, watch, payments = scene(clock, 7)
        now_ns = clock.now_ns() + GHOST_NS
        for payment, age_ns in zip(payments, (9, 9, 2, 1, 1, 1, 0), strict=True):
            payment.planned_ns = now_ns - WATCH_NS - age_ns + 1
        for _ in range(9):
            await watch.look(now_ns)
        assert [len(desk.asked[payment.payment_hash]) for payment in payments] == [
            0,
            0,
            0,
            1,
            1,
            1,
            1,
        ]
        assert [query.before_row for query in past.queries] == [0, payments[5].row, payments[3].row]

    run_virtual(main)


def test_what_has_its_money_back_is_not_asked_for_again() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, past, watch, [payment] = scene(clock)
        desk.house.resolve(payment, Event.FAILED, Answer(Kind.FAILED))
        assert (payment.state, payment.settled_msat, payment.fee_msat) == (
            PaymentState.WRITTEN_OFF,
            0,
            0,
        )
        await watch.look(clock.now_ns() + GHOST_NS)
        assert past.queries and asked(desk) == 0

    run_virtual(main)


def test_what_has_its_money_back_keeps_nobody_from_being_asked_for() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, _, watch, [older, newer] = scene(clock, 2)
        desk.house.resolve(newer, Event.FAILED, Answer(Kind.FAILED))
        await watch.look(clock.now_ns() + GHOST_NS)
        assert list(desk.asked) == [older.payment_hash]

    run_virtual(main)


def test_a_fee_as_large_as_the_amount_is_money_too() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, _, watch, [payment] = scene(clock)
        payment.fee_msat = payment.settled_msat
        await watch.look(clock.now_ns() + GHOST_NS)
        assert asked(desk) == 1

    run_virtual(main)


def write_off(world: World, payment: Payment, now_ns: int, facts: Facts) -> None:
    ends.resolve(world.book, payment, Event.WRITE_OFF, Answer(Kind.LOST), now_ns, facts)


async def written_off(world: World) -> Payment:
    """A payment whose node has left it in flight for ever, when that counts as paid."""
    await world.open("1sat/1h")
    while not world.network.named["payer"].flights:
        await asyncio.sleep(0.01)
    [payment] = world.book.payments.values()
    world.faults.restart("payer", orphan_rate=1.0)
    while payment.open:
        await asyncio.sleep(1)
    assert payment.state is PaymentState.WRITTEN_OFF
    return payment


def test_an_orphan_whose_channel_is_closed_fails_at_the_next_start_of_the_node(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "streamer.doubt.refunds")
    told: list[str] = []

    async def main(clock: VirtualClock) -> None:
        world = World(clock, SLOW, patience=Patience(orphan_write_off_after_ns=300 * SECOND_NS))
        async with world.running():
            payment = await written_off(world)
            [stream] = world.book.streams.values()
            whole_msat = payment.amount_msat + payment.fee_limit_msat
            told.extend((payment.id, format_amount(whole_msat)))
            assert world.shared.budgets.spend_limit.spent_msat == whole_msat
            world.network.open_channel(
                world.network.named["payer"], world.network.named["receiver0"], 100_000_000
            )
            world.faults.close_channels("payer", "receiver0", 1)
            world.faults.restart("payer", orphan_rate=0.0)
            await asyncio.sleep(GHOST_NS / SECOND_NS)
            assert world.shared.budgets.spend_limit.spent_msat == whole_msat
            await asyncio.sleep(70)
        for _ in range(2):
            assert world.shared.budgets.spend_limit.spent_msat == 0
            assert (
                stream.account.settled_msat,
                stream.account.written_off_msat,
                stream.account.owed_msat,
            ) == (1_000, 1_000, 0)
            known = await world.store.payment(stream.id, 1)
            assert known is not None and known.state is PaymentState.WRITTEN_OFF
            assert (known.settled_msat, known.fee_msat, known.message) == (0, 0, refunds.MESSAGE)
            world.crash()
            [stream] = world.book.streams.values()
        world.check()

    run_virtual(main)
    [line] = [
        record.getMessage() for record in caplog.records if record.name == "streamer.doubt.refunds"
    ]
    assert (
        line
        == f"payment {told[0]} was written off, and has failed: the budgets have {told[1]} back"
    )


@pytest.mark.parametrize("settles", [True, False])
def test_a_call_that_was_under_way_when_its_payment_was_written_off_moves_no_money_by_itself(
    settles: bool,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, SLOW, patience=Patience(hold_after_ns=7200 * SECOND_NS))
        async with world.running():
            world.faults.hold("receiver0")
            await world.open("1sat/1h")
            while not world.network.named["receiver0"].held:
                await asyncio.sleep(0.01)
            [payment] = world.book.payments.values()
            world.engine.defer(lambda now_ns, facts: write_off(world, payment, now_ns, facts))
            await asyncio.sleep(1)
            spent_msat = world.shared.budgets.spend_limit.spent_msat
            await asyncio.sleep(60)
            world.faults.release("receiver0", settle=settles)
            await asyncio.sleep(60)
            assert payment.state is PaymentState.WRITTEN_OFF
            assert world.shared.budgets.spend_limit.spent_msat == spent_msat
            await asyncio.sleep(2 * LOOK_EVERY_NS / SECOND_NS)
            known = await world.store.payment(payment.owner, 1)
            assert known is not None and (known.settled_msat == 0) == (not settles)
        world.check()

    run_virtual(main)


def test_an_end_that_comes_to_what_has_ended_moves_money_only_if_settled_late_and_once() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, SLOW)
        async with world.running():
            world.faults.set_keysend("receiver0", accepted=False)
            stream = await world.open("1sat/1h")
            while not world.observer.payments:
                await asyncio.sleep(0.1)
            [payment] = world.observer.payments
            world.engine._ended(payment, failed(), Event.FAILED)
            await asyncio.sleep(1)
            assert (payment.state, stream.account.owed_msat) == (PaymentState.FAILED, AMOUNT_MSAT)
            for _ in range(2):
                world.engine._ended(payment, settled(), Event.SETTLED)
                await asyncio.sleep(1)
            assert (payment.state, stream.account.owed_msat, len(world.observer.late)) == (
                PaymentState.SETTLED,
                0,
                1,
            )

    run_virtual(main)


def test_what_is_written_off_while_its_intent_becomes_durable_is_not_sent() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, SLOW)

        async def commit() -> None:
            await asyncio.sleep(2)

        async with world.running():
            world.store.commit = commit
            opening = asyncio.ensure_future(world.open("1sat/1h"))
            while not world.book.payments:
                await asyncio.sleep(0.1)
            [payment] = world.book.payments.values()
            world.engine.defer(lambda now_ns, facts: write_off(world, payment, now_ns, facts))
            await opening
            await asyncio.sleep(60)
            assert payment.state is PaymentState.WRITTEN_OFF and world.received_msat() == 0

    run_virtual(main)


def test_who_waits_for_a_budget_that_has_money_back_goes_on() -> None:
    house = House()
    house.add_key(7, 2_200, DAY_NS)
    own = house.open(budget=budget_of(1_200, DAY_NS))
    first, second = house.open(api_key=7), house.open(api_key=7)
    payments = house.plan()
    for payment in payments:
        house.write_off(payment)
    house.at(2)
    assert house.plan() == [] and {stream.state for stream in (own, first, second)} == {
        StreamState.STALLED
    }
    refund = Answer(Kind.FAILED, accepted=True)
    house.resolve(payments[0], Event.FAILED, refund)
    assert [payment.owner for payment in house.plan()] == [own.id]
    house.resolve(payments[1], Event.FAILED, refund)
    house.at(3)
    assert [payment.api_key for payment in house.plan()] == [7]
    house.crash()
    assert house.again(own).refunded_msat == 1_100
