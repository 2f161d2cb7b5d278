"""How many keysends a second the simulator pays on one core, with a client in Go on the other
cores.

The simulator is held on one core, the client kept off it. On a quiet machine `per_second`, by the
clock, is the figure. On a busy one `core_share` says how much of that core the simulator really
got, and `per_cpu_second` what it paid per second of it. Usage: python -m bench.simulator [--fast]
[--runs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BINARY = ROOT / ".cache" / "stub" / "load"
WORKERS, CONNECTIONS, SECONDS, RUNS = 64, 4, 10, 3
TICKS = os.sysconf("SC_CLK_TCK")


def build() -> None:
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["go", "build", "-o", str(BINARY), "./load"], cwd=ROOT / "bench" / "stub", check=True
    )


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def only_on(cores: set[int]) -> Callable[[], None]:
    """For a child before it starts: all its threads stay on these cores."""
    return lambda: os.sched_setaffinity(0, cores)


def measure(options: list[str], seconds: int) -> dict[str, float]:
    """One run on a new network: paid keysends by the clock, and by the CPU time that the simulator
    took for them.
    """
    core, *others = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "streamer",
            "simulate",
            "--dir",
            folder,
            "--capacity",
            "1000000000",
            "--json",
            *options,
        ]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, preexec_fn=only_on({core})
        ) as server:
            assert server.stdout is not None
            try:
                payer, receiver = json.loads(server.stdout.readline())["nodes"][:2]
                words = (
                    payer["rpcserver"],
                    payer["tlscertpath"],
                    payer["macaroonpath"],
                    receiver["pubkey"],
                )
                load = [BINARY, *words, *map(str, (WORKERS, CONNECTIONS, seconds))]
                before = cpu_seconds(server.pid)
                done = subprocess.run(
                    load,
                    capture_output=True,
                    text=True,
                    check=True,
                    preexec_fn=only_on(set(others) or {core}),
                )
                spent = cpu_seconds(server.pid) - before
            finally:
                server.terminate()
    told = json.loads(done.stdout)
    return {
        "paid": told["paid"],
        "unpaid": told["unpaid"],
        "per_second": round(told["paid"] / told["seconds"]),
        "per_cpu_second": round(told["paid"] / spent),
        "core_share": round(spent / told["seconds"], 2),
        "load_average": round(os.getloadavg()[0], 1),
    }


def report(runs: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "runs": runs,
        "per_second": {
            "median": statistics.median(run["per_second"] for run in runs),
            "best": max(run["per_second"] for run in runs),
        },
        "per_cpu_second": {"median": statistics.median(run["per_cpu_second"] for run in runs)},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Any other option goes to streamer simulate, as --fast does."
    )
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    known, passed_on = parser.parse_known_args()
    build()
    print(
        json.dumps(report([measure(passed_on, known.seconds) for _ in range(known.runs)]), indent=1)
    )
