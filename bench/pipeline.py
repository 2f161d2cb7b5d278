"""wheel → durable intent → SendPaymentV2 over TLS with macaroon → durable outcome, against a bare
loop.

    python bench/pipeline.py [--runs 5] [--seconds 8] [--window 256]

The rival is the faster of two bare loops, one with call.read() and one with async for. Each run has
all three in changing order, each side alone on a fresh stub; ratios are medians of the runs'
ratios. The result is written to bench/results/pipeline.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from bench import stub

ROOT = Path(__file__).parents[1]

NAME = "pipeline"
RIVALS = ("read", "iterate")
CACHE = ROOT / ".cache" / "bench"


def once(side: str, window: int, seconds: float, warm_up: float) -> dict[str, float]:
    """One side in this process."""
    with stub.serving() as access:
        if side == "engine":
            from bench import paying

            CACHE.mkdir(parents=True, exist_ok=True)
            return paying.measure(access, window, seconds, warm_up, str(CACHE))
        from bench import bare

        return bare.measure(access, window, seconds, warm_up, side)


def apart(side: str, arguments: argparse.Namespace) -> dict[str, float]:
    """One side in a process of its own."""
    command = [
        sys.executable,
        str(Path(__file__)),
        "--side",
        side,
        "--window",
        str(arguments.window),
    ]
    command += ["--seconds", str(arguments.seconds), "--warm-up", str(arguments.warm_up)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    read: dict[str, float] = json.loads(done.stdout)
    print(side, {name: round(value, 1) for name, value in read.items()}, flush=True)
    return read


def machine() -> str:
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "?",
    )
    return f"{os.cpu_count()} × {model}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--warm-up", type=float, default=3.0)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--side", choices=("engine", *RIVALS))
    arguments = parser.parse_args()
    if arguments.side:
        print(
            json.dumps(once(arguments.side, arguments.window, arguments.seconds, arguments.warm_up))
        )
        return
    stub.build()
    runs: list[dict[str, dict[str, float]]] = []
    for number in range(arguments.runs):
        order = (
            (*RIVALS[:1], "engine", *RIVALS[1:])
            if number % 2
            else (*RIVALS[1:], "engine", *RIVALS[:1])
        )
        runs.append({side: apart(side, arguments) for side in order})
    speeds = {
        side: [run[side]["payments_per_second"] for run in runs] for side in ("engine", *RIVALS)
    }
    best = max(RIVALS, key=lambda side: statistics.median(speeds[side]))
    ratios = [ours / theirs for ours, theirs in zip(speeds["engine"], speeds[best], strict=True)]
    result = {
        "name": NAME,
        "figure": round(statistics.median(speeds["engine"]), 1),
        "unit": "payments/s",
        "rival": round(statistics.median(speeds[best]), 1),
        "ratio": round(statistics.median(ratios), 4),
        "ratios": [round(ratio, 4) for ratio in ratios],
        "loop": best,
        "runs": runs,
        "machine": machine(),
        "commit": subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout.strip(),
    }
    target = ROOT / "bench" / "results" / f"{NAME}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({name: value for name, value in result.items() if name != "runs"}))


if __name__ == "__main__":
    main()
