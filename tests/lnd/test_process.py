"""The programs that tests start end with them, also when the tests are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.lnd.binaries import ROOT
from tests.lnd.process import GIVEN_PORTS, Child, free_port, until

STARTER = """
import sys, time
from pathlib import Path
from tests.lnd.process import GIVEN_PORTS, Child
child = Child(["sleep", "1000"], Path(sys.argv[1]))
child.start()
print(child._process.pid, flush=True)
time.sleep(1000)
"""


def gone(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_a_child_dies_with_a_starter_that_is_killed(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path / "log")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    assert not gone(pid)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    until("the child is gone", lambda: gone(pid), 10)


def test_stop_ends_a_frozen_child(tmp_path: Path) -> None:
    child = Child(["sleep", "1000"], tmp_path / "log")
    child.start()
    child.send_signal(signal.SIGSTOP)
    child.stop(seconds=10)
    assert not child.running


def test_a_child_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    child = Child(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], tmp_path / "log"
    )
    child.start()
    until("it runs", lambda: "ready" in child.tail(), 10)
    child.stop(seconds=0.2)
    assert not child.running


def test_free_ports_are_free() -> None:
    ports = {free_port() for _ in range(5)}
    first, _ = GIVEN_PORTS.read_text().split()
    assert all(1024 < port < int(first) for port in ports) and len(ports) == 5
