"""What a quarter plays: four in a row see all, and each of them what failed once."""

from __future__ import annotations

import re
from collections import Counter

from tests.prove.__main__ import (
    FAILED_ONCE,
    FIRST_SEED,
    PARTS,
    QUARTERS,
    ROOT,
    SEEDS,
    THINNED,
    idle_jobs,
    part_of,
)
from tests.simulation import test_seeds


def test_four_quarters_play_everything_once_and_what_failed_once_each_time() -> None:
    played = Counter(
        job for quarter in range(QUARTERS) for job in part_of(FIRST_SEED, SEEDS, quarter)
    )
    assert played == Counter(idle_jobs(FIRST_SEED, SEEDS)) + Counter({FAILED_ONCE: QUARTERS})


def test_the_whole_plays_everything_and_what_failed_once() -> None:
    assert Counter(part_of(FIRST_SEED, SEEDS, None)) == Counter(
        [FAILED_ONCE, *idle_jobs(FIRST_SEED, SEEDS)]
    )


def test_every_part_of_the_days_of_trouble_is_a_job() -> None:
    assert test_seeds.PARTS == PARTS


def test_whatever_make_test_plays_in_part_only_is_a_job_that_plays_all() -> None:
    thinned = {
        path
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"volumes import .*\b(ALL_SEEDS|seeds)\n", path.read_text())
    }
    assert thinned == {ROOT / path for path in THINNED}
