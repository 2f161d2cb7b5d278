"""What a short key leaves to those who come later: nobody waits for one who comes no more, and who
gets nothing is told so.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from streamer.core import lifecycle
from streamer.core.line import UNTOLD_NS
from streamer.words.model import Rate, Stream, StreamState
from streamer.words.reasons import Reason
from tests.core.house import HOUR, MINUTE, T0, S
from tests.core.test_rounds import Street

DAY = 24 * HOUR


def day_of_a_rare_one() -> tuple[Street, list[Stream], Stream]:
    """Two that pay each 30 s and one that pays each eight hours, in the morning of the third day:
    its part is left to it.
    """
    street = Street(20_000_000, DAY)
    often = [street.open(number, rate=Rate(30_000, 30 * S, 30 * S)) for number in range(2)]
    street.live(3_600)
    rare = street.open(1, rate=Rate(8 * 3_600 * 50, 8 * HOUR, 8 * HOUR), start_time_ns=T0 + HOUR)
    street.live(54 * 3_600)
    assert {stream.reason for stream in often} == {Reason.KEY_BUDGET_SPENT}
    assert street.house.book.budgets.free_msat(1) > 2_000_000
    return street, often, rare


@pytest.mark.parametrize("leaves", ["cancel", "pause", "its end", "a lower rate"])
def test_what_was_left_to_one_that_comes_no_more_is_shared_at_once(leaves: str) -> None:
    """2,700 sat were free, and two streams STALLED for want of them, until the third would have
    come.
    """
    street, _, rare = day_of_a_rare_one()
    if leaves == "a lower rate":
        house = street.house
        house.book, first = street.book_of(rare), house.book
        house.change(rare, rate=Rate(1_000, 8 * HOUR, 8 * HOUR))
        house.book = first
    elif leaves == "its end":
        house = street.house
        house.book, first = street.book_of(rare), house.book
        house.change(rare, end_time_ns=house.now_ns + S)
        house.book = first
    else:
        street.act(getattr(lifecycle, leaves), rare)
    street.live(54 * 3_600 + 60)
    assert street.house.book.budgets.free_msat(1) <= 31_000


def mixed(seed: int) -> tuple[Street, list[Stream], int]:
    """Two to six streams over two nodes, short of money, of all kinds of rates and receivers."""
    rng = random.Random(seed)
    period = rng.choice([600, 3_600])
    kinds = [
        (rng.choice([5, 30, 60, 300, 900]), rng.choice([300, 1_000, 3_000]))
        for _ in range(rng.randrange(2, 7))
    ]
    wanted = sum(rate for _, rate in kinds) * period
    street = Street(int(wanted * rng.choice([0.3, 0.6, 0.9, 0.98])), period * S)
    latencies: dict[int, int] = {}
    street.latency_ns = latencies.__getitem__
    streams = []
    for number, (interval, rate) in enumerate(kinds):
        terms: dict[str, Any] = {
            "rate": Rate(rate * interval, interval * S, interval * S),
            "catch_up_ns": rng.choice([0, 5 * MINUTE, None]),
            "max_open_payments": rng.choice([1, 1, 3]),
            "fee_floor_msat": rng.choice([0, 100, 5_000]),
        }
        streams.append(street.open(number % 2, **terms))
        latencies[streams[-1].key] = int(rng.choice([0.1, 0.1, 2, 12, 25]) * S)
    return street, streams, period


@pytest.mark.parametrize("seed", range(12))
def test_who_is_due_and_gets_nothing_is_told_so_within_a_minute(seed: int) -> None:
    """Beside one that paid each 5 s another was ACTIVE and unpaid for 58 minutes, and that time
    counted as its own: 4,819 sat went at once then.
    """
    street, streams, period = mixed(seed)
    patient_ns = UNTOLD_NS + 25 * S
    for second in range(5, 3 * period, 5):
        street.live(second)
        for stream in streams:
            due_ns = street.book_of(stream).due_ns(stream)
            if stream.state is StreamState.ACTIVE and not stream.open_payments and due_ns:
                planned_ns = (stream.last_turn or (0, 0))[0]
                since_ns = max(due_ns, planned_ns, stream.state_time_ns)
                assert street.house.now_ns - since_ns <= patient_ns, (second, stream.key)
