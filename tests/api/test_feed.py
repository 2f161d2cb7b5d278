"""The feed: a ring that never waits, cursors that mean one thing, and readers of any speed. On a
clock that jumps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamer.service.reports import Event
from streamer.simulator.clock import run_virtual
from streamer.watch import fanout
from streamer.watch.feed import LAST_CURSOR, Feed, start_cursor
from streamer.words.errors import OutOfRange, ResourceExhausted, Unavailable
from streamer.words.model import Stream, StreamState
from streamer.words.reasons import Reason


class Named:
    """As much of a stream as the feed looks at."""

    state, reason, state_time_ns, api_key = StreamState.ACTIVE, Reason.NONE, 5, 0

    def __init__(self, name: str = "") -> None:
        self.name = self.id = name
        self.terms = SimpleNamespace(node="", destination=b"", group=name, labels=(("app", name),))


def named(name: str) -> Stream:
    return cast(Stream, Named(name))


def of(name: str) -> Callable[[Event], bool]:
    return lambda event: cast(Named, event.stream).name == name


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtual(lambda _: test())


def publish(feed: Feed, count: int, name: str = "") -> None:
    for _ in range(count):
        feed.publish(1, named(name))


async def took(events: AsyncIterator[Event], count: int) -> list[int]:
    """The cursors of the next events, bookmarks left out."""
    found: list[int] = []
    while len(found) < count:
        event = await anext(events)
        if event.stream is not None:
            found.append(event.cursor)
    return found


def test_every_watcher_gets_what_happens_from_its_call_on() -> None:
    async def test() -> None:
        feed = Feed(start=100)
        publish(feed, 1)
        early = feed.watch()
        publish(feed, 1)
        late = feed.watch()
        publish(feed, 1)
        first = await anext(early)
        assert (first.cursor, first.stream) == (101, None)
        assert await took(early, 2) == [102, 103]
        assert await took(late, 1) == [103]
        waiting = asyncio.ensure_future(took(late, 1))
        await asyncio.sleep(1)
        publish(feed, 1)
        assert await waiting == [104]

    run(test)


def test_an_event_keeps_the_state_of_its_moment() -> None:
    async def test() -> None:
        feed, stream = Feed(), Named()
        events = feed.watch()
        feed.publish(1, cast(Stream, stream))
        stream.state = StreamState.PAUSED
        await anext(events)
        event = await anext(events)
        assert (event.state, event.state_time_ns) == ("ACTIVE", 5)

    run(test)


def test_a_cursor_goes_on_without_a_gap_as_long_as_the_ring_keeps_it() -> None:
    async def test() -> None:
        feed = Feed(start=1_000, ring_events=8)
        publish(feed, 20)
        assert await took(feed.watch(cursor=1_012), 8) == list(range(1_013, 1_021))
        with pytest.raises(OutOfRange, match="cursor 1011 is too old, 9 events ago: list again"):
            feed.watch(cursor=1_011)
        for strange in (999, 1_021):
            with pytest.raises(OutOfRange, match="is not of this run of the daemon: list again"):
                feed.watch(cursor=strange)
        assert (await anext(feed.watch(cursor=1_020))).cursor == 1_020

    run(test)


def test_runs_share_no_cursor_but_after_a_clean_end() -> None:
    second = 1_000_000_000
    assert start_cursor({}, 500 * second) == 500_000_000
    assert start_cursor({"mark": str(499 * second), LAST_CURSOR: ""}, 500 * second) == 519_000_000
    assert start_cursor({"mark": str(499 * second), LAST_CURSOR: "77"}, 500 * second) == 77


def test_a_filtered_watcher_gets_its_own_and_bookmarks_that_go_on() -> None:
    async def test() -> None:
        feed, heard = Feed(ring_events=64), list[Event]()

        async def listen() -> None:
            async for event in feed.watch(of("a")):
                heard.append(event)

        listening = asyncio.ensure_future(listen())
        for _ in range(25):
            await asyncio.sleep(1)
            publish(feed, 30, "b")
        assert [event.stream for event in heard] == [None, None, None]
        assert heard[0].cursor == 0 and heard[1].cursor >= 270 and heard[2].cursor >= 570
        publish(feed, 1, "a")
        await asyncio.sleep(1)
        assert [event.cursor for event in heard[3:]] == [751]
        assert (await anext(feed.watch(of("a"), 720))).cursor == 720
        listening.cancel()

    run(test)


def test_a_slow_reader_is_dropped_and_resumes_without_a_gap_and_the_others_miss_nothing() -> None:
    async def test() -> None:
        feed, dropped = Feed(ring_events=200), list[int]()
        feed.on_dropped = lambda: dropped.append(1)
        slow, quick = feed.watch(), feed.watch()
        publish(feed, 1)
        got = asyncio.ensure_future(took(quick, 150))
        assert await took(slow, 1) == [1]
        for _ in range(15):
            publish(feed, 10)
            await asyncio.sleep(0.2)
        assert (await got)[:150] == list(range(1, 151))
        with pytest.raises(
            ResourceExhausted, match=r"too slow and was dropped: resume with cursor 1$"
        ) as caught:
            while True:
                await anext(slow)
        assert caught.value.reason == "SLOW_READER"
        assert dropped == [1]
        assert await took(feed.watch(cursor=1), 150) == list(range(2, 152))

    run(test)


@pytest.mark.parametrize("term", ["", "id=a"])
def test_a_reader_whose_place_was_overwritten_before_it_began_is_dropped(term: str) -> None:
    async def test() -> None:
        feed = Feed(ring_events=10)
        publish(feed, 1, "a")
        late = feed.watch(cursor=0 if not term else 1, term=term)
        publish(feed, 12, "a")
        assert (await anext(late)).cursor == 1
        with pytest.raises(ResourceExhausted, match=r"resume with cursor 1$"):
            await anext(late)

    run(test)


def test_a_dropped_reader_that_never_comes_back_is_cut() -> None:
    async def test() -> None:
        feed, cuts = Feed(ring_events=20), list[float]()
        loop = asyncio.get_running_loop()
        stuck = feed.watch(cut=lambda: cuts.append(loop.time()))
        await anext(stuck)
        began = loop.time()
        publish(feed, 11)
        await asyncio.sleep(fanout.CUT_SECONDS)
        assert not cuts
        await asyncio.sleep(4 * fanout.LOOK_SECONDS)
        assert len(cuts) == 1 and cuts[0] - began > fanout.CUT_SECONDS

    run(test)


def test_the_number_of_watchers_is_bounded_and_leaving_makes_room() -> None:
    async def test() -> None:
        feed = Feed(watcher_limit=1)
        only = feed.watch()
        with pytest.raises(ResourceExhausted, match="1 watchers are connected already"):
            feed.watch()
        await anext(only)
        await cast(Any, only).aclose()
        feed.watch()

    run(test)


def test_the_end_gives_everything_then_says_where_to_resume() -> None:
    async def test() -> None:
        feed = Feed()
        events, stuck = feed.watch(), feed.watch()
        await anext(stuck)
        publish(feed, 100)
        ended = asyncio.ensure_future(feed.end(5))
        assert await took(events, 100) == list(range(1, 101))
        with pytest.raises(Unavailable, match="streamer is stopping: resume with cursor 100"):
            await anext(events)
        assert await ended == 100

    run(test)


def test_much_for_one_does_not_keep_the_others_waiting() -> None:
    async def test() -> None:
        feed = Feed()
        greedy = [asyncio.ensure_future(took(feed.watch(), 5_000)) for _ in range(20)]
        modest = asyncio.ensure_future(took(feed.watch(of("mine")), 1))
        await asyncio.sleep(0)
        publish(feed, 4_999)
        publish(feed, 1, "mine")
        assert await modest == [5_000]
        assert not any(task.done() for task in greedy)
        for task in greedy:
            assert await task == list(range(1, 5_001))

    run(test)


@pytest.mark.parametrize("term", ["id=a", "group=a", "labels.app=a"])
def test_who_wants_what_holds_a_term_is_asked_about_nothing_else(term: str) -> None:
    async def test() -> None:
        feed, asked = Feed(ring_events=100), list[int]()

        def wanted(event: Event) -> bool:
            asked.append(event.cursor)
            return event.cursor % 2 == 0

        heard: list[int] = []

        async def listen(cursor: int) -> None:
            async for event in feed.watch(wanted, cursor, term=term):
                heard.append(event.cursor)

        publish(feed, 3, "a")
        listening = asyncio.ensure_future(listen(1))
        for _ in range(30):
            await asyncio.sleep(1)
            publish(feed, 20, "b")
            publish(feed, 1, "a")
        await asyncio.sleep(1)
        mine = [2, 3, *range(24, 634, 21)]
        assert asked == mine
        marks = [cursor for cursor in heard if cursor not in mine]
        assert [cursor for cursor in heard if cursor in mine and cursor % 2 == 0] == [
            cursor for cursor in mine if cursor % 2 == 0
        ]
        assert marks and heard == sorted(heard)
        listening.cancel()
        await asyncio.sleep(0)
        assert await took(feed.watch(cursor=620, term=term), 1) == [633]

    run(test)


def test_nobody_starves_behind_those_who_always_have_something_to_look_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fanout, "ROUND_LOOKS", 10)

    async def test() -> None:
        feed = Feed()
        busy = [
            asyncio.ensure_future(took(feed.watch(of("none"), term="group=a"), 1)) for _ in range(5)
        ]
        waiting = [
            asyncio.ensure_future(took(feed.watch(term=term), 1))
            for term in ("group=a", "labels.app=a", "")
        ]
        for _ in range(40):
            publish(feed, 10, "a")
            await asyncio.sleep(fanout.ROUND_SECONDS)
        assert all(task.done() for task in waiting)
        for task in busy:
            task.cancel()

    run(test)


def test_who_wants_one_stream_and_does_not_read_is_dropped_and_resumes_too() -> None:
    async def test() -> None:
        feed = Feed(ring_events=100)
        events = feed.watch(cursor=0, term="id=a")
        await anext(events)
        publish(feed, 2, "a")
        assert await took(events, 1) == [1]
        for _ in range(8):
            publish(feed, 7, "b")
            publish(feed, 1, "a")
            await asyncio.sleep(1)
        with pytest.raises(ResourceExhausted, match="resume with cursor 1"):
            await anext(events)
        assert await took(feed.watch(cursor=1, term="id=a"), 9) == [2, *range(10, 67, 8)]

    run(test)


def test_at_the_end_who_wants_one_stream_is_told_the_newest_cursor() -> None:
    async def test() -> None:
        feed = Feed()
        events = feed.watch(term="id=a")
        await anext(events)
        getting = asyncio.ensure_future(took(events, 2))
        await asyncio.sleep(1)
        publish(feed, 1, "a")
        publish(feed, 5, "b")
        ended = asyncio.ensure_future(feed.end(5))
        with pytest.raises(Unavailable, match="streamer is stopping: resume with cursor 6"):
            await getting
        assert await ended == 6

    run(test)


@pytest.mark.parametrize("waits", [True, False])
def test_who_missed_nothing_goes_on_after_a_clean_end_whatever_it_filters(waits: bool) -> None:
    async def test() -> None:
        feed, seen = Feed(start=100), list[int]()
        events = feed.watch(of("a"), term="id=a")

        async def listen() -> None:
            async for event in events:
                seen.append(event.cursor)

        if waits:
            listening = asyncio.ensure_future(listen())
            await asyncio.sleep(1)
        publish(feed, 1, "a")
        publish(feed, 20, "b")
        ended = asyncio.ensure_future(feed.end(5))
        if not waits:
            await asyncio.sleep(0)
            listening = asyncio.ensure_future(listen())
        with pytest.raises(Unavailable, match="resume with cursor 121"):
            await listening
        assert seen == [100, 101, 121]
        again = Feed(start_cursor({LAST_CURSOR: str(await ended)}, 0))
        publish(again, 1, "a")
        assert await took(again.watch(of("a"), seen[-1], term="id=a"), 1) == [122]

    run(test)


def test_watchers_have_a_bounded_share_of_the_loop_whatever_they_want(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a real clock: forty readers that want far more than there is time for. It rests long after
    each bit of work.
    """
    sleep, rests = asyncio.sleep, list[float]()

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        await sleep(seconds)

    async def read(events: AsyncIterator[Event]) -> None:
        async for _ in events:
            until = time.thread_time() + 0.0005
            while time.thread_time() < until:
                pass

    async def test() -> float:
        feed = Feed(ring_events=100_000)
        reading = [asyncio.ensure_future(read(feed.watch())) for _ in range(40)]
        publish(feed, 5_000)
        busy = time.thread_time()
        await sleep(1.5)
        for task in reading:
            task.cancel()
        return sum(rests) / (time.thread_time() - busy)

    monkeypatch.setattr(asyncio, "sleep", rest)
    assert asyncio.run(test()) > 2
    assert fanout.REST == 3


def test_many_events_of_one_stream_come_in_bursts_and_the_old_ones_are_forgotten() -> None:
    async def test() -> None:
        feed = Feed(ring_events=200)
        events = feed.watch(term="id=a")
        for _ in range(5):
            getting = asyncio.ensure_future(took(events, 100))
            await asyncio.sleep(1)
            publish(feed, 100, "a")
            found = await getting
            assert found == list(range(found[0], found[0] + 100))
        publish(feed, 200, "b")
        kept = {term: len(cursors) for term, cursors in feed._of_term.items()}
        assert kept.pop("id=b") == 200 and "id=a" not in kept and set(kept.values()) == {200}

    run(test)
