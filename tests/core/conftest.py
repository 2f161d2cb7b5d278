"""Every run of these tests tries the same examples."""

from __future__ import annotations

import os

from hypothesis import Phase, settings

PHASES = (Phase.explicit, Phase.generate) if os.environ.get("STREAMER_DO_NOT_SHRINK") else tuple(Phase)
"""Whoever breaks the code on purpose wants to know that a test failed, not the smallest case."""

settings.register_profile("rules", derandomize=True, deadline=None, print_blob=True, max_examples=100, phases=PHASES)
settings.load_profile("rules")
