from __future__ import annotations

import asyncio

import pytest

from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.stores.memory import MemoryStore
from streamer.words.errors import Unavailable
from streamer.words.model import Facts, PaymentState, Single
from tests.simulation.world import World


def test_a_stream_is_paid_on_its_grid() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(60.5)
            world.check()
            assert stream.account.settled_msat == 61_000
            assert world.received_msat() == 61_000
            assert world.ahead_ns(stream) > 0

    run_virtual(main)


class SlowWorld(World):
    """A world whose journal takes a second for each commit."""

    def _build(self) -> None:
        self.store = MemoryStore(lambda: asyncio.sleep(1))
        super()._build()


def test_a_single_payment_whose_intent_is_being_written_is_waited_for_at_the_end() -> None:
    async def main(clock: VirtualClock) -> None:
        world = SlowWorld(clock)
        async with world.running():
            destination = world.network.named["receiver0"].pubkey
            while not world.engine.paying:
                await asyncio.sleep(1)
            await asyncio.sleep(3)  # what the start had to write is written
            paying = asyncio.ensure_future(
                world.pay(Single("pay_" + "0" * 32, destination, 5_000, 500))
            )
            await asyncio.sleep(0.5)
            await world.engine.drain()
            assert paying.done() and paying.result().state is PaymentState.SETTLED
            with pytest.raises(
                Unavailable, match="streamer is stopping: call again when it is back"
            ):
                await world.engine.begin(
                    Single("pay_" + "1" * 32, destination, 5_000, 500), Facts()
                )

    run_virtual(main)
