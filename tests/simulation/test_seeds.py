"""Many small worlds, each decided by one seed; what fails is replayed by `make simulate SEED=…
DAYS=…`.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from streamer.doubt.recovery import Patience
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.books import Failure
from streamer.simulator.network.pace import Pace
from streamer.words.model import Mark, PaymentState, StreamState
from streamer.words.money import MILLISECOND_NS, SECOND_NS
from streamer.words.reasons import Halt
from tests.prove.volumes import FULL, tried
from tests.simulation.chaos import run
from tests.simulation.failed_once import FAILED_ONCE, FailedOnce
from tests.simulation.people import BUSY, CROWDED, THIN
from tests.simulation.simulate import bound_memory
from tests.simulation.world import World

PLAYED_HERE = (9, 103, 117, 16, 213, 10_236, 10_397)
"""Of what failed once, what takes seconds; `make prove` and each of its quarters play all of it."""

CROWDED_SEEDS = (12, 13, 14, 20)
"""With windows of 8 and 30 payments, one node and two; equal streams of a short key in most, an
outage or a crash in others.
"""

QUICK = Pace(latency_ns=(80 * MILLISECOND_NS, 120 * MILLISECOND_NS))
PARTS = 8
"""The days and payments are shared among so many tests, so that they can run beside each other."""
DAYS, PAYMENTS, BUSY_DAYS = (200, 200_000, None) if FULL else (3 * PARTS, 3_000 * PARTS, 0.05)
"""By default the first seeds of those that `make prove` plays, and of the busy ones their
beginning.
"""


@pytest.mark.parametrize(
    "story",
    [one for one in FAILED_ONCE if one.seed in PLAYED_HERE],
    ids=lambda story: str(story.seed),
)
def test_what_failed_once(story: FailedOnce) -> None:
    assert story.play().received


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_nobody_is_paid_twice_and_everything_ends(part: int) -> None:
    """Days of much trouble and few payments, and then as many seeds with many payments as it takes;
    in a process of bounded memory.
    """
    seeds = payments = 0
    days = 0.0
    thin, busy = (itertools.count(first + part, PARTS) for first in (1_000, 2_000))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), bound_memory) as pool:
        while days < DAYS / PARTS or payments < PAYMENTS / PARTS:
            seed, kind = (next(thin), THIN) if days < DAYS / PARTS else (next(busy), BUSY)
            outcome = pool.submit(run, seed, BUSY_DAYS if kind is BUSY else None, kind).result()
            assert outcome.steps
            seeds, days, payments = (
                seeds + 1,
                days + outcome.days,
                payments + sum(outcome.payments.values()),
            )
    tried("seeds", seeds)
    tried("simulated days", days)
    tried("simulated payments", payments)


@pytest.mark.parametrize("seed", CROWDED_SEEDS)
def test_who_does_nothing_wrong_is_paid_in_time_and_alike(seed: int) -> None:
    """While a dozen receivers hold again and again, keys are short and rates change in bursts
    (innocents.py).
    """
    assert run(seed, None, CROWDED).looks


def test_one_seed_is_one_story() -> None:
    assert run(7, 0.05) == run(7, 0.05)


def test_a_history_deleted_while_payments_were_open_is_not_hidden_by_later_payments() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=Patience(orphan_write_off_after_ns=900 * SECOND_NS))
        async with world.running():
            streams = [(await world.open("1sat/1s")).id for _ in range(2)]
            await asyncio.sleep(5.5)
            world.faults.freeze("payer")
            await asyncio.sleep(1)
        world.crash()
        world.faults.thaw("payer")
        await asyncio.sleep(1)
        # the calls of the dead process were executed, unseen by anybody
        world.faults.forget("payer")
        async with world.running():
            await asyncio.sleep(600)
            lost = [
                payment
                for payment in world.book.payments.values()
                if payment.mark is Mark.LOST_SIGHT
            ]
            assert len(lost) == 2
            await asyncio.sleep(400)
            received = [htlc.payment_hash for htlc in world.network.named["receiver0"].received]
            assert len(received) == len(set(received))
            assert {payment.state for payment in lost} == {PaymentState.WRITTEN_OFF}
            assert all(world.ahead_ns(world.book.streams[one]) > -SECOND_NS for one in streams)

    run_virtual(main)


def test_a_payment_becomes_the_witness_only_when_all_sent_before_it_are_known() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2)
        link = world.engine.link
        async with world.running():
            slow = await world.open("1sat/60s")
            quick = await world.open("1sat/1s", receiver=1)
            await asyncio.sleep(59.5)
            world.faults.freeze("receiver0")
            await asyncio.sleep(4)
            seen, paid = link.evidence.witness, quick.account.settled_count
            await asyncio.sleep(10)
            assert slow.open_payments == 1 and quick.account.settled_count == paid + 10
            assert link.evidence.witness == seen
            world.faults.thaw("receiver0")
            await asyncio.sleep(5)
            assert (
                link.evidence.witness != seen
                and world.engine.recovery.evidence.witness == link.evidence.witness
            )

    run_virtual(main)


def test_a_macaroon_that_is_revoked_while_a_payment_is_asked_for_does_not_end_the_engine() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await world.open("1sat/1s")
            await asyncio.sleep(6.05)
            assert world.engine.in_flight == 1
            world.faults.fail_randomly("payer", 1.0, Failure.INSUFFICIENT_BALANCE)
            world.faults.reject_credentials("payer")
            await asyncio.sleep(200)
            assert Halt.CREDENTIALS in world.switch.halts | world.engine.switch.halts
            world.faults.fail_randomly("payer", 0.0)
            world.faults.reject_credentials("payer", "")
            await asyncio.sleep(200)
            assert stream.state is StreamState.ACTIVE and world.ahead_ns(stream) > -SECOND_NS

    run_virtual(main)
