"""The sending switch: on, or stopped while any reason holds. One of the daemon, one of each
node.
"""

from __future__ import annotations

from streamer.words.model import Facts
from streamer.words.reasons import Halt

HALT_SETTING = "halt."
"""Settings that start with this are durable halts: "halt.OPERATOR" = when and why, "" = lifted."""

DURABLE_HALTS = frozenset({Halt.OPERATOR, Halt.SPEND_LIMIT, Halt.HASH_COLLISION})
"""The halts that outlive the process; the others are found again at start."""

ORDER = (
    Halt.STORE_FAILED,
    Halt.NODE_CHANGED,
    Halt.HASH_COLLISION,
    Halt.CREDENTIALS,
    Halt.CLOCK,
    Halt.SPEND_LIMIT,
    Halt.OPERATOR,
    Halt.RESTORED,
    Halt.RECOVERING,
)
"""Which of several halts counts: what somebody has to repair, then what a command lifts, then what
passes by itself.

Not the order in which they came: `sending start` lifts no OPERATOR before the journal is repaired,
and who is told of OPERATOR alone calls it in vain. After a restart nobody would know that order
either.
"""


class Switch:
    """Reasons that stop sending, each with a text that says what to do.

    scope: "" for the daemon, or the node's name. Durable halts (OPERATOR, SPEND_LIMIT,
    HASH_COLLISION) are written with the facts given and found again after a restart.
    """

    def __init__(self, scope: str = "") -> None:
        self.scope = scope
        self.halts: dict[Halt, str] = {}

    @property
    def sending(self) -> bool:
        """True if nothing stops it."""
        return not self.halts

    def in_order(self) -> list[tuple[Halt, str]]:
        """The halts with their texts, the one that counts first."""
        return [(halt, self.halts[halt]) for halt in ORDER if halt in self.halts]

    def stop(self, halt: Halt, text: str, facts: Facts | None = None) -> None:
        """Stop sending for this reason; facts take what must outlive the process."""
        self.halts[halt] = text
        if facts is not None and halt in DURABLE_HALTS:
            facts.settings.append((self._setting(halt), text or halt))

    def lift(self, halt: Halt, facts: Facts | None = None) -> bool:
        """Remove this reason; True if it held."""
        if self.halts.pop(halt, None) is None:
            return False
        if facts is not None and halt in DURABLE_HALTS:
            facts.settings.append((self._setting(halt), ""))
        return True

    def restore(self, settings: dict[str, str]) -> None:
        """Take the durable halts of this scope from the journal's settings."""
        for halt in DURABLE_HALTS:
            text = settings.get(self._setting(halt), "")
            if text:
                self.halts[halt] = text

    def _setting(self, halt: Halt) -> str:
        return f"{HALT_SETTING}{halt}" + (f"@{self.scope}" if self.scope else "")
