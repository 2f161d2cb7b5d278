from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.nodes.lnd import LndNode
from tests.nodes.tiny import TinyLnd

Scene = Callable[[TinyLnd, LndNode], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Run a scene with a tiny lnd that is up and a node that is open on it."""
    import asyncio

    async def run(scene: Scene, lnd: TinyLnd) -> None:
        await lnd.start()
        node = LndNode("main", lnd.access(tmp_path))
        try:
            await node.open()
            await scene(lnd, node)
        finally:
            await node.close()
            await lnd.stop()

    yield lambda scene, lnd=None: asyncio.run(asyncio.wait_for(run(scene, lnd or TinyLnd()), 30))
