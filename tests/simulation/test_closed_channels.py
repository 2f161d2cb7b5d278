"""A node that was put back to an old copy loses the channels that had moved: also when they are
closed for good by the time we look.
"""

from __future__ import annotations

import asyncio

import pytest

from streamer.doubt.recovery import Patience
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.books import Failure, Status
from streamer.simulator.network.lightning_node import CallFate
from streamer.simulator.network.pace import Pace
from streamer.stores.memory import MemoryStore
from streamer.words.model import Answer, Mark, Payment
from streamer.words.money import MILLISECOND_NS, SECOND_NS
from tests.simulation.beating import with_steps
from tests.simulation.test_money_rules import die, one_open
from tests.simulation.world import World

QUICK = Pace(latency_ns=(80 * MILLISECOND_NS, 120 * MILLISECOND_NS))


def replace_channel(world: World) -> None:
    """The payer's channel is closed, gone from every list, and the operator has opened another
    one.
    """
    payer, receiver = world.network.named["payer"], world.network.named["receiver0"]
    for side in [side for channel in world.network.channels.values() for side in channel.sides]:
        side.channel.closing = True
        if side in side.node.sides:
            side.node.sides.remove(side)
            side.node.sides_to[side.peer.pubkey].remove(side)
    world.network.open_channel(payer, receiver, 100_000_000)


async def lose_one(world: World) -> None:
    """The call of the payment that is due in half a second is lost, and never executed."""
    world.faults.lose_calls("payer", 1, CallFate.NEVER)
    await asyncio.sleep(0.6)


async def orphan_one(world: World) -> None:
    """The node is restarted with a payment under way, and leaves it in flight for ever."""
    while not world.network.named["payer"].flights:
        await asyncio.sleep(0.01)
    world.faults.restart("payer", 1.0)


