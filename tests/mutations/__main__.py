"""Breaks the money rules one by one in a copy of the code, and sees that the tests notice.

`python -m tests.mutations [word …]` tries those whose name has one of the words, or all. Ends with
1 if one survived or its tests did not end, if the tests fail on the unbroken copy, or if its place
in the code is gone (the list must then follow the code).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.mutations.archiving import ARCHIVE_MUTATIONS
from tests.mutations.invoices import INVOICE_MUTATIONS
from tests.mutations.keys import KEY_MUTATIONS
from tests.mutations.limits_and_halts import LATER_MUTATIONS
from tests.mutations.mutation import Mutation
from tests.mutations.obstacles import OBSTACLE_MUTATIONS
from tests.mutations.patches import MUTATIONS
from tests.mutations.sight import SIGHT_MUTATIONS
from tests.mutations.stalls_and_pauses import STALL_MUTATIONS
from tests.prove.volumes import ALL_SEEDS_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("streamer", "tests", "proto", "pyproject.toml")
LIMIT_SECONDS = 300
TIME = "time"
PARALLEL = 2
ALL = (
    *MUTATIONS,
    *LATER_MUTATIONS,
    *SIGHT_MUTATIONS,
    *INVOICE_MUTATIONS,
    *KEY_MUTATIONS,
    *ARCHIVE_MUTATIONS,
    *STALL_MUTATIONS,
    *OBSTACLE_MUTATIONS,
)


def mutate(mutation: Mutation, tree: Path) -> str:
    """Make the copy in tree wrong; why that is not possible, empty if it was."""
    path = tree / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        return f"its place is {text.count(mutation.old)} times in {mutation.file}"
    path.write_text(text.replace(mutation.old, mutation.new))
    return ""


def run_tests(tree: Path, tests: tuple[str, ...]) -> str:
    """The first test that failed, TIME if they did not end, empty if all passed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", *tests]
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        ALL_SEEDS_VARIABLE: "1",
    }
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return TIME
    if done.returncode == 0:
        return ""
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return (
        failed[0]
        if failed
        else f"pytest ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-200:]}"
    )


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the project, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(
                    source, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(source, Path(folder) / name)
        yield Path(folder)


def try_unbroken(tests: tuple[str, ...]) -> str:
    """Why these tests prove nothing: they fail, or do not end, on code that nobody broke; empty if
    they pass.
    """
    with copied() as tree:
        return run_tests(tree, tests)


def judge(mutation: Mutation) -> tuple[bool, str]:
    """Whether a test failed, and a line that says so. That the tests do not end is no notice: a
    slow machine does that too.
    """
    with copied() as tree:
        problem = mutate(mutation, tree)
        killed_by = "" if problem else run_tests(tree, mutation.tests)
    killed = killed_by.startswith("FAILED")
    found = (
        "killed"
        if killed
        else "NOT TRIED"
        if problem
        else "TIME"
        if killed_by == TIME
        else "SURVIVED"
    )
    return (
        killed,
        f"{found:9} rule {mutation.rule:2}  {mutation.name}  [{problem or killed_by[:110]}]",
    )


def main(words: list[str]) -> int:
    """Try the mutations; 0 if all were noticed."""
    chosen = [one for one in ALL if not words or any(word in one.name for word in words)]
    killed = 0
    with ThreadPoolExecutor(PARALLEL) as pool:
        used = tuple(dict.fromkeys(one.tests for one in chosen))
        useless = [
            f"{' '.join(tests)}: {why[:110]}"
            for tests, why in zip(used, pool.map(try_unbroken, used), strict=True)
            if why
        ]
        if useless:
            print("tests that do not pass on the unbroken code:", *useless, sep="\n")
            return 1
        for noticed, line in pool.map(judge, chosen):
            killed += noticed
            print(line, flush=True)
    print(f"{killed} of {len(chosen)} mutations killed")
    return 0 if killed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
