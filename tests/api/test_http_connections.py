"""Readers over HTTP who take nothing: a socket that is never read holds neither memory nor its
connection for long.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from streamer.api.http.connection import Connection
from streamer.watch.feed import Feed
from tests.api.house import KEY, House, in_house
from tests.api.test_streams import create, wanted

STUCK = 20
PATIENCE_SECONDS = 60
EVENT_BYTES = 4_096
"""More than one line has."""


def connections(house: House) -> set[Connection]:
    """The server's ends."""
    return house.http_door._server.server_state.connections  # type: ignore[return-value]


def connect(house: House, request: str) -> socket.socket:
    """A client that has asked, and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect((house.http.base_url.host, house.http.base_url.port))
    client.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nX-API-KEY: {KEY}\r\n\r\n".encode())
    return client


async def until(look: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not look():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(what) from None


async def lines_of(house: House) -> AsyncIterator[dict[str, object]]:
    async with house.http.stream(
        "GET", "/v1/streams:watch", timeout=httpx.Timeout(PATIENCE_SECONDS)
    ) as answer:
        async for line in answer.aiter_lines():
            yield json.loads(line)["result"]


def test_watchers_over_http_who_never_read_are_dropped_and_then_cut(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streamer.watch.fanout.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("streamer.watch.fanout.CUT_SECONDS", 0.5)

    async def test(house: House) -> None:
        feed = house.service.streams._events
        assert isinstance(feed, Feed)
        feed.ring_events, feed.lag_limit, feed._ring = 4_000, 1_000, [None] * 4_000
        made = await create(
            house, wanted(house, interval=Duration(seconds=3600), labels={"k" * 60: "v" * 60})
        )
        stream = house.engine.book.streams[made.id]
        reading = lines_of(house)
        last = int((await anext(reading))["cursor"])  # type: ignore[call-overload]
        before = set(connections(house))
        stuck = [connect(house, "GET /v1/streams:watch") for _ in range(STUCK)]
        await until(lambda: feed._fanout.count == STUCK + 1, "they watch")
        stuck_ends, largest = connections(house) - before, 0
        while feed._fanout.count > 1:
            for _ in range(20):
                feed.publish(house.clock.now_ns(), stream)
            for _ in range(20):
                cursor = int((await anext(reading))["cursor"])  # type: ignore[call-overload]
                assert cursor == last + 1
                last = cursor
            largest = max(
                largest,
                *(connection.transport.get_write_buffer_size() for connection in stuck_ends),
            )
        paid = await house.client.keysend(house.pubkey("receiver"), 5_000, "meanwhile")
        assert paid.amount_msat == 5_000 and paid.preimage
        assert largest <= HIGH_WATER_LIMIT + EVENT_BYTES
        await until(lambda: not connections(house) & stuck_ends, "they are cut")
        for client in stuck:
            with pytest.raises(ConnectionResetError):
                while client.recv(1 << 16):
                    pass
            client.close()
        await reading.aclose()  # type: ignore[attr-defined]
        assert (
            f'streamer_events_dropped_total{{sink="watch"}} {STUCK}.0'
            in house.metrics.render().decode()
        )

    in_house(test)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_deadline_ends_a_stream_whose_reader_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamer.api.http.gateway.CUT_SECONDS", 0.3)

    async def test(house: House) -> None:
        feed = house.service.streams._events
        assert isinstance(feed, Feed)
        made = await create(
            house, wanted(house, interval=Duration(seconds=3600), labels={"k" * 60: "v" * 60})
        )
        before = set(connections(house))
        client = connect(house, "GET /v1/streams:watch HTTP/1.1\r\nGrpc-Timeout: 3S\r\nX-Rest: ")
        await until(lambda: feed._fanout.count == 1, "it watches")
        (stuck,) = connections(house) - before
        while not stuck.flow.write_paused:
            feed.publish(house.clock.now_ns(), house.engine.book.streams[made.id])
            await asyncio.sleep(0)
        await until(lambda: not feed._fanout.count, "the call has ended")
        await until(lambda: stuck not in connections(house), "the connection, too")
        client.close()

    in_house(test)


def test_the_door_does_not_wait_for_a_reader_who_takes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(house: House) -> None:
        feed = house.service.streams._events
        assert isinstance(feed, Feed)
        made = await create(house, wanted(house, interval=Duration(seconds=3600)))
        client = connect(house, "GET /v1/streams:watch")
        await until(lambda: feed._fanout.count == 1, "it watches")
        (stuck,) = connections(house)
        while not stuck.flow.write_paused:
            feed.publish(house.clock.now_ns(), house.engine.book.streams[made.id])
            await asyncio.sleep(0)
        await house.http_door.stop()
        client.close()

    in_house(test)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_connection_on_which_nothing_moves_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.api.http.connection.LOOK_SECONDS", 0.4)

    async def test(house: House) -> None:
        before = set(connections(house))
        silent = socket.create_connection((house.http.base_url.host, house.http.base_url.port))
        half = socket.create_connection((house.http.base_url.host, house.http.base_url.port))
        half.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        unread = [connect(house, "GET /openapi.json") for _ in range(3)]
        await until(lambda: len(connections(house) - before) == 5, "they are connected")
        assert (await house.http.get("/healthz")).status_code == 200
        await until(lambda: not connections(house) - before, "they are cut")
        for client in (silent, half, *unread):
            client.close()

    in_house(test)
