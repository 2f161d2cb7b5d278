"""Real lnd: payments deleted on lnd while a ghost waits are paid twice; docs/exactly-once.md warns
of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from tests.e2e.house import until
from tests.e2e.networks import Networks
from tests.lnd.binaries import build
from tests.lnd.books import sent
from tests.lnd.ghost import leave_a_ghost
from tests.lnd.town import PATIENT, Town, star

pytestmark = pytest.mark.lnd


@pytest.fixture
def town(tmp_path: Path, networks: Networks) -> Iterator[Town]:
    with star(build(), tmp_path, networks, receivers=1, channels=1, payer_options=PATIENT) as made:
        yield made


def test_what_the_documentation_warns_of_is_so(town: Town) -> None:
    patient = ("--node.ghost-after", "100s")
    ghost = leave_a_ghost(town, *patient)
    with town.daemon(*patient) as daemon:
        until(
            lambda: sent(town.payer).get(ghost.payment_hash) == ln.Payment.SUCCEEDED,
            "the same hash was sent again, and settled",
        )
        assert daemon.stop() == 0
    town.payer.cli("deletepayments", "--all", "--include_non_failed")
    town.deliver()
    until(
        lambda: len(town.receivers[0].received_of(ghost.payment_hash)) == 2,
        "lnd took the ghost for a new payment",
    )
