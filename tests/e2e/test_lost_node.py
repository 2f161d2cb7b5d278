"""SIGHUP with a file from which a node has gone that still has a stream: refused, and the old configuration goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.config import Config
from streamer.daemon import Daemon, serve
from streamer.model import ADMIN
from streamer.money import SECOND_NS
from streamer.reload import Reload
from streamer.service.orders import StreamOrder
from streamer.settings import ApiSettings, NodeSettings

PATIENCE_SECONDS = 60.0
RECEIVER = bytes.fromhex("0257892b7a7046bfe0fba5ded89b8ddb24b9eb0658f3de721e35702d3cdea1b2ee")


def test_a_node_with_a_stream_cannot_be_taken_out_by_sighup(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nodes = tuple(NodeSettings(name, "127.0.0.1:1") for name in ("home", "office"))
    config = Config(tmp_path / "data", nodes=nodes, api=ApiSettings("127.0.0.1:0", "127.0.0.1:0"))
    reload = Reload(lambda: replace(config, nodes=nodes[:1]))

    async def person(daemons: list[Daemon]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for number in (1, 2):
                while len(daemons) < number:
                    await asyncio.sleep(0.02)
                if number == 1:
                    order = replace(StreamOrder(RECEIVER, 1_000, SECOND_NS), node="office")
                    made = await daemons[0].service.streams.create(ADMIN, order, "", False)
                    reload.asked.set()
            assert set(daemons[1].engines) == {"home", "office"} and not reload.success
            assert made.stream.id in daemons[1].engines["office"].book.streams

    async def main() -> None:
        stop: asyncio.Event = asyncio.Event()
        daemons: list[Daemon] = []
        acting = asyncio.ensure_future(person(daemons))
        acting.add_done_callback(lambda _: stop.set())
        await serve(config, stop, daemons.append, reload)
        await acting

    asyncio.run(main())
    assert "the old one stays: the journal has 1 streams and 0 open payments of the node office, which is not configured" in caplog.text
