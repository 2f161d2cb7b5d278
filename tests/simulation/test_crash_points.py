"""The way of one payment with a crash at the N-th point, and then at the M-th point of the
recovery.

What must be so after each pair is in crashing.py: everything ends, no hash is paid twice, the
receiver's books are the ledger, the stream is current, and a resend has the parameters of its
intent. `make prove` takes every pair of every way (`make crash-points` alone, too); otherwise every
first point comes with every third second one, and the ways on which lnd restarts, which take long,
with fewer.
"""

from __future__ import annotations

import os

import pytest

from tests.prove.volumes import FULL, tried
from tests.simulation.crashing import MAX_POINTS, WAYS, CrashingWorld, Way, run_way

pytestmark = pytest.mark.usefixtures("quiet_log")

EVERY_PAIR = FULL or bool(os.environ.get("STREAMER_ALL_CRASH_PAIRS"))
LEAST_POINTS = 10
"""A payment's way has at least these: the connection, intent, send, and end; fewer, and nothing was
tried.
"""
LEAST_PAIRS = 30


def go(way: Way, *crash_at: int) -> int:
    """Go the way; how many crashes there were. A failure names the points."""
    try:
        return run_way(CrashingWorld, way, *crash_at).crashes
    except AssertionError as error:
        raise AssertionError(f"{way.name}, crash at {crash_at}: {error}") from error


def go_all(way: Way, first_step: int = 1, second_step: int = 1) -> int:
    """Every first_step-th point, and after it every second_step-th; how many pairs there were."""
    pairs = 0
    for first in range(1, MAX_POINTS, first_step):
        # different second points after each first one, so that thinning leaves none out
        for second in range(1 + first % second_step, MAX_POINTS, second_step):
            crashes = go(way, first, second)
            if crashes == 0:
                return pairs
            pairs += 1
            if crashes == 1:
                break
    raise AssertionError(f"{way.name} has more than {MAX_POINTS} points")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_crash_at_every_point(way: Way) -> None:
    points = 0
    while go(way, points + 1):
        points += 1
    assert points >= LEAST_POINTS


@pytest.mark.timeout(3600 if EVERY_PAIR else 120)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_crash_at_a_point_and_again_at_a_point_of_the_recovery(way: Way) -> None:
    thinned = (4, 9) if way.restart_at else (1, 3)
    pairs = go_all(way, *((1, 1) if EVERY_PAIR else thinned))
    assert pairs >= LEAST_PAIRS
    tried("crash-point pairs", pairs)


@pytest.mark.parametrize("way", [way for way in WAYS if not way.orphans], ids=lambda way: way.name)
def test_a_process_that_dies_at_the_same_point_again_and_again(way: Way) -> None:
    for point in range(1, 40):
        go(way, *([point] * 5))
