"""One script of more than 300 calls: what real lnd answered is recorded, and the simulator answers
the same.

With STREAMER_RECORD=1 the run on real lnd writes the recording anew (make test-lnd compares with
it).
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.contract.script.networks import real, simulated
from tests.contract.script.play import play
from tests.contract.script.recording import MADE_UP

RECORDED = Path(__file__).parent / "script" / "recorded.json"
LEAST_CALLS = 150
PLAY_SECONDS = 100


@pytest.mark.parametrize("fast", [False, True], ids=["grpc", "fast"])
def test_the_simulator_answers_as_lnd_did(tmp_path: Path, fast: bool) -> None:
    seen: set[str] = set()

    async def run() -> list[dict[str, Any]]:
        async with asyncio.timeout(PLAY_SECONDS), simulated(tmp_path, fast=fast) as places:
            return await play(places, seen)

    compare(asyncio.run(run()))
    # what may differ is filled in all the same
    assert set(MADE_UP) - seen == set()


@pytest.mark.lnd
def test_lnd_answers_as_it_did(tmp_path: Path) -> None:
    with real(tmp_path) as places:
        answers = asyncio.run(asyncio.wait_for(play(places), PLAY_SECONDS))
    if os.environ.get("STREAMER_RECORD"):
        lines = ",\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
        RECORDED.write_text(f"[\n{lines}\n]\n")
    compare(answers)


def compare(answers: list[dict[str, Any]]) -> None:
    """Every call, one by one, so that a failure shows the call that differs."""
    recorded = json.loads(RECORDED.read_text())
    assert len(recorded) >= LEAST_CALLS
    for number, (found, wanted) in enumerate(zip(answers, recorded, strict=True)):
        assert found == wanted, f"call {number}: {found['call']} {found.get('note', '')}"
