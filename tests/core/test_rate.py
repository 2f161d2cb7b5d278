"""The bucket never gives more than its rate, and the window follows the latency."""

from __future__ import annotations

import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.core.rate import Bucket, Window
from streamer.words.money import SECOND_NS

MS = SECOND_NS // 1_000


@given(
    st.integers(1, 1_000),
    st.lists(st.tuples(st.integers(0, 300 * MS), st.integers(1, 200)), max_size=60),
)
def test_no_window_has_more_than_rate_and_burst(
    per_second: int, asks: list[tuple[int, int]]
) -> None:
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


def run(
    window: Window,
    rounds: int,
    latency_ns: int,
    in_flight: int,
    now_ns: int = 10**18,
    destinations: int = 3,
) -> int:
    """Rounds of ends at this latency; the moment after."""
    for _ in range(rounds):
        for number in range(window.size):
            window.ended(bytes([number % destinations]), latency_ns, now_ns, in_flight)
        now_ns += Window.ROUND_NS
        window.ended(b"\0", latency_ns, now_ns, in_flight)
    return now_ns


def test_a_full_window_shrinks_when_latency_is_high_and_grows_back_to_its_limit() -> None:
    window, now = Window(100), 10**18
    for _ in range(40):
        now = run(window, 1, window.size * Window.TARGET_NS, in_flight=99, now_ns=now)
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
            window.ended(
                b"slow" if slow else bytes([number % 5]), 20 * SECOND_NS if slow else MS, now, 49
            )
        now += Window.ROUND_NS
        assert window.size == 50, round_number


def test_a_limit_below_the_floor_is_kept() -> None:
    window = Window(1)
    run(window, 10, 2 * Window.TARGET_NS, in_flight=1)
    assert window.size == 1


