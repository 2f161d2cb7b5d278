"""A clock that was wrong at the start, within what a node can notice, and is put right while the
daemon runs.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamer.books.timekeeping import ASK_AGAIN_SECONDS, FOLLOW_AFTER_NS, FOLLOWED, ClockState
from streamer.core.shared import MARK
from streamer.ports import Node
from streamer.service.keys import KeyOrder
from streamer.service.orders import InvoiceOrder, StreamOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.invoices import Wanted, add_invoice
from streamer.words.errors import FailedPrecondition, PermissionDenied
from streamer.words.model import ADMIN, Stream, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from tests.simulation.beating import Steps, beating
from tests.simulation.desk import Desk
from tests.simulation.served import service_of
from tests.simulation.skewed import Synced
from tests.simulation.world import World

HOUR_NS = 3600 * SECOND_NS
MINUTE_SECONDS = FOLLOW_AFTER_NS // SECOND_NS
FOLLOWED_BY = MINUTE_SECONDS + ASK_AGAIN_SECONDS + 3
"""Seconds by which our time has followed, and a node has agreed."""


def wrong_at_the_start(clock: VirtualClock, step_ns: int) -> tuple[World, Steps]:
    steps = Steps(clock, step_ns)
    world = World(clock)
    world.clock = steps  # type: ignore[assignment]
    world._build()
    return world, steps


def now_ns(world: World) -> int:
    return world.engine._clock.now_ns()


async def put_right(world: World, steps: Steps) -> None:
    """The machine's clock is set, and our time has followed."""
    steps.step_ns = 0
    await asyncio.sleep(FOLLOWED_BY)
    assert world.timekeeping.state is ClockState.RIGHT
    assert now_ns(world) == steps.wall_ns()


def only(world: World) -> Stream:
    [stream] = world.book.streams.values()
    return stream


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_stream_that_goes_on_is_paid_evenly_over_it(hours: int) -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, hours * HOUR_NS)
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            stream = await open_now(world)
            await asyncio.sleep(60)
            ahead_ns = world_ahead_ns(world, stream)
            await put_right(world, steps)
            await asyncio.sleep(60 - FOLLOWED_BY % 60)
            assert abs(world_ahead_ns(world, stream) - ahead_ns) <= 1.1 * SECOND_NS
            assert abs(world.received_msat() - 1_000 * (120 + MINUTE_SECONDS)) <= 2_000
            assert (stream.skipped_ns, stream.state) == (0, StreamState.ACTIVE)
            world.check()
        world.crash()
        async with world.running(), beating(world) as told:
            await asyncio.sleep(60)
            assert told.halts == {}, "the journal's mark has moved too"
            assert abs(world_ahead_ns(world, only(world)) - ahead_ns) <= 1.1 * SECOND_NS

    run_virtual(main)


async def open_now(world: World, **terms: Any) -> Stream:
    """A stream that begins now, as the daemon sees it."""
    service, receiver = service_of(world), world.network.named["receiver0"].pubkey
    report = await service.streams.create(
        ADMIN,
        StreamOrder(destination=receiver, amount_msat=1_000, interval_ns=SECOND_NS, **terms),
        "",
        False,
    )
    return world.book.streams[report.stream.id]


def world_ahead_ns(world: World, stream: Stream) -> int:
    """How far settled money reaches beyond now, as the daemon sees it."""
    return world.ahead_ns(stream) + world.clock.now_ns() - now_ns(world)


def test_a_stream_whose_end_is_near_does_not_pay_for_hours_that_the_clock_was_behind() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, -2 * HOUR_NS)
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            stream = await open_now(world, end_time_ns=clock.now_ns() + 20 * SECOND_NS)
            await asyncio.sleep(5)
            await put_right(world, steps)
            assert (stream.state, stream.reason) == (StreamState.COMPLETED, Reason.END_TIME)
            assert world.received_msat() <= 1_000 * (5 + FOLLOWED_BY)

    run_virtual(main)


