"""The daemon ends, in order or not, at any moment: the ledger equals the receivers' books, and
nothing is paid twice.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from streamer.simulator.network.faults import Faults
from streamer.simulator.serve import Plan
from streamer.words.money import MILLISECOND_NS
from tests.e2e.house import (
    DOORS,
    STREAMER,
    House,
    environment,
    house,
    journal,
    settled,
    states,
    until,
)
from tests.e2e.networks import Network, Networks
from tests.prove.volumes import FULL, part, tried

STREAMS, RECEIVERS = 20, 4
KILLS, KILLS_AT_START = (part(300), part(200)) if FULL else (30, 20)
KILLS_SECONDS = 3_600 if FULL else 300
LONGEST_START_SECONDS = 2.0
LATENCY_NS = (50 * MILLISECOND_NS, 250 * MILLISECOND_NS)
QUICK = ("--node.ghost-after", "1s")
"""Ghosts of a killed daemon die with its process here; two minutes are for the open internet."""


def street(
    networks: Networks, folder: Path, seed: int, latency_ns: tuple[int, int] = LATENCY_NS
) -> Network:
    return networks.start(
        folder, Plan(nodes=RECEIVERS + 1, channels=2, seed=seed, latency_ns=latency_ns)
    )


def open_streams(daemon: House, network: Network, count: int) -> list[str]:
    made = []
    for number in range(count):
        done = daemon.cli(
            "stream",
            "open",
            network.receivers[number % RECEIVERS],
            "1sat/1s",
            "--catch-up",
            "forever",
        )
        assert done.code == 0, done
        made.append(done.out.strip())
    return made


def check_books(home: Path, network: Network) -> None:
    """Hash by hash and msat by msat: what the journal calls settled is what arrived, once."""
    assert settled(home) == network.received()
    with journal(home) as connection:
        (in_accounts,) = connection.execute("SELECT sum(settled_msat) FROM accounts").fetchone()
        (written_off,) = connection.execute(
            "SELECT count(*) FROM payments WHERE state = 'WRITTEN_OFF'"
        ).fetchone()
    assert (in_accounts, written_off) == (sum(network.received().values()), 0)


def nothing_open(home: Path) -> None:
    with journal(home) as connection:
        left = connection.execute(
            "SELECT * FROM payments WHERE state NOT IN ('SETTLED', 'FAILED', 'REFUSED')"
        ).fetchall()
    assert left == []


def current(daemon: House) -> bool:
    """Nothing is open from before, and every stream is paid ahead."""
    if daemon.metric("oldest_open_payment_seconds") > 1:
        return False
    streams = daemon.json("stream", "list")["streams"]
    return len(streams) == STREAMS and all(
        stream["state"] == "ACTIVE"
        and (
            "paid ahead" in stream["explanation"]
            or "waits for the end of 1 open" in stream["explanation"]
        )
        for stream in streams
    )


def arrived(network: Network, enough: int) -> bool:
    return network.count() >= enough


def is_past(moment: float) -> bool:
    return time.monotonic() >= moment


def hold_all(network: Network, faults: Faults) -> None:
    for node in network.served.nodes[1:]:
        faults.hold(node.name)


def release_all(network: Network, faults: Faults) -> None:
    for node in network.served.nodes[1:]:
        faults.release(node.name)


@contextmanager
def paying(home: Path, network: Network) -> Iterator[House]:
    with house(home, *network.flags(), *QUICK) as daemon:
        daemon.until_paying()
        yield daemon


@pytest.mark.timeout(KILLS_SECONDS)
def test_sigkill_at_random_moments_loses_nothing_and_pays_nothing_twice(
    tmp_path: Path, networks: Networks
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    network = street(networks, tmp_path / "network", 40)
    home = tmp_path / "home"
    opens: list[int] = []
    with paying(home, network) as daemon:
        streams = open_streams(daemon, network, STREAMS)
    for _ in range(KILLS):
        with house(home, *network.flags(), *QUICK) as daemon:
            enough = network.count() + chance.randrange(1, 2 * STREAMS)
            until(partial(arrived, network, enough), f"payments arrive; seed {seed}")
            strike = time.monotonic() + chance.uniform(0, 0.3)
            until(partial(is_past, strike), "the moment of the kill")
            daemon.process.send_signal(signal.SIGKILL)
            assert daemon.process.wait() == -signal.SIGKILL
        opens.append(
            sum(
                count
                for state, count in states(home).items()
                if state in ("PLANNED", "IN_FLIGHT", "UNKNOWN")
            )
        )
    assert sum(opens) > 0, "no kill met an open payment"
    with paying(home, network) as daemon:
        until(lambda: current(daemon), f"every stream is paid ahead; seed {seed}")
        shown = [daemon.json("stream", "show", stream) for stream in streams[:3]]
        assert [stream["skipped_msat"] for stream in shown] == [0, 0, 0]
        assert daemon.stop() == 0
    nothing_open(home)
    check_books(home, network)
    tried("SIGKILLs", KILLS)


@pytest.mark.timeout(KILLS_SECONDS)
def test_sigkill_while_it_starts_and_recovers_loses_nothing_and_pays_nothing_twice(
    tmp_path: Path, networks: Networks
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    network = street(networks, tmp_path / "network", 44)
    home = tmp_path / "home"
    with paying(home, network) as daemon:
        open_streams(daemon, network, STREAMS)
        until(lambda: daemon.metric("payments_open") > 1, "payments are in flight")
        assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
    for _ in range(KILLS_AT_START):
        starting = (*STREAMER, "serve", *DOORS, *network.flags(), *QUICK)
        with subprocess.Popen(
            starting, env=environment(home), stderr=subprocess.DEVNULL
        ) as process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, LONGEST_START_SECONDS))
            process.kill()
    with paying(home, network) as daemon:
        until(lambda: current(daemon), f"every stream is paid ahead; seed {seed}")
        assert daemon.stop() == 0
    nothing_open(home)
    check_books(home, network)
    tried("SIGKILLs", KILLS_AT_START + 1)


def test_sigterm_while_paying_drains_and_the_next_start_has_nothing_open(
    tmp_path: Path, networks: Networks
) -> None:
    network = street(
        networks, tmp_path / "network", 41, (700 * MILLISECOND_NS, 900 * MILLISECOND_NS)
    )
    home = tmp_path / "home"
    with paying(home, network) as daemon:
        open_streams(daemon, network, 4)
        until(lambda: daemon.metric("payments_open"), "something is in flight")
        assert daemon.stop() == 0
        assert any(
            line == "SIGTERM: planning nothing new, waiting for what is in flight"
            for line in daemon.messages()
        )
    assert set(states(home)) == {"SETTLED"}
    check_books(home, network)
    before = network.count()
    with paying(home, network) as daemon:
        until(lambda: network.count() > before, "it goes on")
        assert daemon.stop() == 0
    check_books(home, network)


def test_a_drain_that_did_not_end_in_time_says_so_with_its_exit_code(
    tmp_path: Path, networks: Networks
) -> None:
    network = street(networks, tmp_path / "network", 44)
    with house(tmp_path / "home", *network.flags(), *QUICK, "--node.hold-after", "3s") as daemon:
        daemon.until_paying()
        network.fault(partial(hold_all, network))
        open_streams(daemon, network, 1)
        until(lambda: daemon.metric("payments_open") == 1, "it is under way")
        told = daemon.cli("sending", "stop", "--drain", "--wait", "1")
        assert (told.code, told.out) == (4, "sending is stopped; 1 payment pending\n")
        told = daemon.cli("sending", "stop", "--drain")
        assert (told.code, told.out) == (
            0,
            "sending is stopped; 0 payments pending, 1 held, orphaned or out of sight\n",
        )
        assert daemon.stop() == 0


def test_a_second_signal_does_not_wait_and_the_next_start_finds_out(
    tmp_path: Path, networks: Networks
) -> None:
    network = street(networks, tmp_path / "network", 42)
    home = tmp_path / "home"
    with paying(home, network) as daemon:
        network.fault(partial(hold_all, network))
        open_streams(daemon, network, 2)
        until(lambda: daemon.metric("payments_open") >= 2, "two payments are held")
        daemon.process.send_signal(signal.SIGINT)
        until(
            lambda: any(
                line.startswith("SIGINT: planning nothing new") for line in daemon.messages()
            ),
            "it drains",
        )
        assert daemon.process.poll() is None
        assert daemon.stop(signal.SIGINT) == 0
        assert any(
            line == "SIGINT again: not waiting for what is in flight" for line in daemon.messages()
        )
    assert set(states(home)) <= {"PLANNED", "IN_FLIGHT", "UNKNOWN"}
    network.fault(partial(release_all, network))
    assert network.count() == 2
    with paying(home, network) as daemon:
        until(lambda: network.count() >= 4, "it goes on")
        assert daemon.stop() == 0
    check_books(home, network)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_daemon_ends_at_once(
    tmp_path: Path, networks: Networks, number: signal.Signals
) -> None:
    network = street(networks, tmp_path / "network", 43)
    with paying(tmp_path / "home", network) as daemon:
        began = time.monotonic()
        assert daemon.stop(number) == 0
        assert time.monotonic() - began < 10
