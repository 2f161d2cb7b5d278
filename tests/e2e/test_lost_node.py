"""SIGHUP with a file from which a node has gone that still has a stream: refused, and the old
configuration goes on.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.config import Config
from streamer.core import lifecycle
from streamer.run.daemon import Daemon, serve
from streamer.run.reload import Reload
from streamer.service.orders import StreamOrder
from streamer.service.terms import terms_of
from streamer.words.model import Facts, Stream
from streamer.words.money import SECOND_NS
from streamer.words.settings import ApiSettings, NodeSettings

PATIENCE_SECONDS = 60.0
RECEIVER = bytes.fromhex("0257892b7a7046bfe0fba5ded89b8ddb24b9eb0658f3de721e35702d3cdea1b2ee")


async def opened(daemon: Daemon) -> Stream:
    """A stream of a node that was reached once: none begins before a node has found the clock
    right.
    """
    streams, facts = daemon.service.streams, Facts()
    now_ns = streams._nodes.clock.now_ns()
    terms = terms_of(
        StreamOrder(destination=RECEIVER, amount_msat=1_000, interval_ns=SECOND_NS),
        now_ns,
        streams._settings,
        "office",
        None,
    )
    stream = lifecycle.new_stream("st_" + "0" * 32, 1, terms, now_ns)
    lifecycle.open_stream(daemon.engines["office"].book, stream, now_ns, facts)
    await streams._nodes.desk.durable(facts)
    return stream


def test_a_node_with_a_stream_cannot_be_taken_out_by_sighup(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = tuple(NodeSettings(name=name, rpcserver="127.0.0.1:1") for name in ("home", "office"))
    config = Config(tmp_path / "data", nodes=nodes, api=ApiSettings("127.0.0.1:0", "127.0.0.1:0"))
    reload = Reload(lambda: replace(config, nodes=nodes[:1]))

    async def person(daemons: list[Daemon]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for number in (1, 2):
                while len(daemons) < number:
                    await asyncio.sleep(0.02)
                if number == 1:
                    made = await opened(daemons[0])
                    reload.asked.set()
            assert set(daemons[1].engines) == {"home", "office"} and not reload.success
            assert made.id in daemons[1].engines["office"].book.streams

    async def main() -> None:
        stop: asyncio.Event = asyncio.Event()
        daemons: list[Daemon] = []
        acting = asyncio.ensure_future(person(daemons))
        acting.add_done_callback(lambda _: stop.set())
        await serve(config, stop, daemons.append, reload)
        await acting

    asyncio.run(main())
    assert (
        "the old one stays: the journal has 1 streams and 0 open payments of the node office, which"
        " is not configured" in caplog.text
    )