def test_a_key_that_has_expired_is_good_no_longer_than_until_the_clock_is_followed() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, -2 * HOUR_NS)
        service = service_of(world)
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            report, _ = await service.keys.create(
                KeyOrder(
                    "a key", ("streams:write",), expire_time_ns=clock.now_ns() + 20 * SECOND_NS
                )
            )
            order = StreamOrder(
                destination=world.network.named["receiver0"].pubkey,
                amount_msat=1_000,
                interval_ns=SECOND_NS,
            )
            await service.streams.create(report.key, order, "", False)
            await put_right(world, steps)
            with pytest.raises(PermissionDenied, match="has expired"):
                await service.streams.create(report.key, order, "", False)
            await service.keys.end_expired()
            assert only(world).reason is Reason.KEY_REVOKED

    run_virtual(main)


def test_a_fresh_invoice_is_not_called_expired_once_the_clock_is_followed() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 2 * HOUR_NS)
        service, receiver = service_of(world), world.network.named["receiver0"]
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            invoice = add_invoice(
                world.network, receiver, Wanted(5_000, expiry_seconds=3_600)
            ).payment_request
            with pytest.raises(FailedPrecondition, match="has expired"):
                await service.paying.create(ADMIN, InvoiceOrder(invoice), "", 5.0)
            await put_right(world, steps)
            report = await service.paying.create(ADMIN, InvoiceOrder(invoice), "", 5.0)
            assert report.payment.settled_msat == 5_000

    run_virtual(main)


def test_backwards_a_stream_of_an_earlier_run_is_due_when_now_reaches_what_it_has_bought() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 0)
        async with world.running(), beating(world):
            await world.open("1sat/1s")
            await asyncio.sleep(60.5)
        before = world.received_msat()
        steps.step_ns = 2 * HOUR_NS
        world.crash()
        async with world.running(), beating(world):
            await asyncio.sleep(60)
            paid = world.received_msat()
            assert paid > before
            await put_right(world, steps)
            paid = world.received_msat()
            await asyncio.sleep(200)
            assert world.received_msat() == paid, (
                "no time is bought twice: five minutes of the two hours were caught up"
            )
            await asyncio.sleep(7_000)
            assert world.received_msat() > paid + 6_800_000, (
                "what was skipped of hours that never passed is not waited for"
            )
            assert abs(world.price_now(only(world)) - only(world).account.settled_msat) <= 2_000
            world.check()

    run_virtual(main)


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_ttl_is_as_long_as_before(hours: int) -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, hours * HOUR_NS)
        service = service_of(world)
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            stream = await open_now(world, ttl_ns=120 * SECOND_NS)
            await asyncio.sleep(30)
            await service.streams.renew(ADMIN, "")
            await put_right(world, steps)
            assert stream.state is StreamState.ACTIVE
            await asyncio.sleep(120 - FOLLOWED_BY - 5)
            assert stream.state is StreamState.ACTIVE
            await asyncio.sleep(10)
            assert (stream.state, stream.reason) == (StreamState.PAUSED, Reason.TTL_EXPIRED)

    run_virtual(main)


@pytest.mark.parametrize("by_ns", [HOUR_NS, -HOUR_NS])
def test_a_ghost_lives_as_long_as_before_and_what_was_being_asked_is_asked_again(
    by_ns: int,
) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.answer_seconds = 5.0
        payment, earlier = desk.loose(), desk.loose()
        loose, of_before = (desk.recovery.cases[one.row] for one in (payment, earlier))
        of_before.ghost_until_ns = -1
        moments = loose.ghost_until_ns, loose.next_ask_ns
        task = asyncio.ensure_future(desk.recovery.run())
        await asyncio.sleep(1)
        desk.recovery.move_time(by_ns)
        assert (loose.ghost_until_ns, loose.next_ask_ns) == tuple(
            moment + by_ns for moment in moments
        )
        assert of_before.ghost_until_ns == -1
        await asyncio.sleep(5)
        assert loose.asks == 0, "the answer was of the time before"
        task.cancel()

    run_virtual(main)


@pytest.mark.parametrize("seconds", [8, -8, 11, -11])
def test_what_is_shown_and_what_is_followed(seconds: int) -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 0)
        service = service_of(world)
        async with world.running(), beating(world):
            await asyncio.sleep(5)
            assert not any("wall clock" in text for text in service.sending.report().problems)
            steps.step_ns = seconds * SECOND_NS
            await asyncio.sleep(5)
            report = service.sending.report()
            words = (
                f"the wall clock is {abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'} the"
                " daemon's time"
            )
            assert (
                any(words in text for text in report.problems)
                and report.clock_difference_ns == seconds * SECOND_NS
            )
            await asyncio.sleep(3 * MINUTE_SECONDS)
            followed = abs(seconds) > 10
            assert (now_ns(world) == steps.wall_ns()) is followed
            assert world.store.load().settings.get(FOLLOWED) == (
                str(seconds * SECOND_NS) if followed else None
            )

    run_virtual(main)


