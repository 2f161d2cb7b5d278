"""A real `streamer serve` in a process of its own, and the command line against it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STREAMER = [sys.executable, "-m", "streamer"]
PATIENCE_SECONDS = 60


def environment(home: Path, **more: str) -> dict[str, str]:
    """No configuration but what a test gives."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STREAMER_", "XDG_"))
    }
    return {**kept, "HOME": str(home), **more}


def run(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [*STREAMER, *arguments],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class Served:
    """A running daemon; call runs a command against it."""

    home: Path
    process: subprocess.Popen[str]
    grpc: str
    http: str

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.home, *arguments, STREAMER_SERVER=self.grpc)

    def json(self, *arguments: str) -> Any:
        done = self.call(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)


def until_ready(http: str) -> None:
    """A daemon opens its doors before its node has answered, and lets nothing that pays begin until
    then.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(f"http://{http}/readyz", timeout=5):
            return
        time.sleep(0.05)
    raise AssertionError("the daemon's node did not answer")


@contextmanager
def served(home: Path, *arguments: str, ready: bool = True) -> Iterator[Served]:
    """`streamer serve` with the simulator; it is there when its log says so. ready False: it cannot
    pay, or says so over TLS only.
    """
    grpc, http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    command = [
        *STREAMER,
        "serve",
        "--simulator",
        "true",
        "--api.grpc-listen",
        grpc,
        "--api.http-listen",
        http,
        *arguments,
    ]
    process = subprocess.Popen(command, env=environment(home), stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "paying with" in line:
                break
        else:
            raise AssertionError("the daemon did not start")
        if ready:
            until_ready(http)
        yield Served(home, process, grpc, http)
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
