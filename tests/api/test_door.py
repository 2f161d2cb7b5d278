"""Keys, errors, health and the HTTP port: who gets in, and what they are told."""

from __future__ import annotations

import asyncio
import socket
import stat
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from starlette.responses import PlainTextResponse

from streamer._proto.streamer.v1 import admin_pb2, stream_pb2
from streamer.api import calls, reading
from streamer.api.auth import Keys, load_admin_key
from streamer.api.call import Call
from streamer.api.calls import Calls
from streamer.api.errors import STATUS, UNFORESEEN, Refusal, refusal, status_code
from streamer.api.http.server import HttpDoor, make_app
from streamer.api.reading import KEYLESS_CALLS
from streamer.api.services import served
from streamer.client import CallFailed, Client, NotReachable, Trust
from streamer.client.connection import Connection
from streamer.service import Keyring
from streamer.words import errors
from streamer.words.clock import BootClock
from streamer.words.errors import ConfigError, InvalidArgument, PermissionDenied, Unauthenticated
from tests.api.house import KEY, House, in_house
from tests.api.overhttp import get

REFLECTION = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
METHOD = "streamer.v1.AdminService.GetStatus"


def test_the_key_file_is_made_once_for_the_owner_and_the_group(tmp_path: Path) -> None:
    key = load_admin_key(tmp_path)
    assert len(key) == 64
    assert stat.S_IMODE((tmp_path / "admin.key").stat().st_mode) == 0o640
    assert load_admin_key(tmp_path) == key
    (tmp_path / "admin.key").write_text("\n")
    with pytest.raises(ConfigError, match="holds no key"):
        load_admin_key(tmp_path)
    (tmp_path / "admin.key").unlink()
    (tmp_path / "admin.key").mkdir()
    with pytest.raises(ConfigError, match=r"admin\.key: cannot be read: Is a directory$"):
        load_admin_key(tmp_path)
    with pytest.raises(ConfigError, match="cannot be written"):
        load_admin_key(tmp_path / "absent")


def test_keys_are_taken_from_either_header() -> None:
    async def test() -> None:
        keys = Keys(Keyring(b"", KEY), BootClock(), 1_000)
        await keys.authorize(METHOD, [("x-api-key", KEY)])
        await keys.authorize(METHOD, [("authorization", "Bearer " + KEY)])
        for nothing in ([], [("x-api-key", "")], [("authorization", "Basic abc")]):
            with pytest.raises(Unauthenticated, match="no key came with the call"):
                await keys.authorize(METHOD, nothing)
        for wrong in ("x", KEY[:-1], KEY + "k", "ключ"):
            with pytest.raises(PermissionDenied, match="is not known here"):
                await keys.authorize(METHOD, [("x-api-key", wrong)])

    asyncio.run(test())


def test_every_method_needs_the_key_and_health_does_not() -> None:
    async def test(house: House) -> None:
        for key, code in (("", "UNAUTHENTICATED"), ("wrong", "PERMISSION_DENIED")):
            async with Client(house.server, key) as other:
                with pytest.raises(CallFailed) as caught:
                    await other.call(other.admin.GetStatus, admin_pb2.GetStatusRequest())
                assert caught.value.code == code
                with pytest.raises(CallFailed) as caught:
                    async for _ in other.watch():
                        pass
                assert caught.value.code == code
        async with grpc.aio.insecure_channel(house.server) as channel:
            reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
            ask = reflection_pb2.ServerReflectionRequest(list_services="")
            async for answer in reflection_pb2_grpc.ServerReflectionStub(
                channel
            ).ServerReflectionInfo(iter([ask])):
                names = {service.name for service in answer.list_services_response.service}
                assert {
                    "streamer.v1.StreamService",
                    "streamer.v1.PaymentService",
                    "streamer.v1.AdminService",
                } <= names

    in_house(test)


def test_every_error_has_its_status() -> None:
    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.StreamerError)
    }
    assert set(STATUS) == kinds - {errors.StreamerError}


def test_an_unforeseen_error_keeps_its_text_to_itself() -> None:
    refused = refusal(ValueError("secret of the house"))
    assert (refused.code, refused.status.message) == (grpc.StatusCode.INTERNAL, UNFORESEEN)
    assert b"secret" not in refused.status.SerializeToString()

    class Finer(InvalidArgument):
        pass

    assert status_code(Finer("x")) is grpc.StatusCode.INVALID_ARGUMENT


