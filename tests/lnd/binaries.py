"""Builds the real lnd, lncli and btcd once, into .cache/lnd, from the module in tests/lnd/build.

The tests call this themselves: with a cold cache the first one waits some minutes for the compiler,
and needs Go and its module proxy. A change of the module's files builds anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE = Path(__file__).parent / "build"
CACHE = ROOT / ".cache" / "lnd"
BUILD_SECONDS = 1800
TAGS = "invoicesrpc walletrpc signrpc chainrpc kvdb_sqlite"
PACKAGES = (
    "github.com/lightningnetwork/lnd/cmd/lnd",
    "github.com/lightningnetwork/lnd/cmd/lncli",
    "github.com/btcsuite/btcd",
)


@dataclass(frozen=True)
class Binaries:
    lnd: Path
    lncli: Path
    btcd: Path


def build() -> Binaries:
    """The binaries, built if they are not there. RuntimeError says what is missing."""
    CACHE.mkdir(parents=True, exist_ok=True)
    made = Binaries(*(CACHE / "bin" / name for name in ("lnd", "lncli", "btcd")))
    stamp, wanted = CACHE / "bin.key", _key()
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole = all(path.exists() for path in (made.lnd, made.lncli, made.btcd))
        if not whole or not stamp.exists() or stamp.read_text() != wanted:
            _compile()
            stamp.write_text(wanted)
    return made


def _key() -> str:
    text = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum", "tools.go"))
    return hashlib.sha256(text + TAGS.encode()).hexdigest()


def _compile() -> None:
    go_build(f"{CACHE / 'bin'}/", *PACKAGES)


def go_build(target: str | Path, *packages: str) -> None:
    """Build packages of the module in tests/lnd/build. RuntimeError says what is missing."""
    if shutil.which("go") is None:
        raise RuntimeError(
            "the tests on real lnd build it with Go, and there is no go command: install Go 1.25 or"
            " newer"
        )
    command = [
        "go",
        "build",
        "-trimpath",
        "-ldflags",
        "-s -w",
        "-tags",
        TAGS,
        "-o",
        str(target),
        *packages,
    ]
    done = subprocess.run(
        command,
        cwd=MODULE,
        env={**os.environ, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"lnd was not built: {done.stderr[-2000:]}")
