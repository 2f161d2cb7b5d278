"""Output that nobody reads, or that has no room: a sentence or nothing, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cli.daemon import PATIENCE_SECONDS, STREAMER, environment, free_port
from tests.e2e.house import until

TALKING = [
    ("--version",),
    ("config", "show", "--config", "s.toml"),
    ("simulate", "fault", "--list"),
    ("simulate", "--json"),
]


def said(home: Path, arguments: tuple[str, ...], out: str | int) -> tuple[int, str]:
    """Exit code and errors of a command whose output goes there: a file descriptor, or a
    redirection of the shell.
    """
    (home / "s.toml").write_text("simulator = true\n")
    shell = ["sh", "-c", f'exec "$@" {out}', "sh"] if isinstance(out, str) else []
    done = subprocess.run(
        [*shell, *STREAMER, *arguments],
        env=environment(home),
        cwd=home,
        stdout=out if isinstance(out, int) else None,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", TALKING, ids=" ".join)
def test_a_reader_that_has_left_is_no_failure(arguments: tuple[str, ...], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert said(tmp_path, arguments, writer) == (0, "")
    finally:
        os.close(writer)


@pytest.mark.parametrize("arguments", [*TALKING[:3], ("demo", "--for", "100ms")], ids=" ".join)
@pytest.mark.parametrize("closed", [">&-", "<&- >&-"])
def test_an_output_that_is_closed_is_no_failure(
    closed: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    assert said(tmp_path, arguments, closed) == (0, "")


def pays(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE_SECONDS).is_success
    except httpx.ConnectError:
        return False


def test_a_daemon_runs_with_everything_closed(tmp_path: Path) -> None:
    port = free_port()
    doors = ("--api.grpc-listen", "127.0.0.1:0", "--api.http-listen", f"127.0.0.1:{port}")
    command = [
        "sh",
        "-c",
        'exec "$@" <&- >&- 2>&-',
        "sh",
        *STREAMER,
        "serve",
        "--simulator",
        "true",
        *doors,
    ]
    with subprocess.Popen(command, env=environment(tmp_path)) as process:
        until(lambda: pays(port), "it pays")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize("arguments", TALKING, ids=" ".join)
def test_a_full_disk_is_told(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert said(tmp_path, arguments, ">/dev/full") == (
        1,
        "streamer: the output cannot be written: No space left on device\n",
    )
