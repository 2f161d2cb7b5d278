"""What a quarter plays: four in a row see all, and each of them what failed once."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.prove import volumes
from tests.prove.__main__ import (
    FAILED_ONCE,
    FIRST_SEED,
    PARTS,
    ROOT,
    SEEDS,
    THINNED,
    idle_jobs,
    quarter_of,
)
from tests.prove.volumes import QUARTERS
from tests.simulation import test_seeds


def test_four_quarters_play_everything_once_and_what_failed_once_each_time() -> None:
    played = Counter(
        job for quarter in range(QUARTERS) for job in quarter_of(FIRST_SEED, SEEDS, quarter)
    )
    assert played == Counter(idle_jobs(FIRST_SEED, SEEDS)) + Counter({FAILED_ONCE: QUARTERS})


def test_the_whole_plays_everything_and_what_failed_once() -> None:
    assert Counter(quarter_of(FIRST_SEED, SEEDS, None)) == Counter(
        [FAILED_ONCE, *idle_jobs(FIRST_SEED, SEEDS)]
    )


def test_every_quarter_of_the_days_of_trouble_is_a_job() -> None:
    assert test_seeds.PARTS == PARTS


def test_whatever_make_test_plays_in_part_only_is_a_job_that_plays_all() -> None:
    thinned = {
        path
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"volumes import .*\b(ALL_SEEDS|seeds)\n", path.read_text())
    }
    assert thinned == {ROOT / path for path in THINNED}


@pytest.mark.parametrize("count", [0, 1, 7, 4_000])
def test_four_quarters_of_kills_and_cuts_are_all_of_them(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert volumes.part(count) == count and volumes.part_of(range(count)) == range(count)
    seen, kills = list[int](), 0
    for quarter in range(QUARTERS):
        monkeypatch.setattr(volumes, "QUARTER", quarter)
        seen += volumes.part_of(range(count))
        kills += volumes.part(count)
    assert sorted(seen) == list(range(count)) and count <= kills < count + QUARTERS
