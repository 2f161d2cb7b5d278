"""A disk that takes no more: nothing more is paid, the user reads why, nothing is lost, and after
making room it goes on.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.simulator.serve import Plan
from streamer.words.money import MILLISECOND_NS
from tests.e2e.house import House, house, settled, states, until
from tests.e2e.networks import Network, Networks


@pytest.fixture
def network(tmp_path: Path, networks: Networks) -> Network:
    latency_ns = (50 * MILLISECOND_NS, 250 * MILLISECOND_NS)
    return networks.start(
        tmp_path / "network", Plan(nodes=3, channels=1, seed=50, latency_ns=latency_ns)
    )


@pytest.fixture
def daemon(tmp_path: Path, network: Network) -> Iterator[House]:
    with house(
        tmp_path / "home", *network.flags(), "--node.ghost-after", "1s", "--log.format", "json"
    ) as running:
        running.until_paying()
        for receiver in network.receivers:
            for _ in range(3):
                assert (
                    running.cli("stream", "open", receiver, "1sat/1s", "--catch-up", "forever").code
                    == 0
                )
        until(lambda: network.count() >= 6, "all streams are paid")
        yield running


def fill(daemon: House) -> None:
    """No file of the daemon may grow any more, as if the disk were full."""
    _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (4096, hard))


def make_room(daemon: House) -> None:
    _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


def until_stopped(daemon: House) -> None:
    text = daemon.until_unready("STORE_FAILED")
    assert f"the journal {daemon.data / 'journal.db'} could not be written (" in text
    assert (
        "nothing is paid until it is. Make room or repair the disk, then `streamer sending start`"
        " replays the journal" in text
    )


def test_a_full_disk_stops_all_payments_and_says_so_until_there_is_room(
    daemon: House, network: Network
) -> None:
    fill(daemon)
    until_stopped(daemon)
    # what was in flight may still arrive, and is the last that does
    until(lambda: not network.served.node("alice").flights, "nothing is under way")
    arrived = network.count()
    status = daemon.status()
    assert "stopped: STORE_FAILED" in status
    assert "problem: sending is stopped (STORE_FAILED): the journal" in status
    stream = daemon.json("stream", "list")["streams"][0]["id"]
    assert (
        "waits because sending is stopped: the journal" in daemon.cli("stream", "show", stream).out
    )
    refusals = [
        daemon.cli("keysend", network.receivers[0], "5sat"),
        daemon.cli("stream", "open", network.receivers[0], "1sat/1s"),
        daemon.cli("stream", "cancel", stream),
    ]
    assert [(done.code, done.out) for done in refusals] == [(1, "")] * 3, refusals
    assert "sending is stopped (STORE_FAILED): the journal" in refusals[0].err
    assert all("could not be written" in done.err for done in refusals[1:]), refusals
    early = daemon.cli("sending", "start")
    assert (early.code, early.err) == (
        1,
        (
            f"streamer: the disk of {daemon.data} still refuses to be written (File too large):"
            " make room or repair it, then `streamer sending start`\n"
        ),
    )
    until_stopped(daemon)
    assert not (daemon.data / "probe").exists()
    assert network.count() == arrived
    make_room(daemon)
    begun = daemon.cli("sending", "start")
    assert (begun.code, begun.out) == (
        4,
        (
            "sending is still stopped: STORE_FAILED; the journal is being replayed, and `streamer"
            " status` tells what came of it\n"
        ),
    )
    until(lambda: daemon.starts() == 2, "the doors are open again")
    until(lambda: network.count() >= arrived + 12, "it goes on")
    until(lambda: not daemon.unready(), "the daemon is ready")
    streams = daemon.json("stream", "list")["streams"]
    assert [(stream["state"], stream["skipped_msat"]) for stream in streams] == [("ACTIVE", 0)] * 6
    assert daemon.stop() == 0
    assert set(states(daemon.home)) <= {"SETTLED", "FAILED", "REFUSED"}
    assert settled(daemon.home) == network.received()


def test_a_daemon_that_ends_on_a_full_disk_loses_nothing(daemon: House, network: Network) -> None:
    fill(daemon)
    until_stopped(daemon)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(60) == 0, daemon.log()
    assert "Traceback" not in daemon.log()
    before = network.count()
    with house(daemon.home, *network.flags(), "--node.ghost-after", "1s") as again:
        again.until_paying()
        until(lambda: network.count() >= before + 6, "it goes on")
        assert again.stop() == 0
    assert settled(daemon.home) == network.received()
