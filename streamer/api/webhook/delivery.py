"""Takes events from the journal, posts them, tries again with growing waits, and deletes what
arrived.

At least once: an event is deleted only after a receiver answered 2xx, and a crash before that sends
it again. Events overtake each other when one has to be tried again. Whatever a receiver does, at
most CALLS calls are open and WAITING events in memory; the others wait in the journal.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import httpx
from google.protobuf.message import DecodeError

from streamer import __version__
from streamer._proto.streamer.v1.webhook_pb2 import WebhookEvent
from streamer.api.http.jsonwire import dumped, shown
from streamer.api.webhook.outbox import Outbox, event_id
from streamer.api.webhook.signature import HEADER, signature
from streamer.books.desk import Desk
from streamer.ports import Clock
from streamer.words.errors import ResourceExhausted, StoreFailed, Unavailable
from streamer.words.model import Facts, Outgoing
from streamer.words.money import DAY_NS, SECOND_NS

log = logging.getLogger(__name__)

CALLS = 8
"""Calls to the receiver at once."""
CALL_SECONDS = 10.0
"""How long a receiver may take for one event."""
WAITING = 500
"""Events in memory: being sent, or waiting to be tried again."""
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
GIVE_UP_NS = 3 * DAY_NS
"""An event of which a receiver will have nothing for so long is dropped, and counted."""
READ_SECONDS = 0.05
"""Between two looks for events whose commit is still under way."""
DELETE_SECONDS = 1.0
"""What arrived is deleted this often: a crash in between sends it again."""


@dataclass(order=True, slots=True)
class _Attempt:
    due: float
    number: int
    event: Outgoing = field(compare=False)
    tries: int = field(compare=False, default=0)


class Delivery:
    """Run it beside the engines. on_dropped is called for each event that was given up.

    transport replaces the network. While the time is not known nothing is given up for its age.
    """

    def __init__(
        self,
        desk: Desk,
        outbox: Outbox,
        clock: Clock,
        url: str,
        secret: bytes,
        on_dropped: Callable[[], None],
        transport: httpx.AsyncBaseTransport | None = None,
        time_known: Callable[[], bool] = lambda: True,
    ) -> None:
        self._desk = desk
        self._outbox = outbox
        self._clock = clock
        self._url = url
        self._secret = secret
        self._on_dropped = on_dropped
        self._transport = transport
        self._time_known = time_known
        self._due: list[_Attempt] = []
        self._open = 0
        self._done: list[int] = []
        self._read = 0
        self._news = asyncio.Event()
        self._ready = asyncio.Event()
        self._refusal = self._unread = ""
        self._chance = random.SystemRandom()
        outbox.on_news = self._news.set

    @property
    def problem(self) -> str:
        """Why events do not arrive, in words; empty if the last one did, or none was tried."""
        if self._unread or not self._refusal:
            return self._unread
        host = httpx.URL(self._url).host
        return (
            f"the webhook at {host} does not take events: {self._refusal}; {self._outbox.waiting:,}"
            " wait, and are sent again for 3 days"
        )

    async def run(self) -> None:
        """Deliver until cancelled; ends with the store."""
        limits = httpx.Limits(max_connections=CALLS)
        try:
            client = httpx.AsyncClient(
                timeout=CALL_SECONDS,
                limits=limits,
                follow_redirects=False,
                transport=self._transport,
            )
            async with client as http, anyio.create_task_group() as tasks:
                for _ in range(CALLS):
                    tasks.start_soon(self._work, http)
                tasks.start_soon(self._delete)
                await self._fetch()
        except* StoreFailed:
            log.debug("the webhook waits for the journal")  # the daemon halts for it, and says so

    async def _fetch(self) -> None:
        """Read events from the journal, in their order, as far as there is room for them."""
        while True:
            room = WAITING - len(self._due) - self._open
            events = await self._events(room) if room > 0 else []
            for event in events:
                self._read = event.number
                heapq.heappush(self._due, _Attempt(0.0, event.number, event))
            if events:
                self._ready.set()
            elif self._read >= self._outbox.kept or room <= 0:
                self._news.clear()
                await self._news.wait()
            await asyncio.sleep(READ_SECONDS)

    async def _events(self, room: int) -> list[Outgoing]:
        """The next events of the journal; if that cannot be read now, it is tried until it can."""
        while True:
            try:
                events = await self._desk.history.outgoing(self._read, room)
            except (Unavailable, ResourceExhausted, StoreFailed) as error:
                self._unread = (
                    f"the webhook's events cannot be read now, and are tried again: {error}"
                )
                await asyncio.sleep(FIRST_WAIT_SECONDS)
            else:
                self._unread = ""
                return events

    async def _work(self, http: httpx.AsyncClient) -> None:
        while True:
            attempt = await self._next()
            body = _body(attempt.event)
            if body is None:
                self._drop(attempt)
                continue
            self._open += 1
            try:
                refusal = await self._post(http, attempt.event, body)
            finally:
                self._open -= 1
            if not refusal:
                self._arrived(attempt)
            elif self._time_known() and self._clock.now_ns() - attempt.event.time_ns > GIVE_UP_NS:
                self._drop(attempt)
            else:
                self._again(attempt, refusal)
            self._news.set()

    def _drop(self, attempt: _Attempt) -> None:
        self._done.append(attempt.number)
        self._on_dropped()
        self._news.set()

    async def _next(self) -> _Attempt:
        loop = asyncio.get_running_loop()
        while not self._due or self._due[0].due > loop.time():
            self._ready.clear()
            wait = self._due[0].due - loop.time() if self._due else None
            try:
                async with asyncio.timeout(wait):
                    await self._ready.wait()
            except TimeoutError:
                pass
        return heapq.heappop(self._due)

    async def _post(self, http: httpx.AsyncClient, event: Outgoing, body: bytes) -> str:
        """One attempt; why it failed, empty if it did not. The answer's body is not read."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"streamer/{__version__}",
            "Streamer-Event-Id": event_id(event.number),
            HEADER: signature(self._secret, self._clock.wall_ns() // SECOND_NS, body),
        }
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                http.stream("POST", self._url, content=body, headers=headers) as reply,
            ):
                return "" if reply.is_success else f"it answers HTTP {reply.status_code}"
        except TimeoutError:
            return f"it does not answer within {CALL_SECONDS:.0f} s"
        except httpx.HTTPError as error:
            return str(error) or type(error).__name__

    def _arrived(self, attempt: _Attempt) -> None:
        self._done.append(attempt.number)
        if self._refusal:
            self._refusal = ""
            log.info("the webhook takes events again")
            now = asyncio.get_running_loop().time()
            for other in self._due:
                other.due = min(other.due, now + self._chance.uniform(0, FIRST_WAIT_SECONDS))
            heapq.heapify(self._due)
            self._ready.set()

    def _again(self, attempt: _Attempt, refusal: str) -> None:
        before, self._refusal = self._refusal, refusal
        if not before:
            log.warning(
                "the webhook at %s does not take events: %s; they wait, and are sent again",
                httpx.URL(self._url).host,
                refusal,
            )
        wait = min(
            FIRST_WAIT_SECONDS * 2**attempt.tries, LONGEST_WAIT_SECONDS
        ) * self._chance.uniform(0.5, 1)
        attempt.tries = min(attempt.tries + 1, 30)
        attempt.due = asyncio.get_running_loop().time() + wait
        heapq.heappush(self._due, attempt)
        self._ready.set()

    async def _delete(self) -> None:
        while True:
            await asyncio.sleep(DELETE_SECONDS)
            if self._done:
                done, self._done = self._done, []
                await self._desk.durable(Facts(delivered=done))


def _body(event: Outgoing) -> bytes | None:
    """As JSON; as little as is known of an event whose document cannot be read any more; None if
    JSON has no form for it.
    """
    try:
        message = WebhookEvent.FromString(event.document)
    except DecodeError:
        message = WebhookEvent(id=event_id(event.number), type="unreadable")
    try:
        return dumped(shown(message))
    except Exception as error:
        # one event that cannot be shown must not keep the others from their receiver
        log.warning(
            "the webhook's event %s is dropped, for it has no form in JSON: %s",
            event_id(event.number),
            error,
        )
        return None
