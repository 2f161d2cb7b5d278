"""A real daemon in a process of its own, the command line against it, and what it left in its
folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

STREAMER = (sys.executable, "-m", "streamer")
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.02
OBEDIENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0); os.execv(sys.argv[1],"
    " sys.argv[1:])"
)
"""Runs a command for which file permissions hold even if it is root's: PR_CAPBSET_DROP of
CAP_DAC_OVERRIDE (capabilities(7)).
"""

T = TypeVar("T")


def environment(home: Path, **more: str) -> dict[str, str]:
    """No configuration but what a test gives."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STREAMER_", "XDG_", "GRPC_"))
    }
    return {**kept, "HOME": str(home), **more}


def until(look: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Look until there is something; fails with what was waited for."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(LOOK_SECONDS)
    return found


@dataclass(frozen=True)
class Said:
    """How a command ended. There is never a traceback, nor gRPC's own chatter, whatever
    happened.
    """

    code: int
    out: str
    err: str


def run(home: Path, *arguments: str, **more: str) -> Said:
    """One command, to its end."""
    done = subprocess.run(
        [*STREAMER, *arguments],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return said(done.returncode, done.stdout, done.stderr)


def said(code: int, out: str, err: str) -> Said:
    for words in (
        "Traceback",
        "unexpected",
        ".cc:",
        "goaway",
        "never awaited",
        "was never retrieved",
    ):
        assert words not in err, err
    return Said(code, out, err)


def refused(home: Path, *arguments: str, **more: str) -> str:
    """What `serve` says before it ends by itself; a refusal is one line, and code 1."""
    done = run(home, "serve", *DOORS, *arguments, **more)
    assert (done.code, done.out) == (1, ""), done
    assert done.err.startswith("streamer: ") and done.err.count("\n") == 1, done.err
    return done.err


DOORS = ("--api.grpc-listen", "127.0.0.1:0", "--api.http-listen", "127.0.0.1:0")


@dataclass
class House:
    """A running daemon whose home (with its data folder) is `home`."""

    home: Path
    process: subprocess.Popen[bytes]
    log_file: Path
    grpc: str = ""
    http: str = ""

    @property
    def data(self) -> Path:
        return data_of(self.home)

    def log(self) -> str:
        return self.log_file.read_text()

    def messages(self) -> list[str]:
        """The log, line by line."""
        return [json.loads(line)["message"] for line in self.log().splitlines()]

    def starts(self) -> int:
        """How often the doors were opened, by the log; a replay opens them anew, on other ports."""
        assert self.process.poll() is None, self.log()
        found = re.findall(r"gRPC on (\S+), HTTP on (\S+),.*\n.*paying with", self.log())
        if found:
            self.grpc, self.http = found[-1]
        return len(found)

    def cli(self, *arguments: str) -> Said:
        return run(self.home, *arguments, STREAMER_SERVER=self.grpc)

    def json(self, *arguments: str) -> Any:
        done = self.cli(*arguments, "--json")
        assert done.code == 0, done
        return json.loads(done.out)

    def newest_hash(self) -> bytes:
        """The payment hash of the newest payment; empty while there is none."""
        found = self.json("payment", "list", "--limit", "1")["payments"]
        return bytes.fromhex(found[0]["payment_hash"]) if found else b""

    def status(self) -> str:
        """`streamer status` of a daemon that is not well."""
        done = self.cli("status")
        assert done.code == 4, done
        return done.out

    def unready(self) -> str:
        """/readyz: why nothing can be paid; empty if it can."""
        try:
            with urllib.request.urlopen(f"http://{self.http}/readyz", timeout=5) as reply:
                return "" if reply.status == 200 else "?"
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()
        except OSError:
            self.starts()
            return "no door is open"

    def until_paying(self, seconds: float = PATIENCE_SECONDS) -> None:
        until(lambda: not self.unready(), "the daemon can pay", seconds)

    def until_unready(self, words: str) -> str:
        return until(
            lambda: text if words in (text := self.unready()) else "",
            f"/readyz says {words!r}, not {self.unready()!r}",
        )

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=5) as reply:
            text = reply.read().decode()
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if re.match(rf"streamer_{name}[ {{]", line)
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        said(code, "", self.log())
        return code


@contextmanager
def house(home: Path, *arguments: str, **more: str) -> Iterator[House]:
    """`streamer serve` until the block ends; its doors are open when the block begins."""
    home.mkdir(exist_ok=True)
    log_file = home / f"log{time.monotonic_ns()}"
    with log_file.open("wb") as output:
        process = subprocess.Popen(
            [*STREAMER, "serve", *DOORS, *arguments], env=environment(home, **more), stderr=output
        )
    made = House(home, process, log_file)
    try:
        until(made.starts, "the doors are open")
        yield made
    finally:
        process.kill()
        process.wait()


def data_of(home: Path) -> Path:
    """Where a daemon without data_dir keeps its data."""
    return home / ".local" / "share" / "streamer"


def copy_home(home: Path, to: Path) -> Path:
    """The data folder of a daemon that has ended, in another home."""
    data_of(to).parent.mkdir(parents=True)
    shutil.copytree(data_of(home), data_of(to))
    return to


@contextmanager
def journal(home: Path) -> Iterator[sqlite3.Connection]:
    """The journal of a daemon that has ended, to look at or to tamper with."""
    with closing(sqlite3.connect(data_of(home) / "journal.db", isolation_level=None)) as connection:
        yield connection


def settled(home: Path) -> dict[bytes, int]:
    """payment hash → settled msat of all that the journal calls settled."""
    with journal(home) as connection:
        rows = connection.execute(
            "SELECT payment_hash, settled_msat FROM payments WHERE state = 'SETTLED'"
        ).fetchall()
    assert len(rows) == len(dict(rows))
    return dict(rows)


def states(home: Path) -> dict[str, int]:
    """How many payments are in which state."""
    with journal(home) as connection:
        return dict(
            connection.execute("SELECT state, count(*) FROM payments GROUP BY state").fetchall()
        )
