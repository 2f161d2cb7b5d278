"""The network between daemon and node loses, delays or keeps bytes anywhere: every payment still
arrives once.

`make prove` cuts behind every byte; otherwise a sample is taken.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamer.simulator.network.books import Failure
from streamer.simulator.serve import Plan
from streamer.words.money import MILLISECOND_NS
from tests.e2e.house import House, house, settled, until
from tests.e2e.networks import Network, Networks
from tests.e2e.proxy import Fate, Proxy, Way, start_proxy
from tests.e2e.test_kill import check_books, nothing_open
from tests.prove.volumes import FULL, part_of, tried

SAMPLE = 1 << 20 if FULL else 20
"""Cuts of each way: in the whole proof more than there are bytes, so behind every one of them."""
START_SAMPLE = 1_000 if FULL else 5
"""Cuts of a connection that is checked: eight thousand bytes, most of them credentials."""
ROADS = 8 if FULL else 2
"""Daemons that are cut at the same time, each at its own part of the bytes: they wait more than
they compute.
"""
RECOVERY_BYTES = 300
"""More than a connection with a payment to ask for takes beyond one without."""
QUIET_SECONDS = 0.05
"""Bytes of one exchange follow each other faster than this, and payments slower."""
ARRIVES_SECONDS = 20.0
TERMS = ("--streams.min-payment-interval", "200ms")
QUICK = ("--node.ghost-after", "3s", "--node.hold-after", "2s")


class Road:
    """Daemon, proxy and simulated node, and one stream that is paid every 200 ms."""

    def __init__(self, networks: Networks, folder: Path, seed: int) -> None:
        self.networks = networks
        self.home = folder / "home"
        latency = (MILLISECOND_NS, 10 * MILLISECOND_NS)
        self.network: Network = networks.start(
            folder / "network", Plan(nodes=2, channels=2, seed=seed, latency_ns=latency)
        )
        certificate = Path(self.network.payer.tlscertpath)
        self.proxy: Proxy = networks.enter(
            start_proxy(self.network.payer.rpcserver, certificate, certificate.with_name("tls.key"))
        )

    @contextmanager
    def daemon(self, *more: str) -> Iterator[House]:
        with house(
            self.home, *self.network.flags(rpcserver=self.proxy.address), *TERMS, *QUICK, *more
        ) as daemon:
            yield daemon

    def open_stream(self, daemon: House) -> None:
        daemon.until_paying()
        done = daemon.cli(
            "stream", "open", self.network.receivers[0], "10sat/200ms", "--catch-up", "forever"
        )
        assert done.code == 0, done
        self.until_paid(2)

    def until_paid(self, more: int = 1) -> None:
        """So many payments more have arrived."""
        enough = self.network.count() + more
        until(lambda: self.network.count() >= enough, f"payment {enough} arrives", ARRIVES_SECONDS)

    def until_quiet(self) -> None:
        until(
            lambda: self.networks.do(lambda: self.proxy.quiet(QUIET_SECONDS)),
            "nothing is being said",
        )

    def trap(self, way: Way, after: int, fate: Fate = Fate.CUT) -> None:
        self.networks.do(lambda: self.proxy.set_trap(way, after, fate))

    def until_trapped(self) -> None:
        until(lambda: self.proxy.trapped, "the trap springs")

    def exchange(self) -> dict[Way, int]:
        """How many bytes one payment takes each way, by the shortest of a few: two may have been
        made while we looked.
        """
        found = []
        for _ in range(5):
            self.until_quiet()
            before = dict(self.proxy.passed)
            self.until_paid()
            self.until_quiet()
            found.append({way: self.proxy.passed[way] - before[way] for way in Way})
        return {way: min(one[way] for one in found) for way in Way}

    def check(self) -> None:
        """The stream is paid ahead, and the ledger is what arrived."""
        with self.daemon() as daemon:
            until(lambda: paid_ahead(daemon), "the stream is paid ahead")
            assert [
                stream["skipped_msat"] for stream in daemon.json("stream", "list")["streams"]
            ] == [0]
            assert daemon.stop() == 0
        nothing_open(self.home)
        check_books(self.home, self.network)


def paid_ahead(daemon: House) -> bool:
    """Nothing is open from before, and the stream is current."""
    if daemon.metric("oldest_open_payment_seconds") > 1:
        return False
    (stream,) = daemon.json("stream", "list")["streams"]
    words = stream["explanation"]
    return stream["state"] == "ACTIVE" and (
        "paid ahead" in words or "waits for the end of 1 open" in words
    )


@pytest.fixture
def road(tmp_path: Path, networks: Networks) -> Road:
    return Road(networks, tmp_path, 60)


def some(length: int, count: int) -> list[int]:
    """So many byte numbers from 0 to length, a spread that is another one in each run; all, if
    there are fewer.
    """
    if length < count:
        return list(range(length + 1))
    step = (length + 1) / count
    return [int(number * step + random.SystemRandom().random() * step) for number in range(count)]


def on_roads(folder: Path, networks: Networks, work: Callable[[Road, int], int]) -> int:
    """work on each road beside the others, with the road's number; the sum of what they return."""
    roads = [Road(networks, folder / str(number), 60 + number) for number in range(ROADS)]
    with ThreadPoolExecutor(ROADS) as pool:
        return sum(pool.map(work, roads, range(ROADS)))


