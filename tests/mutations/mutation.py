"""What a mutation is: one place of the code, made wrong in one way."""

from __future__ import annotations

from dataclasses import dataclass

ENGINE = "streamer/pay/engine.py"
COMMITS = "streamer/books/commits.py"
DESK = "streamer/books/desk.py"
RECOVERY = "streamer/doubt/recovery.py"
CHANNELS = "streamer/doubt/channelview.py"
JUDGE = "streamer/core/verdict.py"
EVIDENCE = "streamer/doubt/evidence.py"
CASE = "streamer/doubt/case.py"
END = "streamer/core/ends.py"
BOOK = "streamer/core/book.py"
SHARES = "streamer/core/shares.py"
SLOTS = "streamer/core/slots.py"
GATE = "streamer/core/gate.py"
OBSTACLE = "streamer/core/obstacle.py"
LINK = "streamer/pay/link.py"
REFUNDING = "streamer/doubt/refunds.py"
ADOPTION = "streamer/doubt/adoption.py"
KEYSEND = "streamer/core/keysend.py"

CORE = ("tests/core",)
VERDICT = ("tests/core/test_verdict.py",)
ENDS = ("tests/core/test_ends.py", "tests/core/test_limits.py", "tests/core/test_ledger.py")
SCENARIOS = ("tests/simulation/test_scenarios.py", "tests/simulation/test_lnd_scenarios.py")
RULES = ("tests/simulation/test_money_rules.py", "tests/simulation/test_money_rules_7_to_12.py")
CRASHES = ("tests/simulation/test_crash_points.py",)


@dataclass(frozen=True)
class Mutation:
    """rule: the number of the money rule (docs/money-rules.md) that it breaks. old stands in file
    once. tests: of them one must fail.
    """

    rule: int
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
