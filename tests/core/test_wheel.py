"""The timer wheel against a plain dict."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamer.core import wheel as wheel_file
from streamer.core.wheel import TICK_NS, Wheel

times = st.integers(0, 12 * TICK_NS)
steps = st.lists(
    st.tuples(st.sampled_from(["schedule", "schedule", "cancel", "pop"]), st.integers(0, 6), times),
    max_size=60,
)

STALE_HEAD = [
    ("schedule", item, at_ns)
    for item, at_ns in ((1, 20), (0, 1), (0, 5), (1, 21), (1, 22), (1, 23))
]
"""What is stale at the head is dropped, and what was dropped is not counted when the next ones
become too many.
"""
CANCELLED = [
    ("schedule", 0, 1),
    ("schedule", 1, 2),
    ("schedule", 2, 3),
    ("cancel", 1, 0),
    ("cancel", 2, 0),
    ("schedule", 0, 1),
]
"""What is due at that moment already leaves everything as it is, even if most of it is stale."""


@pytest.mark.parametrize("most_stale", [wheel_file.MOST_STALE, 0])
@example(STALE_HEAD)
@example(CANCELLED)
@given(steps)
def test_the_wheel_is_a_dict_of_moments(
    most_stale: int, actions: list[tuple[str, int, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wheel_file, "MOST_STALE", most_stale)
        play(actions)


def kept(wheel: Wheel) -> int:
    """Its entries, live and stale."""
    return sum(len(bucket) for bucket in wheel._buckets.values())


def play(actions: list[tuple[str, int, int]]) -> None:
    wheel, model = Wheel(), dict[int, int]()
    for action, item, at_ns in actions:
        if action == "schedule":
            before, anew = kept(wheel), model.get(item) != at_ns
            wheel.schedule(item, at_ns)
            model[item] = at_ns
            swept = anew and before + 1 > 2 * len(model) + wheel_file.MOST_STALE
            assert kept(wheel) == (len(model) if swept else before + anew), (
                "when too much is stale, and only then: that takes time"
            )
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
    assert kept(wheel) <= 2 * len(wheel) + wheel_file.MOST_STALE
    assert kept(wheel) == wheel._entries and len(wheel._ticks) == len(wheel._buckets)
    assert wheel.pop_due(2 * TICK_NS) == [(TICK_NS, 1)]
