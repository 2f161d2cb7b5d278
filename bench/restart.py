"""A restart with everything open: from the node being reachable to the first new payment of a real
daemon process.

    python -m bench.restart [--streams 100000] [--open 1000] [--runs 3]

The node is a simulated one in another thread of this process, over gRPC and TLS; it has carried out
all open payments while nobody looked. The journal is on the disk, and replayed before the node
comes back.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from bench.pipeline import machine
from tests.e2e.networks import Networks
from tests.e2e.test_restart import seconds_to_first_payment

ROOT = Path(__file__).parents[1]

CACHE = ROOT / ".cache" / "bench"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--open", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    found = []
    with Networks() as networks:
        for _ in range(asked.runs):
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                found.append(
                    round(
                        seconds_to_first_payment(networks, Path(folder), asked.streams, asked.open),
                        2,
                    )
                )
            print(f"{found[-1]} s", flush=True)
    result = {
        "streams": asked.streams,
        "open_payments": asked.open,
        "seconds_to_first_payment": sorted(found),
        "machine": machine(),
    }
    (ROOT / "bench" / "results" / "restart.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
