"""The timer wheel against a plain dict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.core import wheel as wheel_file
from streamer.core.wheel import TICK_NS, Wheel

times = st.integers(0, 12 * TICK_NS)
steps = st.lists(st.tuples(st.sampled_from(["schedule", "schedule", "cancel", "pop"]), st.integers(0, 6), times), max_size=60)


@pytest.mark.parametrize("most_stale", [wheel_file.MOST_STALE, 0])
@given(steps)
def test_the_wheel_is_a_dict_of_moments(most_stale: int, actions: list[tuple[str, int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wheel_file, "MOST_STALE", most_stale)
        play(actions)


def play(actions: list[tuple[str, int, int]]) -> None:
    wheel, model = Wheel(), dict[int, int]()
    for action, item, at_ns in actions:
        if action == "schedule":
            wheel.schedule(item, at_ns)
            model[item] = at_ns
        elif action == "cancel":
            wheel.cancel(item)
            model.pop(item, None)
        else:
            due = sorted((moment, item) for item, moment in model.items() if moment <= at_ns)
            assert sorted(wheel.pop_due(at_ns)) == due
            model = {item: moment for item, moment in model.items() if moment > at_ns}
        assert len(wheel) == len(model)
        assert all(wheel.due_ns(item) == model.get(item) for item in range(7))
        assert wheel.next_ns() == min(model.values(), default=None)


def test_moments_in_one_bucket_are_kept_apart() -> None:
    wheel = Wheel()
    wheel.schedule(1, 5)
    wheel.schedule(2, 6)
    assert wheel.pop_due(4) == []
    assert wheel.pop_due(5) == [(5, 1)]
    assert wheel.pop_due(5) == []
    assert wheel.pop_due(TICK_NS) == [(6, 2)]


def test_a_moment_that_is_chosen_again_comes_once() -> None:
    wheel = Wheel()
    for due_ns in (7, 9, 7):
        wheel.schedule(1, due_ns)
    assert wheel.pop_due(8) == [(7, 1)] and wheel.pop_due(10 * TICK_NS) == []


def test_what_is_scheduled_again_and_again_for_a_far_moment_takes_no_more_room() -> None:
    """A stream with an expiry that is renewed, beside one that is due soon."""
    wheel = Wheel()
    wheel.schedule(1, TICK_NS)
    for second in range(10_000):
        wheel.schedule(2, (10**6 + second % 2) * TICK_NS)
        wheel.schedule(2, (10**3 + second) * TICK_NS)
    kept = sum(len(bucket) for bucket in wheel._buckets.values())
    assert kept <= 2 * len(wheel) + wheel_file.MOST_STALE
    assert kept == wheel._entries and len(wheel._ticks) == len(wheel._buckets)
    assert wheel.pop_due(2 * TICK_NS) == [(TICK_NS, 1)]
