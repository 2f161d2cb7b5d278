"""Replays runs of the simulation: python -m tests.simulation.simulate --seed 7 [--days 2] [--runs
100] [--tempo thin] [--verbose].

`--failed-once` plays those that failed once (failed_once.py).
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from tests.prove.volumes import tried
from tests.simulation.chaos import Outcome, run
from tests.simulation.failed_once import FAILED_ONCE
from tests.simulation.people import BUSY, CROWDED, DENSE, THIN, USUAL

MOST_BYTES = 4 << 30
NAMED = {tempo.name: tempo for tempo in (DENSE, USUAL, THIN, BUSY, CROWDED)}


@dataclass(slots=True)
class Sums:
    """What many runs saw. failed: the texts of those in which a rule was broken; each begins with
    its seed.
    """

    seeds: int = 0
    days: float = 0.0
    crashes: int = 0
    payments: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


def bound_memory() -> None:
    """A world that spins must not take the machine with it."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


def run_all(stories: Iterable[Callable[[], Outcome]], stop_at_failure: bool = False) -> Sums:
    """One after the other."""
    sums = Sums()
    for story in stories:
        try:
            outcome = story()
        except AssertionError as problem:
            if stop_at_failure:
                raise
            sums.failed.append(str(problem))
            continue
        sums.seeds += 1
        sums.days += outcome.days
        sums.crashes += outcome.crashes
        sums.payments.update(outcome.payments)
    tried("seeds", sums.seeds)
    tried("simulated days", sums.days)
    tried("simulated payments", sums.payments.total())
    return sums


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.simulate", description=__doc__
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--days", type=float, help="default: what makes sense for the tempo of the seed"
    )
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--tempo", choices=NAMED, help="default: what the seed chooses")
    parser.add_argument(
        "--failed-once", action="store_true", help="those that failed once, instead"
    )
    parser.add_argument("--verbose", action="store_true", help="the whole traceback of a failure")
    asked = parser.parse_args()
    bound_memory()
    began = time.monotonic()
    seeds = range(asked.seed, asked.seed + asked.runs)
    stories = (
        (one.play for one in FAILED_ONCE)
        if asked.failed_once
        else (partial(run, seed, asked.days, NAMED.get(asked.tempo)) for seed in seeds)
    )
    sums = run_all(stories, stop_at_failure=asked.verbose)
    for problem in sums.failed:
        print(problem)
    seconds = time.monotonic() - began
    print(
        f"{sums.seeds} seeds, {sums.days:.1f} days in {seconds:.1f} s: {dict(sums.payments)},"
        f" {sums.crashes} crashes"
    )
    print(f"failed: {[problem.split(' ')[1] for problem in sums.failed]}")
    return bool(sums.failed)


if __name__ == "__main__":
    sys.exit(main())
