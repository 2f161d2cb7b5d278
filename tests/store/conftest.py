"""What tests of every store share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.store.both import KINDS, Story, play


@pytest.fixture(params=KINDS)
def on(request: pytest.FixtureRequest) -> Callable[[Story], None]:
    """Play a story on each kind of store."""
    return lambda story: play(request.param, story)
