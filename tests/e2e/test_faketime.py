"""A real daemon on a machine whose wall clock is hours off when it starts, and is put right while
it pays: by libfaketime.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamer.books.timekeeping import FOLLOWED
from streamer.simulator.serve import Plan
from streamer.words.money import SECOND_NS
from tests.e2e import house as houses
from tests.e2e.house import House, house, journal, until
from tests.e2e.networks import Network, Networks

CACHE = Path(__file__).parents[2] / ".cache" / "faketime"
FOLLOW_SECONDS = 4
QUICK = f"""
import streamer.books.timekeeping as timekeeping
timekeeping.FOLLOW_AFTER_NS = {FOLLOW_SECONDS} * 10**9
from streamer.cli import main
main()
"""
"""The command line of a daemon that follows its wall clock after seconds instead of a minute."""
HOURS = 2
"""Less than what a node can notice."""
SAT_MSAT = 1_000
LATE_SECONDS = 4.0


@pytest.fixture(scope="session")
def faketime() -> Path:
    """Debian's libfaketime, which fakes what programs read from the wall clock, and leaves
    CLOCK_BOOTTIME alone if it is told to.
    """
    if not list(CACHE.rglob("libfaketime.so.1")):
        if shutil.which("apt-get") is None:
            pytest.skip("libfaketime comes as a Debian package")
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["apt-get", "download", "libfaketime"], cwd=CACHE, check=True, capture_output=True
        )
        [package] = CACHE.glob("libfaketime_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, CACHE], check=True)
    [library] = CACHE.rglob("libfaketime.so.1")
    return library


@pytest.fixture
def network(networks: Networks, tmp_path: Path) -> Network:
    return networks.start(tmp_path / "network", Plan(nodes=2, channels=2))


def difference_seconds(daemon: House) -> float:
    return daemon.metric("clock_difference_seconds")


@pytest.mark.parametrize("hours", [-HOURS, HOURS])
def test_a_clock_that_is_put_right_is_followed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, network: Network, faketime: Path, hours: int
) -> None:
    monkeypatch.setattr(houses, "STREAMER", (sys.executable, "-c", QUICK))
    home, stamp = tmp_path / "home", tmp_path / "stamp"
    stamp.write_text(f"{hours:+d}h\n")
    machine = {
        "LD_PRELOAD": str(faketime),
        "FAKETIME_TIMESTAMP_FILE": str(stamp),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with house(home, *network.flags(), **machine) as daemon:
        daemon.until_paying()
        opened = daemon.json("stream", "open", network.receivers[0], "1sat/1s")
        until(lambda: sum(network.received().values()) >= 3 * SAT_MSAT, "three payments")
        began, paid = time.monotonic(), sum(network.received().values())
        stamp.write_text("+0\n")
        words = (
            f"the wall clock is {HOURS * 3600} s {'behind' if hours > 0 else 'ahead of'} the"
            " daemon's time"
        )
        until(
            lambda: words in daemon.cli("status").out or FOLLOWED_TEXT in daemon.log(),
            "it is shown, or followed already",
        )
        until(
            lambda: FOLLOWED_TEXT in daemon.log() and abs(difference_seconds(daemon)) < 1,
            "it is followed",
        )
        daemon.until_paying()
        until(
            lambda: sum(network.received().values()) > paid + (FOLLOW_SECONDS + 4) * SAT_MSAT,
            "payments go on",
        )
        seconds, more = time.monotonic() - began, sum(network.received().values()) - paid
        assert abs(more / SAT_MSAT - seconds) < LATE_SECONDS, (
            "neither the hours are paid, nor is anything lost"
        )
        shown = daemon.json("stream", "show", opened["id"])
        assert (shown["state"], int(shown.get("skipped_msat", 0))) == ("ACTIVE", 0)
        assert daemon.stop() == 0
    with journal(home) as connection:
        [(value,)] = connection.execute(
            "SELECT value FROM settings WHERE name = ?", (FOLLOWED,)
        ).fetchall()
    assert abs(int(value) + hours * 3600 * SECOND_NS) < SECOND_NS
    with house(home, *network.flags()) as again:
        again.until_paying()
        assert "CLOCK" not in again.log()
        assert again.stop() == 0


FOLLOWED_TEXT = "our time follows the wall clock"
