"""How many keysends a second the simulator pays on one core: a Go client pays, the server's CPU time is read.

What counts is CPU per keysend: the machine may be busy with something else. Usage: python -m bench.simulator [--fast]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
BINARY = ROOT / ".cache" / "stub" / "load"
WORKERS, CONNECTIONS, SECONDS = 64, 4, 10
TICKS = os.sysconf("SC_CLK_TCK")


def build() -> None:
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", str(BINARY), "./load"], cwd=ROOT / "bench" / "stub", check=True)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure() -> dict[str, float]:
    """Paid keysends, and CPU seconds that the simulator took for them."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "streamer", "simulate", "--dir", folder, "--capacity", "1000000000", "--json", *sys.argv[1:]]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                payer, receiver = json.loads(server.stdout.readline())["nodes"][:2]
                before = cpu_seconds(server.pid)
                words = (payer["rpcserver"], payer["tlscertpath"], payer["macaroonpath"], receiver["pubkey"])
                done = subprocess.run(
                    [BINARY, *words, *map(str, (WORKERS, CONNECTIONS, SECONDS))], capture_output=True, text=True, check=True
                )
                result: dict[str, float] = json.loads(done.stdout)
                result["cpu_seconds"] = cpu_seconds(server.pid) - before
            finally:
                server.terminate()
    result["per_second"] = result["paid"] / result["seconds"]
    result["per_core_second"] = result["paid"] / result["cpu_seconds"]
    return result


if __name__ == "__main__":
    build()
    print(json.dumps(measure(), indent=1))
