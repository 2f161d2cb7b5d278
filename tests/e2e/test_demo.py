"""`streamer demo` in a terminal: Ctrl-C ends it at once with the totals, and nothing is left
behind.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.house import STREAMER, environment, until

END_SECONDS = 10.0
CTRL_C = b"\x03"
OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1],"
    " sys.argv[1:])"
)
"""What a shell does before it runs a command: Ctrl-C in this terminal is for this session."""


@dataclass
class Terminal:
    """A command that believes in a terminal of its own; `text` is all it has written, without
    colours.
    """

    process: subprocess.Popen[bytes]
    keys: int
    raw: bytearray = field(default_factory=bytearray)

    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.raw.decode(errors="replace"))

    def read(self) -> None:
        while True:
            try:
                more = os.read(self.keys, 65_536)
            except OSError:
                return
            if not more:
                return
            self.raw += more

    def wait(self) -> float:
        """Seconds until it ended by itself."""
        began = time.monotonic()
        self.process.wait(30)
        return time.monotonic() - began


@contextmanager
def terminal(home: Path, *arguments: str) -> Iterator[Terminal]:
    keys, screen = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, *STREAMER, *arguments],
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
        env=environment(home, TMPDIR=str(home), TERM="xterm-256color", COLUMNS="120", LINES="40"),
    )
    os.close(screen)
    shown = Terminal(process, keys)
    reader = threading.Thread(target=shown.read)
    reader.start()
    try:
        yield shown
    finally:
        process.kill()
        process.wait()
        reader.join()
        os.close(keys)


def group_is_empty(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("when", ["paying", "starting"])
def test_ctrl_c_ends_it_with_the_totals_and_leaves_nothing(tmp_path: Path, when: str) -> None:
    with terminal(tmp_path, "demo") as shown:
        sign = "video" if when == "paying" else "streamer-demo-"
        until(
            lambda: (
                sign in shown.text()
                or any(path.name.startswith(sign) for path in tmp_path.iterdir())
            ),
            f"it is {when}: {shown.text()}",
        )
        if when == "paying":
            until(lambda: re.search(r"[3-9] payments, ", shown.text()), "three payments")
        os.write(shown.keys, CTRL_C)
        assert shown.wait() < END_SECONDS, shown.text()
        assert shown.process.returncode == 0, shown.text()
        until(lambda: "streamer stream open PUBKEY 50sat/1m" in shown.text(), "its last line")
        text = shown.text()
    assert (
        "Traceback" not in text
        and "Error" not in text
        and ".cc:" not in text
        and "Task was destroyed" not in text
    )
    assert (
        len(
            re.findall(
                r"\d+ payments of [\d,.]+ sat together, fees 0 sat; the time that ran costs", text
            )
        )
        == 1
    ), text[-500:]
    assert list(tmp_path.iterdir()) == []
    assert group_is_empty(shown.process.pid)


def test_ctrl_c_twice_is_as_clean(tmp_path: Path) -> None:
    with terminal(tmp_path, "demo") as shown:
        until(lambda: re.search(r"[3-9] payments, ", shown.text()), "three payments")
        os.write(shown.keys, CTRL_C + CTRL_C)
        assert shown.wait() < END_SECONDS, shown.text()
        assert shown.process.returncode == 0, shown.text()
    assert "Traceback" not in shown.text()
    assert list(tmp_path.iterdir()) == []


def test_sigterm_of_a_demo_without_a_terminal(tmp_path: Path) -> None:
    command = [*STREAMER, "demo", "--json"]
    process = subprocess.Popen(
        command,
        env=environment(tmp_path, TMPDIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: list(tmp_path.glob("streamer-demo-*/data/journal.db-wal")), "the demo runs")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=END_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, err, out.count(b"\n")) == (0, b"", 1)
    assert list(tmp_path.iterdir()) == []
