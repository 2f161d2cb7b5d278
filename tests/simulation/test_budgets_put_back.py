"""Budgets over a clock that is put right while the daemon runs: nothing is paid beyond them in true
time, and nobody starves.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from streamer.core import lifecycle
from streamer.core.shared import MARK
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.model import ApiKey, BudgetTerms, Facts
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt, Reason
from tests.prove.volumes import seeds
from tests.simulation.beating import Steps, beating
from tests.simulation.served import service_of
from tests.simulation.test_followed_clock import (
    FOLLOWED_BY,
    HOUR_NS,
    now_ns,
    only,
    open_now,
    put_right,
    wrong_at_the_start,
)
from tests.simulation.world import World

MINUTE_NS = 60 * SECOND_NS
FEE_MSAT = 100


class Till:
    """What the receiver has got, by the true time: looked at each second."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.moments_ns: list[int] = []
        self.sums_msat: list[int] = []
        self._sum_msat = self._read = 0

    async def watch(self) -> None:
        received = self.world.network.named["receiver0"].received
        while True:
            self._sum_msat += sum(htlc.amount_msat for htlc in received[self._read :])
            self._read = len(received)
            self.moments_ns.append(self.world.clock.real.now_ns())  # type: ignore[attr-defined]
            self.sums_msat.append(self._sum_msat)
            await asyncio.sleep(1)

    def got_msat(self, from_ns: int, until_ns: int) -> int:
        """Between two moments."""
        return self._by_msat(until_ns) - self._by_msat(from_ns)

    def _by_msat(self, moment_ns: int) -> int:
        place = bisect_left(self.moments_ns, moment_ns)
        return self.sums_msat[min(place, len(self.sums_msat) - 1)]


@asynccontextmanager
async def watched(world: World) -> AsyncIterator[Till]:
    till = Till(world)
    task = asyncio.ensure_future(till.watch())
    try:
        yield till
    finally:
        task.cancel()


async def open_by_daemon(world: World, api_key: int, budget: BudgetTerms | None) -> None:
    """A stream of 1 sat a second that begins now, as the daemon sees it."""
    key, now = next(world._keys), now_ns(world)
    terms = replace(
        world.terms("1sat/1s"),
        start_time_ns=now,
        budget=budget,
        fee_floor_msat=FEE_MSAT,
        fee_limit_ppm=0,
        catch_up_ns=0,
    )
    stream = lifecycle.new_stream(f"st_{key:032x}", key, terms, now, api_key)
    facts = Facts()
    lifecycle.open_stream(world.book, stream, now, facts)
    await world.store.append(facts)
    world.engine.wake()