@pytest.mark.parametrize("after_seconds", [0, 5])
def test_what_a_restored_node_does_not_know_is_not_paid_again_when_its_channel_is_gone(
    after_seconds: float,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            await world.open("1sat/1s")
            await asyncio.sleep(5.5)
            history = world.faults.history("payer")
            world.faults.freeze("payer")
            await asyncio.sleep(0.6)
        world.crash()
        world.faults.thaw("payer")
        await asyncio.sleep(1)
        # the call of the dead process was executed, unseen by anybody
        world.faults.restore("payer", history)
        async with world.running():
            world.faults.take_down("payer")
            await asyncio.sleep(after_seconds)
            world.crash()
        replace_channel(world)
        world.faults.bring_up("payer")
        async with world.running():
            await asyncio.sleep(300)
            received = [htlc.payment_hash for htlc in world.network.named["receiver0"].received]
            assert len(received) == len(set(received)) > 250
            assert Mark.LOST_SIGHT in {payment.mark for payment in world.book.payments.values()}

    run_virtual(main)


def test_a_channel_that_was_closed_before_proves_nothing_about_a_later_payment() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            replace_channel(world)
            await asyncio.sleep(62)
            await lose_one(world)
            await asyncio.sleep(10)
            assert not {payment.mark for payment in world.book.payments.values()} - {Mark.NONE}
            assert world.ahead_ns(stream) > -SECOND_NS

    run_virtual(main)


def test_what_is_open_is_kept_over_a_restart_and_only_grows_while_a_payment_is_unsure() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            await world.open("1sat/1s")
            await asyncio.sleep(3.5)
            await lose_one(world)
        first = world.engine.recovery.evidence.known_open
        world.crash()
        assert world.engine.recovery.evidence.known_open == first != frozenset()
        replace_channel(world)
        world.faults.freeze("payer")
        async with world.running():
            assert world.engine.recovery.unsure
            await asyncio.sleep(1)
            world.faults.thaw("payer")
            await asyncio.sleep(0.01)
            assert world.engine.recovery.evidence.known_open == first | {
                str(side.channel.id) for side in world.network.named["payer"].sides
            }

    run_virtual(main)


def test_an_orphan_does_not_keep_a_later_one_from_being_known_after_a_channel_was_closed() -> None:
    """It lasts for a day, and a forced close for longer: what was closing before the later payment
    says nothing of it.
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            await world.open("1sat/1s")
            await orphan_one(world)
            await asyncio.sleep(300)
            [first] = [
                payment for payment in world.book.payments.values() if payment.mark is Mark.ORPHAN
            ]
            other = world.network.open_channel(
                world.network.named["payer"], world.network.named["receiver0"], 100_000_000
            )
            other.sides[0].close(forced=True)
            await asyncio.sleep(130)
            assert (await world.engine.node.channels()).closing
            await orphan_one(world)
            await asyncio.sleep(300)
            marks = [payment.mark for payment in world.book.payments.values()]
            assert first.open and marks.count(Mark.ORPHAN) >= 2 and Mark.HELD not in marks

    run_virtual(main)


def test_what_closes_while_an_end_is_asked_for_is_no_old_news_before_it_has_ended() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        other = world.network.open_channel(
            world.network.named["payer"], world.network.named["receiver0"], 100_000_000
        )
        recovery = world.engine.recovery
        async with world.running():
            world.faults.hold("receiver0")
            await world.open("1sat/1s")
            await asyncio.sleep(100)
            assert recovery.waiting
            other.sides[0].close(forced=True)
            await asyncio.sleep(130)
            assert (await world.engine.node.channels()).closing and not recovery.evidence.closing
            world.faults.release("receiver0")
            await asyncio.sleep(130)
            assert (
                not recovery.waiting
                and recovery.evidence.closing == (await world.engine.node.channels()).closing
            )

    run_virtual(main)


def test_what_closed_while_turns_waited_for_the_disk_is_no_old_news_for_a_cut_call() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=3)
        payer, receiver = world.network.named["payer"], world.network.named["receiver0"]
        moved = world.network.open_channel(payer, receiver, 100_000_000)
        disk_stands_still: list[bool] = []

        async def commit() -> None:
            while disk_stands_still:
                await asyncio.sleep(0.1)

        world.store = MemoryStore(commit)
        world.crash()
        async with world.running():
            node, cut = world.engine.node, list[Payment]()
            send = node.send
            for number in range(3):
                await world.open(
                    "10sat/10s",
                    number,
                    start_time_ns=clock.now_ns() + (1_000 + 300 * number) * MILLISECOND_NS,
                )
            await asyncio.sleep(9)
            history = world.faults.history("payer")

            async def hangs(payment: Payment, preimage: bytes, patience_seconds: float) -> Answer:
                if payment.destination != receiver.pubkey or cut:
                    return await send(payment, preimage, patience_seconds)
                cut.append(payment)
                # the intents of the others wait for it, and every turn for them
                disk_stands_still.append(True)
                world.faults.lose_calls("payer", 1, CallFate.ACCEPTED)
                answer = await send(payment, preimage, patience_seconds)
                await node.lost()
                return answer

            node.send = hangs  # type: ignore[method-assign]
            await asyncio.sleep(4)
            world.faults.take_down("payer")
            await asyncio.sleep(1)
            world.faults.restore("payer", history)
            moved.sides[0].close(forced=True)  # its peer knows better
            world.faults.bring_up("payer")
            await asyncio.sleep(10)
            disk_stands_still.clear()
            await asyncio.sleep(60)
            [payment] = cut
            assert [htlc.payment_hash for htlc in receiver.received].count(
                payment.payment_hash
            ) == 1
            assert payment.mark is Mark.LOST_SIGHT

    run_virtual(main)


def test_what_a_restored_node_failed_by_a_ghost_may_have_been_paid_in_what_it_lost() -> None:
    """A call waits in a proxy, and its resend settles, unseen; put back to an old copy, the node
    executes what waited, and that fails.
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=Patience(ghost_after_ns=20 * SECOND_NS))
        payer, receiver = world.network.named["payer"], world.network.named["receiver0"]
        moved = world.network.open_channel(payer, receiver, 100_000_000)
        calls: list[bytes] = []
        async with world.running():
            await world.open("10sat/10s")
            await asyncio.sleep(5)
            history, node = world.faults.history("payer"), world.engine.node
            send = node.send

            async def lossy(payment: Payment, preimage: bytes, patience_seconds: float) -> Answer:
                calls.append(payment.payment_hash)
                world.faults.lose_calls(
                    "payer",
                    1,
                    CallFate.ACCEPTED if len(calls) == 2 else CallFate.LATE,
                    18 * SECOND_NS,
                )
                answer = await send(payment, preimage, patience_seconds)
                if len(calls) == 2:
                    # the process is gone as far as its journal can tell
                    world.store = world.store.reopen()
                return answer

            node.send = lossy  # type: ignore[method-assign]
            while len(calls) < 2:
                await asyncio.sleep(0.05)
        world.crash()
        await asyncio.sleep(1)
        lost = calls[1]
        assert calls[0] == lost and payer.payments[lost].status is Status.SUCCEEDED
        world.faults.restore("payer", history)
        world.faults.fail_randomly("payer", 1.0, Failure.NO_ROUTE)
        moved.sides[0].close(forced=True)  # its peer knows better
        await asyncio.sleep(25)
        assert payer.payments[lost].status is Status.FAILED
        world.faults.fail_randomly("payer", 0)
        async with world.running():
            await asyncio.sleep(100)
            [payment] = [
                payment for payment in world.book.payments.values() if payment.payment_hash == lost
            ]
            assert payment.mark is Mark.LOST_SIGHT
            [stream] = world.book.streams.values()
            assert world.received_msat() <= stream.account.settled_msat + stream.reserved_msat

    run_virtual(main)


