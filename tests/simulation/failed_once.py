"""Seeds that broke a rule once, or were judged wrongly: each run of `.ci/run` plays all of them
again.

The story of a seed changes with the code; what it found has a test of its own, too. A seed that
fails gets its line here.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.chaos import Outcome, run
from tests.simulation.people import THIN, Tempo


@dataclass(frozen=True, slots=True)
class FailedOnce:
    """found: what was wrong. days, tempo: as it was played then; None is the seed's own choice."""

    seed: int
    found: str
    days: float | None = None
    tempo: Tempo | None = None

    def play(self) -> Outcome:
        """AssertionError if it fails again."""
        try:
            return run(self.seed, self.days, self.tempo)
        except AssertionError as error:
            raise AssertionError(f"{error}\nonce before: {self.found}") from error


FAILED_ONCE = (
    FailedOnce(
        9,
        "a history was deleted while a payment was open: a newer witness let it be sent again",
        0.2,
    ),
    FailedOnce(103, "the same as 9", 0.2),
    FailedOnce(117, "the same as 9", 0.2),
    FailedOnce(16, "hours behind when all was healed", 0.1),
    FailedOnce(203, "hours behind when all was healed", 0.1),
    FailedOnce(
        213,
        "a payment was deleted at the node while a ghost of it could still come, and was paid"
        " twice",
        0.1,
    ),
    FailedOnce(
        39,
        "the old journal lacked the attempt that settled; the judge guessed by time which one"
        " it was",
        0.15,
    ),
    FailedOnce(
        21,
        "an old journal was restored: the index of a new witness hid what the node had paid since",
        1.0,
    ),
    FailedOnce(
        10_236,
        "planned by a clock that was ahead, an orphan seemed older than the restart that made it"
        " one: held for ever",
        0.4,
    ),
    FailedOnce(
        10_152,
        "lost sight of, found FAILED and sent again; and written off before it had failed for good",
        0.4,
    ),
    FailedOnce(
        10_006,
        "a node was put back to an old copy, and the channel that could tell was closed before"
        " anybody looked",
        0.4,
    ),
    FailedOnce(
        10_397,
        "the machine slept between an answer and its reading, a ghost came meanwhile: the answer"
        " was older",
        0.4,
    ),
    FailedOnce(
        10_466,
        "the judge took an attempt that failed before the one that was written off for a payment"
        " that failed",
    ),
    FailedOnce(
        1_062,
        "a journal that was ahead wrote an outage into the future; it stayed after a person's word",
        tempo=THIN,
    ),
    FailedOnce(
        11_005,
        "a spend limit's period began in the future, after an earlier run that was ahead by more",
    ),
    FailedOnce(
        10_701,
        "a person began a spend limit's period while the clock was not known: it began in the"
        " future",
    ),
    FailedOnce(
        10_411,
        "the judge did not know that a part of a short key's budget is left for those who come"
        " later in the period",
        0.4,
    ),
    FailedOnce(
        10_362,
        "the judge did not know that an old journal, completed, may have more in a total budget"
        " than that allows",
        0.4,
    ),
)