class Case:
    """One choice of a seed."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.period_ns = chance.choice((10 * MINUTE_NS, HOUR_NS, 6 * HOUR_NS))
        self.sats = chance.choice((30, 100, 250))
        self.of_key = chance.random() < 0.4
        self.earlier_seconds = chance.choice((0, 20, 100))
        self.wrong_seconds = chance.choice((20, 100, 1_500))
        self.ahead_ns = int(
            chance.choice((0.1, 1, 3, 70)) * HOUR_NS * (0.5 + chance.random())
        ) * chance.choice((1, 1, 1, -1))
        self.crash_after_seconds = chance.choice((0, 3, 400, 3 * self.period_ns // SECOND_NS))

    @property
    def budget_msat(self) -> int:
        return 1_000 * self.sats + FEE_MSAT


@pytest.mark.parametrize("seed", seeds(8, 24))
def test_no_true_period_has_more_than_its_budget_and_each_has_it(seed: int) -> None:
    case = Case(seed)

    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 0 if case.earlier_seconds else case.ahead_ns)
        async with watched(world) as till:
            if case.earlier_seconds:
                async with world.running(), beating(world):
                    await asyncio.sleep(1)
                    await begin(world, case)
                    await asyncio.sleep(case.earlier_seconds)
                # it was off for so long that its clock is not behind the journal
                if case.ahead_ns < 0:
                    await asyncio.sleep(-case.ahead_ns / SECOND_NS)
                steps.step_ns = case.ahead_ns
                world.crash()
            async with world.running(), beating(world):
                await asyncio.sleep(1)
                if not case.earlier_seconds:
                    await begin(world, case)
                await asyncio.sleep(case.wrong_seconds)
                steps.step_ns = 0
                await asyncio.sleep(FOLLOWED_BY)
                right_ns = clock.now_ns()
                await asyncio.sleep(case.crash_after_seconds)
            world.crash()
            async with world.running(), beating(world):
                await asyncio.sleep(3 * case.period_ns / SECOND_NS)
                world.check()
            judge(case, till, right_ns)

    run_virtual(main, seed=seed)


async def begin(world: World, case: Case) -> None:
    budget = BudgetTerms(case.budget_msat, case.period_ns)
    if case.of_key:
        key = ApiKey(1, "key_1", "", frozenset(), budget=budget)
        world.shared.budgets.add_key(key)
        await world.store.append(Facts(keys=[key]))
    await open_by_daemon(world, int(case.of_key), None if case.of_key else budget)


def judge(case: Case, till: Till, right_ns: int) -> None:
    """The period in which the clock was put right has no more than its budget, or than it had
    already; all later ones have theirs.
    """
    start_ns = right_ns - right_ns % case.period_ns
    before = till.got_msat(start_ns, right_ns)
    in_it = till.got_msat(start_ns, start_ns + case.period_ns)
    budget = case.budget_msat
    assert in_it <= max(budget, before), (
        f"{in_it} msat in the period of the correction, {before} before it"
    )
    for start in range(
        start_ns + case.period_ns, till.moments_ns[-1] - case.period_ns, case.period_ns
    ):
        got = till.got_msat(start, start + case.period_ns)
        assert budget - FEE_MSAT - 1_000 < got <= budget, (
            f"{got} msat in {(start - start_ns) // case.period_ns} periods after"
        )


def test_a_spend_limit_of_an_hour_does_not_count_for_days() -> None:
    async def main(clock: VirtualClock) -> None:
        steps = Steps(clock, 72 * HOUR_NS)
        world = World(clock, spend_limit_msat=5_000_000)
        world.clock = steps  # type: ignore[assignment]
        world._build()
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            await open_now(world)
            await asyncio.sleep(600)
            await put_right(world, steps)
            assert world.shared.budgets.spend_limit.spent_msat >= 600_000
            await asyncio.sleep(5 * 3_600)
            assert world.switch.sending and world.received_msat() > 18_000_000
            limit = world.shared.budgets.spend_limit
            assert now_ns(world) - HOUR_NS <= limit.period_start_ns <= now_ns(world)

    run_virtual(main)


def test_what_is_spent_in_one_hour_stops_all_whatever_the_clock_did_in_it() -> None:
    async def main(clock: VirtualClock) -> None:
        steps = Steps(clock, 72 * HOUR_NS)
        world = World(clock, spend_limit_msat=1_000_000)
        world.clock = steps  # type: ignore[assignment]
        world._build()
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            await open_now(world)
            await asyncio.sleep(600)
            await put_right(world, steps)
            await asyncio.sleep(1_000)
            assert Halt.SPEND_LIMIT in world.switch.halts
            assert world.received_msat() <= 1_000_000

    run_virtual(main)


def test_a_person_who_says_that_the_journal_was_ahead_does_not_wait_for_its_budgets() -> None:
    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 72 * HOUR_NS)
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            await open_by_daemon(world, 0, BudgetTerms(10_100, HOUR_NS))
            await asyncio.sleep(60)
        steps.step_ns = 0
        world.crash()
        assert only(world).reason is Reason.BUDGET_PERIOD
        async with world.running(), beating(world) as told:
            await asyncio.sleep(10)
            assert Halt.CLOCK in told.halts
            service = service_of(world)
            await service.sending.start(b"")
            await asyncio.sleep(10)
            again = world.store.load()
            assert [
                stream.account.period_start_ns <= clock.now_ns() for stream in again.streams
            ] == [True]
            assert [spend.period_start_ns <= clock.now_ns() for spend in again.spends] == [True]
            assert (
                world.timekeeping.known and int(world.store.load().settings[MARK]) <= clock.now_ns()
            )
            own = world.shared.budgets.own(only(world), now_ns(world))
            assert (
                own is not None
                and own.period_start_ns <= now_ns(world)
                and own.spent_msat >= 10_000
            )
            assert only(world).short_until_ns <= now_ns(world) + HOUR_NS
            assert world.shared.budgets.spend_limit.period_start_ns <= now_ns(world)

    run_virtual(main)


def test_a_period_that_a_person_begins_while_the_clock_is_not_known_lies_in_no_future() -> None:
    """He starts sending after ten minutes behind the journal; a crash then forgets these ten
    minutes, and not the period.
    """

    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 0)
        async with world.running(), beating(world):
            await asyncio.sleep(1)
        steps.step_ns = -610 * SECOND_NS
        world.crash()
        async with world.running(), beating(world):
            world.switch.stop(Halt.SPEND_LIMIT, "reached")
            await asyncio.sleep(600)
            await service_of(world).sending.start(b"")
            assert world.switch.halts.keys() == {Halt.CLOCK}
        world.crash()
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            assert world.timekeeping.known
            assert world.shared.budgets.spend_limit.period_start_ns <= now_ns(world)

    run_virtual(main)


@pytest.mark.parametrize("step_seconds", [12, -12])
def test_a_step_of_seconds_takes_no_more_than_seconds_from_the_next_hour(step_seconds: int) -> None:
    """All that was paid in the hour before counted once more: 1,020 of 5,000 sat were left."""

    async def main(clock: VirtualClock) -> None:
        world, steps = wrong_at_the_start(clock, 0)
        async with world.running(), beating(world):
            await asyncio.sleep(1)
            await open_by_daemon(world, 0, BudgetTerms(3_700_000, HOUR_NS))
            await asyncio.sleep((2 * HOUR_NS - now_ns(world) % HOUR_NS) // SECOND_NS + 300)
            steps.step_ns = step_seconds * SECOND_NS
            await asyncio.sleep(FOLLOWED_BY)
            assert now_ns(world) == steps.wall_ns()
            before_msat = world.received_msat()
            await asyncio.sleep((HOUR_NS - now_ns(world) % HOUR_NS) // SECOND_NS - 5)
            seconds = HOUR_NS // SECOND_NS - 300 - FOLLOWED_BY - step_seconds
            assert world.received_msat() - before_msat >= 1_000 * (seconds - 30)

    run_virtual(main)
