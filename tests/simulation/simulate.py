"""Replays runs of the simulation: python -m tests.simulation.simulate --seed 7 --days 2 [--runs 100] [--verbose]."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.simulation.chaos import run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="the whole traceback of a failure")
    asked = parser.parse_args()
    payments: Counter[str] = Counter()
    crashes, failed, began = 0, [], time.monotonic()
    for seed in range(asked.seed, asked.seed + asked.runs):
        try:
            outcome = run(seed, asked.days)
        except AssertionError as problem:
            if asked.verbose:
                raise
            failed.append(seed)
            print(problem)
        else:
            payments.update(outcome.payments)
            crashes += outcome.crashes
    seconds = time.monotonic() - began
    print(f"{asked.runs} seeds of {asked.days} days in {seconds:.1f} s: {dict(payments)}, {crashes} crashes, failed: {failed}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
