"""Keys, errors, health and the HTTP port: who gets in, and what they are told."""

from __future__ import annotations

import asyncio
import stat
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from streamer import client, errors
from streamer._proto.streamer.v1 import admin_pb2
from streamer.api.auth import Keys, load_admin_key
from streamer.api.errors import STATUS, UNFORESEEN, rich_status, status_code
from streamer.api.http import HttpDoor, make_app
from streamer.client import CallFailed, Client, NotReachable
from streamer.errors import ConfigError, InvalidArgument, PermissionDenied, Unauthenticated
from tests.api.house import KEY, House, in_house


def test_the_key_file_is_made_once_for_the_owner_and_the_group(tmp_path: Path) -> None:
    key = load_admin_key(tmp_path)
    assert len(key) == 64
    assert stat.S_IMODE((tmp_path / "admin.key").stat().st_mode) == 0o640
    assert load_admin_key(tmp_path) == key
    (tmp_path / "admin.key").write_text("\n")
    with pytest.raises(ConfigError, match="holds no key"):
        load_admin_key(tmp_path)
    with pytest.raises(ConfigError, match="cannot be written"):
        load_admin_key(tmp_path / "absent")


def test_keys_are_taken_from_either_header() -> None:
    keys = Keys(KEY)
    keys.check([("x-api-key", KEY)])
    keys.check([("authorization", "Bearer " + KEY)])
    for nothing in ([], [("x-api-key", "")], [("authorization", "Basic abc")]):
        with pytest.raises(Unauthenticated, match="no key came with the call"):
            keys.check(nothing)
    for wrong in ("x", KEY[:-1], KEY + "k", "ключ"):
        with pytest.raises(PermissionDenied, match="is not known here"):
            keys.check([("x-api-key", wrong)])


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
            async for answer in reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask])):
                names = {service.name for service in answer.list_services_response.service}
                assert {"streamer.v1.StreamService", "streamer.v1.PaymentService", "streamer.v1.AdminService"} <= names

    in_house(test)


def test_every_error_has_its_status() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.StreamerError)}
    assert set(STATUS) == kinds - {errors.StreamerError}


def test_an_unforeseen_error_keeps_its_text_to_itself() -> None:
    code, message, details = rich_status(ValueError("secret of the house"))
    assert (code, message) == (grpc.StatusCode.INTERNAL, UNFORESEEN)
    assert b"secret" not in b"".join(value if isinstance(value, bytes) else value.encode() for _, value in details)

    class Finer(InvalidArgument):
        pass

    assert status_code(Finer("x")) is grpc.StatusCode.INVALID_ARGUMENT


def test_an_unforeseen_error_reaches_the_caller_as_internal() -> None:
    async def test(house: House) -> None:
        house.service.sending.report = lambda: 1 / 0  # type: ignore[method-assign]
        with pytest.raises(CallFailed) as caught:
            await house.client.call(house.client.admin.GetStatus, admin_pb2.GetStatusRequest())
        assert (caught.value.code, str(caught.value)) == ("INTERNAL", UNFORESEEN)
        text = house.metrics.render().decode()
        assert 'streamer_api_requests_total{code="INTERNAL",method="AdminService/GetStatus"} 1.0' in text

    in_house(test)


def test_the_client_says_who_did_not_answer_and_speaks_to_loopback_only() -> None:
    async def ask() -> None:
        async with Client("127.0.0.1:1", KEY) as nobody:
            await nobody.call(nobody.admin.GetStatus, admin_pb2.GetStatusRequest())

    with pytest.raises(NotReachable, match="start it with `streamer serve`"):
        asyncio.run(ask())
    for server, says in (("10.0.0.1:8881", "the key would travel in the clear"), ("here", "write host:port")):
        with pytest.raises(InvalidArgument, match=says):
            client.Client(server, KEY)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_http_serves_metrics_and_health() -> None:
    problems = ["node main: down"]

    async def run() -> None:
        door = HttpDoor(make_app(lambda: b"streamer_x 1\n", lambda: problems[0]), "127.0.0.1:0")
        address = await door.start()
        ask = asyncio.get_running_loop().run_in_executor
        assert await ask(None, get, f"http://{address}/metrics") == (200, "streamer_x 1\n")
        assert await ask(None, get, f"http://{address}/healthz") == (200, "alive\n")
        assert await ask(None, get, f"http://{address}/readyz") == (503, "node main: down\n")
        problems[0] = ""
        assert await ask(None, get, f"http://{address}/readyz") == (200, "ready\n")
        assert (await ask(None, get, f"http://{address}/else"))[0] == 404
        with pytest.raises(ConfigError, match=r"cannot listen there \(api.http_listen\)"):
            await HttpDoor(make_app(bytes, str), address).start()
        await door.stop()

    asyncio.run(run())
