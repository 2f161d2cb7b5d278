"""Receivers that hold, by the dozen and by the thousand: who never did is paid in time, and another
key's streams too (money rule 12).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from streamer.core.gate import Gate
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import ResourceExhausted
from streamer.words.model import Facts, Mark, Single, Stream
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from tests.simulation.test_scenarios import QUICK
from tests.simulation.world import World

SLOTS = 483
IN_TIME_NS = 5 * SECOND_NS
HOLD_AFTER_NS = 30 * SECOND_NS
ATTACKER, INNOCENT = 7, 8
GOOD, NEW = 0, 1
"""Receivers: the first is known to settle, the second is new; the others hold."""


def lateness_ns(world: World, *streams: Stream) -> int:
    """How far the worst of them is behind."""
    return max(-world.ahead_ns(stream) for stream in streams)


def taken(world: World) -> int:
    """HTLC slots of the payer's only channel that are taken."""
    world.simulation.sync()
    [side] = world.network.named["payer"].sides
    return len(side.htlcs)


def equal_books(world: World, receivers: Sequence[int], *streams: Stream) -> None:
    """What these receivers have is what was paid to them."""
    world.check()
    for number in receivers:
        pubkey = world.network.named[f"receiver{number}"].pubkey
        assert world.received_msat(number) == sum(
            one.account.settled_msat for one in streams if one.terms.destination == pubkey
        )


def hold(world: World, receivers: Sequence[int]) -> None:
    for number in receivers:
        world.faults.hold(f"receiver{number}")


async def watch(
    world: World, seconds: int, streams: Sequence[Stream], most_ns: int, since: int = 0
) -> None:
    """For so long none of streams is further behind than that, and there is always a slot left."""
    for second in range(seconds):
        await asyncio.sleep(1)
        assert second < since or lateness_ns(world, *streams) <= most_ns, second
        assert taken(world) < SLOTS // 2


