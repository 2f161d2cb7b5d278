"""The use cases behind the doors, on a world's engines."""

from __future__ import annotations

import itertools

from streamer.feed import Feed
from streamer.nodes.keysend import derive_preimage
from streamer.service import Keyring, Service, Surroundings
from streamer.service.reports import Totals
from streamer.settings import StreamSettings
from tests.simulation.world import SECRET, World


def service_of(world: World) -> Service:
    """The service of the process that runs now, with the keys of its journal."""
    around = Surroundings(
        world.engines, world.store, world.clock, world.shared, StreamSettings(), Feed(), itertools.count(1),
        lambda owner: derive_preimage(SECRET, owner, 0), Totals, lambda: None, world.clock.now_ns(),
        Keyring(SECRET, "k" * 64, world.snapshot.keys),
    )  # fmt: skip
    return Service(around)
