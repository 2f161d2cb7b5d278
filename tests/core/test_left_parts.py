"""What a short key leaves to those who come later: nobody waits for one who comes no more, and who
gets nothing is told so.
"""

from __future__ import annotations

import heapq
import random
from typing import Any

import pytest

from streamer.core import lifecycle
from streamer.core.ledger import Budget
from streamer.core.line import UNTOLD_NS, Line, Turn, Waiting, waiting_of
from streamer.core.rounds import Rounds
from streamer.words.model import Facts, Rate, Stream, StreamState
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


@pytest.mark.parametrize(("streams", "window"), [(2_000, 50), (2_600, 30), (4_000, 100)])
def test_a_crowd_that_waits_for_its_node_is_not_told_that_there_is_no_money(
    streams: int, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Receivers take 5 s, so the node pays a tenth or two of what is wished a second. With 85 % of
    the budget free a thousand were told KEY_BUDGET_SPENT: those who came after the last round had
    begun, when what was left of that found nobody, and those who waited behind the turns of others.
    """
    told: list[int] = []
    turn_away = Rounds._turn_away

    def noted(rounds: Rounds, waiting: Waiting, budget: Budget, now_ns: int, facts: Facts) -> None:
        told.append(budget.room_msat() // waiting.least_msat)
        turn_away(rounds, waiting, budget, now_ns, facts)

    monkeypatch.setattr(Rounds, "_turn_away", noted)
    period = 900
    street = Street(streams * 1_000 * period * 9 // 10, period * S)
    street.latency_ns = lambda _: 5 * S
    rate = Rate(60_000, 60 * S, 60 * S)
    crowd = [street.open(rate=rate, catch_up_ns=0, fee_floor_msat=1) for _ in range(streams)]
    for stream in crowd:
        street.books[0].slots.prove(stream.terms.destination, 10)
    for half in range(4 * period):
        street.house.now_ns = T0 + half * S // 2
        while street._flights and street._flights[0][0] <= street.house.now_ns:
            street.settle(heapq.heappop(street._flights)[2])
        if len(street._flights) < window:
            street._send(street.plan(0, window - len(street._flights)))
    assert max(told, default=0) < 1_000
    assert street.house.key_budget(1).room_msat() < streams * 1_000 * period // 8


def test_a_slow_node_keeps_nobody_of_another_node_untold() -> None:
    """For 58 minutes of an hour a stream of a node that is prompt was ACTIVE and unpaid."""
    street = Street(1_000_000)
    slow, prompt = (
        waiting_of(street.books[node], street.open(node), T0, T0, 0) for node in range(2)
    )
    line = Line(T0)
    line.note_hold_up(Turn(slow, 1_000, 1, T0), T0 + UNTOLD_NS - S)
    assert [line.is_tired(waiting, T0 + UNTOLD_NS) for waiting in (slow, prompt)] == [False, True]
    assert line.is_tired(slow, T0 + 2 * UNTOLD_NS - S)