@pytest.mark.parametrize(
    ("holders", "each", "seconds"), [(36, 30, 700), (360, 30, 60), (1_000, 3, 30)]
)
def test_receivers_that_never_settled_and_hold_all_stop_nobody(
    holders: int, each: int, seconds: int
) -> None:
    """The first for longer than in_doubt_after; the simulated routes to so many others take the
    time of this test.
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=holders + 2, hub=True)
        async with world.running():
            [good] = await world.open_many("1sat/1s", [GOOD], 1, ATTACKER)
            await asyncio.sleep(10)
            receivers = range(2, holders + 2)
            hold(world, receivers)
            await world.open_many("1sat/1s", receivers, each, ATTACKER)
            await watch(world, 65, [good], IN_TIME_NS)
            marks = [payment.mark for payment in world.book.payments.values()]
            assert marks.count(Mark.HELD) == 25, "a quarter of the window is the one key's share"
            [new] = await world.open_many("1sat/1s", [NEW], 1, INNOCENT)
            await watch(world, 40, [good], IN_TIME_NS)
            await watch(world, seconds, [good, new], IN_TIME_NS)
            assert len(world.book.payments) <= 25 + 2
            equal_books(world, (GOOD, NEW), good, new)

    run_virtual(main)


def test_a_new_receiver_of_another_key_is_paid_within_hold_after_in_an_attack() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=38, hub=True, max_in_flight=8)
        async with world.running():
            receivers = range(2, 38)
            hold(world, receivers)
            await world.open_many("1sat/1s", receivers, 30, ATTACKER)
            [new] = await world.open_many("1sat/1s", [NEW], 1, INNOCENT)
            await watch(world, 300, [new], HOLD_AFTER_NS + IN_TIME_NS)
            assert lateness_ns(world, new) <= IN_TIME_NS

    run_virtual(main)


@pytest.mark.parametrize("rounds", [1, 10])
def test_receivers_that_settled_before_and_then_hold_all_at_once_make_the_others_late_once(
    rounds: int,
) -> None:
    """rounds 10: something is under way to most of them when they begin; 1: the window is full of
    the first ten.
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=38, hub=True)
        async with world.running():
            receivers = range(2, 38)
            [good] = await world.open_many("1sat/1s", [GOOD], 1, ATTACKER)
            crowd = [
                stream
                for _ in range(rounds)
                for stream in await world.open_many("1sat/10s", receivers, 30 // rounds, ATTACKER)
            ]
            await asyncio.sleep(60)
            assert lateness_ns(world, good, *crowd) <= 2 * SECOND_NS
            hold(world, receivers)
            await watch(world, 45, [good], HOLD_AFTER_NS + IN_TIME_NS)
            await watch(world, 120, [good], IN_TIME_NS)
            assert {stream.account.streak for stream in crowd} == {0}
            for number in receivers:
                world.faults.release(f"receiver{number}")
            await watch(world, 60, [good], IN_TIME_NS)
            # all 1,080 fall due in the same moment, and the node is paced at 200 a second
            assert lateness_ns(world, *crowd) <= 6 * SECOND_NS, "whoever lets go is paid again"
            equal_books(world, (GOOD, *receivers), good, *crowd)

    run_virtual(main)


@dataclass(slots=True)
class Watched:
    """How late the worst of some streams was, and how often one of them began to be late."""

    worst_ns: int = 0
    times: int = 0
    late: bool = False


async def look(world: World, seconds: int, groups: dict[str, list[Stream]]) -> dict[str, Watched]:
    """For so long, each second: how late each group of streams is."""
    seen = {name: Watched() for name in groups}
    for _ in range(seconds):
        await asyncio.sleep(1)
        for name, streams in groups.items():
            late_ns, of = lateness_ns(world, *streams), seen[name]
            of.worst_ns = max(of.worst_ns, late_ns)
            of.times += late_ns > IN_TIME_NS and not of.late
            of.late = late_ns > IN_TIME_NS
        assert taken(world) <= slots_of(world) * 3 // 4
    return seen


def slots_of(world: World) -> int:
    [side] = world.network.named["payer"].sides
    return side.max_htlcs


def few_slots(world: World, slots: int) -> None:
    """The payer's only peer accepts so many HTLCs at a time."""
    [side] = world.network.named["payer"].sides
    side.max_htlcs = slots


@pytest.mark.parametrize(
    ("holders", "rate", "window", "slots", "api_key"),
    [
        (360, "1sat/10s", 100, SLOTS, INNOCENT),
        (1_000, "1sat/60s", 100, SLOTS, INNOCENT),
        (360, "1sat/20s", 30, 120, INNOCENT),
        (360, "1sat/60s", 100, 30, INNOCENT),
        (360, "1sat/20s", 100, SLOTS, ATTACKER),
        (360, "1sat/20s", 30, 120, ATTACKER),
    ],
)
def test_proven_receivers_beyond_the_window_that_hold_all_at_once_make_the_others_late_once(
    holders: int, rate: str, window: int, slots: int, api_key: int
) -> None:
    """Not once for each time that they fill the window: who settled before has to settle again
    before it gets more than a part.

    Of the same key, who settled last before there was no room has the first turns; its new
    receivers wait for their key's share.
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=holders + 2, hub=True, max_in_flight=window)
        few_slots(world, slots)
        async with world.running():
            receivers = range(2, holders + 2)
            groups = {"good": await world.open_many("1sat/1s", [GOOD], 1, api_key)}
            crowd = await world.open_many(rate, receivers, 1, ATTACKER)
            await asyncio.sleep(120)
            assert lateness_ns(world, *groups["good"], *crowd) <= IN_TIME_NS
            hold(world, receivers)
            before = await look(world, 10, groups)
            if api_key == INNOCENT:
                groups["new"] = await world.open_many("1sat/1s", [NEW], 1, api_key)
            seen = await look(world, 120, groups)
            for name, of in seen.items():
                assert of.worst_ns <= HOLD_AFTER_NS + IN_TIME_NS and of.times <= 1, (name, of)
            assert before["good"].times or seen["good"].times, "the crowd fills the window"
            equal_books(world, (GOOD, NEW), *groups["good"], *groups.get("new", []))

    run_virtual(main)


def test_a_crowd_that_lets_go_and_settles_makes_others_late_once_for_each_hold() -> None:
    """Receivers choose; each wave takes them hold_after, so between two of them everybody is paid,
    the whole gap.
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=202, hub=True)
        async with world.running():
            receivers = range(2, 202)
            good = await world.open_many("1sat/1s", [GOOD], 1, INNOCENT)
            await world.open_many("1sat/10s", receivers, 2, ATTACKER)
            await asyncio.sleep(120)
            for wave in range(4):
                hold(world, receivers)
                seen = await look(world, 45, {"good": good})
                assert (
                    seen["good"].worst_ns <= HOLD_AFTER_NS + IN_TIME_NS and seen["good"].times == 1
                ), wave
                assert lateness_ns(world, *good) <= IN_TIME_NS, wave
                for number in receivers:
                    world.faults.release(f"receiver{number}")
                seen = await look(world, 15, {"good": good})
                assert seen["good"].times == 0, wave
            equal_books(world, (GOOD,), *good)

    run_virtual(main)