def test_a_difference_that_changes_is_not_followed() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 0)
        async with world.running(), beating(world):
            await asyncio.sleep(5)
            for number in range(10):
                steps.step_ns = (number % 2 + 1) * HOUR_NS
                await asyncio.sleep(MINUTE_SECONDS - 5)
            steps.step_ns = 0
            await asyncio.sleep(3 * MINUTE_SECONDS)
            assert FOLLOWED not in world.store.load().settings and now_ns(world) == steps.now_ns()

    run_virtual(main)


def test_our_time_is_unchecked_after_it_has_followed_until_a_node_agrees() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, -2 * HOUR_NS)
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            await open_now(world)
            steps.step_ns = 2 * HOUR_NS  # within what a node can tell
            world.faults.freeze("payer")
            await asyncio.sleep(2 * MINUTE_SECONDS)
            paid = world.received_msat()
            assert (
                world.timekeeping.state is ClockState.UNCHECKED and now_ns(world) < steps.wall_ns()
            )
            assert int(world.store.load().settings[MARK]) <= now_ns(world)
            steps.step_ns = 0
            await asyncio.sleep(600)
            assert world.received_msat() == paid
            world.faults.thaw("payer")
            await asyncio.sleep(60)
            assert (world.timekeeping.state, now_ns(world)) == (ClockState.RIGHT, steps.wall_ns())
            assert world.received_msat() > paid
            world.check()

    run_virtual(main)


def test_a_start_after_a_clock_was_put_back_does_not_stop_although_no_node_has_agreed_yet() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 2 * HOUR_NS)
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            stream = await open_now(world)
            await asyncio.sleep(30)
            paid = world.received_msat()
            world.faults.freeze("payer")
            steps.step_ns = 0
            await asyncio.sleep(2 * MINUTE_SECONDS)
            assert world.timekeeping.state is ClockState.UNCHECKED
        world.crash()
        world.faults.thaw("payer")
        async with world.running(), beating(world) as told:
            await asyncio.sleep(60)
            assert told.halts == {} and world.received_msat() > paid
            assert (
                world.book.streams[stream.id].terms.start_time_ns
                < steps.wall_ns() - 100 * SECOND_NS
            )
            world.check()

    run_virtual(main)


def test_a_stream_that_this_run_resumed_is_paid_on_when_a_clock_ahead_over_two_runs_is_right() -> (
    None
):
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 2 * HOUR_NS)
        service = service_of(world)
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            stream = await open_now(world)
            await asyncio.sleep(60)
            await service.streams.pause(ADMIN, stream.id)
            await asyncio.sleep(3_600)
        world.crash()
        service = service_of(world)
        async with world.running(), beating(world):
            await asyncio.sleep(3_600)
            await service.streams.resume(ADMIN, stream.id)
            await asyncio.sleep(60)
            await put_right(world, steps)
            paid = world.received_msat()
            await asyncio.sleep(600)
            assert abs(world.received_msat() - paid - 600_000) <= 2_000
            world.check()

    run_virtual(main)


@pytest.mark.parametrize("hours", [2, -2])
def test_there_and_back_our_time_is_where_it_was_for_streams_of_an_earlier_run_too(
    hours: int,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 0)
        async with world.running(), beating(world):
            await world.open("1sat/1s")
            await asyncio.sleep(MINUTE_SECONDS)
        world.crash()
        async with world.running(), beating(world):
            await asyncio.sleep(MINUTE_SECONDS)
            steps.step_ns = hours * HOUR_NS
            await asyncio.sleep(FOLLOWED_BY)
            assert now_ns(world) == steps.wall_ns()
            await put_right(world, steps)
            paid = world.received_msat()
            await asyncio.sleep(3_600)
            assert abs(world.received_msat() - paid - 3_600_000) <= 2_000
            world.check()

    run_virtual(main)


