"""What tests of the whole engine share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def quiet_log() -> Iterator[None]:
    """Nothing is logged: what goes wrong thousands of times is meant to."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)
