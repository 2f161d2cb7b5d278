"""The use cases behind the doors, on a world's engines."""

from __future__ import annotations

import itertools

from streamer.core.keysend import derive_preimage
from streamer.service import Keyring, Service, Surroundings
from streamer.service.reports import Totals
from streamer.watch.feed import Feed
from streamer.words.settings import StreamSettings
from tests.simulation.world import SECRET, World


def service_of(world: World, settings: StreamSettings | None = None) -> Service:
    """The service of the process that runs now, with the keys of its journal."""
    around = Surroundings(
        world.engines,
        world.desk,
        world.engine._clock,
        world.shared,
        settings or StreamSettings(),
        Feed(),
        itertools.count(1),
        lambda owner: derive_preimage(SECRET, owner, 0),
        Totals,
        lambda: None,
        world.engine._clock.now_ns(),
        Keyring(SECRET, "k" * 64, world.snapshot.keys),
    )
    return Service(around)