def test_a_window_is_no_wider_than_the_channels_and_as_wide_as_before_when_they_are() -> None:
    window = Window(100)
    window.narrow(30)
    assert window.size == 30
    now = run(window, 1, Window.TARGET_NS + 1, in_flight=29)
    assert window.size < 28, "it shrinks from what it was in truth"
    window.narrow(483)
    assert window.size < 28
    run(window, 20, Window.TARGET_NS // 4, in_flight=99, now_ns=now)
    assert window.size == 100
    window.narrow(30)
    window.narrow(483)
    assert window.size == 100
    window.narrow(0)
    assert window.size == 1, "one is always tried"


def test_the_burst_is_a_tenth_of_the_rate_and_at_least_one_unless_another_is_given() -> None:
    bursts = [Bucket(per_second).available(0) for per_second in (1, 19, 20, 109, 110)]
    assert bursts == [1, 1, 2, 10, 11]
    assert Bucket(50, burst=7).available(0) == 7


# -- the window, round by round -----------------------------------------------------------------


def end_round(
    window: Window,
    latency_ns: int,
    now_ns: int,
    seconds: int = 2,
    in_flight: int = 10**6,
    ends: int = 0,
) -> int:
    """One round of ends (as many as the window is large), the last of them when the round is over;
    that moment.
    """
    count = ends or window.size
    for _ in range(count - 1):
        window.ended(b"one", latency_ns, now_ns, in_flight)
    now_ns += seconds * SECOND_NS
    window.ended(b"one", latency_ns, now_ns, in_flight)
    return now_ns


def begun(limit: int) -> tuple[Window, int]:
    """A window at the beginning of a round, which is this moment."""
    window, now_ns = Window(limit), 10**18
    for _ in range(limit // 2):
        window.ended(b"one", MS, now_ns, 0)
    return window, now_ns


def test_the_capacity_is_what_ended_in_a_full_round() -> None:
    window, now = begun(100)
    assert window.capacity_per_second == 0.0, "not known yet"
    now = end_round(window, MS, now, ends=100)
    assert window.capacity_per_second == 50.0
    now = end_round(window, MS, now, seconds=4, ends=100)
    assert window.capacity_per_second == 25.0
    end_round(window, MS, now, in_flight=3, ends=60)
    assert window.capacity_per_second == 25.0, "a window that was not full says nothing of it"


def test_a_tenth_less_at_a_time_and_at_least_one() -> None:
    window, now = begun(100)
    sizes = []
    for _ in range(20):
        now = end_round(window, window.size * Window.TARGET_NS, now)
        sizes.append(window.size)
    assert sizes == [90, 81, 73, 66, 60, 54, 49, 45, 41, 37, 34, 31, 28, 26, 24, 22, 20, 18, 17, 16]
    for _ in range(12):
        now = end_round(window, window.size * Window.TARGET_NS, now)
    assert window.size == 4
    for size in (3, 2, 2):
        now = end_round(window, window.size * Window.TARGET_NS, now)
        assert window.size == size
    for size in (3, 4, 5):
        now = end_round(window, Window.TARGET_NS, now)
        assert window.size == size, "the target itself is not too slow"


def test_a_round_lasts_its_time_and_half_a_window_of_ends() -> None:
    window, now = begun(100)
    later = now + Window.ROUND_NS
    for _ in range(50):
        window.ended(b"one", 3 * Window.TARGET_NS, later - 1, 99)
    assert window.size == 100, "not before the round is over"
    window.ended(b"one", 3 * Window.TARGET_NS, later, 99)
    assert window.size == 90
    for _ in range(44):
        window.ended(b"one", 3 * Window.TARGET_NS, later + Window.ROUND_NS, 99)
    assert window.size == 90
    window.ended(b"one", 3 * Window.TARGET_NS, later + Window.ROUND_NS, 99)
    assert window.size == 81


def test_a_window_is_full_when_one_more_ended_than_went_on() -> None:
    for in_flight, size in ((98, 100), (99, 90)):
        window, now = begun(100)
        end_round(window, 3 * Window.TARGET_NS, now, in_flight=in_flight)
        assert window.size == size
    window, now = begun(100)
    window.ended(b"one", 3 * Window.TARGET_NS, now, 99)
    end_round(window, 3 * Window.TARGET_NS, now, in_flight=0)
    assert window.size == 90, "once in the round is enough"
    end_round(window, 3 * Window.TARGET_NS, now + Window.ROUND_NS, in_flight=0)
    assert window.size == 90, "and each round is judged by itself"


def test_latency_is_the_median_of_a_destinations_newest_payments() -> None:
    slow, quick = 3 * Window.TARGET_NS, MS
    for latencies, size in (
        ([slow] * 60 + [quick] * 16, 100),
        ([slow] * 60 + [quick] * 7 + [slow] * 9, 90),
        ([quick] * 60 + [slow], 100),
    ):
        window, now = begun(100)
        for latency_ns in latencies[:-1]:
            window.ended(b"one", latency_ns, now, 99)
        window.ended(b"one", latencies[-1], now + Window.ROUND_NS, 99)
        assert window.size == size


def test_the_first_round_has_no_beginning_and_measures_nothing() -> None:
    window = Window(4)
    for _ in range(2):
        window.ended(b"one", 3 * Window.TARGET_NS, 10**18, 3)
    assert (window.size, window.capacity_per_second) == (3, 0.0)


def test_shrinks_that_buy_no_latency_are_taken_back_with_a_quarter_more() -> None:
    window, now = begun(100)
    window.narrow(60)
    sizes = []
    for _ in range(8 + Window.KEPT):
        now = end_round(window, 2 * Window.TARGET_NS, now)
        sizes.append(window.size)
    assert sizes[:6] == [54, 49, 45, 41, 37, 34], "six rounds say nothing yet"
    assert sizes[6:-1] == [60] * (Window.KEPT + 1), "more than 60 is more than the channels carry"
    assert sizes[-1] == 54, "it is tried again"
    window.narrow(483)
    assert window.size == 54


def test_one_round_below_the_target_ends_a_comparison() -> None:
    window, now = begun(100)
    for _ in range(5):
        now = end_round(window, 2 * Window.TARGET_NS, now)
    now = end_round(window, MS, now)
    assert window.size == 66
    for size in (60, 54, 49, 45, 41, 37, 83):
        now = end_round(window, 2 * Window.TARGET_NS, now)
        assert window.size == size


def test_from_the_floor_it_grows_now_and_then() -> None:
    """It cannot shrink, and would never find out that the node is not slow any more."""
    window, now = Window(100), 10**18
    for _ in range(40):
        now = end_round(window, window.size * Window.TARGET_NS, now)
    sizes = []
    for _ in range(100):
        now = end_round(window, window.size * Window.TARGET_NS, now)
        sizes.append(window.size)
    assert {min(sizes), max(sizes)} == {Window.FLOOR, Window.FLOOR + Window.COMPARED}
    assert sum(sizes) < 4.5 * len(sizes)
    for _ in range(40 * Window.KEPT):
        now = end_round(window, 2 * Window.TARGET_NS, now)
    assert window.size > 50, "its receivers are slow now"


# -- the window, in front of a node -------------------------------------------------------------


class Road:
    """Receivers that take receiver_ns, more or less, behind a node that carries one payment after
    the other; the window is always full.
    """

    RECEIVERS = 12

    def __init__(self, window: Window, seed: int) -> None:
        self.window, self.chance = window, random.Random(seed)
        self.now_ns = self.free_ns = 10**18
        self.flights: list[tuple[int, int, int]] = []
        self.sent = 0

    def carry(self, seconds: int, per_second: float, receiver_ns: int) -> float:
        """Go on for so long; how many payments were under way, on average over their ends."""
        end_ns, sizes = self.now_ns + seconds * SECOND_NS, list[int]()
        while self.now_ns < end_ns:
            while len(self.flights) < self.window.size:
                self.sent += 1
                self.free_ns = max(self.now_ns, self.free_ns) + int(
                    self.chance.expovariate(per_second) * SECOND_NS
                )
                ends_ns = self.free_ns + int(receiver_ns * self.chance.uniform(0.7, 1.3))
                heapq.heappush(self.flights, (ends_ns, self.sent, self.now_ns))
            self.now_ns, number, sent_ns = heapq.heappop(self.flights)
            receiver = bytes([number % self.RECEIVERS])
            self.window.ended(receiver, self.now_ns - sent_ns, self.now_ns, len(self.flights))
            sizes.append(self.window.size)
        return sum(sizes) / len(sizes)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("receiver_seconds", [3, 30])
def test_slow_receivers_leave_the_window_wide(receiver_seconds: int, seed: int) -> None:
    """Looked at latency alone, it came down to 2, and stayed there."""
    road = Road(Window(100), seed)
    assert road.carry(400 * receiver_seconds, 1_000, receiver_seconds * SECOND_NS) > 85


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("per_second", "limit"), [(5, 100), (30, 100), (100, 250)])
def test_a_slow_node_gets_what_it_carries_in_the_target(
    per_second: int, limit: int, seed: int
) -> None:
    road = Road(Window(limit), seed)
    road.carry(1_000, per_second, 300 * MS)
    assert 0.8 <= road.carry(600, per_second, 300 * MS) / (2 * per_second) <= 1.3


@pytest.mark.parametrize("seed", range(3))
def test_a_node_that_becomes_slow_is_not_drowned(seed: int) -> None:
    """Its queue fills while the window shrinks: that latency rises all the same says nothing."""
    road = Road(Window(100), seed)
    sizes = []
    for _ in range(3):
        road.carry(300, 200, 300 * MS)
        sizes.append(road.carry(300, 5, 300 * MS))
    assert sum(sizes) < 3 * 60
    for per_second, limit in ((2, 100), (5, 250)):
        road = Road(Window(limit), seed)
        assert road.carry(900, per_second, 300 * MS) < limit / 2
        assert road.carry(900, per_second, 300 * MS) <= 3 * per_second


@pytest.mark.parametrize("seed", range(3))
def test_a_window_that_a_slow_node_made_small_grows_again_before_slow_receivers(seed: int) -> None:
    road = Road(Window(100), seed)
    assert road.carry(900, 5, 300 * MS) and road.window.size < 20
    road.carry(1_800, 1_000, 4 * SECOND_NS)
    assert road.carry(1_200, 1_000, 4 * SECOND_NS) > 60
