"""What the folders of tests share, each started when first asked for: real lnd nodes, and a thread
for simulated ones and proxies.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.e2e.networks import Networks
from tests.lnd.binaries import build
from tests.lnd.network import Network

LND_TEST_SECONDS = 180


def pytest_configure() -> None:
    """Who starts tests in the background of a shell lets them ignore SIGINT, and each program that
    they start would, too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Time only the test itself where real nodes are used: the first one may wait for the
    compiler.
    """
    for item in items:
        if item.get_closest_marker("lnd"):
            item.add_marker(pytest.mark.timeout(LND_TEST_SECONDS, func_only=True))


@pytest.fixture(scope="session")
def lnd_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """payer with four channels to receiver and one to deaf, which takes no keysends; all funds at
    payer.
    """
    with Network(build(), tmp_path_factory.mktemp("lnd") / "network") as network:
        payer, receiver = network.add("payer"), network.add("receiver")
        deaf = network.add("deaf", keysend=False)
        network.fund(payer)
        network.start(payer, receiver, deaf)
        network.wait_coins(payer)
        network.wait_synced()
        for other, channels in ((receiver, 4), (deaf, 1)):
            network.connect(payer, other)
            network.open_channels(payer, other, channels)
            network.wait_known(payer, other)
        yield network


@pytest.fixture(scope="session")
def networks() -> Iterator[Networks]:
    """One thread for all simulated networks and proxies of a run."""
    with Networks() as running:
        yield running
