"""Random worlds with short keys: equal streams get the same, no budget is exceeded, and no share is
cut into crumbs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from streamer.core import lifecycle
from streamer.core.away import FLIGHT_NS
from streamer.words.model import Rate, Stream, StreamState
from streamer.words.money import SECOND_NS as S
from tests.core.house import MINUTE
from tests.core.test_rounds import Street
from tests.prove.volumes import seeds

PERIODS = 40


@dataclass
class Wishes:
    """One world: equal streams of one key, over one or two nodes, at a budget of a part of what
    they want.
    """

    streams: int
    nodes: int
    rate_msat: int
    budget_msat: int
    fee_floor_msat: int
    share_msat: int


def wishes(chance: random.Random) -> Wishes:
    streams, rate = chance.randint(2, 9), chance.choice([200, 1_000, 7_000])
    floor = chance.choice([0, 100, 1_000, 5_000])
    wanted = streams * rate * 60
    budget = max(1_000 + floor, wanted * chance.choice([1, 2, 3, 5, 8]) // 10)
    return Wishes(
        streams, chance.choice([1, 2]), rate, budget, floor, max(budget // streams, 1_000 + floor)
    )


def world(seed: int, slow: bool) -> tuple[Street, list[Stream], Wishes]:
    chance = random.Random(seed)
    wish = wishes(chance)
    street = Street(wish.budget_msat)
    interval = 5 * S if wish.rate_msat == 200 else S
    rate = Rate(wish.rate_msat, S, interval)
    streams = [
        street.open(number % wish.nodes, rate=rate, fee_floor_msat=wish.fee_floor_msat)
        for number in range(wish.streams)
    ]
    latencies = {stream.key: chance.randrange(3 * S) if slow else 0 for stream in streams}
    street.latency_ns = latencies.__getitem__
    street.fee_msat = chance.choice([0, wish.fee_floor_msat // 3, wish.fee_floor_msat])
    return street, streams, wish


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("seed", seeds(12, 40))
def test_equal_streams_are_within_one_share_after_each_period(seed: int, slow: bool) -> None:
    street, streams, wish = world(seed, slow)
    worst = 0
    largest = 0
    for period in range(1, PERIODS + 1):
        street.live(period * 60 - 1)
        got = street.got_msat()
        largest = max([largest, *(payment.amount_msat for payment in street.paid[-200:])])
        worst = max(worst, max(got.values()) - min(got.values()))
        assert worst <= wish.share_msat + largest, (seed, period, wish, got)
    steady = [
        payment
        for payment in street.paid
        if payment.planned_ns >= streams[0].terms.start_time_ns + MINUTE
    ]
    assert sum(street.got_msat().values()) >= _least_used(street, wish), (seed, wish)
    assert len(steady) <= _most_payments(wish), (seed, wish, len(steady))


def _least_used(street: Street, wish: Wishes) -> int:
    """What is paid if each period ends with a rest that is too small for a payment, and each
    payment costs its fee.
    """
    rest = 1_000 + wish.fee_floor_msat
    amount = max(1_000, min(wish.fee_floor_msat, wish.budget_msat - wish.fee_floor_msat))
    return (
        (PERIODS - 1)
        * max(0, wish.budget_msat - rest)
        * amount
        // (amount + street.fee_msat)
        * 9
        // 10
    )


def _most_payments(wish: Wishes) -> int:
    """Two for each stream and period; and where the budget is nearly enough, one each interval
    until it is short.
    """
    enough = wish.budget_msat // (wish.streams * (wish.rate_msat * 5 + wish.fee_floor_msat)) + 1
    return (PERIODS - 1) * wish.streams * max(3, enough)


@pytest.mark.parametrize("seed", seeds(8, 25))
def test_people_and_failures_block_nobody(seed: int) -> None:
    """Pauses, ends, nodes that go down, payments that are never told of: whoever can be paid is
    paid, within the budget.
    """
    chance = random.Random(seed)
    street, streams, _ = world(seed, slow=True)
    good = streams[0]
    for period in range(1, PERIODS + 1):
        for _ in range(chance.randrange(4)):
            street.live(period * 60 - 60 + chance.randrange(50))
            other = chance.choice(streams[1:])
            if chance.random() < 0.2:
                street.down ^= {1}
            elif other.state is StreamState.PAUSED:
                street.act(lifecycle.resume, other)
            elif other.state in (StreamState.ACTIVE, StreamState.STALLED):
                street.act(lifecycle.pause, other)
        street.live(period * 60 - 1)
    street.down.clear()
    street.live(PERIODS * 60 + 60)
    got = street.got_msat()
    assert got[good.key] == max(got.values()) or got[good.key] >= sum(got.values()) // (
        2 * len(streams)
    )
    for stream in streams:
        if stream.state is StreamState.PAUSED:
            street.act(lifecycle.resume, stream)
    before = street.got_msat()
    street.live(PERIODS * 60 + 60 * (4 + 2 * len(streams)) + FLIGHT_NS / S)
    after = street.got_msat()
    assert all(after[stream.key] > before[stream.key] for stream in streams), "nobody was forgotten"
