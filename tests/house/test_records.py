"""Records with many fields of one type are made by name: two swapped integers pass every type
check.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

STREAMER = Path(__file__).resolve().parents[2] / "streamer"
MOST_ALIKE = 6
"""Fields of one type that may be given by position."""


def records(source: str) -> Iterator[tuple[str, int, bool]]:
    """(name, the most fields of one type, whether it is keyword-only) of each dataclass."""
    for node in ast.walk(ast.parse(source)):
        decorators = (
            [ast.unparse(one) for one in node.decorator_list]
            if isinstance(node, ast.ClassDef)
            else []
        )
        if isinstance(node, ast.ClassDef) and any("dataclass" in one for one in decorators):
            types = Counter(
                ast.unparse(field.annotation)
                for field in node.body
                if isinstance(field, ast.AnnAssign)
            )
            yield (
                node.name,
                max(types.values(), default=0),
                any("kw_only=True" in one for one in decorators),
            )


def test_many_fields_of_one_type_are_given_by_name() -> None:
    sources = [path for path in STREAMER.rglob("*.py") if "_proto" not in path.parts]
    found = [(path.name, *record) for path in sources for record in records(path.read_text())]
    assert any(alike > MOST_ALIKE for _, _, alike, _ in found)
    assert [
        (file, name) for file, name, alike, named in found if alike > MOST_ALIKE and not named
    ] == []


@pytest.mark.parametrize(
    ("head", "named"), [("@dataclass", False), ("@dataclass(slots=True, kw_only=True)", True)]
)
def test_a_record_that_can_be_swapped_is_seen(head: str, named: bool) -> None:
    body = "\n".join(f"    number_{number}: int" for number in range(MOST_ALIKE + 1))
    assert list(records(f"{head}\nclass Sums:\n{body}\n")) == [("Sums", MOST_ALIKE + 1, named)]