def test_receivers_that_let_go_a_moment_before_they_would_be_marked_gain_nothing() -> None:
    """360 keep each payment for a moment longer than hold_after, and then settle it: none is ever
    marked as held for long.
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=362, hub=True)
        async with world.running():
            receivers = range(2, 362)
            good = await world.open_many("1sat/1s", [GOOD], 1, INNOCENT)
            await world.open_many("1sat/20s", receivers, 1, ATTACKER)
            await asyncio.sleep(120)
            hold(world, receivers)
            worst = 0
            for second in range(240):
                [of] = (await look(world, 1, {"good": good})).values()
                worst = max(worst, of.worst_ns)
                assert second < 45 or of.worst_ns <= IN_TIME_NS, second
                old = [
                    one
                    for one in world.book.payments.values()
                    if clock.now_ns() - one.planned_ns > HOLD_AFTER_NS
                ]
                for number in {world.number_of(one.destination) for one in old}:
                    world.faults.release(f"receiver{number}")
                    hold(world, [number])
            assert IN_TIME_NS < worst <= HOLD_AFTER_NS + IN_TIME_NS

    run_virtual(main)


def test_a_receiver_that_holds_one_payment_of_one_key_is_paid_by_the_other_all_the_time() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=1)
        async with world.running():
            hold(world, [0])
            mine = await world.open_many("1sat/1s", [0], 5, ATTACKER)
            await asyncio.sleep(2)
            world.network.named["receiver0"].holding = False  # what it holds, it goes on holding
            others = await world.open_many("1sat/1s", [0], 5, INNOCENT)
            await asyncio.sleep(60)
            for _ in range(1_200):
                await asyncio.sleep(1)
                assert lateness_ns(world, *others) <= IN_TIME_NS
            assert {stream.account.settled_msat for stream in mine} == {0}
            assert min(stream.account.settled_msat for stream in others) >= 1_200_000, (
                "40 sat of 3,600, once"
            )

    run_virtual(main)


def test_who_holds_ten_hours_and_then_settles_is_paid_for_the_catch_up() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=1)
        async with world.running():
            [stream] = await world.open_many("1sat/1s", [0], 1)
            await asyncio.sleep(10)
            hold(world, [0])
            paid = stream.account.settled_msat
            await asyncio.sleep(36_000)
            world.faults.release("receiver0")
            await asyncio.sleep(60)
            assert stream.account.settled_msat - paid <= 365_000, (
                "5 minutes and the minute since; 37,031 sat, once"
            )
            assert abs(lateness_ns(world, stream)) <= 2 * SECOND_NS
            equal_books(world, (0,), stream)

    run_virtual(main)


def test_new_receivers_that_settle_flow_while_others_hold_their_keys_share() -> None:
    """No starvation: they wait in the order of due, one place of the share lets them all
    through.
    """

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=226, hub=True)
        async with world.running():
            hold(world, range(2, 26))
            await world.open_many("1sat/1s", range(2, 26), 1, ATTACKER)
            await asyncio.sleep(60)
            crowd = await world.open_many("1sat/10s", range(26, 226), 1, ATTACKER)
            await asyncio.sleep(60)
            assert lateness_ns(world, *crowd) <= IN_TIME_NS

    run_virtual(main)


def test_a_crowd_of_streams_to_one_holder_costs_nothing_while_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2)
        async with world.running():
            hold(world, [0])
            await world.open_many("1sat/1s", [0], 5_000)
            [good] = await world.open_many("1sat/10s", [1], 1)
            await asyncio.sleep(60)
            asked = 0
            place = Gate.place

            def counted(self: Gate, stream: Stream) -> object:
                nonlocal asked
                asked += 1
                return place(self, stream)

            monkeypatch.setattr(Gate, "place", counted)
            await asyncio.sleep(600)
            assert asked <= 61, "the good stream's own turns"
            assert lateness_ns(world, good) <= IN_TIME_NS

    run_virtual(main)


def test_a_single_payment_is_refused_with_no_slots_while_its_keys_share_is_taken() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=30, hub=True)
        async with world.running():
            [good] = await world.open_many("1sat/1s", [GOOD], 1, ATTACKER)
            hold(world, range(2, 30))
            await world.open_many("1sat/1s", range(2, 30), 1, ATTACKER)
            await asyncio.sleep(60)

            def order(number: int, receiver: int, api_key: int) -> Single:
                return Single(
                    f"pay_{number:032x}",
                    world.network.named[f"receiver{receiver}"].pubkey,
                    1_000,
                    5_000,
                    api_key=api_key,
                )

            with pytest.raises(ResourceExhausted) as refused:
                await world.engine.begin(order(1, NEW, ATTACKER), Facts())
            assert refused.value.reason == Reason.NO_SLOTS
            for number, receiver, api_key in ((2, GOOD, ATTACKER), (3, NEW, INNOCENT)):
                payment = await world.pay(order(number, receiver, api_key))
                assert payment.settled_msat == 1_000
            assert lateness_ns(world, good) <= IN_TIME_NS

    run_virtual(main)
