"""Random worlds in which the core and the plain model of its rules must say the same, to the msat
and the nanosecond.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamer.words.model import Rate
from tests.model.compare import difference, explain
from tests.model.prices import Piece, Prices
from tests.model.spans import Causes, length, oldest, union, within, without
from tests.model.worlds import S, tight_world_of, world_of
from tests.prove.volumes import tried

FIXED = range(1, 201)
"""Seeds that are played in each run."""
FOLLOWING = 1_000
"""Seeds that follow from the commit: each commit plays others, and the same commit the same
ones.
"""
TIGHT = 1_500
"""Seeds of tight worlds, which are small: one stream with a few payments."""
PARTS = 10
FIRST_FOLLOWING = 10**6
COMMIT_WITHOUT_GIT = "0123456789abcdef"


def commit() -> str:
    """What is checked out, or a fixed word where nothing says so."""
    command = ("git", "rev-parse", "HEAD")
    try:
        said = subprocess.run(
            command,
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except OSError:
        return COMMIT_WITHOUT_GIT
    return said.stdout.strip() or COMMIT_WITHOUT_GIT


def following(part: int) -> range:
    first = FIRST_FOLLOWING + int(commit()[:12], 16) % 10**12
    return range(first + part * FOLLOWING // PARTS, first + (part + 1) * FOLLOWING // PARTS)


def play(seeds: range, tight: bool = False) -> None:
    worlds = map(tight_world_of if tight else world_of, seeds)
    stories = [
        explain(world, verbose=False, tight=tight)
        for world in worlds
        if difference(world)[1] is not None
    ]
    assert not stories, "\n".join([f"{len(stories)} of {len(seeds)} worlds differ", *stories])
    if not tight:
        tried("model worlds", len(seeds))


@pytest.mark.parametrize("part", range(4))
def test_the_core_and_the_model_say_the_same_in_the_same_worlds(part: int) -> None:
    play(FIXED[part * 50 : part * 50 + 50])


@pytest.mark.parametrize("part", range(3))
def test_and_where_end_budget_and_largest_payment_are_close_to_each_other(part: int) -> None:
    play(range(1 + part * TIGHT // 3, 1 + (part + 1) * TIGHT // 3), tight=True)


@pytest.mark.skipif(
    bool(os.environ.get("STREAMER_MUTANTS")),
    reason="a mutant is judged by worlds that are always the same",
)
@pytest.mark.parametrize("part", range(PARTS))
def test_and_in_worlds_that_follow_from_the_commit(part: int) -> None:
    play(following(part))


# -- the comparison itself ----------------------------------------------------------------------


def test_a_world_follows_from_its_seed_alone() -> None:
    assert world_of(7) == world_of(7) != replace(world_of(8), seed=7)
    assert world_of(7).fate(1, 3) == world_of(7).fate(1, 3)


def noticed(monkeypatch: pytest.MonkeyPatch, thing: type, name: str, wrong: Any) -> bool:
    """Whether a world in which nothing differs does once the model is wrong."""
    for seed in FIXED:
        with monkeypatch.context() as patch:
            patch.setattr(thing, name, wrong)
            differs = difference(world_of(seed))[1]
        if differs is not None and difference(world_of(seed))[1] is None:
            return True
    return False


def test_a_model_that_is_wrong_by_a_millisatoshi_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = Prices.price
    assert noticed(
        monkeypatch,
        Prices,
        "price",
        lambda prices, moment: right(prices, moment) + (moment > 100 * S),
    )


@pytest.mark.parametrize("cause", ["doubt", "row", "holds", "budget", "stopped", "down"])
def test_a_model_that_forgets_a_cause_of_impossible_time_is_noticed(
    cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison that does not bring about a cause could not tell whether it counts."""
    assert noticed(
        monkeypatch, Causes, "until", lambda causes, now: union(spans_but(causes, cause, now))
    )


def spans_but(causes: Causes, cause: str, now: int) -> list[tuple[int, int]]:
    ended = [(start, end) for what, start, end in causes.past if what != cause]
    return ended + [(start, now) for what, start in causes.since.items() if what != cause]


# -- its arithmetic -------------------------------------------------------------------------------


def test_spans_are_sets_of_moments() -> None:
    assert union([(5, 7), (1, 3), (2, 4), (9, 9)]) == [(1, 4), (5, 7)]
    assert within([(1, 4), (5, 7)], [(3, 6)]) == [(3, 4), (5, 6)]
    assert without([(1, 10)], [(2, 3), (5, 20)]) == [(1, 2), (3, 5)]
    assert length([(1, 4), (2, 6)]) == 5
    assert oldest([(1, 4), (6, 9)], 4) == [(1, 4), (6, 7)]


def test_prices_are_exact_and_their_moments_the_first() -> None:
    prices = Prices((Piece(0, Rate(1, 3, 9)),)).with_rate(20, Rate(2, 1, 5))
    assert [prices.price(moment) for moment in (0, 2, 3, 20, 21)] == [0, 0, 1, 6, 8]
    assert [prices.moment(msat) for msat in (0, 1, 6, 7, 8)] == [0, 3, 18, 21, 21]
    assert [prices.grid_after(moment) for moment in (0, 8, 9, 18, 20, 24)] == [9, 9, 18, 20, 25, 25]


def test_time_that_is_removed_takes_its_rate_with_it() -> None:
    prices = (
        Prices((Piece(0, Rate(1, 1, 1)),))
        .with_rate(100, Rate(2, 1, 10))
        .with_rate(200, Rate(3, 1, 10))
    )
    assert prices.remove(40, 30).pieces == (
        Piece(0, Rate(1, 1, 1)),
        Piece(70, Rate(2, 1, 10)),
        Piece(170, Rate(3, 1, 10)),
    )
    assert prices.remove(40, 70).pieces == (
        Piece(0, Rate(1, 1, 1)),
        Piece(40, Rate(2, 1, 10)),
        Piece(130, Rate(3, 1, 10)),
    )
