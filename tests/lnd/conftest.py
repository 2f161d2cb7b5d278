"""One street of real nodes for the tests of single bad days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.networks import Networks
from tests.lnd.binaries import build
from tests.lnd.books import arrived, check_arrived
from tests.lnd.town import Street, street

HOLD_SECONDS = 40


@dataclass
class Scene(Street):
    """The street with a daemon's home of its own; what arrived before belongs to others."""

    before: frozenset[bytes] = frozenset()

    def check(self) -> int:
        """The journal and the receivers' books agree; how many were settled."""
        return check_arrived(self.town.home, self.town.payer, self.town.receivers, self.before)


@pytest.fixture(scope="session")
def lnd_street(tmp_path_factory: pytest.TempPathFactory, networks: Networks) -> Iterator[Street]:
    made = street(build(), tmp_path_factory.mktemp("street"), networks, HOLD_SECONDS)
    with made.town:
        yield made


@pytest.fixture
def scene(lnd_street: Street, tmp_path: Path) -> Iterator[Scene]:
    town = lnd_street.town
    town.home = tmp_path / "home"
    yield Scene(
        town,
        lnd_street.hub,
        lnd_street.receiver,
        lnd_street.holder,
        frozenset(arrived(town.receivers)),
    )
    town.delay(0)
    town.drop()
    for node in town.network.nodes:
        if node.child.running:
            node.thaw()
        else:
            node.start(wait=False)
    town.until_active()