@pytest.mark.parametrize("hours", [48, -48])
def test_hours_in_which_no_node_agreed_with_the_clock_are_an_outage(hours: int) -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 0)
        world.network.chain = "mainnet"
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            stream = await open_now(world)
            await asyncio.sleep(MINUTE_SECONDS)
            steps.step_ns = hours * HOUR_NS
            await asyncio.sleep(36_000)
            paid = world.received_msat()
            assert world.timekeeping.state is ClockState.WRONG and paid <= 130_000
            await put_right(world, steps)
            # five minutes are caught up, and what has passed since
            assert world.received_msat() - paid <= 300_000 + 1_000 * (FOLLOWED_BY + 2)
            assert stream.skipped_ns >= 35_000 * SECOND_NS
            told = {
                outage.cause
                for outage in world.shared.outages._added
                if outage.end_ns - outage.start_ns > 600 * SECOND_NS
            }
            assert "SUSPENDED" not in told, "the machine did not sleep"
            world.check()

    run_virtual(main)


@pytest.mark.parametrize("crash", [False, True])
def test_a_wall_clock_that_is_wrong_for_two_minutes_moves_nothing(crash: bool) -> None:
    """Two days ahead: the stream would have had its end then, and after a crash nobody would have
    been paid for as long.
    """

    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 0)
        world.network.chain = "mainnet"
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            end_ns = clock.now_ns() + HOUR_NS
            await open_now(world, end_time_ns=end_ns)
            await asyncio.sleep(MINUTE_SECONDS)
            steps.step_ns = 48 * HOUR_NS
            await asyncio.sleep(2 * MINUTE_SECONDS)
            assert world.timekeeping.state is ClockState.WRONG
            if not crash:
                steps.step_ns = 0
                await asyncio.sleep(2 * HOUR_NS / SECOND_NS)
        if crash:
            steps.step_ns = 0
            world.crash()
            async with world.running(), beating(world) as told:
                await asyncio.sleep(2 * HOUR_NS / SECOND_NS)
                assert told.halts == {}
        assert only(world).terms.end_time_ns == end_ns
        paid_sat = world.received_msat() // 1_000
        assert 3_600 - 2 * 60 <= paid_sat <= 3_600
        world.check()

    run_virtual(main)


class OnMainnet(World):
    """Its nodes find a clock wrong that is hours from their newest block."""

    def make_node(self, name: str) -> Node:
        return Synced(self.simulation, name)


@pytest.mark.parametrize("right_again", ["before the start", "after it"])
@pytest.mark.parametrize("catch_up_forever", [False, True])
def test_a_false_step_back_and_a_start_do_no_harm_while_a_node_can_be_asked(
    catch_up_forever: bool, right_again: str
) -> None:
    """174,100 sat were paid for 1,300 s, and a key that had ten hours left was revoked: our time
    had followed before the node was asked.
    """

    async def main(clock: VirtualClock) -> None:
        steps = Steps(clock, 0)
        world = OnMainnet(clock)
        world.clock = steps  # type: ignore[assignment]
        world._build()
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            service = service_of(world)
            ends_ns = clock.now_ns() + 10 * HOUR_NS
            key, _ = await service.keys.create(
                KeyOrder("short", ("streams:write",), expire_time_ns=ends_ns)
            )
            order = StreamOrder(
                destination=world.network.named["receiver0"].pubkey,
                amount_msat=1_000,
                interval_ns=SECOND_NS,
                catch_up_forever=catch_up_forever,
            )
            report = await service.streams.create(key.key, order, "once", False)
            began_ns = clock.now_ns()
            await asyncio.sleep(600)
            steps.step_ns = -48 * HOUR_NS
            await asyncio.sleep(100)
            assert world.timekeeping.state is ClockState.WRONG
        if right_again == "before the start":
            steps.step_ns = 0
        world.crash()
        async with world.running(), beating(world):
            await asyncio.sleep(60)
            steps.step_ns = 0
            await asyncio.sleep(600)
            await service_of(world).keys.end_expired()
            stream = world.book.streams[report.stream.id]
            assert stream.state is StreamState.ACTIVE
            lived_msat = (clock.now_ns() - began_ns) * 1_000 // SECOND_NS
            assert world.received_msat() <= lived_msat + 1_000
            world.check()

    run_virtual(main)
