"""Every run of these tests tries the same examples."""

from __future__ import annotations

import os

from hypothesis import Phase, settings

settings.register_profile(
    "rules", derandomize=True, deadline=None, print_blob=True, max_examples=100
)
settings.register_profile(
    "mutants",
    settings.get_profile("rules"),
    max_examples=25,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("mutants" if os.environ.get("STREAMER_MUTANTS") else "rules")
