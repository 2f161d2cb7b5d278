"""The mutation score of the rules and of recovery: mutmut changes them bit by bit, and the tests
must notice.

`python -m tests.mutations.score` begins anew and takes half an hour or more; `… --again` tries only
what survived last time, and what changed since. It works on copies in .cache/, a process at a time.
What survives has its reason in docs/mutation-score.md: the command ends with 1 if a survivor is not
in that table, or if the score of a part is below LEAST_PERCENT.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.prove.volumes import ALL_SEEDS_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".cache" / "mutation-score"
PAGE = ROOT / "docs" / "mutation-score.md"
TABLE = "## Survivors"
"""The heading of the page under which its table is."""
COPIED = ("streamer", "tests", "proto", "docs")
MUTMUT = str(Path(sys.executable).with_name("mutmut"))
LEAST_PERCENT = 90
CAUGHT = frozenset({"killed", "timeout"})
CONTEXT = 24
"""Characters shown before and after a change."""
NO_TABLE = str.maketrans("|`", "∣'")
"""What would end a cell of the page, and what is shown instead."""

SETTINGS = """
[tool.mutmut]
source_paths = [{sources}]
also_copy = ["streamer", "tests", "proto"]
pytest_add_cli_args_test_selection = [{tests}]
pytest_add_cli_args = ["-p", "tests.mutations.limits"]
timeout_multiplier = 60.0
timeout_constant = 60.0
on_dependency_change = "ignore"
use_git_change_detection = false
"""


@dataclass(frozen=True)
class Part:
    """sources: what is changed. tests: those that must notice it."""

    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]


PARTS = (
    Part("core", ("streamer/core",), ("tests/core",)),
    Part(
        "recovery",
        tuple(
            f"streamer/{name}.py"
            for name in (
                "recovery",
                "doubt/case",
                "doubt/evidence",
                "channelview",
                "givenup",
                "refunds",
                "adoption",
            )
        ),
        (
            "tests/simulation/test_recovery.py",
            "tests/simulation/test_loose_ends.py",
            "tests/simulation/test_letting_go.py",
            "tests/simulation/test_closed_channels.py",
            "tests/simulation/test_adoption.py",
            "tests/simulation/test_givenup.py",
            "tests/simulation/test_suspects.py",
            "tests/simulation/test_refunds.py",
            "tests/simulation/test_resending.py",
            "tests/simulation/test_archive.py",
        ),
    ),
)


@dataclass(frozen=True, order=True)
class Survivor:
    """A change that no test noticed: in which function, and what became what."""

    where: str
    change: str


def prepare(part: Part, anew: bool) -> Path:
    """A copy of the project for mutmut to work in; files that are as they were keep their time."""
    folder = WORK / part.name
    if anew:
        shutil.rmtree(folder, ignore_errors=True)
    for name in COPIED:
        kept = _files(ROOT / name)
        for path in _files(folder / name) - kept:
            (folder / name / path).unlink()
        for path in kept:
            source, copy = ROOT / name / path, folder / name / path
            if not copy.exists() or copy.read_bytes() != source.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
    # which tests reach which function is found out anew: tests and functions may be new
    (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    settings = SETTINGS.format(sources=_quoted(part.sources), tests=_quoted(part.tests))
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + settings)
    return folder


def _files(folder: Path) -> set[Path]:
    found = (
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    return {path.relative_to(folder) for path in found}


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def run(folder: Path, names: list[str]) -> None:
    """Try the mutants with these names, or all that were not tried yet. SystemExit if mutmut
    cannot.
    """
    environment = os.environ | {"STREAMER_MUTANTS": "1", ALL_SEEDS_VARIABLE: "1"}
    done = subprocess.run(
        [MUTMUT, "run", "--max-children", "1", *names], cwd=folder, env=environment, check=False
    )
    if done.returncode != 0:
        raise SystemExit(
            f"mutmut ended with {done.returncode}: see above, and run its tests in {folder}"
        )


def states(folder: Path) -> dict[str, str]:
    """What became of each mutant, by its name; empty if there are none yet."""
    if not (folder / "mutants").exists():
        return {}
    listed = _output(folder, "results", "--all", "true")
    lines = [line.strip().split(": ") for line in listed.splitlines() if ": " in line]
    return {name: state for name, state in lines if "__mutmut_" in name}


def _output(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        [MUTMUT, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def describe(folder: Path, name: str) -> Survivor:
    """The mutant of that name, as the page lists it."""
    shown = _output(folder, "show", name).splitlines()
    lines = [line for line in shown if line[:1] in "+-" and not line.startswith(("+++", "---"))]
    before = " ".join(line[1:].strip() for line in lines if line[0] == "-")
    after = " ".join(line[1:].strip() for line in lines if line[0] == "+")
    module, _, rest = (
        name.removeprefix("streamer.").removeprefix("core.").removeprefix("doubt.").partition(".")
    )
    function = (
        re.sub(r"__mutmut_\d+$", "", rest)
        .removeprefix("x")
        .removeprefix("_")
        .replace("ǁ", ".")
        .strip(".")
    )
    return Survivor(f"{module}.{function}", change_of(before, after))


def change_of(before: str, after: str) -> str:
    """`… kept [old → new] kept …`: what differs in whole words, with a little around it."""
    old, new = re.findall(r"\w+|\s+|[^\w\s]", before), re.findall(r"\w+|\s+|[^\w\s]", after)
    shorter = min(len(old), len(new))
    first = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    last = next((i for i in range(shorter - first) if old[-1 - i] != new[-1 - i]), shorter - first)
    head, tail = "".join(old[:first]), "".join(old[len(old) - last :])
    head = head if len(head) <= CONTEXT else "…" + head[-CONTEXT:]
    tail = tail if len(tail) <= CONTEXT else tail[:CONTEXT] + "…"
    return (
        f"{head}[{''.join(old[first : len(old) - last])} →"
        f" {''.join(new[first : len(new) - last])}]{tail}".translate(NO_TABLE)
    )


def explained() -> Counter[Survivor]:
    """The survivors that the page has a reason for: a row has one function, one reason, and each
    change that it holds for.
    """
    rows = (
        line.strip().strip("|").split(" | ")
        for line in PAGE.read_text().partition(TABLE)[2].splitlines()
        if line.startswith("| `")
    )
    return Counter(
        Survivor(row[0].strip(" `"), change)
        for row in rows
        if len(row) == 3
        for change in row[1].strip(" `").split("`, `")
    )


def count(part: Part, again: bool) -> tuple[float, Counter[Survivor]]:
    """Try the mutants of part: how many percent were noticed, and those that were not."""
    folder = prepare(part, anew=not again)
    old = [name for name, state in states(folder).items() if state not in CAUGHT]
    run(folder, [])
    names = set(states(folder))
    if old := [name for name in old if name in names]:
        run(folder, old)
    found = states(folder)
    survivors = Counter(
        describe(folder, name) for name, state in found.items() if state not in CAUGHT
    )
    percent = 100 * (len(found) - survivors.total()) / len(found)
    print(
        f"{part.name}: {len(found) - survivors.total()} of {len(found)} changes noticed:"
        f" {percent:.1f} %",
        flush=True,
    )
    return percent, survivors


def main() -> int:
    """Run mutmut on each part and compare its survivors with the page; 0 if all is well."""
    parser = argparse.ArgumentParser(
        description="The mutation score of streamer/core and of recovery."
    )
    parser.add_argument(
        "--again", action="store_true", help="only what survived last time, and what changed since"
    )
    parser.add_argument("parts", nargs="*", help="core, recovery; default both")
    chosen = parser.parse_args()
    counted = [
        count(part, chosen.again) for part in PARTS if not chosen.parts or part.name in chosen.parts
    ]
    known, survivors = (
        explained(),
        Counter(survivor for _, found in counted for survivor in found.elements()),
    )
    for survivor in sorted((survivors - known).elements()):
        print(f"| `{survivor.where}` | `{survivor.change}` | not explained |")
    for survivor in sorted((known - survivors).elements()) if not chosen.parts else ():
        print(f"no longer survives: `{survivor.where}` | `{survivor.change}`")
    print(
        f"{survivors.total()} survivors, {(survivors - known).total()} of them not in {PAGE.name}"
    )
    return (
        0
        if all(percent >= LEAST_PERCENT for percent, _ in counted) and not survivors - known
        else 1
    )


if __name__ == "__main__":
    sys.exit(main())