def test_an_unforeseen_error_reaches_the_caller_as_internal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(house: House) -> None:
        monkeypatch.setattr(house.service.sending, "report", lambda: 1 / 0)
        with pytest.raises(CallFailed) as caught:
            await house.client.call(house.client.admin.GetStatus, admin_pb2.GetStatusRequest())
        assert (caught.value.code, str(caught.value)) == ("INTERNAL", UNFORESEEN)
        text = house.metrics.render().decode()
        assert (
            'streamer_api_requests_total{code="INTERNAL",method="AdminService/GetStatus"} 1.0'
            in text
        )

    in_house(test)


def test_a_request_that_cannot_be_read_is_refused_and_only_to_who_has_a_key() -> None:
    async def test(house: House) -> None:
        async with grpc.aio.insecure_channel(house.server) as channel:
            for key, code in (
                (KEY, grpc.StatusCode.INVALID_ARGUMENT),
                ("", grpc.StatusCode.UNAUTHENTICATED),
            ):
                get: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                    "/streamer.v1.StreamService/GetStream"
                )
                call = get(b"\x0a\xff\xff", metadata=(("x-api-key", key),))
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call
                assert caught.value.code() is code
                if key:
                    assert (
                        caught.value.details()
                        == "the request is no streamer.v1.GetStreamRequest: it cannot be decoded"
                    )

    in_house(test)


@pytest.mark.parametrize(
    "path", ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch", REFLECTION]
)
def test_health_and_reflection_refuse_what_they_cannot_read(path: str) -> None:
    async def test(house: House) -> None:
        async with grpc.aio.insecure_channel(house.server) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
                    f"/{path}"
                )
                async for _ in ask(b"\x0a\xff\xff"):
                    pass
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert caught.value.details() == "the request cannot be decoded"

    in_house(test)


def test_without_a_key_nobody_takes_the_places_of_others() -> None:
    async def test(house: House) -> None:
        async with grpc.aio.insecure_channel(house.server) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            held = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(KEYLESS_CALLS)]
            await asyncio.gather(*(call.read() for call in held))
            ask = reflection_pb2.ServerReflectionRequest(list_services="")
            late = (
                stub.Watch(health_pb2.HealthCheckRequest()),
                reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask])),
            )
            for call in late:
                with pytest.raises(
                    grpc.aio.AioRpcError, match="calls of health and reflection are open already"
                ) as caught:
                    await call.read()
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert (
                await stub.Check(health_pb2.HealthCheckRequest())
            ).status == health_pb2.HealthCheckResponse.SERVING
            for call in held:
                call.cancel()
            async with asyncio.timeout(10):
                while not await _watched(stub):
                    await asyncio.sleep(0.01)

    in_house(test)


async def _watched(stub: health_pb2_grpc.HealthStub) -> bool:
    try:
        await stub.Watch(health_pb2.HealthCheckRequest()).read()
    except grpc.aio.AioRpcError:
        return False
    return True


def test_many_calls_at_once_are_all_answered() -> None:
    async def test(house: House) -> None:
        calls = [
            house.client.call(house.client.streams.ListStreams, stream_pb2.ListStreamsRequest(), 60)
            for _ in range(1_800)
        ]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(end).__name__ for end in ends} == {"ListStreamsResponse"}, set(map(str, ends))

    in_house(test)


@pytest.mark.parametrize(
    "path", ["streamer.v1.StreamService/GetStream", "streamer.v1.StreamService/WatchStreams"]
)
def test_the_key_is_looked_at_before_the_request_has_come(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "READ_SECONDS", 0.05)

    async def test(house: House) -> None:
        async with grpc.aio.insecure_channel(house.server) as channel:
            for key, code, says in (
                ("", grpc.StatusCode.UNAUTHENTICATED, "no key came with the call"),
                (KEY, grpc.StatusCode.DEADLINE_EXCEEDED, "the request did not arrive within 0 s"),
            ):
                begin: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
                    f"/{path}"
                )
                call = begin(metadata=(("x-api-key", key),))
                with pytest.raises(grpc.aio.AioRpcError, match=says) as caught:
                    await call.read()
                assert caught.value.code() is code
            call = begin(metadata=(("x-api-key", KEY),))
            await call.done_writing()
            with pytest.raises(grpc.aio.AioRpcError, match="the call ended without a request"):
                await call.read()

    in_house(test)


