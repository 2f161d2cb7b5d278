"""Faults of every kind, one after the other, as a seed decides: which, where, when and for how
long.

Each one is undone before the next comes. What no node can undo stays: orphans, forgotten payments,
closed channels, of which the last one between two nodes is spared; and lost replies wait for the
sends. The seed alone decides: the same faults come at the same moments, whatever the nodes are
asked to do meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from streamer.simulator.control.control import Control
from streamer.simulator.network.channels import Channel
from streamer.simulator.network.faults import REVOKED_TEXT
from streamer.simulator.network.lightning_node import CallFate
from streamer.words.money import SECOND_NS

MIN_EVERY_NS = 10 * SECOND_NS
"""The shortest mean gap: half of it, the least that there is, is enough for a restart (4.3 s)."""

REFUSED_TEXT = "refused by the simulator"

MOST_LOST = 10
MOST_LATE_SECONDS = 30.0
MOST_SLOW_SECONDS = 5.0


@dataclass(slots=True, frozen=True)
class Strike:
    """One fault at one node, as `streamer simulate fault` would say it."""

    node: str
    fault: str
    values: Mapping[str, Any] = field(default_factory=dict)


Bout = tuple[Strike, Strike | None]
"""A fault and what undoes it, if something does."""


class SeededFaults:
    """Plays faults at a network's first node (the payer), at receivers and between nodes, every_ns
    apart on average.
    """

    def __init__(
        self, control: Control, seed: int, every_ns: int, receivers: Sequence[str]
    ) -> None:
        if every_ns < MIN_EVERY_NS:
            raise ValueError(f"faults come at least {MIN_EVERY_NS // SECOND_NS} s apart")
        self.rng = Random(f"faults/{seed}")  # noqa: S311 - repeatable on purpose
        self.network = control.simulation.network
        self.payer = next(iter(self.network.named))
        self.receivers = receivers
        self._control = control
        self._every_ns = every_ns
        self._deck: list[str] = []

    def begin(self) -> None:
        """Put the next fault on the network's calendar; each one calls for the next."""
        gap_ns = self.rng.randint(self._every_ns // 2, self._every_ns + self._every_ns // 2)
        self.network.at(self.network.now_ns + gap_ns, self._play)

    def _play(self) -> None:
        bout = self._deal()
        first, undo = bout
        self._strike(first)
        lasts_ns = self.rng.randint(self._every_ns // 8, self._every_ns // 2 - 1)
        if undo is not None:
            self.network.at(self.network.now_ns + lasts_ns, partial(self._strike, undo))
        self.begin()

    def _strike(self, strike: Strike) -> None:
        self._control.strike(strike.node, strike.fault, strike.values)

    def _deal(self) -> Bout:
        """The next kind: every one comes once before one comes again."""
        while True:
            if not self._deck:
                self._deck = list(KINDS)
                self.rng.shuffle(self._deck)
            if (bout := KINDS[self._deck.pop()](self)) is not None:
                return bout

    def anybody(self) -> str:
        """Any node."""
        return self.rng.choice(list(self.network.named))

    def receiver(self) -> str:
        """Any receiver."""
        return self.rng.choice(self.receivers)

    def seconds(self, most: float) -> float:
        """A time of up to so many seconds, in tenths."""
        return self.rng.randint(1, round(most * 10)) / 10

    def ends(self) -> tuple[str, str]:
        """Two nodes with channels; the first one has opened them."""
        return self.rng.choice(list(self.between()))

    def between(self) -> dict[tuple[str, str], list[Channel]]:
        """(who opened, with whom) → their channels that are not in closing."""
        found: dict[tuple[str, str], list[Channel]] = {}
        for channel in self.network.channels.values():
            opener, other = (side.node.name for side in channel.sides)
            found.setdefault((opener, other), []).extend([] if channel.closing else [channel])
        return found


def _down(play: SeededFaults) -> Bout:
    node = play.anybody()
    return Strike(node, "down"), Strike(node, "up")


def _freeze(play: SeededFaults) -> Bout:
    node = play.anybody()
    return Strike(node, "freeze"), Strike(node, "thaw")


def _lose_replies(play: SeededFaults) -> Bout:
    fate, late_seconds = play.rng.choice(list(CallFate)).value, play.seconds(MOST_LATE_SECONDS)
    return Strike(
        play.payer,
        "lose_replies",
        {"count": play.rng.randint(1, MOST_LOST), "fate": fate, "late_seconds": late_seconds},
    ), None


def _slow(play: SeededFaults) -> Bout:
    least, most = (ns / SECOND_NS for ns in play.network.named[play.payer].pace.latency_ns)
    slow = {"seconds": play.seconds(MOST_SLOW_SECONDS), "most_seconds": MOST_SLOW_SECONDS}
    return Strike(play.payer, "slow", slow), Strike(
        play.payer, "slow", {"seconds": least, "most_seconds": most}
    )


def _fail(play: SeededFaults) -> Bout:
    before = play.network.named[play.payer].failure_rate
    return Strike(play.payer, "fail", {"rate": play.rng.randint(1, 9) / 10}), Strike(
        play.payer, "fail", {"rate": before}
    )


def _hold(play: SeededFaults) -> Bout:
    node = play.receiver()
    return Strike(node, "hold"), Strike(node, "release", {"settle": play.rng.random() < 0.5})


def _keysend(play: SeededFaults) -> Bout:
    node = play.receiver()
    return Strike(node, "keysend", {"accepted": False}), Strike(node, "keysend", {"accepted": True})


def _drain(play: SeededFaults) -> Bout:
    opener, other = play.ends()
    return Strike(opener, "drain", {"peer": other}), Strike(other, "drain", {"peer": opener})


def _disable(play: SeededFaults) -> Bout:
    opener, other = play.ends()
    return Strike(opener, "disable", {"peer": other}), Strike(opener, "enable", {"peer": other})


def _close(play: SeededFaults) -> Bout | None:
    spare = [ends for ends, channels in play.between().items() if len(channels) > 1]
    if not spare:
        return None
    opener, other = play.rng.choice(spare)
    return Strike(opener, "close", {"peer": other, "count": 1}), None


KINDS: dict[str, Callable[[SeededFaults], Bout | None]] = {
    "down": _down,
    "freeze": _freeze,
    "restart": lambda play: (Strike(play.payer, "restart"), None),
    "state": lambda play: (
        Strike(play.payer, "state", {"state": "LOCKED"}),
        Strike(play.payer, "up"),
    ),
    "cut": lambda play: (Strike(play.payer, "cut"), None),
    "lose_replies": _lose_replies,
    "slow": _slow,
    "fail": _fail,
    "hold": _hold,
    "keysend": _keysend,
    "refuse": lambda play: (
        Strike(play.payer, "refuse", {"text": REFUSED_TEXT}),
        Strike(play.payer, "refuse"),
    ),
    "credentials": lambda play: (
        Strike(play.payer, "credentials", {"text": REVOKED_TEXT}),
        Strike(play.payer, "credentials"),
    ),
    "drain": _drain,
    "disable": _disable,
    "close": _close,
    "forget": lambda play: (Strike(play.payer, "forget"), None),
    "restore": lambda play: (Strike(play.payer, "snapshot"), Strike(play.payer, "restore")),
}
"""What a seed plays; the names are those of the faults (restore: a snapshot first)."""
