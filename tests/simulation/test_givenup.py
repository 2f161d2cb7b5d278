"""A payment given up under a ghost is looked at for an hour: what it pays after all does not go
unseen.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from itertools import pairwise
from unittest import mock

import pytest

from streamer.doubt import givenup
from streamer.doubt.givenup import GivenUp
from streamer.doubt.recovery import Patience, Recovery
from streamer.service.orders import InvoiceOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.books import Failure
from streamer.simulator.network.invoices import Wanted, add_invoice
from streamer.simulator.network.lightning_node import CallFate
from streamer.words.errors import NodeUnavailable, Unavailable
from streamer.words.model import ADMIN, Facts, Payment, PaymentQuery, PaymentState
from tests.simulation.desk import NOT_FOUND, Desk, S, failed, settled
from tests.simulation.served import service_of
from tests.simulation.test_scenarios import QUICK
from tests.simulation.world import World

MINUTE, HOUR = 60, 3600


async def given_up(desk: Desk) -> tuple[bytes, float]:
    """The hash of a payment that was given up, and when it was."""
    payment = desk.payment()
    desk.may = False
    desk.lose(payment)
    running = asyncio.ensure_future(desk.run(300))
    while payment.open:
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert payment.state is PaymentState.FAILED
    return payment.payment_hash, desk.seconds


def test_it_is_asked_for_each_minute_for_an_hour() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=20 * S)
        payment_hash, since = await given_up(desk)
        desk.asked.clear()
        await desk.run(3 * HOUR)
        moments = [since, *desk.asked[payment_hash]]
        gaps = [after - before for before, after in pairwise(moments)]
        assert all(MINUTE - 0.02 <= gap <= MINUTE + 1.1 for gap in gaps)
        assert since + HOUR - MINUTE < moments[-1] < since + HOUR + MINUTE + 1.1

    run_virtual(main)


def test_what_settles_after_all_is_a_credit_and_not_asked_for_again() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=20 * S)
        payment_hash, _ = await given_up(desk)
        [stream] = desk.house.book.streams.values()
        desk.asked.clear()
        await desk.run(5 * MINUTE)
        desk.answers[payment_hash] = settled(1_000, 3)
        await desk.run(5 * MINUTE)
        assert (stream.account.settled_msat, stream.account.fee_msat, stream.account.owed_msat) == (
            1_000,
            3,
            0,
        )
        asked = len(desk.asked[payment_hash])
        await desk.run(HOUR)
        assert len(desk.asked[payment_hash]) == asked
        desk.house.crash()
        assert desk.house.again(stream).account.settled_msat == 1_000

    run_virtual(main)


def test_nobody_looks_again_at_what_had_no_ghost_or_settled() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        fine = desk.loose(settled())
        closed = desk.payment()
        desk.answers[closed.payment_hash] = failed()
        desk.lose(closed, NOT_FOUND)
        await desk.run(1)
        desk.asked.clear()
        await desk.run(10 * MINUTE)
        assert not desk.asked and not fine.open and not closed.open

    run_virtual(main)


def test_a_node_that_does_not_answer_is_asked_again() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=20 * S)
        payment_hash, _ = await given_up(desk)
        [stream] = desk.house.book.streams.values()
        desk.trouble["track"] = NodeUnavailable("away")
        await desk.run(5 * MINUTE)
        desk.trouble.clear()
        desk.answers[payment_hash] = settled()
        await desk.run(2 * MINUTE)
        assert stream.account.settled_msat == 1_000

    run_virtual(main)


def test_only_so_many_are_watched_and_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(givenup, "MAX_WATCHED", 2)

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=20 * S)
        desk.may = False
        payments = [desk.loose() for _ in range(3)]
        await desk.run(100)
        assert not any(payment.open for payment in payments)
        desk.asked.clear()
        await desk.run(5 * MINUTE)
        assert [bool(desk.asked[payment.payment_hash]) for payment in payments] == [
            False,
            True,
            True,
        ]

    run_virtual(main)


async def after_a_restart(
    clock: VirtualClock, *failed_for: float, request: str = "", open_for: float = 1
) -> tuple[Desk, list[Payment]]:
    """A daemon that was killed; before that, payments had failed, so many seconds ago each, newest
    last. One stream each.
    """
    desk = Desk(clock)
    desk.may = False
    payments = [desk.loose(failed(), NOT_FOUND) for _ in failed_for]
    await desk.run(1)
    assert not any(payment.open for payment in payments)
    again = Desk(clock)
    again.house = desk.house
    again.house.crash()
    again.recovery = Recovery(again, again.house.book, clock, Patience(), again)  # type: ignore[arg-type]
    for payment, seconds in zip(payments, failed_for, strict=True):
        payment.end_ns = clock.now_ns() - int(seconds * S)
        payment.planned_ns = payment.end_ns - int(open_for * S)
        payment.payment_request = request
    again.past = payments[::-1]
    return again, payments


Action = Callable[[int, Facts], None]


def slow_disk(desk: Desk) -> tuple[Callable[[Action], None], list[Action]]:
    """What is deferred waits in the list until the first is called with it."""
    turn, waiting = desk.defer, list[Action]()
    mock.patch.object(desk, "defer", waiting.append).start()
    return turn, waiting


def test_what_a_killed_process_gave_up_is_looked_at_to_the_end_of_its_hour() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, [old, new] = await after_a_restart(clock, HOUR + 1, HOUR - 10 * MINUTE)
        await desk.run(3 * HOUR)
        assert not desk.asked[old.payment_hash]
        assert 10 <= len(desk.asked[new.payment_hash]) <= 12

    run_virtual(main)


def test_what_failed_just_now_is_looked_at_after_a_start_however_long_it_was_open() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, [payment] = await after_a_restart(clock, MINUTE, open_for=48 * HOUR)
        await desk.run(5 * MINUTE)
        assert desk.asked[payment.payment_hash]

    run_virtual(main)


def test_what_a_killed_process_gave_up_and_settles_after_all_is_a_credit_once() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, [payment] = await after_a_restart(clock, MINUTE)
        desk.answers[payment.payment_hash] = settled(1_000, 3)
        await desk.run(5 * MINUTE)
        desk.recovery.suspect(payment)
        await desk.run(5 * MINUTE)
        [stream] = desk.house.book.streams.values()
        assert (stream.account.settled_msat, stream.account.fee_msat) == (1_000, 3)
        assert [late.row for late in desk.late] == [payment.row]
        assert len(desk.asked[payment.payment_hash]) == 1

    run_virtual(main)


def test_a_journal_that_cannot_be_read_now_is_read_later() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, [payment] = await after_a_restart(clock, MINUTE)
        desk.trouble["history"] = Unavailable("busy")
        await desk.run(3 * MINUTE)
        assert not desk.asked
        desk.trouble.clear()
        await desk.run(3 * MINUTE)
        assert desk.asked[payment.payment_hash]

    run_virtual(main)


def test_of_the_attempts_to_pay_an_invoice_only_the_last_is_looked_at() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, [first, last] = await after_a_restart(clock, 2 * MINUTE, MINUTE, request="lnbcrt1")
        last.payment_hash = first.payment_hash
        desk.answers[first.payment_hash] = settled(1_000)
        await desk.run(5 * MINUTE)
        assert [late.row for late in desk.late] == [last.row]

    run_virtual(main)


def test_a_suspect_is_asked_for_at_once() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=20 * S)
        payment_hash, _ = await given_up(desk)
        [payment] = [watched.payment for watched in desk.recovery._given_up._watched.values()]
        desk.answers[payment_hash] = settled(1_000)
        desk.asked.clear()
        for _ in range(2):
            desk.recovery.suspect(copy.copy(payment))
            await desk.connect()
            await desk.run(1)
        assert len(desk.asked[payment_hash]) == 1
        assert len(desk.late) == 1

    run_virtual(main)


def test_a_slow_disk_posts_nothing_twice() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, [payment] = await after_a_restart(clock, MINUTE)
        desk.answers[payment.payment_hash] = settled(1_000)
        turn, waiting = slow_disk(desk)
        await desk.run(5 * MINUTE)
        assert len(waiting) > 1, "it is asked for until its end is known"
        turn(waiting[0])
        await asyncio.sleep(0)
        assert len(desk.late) == 1
        for action in waiting[1:]:
            turn(action)
        await asyncio.sleep(0)
        assert len(desk.late) == 1

    run_virtual(main)


@pytest.mark.parametrize("told_first", [True, False])
def test_what_a_caller_and_the_watch_both_find_settled_is_posted_once(told_first: bool) -> None:
    """The caller read the payment from the journal: another object of the same row."""

    async def main(clock: VirtualClock) -> None:
        desk, [payment] = await after_a_restart(clock, MINUTE)
        turn, waiting = slow_disk(desk)
        if told_first:
            desk.recovery.settled_late(copy.copy(payment), settled(1_000, 3))
            turn(waiting[0])
            await asyncio.sleep(0)
            assert len(desk.late) == 1, "nobody has to look first"
        desk.answers[payment.payment_hash] = settled(1_000, 3)
        await desk.run(MINUTE + 1)
        if not told_first:
            desk.recovery.settled_late(copy.copy(payment), settled(1_000, 3))
        desk.recovery.suspect(copy.copy(payment))
        for action in waiting:
            turn(action)
        await desk.run(MINUTE + 1)
        desk.recovery.settled_late(copy.copy(payment), settled(1_000, 3))
        for action in waiting:
            turn(action)
        await asyncio.sleep(0)
        [stream] = desk.house.book.streams.values()
        assert waiting
        assert (stream.account.settled_msat, len(desk.late)) == (1_000, 1)

    run_virtual(main)


def test_a_hash_that_is_used_again_before_its_late_end_was_taken_is_the_new_attempts() -> None:
    async def main(clock: VirtualClock) -> None:
        desk, [payment] = await after_a_restart(clock, MINUTE)
        desk.answers[payment.payment_hash] = settled(1_000)
        turn, waiting = slow_disk(desk)
        await desk.run(MINUTE + 1)
        desk.recovery.let_go(payment.payment_hash)
        for action in waiting:
            turn(action)
        await asyncio.sleep(0)
        assert waiting and not desk.late

    run_virtual(main)


def test_a_look_asks_for_so_many_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(givenup, "ASKS_A_LOOK", 2)

    async def main(clock: VirtualClock) -> None:
        desk, payments = await after_a_restart(clock, *([MINUTE] * 5))
        await desk.connect()
        await desk.run(1)
        assert sum(bool(desk.asked[payment.payment_hash]) for payment in payments) == 2
        await desk.run(5 * MINUTE)
        assert all(desk.asked[payment.payment_hash] for payment in payments)

    run_virtual(main)


def test_a_hash_that_is_used_again_is_let_go_and_no_other() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=20 * S)
        desk.may = False
        reused, kept = desk.loose(), desk.loose()
        await desk.run(100)
        desk.recovery.let_go(reused.payment_hash)
        desk.asked.clear()
        await desk.run(5 * MINUTE)
        assert not desk.asked[reused.payment_hash] and desk.asked[kept.payment_hash]

    run_virtual(main)


def watching(desk: Desk, count: int) -> tuple[GivenUp, list[Payment]]:
    """So many payments that failed just now, looked at by nobody else."""
    watch, payments = GivenUp(desk, desk.house.book, desk), list[Payment]()  # type: ignore[arg-type]
    for _ in range(count):
        payments.append(desk.payment())
        desk.house.fail(payments[-1])
        watch.add(payments[-1], desk.clock.now_ns())
    return watch, payments


def test_one_that_is_let_go_while_it_is_asked_for_does_not_hold_up_the_others() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        watch, (reused, other) = watching(desk, 2)
        for payment in (reused, other):
            desk.answers[payment.payment_hash] = settled()
        desk.answer_seconds = 0.1
        looking = asyncio.ensure_future(watch.look(clock.now_ns() + givenup.ASK_EVERY_NS))
        await asyncio.sleep(0.05)
        watch.let_go(reused.payment_hash)
        await looking
        await asyncio.sleep(0.01)
        assert (reused.state, other.state) == (PaymentState.FAILED, PaymentState.SETTLED)
        assert other.end_ns == desk.began_ns + 2 * S // 10, "when it became known"

    run_virtual(main)


@pytest.mark.parametrize(("early_ns", "asked"), [(1, 2), (0, 1)])
def test_it_is_looked_at_for_the_last_time_when_its_hour_is_over(early_ns: int, asked: int) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        began_ns = clock.now_ns()
        watch, [payment] = watching(desk, 1)
        await watch.look(began_ns + givenup.WATCH_NS - early_ns)
        await watch.look(began_ns + 2 * givenup.WATCH_NS)
        assert len(desk.asked[payment.payment_hash]) == asked

    run_virtual(main)


def test_a_ghost_of_the_first_attempt_that_pays_after_the_second_failed_is_in_the_books() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=Patience(ghost_after_ns=20 * S))
        paying = service_of(world).paying
        async with world.running():
            await asyncio.sleep(3)
            made = add_invoice(
                world.network,
                world.network.named["receiver0"],
                Wanted(50_000, expiry_seconds=2 * HOUR),
            )
            world.faults.fail_randomly("payer", 1.0, Failure.NO_ROUTE)
            world.faults.lose_calls("payer", 1, CallFate.LATE, 75 * S)
            for _ in range(2):
                report = await paying.create(ADMIN, InvoiceOrder(made.payment_request), "", 40)
                assert report.payment.state is PaymentState.FAILED
            world.faults.fail_randomly("payer", 0)
            await asyncio.sleep(3 * MINUTE)
            second, first = await world.store.payments(PaymentQuery(payment_hash=made.payment_hash))
            assert (first.state, second.state, second.settled_msat) == (
                PaymentState.FAILED,
                PaymentState.SETTLED,
                50_000,
            )
            assert world.received_msat() == 50_000 == world.book.budgets.spend_limit.spent_msat
            assert [late.row for late in world.observer.late] == [second.row]

    run_virtual(main)
