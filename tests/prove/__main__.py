"""`make prove`: the full volumes of the proof on both cores, and a refusal to pass with less.

Each job is a process of its own. Those with real daemons (and with --lnd first of all the tests on
real lnd) wait more than they compute; what they leave of the cores goes to those on a virtual clock,
which the kernel runs only while nobody else wants to (SCHED_IDLE, sched(7)): no real second is late
because of them. What a job prints is shown if it fails: a failing seed names itself.
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

from tests.prove.volumes import REQUIRED, VARIABLE, read
from tests.simulation.crashing import WAYS

ROOT = Path(__file__).resolve().parents[2]
REAL_LANES = 2
"""Jobs with real daemons at a time."""
IDLE_LANES = 2
"""Jobs on a virtual clock at a time: one for each core."""
IDLE = (
    *(sys.executable, "-I", "-S", "-c"),
    "import contextlib, os, sys\n"
    "with contextlib.suppress(OSError): os.nice(19), os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n"
    "os.execvp(sys.argv[1], sys.argv[1:])",
)
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


LND = Job("real lnd", (sys.executable, "-m", "pytest", "-q", "--no-header", "-m", "lnd", "tests/lnd", "tests/contract"))


def real_jobs() -> list[Job]:
    """With real daemons, the longest first."""
    return [
        Job("cuts", (*PYTEST, "tests/e2e/test_cuts.py", "-k", "byte or checked")),
        Job("kills in PayInvoice and Keysend", (*PYTEST, "tests/e2e/test_invoices.py", "-k", "sigkill")),
        Job("kills at random moments", (*PYTEST, "tests/e2e/test_kill.py", "-k", "random_moments")),
        *(Job(f"nonsense: {door}", (*PYTEST, f"tests/fuzz/test_{door}.py")) for door in ("grpc", "http")),
        Job("kills while it starts", (*PYTEST, "tests/e2e/test_kill.py", "-k", "while_it_starts")),
    ]


def idle_jobs(first_seed: int, seeds: int) -> list[Job]:
    """On a virtual clock, the longest first."""
    pairs = "tests/simulation/test_crash_points.py::test_a_crash_at_a_point_and_again_at_a_point_of_the_recovery"
    crashes = [Job(f"crash points: {way.name}", (*PYTEST, f"{pairs}[{way.name}]")) for way in WAYS]
    calls = "tests/simulation/test_crash_points_of_invoices.py::test_a_crash_at_a_point_of_a_call_and_again_at_a_point_of_its_recovery"
    for kind in ("PayInvoice", "Keysend"):
        crashes += [Job(f"crash points of {kind}: {way.name}", (*PYTEST, f"{calls}[{way.name}-{kind}]")) for way in WAYS]
    simulated = [
        Job(f"seeds from {first}", (sys.executable, "-m", "tests.simulation.simulate", "--seed", str(first), "--runs", str(SEEDS_A_JOB)))
        for first in range(first_seed, first_seed + seeds, SEEDS_A_JOB)
    ]
    return [*crashes, *simulated]


def do(job: Job, volumes: Path) -> bool:
    """Whether it went well."""
    began = time.monotonic()
    environment = os.environ if job is LND else os.environ | {VARIABLE: str(volumes)}
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


def do_all(real: list[Job], idle: list[Job], volumes: Path) -> bool:
    """Whether all went well. The tests on real lnd are alone with those on a virtual clock."""
    with ThreadPoolExecutor(IDLE_LANES) as idle_lanes, ThreadPoolExecutor(REAL_LANES) as real_lanes:
        beside = [idle_lanes.submit(do, replace(job, command=(*IDLE, *job.command)), volumes) for job in idle]
        first = [do(job, volumes) for job in real if job is LND]
        then = [real_lanes.submit(do, job, volumes) for job in real if job is not LND]
        return all([*first, *(done.result() for done in (*then, *beside))])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--lnd", action="store_true", help="the tests on real lnd, too: `make test-lnd`")
    parser.add_argument("words", nargs="*", help="only jobs whose name has one of these words; the volumes are then only printed")
    asked = parser.parse_args()
    real, idle = (
        [job for job in jobs if not asked.words or any(word in job.name for word in asked.words)]
        for jobs in ([*([LND] if asked.lnd else []), *real_jobs()], idle_jobs(asked.first_seed, asked.seeds))
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        volumes = Path(folder) / "volumes"
        volumes.touch()
        well = do_all(real, idle, volumes)
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
