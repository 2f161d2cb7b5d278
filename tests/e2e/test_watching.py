"""What watches beside the engines never ends unnoticed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamer.config import Config
from streamer.run.daemon import running
from streamer.run.heartbeat import Heartbeat
from streamer.service.keys import Keys
from streamer.words.settings import ApiSettings, NodeSettings

PATIENCE_SECONDS = 60.0


@pytest.mark.parametrize(("watch", "method"), [(Keys, "end_expired"), (Heartbeat, "_beat")])
def test_a_watch_that_breaks_stops_sending(
    watch: type, method: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def broken(*_: object) -> None:
        raise ValueError("what nobody thought of")

    monkeypatch.setattr(watch, method, broken)
    assert asyncio.run(halts(tmp_path)) == {
        "STORE_FAILED": (
            "what watches beside the engines broke (what nobody thought of); nothing is paid until"
            " `streamer sending start` replays the journal"
        )
    }


async def halts(folder: Path) -> dict[str, str]:
    """What stops sending of a daemon, as soon as something does."""
    config = Config(
        folder / "data",
        nodes=(NodeSettings(name="main", rpcserver="127.0.0.1:1"),),
        api=ApiSettings("127.0.0.1:0", "127.0.0.1:0"),
    )
    async with running(config) as daemon, asyncio.timeout(PATIENCE_SECONDS):
        switch = daemon.engines["main"].book.shared.switch
        while switch.sending:
            await asyncio.sleep(0.02)
        return {str(halt): text for halt, text in switch.halts.items()}
