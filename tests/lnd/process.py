"""A child process that never outlives the tests: own group, a log file, and a death signal."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

MORTAL = (
    *(sys.executable, "-I", "-S", "-c"),
    (
        "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); os.getppid() =="
        " int(sys.argv[1]) or sys.exit('the starter is gone'); os.execvp(sys.argv[2], sys.argv[2:])"
    ),
)
"""Runs a command that gets SIGKILL when its starter dies (PR_SET_PDEATHSIG, prctl(2)).

Not as a preexec_fn: that would be run in a fork of this process, where gRPC's threads may leave a
lock taken for ever.
"""
POLL_SECONDS = 0.05
GIVEN_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""Linux says here from which port on it gives one to whoever asks for any."""
LEAST_PORT = 10_240
T = TypeVar("T")
_taken: set[int] = set()


def free_port() -> int:
    """A port that stays free while its process is down: none of those that the system gives to
    whoever asks for any. A daemon that did so was once given the port of an lnd that had just been
    killed, and that lnd never came back.
    """
    end = int(GIVEN_PORTS.read_text().split()[0]) if GIVEN_PORTS.exists() else 32_768
    while True:
        port = random.SystemRandom().randrange(LEAST_PORT, end)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _taken:
                _taken.add(port)
                return port


def until(what: str, ask: Callable[[], T], seconds: float = 60) -> T:
    """Ask until the answer is true; AssertionError with the last error after `seconds`."""
    end, last = time.monotonic() + seconds, "it never was"
    while time.monotonic() < end:
        try:
            if answer := ask():
                return answer
        except Exception as error:  # the process may not listen yet
            last = str(error)
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"{what}: not within {seconds} s ({last})")


class Child:
    """One running program, restartable with the same command line.

    Start it from the main thread: the death signal comes when the thread that started it ends.
    """

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*MORTAL, str(os.getpid()), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send_signal(self, number: int) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 30) -> None:
        """End it and wait; SIGKILL if it does not end by itself in time."""
        if self._process is None or not self.running:
            return
        self.send_signal(signal.SIGCONT)
        self.send_signal(number)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.send_signal(signal.SIGKILL)
            self._process.wait()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
