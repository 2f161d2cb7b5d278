"""A request_id is used for one thing, whatever kinds of things it is asked for with, at once or one
after the other.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from streamer._proto.imp.api.lightning import lightning_pb2 as ln
from streamer._proto.streamer.v1 import stream_pb2
from streamer.client import CallFailed
from streamer.words.model import PaymentQuery
from tests.api.house import House, in_house
from tests.api.invoicing import call, create, invoice_of, received

AMOUNT_MSAT = 7_000
TURNS = 50
"""Turns of the loop that a call takes from the service to the journal, and more."""

Way = Callable[[House, str], Awaitable[str]]


async def stream(house: House, _: str) -> str:
    wanted = stream_pb2.Stream(
        destination=house.pubkey("receiver"),
        amount_msat=AMOUNT_MSAT,
        interval=Duration(seconds=3_600),
    )
    request = stream_pb2.CreateStreamRequest(stream=wanted, request_id="r")
    made: str = (await house.client.call(house.client.streams.CreateStream, request)).id
    return made


async def payment(house: House, _: str) -> str:
    return (
        await create(
            house, destination=house.pubkey("receiver"), amount_msat=AMOUNT_MSAT, request_id="r"
        )
    ).id


async def keysend(house: House, _: str) -> str:
    request = ln.KeysendRequest(
        destination=house.pubkey("receiver"), amount=AMOUNT_MSAT // 1_000, request_id="r"
    )
    made: str = (await call(house, "Keysend", request)).payment_hash
    return made


async def invoice(house: House, text: str) -> str:
    return (await create(house, payment_request=text, request_id="r")).id


PAIRS = [
    pair
    for pair in itertools.permutations((stream, payment, keysend, invoice), 2)
    if set(pair) != {payment, keysend}  # the same order by two names
]


def wait_for_both(house: House) -> None:
    """No commit ends before both calls have come to the service, and have had time to look into the
    journal.
    """
    came = 0

    def counted(act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def counting(*arguments: Any, **named: Any) -> Any:
            nonlocal came
            came += 1
            return await act(*arguments, **named)

        return counting

    async def commit() -> None:
        async with asyncio.timeout(10):
            while came < 2:
                await asyncio.sleep(0)
        for _ in range(TURNS):
            await asyncio.sleep(0)

    for noun in (house.service.streams, house.service.payments, house.service.paying):
        noun.create = counted(noun.create)  # type: ignore[method-assign, assignment]
    house.store.commit = commit


def reused(answer: object) -> bool:
    return isinstance(answer, CallFailed) and (answer.code, answer.reason) == (
        "ALREADY_EXISTS",
        "REQUEST_ID_REUSED",
    )


async def made_in(house: House) -> list[str]:
    singles = [
        payment for payment in await house.store.payments(PaymentQuery()) if not payment.stream_key
    ]
    return [*house.engine.book.streams, *(payment.id for payment in singles)]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " and ".join(way.__name__ for way in pair))
def test_a_request_id_makes_one_thing_and_another_is_refused(
    pair: tuple[Way, Way], at_once: bool
) -> None:
    async def test(house: House) -> None:
        text = await invoice_of(house, "receiver", AMOUNT_MSAT)
        if at_once:
            wait_for_both(house)
            answers: list[object] = [
                *await asyncio.gather(*(way(house, text) for way in pair), return_exceptions=True)
            ]
        else:
            answers = [
                await way(house, text) if number == 0 else await refused(way(house, text))
                for number, way in enumerate(pair)
            ]
        assert sorted(map(reused, answers)) == [False, True], answers
        refused_way, made_way = (
            pair[answers.index(answer)]
            for answer in sorted(answers, key=lambda answer: not reused(answer))
        )
        [made] = [answer for answer in answers if not reused(answer)]
        assert await made_way(house, text) == made, "and asked again, it is told of"
        assert reused(await refused(refused_way(house, text))), "and the other is refused again"
        async with asyncio.timeout(10):
            while not received(house):
                await asyncio.sleep(0.01)
        assert received(house) == [AMOUNT_MSAT] and len(await made_in(house)) == 1

    in_house(test)


async def refused(called: Awaitable[str]) -> object:
    with pytest.raises(CallFailed) as caught:
        await called
    return caught.value
