"""The use cases behind the doors, on a world's engines."""

from __future__ import annotations

import itertools

from streamer.core.keysend import derive_preimage
from streamer.service import Keyring, Nodes, Service
from streamer.service.reports import Totals
from streamer.watch.feed import Feed
from streamer.words.settings import StreamSettings
from tests.simulation.world import SECRET, World


def service_of(world: World, settings: StreamSettings | None = None) -> Service:
    """The service of the process that runs now, with the keys of its journal."""
    return Service(
        Nodes.of(world.parts, world.engines),
        Keyring(SECRET, "k" * 64, world.snapshot.keys),
        Feed(),
        stream_keys=itertools.count(1),
        preimage=lambda owner: derive_preimage(SECRET, owner, 0),
        totals=Totals,
        replay=lambda: None,
        settings=settings,
    )
