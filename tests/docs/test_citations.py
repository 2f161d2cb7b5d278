"""What is cited exists: pages, money rules, files, tests and commands; and beside them only
published standards are cited.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, blocks
from tests.mutations.__main__ import ALL

MONEY_RULES, CONTRIBUTING, ARCHITECTURE = (
    DOCS / "money-rules.md",
    ROOT / "CONTRIBUTING.md",
    DOCS / "architecture.md",
)
STANDARDS = {"BIP", "BOLT", "HTTP", "ISO", "RFC", "SEC"}
"""What may be cited by a number beside the money rules; of HTTP it is a status."""
FOLDERS = ("streamer", "tests", "bench", "deploy", "docs", "proto", ".ci")
KINDS = {".py", ".md", ".proto", ".service", ".go", ".js", ".yaml", ""}
SOURCES = [
    ROOT / "Makefile",
    ROOT / "pyproject.toml",
    *(page for page in PAGES if page.parent == ROOT),
    *(
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file()
        and path.suffix in KINDS
        and not {"_proto", "node_modules", "__pycache__"} & set(path.parts)
    ),
]

_RULES = re.compile(
    r"(money )?\brules? (\d+(?:(?:, and |, | and | to )\d+)*)(?! ?%)", re.IGNORECASE
)
_NUMBERED = re.compile(r"\b([A-Z]{3,})(?:\.md)?(?:,? section| \d+)\b")
_PAGE = re.compile(r"[\w./-]+\.md\b")
_FILE = re.compile(r"(?<![\w/.-])((?:streamer|tests|docs|deploy|proto|bench)/[\w./-]*\.\w+)")
_TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")


@cache
def prose(path: Path) -> str:
    """What a file says in words, on one line: of Python its comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        said = [
            node.value.value
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ]
        comments = (
            token.string
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type == tokenize.COMMENT
        )
        text = "\n".join(
            [
                *(words for words in said if isinstance(words, str)),
                *(comment.lstrip("# ") for comment in comments),
            ]
        )
    return re.sub(r"\s+", " ", text)


def rules_in(text: str) -> list[tuple[bool, int]]:
    """Each rule that is cited by its number, and whether it is called a money rule."""
    found = []
    for called, numbers in _RULES.findall(text):
        for span in re.split(r", and |, | and ", numbers):
            first, _, last = span.partition(" to ")
            found += [
                (bool(called), number) for number in range(int(first), int(last or first) + 1)
            ]
    return found


@cache
def titles(page: Path) -> list[int]:
    return [
        int(number)
        for number in re.findall(r"^## (\d+)\. ", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def functions_of(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }


def sections(page: Path) -> dict[str, str]:
    """What each money rule says, by its title."""
    _, *parts = re.split(
        r"^## (\d+\. .*)$",
        page.read_text(encoding="utf-8").partition("\n## How")[0],
        flags=re.MULTILINE,
    )
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_citations_are_recognised() -> None:
    assert rules_in("(money rule 4), money rules 3 to 5, 7 and 9. Rule 2") == [
        *((True, number) for number in (4, 3, 4, 5, 7, 9)),
        (False, 2),
    ]
    assert _NUMBERED.findall("see PLAN.md 2, PLAN.md, section 3, RFC 9113") == [
        "PLAN",
        "PLAN",
        "RFC",
    ]
    assert _PAGE.findall("as PLAN.md says, and ../docs/tls.md.") == ["PLAN.md", "../docs/tls.md"]
    assert len(SOURCES) > 400


def complaints(path: Path) -> list[str]:
    """What a file cites and nobody finds."""
    text, here = prose(path), (ROOT, DOCS, path.parent)
    cited = rules_in(text)
    absent = [
        f"there is no money rule {number}"
        for _, number in cited
        if number not in titles(MONEY_RULES)
    ]
    bare = [
        f"rule {number} of what? a money rule?"
        for called, number in cited
        if not called and path != MONEY_RULES
    ]
    strange = [
        f"{name} is not here, and no standard"
        for name in _NUMBERED.findall(text)
        if name not in STANDARDS
    ]
    pages = [
        f"there is no page {name}"
        for name in _PAGE.findall(text)
        if not any((folder / name).exists() for folder in here)
    ]
    return [*absent, *bare, *strange, *pages]


def test_what_a_file_cites_is_here() -> None:
    assert {
        str(path.relative_to(ROOT)): found for path in SOURCES if (found := complaints(path))
    } == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_tests_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in _FILE.findall(text):
        assert (ROOT / name).exists(), name
    for name, test in _TEST.findall(text):
        assert test in functions_of(ROOT / name), f"{name} has no {test}"


def test_each_money_rule_has_its_story_its_code_its_tests_and_its_mutations() -> None:
    assert titles(MONEY_RULES) == list(range(1, 13))
    assert {mutation.rule for mutation in ALL} - {0} == set(titles(MONEY_RULES))
    for title, said in sections(MONEY_RULES).items():
        story, kept, proved = (
            said.find(f"\n**{words}") for words in ("Without it.**", "Kept by**", "Proved by**")
        )
        assert 0 < story < kept < proved, title
        assert re.findall(r"`streamer/[\w/]+\.py`", said[kept:proved]), title
        assert len(_TEST.findall(said[proved:])) >= 3, title


def test_every_page_is_reached_from_the_readme() -> None:
    reached, left = set[Path](), [ROOT / "README.md"]
    while left:
        page = left.pop()
        reached.add(page)
        linked = (
            page.parent / target
            for target in re.findall(r"\]\(([^)#:]+\.md)", page.read_text(encoding="utf-8"))
        )
        left += {target.resolve() for target in linked} - reached
    assert set(PAGES) <= reached


def test_the_loop_is_a_part_of_what_is_checked() -> None:
    recipes = (
        (ROOT / "Makefile")
        .read_text(encoding="utf-8")
        .replace("$(BIN)", ".venv/bin")
        .replace("$(SOURCES)", "")
    )
    printed = [
        line
        for body in blocks(CONTRIBUTING, "sh")
        for line in body.splitlines()
        if line.startswith(".venv/bin/")
    ]
    for line in printed:
        command, *arguments = line.split()
        words = [
            word
            for word in arguments
            if not (ROOT / word).exists() and not word.startswith("--") and not word.isdigit()
        ]
        assert " ".join([command, *words]) in recipes, line
