"""Builds and runs the stub lnd of bench/stub: the far end of every throughput figure."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
BINARY = ROOT / ".cache" / "stub" / "stub"


def build() -> None:
    """Build the stub if its sources are newer. Needs Go; its modules come from the configured
    proxy.
    """
    sources = ROOT / "bench" / "stub"
    newest = max(path.stat().st_mtime for path in sources.iterdir())
    if not BINARY.exists() or BINARY.stat().st_mtime < newest:
        BINARY.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["go", "build", "-o", str(BINARY), "."], cwd=sources, check=True)


@contextmanager
def serving() -> Iterator[dict[str, str]]:
    """A fresh stub for as long as the block lasts: {"rpcserver", "tlscertpath", "macaroonpath",
    "pubkey"}.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [str(BINARY), folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(10)
