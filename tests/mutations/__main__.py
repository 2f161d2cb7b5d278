"""Breaks the money rules one by one in a copy of the code, and sees that the tests notice.

`python -m tests.mutations [word …]` tries those whose name has one of the words, or all. Ends with 1
if one survived, or if its place in the code is gone (the list must then follow the code).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutations.archiving import ARCHIVE_MUTATIONS
from tests.mutations.invoices import INVOICE_MUTATIONS
from tests.mutations.keys import KEY_MUTATIONS
from tests.mutations.limits_and_halts import LATER_MUTATIONS
from tests.mutations.mutation import Mutation
from tests.mutations.patches import MUTATIONS
from tests.mutations.sight import SIGHT_MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("streamer", "tests", "proto", "pyproject.toml")
LIMIT_SECONDS = 300
PARALLEL = 2
ALL = (*MUTATIONS, *LATER_MUTATIONS, *SIGHT_MUTATIONS, *INVOICE_MUTATIONS, *KEY_MUTATIONS, *ARCHIVE_MUTATIONS)


def mutate(mutation: Mutation, tree: Path) -> str:
    """Make the copy in tree wrong; why that is not possible, empty if it was."""
    path = tree / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        return f"its place is {text.count(mutation.old)} times in {mutation.file}"
    path.write_text(text.replace(mutation.old, mutation.new))
    return ""


def run_tests(tree: Path, tests: tuple[str, ...]) -> str:
    """The first test that failed, "time" if they did not end, empty if all passed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", *tests]
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return "time"
    if done.returncode == 0:
        return ""
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0] if failed else f"pytest ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-200:]}"


def judge(mutation: Mutation) -> tuple[bool, str]:
    """Whether the tests noticed, and a line that says so."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree / name)
        problem = mutate(mutation, tree)
        killed_by = "" if problem else run_tests(tree, mutation.tests)
    killed = killed_by.startswith("FAILED") or killed_by == "time"
    found = "killed" if killed else "NOT TRIED" if problem else "SURVIVED"
    return killed, f"{found:9} rule {mutation.rule:2}  {mutation.name}  [{problem or killed_by[:110]}]"


def main(words: list[str]) -> int:
    """Try the mutations; 0 if all were noticed."""
    chosen = [one for one in ALL if not words or any(word in one.name for word in words)]
    killed = 0
    with ThreadPoolExecutor(PARALLEL) as pool:
        for noticed, line in pool.map(judge, chosen):
            killed += noticed
            print(line, flush=True)
    print(f"{killed} of {len(chosen)} mutations killed")
    return 0 if killed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
