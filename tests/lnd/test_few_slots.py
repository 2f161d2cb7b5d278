"""Real lnd: a peer that accepts few HTLCs at a time, as nodes that are not lnd do
(max_accepted_htlcs, BOLT 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.networks import Networks
from tests.lnd.binaries import build
from tests.lnd.books import check_arrived
from tests.lnd.network import Network
from tests.lnd.town import Town

pytestmark = pytest.mark.lnd

FEW, STREAMS, PAYMENTS = 10, 40, 400
AMOUNT_MSAT, INTERVAL_MS = 1_000, 500


@pytest.fixture
def town(tmp_path: Path, networks: Networks) -> Iterator[Town]:
    network = Network(build(), tmp_path / "network")
    payer, receiver = (
        network.add("payer"),
        network.add("receiver", options=[f"--default-remote-max-htlcs={FEW}"]),
    )
    network.fund(payer)
    network.start(payer, receiver)
    network.wait_coins(payer)
    network.wait_synced()
    with Town(network, tmp_path, networks, payer, [receiver]) as town:
        town.connect(payer, receiver, 1)
        yield town


def test_no_more_is_sent_at_a_time_than_the_peer_accepts(town: Town) -> None:
    [channel] = town.payer.channels()
    assert (
        channel.local_constraints.max_accepted_htlcs,
        channel.remote_constraints.max_accepted_htlcs,
    ) == (FEW, 483)
    with town.daemon(direct=True) as daemon:
        daemon.until_paying()
        town.open_streams(daemon, STREAMS, AMOUNT_MSAT, INTERVAL_MS)
        town.until_arrived(PAYMENTS)
        assert daemon.json("status")["nodes"][0]["window"] == FEW // 2
        assert [stream.payments_failed for stream in town.streams(daemon)] == [0] * STREAMS
        assert [stream.skipped_msat for stream in town.streams(daemon)] == [0] * STREAMS
        assert daemon.stop() == 0
    assert check_arrived(town.home, town.payer, town.receivers) >= PAYMENTS
