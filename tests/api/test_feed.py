"""The feed never waits: a slow reader is dropped and told, the others miss nothing."""

from __future__ import annotations

import asyncio

import pytest

from streamer.errors import ResourceExhausted
from streamer.feed import Feed
from streamer.model import Stream

STREAM: Stream = object()  # type: ignore[assignment]


def test_every_watcher_gets_what_happens_from_its_call_on() -> None:
    async def run() -> None:
        feed = Feed()
        feed.publish(1, STREAM)
        early = feed.watch()
        feed.publish(2, STREAM)
        late = feed.watch()
        feed.publish(3, STREAM)
        assert [(await anext(early)).cursor for _ in range(2)] == [2, 3]
        assert (await anext(late)).time_ns == 3
        waiting = asyncio.ensure_future(anext(late))
        await asyncio.sleep(0)
        feed.publish(4, STREAM)
        assert (await waiting).cursor == 4

    asyncio.run(run())


def test_a_slow_reader_gets_what_was_kept_then_the_refusal() -> None:
    async def run() -> None:
        feed, dropped = Feed(queue_limit=2), []
        feed.on_dropped = lambda: dropped.append(1)
        slow, quick = feed.watch(), feed.watch()
        for number in range(4):
            feed.publish(number, STREAM)
            assert (await anext(quick)).time_ns == number
        assert [(await anext(slow)).time_ns for _ in range(2)] == [0, 1]
        with pytest.raises(ResourceExhausted, match=r"too slow and was dropped: list again, then watch \(cursor 4\)"):
            await anext(slow)
        assert dropped == [1]

    asyncio.run(run())


def test_the_number_of_watchers_is_bounded_and_leaving_makes_room() -> None:
    async def run() -> None:
        feed = Feed(watcher_limit=1)
        only = feed.watch()
        with pytest.raises(ResourceExhausted, match="1 watchers are connected already"):
            feed.watch()
        feed.publish(1, STREAM)
        await anext(only)
        await only.aclose()  # type: ignore[attr-defined]
        feed.watch()

    asyncio.run(run())
