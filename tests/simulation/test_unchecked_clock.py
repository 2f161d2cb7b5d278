"""A clock that is wrong, or not checked yet, does no harm that lasts: the cases in which it once
did.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from streamer.books.timekeeping import ClockState
from streamer.core.shared import MARK
from streamer.run.heartbeat import PURGE_EVERY_NS
from streamer.service import Service
from streamer.service.keys import KeyOrder
from streamer.service.orders import StreamOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.lightning_node import CallFate
from streamer.words.errors import Unavailable
from streamer.words.model import ADMIN, Facts, PaymentState, Stream, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt, Reason
from tests.simulation.beating import beating
from tests.simulation.served import service_of
from tests.simulation.skewed import HOUR_NS, Skewed
from tests.simulation.test_money_rules import die, one_open
from tests.simulation.test_scenarios import QUICK

DAYS = 48
"""Hours by which the clock is ahead."""


@asynccontextmanager
async def daemon(world: Skewed) -> AsyncIterator[Service]:
    """A daemon as it is, with what looks after keys."""
    service = service_of(world)

    async def keys() -> None:
        while True:
            await service.keys.end_expired()
            await asyncio.sleep(1)

    async with world.running(), beating(world):
        watch = asyncio.ensure_future(keys())
        try:
            yield service
        finally:
            watch.cancel()


async def paid_for(world: Skewed, **terms: Any) -> Stream:
    """A stream that a daemon with a right clock has paid for a minute."""
    async with daemon(world):
        stream = await world.open("1sat/1s", **terms)
        await asyncio.sleep(60.5)
    return stream


def again(world: Skewed, stream: Stream) -> Stream:
    return world.book.streams[stream.id]


def test_a_stream_whose_program_is_dead_is_not_paid_for_days_that_the_clock_was_ahead() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        stream = await paid_for(world, ttl_ns=90 * SECOND_NS)
        world.start_with(DAYS)
        async with daemon(world):
            await asyncio.sleep(600)
            world.error_ns = 0
            await asyncio.sleep(3 * 3600)
            assert (again(world, stream).state, again(world, stream).reason) == (
                StreamState.PAUSED,
                Reason.TTL_EXPIRED,
            )
            # a minute before, at most five that are caught up, and the minute that a start gives
            assert world.received_msat() <= 61_000 + 300_000 + 61_000

    run_virtual(main)


def test_a_key_that_ends_in_three_hours_is_not_revoked_by_a_clock_that_is_two_days_ahead() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        async with daemon(world) as service:
            await asyncio.sleep(1)
            end_ns = clock.now_ns() + 3 * HOUR_NS
            report, _ = await service.keys.create(
                KeyOrder("a key", ("streams:write",), expire_time_ns=end_ns)
            )
            order = StreamOrder(
                destination=world.network.named["receiver0"].pubkey,
                amount_msat=10_000,
                interval_ns=10 * SECOND_NS,
            )
            made = await service.streams.create(report.key, order, "", False)
            await asyncio.sleep(60)
        world.start_with(DAYS)
        async with daemon(world) as service:
            await asyncio.sleep(60)
            stream = world.book.streams[made.stream.id]
            [key] = service.keys.page()
            assert (key.key.revoke_time_ns, stream.state) == (0, StreamState.ACTIVE)
            world.error_ns = 0
            await asyncio.sleep(60)
            assert stream.account.settled_msat > 100_000
            await asyncio.sleep(3 * 3600)
            assert key.key.revoke_time_ns >= end_ns and stream.reason is Reason.KEY_REVOKED

    run_virtual(main)


def test_resume_is_refused_while_the_clock_is_wrong_and_ends_no_stream_that_ends_tomorrow() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        async with daemon(world) as service:
            stream = await world.open("1sat/1s", end_time_ns=clock.now_ns() + 24 * HOUR_NS)
            await asyncio.sleep(60.5)
            await service.streams.pause(ADMIN, stream.id)
        world.start_with(DAYS)
        async with daemon(world) as service:
            await asyncio.sleep(60)
            with pytest.raises(
                Unavailable, match="3 hours ahead of the node's best block header"
            ) as refusal:
                await service.streams.resume(ADMIN, stream.id)
            assert (refusal.value.reason, refusal.value.retry_after_seconds > 0) == (
                Halt.CLOCK,
                True,
            )
            await asyncio.sleep(60)
            assert again(world, stream).state is StreamState.PAUSED
            world.error_ns = 0
            await asyncio.sleep(10)
            await service.streams.resume(ADMIN, stream.id)
            await asyncio.sleep(60)
            assert (
                again(world, stream).state is StreamState.ACTIVE
                and again(world, stream).account.settled_msat > 110_000
            )

    run_virtual(main)


def test_no_stream_begins_while_the_clock_is_wrong() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        await paid_for(world)
        world.start_with(DAYS)
        async with daemon(world) as service:
            order = StreamOrder(
                destination=world.network.named["receiver0"].pubkey,
                amount_msat=1_000,
                interval_ns=SECOND_NS,
            )
            for validate_only in (False, True):
                with pytest.raises(Unavailable) as refusal:
                    await service.streams.create(ADMIN, order, "once", validate_only)
                assert refusal.value.reason == Halt.CLOCK
            assert len(world.book.streams) == 1 and await world.store.request("once") is None

    run_virtual(main)


def test_a_stream_that_is_paused_while_the_clock_is_wrong_is_not_paid_for_its_pause() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        stream = await paid_for(world, catch_up_ns=None)
        world.start_with(DAYS)
        async with daemon(world) as service:
            await asyncio.sleep(60)
            await service.streams.pause(ADMIN, stream.id)
            assert {row.id: row.state for row in world.store.load().streams} == {
                stream.id: StreamState.PAUSED
            }, "at once"
            world.error_ns = 0
            await asyncio.sleep(3 * 3600)
            await service.streams.resume(ADMIN, stream.id)
            await asyncio.sleep(60)
            # two minutes of paying, and at most the minute between the start and the pause
            assert world.received_msat() <= 61_000 + 61_000 + 62_000

    run_virtual(main)


def test_a_clock_that_is_500_days_ahead_deletes_no_history_and_no_request_id() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        stream = await paid_for(world)
        world.faults.take_down("payer")
        paid = world.store.execute("SELECT row FROM payments")
        world.start_with(500 * 24)
        async with daemon(world):
            await asyncio.sleep(3 * PURGE_EVERY_NS / SECOND_NS)
            assert world.timekeeping.state is ClockState.UNCHECKED
            assert world.store.execute("SELECT row FROM payments") == paid
            assert len(paid) >= 60
            assert await world.store.payment(stream.id, 1) is not None

    run_virtual(main)


@pytest.mark.parametrize("error_hours", [DAYS, -DAYS])
def test_the_end_of_a_payment_is_learned_and_durable_while_its_node_finds_the_clock_wrong(
    error_hours: int,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        async with daemon(world):
            stream = await world.open("1sat/1s")
            await asyncio.sleep(60.5)
            await one_open(world, stream, CallFate.ACCEPTED, then=die)
        [payment] = world.store.load().open_payments
        mark_ns = int(world.store.load().settings[MARK])
        world.start_with(error_hours)
        paid = world.received_msat()
        async with daemon(world):
            await asyncio.sleep(60)
            assert world.timekeeping.state is ClockState.WRONG and world.engine.up
            known = await world.store.payment(payment.owner, payment.seq)
            assert known is not None and known.state is PaymentState.SETTLED
            assert not world.book.payments
            assert (
                world.received_msat()
                == again(world, stream).account.settled_msat
                <= paid + payment.amount_msat
            )
        assert int(world.store.load().settings[MARK]) == mark_ns

    run_virtual(main)


def test_no_payment_is_sent_again_or_falls_into_doubt_by_its_age_while_the_clock_is_wrong() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        async with daemon(world):
            stream = await world.open("1sat/1s")
            await asyncio.sleep(60.5)
            await one_open(world, stream, CallFate.NEVER, then=die)
        [payment] = world.store.load().open_payments
        world.start_with(DAYS)
        paid = world.received_msat()
        async with daemon(world):
            await asyncio.sleep(3600)
            assert world.received_msat() == paid
            assert not world.book.slots.doubtful
            world.error_ns = 0
            await asyncio.sleep(60)
            assert world.received_msat() > paid
            assert payment.row not in world.book.payments

    run_virtual(main)


def test_one_node_that_agrees_makes_the_clock_right_if_none_disagrees() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK, payers=2)
        judge, timekeeping = world.timekeeping.judge, world.timekeeping
        assert (timekeeping.state, "no node has answered" in timekeeping.awaited) == (
            ClockState.UNCHECKED,
            True,
        )
        judge("payer", "our clock is wrong")
        judge("payer2", "")
        assert (timekeeping.state, timekeeping.awaited) == (ClockState.WRONG, "our clock is wrong")
        judge("payer", "")
        assert (timekeeping.state, timekeeping.awaited) == (ClockState.RIGHT, "")
        # from here on our time is known to have been right: one node that lags behind its chain
        # stops itself, and not the other
        judge("payer", "our clock is wrong")
        assert (timekeeping.state, timekeeping.awaited) == (ClockState.RIGHT, "")
        judge("payer2", "our clock is wrong")
        assert timekeeping.state is ClockState.WRONG

    run_virtual(main)


def test_what_a_node_said_of_a_wall_clock_that_was_set_since_is_void() -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        timekeeping = world.timekeeping
        world.switch.stop(Halt.CLOCK, "behind the journal")
        timekeeping.judge("payer", "")
        assert (timekeeping.state, Halt.CLOCK in world.switch.halts) == (ClockState.WRONG, True)
        world.error_ns = 50 * HOUR_NS
        world.switch.lift(Halt.CLOCK)
        timekeeping.look()
        assert (timekeeping.state, Halt.CLOCK in world.switch.halts) == (
            ClockState.UNCHECKED,
            False,
        )
        timekeeping.judge("payer", "")
        assert timekeeping.state is ClockState.RIGHT

    run_virtual(main)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_clock_that_is_right_again_after_a_node_lagged_has_an_outage_of_that_time(
    wrong: bool,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        async with daemon(world):
            await world.open("1sat/1s")
            await asyncio.sleep(60.5)
            if wrong:
                world.timekeeping.judge("payer", "it lags")
            await asyncio.sleep(120)
            assert world.timekeeping.known
            spans = [
                (int(row[3]) - int(row[2])) // SECOND_NS
                for row in world.record
                if row[1] == Halt.CLOCK
            ]
            assert spans == ([59] if wrong else []), (
                "the node is asked again with the next look at it"
            )

    run_virtual(main)


def test_what_becomes_known_is_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash before it leaves the mark where it was, and the next start gives the same; one after
    it has all.
    """

    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        stream = await paid_for(world, ttl_ns=90 * SECOND_NS)
        world.crash()
        commits: list[Facts] = []

        def append(facts: Facts) -> asyncio.Future[None]:
            commits.append(facts)
            return asyncio.get_running_loop().create_future()

        monkeypatch.setattr(world.store, "append", append)
        await asyncio.sleep(600)
        world.timekeeping.judge("payer", "")
        [facts] = commits
        now_ns = world.engine._clock.now_ns()
        assert [(outage.cause, outage.end_ns) for outage in facts.outages] == [
            ("DAEMON_DOWN", now_ns)
        ]
        assert [moved.id for moved in facts.streams] == [stream.id] and facts.settings == [
            (MARK, str(now_ns))
        ]

    run_virtual(main)
