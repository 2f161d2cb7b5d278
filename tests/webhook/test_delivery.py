"""How events are sent, and sent again: on a clock that jumps, against a receiver in memory."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise

import httpx
import pytest

from streamer._proto.streamer.v1.webhook_pb2 import WebhookEvent
from streamer.api.webhook import delivery
from streamer.api.webhook.delivery import Delivery
from streamer.api.webhook.outbox import Outbox
from streamer.books.desk import Desk
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.stores.memory import MemoryStore
from streamer.words.errors import ResourceExhausted, StoreFailed, StreamerError, Unavailable
from streamer.words.model import Facts, Outgoing
from streamer.words.money import SECOND_NS
from tests.service.given import book

URL = "https://example.org/hook"


class Posting:
    """A journal with events, and what became of them. answer gives the status for the nth call of
    an event.
    """

    def __init__(self, clock: VirtualClock, answer: Callable[[int, int], int | Exception]) -> None:
        self.clock, self.answer = clock, answer
        self.store = MemoryStore()
        self.store.load()
        self.outbox = Outbox(frozenset(), clock, 0, 0, ())
        self.calls: Counter[int] = Counter()
        self.times: dict[int, list[float]] = {}
        self.dropped = 0
        self.time_known = True
        self.open = self.most_open = 0
        transport = httpx.MockTransport(self._take)
        desk = Desk(self.store, clock, book().shared, lambda _: None)
        self.delivery = Delivery(
            desk, self.outbox, clock, URL, b"s" * 32, self._drop, transport, lambda: self.time_known
        )

    def _drop(self) -> None:
        self.dropped += 1

    async def _take(self, request: httpx.Request) -> httpx.Response:
        number = int(json.loads(request.content)["type"])
        self.calls[number] += 1
        self.times.setdefault(number, []).append(asyncio.get_running_loop().time())
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await asyncio.sleep(0.1)
        finally:
            self.open -= 1
        answer = self.answer(number, self.calls[number])
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, headers={"Location": URL} if answer == 302 else {})

    async def put(self, *numbers: int, age_ns: int = 0) -> None:
        made = [
            Outgoing(
                number,
                self.clock.now_ns() - age_ns,
                WebhookEvent(type=str(number)).SerializeToString(),
            )
            for number in numbers
        ]
        await self.store.append(Facts(outgoing=made))
        self.outbox.kept = numbers[-1]
        self.outbox.on_news()

    async def left(self) -> list[int]:
        return [event.number for event in await self.store.outgoing(0, 10_000)]


def run(
    answer: Callable[[int, int], int | Exception], test: Callable[[Posting], Awaitable[None]]
) -> None:
    async def main(clock: VirtualClock) -> None:
        post = Posting(clock, answer)
        running = asyncio.ensure_future(post.delivery.run())
        await test(post)
        running.cancel()

    run_virtual(main)


def test_each_event_is_sent_once_and_then_forgotten() -> None:
    async def test(post: Posting) -> None:
        await post.put(*range(1, 701))
        await asyncio.sleep(60)
        assert set(post.calls.values()) == {1} and len(post.calls) == 700
        assert post.most_open == delivery.CALLS
        assert await post.left() == []

    run(lambda *_: 200, test)


def test_failures_of_every_kind_are_tried_again_with_growing_waits_and_jitter() -> None:
    cuts = {
        4: httpx.ConnectError("refused"),
        5: httpx.ReadTimeout("slow"),
        6: httpx.RemoteProtocolError("cut"),
    }
    failures: dict[int, int | Exception] = {1: 500, 2: 404, 3: 302, **cuts}

    async def test(post: Posting) -> None:
        await post.put(*failures)
        await asyncio.sleep(600)
        assert set(post.calls.values()) == {8}
        for times in post.times.values():
            waits = [after - before for before, after in pairwise(times)]
            # the last may be shortened by the success of another
            for number, wait in enumerate(waits[:-1]):
                longest = min(
                    delivery.FIRST_WAIT_SECONDS * 2**number, delivery.LONGEST_WAIT_SECONDS
                )
                assert longest / 2 <= wait - 0.1 <= longest + 0.2
        assert len({times[-1] for times in post.times.values()}) == len(failures)
        assert await post.left() == []

    run(lambda number, count: failures[number] if count < 8 else 204, test)


def test_one_that_is_refused_for_ever_stops_no_other_and_is_given_up_in_the_end() -> None:
    async def test(post: Posting) -> None:
        await post.put(1, age_ns=delivery.GIVE_UP_NS - 100 * SECOND_NS)
        await asyncio.sleep(5)
        await post.put(*range(2, 200))
        await asyncio.sleep(80)
        assert await post.left() == [1]
        await asyncio.sleep(100)
        assert await post.left() == []
        assert post.dropped == 1

    run(lambda number, _: 400 if number == 1 else 200, test)


def test_nothing_is_given_up_for_its_age_before_the_time_is_known() -> None:
    async def test(post: Posting) -> None:
        post.time_known = False
        await post.put(1, age_ns=2 * delivery.GIVE_UP_NS)
        await asyncio.sleep(300)
        assert await post.left() == [1]
        post.time_known = True
        await asyncio.sleep(100)
        assert (await post.left(), post.dropped) == ([], 1)

    run(lambda *_: 400, test)


def test_when_the_receiver_is_back_nothing_waits_for_its_turn() -> None:
    back = [False]

    async def test(post: Posting) -> None:
        await post.put(*range(1, 101))
        assert not post.delivery.problem
        await asyncio.sleep(600)
        assert len(await post.left()) == 100
        assert "does not take events: it answers HTTP 503; " in post.delivery.problem
        back[0] = True
        await asyncio.sleep(delivery.LONGEST_WAIT_SECONDS / 4 + 10)
        assert await post.left() == [] and not post.delivery.problem

    run(lambda *_: 200 if back[0] else 503, test)


def test_no_more_than_a_bounded_number_is_in_memory() -> None:
    async def test(post: Posting) -> None:
        await post.put(*range(1, 1_001))
        await asyncio.sleep(120)
        assert len(post.calls) <= delivery.WAITING
        assert len(await post.left()) == 1_000

    run(lambda *_: 503, test)


def test_a_document_that_cannot_be_read_is_told_of_all_the_same() -> None:
    assert json.loads(delivery._body(Outgoing(17, 0, b"\xff\xff")) or b"") == {
        "id": "ev_0000000000000011",
        "type": "unreadable",
    }


def test_an_event_that_cannot_be_shown_is_dropped_and_stops_no_other() -> None:
    async def test(post: Posting) -> None:
        poison = WebhookEvent(type="1")
        poison.stream.runway_end_time.seconds = 253_402_300_800
        await post.store.append(
            Facts(outgoing=[Outgoing(1, post.clock.now_ns(), poison.SerializeToString())])
        )
        await post.put(2, 3)
        await asyncio.sleep(60)
        assert (set(post.calls), post.dropped) == ({2, 3}, 1)
        assert await post.left() == []

    run(lambda *_: 200, test)


@pytest.mark.parametrize(
    "error",
    [ResourceExhausted("1000 reads wait"), Unavailable("too slow"), StoreFailed("cannot be read")],
)
def test_a_journal_that_cannot_be_read_now_is_read_later(error: StreamerError) -> None:
    async def test(post: Posting) -> None:
        read = post.store.outgoing

        async def busy(after: int, limit: int) -> list[Outgoing]:
            raise error

        post.store.outgoing = busy  # type: ignore[method-assign]
        await post.put(1)
        await asyncio.sleep(60)
        assert str(error) in post.delivery.problem
        post.store.outgoing = read  # type: ignore[method-assign]
        await asyncio.sleep(5)
        assert await post.left() == [] and not post.delivery.problem

    run(lambda *_: 200, test)


def test_the_journal_is_not_asked_while_it_has_nothing() -> None:
    async def test(post: Posting) -> None:
        read, asked = post.store.outgoing, list[int]()

        async def counted(after: int, limit: int) -> list[Outgoing]:
            asked.append(after)
            return await read(after, limit)

        post.store.outgoing = counted  # type: ignore[method-assign]
        await asyncio.sleep(60)
        assert len(asked) == 1
        await post.put(1)
        post.outbox.last = 2  # one was dropped
        await asyncio.sleep(60)
        assert await post.left() == [] and len(asked) < 10

    run(lambda *_: 200, test)


def test_it_ends_with_the_journal() -> None:
    async def main(clock: VirtualClock) -> None:
        post = Posting(clock, lambda *_: 200)
        running = asyncio.ensure_future(post.delivery.run())
        await post.put(1)
        await asyncio.sleep(0.01)
        post.store.fail()
        await asyncio.wait_for(running, 60)

    run_virtual(main)
