"""WatchStreams over gRPC: cursors, refusals, readers who never read, and what health says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc

from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2
from streamer.client import CURSOR_GONE, CallFailed, Client
from streamer.client.watching import SILENCE_SECONDS
from tests.api.house import KEY, House, in_house
from tests.api.test_streams import create, wanted

STATES = health_pb2.HealthCheckResponse


async def hear(
    house: House, filter_text: str = "", cursor: int = 0
) -> AsyncGenerator[stream_pb2.StreamEvent, None]:
    """One call, begun: its first message is read already, so that nothing is missed from here
    on.
    """
    events = house.client.events(filter_text, cursor, SILENCE_SECONDS)
    first = await anext(events)
    assert not first.HasField("stream") and not first.HasField("time")
    return events


def test_watch_tells_what_happens_from_the_moment_of_the_call() -> None:
    async def test(house: House) -> None:
        events = await hear(house, "group=seen")
        await create(house, wanted(house, group="unseen"))
        made = await create(house, wanted(house, group="seen"))
        event = await anext(events)
        assert (event.stream.id, event.stream.state) == (made.id, stream_pb2.Stream.ACTIVE)
        event = await anext(events)
        assert (event.payment.id, event.payment.state) == (
            f"{made.id}.1",
            payment_pb2.Payment.SETTLED,
        )
        await events.aclose()

    in_house(test)


def test_a_cursor_resumes_without_a_gap_and_states_are_those_of_the_event() -> None:
    async def test(house: House) -> None:
        events = await hear(house)
        made = await create(house, wanted(house, interval=Duration(seconds=3600)))
        first = await anext(events)
        paid = await anext(events)
        await house.client.pause_stream(made.id)
        paused = await anext(events)
        await house.client.resume_stream(made.id)
        await anext(events)
        again = await hear(house, f"id={made.id}", first.cursor)
        assert [(await anext(again)).cursor for _ in range(2)] == [paid.cursor, paused.cursor]
        late = await anext(await hear(house, f"id={made.id}", paid.cursor))
        assert late.stream.state == stream_pb2.Stream.PAUSED
        assert late.stream.state_time == paused.stream.state_time
        only = await anext(await hear(house, f"id={made.id} state=PAUSED", first.cursor))
        assert only.cursor == paused.cursor

    in_house(test)


def test_an_event_that_nobody_saw_in_time_still_has_its_own_state() -> None:
    async def test(house: House) -> None:
        made = await create(house, wanted(house, interval=Duration(seconds=3600)))
        events = house.client.events("", 0, SILENCE_SECONDS)
        began = (await anext(events)).cursor
        await events.aclose()
        paused = await house.client.pause_stream(made.id)
        await house.client.resume_stream(made.id)
        event = await anext(await hear(house, "state=PAUSED", began))
        assert (event.stream.state, event.stream.reason, event.stream.explanation) == (
            stream_pb2.Stream.PAUSED,
            "USER",
            "",
        )
        assert event.stream.state_time == paused.state_time

    in_house(test)


def test_cursors_that_are_not_kept_are_out_of_range() -> None:
    async def test(house: House) -> None:
        for cursor, code, says in (
            (
                1 << 60,
                "OUT_OF_RANGE",
                "is not of this run of the daemon: list again, then watch without a cursor",
            ),
            (-1, "INVALID_ARGUMENT", "cursor is -1: take one that came with an event"),
        ):
            with pytest.raises(CallFailed, match=says) as caught:
                await hear(house, "", cursor)
            assert caught.value.code == code
            assert caught.value.reason == (CURSOR_GONE if code == "OUT_OF_RANGE" else code)
            with pytest.raises(CallFailed, match=says):
                await anext(house.client.watch("", cursor))

    in_house(test)


def test_a_watch_goes_on_in_another_call_when_one_is_dropped() -> None:
    async def test(house: House) -> None:
        events = house.client.watch()
        getting = asyncio.ensure_future(anext(events))
        fanout = house.service.streams._events._fanout  # type: ignore[attr-defined]
        seen = []
        for number in range(3):
            while not fanout._parked:
                await asyncio.sleep(0.005)
            (watcher,) = fanout._parked
            made = await create(house, wanted(house, interval=Duration(seconds=3600)))
            if number:
                fanout._drop(watcher, 0.0)
            for _ in range(2):
                seen.append((await getting).stream.id == made.id)
                getting = asyncio.ensure_future(anext(events))
        assert seen == [True] * 6
        getting.cancel()

    in_house(test)


def test_watchers_that_do_not_read_are_dropped_and_resume_without_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamer.watch.fanout.LOOK_SECONDS", 0.05)

    async def test(house: House) -> None:
        feed = house.service.streams._events
        feed.ring_events, feed.lag_limit, feed._ring = 4_000, 1_000, [None] * 4_000  # type: ignore[attr-defined]
        made = await create(
            house, wanted(house, interval=Duration(seconds=3600), labels={"k" * 60: "v" * 60})
        )
        stream = house.engine.book.streams[made.id]
        async with Client(house.server, KEY) as other:
            stuck = [
                other.streams.WatchStreams(
                    stream_pb2.WatchStreamsRequest(), metadata=other._metadata
                )
                for _ in range(20)
            ]
            for call in stuck:
                await call.initial_metadata()
            async with asyncio.timeout(60):
                while feed._fanout.count:  # type: ignore[attr-defined]
                    for _ in range(50):
                        feed.publish(house.clock.now_ns(), stream)  # type: ignore[attr-defined]
                    await asyncio.sleep(0.02)
            for call in stuck:
                last, refusal = await rest_of(call)
                assert (
                    refusal == f"this reader is too slow and was dropped: resume with cursor {last}"
                )
                assert (await anext(house.client.watch("", last))).cursor == last + 1
        assert 'streamer_events_dropped_total{sink="watch"} 20.0' in house.metrics.render().decode()

    in_house(test)


async def rest_of(
    call: grpc.aio.UnaryStreamCall[stream_pb2.WatchStreamsRequest, stream_pb2.StreamEvent],
) -> tuple[int, str]:
    """(the last cursor that comes, the refusal at the end)."""
    last = 0
    try:
        async for event in call:
            assert event.cursor == last + 1 or not last
            last = event.cursor
    except grpc.aio.AioRpcError as error:
        return last, error.details() or ""
    return last, ""


def test_services_that_move_money_follow_the_node_and_the_daemon_does_not() -> None:
    async def test(house: House) -> None:
        async with grpc.aio.insecure_channel(house.server) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            watched = stub.Watch(
                health_pb2.HealthCheckRequest(service="streamer.v1.PaymentService")
            )
            while (await watched.read()).status != STATES.SERVING:
                pass
            await house.client.stop_sending()
            assert (await watched.read()).status == STATES.NOT_SERVING
            for service, expected in (
                ("", STATES.SERVING),
                ("streamer.v1.AdminService", STATES.SERVING),
                ("streamer.v1.StreamService", STATES.NOT_SERVING),
            ):
                assert (
                    await stub.Check(health_pb2.HealthCheckRequest(service=service))
                ).status == expected, service
            await house.client.call(
                house.client.admin.StartSending, admin_pb2.StartSendingRequest()
            )
            assert (await watched.read()).status == STATES.SERVING
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Check(health_pb2.HealthCheckRequest(service="else"))
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    in_house(test)


def test_a_message_that_is_too_large_is_refused_with_a_text() -> None:
    async def test(house: House) -> None:
        stream = stream_pb2.Stream(labels={"a": "x" * (17 << 20)})
        with pytest.raises(CallFailed, match="larger than max") as caught:
            await create(house, stream)
        assert caught.value.code == "RESOURCE_EXHAUSTED"

    in_house(test)
