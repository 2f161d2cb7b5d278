"""Commands that run inside the test find a home of their own, and nothing of the machine's
configuration.
"""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        "STREAMER_SERVER",
        "STREAMER_KEY_FILE",
        "STREAMER_CONFIG",
        "STATE_DIRECTORY",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
