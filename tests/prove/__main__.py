"""`make prove`: the full volumes of the proof on both cores, and a refusal to pass with less.

Each job is a process of its own; as many run as LANES says, because most of those with real daemons
wait more than they compute. What a job prints is shown if it fails: a failing seed names itself.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.prove.volumes import REQUIRED, VARIABLE, read
from tests.simulation.crashing import WAYS

ROOT = Path(__file__).resolve().parents[2]
LANES = 3
"""Jobs at a time: two cores, and one more for what waits."""
SEEDS_A_JOB = 50
FIRST_SEED = 10_000
SEEDS = 1_100
"""Enough for the days and the payments, too."""
LIMIT_SECONDS = 3_600
PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "--no-header")


@dataclass(frozen=True)
class Job:
    """A command, and what it is called when it is reported."""

    name: str
    command: tuple[str, ...]


def jobs(first_seed: int, seeds: int) -> list[Job]:
    """The longest first."""
    pairs = "tests/simulation/test_crash_points.py::test_a_crash_at_a_point_and_again_at_a_point_of_the_recovery"
    real = [
        Job("cuts", (*PYTEST, "tests/e2e/test_cuts.py", "-k", "byte or checked")),
        Job("kills at random moments", (*PYTEST, "tests/e2e/test_kill.py", "-k", "random_moments")),
        Job("kills while it starts", (*PYTEST, "tests/e2e/test_kill.py", "-k", "while_it_starts")),
    ]
    nonsense = [Job(f"nonsense: {door}", (*PYTEST, f"tests/fuzz/test_{door}.py")) for door in ("grpc", "http")]
    real.append(Job("kills in PayInvoice and Keysend", (*PYTEST, "tests/e2e/test_invoices.py", "-k", "sigkill")))
    crashes = [Job(f"crash points: {way.name}", (*PYTEST, f"{pairs}[{way.name}]")) for way in WAYS]
    calls = "tests/simulation/test_crash_points_of_invoices.py::test_a_crash_at_a_point_of_a_call_and_again_at_a_point_of_its_recovery"
    for kind in ("PayInvoice", "Keysend"):
        crashes += [Job(f"crash points of {kind}: {way.name}", (*PYTEST, f"{calls}[{way.name}-{kind}]")) for way in WAYS]
    simulated = [
        Job(f"seeds from {first}", (sys.executable, "-m", "tests.simulation.simulate", "--seed", str(first), "--runs", str(SEEDS_A_JOB)))
        for first in range(first_seed, first_seed + seeds, SEEDS_A_JOB)
    ]
    return [*real, *nonsense, *crashes, *simulated]


def do(job: Job, volumes: Path) -> bool:
    """Whether it went well."""
    began = time.monotonic()
    environment = os.environ | {VARIABLE: str(volumes)}
    done = subprocess.run(
        job.command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    well = done.returncode == 0
    print(f"{'ok    ' if well else 'FAILED'} {time.monotonic() - began:6.0f} s  {job.name}", flush=True)
    if not well:
        print(done.stdout, flush=True)
    return well


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("words", nargs="*", help="only jobs whose name has one of these words; the volumes are then only printed")
    asked = parser.parse_args()
    chosen = [job for job in jobs(asked.first_seed, asked.seeds) if not asked.words or any(word in job.name for word in asked.words)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        volumes = Path(folder) / "volumes"
        volumes.touch()
        with ThreadPoolExecutor(LANES) as pool:
            well = all(list(pool.map(lambda job: do(job, volumes), chosen)))
        sums = read(volumes)
    enough = True
    for what, least in REQUIRED.items():
        enough = enough and sums[what] >= least
        print(f"{sums[what]:>12,.0f} {what} (at least {least:,})")
    found = ["all went well" if well else "something FAILED", *([] if enough else ["the volumes were not reached"])]
    print(f"{time.monotonic() - began:.0f} s: {', and '.join(found)}")
    return 0 if well and (enough or asked.words) else 1


if __name__ == "__main__":
    sys.exit(main())
