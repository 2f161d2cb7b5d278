"""Every text that the source can say, with … in the place of what is filled in."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.docs.pages import ROOT

GAP = "…"


def spoken(text: str) -> str:
    """As the documentation writes it: no code marks inside, gaps as one sign."""
    return text.replace("`", "'")


def texts() -> Iterator[str]:
    for path in sorted((ROOT / "streamer").rglob("*.py")):
        if "_proto" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    str(part.value) if isinstance(part, ast.Constant) else GAP
                    for part in node.values
                ]
                yield spoken("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield spoken(node.value)