@pytest.mark.timeout(3600 if FULL else 120)
@pytest.mark.parametrize("way", Way)
def test_an_exchange_cut_behind_any_byte_pays_once(
    tmp_path: Path, networks: Networks, way: Way
) -> None:
    def work(road: Road, number: int) -> int:
        with road.daemon() as daemon:
            road.open_stream(daemon)
            cuts = part_of(some(road.exchange()[way], SAMPLE))[number::ROADS]
            print("cut behind", cuts)
            for after in cuts:
                road.until_quiet()
                road.trap(way, after)
                road.until_trapped()
                road.until_paid()
        road.check()
        assert road.proxy.connections > len(cuts)
        return len(cuts)

    tried("cuts", on_roads(tmp_path, networks, work))


@pytest.mark.timeout(3600 if FULL else 120)
def test_a_connection_cut_while_it_is_checked_and_recovers_pays_once(
    tmp_path: Path, networks: Networks
) -> None:
    def work(road: Road, number: int) -> int:
        with road.daemon() as daemon:
            daemon.until_paying()
            length = road.proxy.passed[Way.UP] + RECOVERY_BYTES
            road.open_stream(daemon)
            cuts = part_of(some(length, START_SAMPLE))[number::ROADS]
            print("cut behind", cuts)
            for after in cuts:
                road.until_quiet()
                road.trap(Way.UP, 1)
                road.until_trapped()
                road.trap(Way.UP, after)
                road.until_trapped()
                road.until_paid()
        road.check()
        return len(cuts)

    tried("cuts", on_roads(tmp_path, networks, work))


@pytest.mark.parametrize("lost", [False, True])
def test_a_black_hole_pays_once(road: Road, lost: bool) -> None:
    with road.daemon() as daemon:
        road.open_stream(daemon)
        road.until_quiet()
        road.networks.do(road.proxy.swallow)
        until(lambda: daemon.metric("oldest_open_payment_seconds") > 3, "a payment hangs")
        if lost:
            road.networks.do(road.proxy.drop)
        else:
            road.networks.wait(road.proxy.deliver())
        road.until_paid(2)
    road.check()


def test_a_slow_road_pays_once(road: Road) -> None:
    with road.daemon() as daemon:
        road.open_stream(daemon)
        road.networks.do(lambda: setattr(road.proxy, "delay_seconds", 0.4))
        road.until_paid(3)
        assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
        road.networks.do(lambda: setattr(road.proxy, "delay_seconds", 0.0))
    road.check()


@pytest.mark.parametrize("resent", ["settles", "fails"])
def test_a_killed_daemons_call_that_is_executed_late_pays_once(road: Road, resent: str) -> None:
    patient = ("--node.ghost-after", "60s")
    with road.daemon(*patient) as daemon:
        road.open_stream(daemon)
        road.until_quiet()
        road.trap(Way.UP, 0, Fate.KEEP)
        until(lambda: keeps_call(road, daemon), "the call is on its way")
        ghost = daemon.newest_hash()
        assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
    before, failures = road.network.count(), failed(road)
    if resent == "fails":
        road.network.fault(lambda faults: faults.fail_randomly("alice", 1.0, Failure.NO_ROUTE))
    with road.daemon(*patient) as daemon:
        daemon.until_paying()
        if resent == "settles":
            road.until_paid(2)
        else:
            until(lambda: failed(road) > failures, "the node failed the same hash")
            assert road.network.count() == before
            # nothing but the ghost may pay it now
            assert daemon.cli("sending", "stop").code == 0
            road.network.fault(lambda faults: faults.fail_randomly("alice", 0.0))
        assert road.networks.do(lambda: road.proxy.keeps(ghost))
        road.networks.wait(road.proxy.deliver())
        if resent == "fails":
            until(lambda: ghost in road.network.received(), "the ghost was executed")
            assert daemon.cli("sending", "start").code in (0, 4)
        road.until_paid(2)
    road.check()
    assert len(settled(road.home)) == road.network.count()


def keeps_call(road: Road, daemon: House) -> bool:
    """Whether the call of the newest payment lies in the proxy."""
    newest = daemon.newest_hash()
    return road.networks.do(lambda: road.proxy.keeps(newest))


def failed(road: Road) -> int:
    """How many payments alice's own database calls failed."""
    return len(road.network.served.node("alice").payments) - road.network.sent()
