"""The rules of the HTTP door: statuses, bodies, headers, server streams. What methods say is in
test_both_doors.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import grpc
import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from streamer._proto.streamer.v1 import admin_pb2
from streamer.api import calls
from streamer.api.auth import REQUEST_RATE
from streamer.api.errors import UNFORESEEN, refusal, refused
from streamer.api.http import gateway
from streamer.api.http.answers import HTTP_STATUS, error_response
from streamer.api.http.headers import deadline_in
from streamer.api.show import timestamp
from streamer.service.reports import Event
from streamer.watch.fanout import bookmark
from streamer.words.errors import InvalidArgument, ResourceExhausted
from streamer.words.money import MAX_MSAT, SECOND_NS
from tests.api.house import KEY, House, in_house


def order(house: House, **fields: object) -> dict[str, object]:
    return {
        "destination": house.pubkey("receiver"),
        "amountMsat": "5000",
        "interval": "60s",
        **fields,
    }


def error(answer: httpx.Response) -> tuple[int, int, str]:
    """(HTTP status, code, message) of an answer that has the error body and nothing else."""
    body = answer.json()
    assert list(body) == ["code", "message", "details"]
    assert answer.headers["content-type"] == "application/json"
    assert body["details"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert body["details"][0]["domain"] == "streamer"
    return answer.status_code, body["code"], body["message"]


def test_every_code_has_its_status() -> None:
    numbers = {code.value[0]: status for code, status in HTTP_STATUS.items()}
    assert numbers == {
        1: 499,
        2: 500,
        3: 400,
        4: 504,
        5: 404,
        6: 409,
        7: 403,
        8: 429,
        9: 400,
        10: 409,
        11: 400,
        12: 501,
        13: 500,
        14: 503,
        15: 500,
        16: 401,
    }


def test_json_out_shows_defaults_and_big_numbers_as_text() -> None:
    async def test(house: House) -> None:
        made = (await house.http.post("/v1/streams", json=order(house))).json()
        assert made["amountMsat"] == "5000"
        assert made["interval"] == "60s"
        assert made["catchUpForever"] is False
        assert (made["tlvRecords"], made["labels"], made["token"], made["owedMsat"]) == (
            [],
            {},
            "",
            "0",
        )
        assert made["state"] == "ACTIVE"
        assert made["maxOpenPayments"] == 1

    in_house(test)


def test_a_stream_whose_budget_outlasts_every_calendar_is_shown_and_hides_no_other() -> None:
    async def test(house: House) -> None:
        for msat in (10**11, MAX_MSAT):
            far = order(
                house,
                amountMsat="1000",
                interval="86400s",
                budget={"amountMsat": str(msat), "period": "total"},
            )
            made = (await house.http.post("/v1/streams", json=far)).json()
            assert "runwayEndTime" not in made["forecast"] and made["budget"]["amountMsat"] == str(
                msat
            )
        listed = (await house.http.get("/v1/streams")).json()["streams"]
        assert [stream["budget"]["amountMsat"] for stream in listed] == [str(MAX_MSAT), str(10**11)]
        assert [stream.get("runwayEndTime") for stream in listed] == [None, None]
        assert timestamp(MAX_MSAT * SECOND_NS).ToJsonString() == "9999-12-31T23:59:59Z"  # type: ignore[union-attr]

    in_house(test)


def test_json_in_takes_both_spellings_and_drops_what_is_unknown() -> None:
    async def test(house: House) -> None:
        given = {
            "destination": house.pubkey("receiver"),
            "amount_msat": 5000,
            "interval": "60s",
            "colour": {"deep": [1]},
            "state": "BLUE",
        }
        made = await house.http.post("/v1/streams?validate_only=true&colour=red", json=given)
        assert (made.status_code, made.json()["amountMsat"]) == (200, "5000")
        assert (await house.http.get("/v1/streams")).json()["streams"] == []

    in_house(test)


NOT_UNDERSTOOD: list[tuple[str | bytes, str]] = [
    ("{", "the body is not JSON"),
    ("[]", "the body is a list; a JSON object is needed"),
    ("null", "the body is null"),
    ("7", "the body is a number"),
    ('"x"', "the body is a text"),
    ("true", "the body is true or false"),
    (b'{"drain": \xff}', "the body is not UTF-8: byte 11 of 12"),
    ('{"drain": NaN}', "NaN is no JSON value"),
    ('{"drain": true, "drain": false}', "a name appears twice"),
    ("[" * 100_000, "nested too deeply"),
    ('{"drain": 1' + "0" * 5_000 + "}", "the body is not JSON"),
    ('{"drain": "yes"}', "the request is not understood"),
    ('{"drain": {}}', "the request is not understood"),
    ('{"drain": [[[]]]}', "the request is not understood"),
]


def test_a_body_that_is_not_understood_is_400() -> None:
    async def test(house: House) -> None:
        for body, says in NOT_UNDERSTOOD:
            status, code, message = error(await house.http.post("/v1/sending:stop", content=body))
            assert (status, code) == (400, 3)
            assert says in message
        assert not house.service.sending.report().stopped_by

    in_house(test)


def test_an_empty_body_is_an_empty_message_and_a_missing_part_is_missing() -> None:
    async def test(house: House) -> None:
        assert (await house.http.post("/v1/sending:stop")).json()["stoppedBy"] == ["OPERATOR"]
        assert error(await house.http.post("/v1/streams")) == (400, 3, "stream is missing")

    in_house(test)


def test_the_query_says_nothing_about_what_the_body_says() -> None:
    async def test(house: House) -> None:
        made = await house.http.post(
            "/v1/streams?validateOnly=true&stream.group=tv&stream.labels[a]=b", json=order(house)
        )
        assert (made.json()["group"], made.json()["labels"]) == ("", {})

    in_house(test)


def test_paths_and_verbs_that_mean_nothing() -> None:
    async def test(house: House) -> None:
        assert error(await house.http.get("/v2/streams"))[:2] == (404, 5)
        for path in ("/v1/streams/", "/metrics/", "/"):
            assert error(await house.http.get(path))[:2] == (404, 5)
        assert error(await house.http.post("/v1/streams/x:fly"))[:2] == (404, 5)
        text = "/v1/streams/x is not called by DELETE, but by GET or PATCH"
        assert error(await house.http.delete("/v1/streams/x")) == (501, 12, text)
        assert error(await house.http.post("/healthz"))[:2] == (501, 12)
        for path in (
            "/v1/subscribe",
            "/v1/message/send",
            "/v1/socket/start",
            "/v1/key/status",
            "/v1/sign/message",
        ):
            assert error(await house.http.get(path)) == (501, 12, f"{path} is not part of streamer")
        for path in ("/v1/keyrings", "/v1/lightning/other", "/v1/", "/v1"):
            assert error(await house.http.get(path))[:2] == (404, 5)

    in_house(test)


def test_the_key_comes_in_any_of_four_headers() -> None:
    async def test(house: House) -> None:
        async with httpx.AsyncClient(base_url=house.http.base_url) as stranger:
            for headers in (
                {"X-API-KEY": KEY},
                {"Grpc-Metadata-X-API-KEY": KEY},
                {"Authorization": f"Bearer {KEY}"},
                {"Grpc-Metadata-Authorization": f"bearer {KEY}"},
            ):
                assert (await stranger.get("/v1/status", headers=headers)).status_code == 200
            answer = await stranger.post("/v1/sending:stop", content="{")
            assert error(answer)[:2] == (401, 16)
            assert answer.headers["www-authenticate"] == 'Bearer realm="streamer"'
            assert error(await stranger.get("/v1/status", headers={"X-API-KEY": "x"}))[:2] == (
                403,
                7,
            )
            assert error(await stranger.get("/v1/streams:watch"))[:2] == (401, 16)

    in_house(test)


def test_an_idempotency_key_is_the_request_id() -> None:
    async def test(house: House) -> None:
        headers = {"Idempotency-Key": "k1"}
        first = (await house.http.post("/v1/streams", json=order(house), headers=headers)).json()
        again = (await house.http.post("/v1/streams?requestId=k1", json=order(house))).json()
        assert first["id"] == again["id"]
        other = await house.http.post(
            "/v1/streams", json=order(house, amountMsat="6000"), headers=headers
        )
        assert error(other)[:2] == (409, 6)
        differ = await house.http.post(
            "/v1/streams?request_id=k2", json=order(house), headers=headers
        )
        assert error(differ) == (
            400,
            3,
            "Idempotency-Key and request_id differ: send one of them, or the same in both",
        )
        assert (await house.http.get("/v1/status", headers=headers)).status_code == 200

    in_house(test)


def test_a_patch_without_a_mask_changes_what_its_body_names() -> None:
    async def test(house: House) -> None:
        made = (await house.http.post("/v1/streams", json=order(house, group="radio"))).json()
        path = f"/v1/streams/{made['id']}"
        got = (
            await house.http.patch(
                path, json={"amount_msat": 7000, "state": "CANCELLED", "colour": 1}
            )
        ).json()
        assert (got["amountMsat"], got["group"], got["state"]) == ("7000", "radio", "ACTIVE")
        got = (
            await house.http.patch(
                f"{path}?updateMask=group",
                json={"amountMsat": "9000", "group": "tv", "id": "st_other"},
            )
        ).json()
        assert (got["amountMsat"], got["group"], got["id"]) == ("7000", "tv", made["id"])
        status, _, message = error(
            await house.http.patch(path, json={"destination": house.pubkey("other")})
        )
        assert (status, message) == (
            400,
            "update_mask: destination cannot be changed: cancel this stream and open another",
        )

    in_house(test)


def test_grpc_timeout_is_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(house: House) -> None:
        async def never(*_: object) -> admin_pb2.Status:
            return await asyncio.Future()

        monkeypatch.setattr(house.service.sending, "stop", never)
        answer = await house.http.post("/v1/sending:stop", headers={"Grpc-Timeout": "20m"})
        assert error(answer)[:2] == (504, 4)
        for text in ("5", "5s", "S", "-1S", "123456789S", "1 S"):
            status, code, message = error(
                await house.http.get("/v1/status", headers={"Grpc-Timeout": text})
            )
            assert (status, code) == (400, 3)
            assert text in message
        now = asyncio.get_running_loop().time()
        for text, seconds in (
            ("2H", 7200),
            ("3M", 180),
            ("5S", 5),
            ("500m", 0.5),
            ("9u", 9e-6),
            ("9n", 9e-9),
            ("99999999H", 86_400),
        ):
            assert (deadline_in(text) or 0) - now == pytest.approx(seconds, abs=5)
        with pytest.raises(InvalidArgument):
            deadline_in("")

    in_house(test)


def test_a_request_that_is_too_slow_or_too_large_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(house: House) -> None:
        monkeypatch.setattr(gateway, "MAX_BODY_BYTES", 1_000)
        assert error(await house.http.post("/v1/sending:stop", content=b" " * 1_001))[:2] == (
            413,
            8,
        )
        assert (await house.http.post("/v1/sending:stop", content=b" " * 1_000)).status_code == 200
        monkeypatch.setattr(calls, "READ_SECONDS", 0.01)
        reader, writer = await asyncio.open_connection(
            house.http.base_url.host, house.http.base_url.port
        )
        writer.write(
            b"POST /v1/sending:stop HTTP/1.1\r\nHost: x\r\nX-API-KEY: %b\r\nContent-Length:"
            b" 10\r\n\r\n{" % KEY.encode()
        )
        assert b" 504 " in await reader.readline()
        writer.close()
        monkeypatch.setattr(gateway, "REQUEST_SECONDS", 0.01)

        async def never(*_: object) -> admin_pb2.Status:
            return await asyncio.Future()

        monkeypatch.setattr(house.service.sending, "stop", never)
        monkeypatch.setattr(calls, "READ_SECONDS", 30)
        assert error(await house.http.post("/v1/sending:stop"))[:2] == (504, 4)
        monkeypatch.setattr(gateway, "MAX_CALLS", 0)
        assert error(await house.http.get("/v1/status"))[:2] == (429, 8)

    in_house(test)


@pytest.mark.parametrize("target", ["POST /v1/streams", "GET /v1/streams:watch"])
def test_without_a_key_no_byte_of_a_body_is_taken(target: str) -> None:
    async def test(house: House) -> None:
        reader, writer = await asyncio.open_connection(
            house.http.base_url.host, house.http.base_url.port
        )
        writer.write(
            b"%b HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n{" % target.encode()
        )
        async with asyncio.timeout(10):
            assert b" 401 " in await reader.readline()
        writer.close()
        text = house.metrics.render().decode()
        assert (
            'streamer_api_requests_total{code="UNAUTHENTICATED"' in text and "INTERNAL" not in text
        )

    in_house(test)


def test_who_leaves_before_the_request_has_arrived_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(house: House) -> None:
        for target in (b"POST /v1/streams", b"GET /v1/streams:watch"):
            _, writer = await asyncio.open_connection(
                house.http.base_url.host, house.http.base_url.port
            )
            writer.write(
                b"%b HTTP/1.1\r\nHost: x\r\nX-API-KEY: %b\r\nContent-Length: 9\r\n\r\n{"
                % (target, KEY.encode())
            )
            await writer.drain()
            writer.close()
        async with asyncio.timeout(10):
            while house.metrics.render().decode().count('{code="CANCELLED"') < 2:
                await asyncio.sleep(0.01)
        assert not caplog.records

    in_house(test)


def test_an_unforeseen_error_is_500_and_keeps_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(house: House) -> None:
        monkeypatch.setattr(house.service.sending, "report", lambda: 1 / 0)
        assert error(await house.http.get("/v1/status")) == (500, 13, UNFORESEEN)

    in_house(test)


def test_a_wait_that_the_error_names_becomes_retry_after() -> None:
    told = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "slower", "RATE")
    told.status.details.add().Pack(
        error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=1))
    )
    assert error_response(told).headers["retry-after"] == "2"
    assert (
        error_response(refusal(ResourceExhausted("slower", REQUEST_RATE, 3))).headers["retry-after"]
        == "3"
    )
    assert (
        "retry-after"
        not in error_response(refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "slower", "RATE")).headers
    )


def test_no_origin_may_call_unless_it_is_listed() -> None:
    origin = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }

    async def closed(house: House) -> None:
        answer = await house.http.options("/v1/streams", headers=origin)
        assert error(answer)[:2] == (501, 12)
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert (
            "access-control-allow-origin"
            not in (await house.http.get("/v1/status", headers=origin)).headers
        )

    async def opened(house: House) -> None:
        answer = await house.http.options("/v1/streams", headers=origin)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (
            200,
            "https://shop.example",
        )
        assert (
            await house.http.options(
                "/v1/streams", headers={**origin, "Origin": "https://else.example"}
            )
        ).status_code == 400

    in_house(closed)
    in_house(opened, cors_origins=("https://shop.example",))


def test_a_server_stream_is_a_json_object_a_line_and_begins_at_once() -> None:
    async def test(house: House) -> None:
        async with house.http.stream("GET", "/v1/streams:watch?filter=labels.app=x") as answer:
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
            made = (
                await house.http.post("/v1/streams", json=order(house, labels={"app": "x"}))
            ).json()
            lines = answer.aiter_lines()
            bookmark = json.loads(await anext(lines))
            line = json.loads(await anext(lines))
        assert list(bookmark["result"]) == ["cursor"]
        assert list(line) == ["result"]
        assert line["result"]["stream"]["id"] == made["id"]
        async with asyncio.timeout(10):
            while (
                b'{code="CANCELLED",method="StreamService/WatchStreams"} 1.0'
                not in house.metrics.render()
            ):
                await asyncio.sleep(0.01)

    in_house(test)


def test_a_server_stream_of_which_the_reader_takes_nothing_is_cut() -> None:
    async def test(house: House) -> None:
        async def endless(cut: Callable[[], object]) -> AsyncIterator[Event]:
            yield bookmark(1)
            cut()
            await asyncio.Future()

        house.service.streams.watch = lambda *given: endless(given[-1])  # type: ignore[method-assign]
        async with asyncio.timeout(30), house.http.stream("GET", "/v1/streams:watch") as answer:
            with pytest.raises(httpx.ReadError):
                await answer.aread()

    in_house(test)


def test_a_server_stream_that_breaks_says_so_in_its_last_line() -> None:
    async def test(house: House) -> None:
        assert error(await house.http.get("/v1/streams:watch?filter=colour=red"))[:2] == (400, 3)
        async with house.http.stream(
            "GET", "/v1/streams:watch", headers={"Grpc-Timeout": "50m"}
        ) as answer:
            lines = [json.loads(line) async for line in answer.aiter_lines()]
        assert [list(line) for line in lines] == [["result"], ["error"]]
        assert (lines[1]["error"]["code"], answer.status_code) == (4, 200)

    in_house(test)
