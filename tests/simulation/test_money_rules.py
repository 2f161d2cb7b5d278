"""Money rules 1 to 5 on the whole engine, in the moment in which breaking one would cost money."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from streamer.core import lifecycle
from streamer.core.rate import Bucket
from streamer.doubt.case import CLOCKS_APART_NS
from streamer.doubt.recovery import Patience
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.books import PaymentRecord
from streamer.simulator.network.lightning_node import CallFate
from streamer.stores.memory import MemoryStore
from streamer.words.model import (
    Answer,
    Facts,
    Kind,
    Mark,
    Payment,
    PaymentQuery,
    PaymentState,
    Stream,
)
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt
from tests.simulation.test_scenarios import QUICK, equal_books, received_once
from tests.simulation.world import World

GHOST_SECONDS = 20
PATIENCE = Patience(ghost_after_ns=GHOST_SECONDS * SECOND_NS)


def known_to_node(world: World) -> dict[bytes, PaymentRecord]:
    return world.network.named["payer"].payments


def stop(world: World) -> None:
    world.switch.stop(Halt.OPERATOR, "test", Facts())


def go_on(world: World) -> None:
    world.switch.lift(Halt.OPERATOR, Facts())
    world.engine.wake()


def die(world: World) -> None:
    """The process is gone as far as its journal can tell; `crash` follows."""
    world.store = world.store.reopen()


async def one_open(
    world: World,
    stream: Stream,
    fate: CallFate,
    late_ns: int = 0,
    then: Callable[[World], None] = lambda _: None,
) -> Payment:
    """The next payment of stream, whose call meets fate; `then` is done before anybody knows that
    it did.
    """
    send = world.engine.node.send

    async def lost(payment: Payment, preimage: bytes, patience_seconds: float) -> Answer:
        answer = await send(payment, preimage, patience_seconds)
        if answer.kind is Kind.LOST:
            world.engine.node.send = send  # type: ignore[method-assign]
            then(world)
        return answer

    world.engine.node.send = lost  # type: ignore[method-assign]
    world.faults.lose_calls("payer", 1, fate, late_ns)
    seq = stream.account.seq
    while stream.account.seq == seq:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    [payment] = [one for one in world.book.payments.values() if one.owner == stream.id]
    return payment


async def found(world: World, payment: Payment) -> Payment:
    kept = await world.store.payment(payment.owner, payment.seq)
    assert kept is not None
    return kept


# -- 1 and 3: intents, and resends that pass the gates ------------------------------------------


def test_a_resend_repeats_the_intent_whatever_was_configured_since() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            payment = await one_open(world, stream, CallFate.NEVER, then=die)
        world.crash()
        world.book.limits = replace(world.book.limits, cltv_limit=144, timeout_seconds=5)
        stream = world.book.streams[stream.id]
        async with world.running():
            await world.do(
                lifecycle.change, stream, replace(stream.terms, fee_floor_msat=1, fee_limit_ppm=1)
            )
            await asyncio.sleep(15)
            order = known_to_node(world)[payment.payment_hash].order
            assert (order.cltv_limit, order.fee_limit_msat, order.amount_msat) == (
                288,
                payment.fee_limit_msat,
                payment.amount_msat,
            )
            equal_books(world, stream)

    run_virtual(main)


@pytest.mark.parametrize("what", ["daemon", "node", "stream"])
def test_nothing_is_sent_that_was_stopped_while_its_intent_was_written(what: str) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        armed: list[Callable[[], None]] = []

        async def commit() -> None:
            await asyncio.sleep(0.001)
            if armed and world.book.payments:
                armed.pop()()

        world.store = MemoryStore(commit)
        world.crash()
        stops: dict[str, Callable[[], None]] = {
            "daemon": lambda: stop(world),
            "node": lambda: world.engine.switch.stop(Halt.OPERATOR, "test"),
            "stream": lambda: lifecycle.pause(world.book, stream, clock.now_ns(), Facts()),
        }
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            armed.append(stops[what])
            await asyncio.sleep(30)
            assert not armed
            [payment] = await world.store.payments(PaymentQuery(owner=stream.id, limit=1))
            assert (
                payment.state is PaymentState.FAILED
                and payment.payment_hash not in known_to_node(world)
            )
            equal_books(world, stream)

    run_virtual(main)


def test_a_resend_that_is_held_back_at_the_last_moment_stays_open() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            asked = 0
            allowed = world.book.may_send

            def may_send(payment: Payment, now_ns: int) -> bool:
                nonlocal asked
                asked += payment.row in world.engine.recovery.cases
                return allowed(payment, now_ns) and asked != 2

            world.book.may_send = may_send  # type: ignore[method-assign]
            payment = await one_open(world, stream, CallFate.LATE, 6 * SECOND_NS)
            assert asked == 2 and payment.open and payment.payment_hash not in known_to_node(world)
            await asyncio.sleep(30)
            assert payment.state is PaymentState.SETTLED
            equal_books(world, stream)

    run_virtual(main)


def test_resends_after_a_restart_pass_the_limiter() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE, per_destination=50, proven=True)
        async with world.running():
            await asyncio.sleep(1)
            world.faults.lose_calls("payer", 20, CallFate.NEVER)
            for _ in range(20):
                await world.open("10sat/10s")
            await asyncio.sleep(0.3)
            hashes = {payment.payment_hash for payment in world.book.payments.values()}
        world.crash()
        world.engine._bucket = Bucket(2)
        async with world.running():
            await asyncio.sleep(9)
            times = Counter(
                known_to_node(world)[one].created_ns // SECOND_NS
                for one in hashes
                if one in known_to_node(world)
            )
            assert sum(times.values()) >= 8 and max(times.values()) <= 4

    run_virtual(main)


# -- 4: ghosts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("crashes", [False, True])
def test_a_payment_whose_ghost_may_live_is_not_given_up(crashes: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            payment = await one_open(
                world, stream, CallFate.LATE, 15 * SECOND_NS, die if crashes else stop
            )
            await asyncio.sleep(0 if crashes else 18)
        if crashes:
            world.crash()
            stop(world)
            async with world.running():
                await asyncio.sleep(18)
                assert payment.payment_hash in known_to_node(world)
        kept = await found(world, payment)
        assert kept.state in (PaymentState.PLANNED, PaymentState.UNKNOWN, PaymentState.SETTLED)
        go_on(world)
        async with world.running():
            await asyncio.sleep(40)
            assert (await found(world, payment)).state is PaymentState.SETTLED
            equal_books(world, *world.book.streams.values())

    run_virtual(main)


def test_a_payment_that_may_not_be_sent_again_is_given_up_when_no_ghost_can_live() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            payment = await one_open(world, stream, CallFate.NEVER, then=stop)
            await asyncio.sleep(GHOST_SECONDS / 2)
            assert payment.open
            await asyncio.sleep(2 * GHOST_SECONDS)
            assert payment.state is PaymentState.FAILED and stream.reserved_msat == 0
            assert payment.payment_hash not in known_to_node(world)
            go_on(world)
            await asyncio.sleep(20)
            equal_books(world, stream)

    run_virtual(main)


def test_a_ghost_later_than_all_patience_is_counted_at_the_next_connection() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            payment = await one_open(world, stream, CallFate.LATE, 90 * SECOND_NS, stop)
            await asyncio.sleep(60)
            assert payment.state is PaymentState.FAILED
            await asyncio.sleep(40)
            assert known_to_node(world)[payment.payment_hash].preimage
            go_on(world)
            world.faults.cut_connections("payer")
            await asyncio.sleep(20)
            assert (
                await found(world, payment)
            ).state is PaymentState.SETTLED and world.observer.late
            equal_books(world, stream)

    run_virtual(main)


# -- 5: NOT_FOUND is not "not paid" -------------------------------------------------------------


async def lost_sight(world: World, payment: Payment) -> None:
    """It is marked, was not sent again, and its stream goes on."""
    await asyncio.sleep(30)
    [mark] = [
        one.mark for one in world.book.payments.values() if one.payment_hash == payment.payment_hash
    ]
    assert mark is Mark.LOST_SIGHT
    assert payment.payment_hash not in known_to_node(world)
    stream = world.book.streams[payment.owner]
    assert world.ahead_ns(stream) > -3 * SECOND_NS and stream.open_payments <= 1
    received_once(world)


def test_after_a_restored_node_database_nothing_of_the_lost_time_is_paid_again() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(5)
            history = world.faults.history("payer")
            await asyncio.sleep(10)
            payment = await one_open(world, stream, CallFate.ACCEPTED, then=die)
        world.crash()
        await asyncio.sleep(1)
        world.faults.restore("payer", history)
        async with world.running():
            await lost_sight(world, payment)

    run_virtual(main)


def test_a_channel_that_went_into_closing_may_carry_what_the_node_does_not_know() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2, patience=PATIENCE)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            payment = await one_open(world, stream, CallFate.NEVER, then=die)
        world.crash()
        world.faults.close_channels("payer", "receiver1")
        async with world.running():
            await lost_sight(world, payment)

    run_virtual(main)


@pytest.mark.parametrize("restarted", [False, True])
def test_while_a_channel_is_not_back_after_a_restart_what_the_node_does_not_know_waits(
    restarted: bool,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2, patience=PATIENCE)
        await asyncio.sleep(CLOCKS_APART_NS / SECOND_NS)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            payment = await one_open(world, stream, CallFate.NEVER, then=die)
        world.crash()
        world.faults.disable_channels("payer", "receiver1")
        if restarted:
            world.faults.take_down("payer")
            world.faults.bring_up("payer")
        async with world.running():
            await asyncio.sleep(30)
            assert (
                payment.payment_hash in {one.payment_hash for one in world.book.payments.values()}
            ) == restarted
            assert (payment.payment_hash in known_to_node(world)) == (not restarted)
            world.faults.disable_channels("payer", "receiver1", disabled=False)
            await asyncio.sleep(61)
            assert payment.payment_hash not in {
                one.payment_hash for one in world.book.payments.values()
            }
            assert world.ahead_ns(world.book.streams[payment.owner]) > -3 * SECOND_NS
            received_once(world)

    run_virtual(main)


@pytest.mark.parametrize("seen", ["by the call", "by asking"])
def test_what_the_node_once_accepted_is_never_sent_again(seen: str) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2, patience=PATIENCE)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            world.faults.hold("receiver0")
            if seen == "by asking":
                payment = await one_open(world, stream, CallFate.ACCEPTED)
            else:
                await asyncio.sleep(1)
                [payment] = world.book.payments.values()
                world.faults.cut_connections("payer")
            await asyncio.sleep(1)
            world.faults.release("receiver0")
            await world.open("1sat/1s", receiver=1)
            await asyncio.sleep(0.3)
        # a person deletes the one payment, and the witness stays
        world.crash()
        assert (await found(world, payment)).open
        del known_to_node(world)[payment.payment_hash]
        async with world.running():
            await lost_sight(world, payment)

    run_virtual(main)


@pytest.mark.parametrize("resent", [False, True])
def test_that_the_node_accepted_it_is_durable_whichever_call_saw_it(resent: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            world.faults.hold("receiver0")
            if resent:
                await one_open(world, stream, CallFate.NEVER, then=stop)
                go_on(world)
            await asyncio.sleep(10)
            [payment] = world.book.payments.values()
            world.faults.take_down("payer")  # so that nothing but its call has told of it
            await asyncio.sleep(1)
            kept = await found(world, payment)
            assert payment.payment_hash in known_to_node(world) and kept.accepted

    run_virtual(main)


def test_another_node_behind_the_same_address_gets_nothing() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            payer = world.network.named["payer"]
            count = len(payer.payments)
            payer.pubkey = b"\x03" + bytes(32)
            world.faults.cut_connections("payer")
            await asyncio.sleep(30)
            assert Halt.NODE_CHANGED in world.engine.switch.halts and len(payer.payments) == count

    run_virtual(main)
