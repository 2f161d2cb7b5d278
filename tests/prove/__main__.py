"""`make prove`: the full volumes of the proof on both cores, and a refusal to pass with less.

Each job is a process of its own. Those with real daemons (and with --lnd first of all the tests on
real lnd) wait more than they compute; what they leave of the cores goes to those on a virtual
clock, which the kernel runs only while nobody else wants to (SCHED_IDLE, sched(7)): no real second
is late because of them. What a job prints is shown if it fails: a failing seed names itself.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tests.prove.volumes import QUARTER_VARIABLE, QUARTERS, REQUIRED, SHARE, VARIABLE, read
from tests.simulation.crashing import WAYS

ROOT = Path(__file__).resolve().parents[2]
REAL_LANES = 2
"""Jobs with real daemons at a time."""
IDLE_LANES = 2
"""Jobs on a virtual clock at a time: one for each core."""
IDLE = (
    *(sys.executable, "-I", "-S", "-c"),
    (
        "import contextlib, os, sys\nwith contextlib.suppress(OSError): os.nice(19),"
        " os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nos.execvp(sys.argv[1],"
        " sys.argv[1:])"
    ),
)
SEEDS_A_JOB = 50
FIRST_SEED = 10_000
SEEDS = 1_100
"""Enough for the days and the payments, too."""
FIRST_WORLD = 2_000_000
WORLDS = 10_000
WORLDS_A_JOB = 2_500
DAYS_OF_TROUBLE = "tests/simulation/test_seeds.py::test_nobody_is_paid_twice_and_everything_ends"
PARTS = 8
"""Of these days, in their test."""
THINNED = (
    "tests/simulation/test_budgets_put_back.py",
    "tests/core/test_timeshift.py",
    "tests/core/test_fair_hours.py",
    "tests/core/test_fairness.py",
    "tests/simulation/test_hours.py",
)
"""Tests of which `make test` plays the first seeds only, or the first minutes
(volumes.ALL_SEEDS).
"""
LIMIT_SECONDS = 3_600
MODEL = (sys.executable, "-m", "tests.model.compare")
PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "--no-header")


@dataclass(frozen=True)
class Job:
    """A command, and what it is called when it is reported."""

    name: str
    command: tuple[str, ...]


LND = Job(
    "real lnd",
    (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--no-header",
        "-m",
        "lnd",
        "tests/lnd",
        "tests/contract",
    ),
)


FAILED_ONCE = Job(
    "seeds that failed once", (sys.executable, "-m", "tests.simulation.simulate", "--failed-once")
)


def real_jobs() -> list[Job]:
    """With real daemons, the longest first."""
    return [
        Job("cuts", (*PYTEST, "tests/e2e/test_cuts.py", "-k", "byte or checked")),
        Job(
            "kills in PayInvoice and Keysend",
            (*PYTEST, "tests/e2e/test_invoices.py", "-k", "sigkill"),
        ),
        Job("kills at random moments", (*PYTEST, "tests/e2e/test_kill.py", "-k", "random_moments")),
        *(
            Job(f"nonsense: {door}", (*PYTEST, f"tests/fuzz/test_{door}.py"))
            for door in ("grpc", "http")
        ),
        Job("kills while it starts", (*PYTEST, "tests/e2e/test_kill.py", "-k", "while_it_starts")),
    ]


def idle_jobs(first_seed: int, seeds: int) -> list[Job]:
    """On a virtual clock, the longest first."""
    pairs = (
        "tests/simulation/test_crash_points.py"
        "::test_a_crash_at_a_point_and_again_at_a_point_of_the_recovery"
    )
    crashes = [Job(f"crash points: {way.name}", (*PYTEST, f"{pairs}[{way.name}]")) for way in WAYS]
    calls = (
        "tests/simulation/test_crash_points_of_invoices.py"
        "::test_a_crash_at_a_point_of_a_call_and_again_at_a_point_of_its_recovery"
    )
    for kind in ("PayInvoice", "Keysend"):
        crashes += [
            Job(f"crash points of {kind}: {way.name}", (*PYTEST, f"{calls}[{way.name}-{kind}]"))
            for way in WAYS
        ]
    simulated = [
        Job(
            f"seeds from {first}",
            (
                sys.executable,
                "-m",
                "tests.simulation.simulate",
                "--seed",
                str(first),
                "--runs",
                str(SEEDS_A_JOB),
            ),
        )
        for first in range(first_seed, first_seed + seeds, SEEDS_A_JOB)
    ]
    troubled = [
        Job(f"days of trouble, part {part}", (*PYTEST, f"{DAYS_OF_TROUBLE}[{part}]"))
        for part in range(PARTS)
    ]
    chances = [Job(f"all of {path}", (*PYTEST, path)) for path in THINNED]
    worlds = [
        Job(
            f"model worlds from {first}",
            (*MODEL, "--seed", str(first), "--worlds", str(WORLDS_A_JOB)),
        )
        for first in range(FIRST_WORLD, FIRST_WORLD + WORLDS, WORLDS_A_JOB)
    ]
    return [*crashes, *simulated, *troubled, *chances, *worlds]


def quarter_of(first_seed: int, seeds: int, quarter: int | None) -> list[Job]:
    """What is run on a virtual clock: of all of it a quarter, if one is named; what failed once
    always, and first.
    """
    return [
        FAILED_ONCE,
        *idle_jobs(first_seed, seeds)[quarter or 0 :: 1 if quarter is None else QUARTERS],
    ]


def do(job: Job, volumes: Path, quarter: int | None) -> bool:
    """Whether it went well."""
    began = time.monotonic()
    environment = dict(os.environ)
    if job is not LND:
        environment[VARIABLE] = str(volumes)
        if quarter is not None:
            environment[QUARTER_VARIABLE] = str(quarter)
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
    print(
        f"{'ok    ' if well else 'FAILED'} {time.monotonic() - began:6.0f} s  {job.name}",
        flush=True,
    )
    if not well:
        print(done.stdout, flush=True)
    return well


def do_all(real: list[Job], idle: list[Job], volumes: Path, quarter: int | None) -> bool:
    """Whether all went well. The tests on real lnd are alone with those on a virtual clock."""
    with ThreadPoolExecutor(IDLE_LANES) as idle_lanes, ThreadPoolExecutor(REAL_LANES) as real_lanes:
        beside = [
            idle_lanes.submit(do, replace(job, command=(*IDLE, *job.command)), volumes, None)
            for job in idle
        ]
        first = [do(job, volumes, quarter) for job in real if job is LND]
        then = [real_lanes.submit(do, job, volumes, quarter) for job in real if job is not LND]
        return all([*first, *(done.result() for done in (*then, *beside))])


def commits() -> int:
    """How many commits have led here; 0 where git does not say."""
    done = subprocess.run(
        ("git", "rev-list", "--count", "HEAD"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return int(done.stdout) if done.returncode == 0 else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument(
        "--lnd", action="store_true", help="the tests on real lnd, too: `make test-lnd`"
    )
    parser.add_argument(
        "--quarter",
        nargs="?",
        type=int,
        const=commits() % QUARTERS,
        choices=range(QUARTERS),
        help=(
            "one part of four of all but the tests on real lnd: this one, or the one that follows"
            " from the commit; four in a row see all"
        ),
    )
    parser.add_argument(
        "words",
        nargs="*",
        help="only jobs whose name has one of these words; the volumes are then only printed",
    )
    asked = parser.parse_args()
    real, idle = (
        [job for job in jobs if not asked.words or any(word in job.name for word in asked.words)]
        for jobs in (
            [*([LND] if asked.lnd else []), *real_jobs()],
            quarter_of(asked.first_seed, asked.seeds, asked.quarter),
        )
    )
    if asked.quarter is not None:
        print(
            f"quarter {asked.quarter} of {QUARTERS}: again with `python -m tests.prove --quarter"
            f" {asked.quarter}`",
            flush=True,
        )
    required = (
        REQUIRED
        if asked.quarter is None
        else {what: least // SHARE.get(what, 1) for what, least in REQUIRED.items()}
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        volumes = Path(folder) / "volumes"
        volumes.touch()
        well = do_all(real, idle, volumes, asked.quarter)
        sums = read(volumes)
    enough = True
    for what, least in required.items():
        enough = enough and sums[what] >= least
        print(f"{sums[what]:>12,.0f} {what} (at least {least:,})")
    found = [
        "all went well" if well else "something FAILED",
        *([] if enough else ["the volumes were not reached"]),
    ]
    print(f"{time.monotonic() - began:.0f} s: {', and '.join(found)}")
    return 0 if well and (enough or asked.words) else 1


if __name__ == "__main__":
    sys.exit(main())
