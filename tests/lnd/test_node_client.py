"""A JavaScript program on an lnd library by others gets from the simulator what it gets from lnd.

What real lnd gave is recorded; with STREAMER_RECORD=1 the run on real lnd writes it anew.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.contract.script.networks import real, simulated
from tests.contract.script.player import Place
from tests.lnd.node_client.plain import plain
from tests.lnd.node_client.run import FOLDER, run

pytestmark = pytest.mark.lnd

RECORDED = FOLDER / "recorded.json"


@pytest.mark.parametrize("fast", [False, True], ids=["grpc", "fast"])
def test_the_simulator_gives_what_lnd_gave(tmp_path: Path, fast: bool) -> None:
    async def ask() -> list[list[Any]]:
        async with simulated(tmp_path, fast=fast) as places:
            return await asyncio.to_thread(play, places)

    compare(asyncio.run(ask()))


def test_lnd_gives_what_it_gave(tmp_path: Path) -> None:
    with real(tmp_path) as places:
        answers = play(places)
    if os.environ.get("STREAMER_RECORD"):
        lines = ",\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
        RECORDED.write_text(f"[\n{lines}\n]\n")
    compare(answers)


def play(places: dict[str, Place]) -> list[list[Any]]:
    return plain(run(places), places)


def compare(answers: list[list[Any]]) -> None:
    """One by one, so that a failure shows what was asked."""
    for (name, found), (asked, wanted) in zip(
        answers, json.loads(RECORDED.read_text()), strict=True
    ):
        assert (name, found) == (asked, wanted), name
