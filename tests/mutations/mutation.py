"""What a mutation is: one place of the code, made wrong in one way."""

from __future__ import annotations

from dataclasses import dataclass

ENGINE = "streamer/engine.py"
COMMITS = "streamer/commits.py"
RECOVERY = "streamer/recovery.py"
CHANNELS = "streamer/channelview.py"
JUDGE = "streamer/core/verdict.py"
END = "streamer/core/ends.py"
BOOK = "streamer/core/book.py"
LINK = "streamer/link.py"
REFUNDING = "streamer/refunds.py"
ADOPTION = "streamer/adoption.py"
KEYSEND = "streamer/nodes/keysend.py"

CORE = ("tests/core",)
VERDICT = ("tests/core/test_verdict.py",)
ENDS = ("tests/core/test_ends.py", "tests/core/test_limits.py", "tests/core/test_ledger.py")
SCENARIOS = ("tests/simulation/test_scenarios.py", "tests/simulation/test_lnd_scenarios.py")
RULES = ("tests/simulation/test_money_rules.py", "tests/simulation/test_money_rules_7_to_12.py")
CRASHES = ("tests/simulation/test_crash_points.py",)


@dataclass(frozen=True)
class Mutation:
    """rule: the money rule of DESIGN.md that it breaks. old stands in file once. tests: of them one must fail."""

    rule: int
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
