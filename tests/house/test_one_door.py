"""Nobody but the desk appends to the journal."""

from __future__ import annotations

import ast
from pathlib import Path

STREAMER = Path(__file__).resolve().parents[2] / "streamer"
STORES = frozenset({"store", "_store"})


def appends(source: str) -> list[int]:
    """The lines that append to something called a store."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    found = (call for call in calls if isinstance(call, ast.Attribute) and call.attr == "append")
    names = ((call.lineno, call.value) for call in found)
    return [
        line
        for line, value in names
        if (getattr(value, "attr", None) or getattr(value, "id", None)) in STORES
    ]


def test_only_the_desk_appends() -> None:
    found = {
        path.name: appends(path.read_text())
        for path in STREAMER.rglob("*.py")
        if "_proto" not in path.parts
    }
    assert [name for name, lines in found.items() if lines] == ["desk.py"]


def test_an_append_past_the_desk_is_seen() -> None:
    assert sorted(
        appends(
            "await self._around.store.append(facts)\nstore.append(facts)\nfound.append(facts)\n"
        )
    ) == [1, 2]