def test_health_waits_a_while_for_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "READ_SECONDS", 0.05)

    async def test(house: House) -> None:
        async with grpc.aio.insecure_channel(house.server) as channel:
            for method in ("Check", "Watch"):
                begin: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
                    f"/grpc.health.v1.Health/{method}"
                )
                call = begin()
                with pytest.raises(
                    grpc.aio.AioRpcError, match="the request did not arrive"
                ) as caught:
                    await call.read()
                assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                call = begin()
                await call.done_writing()
                with pytest.raises(grpc.aio.AioRpcError, match="the call ended without a request"):
                    await call.read()

    in_house(test)


def test_a_deadline_ends_the_call_and_is_counted() -> None:
    async def test(house: House) -> None:
        observed: list[tuple[str, str]] = []
        rpc = next(rpc for rpc in served(house.service) if rpc.name == "AdminService/GetStatus")

        async def never(_request: object, call: Call) -> admin_pb2.Status:
            assert 0 < (call.time_remaining() or 0) <= 0.01
            return await asyncio.Future()

        async def read() -> admin_pb2.GetStatusRequest:
            return admin_pb2.GetStatusRequest()

        answering = Calls(
            Keys(Keyring(b"", KEY), BootClock(), 1_000),
            lambda method, code, _: observed.append((method, code)),
        )
        call = Call([("x-api-key", KEY)], asyncio.get_running_loop().time() + 0.01)
        with pytest.raises(Refusal, match="the deadline of the call passed") as caught:
            await answering.unary(replace(rpc, serve=never), read, call)
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert call.caller.id == "admin"
        assert observed == [("AdminService/GetStatus", "DEADLINE_EXCEEDED")]

    in_house(test)


def test_the_client_says_who_did_not_answer_and_speaks_in_the_clear_to_loopback_only() -> None:
    async def ask() -> None:
        async with Client("127.0.0.1:1", KEY) as nobody:
            await nobody.call(nobody.admin.GetStatus, admin_pb2.GetStatusRequest())

    with pytest.raises(NotReachable, match="start it with `streamer serve`"):
        asyncio.run(ask())
    with pytest.raises(InvalidArgument, match="write host:port"):
        Client("here", KEY)

    async def trusts(server: str) -> Trust | None:
        async with Client(server, KEY) as client, Connection(server, KEY) as below:
            assert below._trust == client._trust
            return client._trust

    for inside in ("127.0.0.1:1", "localhost:1", "[::1]:1"):
        assert asyncio.run(trusts(inside)) is None
    for outside in ("10.0.0.1:8881", "[2001:db8::1]:8881", "pay.example.org:8881"):
        assert asyncio.run(trusts(outside)) is not None


def test_http_serves_metrics_and_health() -> None:
    problems = ["node main: down"]

    async def run() -> None:
        door = HttpDoor(
            make_app(
                lambda: b"streamer_x 1\n", lambda: problems[0], PlainTextResponse("else", 404)
            ),
            "127.0.0.1:0",
        )
        address = await door.start()
        assert (
            door._server.servers[0].sockets[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        ), "an answer waits 40 ms for its end"
        ask = asyncio.get_running_loop().run_in_executor
        assert await ask(None, get, f"http://{address}/metrics") == (200, "streamer_x 1\n")
        assert await ask(None, get, f"http://{address}/healthz") == (200, "alive\n")
        assert await ask(None, get, f"http://{address}/readyz") == (503, "node main: down\n")
        problems[0] = ""
        assert await ask(None, get, f"http://{address}/readyz") == (200, "ready\n")
        assert (await ask(None, get, f"http://{address}/else")) == (404, "else")
        with pytest.raises(ConfigError, match=r"cannot listen there \(api.http_listen\)"):
            await HttpDoor(make_app(bytes, str, PlainTextResponse()), address).start()
        await door.stop()

    asyncio.run(run())
