"""Lists while streams come back from the journal's archive: each stream once, newest first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from unittest import mock

import pytest

import streamer.books.archive
from streamer.core import lifecycle
from streamer.ports import ArchiveQuery
from streamer.service import Service
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.model import ADMIN, Stream
from streamer.words.money import SECOND_NS
from tests.simulation.served import service_of
from tests.simulation.test_scenarios import QUICK
from tests.simulation.world import World


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream may leave a minute after its end."""
    monkeypatch.setattr(streamer.books.archive, "ARCHIVE_AFTER_NS", 60 * SECOND_NS)


async def left(world: World, count: int) -> list[Stream]:
    """So many streams that are in the archive."""
    streams = [await world.open("1sat/1s") for _ in range(count)]
    await asyncio.sleep(3)
    for stream in streams:
        await world.do(lifecycle.cancel, stream)
    await asyncio.sleep(200)
    assert not world.book.streams
    return streams


def recalling(
    world: World, stream: Stream, then: Callable[[], Awaitable[None]] | None = None
) -> None:
    """When the archive is read next, the stream comes back before that, and `then` is awaited
    before the answer is given.
    """
    read = world.store.archived

    async def archived(query: ArchiveQuery) -> list[Stream]:
        patch.stop()
        await world.engine.archive.recall(stream.id)
        await world.engine.durable()
        page = await read(query)
        if then is not None:
            await then()
        return page

    patch = mock.patch.object(world.store, "archived", archived)
    patch.start()


async def listed(service: Service, size: int) -> list[list[int]]:
    """The keys on each page of size."""
    pages, token = list[list[int]](), ""
    while True:
        page, token = await service.streams.page(ADMIN, "", size, token)
        pages.append([report.stream.key for report in page])
        if not token:
            return pages


def test_those_that_came_back_have_their_places_among_those_that_were_never_away() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            old = await left(world, 4)
            new = [await world.open("1sat/1h") for _ in range(2)]
            for stream in (old[2], old[0]):
                await world.engine.archive.recall(stream.id)
            keys = [stream.key for stream in (*reversed(new), *reversed(old))]
            for size in (1, 2, 6):
                assert await listed(service_of(world), size) == [
                    keys[first : first + size] for first in range(0, 6, size)
                ]

    run_virtual(main)


def test_one_that_comes_back_while_a_list_is_made_is_on_it() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            streams = await left(world, 3)
            service = service_of(world)
            for size in (100, 1):
                recalling(world, streams[1])
                pages = await listed(service, size)
                assert [key for page in pages for key in page] == [
                    stream.key for stream in reversed(streams)
                ]
                await asyncio.sleep(120)
                assert not world.book.streams, "it has left again"

    run_virtual(main)


def test_one_that_came_back_and_is_leaving_again_when_the_archive_was_read_is_on_the_list() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            streams = await left(world, 3)
            service = service_of(world)

            async def leaves() -> None:
                world.store.commit = lambda: asyncio.sleep(30)
                while streams[1].id in world.book.streams:
                    await asyncio.sleep(1)

            newest = await world.store.archived(ArchiveQuery(limit=1))
            recalling(world, streams[1], leaves)
            page, _ = await service.streams.page(ADMIN, "", 100, str(newest[0].key + 1))
            assert [report.stream.key for report in page] == [
                stream.key for stream in reversed(streams)
            ]

    run_virtual(main)
