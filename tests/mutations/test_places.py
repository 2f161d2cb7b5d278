"""The list of mutations follows the code: each place that is to be broken is there, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations.__main__ import ALL
from tests.mutations.mutation import Mutation

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutation", ALL, ids=lambda mutation: mutation.name)
def test_the_place_is_there_once(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1
    assert mutation.new != mutation.old
    assert all((ROOT / test).exists() for test in mutation.tests)
