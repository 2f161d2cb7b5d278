"""Every run of these tests tries the same examples."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("rules", derandomize=True, deadline=None, print_blob=True, max_examples=100)
settings.load_profile("rules")