@pytest.mark.parametrize("later_seconds", [10, 7_200])
def test_a_clock_that_was_ahead_does_not_hide_that_the_node_has_been_restarted(
    later_seconds: int,
) -> None:
    """While the peer that knows better is away, nothing tells but that."""

    async def main(clock: VirtualClock) -> None:
        world, steps = with_steps(clock)
        payer, receiver = world.network.named["payer"], world.network.named["receiver0"]
        steps.slept_ns = 3_600 * SECOND_NS
        world.crash()
        async with world.running():
            stream = await world.open("10sat/10s")
            await asyncio.sleep(9)
            history = world.faults.history("payer")
            payment = await one_open(world, stream, CallFate.ACCEPTED, then=die)
        await asyncio.sleep(1)
        assert [htlc.payment_hash for htlc in receiver.received].count(payment.payment_hash) == 1
        world.faults.take_down("payer")
        world.faults.restore("payer", history)
        payer.sides[0].channel.disabled = True
        world.network.open_channel(payer, receiver, 100_000_000)
        world.faults.bring_up("payer")
        steps.slept_ns = 0
        world.crash()
        await asyncio.sleep(later_seconds)
        async with world.running():
            await asyncio.sleep(300)
            assert [htlc.payment_hash for htlc in receiver.received].count(
                payment.payment_hash
            ) == 1
            assert payment.row in world.book.payments

    run_virtual(main)


@pytest.mark.parametrize("accepted", [False, True])
def test_a_payment_that_was_held_at_a_stop_and_settled_is_not_paid_again_by_a_restored_node(
    accepted: bool,
) -> None:
    """Its peer has closed the channel for good by then; started without it, lnd fails the attempt
    (money rule 6).
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        payer = world.network.named["payer"]
        async with world.running():
            await world.open("10sat/10s", end_time_ns=clock.now_ns() + 30 * SECOND_NS)
            await asyncio.sleep(5)
            world.faults.hold("receiver0")
            await asyncio.sleep(40 if accepted else 8)
            [payment] = world.book.payments.values()
            assert (payment.accepted, payment.mark) == (
                accepted,
                Mark.HELD if accepted else Mark.NONE,
            )
            history = world.faults.history("payer")
        world.crash()
        world.faults.release("receiver0")
        await asyncio.sleep(5)
        assert payer.payments[payment.payment_hash].status is Status.SUCCEEDED
        world.faults.take_down("payer")
        world.faults.restore("payer", history)
        replace_channel(world)
        record = payer.payments[payment.payment_hash]
        record.status, record.failure, record.ended_ns = (
            Status.FAILED,
            Failure.ERROR,
            clock.now_ns(),
        )
        world.faults.bring_up("payer")
        async with world.running():
            await asyncio.sleep(900)
        [stream] = world.book.streams.values()
        assert world.received_msat() == stream.account.settled_msat + stream.reserved_msat == 30_000
        assert world.book.payments[payment.row].mark is Mark.LOST_SIGHT

    run_virtual(main)
