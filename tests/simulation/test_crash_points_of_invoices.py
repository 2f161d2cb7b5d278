"""PayInvoice and Keysend with a crash at the N-th point, and then at the M-th point of the
recovery: paid once, and the caller is told.

As test_crash_points.py, whose ways these are: `make prove` takes every pair of each way, and so
does `make crash-points`.
"""

from __future__ import annotations

import asyncio

import pytest

from streamer.simulator.network.lightning_node import CallFate
from tests.prove.volumes import tried
from tests.simulation.crashing import MAX_POINTS, WAYS, SteppedLoop, Way, run_way
from tests.simulation.crashing_invoices import InvoiceWorld, KeysendWorld, watched_until_the_end
from tests.simulation.test_crash_points import EVERY_PAIR, LEAST_POINTS

pytestmark = pytest.mark.usefixtures("quiet_log")

LEAST_PAIRS = 10


KINDS = {"PayInvoice": InvoiceWorld, "Keysend": KeysendWorld}


def go(kind: str, way: Way, *crash_at: int) -> int:
    """Go the way; how many crashes there were. A failure names the points."""
    try:
        return run_way(KINDS[kind], way, *crash_at).crashes
    except (AssertionError, TimeoutError, ExceptionGroup) as error:
        raise AssertionError(f"{kind}: {way.name}, crash at {crash_at}: {error!r}") from error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_crash_at_every_point_of_a_call(kind: str, way: Way) -> None:
    points = 0
    while go(kind, way, points + 1):
        points += 1
    assert points >= LEAST_POINTS


@pytest.mark.timeout(3600 if EVERY_PAIR else 120)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_crash_at_a_point_of_a_call_and_again_at_a_point_of_its_recovery(
    kind: str, way: Way
) -> None:
    thinned = (4, 9) if way.restart_at else (3, 7)
    first_step, second_step = (1, 1) if EVERY_PAIR else thinned
    pairs = 0
    for first in range(1, MAX_POINTS, first_step):
        for second in range(1 + first % second_step, MAX_POINTS, second_step):
            crashes = go(kind, way, first, second)
            pairs += crashes == 2
            if crashes < 2:
                break
        if crashes == 0:
            break
    assert pairs >= LEAST_PAIRS
    tried(f"crash-point pairs of {kind}", pairs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", [way for way in WAYS if not way.orphans], ids=lambda way: way.name)
def test_a_process_that_dies_at_the_same_point_again_and_again_pays_once(
    kind: str, way: Way
) -> None:
    for point in range(1, 40, 1 if EVERY_PAIR else 4):
        go(kind, way, *([point] * 5))


def test_the_watch_over_a_failed_attempt_ends_when_the_next_one_begins() -> None:
    """Else the node's word about the second, which has the same hash, would be posted for the first
    as well.
    """
    way = Way(
        "a lost call, and failures beyond ghost_after",
        (CallFate.NEVER,),
        fails_for=7.0,
        seconds=95.0,
    )
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        attempts = runner.run(watched_until_the_end(way, 3_700))
    assert [attempt.state for attempt in attempts] == [
        "SETTLED",
        *["FAILED"] * (len(attempts) - 1),
    ] and len(attempts) > 1
