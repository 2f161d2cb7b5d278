"""How keys are ordered and taken over, what makes no sense, and how often one may call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from streamer._proto.streamer.v1 import admin_pb2, stream_pb2
from streamer.api.auth import Keys
from streamer.service import Keyring
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import ResourceExhausted
from tests.api.house import KEY, House, in_house
from tests.api.test_keys import ALL, opened, order, pay, refused


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "scopes is empty"),
        ({"scopes": ["streams"]}, "no scope 'streams'; there are: invoices:read"),
        (
            {"scopes": ["admin"], "budget": stream_pb2.Budget(amount_msat=1)},
            "it could make itself another key",
        ),
        ({"scopes": ["admin"], "max_streams": 1}, "it could make itself another key"),
        ({"scopes": ALL, "destinations": ["02ff"]}, "destination has 2 bytes"),
        ({"scopes": ALL, "destinations": ["xy"]}, "destinations is not hex"),
        ({"scopes": ALL, "budget": stream_pb2.Budget(amount_msat=0)}, "budget.amount_msat is 0"),
        (
            {"scopes": ALL, "budget": stream_pb2.Budget(amount_msat=5, period="1ms")},
            "budget.period is 1ms",
        ),
        ({"scopes": ALL, "max_streams": 0}, "max_streams is below 1"),
        ({"scopes": ALL, "expire_time": Timestamp(seconds=5)}, "expire_time is in the past"),
        ({"scopes": ALL, "name": "a\nb"}, "at most 64 printable characters"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(fields: dict[str, Any], says: str) -> None:
    async def test(house: House) -> None:
        request = admin_pb2.CreateKeyRequest(key=admin_pb2.Key(**fields))
        code, _, words = await refused(house.client.call(house.client.admin.CreateKey, request))
        assert code == "INVALID_ARGUMENT" and says in words

    in_house(test)


def test_a_key_of_an_impervious_client_is_taken_over() -> None:
    async def test(house: House) -> None:
        def request(text: str) -> admin_pb2.ImportKeyRequest:
            return admin_pb2.ImportKeyRequest(
                key=admin_pb2.Key(scopes=ALL, name="old app"), text=text
            )

        theirs = "impervious-key-0123456789"
        made = await house.client.call(house.client.admin.ImportKey, request(theirs))
        async with house.as_key(theirs) as old:
            assert (await opened(old, order(house))).key_id == made.id
        for text in (theirs, KEY):
            code, reason, _ = await refused(
                house.client.call(house.client.admin.ImportKey, request(text))
            )
            assert (code, reason) == ("ALREADY_EXISTS", "KEY_KNOWN")
        for text, says in (
            ("short", "16 to 512"),
            ("has spaces in its middle", "no header can carry"),
            ("schlüssel-schlüssel", "no header can carry"),
        ):
            assert (
                says
                in (await refused(house.client.call(house.client.admin.ImportKey, request(text))))[
                    2
                ]
            )

    in_house(test)


def test_a_key_that_calls_too_often_is_told_when_to_come_back_and_others_are_served() -> None:
    async def often(clock: VirtualClock) -> None:
        keys, last = Keys(Keyring(b"", KEY), clock, 5), "streamer.v1.AdminService.GetStatus"
        for calls, silent_seconds in ((50, 0.1), (0, 0.11), (1, 2), (10, 100), (50, 0)):
            for _ in range(calls):
                await keys.authorize(last, [("x-api-key", KEY)])
            with pytest.raises(
                ResourceExhausted, match="5 requests a second, 50 at once"
            ) as caught:
                await keys.authorize(last, [("x-api-key", KEY)])
            assert (caught.value.reason, caught.value.retry_after_seconds) == ("REQUEST_RATE", 1)
            await asyncio.sleep(silent_seconds)

    run_virtual(often)

    async def test(house: House) -> None:
        _, text = await house.key("streams:read")
        house.keys._per_second = 1
        said = [await house.http.get("/v1/streams", headers={"X-API-KEY": text}) for _ in range(40)]
        assert {answer.status_code for answer in said} == {200, 429}
        late = next(answer for answer in said if answer.status_code == 429)
        assert late.headers["Retry-After"] == "1" and late.json()["code"] == 8
        assert (await house.http.get("/v1/streams")).status_code == 200

    in_house(test)


def test_the_metrics_show_what_is_left_of_budgets() -> None:
    async def test(house: House) -> None:
        key, text = await house.key(
            *ALL, budget=stream_pb2.Budget(amount_msat=14_000, period="total")
        )
        gone, _ = await house.key(
            *ALL, budget=stream_pb2.Budget(amount_msat=14_000, period="total")
        )
        await house.key(*ALL)
        await house.client.call(
            house.client.admin.RevokeKey, admin_pb2.RevokeKeyRequest(id=gone.id)
        )
        async with house.as_key(text) as mine:
            await pay(mine, house.pubkey("receiver"), 7_000)
        house.metrics.watch(house.service.sending.report, dict)
        told = [
            line
            for line in house.metrics.render().decode().splitlines()
            if line.startswith("streamer_budget_remaining_ratio{")
        ]
        assert f'streamer_budget_remaining_ratio{{key="{key.id}"}} 0.5' in told and len(told) == 2
        assert any('key="daemon"' in line for line in told)

    in_house(test, limit_msat=14_000)
