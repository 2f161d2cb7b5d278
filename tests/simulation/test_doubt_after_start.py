"""What stalled a stream in doubt does so after a start, before anybody has asked about it again."""

from __future__ import annotations

import asyncio

from streamer.doubt.recovery import Patience
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.pace import Pace
from streamer.words.model import Facts, StreamState
from streamer.words.money import MILLISECOND_NS, SECOND_NS
from streamer.words.reasons import Reason
from tests.simulation.world import World

QUICK = Pace(latency_ns=(80 * MILLISECOND_NS, 120 * MILLISECOND_NS))


def test_a_stall_for_doubt_outlasts_a_start_whatever_ends_first() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(
            clock, QUICK, proven=True, patience=Patience(in_doubt_after_ns=60 * SECOND_NS)
        )
        async with world.running():
            stream = await world.open("1sat/1s", max_open_payments=9, catch_up_ns=0)
            await asyncio.sleep(3.5)
            world.faults.freeze("receiver0")
            await asyncio.sleep(100)
            assert (stream.state, stream.reason) == (StreamState.STALLED, Reason.IN_DOUBT)
            since_ns = stream.doubt_since_ns
        world.crash()
        again = world.book.streams[stream.id]
        # what the first turn does before all else: no answer has come by then
        for action in tuple(world.engine._actions):
            action(clock.now_ns(), Facts())
        assert world.book.slots.doubts(again.key) >= 3
        assert (again.state, again.reason, again.doubt_since_ns) == (
            StreamState.STALLED,
            Reason.IN_DOUBT,
            since_ns,
        )

    run_virtual(main)
