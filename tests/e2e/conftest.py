"""One thread for all simulated networks of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.networks import Networks


@pytest.fixture(scope="session")
def networks() -> Iterator[Networks]:
    with Networks() as running:
        yield running
