"""A real `streamer serve` process on a real lnd, and its command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.lnd.node import Lnd
from tests.lnd.process import free_port

START_SECONDS = 30
STOP_SECONDS = 60


class DaemonProcess:
    def __init__(self, lnd: Lnd, folder: Path, *options: str) -> None:
        self.folder = folder
        self.server = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.key = folder / "admin.key"
        self._log = folder.with_suffix(".log")
        self._command = [
            *(sys.executable, "-m", "streamer", "serve", "--data-dir", str(folder)),
            *(
                "--node.rpcserver",
                lnd.rpcserver,
                "--node.tlscertpath",
                str(lnd.tlscertpath),
                "--node.macaroonpath",
                str(lnd.macaroonpath),
            ),
            *(
                "--node.network",
                "regtest",
                "--api.grpc-listen",
                self.server,
                "--api.http-listen",
                self.http,
                *options,
            ),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until("the node is up", lambda: self.status()["nodes"][0].get("up", False), START_SECONDS)
        return self

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_SECONDS)

    def log(self) -> str:
        return self._log.read_text()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "streamer",
            *words,
            "--server",
            self.server,
            "--key-file",
            str(self.key),
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def cli(self, *words: str) -> Any:
        """The command with --json; it must end well."""
        done = self.run(*words, "--json")
        assert done.returncode in (0, 4), done.stderr
        return json.loads(done.stdout)

    def status(self) -> Any:
        done = self.run("status", "--json")
        return json.loads(done.stdout) if done.returncode in (0, 4) else {"nodes": [{}]}

    def stream(self, stream_id: str) -> Any:
        return self.cli("stream", "show", stream_id)

    def payments(self, stream_id: str) -> list[Any]:
        """The payments of a stream, oldest first, as the API lists them."""
        found: list[Any] = self.cli("payment", "list", "--stream", stream_id, "--limit", "10000")[
            "payments"
        ]
        return found[::-1]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def until(what: str, true: Callable[[], bool], seconds: float = 30) -> None:
    """Poll until true() holds; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.2)
