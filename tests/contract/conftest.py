from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.worlds import World, real_stage, simulated_stage


@pytest.fixture(params=["simulator", pytest.param("lnd", marks=pytest.mark.lnd)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """The simulator, or real lnd (the network is shared by the session)."""
    if request.param == "simulator":
        return World(False, lambda: simulated_stage(tmp_path))
    network = request.getfixturevalue("lnd_network")
    return World(True, lambda: real_stage(network))
