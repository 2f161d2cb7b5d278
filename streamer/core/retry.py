"""What a stream does after a failure: when to try again, and when it counts as stalled.

Back-offs double with each failure in a row, up to an hour, with jitter so that streams that failed
together do not return together. lnd's mission control avoids a channel further away that just
failed for three minutes (measured on lnd 0.21.2 with its default settings: 182 to 185 s), and a
retry before finds only that penalty: the first two back-offs after a missing route are longer
together, long before the stream is stalled.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason

MAX_BACKOFF_NS = 3600 * SECOND_NS
JITTER_PERCENT = 20
REFUSALS_UNTIL_STALLED = 2
"""Money rule 7: a definite refusal that repeats will not go away by itself."""

FIRST_BACKOFF_NS = {
    Reason.NO_ROUTE: 65 * SECOND_NS,
    Reason.RECEIVER_REJECTED: 600 * SECOND_NS,
    Reason.NO_LIQUIDITY: 10 * SECOND_NS,
    Reason.NODE_REFUSED: 30 * SECOND_NS,
}
DEFAULT_BACKOFF_NS = 5 * SECOND_NS


@dataclass(slots=True, frozen=True)
class Retry:
    """After a failure: wait this long, and whether the stream is stalled."""

    wait_ns: int
    stalled: bool


def after_failure(reason: Reason, streak: int, stall_after: int, jitter: int) -> Retry:
    """What follows the streak-th failure in a row (1: the first).

    jitter: a random number of 0..99, so that equal arguments give equal answers.
    """
    first = FIRST_BACKOFF_NS.get(reason, DEFAULT_BACKOFF_NS)
    wait = min(MAX_BACKOFF_NS, first << min(streak - 1, 16))
    wait += wait * JITTER_PERCENT * jitter // 10_000
    return Retry(wait, stalls(reason, streak, stall_after))


def stalls(reason: Reason, streak: int, stall_after: int) -> bool:
    """Whether a row of streak failures, the last for this reason, stalls its stream."""
    if reason is Reason.RECEIVER_REJECTED:
        return streak > 0
    limit = (
        min(stall_after, REFUSALS_UNTIL_STALLED) if reason is Reason.NODE_REFUSED else stall_after
    )
    return streak >= limit
