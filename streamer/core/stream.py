"""The life of a stream: one table. Nothing else changes a state.

A stream is PENDING until its start, then ACTIVE: time passes for it, and payments fall due. Three
things stall it, and the first that holds gives the reason: payments in doubt, an empty budget, a
row of failures. STALLED is not stopped: time passes on, and what is tried next depends on the
reason. It stalls anew when the reason becomes another.

PAUSED is the only state in which its time stands still, from the pause or from where what it has
bought ends. Who resumes it finds it where it was: ACTIVE, STALLED again by what still holds, or
PENDING if its start has not come.

A stream ends once, and for good: by its end, by its budget, by a person. It is CLOSING while
payments of it are open, because each of them may still settle, and only then COMPLETED or
CANCELLED, as was decided when it began to close. Nothing leads back: a late settlement of an ended
stream moves money, and no state.

A payment never moves a stream by itself: what its end means for the causes above is worked out
first (`Book.restate`), and that asks for a move. So there is no move from PAUSED to STALLED but by
a person who resumes it, and none from CLOSING to anything that pays.
"""

from __future__ import annotations

from enum import Enum

from streamer.words.model import StreamState as S


class Move(Enum):
    """What may happen to a stream. Hashed by identity: Enum's own hash is a Python call."""

    __hash__ = object.__hash__

    START = "start"
    STALL = "stall"
    RECOVER = "recover"
    PAUSE = "pause"
    RESUME = "resume"
    RESUME_STALLED = "resume, stalled"
    RESUME_EARLY = "resume before its start"
    END = "end"
    COMPLETE = "nothing is open, it was its end"
    CANCEL = "nothing is open, it was cancelled"


TABLE: dict[tuple[S, Move], S] = {
    (S.PENDING, Move.START): S.ACTIVE,
    (S.PENDING, Move.PAUSE): S.PAUSED,
    (S.PENDING, Move.END): S.CLOSING,
    (S.ACTIVE, Move.STALL): S.STALLED,
    (S.ACTIVE, Move.PAUSE): S.PAUSED,
    (S.ACTIVE, Move.END): S.CLOSING,
    (S.STALLED, Move.STALL): S.STALLED,
    (S.STALLED, Move.RECOVER): S.ACTIVE,
    (S.STALLED, Move.PAUSE): S.PAUSED,
    (S.STALLED, Move.END): S.CLOSING,
    (S.PAUSED, Move.RESUME): S.ACTIVE,
    (S.PAUSED, Move.RESUME_STALLED): S.STALLED,
    (S.PAUSED, Move.RESUME_EARLY): S.PENDING,
    (S.PAUSED, Move.END): S.CLOSING,
    (S.CLOSING, Move.COMPLETE): S.COMPLETED,
    (S.CLOSING, Move.CANCEL): S.CANCELLED,
}


def moved(state: S, move: Move) -> S:
    """The state after move. Raises AssertionError for one that is not in the table."""
    found = TABLE.get((state, move))
    if found is None:
        raise AssertionError(f"a stream that is {state} cannot move by: {move.value}")
    return found
