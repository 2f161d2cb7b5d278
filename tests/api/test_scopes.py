"""Every scope × every method, over both doors: exactly what the table says."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from streamer.api.scopes import SCOPES, allows
from streamer.api.services import SERVICES, Rpc, served
from streamer.words.apikey import Scope
from tests.api.house import House, in_house
from tests.api.overhttp import http_form, over_grpc, over_http

BEGINS_SECONDS = 1.0
"""A stream that is not refused has nothing to say: a refusal is here by then."""


def test_every_method_that_is_served_has_a_row_and_no_row_is_left_over() -> None:
    assert {method.full_name for service, _ in SERVICES for method in service.methods} == set(
        SCOPES
    )


def test_a_method_without_a_row_is_refused_to_every_key() -> None:
    assert not any(
        allows(frozenset({scope}), "streamer.v1.StreamService.Forgotten") for scope in Scope
    )
    assert not allows(frozenset(Scope), "streamer.v1.StreamService.Forgotten")


def test_admin_includes_all_and_no_other_scope_includes_another() -> None:
    for method, needed in SCOPES.items():
        assert {scope for scope in Scope if allows(frozenset({scope}), method)} == {
            needed,
            Scope.ADMIN,
        }


async def streaming(
    house: House, channel: grpc.aio.Channel, rpc: Rpc, text: str
) -> tuple[str, str]:
    """Whether both doors refuse a stream of answers, by the word SCOPE_MISSING; empty if it
    begins.
    """
    service, _, name = rpc.full_name.rpartition(".")
    ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
        f"/{service}/{name}"
    )
    call = ask(b"", metadata=(("x-api-key", text),))
    by_grpc = ""
    try:
        await asyncio.wait_for(call.read(), BEGINS_SECONDS)
    except grpc.aio.AioRpcError as error:
        by_grpc = (
            "SCOPE_MISSING"
            if error.code() is grpc.StatusCode.PERMISSION_DENIED
            else error.code().name
        )
    except TimeoutError:
        call.cancel()
    verb, url, _ = http_form(rpc, rpc.request())
    async with house.http.stream(verb, url, headers={"X-API-KEY": text}) as answer:
        by_http = "" if answer.status_code == 200 else (await answer.aread()).decode()
    return by_grpc, "SCOPE_MISSING" if "SCOPE_MISSING" in by_http else by_http


@pytest.mark.parametrize("scope", Scope)
def test_a_key_may_call_what_its_scope_allows_and_nothing_else(scope: Scope) -> None:
    async def test(house: House) -> None:
        _, text = await house.key(scope)
        async with grpc.aio.insecure_channel(house.server) as channel:
            for rpc in served(house.service):
                if rpc.streams:
                    reasons = await streaming(house, channel, rpc, text)
                else:
                    by_grpc = await over_grpc(channel, rpc, rpc.request(), **{"x-api-key": text})
                    by_http = await over_http(house.http, rpc, rpc.request(), **{"X-API-KEY": text})
                    reasons = (by_grpc.reason, by_http.reason)
                may = scope in (SCOPES[rpc.full_name], Scope.ADMIN)
                assert [reason == "SCOPE_MISSING" for reason in reasons] == [not may] * 2, (
                    rpc.full_name,
                    scope,
                    reasons,
                )

    in_house(test)
