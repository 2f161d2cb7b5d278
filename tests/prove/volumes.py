"""How much was tried: each part of the proof writes lines "what number" into a file, and the sums
must be enough.

STREAMER_PROVE names the file; where it is not set, the tests take samples and nothing is written.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")

VARIABLE = "STREAMER_PROVE"
FULL = bool(os.environ.get(VARIABLE))
"""Whether this is the whole proof and not the default run."""
QUARTERS = 4
QUARTER_VARIABLE = "STREAMER_QUARTER"
QUARTER = int(os.environ[QUARTER_VARIABLE]) if QUARTER_VARIABLE in os.environ else None
"""Which part of the whole proof this is; None: all of it."""
ALL_SEEDS_VARIABLE = "STREAMER_ALL_SEEDS"
ALL_SEEDS = FULL or bool(os.environ.get(ALL_SEEDS_VARIABLE))
"""Whether tests play all of their seeds and hours and not the first ones: in the whole proof, and
where code is broken on purpose.
"""

REQUIRED = {
    "seeds": 1_060,
    "simulated days": 2_200,
    "simulated payments": 1_200_000,
    "crash-point pairs": 3_000,
    "crash-point pairs of PayInvoice": 5_000,
    "crash-point pairs of Keysend": 1_500,
    "SIGKILLs": 500,
    "SIGKILLs in PayInvoice and Keysend": 200,
    "cuts": 2_000,
    "model worlds": 10_000,
}
"""What `make prove` refuses to pass without. Pairs and cuts are all that there are: these are the
least it must have found.
"""

SHARE = {
    "SIGKILLs": 4,
    "SIGKILLs in PayInvoice and Keysend": 4,
    "cuts": 5,
    "seeds": 5,
    "simulated days": 4,
    "simulated payments": 8,
    "crash-point pairs": 8,
    "crash-point pairs of PayInvoice": 8,
    "crash-point pairs of Keysend": 8,
    "model worlds": 4,
}
"""What a quarter has to have at least: so many times less. Its jobs are as many, but not all of one
size.
"""


def seeds(everywhere: int, in_all: int) -> range:
    """Of a test of chance: so many in each run, and so many in all."""
    return range(in_all if ALL_SEEDS else everywhere)


def part(count: int) -> int:
    """Of so many things that are all alike."""
    return count if QUARTER is None else -(-count // QUARTERS)


def part_of(things: Sequence[Value]) -> Sequence[Value]:
    """Of things that are not: four quarters have all of them."""
    return things if QUARTER is None else things[QUARTER::QUARTERS]


def tried(what: str, number: float) -> None:
    """So much of it was tried, and went well."""
    assert what in REQUIRED
    if FULL:
        with Path(os.environ[VARIABLE]).open("a") as file:
            file.write(f"{number} {what}\n")


def read(path: Path) -> Counter[str]:
    """The sums of all that was written."""
    sums: Counter[str] = Counter()
    for line in path.read_text().splitlines():
        number, _, what = line.partition(" ")
        sums[what] += float(number)  # type: ignore[assignment]
    return sums
