"""The Node port on the model, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from streamer.ports import Answer, Kind
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.lightning_node import CallFate, Wallet
from streamer.simulator.network.network import Network
from streamer.simulator.network.pace import Pace
from streamer.simulator.node import SimulatedNode
from streamer.words.errors import NodeRejected, NodeUnavailable
from streamer.words.reasons import Reason
from tests.simulator.simnet import SECOND, hash_of, payment, preimage_of

Scene = Callable[[SimulatedNode, Simulation, VirtualClock], Awaitable[None]]


def play(scene: Scene, pace: Pace | None = None) -> None:
    async def main(clock: VirtualClock) -> None:
        network = Network(5, start_ns=clock.now_ns())
        alice, bob = network.add_node("alice", pace), network.add_node("bob")
        network.open_channel(alice, bob, 1_000_000)
        with Simulation(network, clock) as simulation:
            await scene(SimulatedNode(simulation, "alice"), simulation, clock)

    run_virtual(main)


async def send(
    node: SimulatedNode,
    simulation: Simulation,
    number: int,
    amount_msat: int = 1_000,
    patience: float = 60,
) -> Answer:
    destination = simulation.network.named["bob"].pubkey
    return await node.send(payment(destination, number, amount_msat), preimage_of(number), patience)


def test_a_keysend_takes_its_time_and_brings_amount_preimage_and_records() -> None:
    async def scene(node: SimulatedNode, simulation: Simulation, clock: VirtualClock) -> None:
        identity = await node.open()
        assert (identity.alias, identity.network, identity.active_channels) == (
            "alice",
            "regtest",
            1,
        )
        start = clock.now_ns()
        answer = await send(node, simulation, 1, 2_500)
        assert clock.now_ns() - start == 2 * SECOND
        assert answer == Answer(
            Kind.SETTLED, True, True, 2_500, 0, index=1, preimage=preimage_of(1)
        )
        (received,) = simulation.network.named["bob"].received
        assert (received.amount_msat, received.records[70_001]) == (2_500, b"x")
        (listed,) = await node.payments_after(0, 10)
        assert (listed.payment_hash, listed.destination, listed.records[70_001]) == (
            hash_of(1),
            simulation.network.named["bob"].pubkey,
            b"x",
        )
        assert await node.payments_after(1, 10) == []

    play(scene, Pace((2 * SECOND, 2 * SECOND)))


def test_the_four_kinds_of_failure() -> None:
    async def scene(node: SimulatedNode, simulation: Simulation, clock: VirtualClock) -> None:
        await node.open()
        assert (await send(node, simulation, 1, 999)).reason is Reason.NO_ROUTE
        assert (await send(node, simulation, 2, 10**12)).reason is Reason.NO_LIQUIDITY
        simulation.faults.set_keysend("bob", accepted=False)
        rejected = await send(node, simulation, 3)
        assert (rejected.kind, rejected.reason, rejected.accepted) == (
            Kind.FAILED,
            Reason.RECEIVER_REJECTED,
            True,
        )
        simulation.faults.set_keysend("bob", accepted=True)
        assert (await send(node, simulation, 3)).kind is Kind.SETTLED
        assert (await send(node, simulation, 3)).kind is Kind.DUPLICATE
        simulation.faults.refuse("alice", "not today")
        refused = await send(node, simulation, 4)
        assert (refused.kind, refused.message, refused.accepted) == (
            Kind.REFUSED,
            "not today",
            False,
        )

    play(scene)


def test_patience_ends_in_lost_and_the_payment_goes_on() -> None:
    async def scene(node: SimulatedNode, simulation: Simulation, clock: VirtualClock) -> None:
        await node.open()
        simulation.faults.hold("bob")
        answer = await send(node, simulation, 1, patience=30)
        assert (answer.kind, answer.accepted, answer.closed, answer.index) == (
            Kind.LOST,
            True,
            True,
            1,
        )
        assert (await node.track(hash_of(1), 5)).kind is Kind.IN_FLIGHT
        channels = await node.channels()
        assert list(channels.channels[0].pending) == [hash_of(1)]
        assert channels.channels[0].pending[hash_of(1)] == channels.block_height + 83
        simulation.faults.release("bob")
        assert (await node.track(hash_of(1), 5)).kind is Kind.SETTLED
        assert (await node.track(hash_of(2), 5)).kind is Kind.NOT_FOUND

    play(scene)


def test_a_frozen_node_makes_a_ghost() -> None:
    async def scene(node: SimulatedNode, simulation: Simulation, clock: VirtualClock) -> None:
        await node.open()
        simulation.faults.freeze("alice")
        answer = await send(node, simulation, 1, patience=10)
        assert (answer.kind, answer.accepted, answer.closed) == (Kind.LOST, False, False)
        assert (await node.track(hash_of(1), 5)).kind is Kind.LOST
        simulation.faults.thaw("alice")
        await asyncio.sleep(0.001)
        assert (await node.track(hash_of(1), 5)).kind is Kind.SETTLED

    play(scene)


def test_going_down_ends_the_connection_and_every_call() -> None:
    async def scene(node: SimulatedNode, simulation: Simulation, clock: VirtualClock) -> None:
        await node.open()
        watch = asyncio.create_task(node.lost())
        call = asyncio.create_task(send(node, simulation, 1))
        await asyncio.sleep(1)
        simulation.faults.restart("alice", orphan_rate=1.0)
        assert "refused" in await watch
        answer = await call
        assert (answer.kind, answer.accepted) == (Kind.LOST, True)
        assert (await send(node, simulation, 2)).kind is Kind.LOST
        with pytest.raises(NodeUnavailable, match="connection refused"):
            await node.open()
        await asyncio.sleep(2)
        with pytest.raises(NodeUnavailable, match="in the process of starting up"):
            await node.open()
        await asyncio.sleep(3)
        await node.open()
        assert (await node.track(hash_of(1), 5)).kind is Kind.IN_FLIGHT
        assert (await node.channels()).channels[0].pending == {}

    play(scene, Pace((5 * SECOND, 5 * SECOND)))


def test_locked_wallets_and_wrong_credentials_are_different_things() -> None:
    async def scene(node: SimulatedNode, simulation: Simulation, clock: VirtualClock) -> None:
        simulation.faults.set_wallet("alice", Wallet.LOCKED)
        with pytest.raises(NodeUnavailable, match="wallet locked"):
            await node.open()
        simulation.faults.set_wallet("alice", Wallet.SERVER_ACTIVE)
        await node.open()
        simulation.faults.reject_credentials("alice")
        with pytest.raises(NodeRejected, match="verification failed"):
            await node.identity()
        assert (await send(node, simulation, 1)).kind is Kind.REFUSED

    play(scene)


def test_a_lost_reply_tells_whether_the_node_had_answered() -> None:
    async def scene(node: SimulatedNode, simulation: Simulation, clock: VirtualClock) -> None:
        await node.open()
        for number, fate, known in (
            (1, CallFate.NEVER, Kind.NOT_FOUND),
            (2, CallFate.ACCEPTED, Kind.SETTLED),
        ):
            simulation.faults.lose_calls("alice", 1, fate)
            answer = await send(node, simulation, number)
            assert (answer.kind, answer.closed) == (Kind.LOST, False)
            await asyncio.sleep(0.001)
            assert (await node.track(hash_of(number), 5)).kind is known

    play(scene)


def test_the_graph_tells_of_keysend() -> None:
    async def scene(node: SimulatedNode, simulation: Simulation, clock: VirtualClock) -> None:
        bob = simulation.network.named["bob"]
        await node.open()
        assert await node.accepts_keysend(bob.pubkey) is True
        simulation.faults.set_keysend("bob", accepted=False)
        assert await node.accepts_keysend(bob.pubkey) is False
        assert await node.accepts_keysend(bytes(33)) is None

    play(scene)


def test_closing_ends_calls_in_flight_as_lost() -> None:
    async def scene(node: SimulatedNode, simulation: Simulation, clock: VirtualClock) -> None:
        await node.open()
        simulation.faults.hold("bob")
        call = asyncio.create_task(send(node, simulation, 1))
        await asyncio.sleep(1)
        await node.close()
        assert (await call).kind is Kind.LOST

    play(scene)
