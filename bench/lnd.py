"""One engine on real lnd against a bare grpc.aio loop with as many workers, on the same nodes.

    python bench/lnd.py [--seconds 20] [--rounds 2] [--window 100]

The nodes are the bottleneck, and whatever else runs on the machine slows them: the sides alternate
(engine, bare, bare, engine, …) in processes of their own, and the ratio is that of the sums. Builds
btcd and lnd as `make test-lnd` does. The result is written to bench/results/lnd.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.pipeline import machine
from tests.lnd.binaries import build
from tests.lnd.network import Network

ROOT = Path(__file__).parents[1]

NAME = "lnd"
CHANNELS = 10
WARM_UP_SECONDS = 4.0


def once(side: str, access: dict[str, str], window: int, seconds: float) -> dict[str, float]:
    """One side in this process."""
    if side == "engine":
        from bench import paying

        return paying.measure(access, window, seconds, WARM_UP_SECONDS)
    from bench import bare

    return bare.measure(access, window, seconds, WARM_UP_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--side", choices=("engine", "bare"))
    parser.add_argument("--access")
    arguments = parser.parse_args()
    if arguments.side:
        print(
            json.dumps(
                once(
                    arguments.side,
                    json.loads(arguments.access),
                    arguments.window,
                    arguments.seconds,
                )
            )
        )
        return
    figures: dict[str, list[float]] = {"engine": [], "bare": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        Network(build(), Path(folder) / "network") as network,
    ):
        payer, receiver = network.add("payer"), network.add("receiver")
        network.fund(payer)
        network.start(payer, receiver)
        network.wait_coins(payer)
        network.wait_synced()
        network.connect(payer, receiver)
        network.open_channels(payer, receiver, CHANNELS)
        network.wait_known(payer, receiver)
        access = {
            "rpcserver": payer.rpcserver,
            "tlscertpath": str(payer.tlscertpath),
            "macaroonpath": str(payer.macaroonpath),
            "destination": receiver.pubkey.hex(),
        }
        for side in ("engine", "bare", "bare", "engine") * arguments.rounds:
            command = [
                sys.executable,
                str(Path(__file__)),
                "--side",
                side,
                "--access",
                json.dumps(access),
            ]
            command += ["--window", str(arguments.window), "--seconds", str(arguments.seconds)]
            read = json.loads(
                subprocess.run(
                    command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
                ).stdout
            )
            figures[side].append(read["payments_per_second"])
            print(side, round(read["payments_per_second"], 1), flush=True)
    ours, theirs = (sum(figures[side]) / len(figures[side]) for side in ("engine", "bare"))
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.strip()
    result = {
        "name": NAME,
        "figure": round(ours, 1),
        "unit": "payments/s",
        "rival": round(theirs, 1),
        "ratio": round(ours / theirs, 4),
        "runs": figures,
        "machine": machine(),
        "commit": commit,
    }
    target = ROOT / "bench" / "results" / f"{NAME}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({name: value for name, value in result.items() if name != "runs"}))


if __name__ == "__main__":
    main()
