"""The bucket never gives more than its rate, and the window follows the latency."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamer.core.rate import Bucket, Window
from streamer.money import SECOND_NS

MS = SECOND_NS // 1_000


@given(st.integers(1, 1_000), st.lists(st.tuples(st.integers(0, 300 * MS), st.integers(1, 200)), max_size=60))
def test_no_window_has_more_than_rate_and_burst(per_second: int, asks: list[tuple[int, int]]) -> None:
    bucket, now, taken = Bucket(per_second), 10**18, list[tuple[int, int]]()
    for wait, wanted in asks:
        now += wait
        count = min(wanted, bucket.available(now))
        bucket.take(count, now)
        taken.append((now, count))
    burst = max(1, per_second // 10)
    for first in range(len(taken)):
        total = 0
        for moment, count in taken[first:]:
            total += count
            assert (total - burst) * SECOND_NS <= per_second * (moment - taken[first][0])


@given(st.integers(1, 10_000), st.integers(0, 50))
def test_the_next_token_comes_when_it_says(per_second: int, taken: int) -> None:
    bucket, now = Bucket(per_second), 10**18
    bucket.take(min(taken, bucket.available(now)), now)
    next_ns = bucket.next_ns(now)
    assert bucket.available(next_ns) >= 1
    assert next_ns == now or bucket.available(next_ns - 1) == 0


def test_in_the_long_run_the_whole_rate_is_given() -> None:
    bucket, now, count = Bucket(50), 10**18, 0
    for _ in range(1_000):
        now += 10 * MS
        available = bucket.available(now)
        bucket.take(available, now)
        count += available
    assert 500 <= count <= 505


def run(window: Window, rounds: int, latency_ns: int, in_flight: int, now_ns: int = 10**18, destinations: int = 3) -> int:
    """Rounds of ends at this latency; the moment after."""
    for _ in range(rounds):
        for number in range(window.size):
            window.ended(bytes([number % destinations]), latency_ns, now_ns, in_flight)
        now_ns += Window.ROUND_NS
        window.ended(b"\0", latency_ns, now_ns, in_flight)
    return now_ns


def test_a_full_window_shrinks_when_latency_is_high_and_grows_back_to_its_limit() -> None:
    window = Window(100)
    now = run(window, 60, 2 * Window.TARGET_NS, in_flight=99)
    assert window.size == Window.FLOOR
    run(window, 200, Window.TARGET_NS // 4, in_flight=99, now_ns=now)
    assert window.size == 100


def test_a_window_that_is_not_full_is_left_alone() -> None:
    window = Window(100)
    run(window, 10, 2 * Window.TARGET_NS, in_flight=5)
    assert window.size == 100


def test_one_slow_receiver_does_not_shrink_the_window_of_all() -> None:
    window, now = Window(50), 10**18
    for round_number in range(20):
        for number in range(60):
            slow = number % 2 == 0
            window.ended(b"slow" if slow else bytes([number % 5]), 20 * SECOND_NS if slow else MS, now, 49)
        now += Window.ROUND_NS
        assert window.size == 50, round_number


def test_a_limit_below_the_floor_is_kept() -> None:
    window = Window(1)
    run(window, 10, 2 * Window.TARGET_NS, in_flight=1)
    assert window.size == 1
