"""Back-offs, and when a stream counts as stalled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.core.retry import MAX_BACKOFF_NS, after_failure
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason

NEVER = 10**9
reasons = st.sampled_from(list(Reason))
jitters = st.integers(0, 99)


@given(reasons, st.integers(1, 100), jitters)
def test_each_back_off_is_twice_the_one_before_up_to_an_hour(
    reason: Reason, streak: int, jitter: int
) -> None:
    now, then = (
        after_failure(reason, streak, NEVER, 0).wait_ns,
        after_failure(reason, streak + 1, NEVER, 0).wait_ns,
    )
    assert then == min(2 * now, MAX_BACKOFF_NS) and now > 0
    jittered = after_failure(reason, streak, NEVER, jitter).wait_ns
    assert now <= jittered < now + now // 5 + 1, "jitter only adds, less than a fifth"


def test_jitter_spreads() -> None:
    assert (
        len({after_failure(Reason.TIMEOUT, 1, NEVER, jitter).wait_ns for jitter in range(100)})
        == 100
    )


def test_after_a_missing_route_the_first_back_off_outlasts_mission_controls_minute() -> None:
    assert after_failure(Reason.NO_ROUTE, 1, 5, 0).wait_ns > 60 * SECOND_NS


@pytest.mark.parametrize(
    "reason", [Reason.NO_ROUTE, Reason.NO_LIQUIDITY, Reason.TIMEOUT, Reason.NONE]
)
def test_stalled_after_stall_after_in_a_row(reason: Reason) -> None:
    assert [after_failure(reason, streak, 5, 0).stalled for streak in range(1, 7)] == [
        False
    ] * 4 + [True] * 2


def test_a_refusal_that_repeats_stalls_and_a_receiver_that_rejects_stalls_at_once() -> None:
    assert [after_failure(Reason.NODE_REFUSED, streak, 5, 0).stalled for streak in (1, 2)] == [
        False,
        True,
    ]
    assert after_failure(Reason.NODE_REFUSED, 1, 1, 0).stalled
    assert after_failure(Reason.RECEIVER_REJECTED, 1, 5, 0).stalled


@pytest.mark.parametrize(
    ("reason", "streak", "jitter", "seconds"),
    [
        (Reason.TIMEOUT, 1, 0, 5),
        (Reason.TIMEOUT, 3, 50, 22),
        (Reason.TIMEOUT, 1, 99, 5.99),
        (Reason.NO_ROUTE, 1, 0, 65),
        (Reason.NO_LIQUIDITY, 2, 0, 20),
        (Reason.NODE_REFUSED, 1, 0, 30),
        (Reason.RECEIVER_REJECTED, 1, 0, 600),
        (Reason.TIMEOUT, 100, 0, 3_600),
        (Reason.TIMEOUT, 100, 99, 4_312.8),
    ],
)
def test_how_long_a_stream_waits(reason: Reason, streak: int, jitter: int, seconds: float) -> None:
    wait_ns = after_failure(reason, streak, 5, jitter).wait_ns
    assert wait_ns == round(seconds * SECOND_NS) and isinstance(wait_ns, int)
