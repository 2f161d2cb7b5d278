"""The pages of the documentation, and what is on them: fenced blocks, tables, marked examples."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.glob("*.md")),
)

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_EXAMPLE = re.compile(r"<!-- example: (.*?) -->\n\n((?:\|.*\n)+)")
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)


@dataclass(frozen=True)
class Table:
    headers: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        return [row[self.headers.index(name)] for row in self.rows]


def blocks(page: Path, language: str) -> list[str]:
    return [
        body for kind, body in _BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language
    ]


def languages(page: Path) -> set[str]:
    return {kind for kind, _ in _BLOCK.findall(page.read_text(encoding="utf-8"))}


def read_table(text: str) -> Table:
    lines = [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        for line in text.strip().splitlines()
    ]
    return Table(lines[0], lines[2:])


def tables(page: Path) -> list[Table]:
    return [read_table(text) for text in _TABLE.findall(page.read_text(encoding="utf-8"))]


def table(page: Path, *headers: str) -> Table:
    """The one table of page that begins with these headers."""
    found = [each for each in tables(page) if tuple(each.headers[: len(headers)]) == headers]
    assert len(found) == 1, f"{page.name} has {len(found)} tables that begin with {headers}"
    return found[0]


def examples(page: Path) -> list[tuple[str, Table]]:
    return [
        (terms, read_table(text))
        for terms, text in _EXAMPLE.findall(page.read_text(encoding="utf-8"))
    ]


def plain(cell: str) -> str:
    """A cell without its code marks."""
    return cell.strip("`")
