"""Money rules 7 to 12 on the whole engine, in the moment in which breaking one would cost money."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.lightning_node import CallFate
from streamer.simulator.network.pace import Pace
from streamer.stores.memory import MemoryStore
from streamer.words.errors import NodeRejected
from streamer.words.model import ADMIN, Mark, PaymentQuery, PaymentState, StreamState
from streamer.words.money import MILLISECOND_NS, SECOND_NS
from streamer.words.reasons import Halt, Reason
from tests.simulation.test_money_rules import PATIENCE, go_on, known_to_node, one_open, stop
from tests.simulation.test_scenarios import QUICK, equal_books
from tests.simulation.troubled import Troubled
from tests.simulation.world import World

# -- 7: REFUSED ---------------------------------------------------------------------------------


def test_a_refusal_says_nothing_of_a_ghost() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            payment = await one_open(
                world,
                stream,
                CallFate.LATE,
                10 * SECOND_NS,
                lambda world: world.faults.refuse("payer", "not now"),
            )
            await asyncio.sleep(8)
            assert payment.open
            world.faults.refuse("payer", "")
            await asyncio.sleep(30)
            assert payment.state is PaymentState.SETTLED
            equal_books(world, stream)

    run_virtual(main)


def test_a_refusal_decides_nothing_while_the_credentials_are_refused() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            asked = world.engine.node.identity

            async def refused() -> object:
                raise NodeRejected("permission denied", Halt.CREDENTIALS)

            world.engine.node.identity = refused  # type: ignore[assignment, method-assign]
            world.faults.refuse("payer", "permission denied")
            await asyncio.sleep(20)
            [payment] = world.book.payments.values()
            assert (
                payment.open and stream.account.streak == 0 and stream.state is StreamState.ACTIVE
            )
            world.engine.node.identity = asked  # type: ignore[method-assign]
            world.faults.refuse("payer", "")
            await asyncio.sleep(120)
            assert not payment.open and world.ahead_ns(stream) > -SECOND_NS
            equal_books(world, stream)

    run_virtual(main)


@pytest.mark.parametrize("restart", [False, True])
def test_a_macaroon_that_is_revoked_while_payments_are_open_decides_nothing(restart: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(
            clock, Pace(latency_ns=(900 * MILLISECOND_NS, 950 * MILLISECOND_NS)), patience=PATIENCE
        )
        async with world.running():
            streams = [await world.open("1sat/1s") for _ in range(5)]
            await asyncio.sleep(5.3)
            world.faults.reject_credentials("payer")
            await asyncio.sleep(3 if restart else 60)
            if not restart:
                assert all(stream.account.streak == 0 for stream in streams)
        if restart:
            world.crash()
        world.faults.reject_credentials("payer", "")
        async with world.running():
            await asyncio.sleep(90)
            for stream in world.book.streams.values():
                assert world.ahead_ns(stream) > -3 * SECOND_NS
            equal_books(world, *world.book.streams.values())

    run_virtual(main)


# -- 9: our data may be old ---------------------------------------------------------------------


@pytest.mark.parametrize("stranger", [False, True])
def test_an_old_copy_of_the_journal_takes_in_what_the_node_paid_since(stranger: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(5.5)
            old = world.store.backup()
            await asyncio.sleep(10)
            newest = (await world.store.payments(PaymentQuery(owner=stream.id, limit=1)))[0]
        world.crash()
        world.store.restore(old)
        world.crash()
        if stranger:
            known_to_node(world)[newest.payment_hash].order.destination = world.network.named[
                "receiver1"
            ].pubkey
        paid = world.received_msat()
        async with world.running():
            await asyncio.sleep(5)
            stream = world.book.streams[stream.id]
            if stranger:
                assert (
                    Halt.HASH_COLLISION in world.engine.switch.halts
                    and world.received_msat() == paid
                )
                return
            assert stream.account.seq >= newest.seq and stream.account.settled_msat >= paid
            await asyncio.sleep(20)
            assert abs(world.price_now(stream) - stream.account.settled_msat) <= 2_000
            equal_books(world, stream)

    run_virtual(main)


def test_a_payment_of_ours_to_somebody_else_stops_the_node_until_it_is_written_off() -> None:
    async def main(clock: VirtualClock) -> None:
        rng = Random(7)
        world = Troubled(clock, 2, 1, rng, lambda: None)
        async with world.running():
            stream = await world.open("10sat/10s")
            await asyncio.sleep(5.5)
            old = world.store.backup()
            await asyncio.sleep(10)
            newest = (await world.store.payments(PaymentQuery(owner=stream.id, limit=1)))[0]
        world.crash()
        world.store.restore(old)
        world.crash()
        known_to_node(world)[newest.payment_hash].order.destination = world.network.named[
            "receiver1"
        ].pubkey
        paid = world.received_msat()
        for _ in range(2):
            async with world.running():
                await asyncio.sleep(300)
                assert (
                    newest.id in world.engine.switch.halts[Halt.HASH_COLLISION]
                    and world.received_msat() == paid
                )
                assert world.engine.up and [
                    payment.seq for payment in world.book.payments.values()
                ] == [newest.seq]
            world.crash()
        async with world.running():
            await asyncio.sleep(5)
            await world.service.payments.write_off(ADMIN, newest.id)
            await asyncio.sleep(30)
            stream = world.book.streams[stream.id]
            assert not world.engine.switch.halts
            # ten minutes in which the node might not pay, of which five are caught up
            assert abs(world.received_msat() - paid - 1_000 * (5 * 60 + 30)) <= 20_000
            assert stream.account.written_off_msat == newest.amount_msat
            world.check()
        world.crash()
        assert Halt.HASH_COLLISION not in world.engine.switch.halts

    run_virtual(main)


def test_a_witness_that_is_made_anew_hides_nothing_that_the_node_paid_since() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(5.5)
            old = world.store.backup()
            await asyncio.sleep(10)
            paid = stream.account.settled_count
        world.crash()
        world.store.restore(old)
        world.store.execute("DELETE FROM settings WHERE name='witness.payer'")
        world.crash()
        stop(world)  # or the same hashes would be sent again, and found by that
        async with world.running():
            await asyncio.sleep(2)
            stream = world.book.streams[stream.id]
            assert stream.account.settled_count >= paid
            go_on(world)
            await asyncio.sleep(20)
            equal_books(world, stream)

    run_virtual(main)


# -- 10: halt rather than guess -----------------------------------------------------------------


def test_nothing_is_sent_whose_intent_could_not_be_written() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        full = False

        async def commit() -> None:
            await asyncio.sleep(0.001)
            if full and world.book.payments:
                raise OSError("no space left on device")

        world.store = MemoryStore(commit)
        world.crash()
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            full = True
            await asyncio.sleep(10)
            [unwritten] = world.book.payments.values()
            assert (
                unwritten.seq == 5
                and unwritten.payment_hash not in known_to_node(world)
                and world.failures
            )
        full = False
        world.crash()
        async with world.running():
            await asyncio.sleep(20.5)
            stream = world.book.streams[stream.id]
            assert abs(world.price_now(stream) - stream.account.settled_msat) <= 1_000
            equal_books(world, stream)

    run_virtual(main)


# -- 12: nobody stops the others ----------------------------------------------------------------


def accept(world: World, htlcs: int) -> None:
    """From now on so many at a time, as if others had taken the rest."""
    for side in world.network.named["payer"].sides:
        side.max_htlcs = htlcs


def test_held_payments_leave_the_window_and_keep_their_slots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At most half of the slots were marked so before: what was held beyond stayed in the window,
    and then counted as no more.
    """
    monkeypatch.setattr("streamer.simulator.network.channels.MAX_HTLCS", 6)

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2)
        async with world.running():
            for number in range(10):
                await world.open("1sat/1s", receiver=number % 2)
            await asyncio.sleep(3.5)
            for receiver in ("receiver0", "receiver1"):
                world.faults.hold(receiver)
            await asyncio.sleep(1)
            accept(world, 4)
            await asyncio.sleep(120)
            marks = Counter(payment.mark for payment in world.book.payments.values())
            assert marks == {Mark.HELD: 6} and not world.book.slots.window
            await asyncio.sleep(900)
            assert len(world.book.payments) == 6, (
                "in doubt by now, and its slot is taken all the same"
            )

    run_virtual(main)


def test_a_channel_whose_peer_accepts_few_is_kept_half_full_and_never_overfilled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamer.simulator.network.channels.MAX_HTLCS", 10)

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, per_destination=100)
        async with world.running():
            streams = [await world.open("1sat/1s") for _ in range(20)]
            most = 0
            for _ in range(200):
                await asyncio.sleep(0.05)
                most = max(most, world.engine.in_flight)
                assert world.engine.link.blocked is None
            assert most == 5
            assert [stream.account.streak for stream in streams] == [0] * 20
            assert world.received_msat() > 20 * 8_000

    run_virtual(main)


def test_full_slots_stop_the_node_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.simulator.network.channels.MAX_HTLCS", 5)

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            for _ in range(5):
                await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            world.faults.hold("receiver0")
            await asyncio.sleep(1)
            accept(world, 2)
            await asyncio.sleep(120)
            assert world.engine.link.blocked is Reason.NO_SLOTS
            world.faults.release("receiver0")
            await asyncio.sleep(90)
            assert world.engine.link.blocked is None
            equal_books(world, *world.book.streams.values())

    run_virtual(main)
