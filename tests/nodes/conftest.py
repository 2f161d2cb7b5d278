from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.nodes.lnd import LndNode
from streamer.nodes.sender import SenderNode
from tests.nodes.tiny import TinyLnd

Adapter = LndNode | SenderNode
Scene = Callable[[TinyLnd, Any], Coroutine[Any, Any, None]]


@pytest.fixture(params=[LndNode, SenderNode], ids=["inside", "own process"])
def play(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """Run a scene with a tiny lnd that is up and a node that is open on it: in this process, and in one of its own."""
    adapter: type[Adapter] = request.param

    async def run(scene: Scene, lnd: TinyLnd) -> None:
        await lnd.start()
        node = adapter("main", lnd.access(tmp_path))
        try:
            await node.open()
            await scene(lnd, node)
        finally:
            await node.close()
            await lnd.stop()

    yield lambda scene, lnd=None: asyncio.run(asyncio.wait_for(run(scene, lnd or TinyLnd()), 30))
