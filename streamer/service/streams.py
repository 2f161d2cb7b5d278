"""Use cases of streams: open, show, change, pause, resume, cancel, renew, watch.

A reply means durable: memory is changed, the facts are appended, and only then is answered. Reads
come from memory, of streams that ended long ago from the journal.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from heapq import merge
from itertools import chain
from operator import attrgetter

from streamer.core import lifecycle
from streamer.core.book import Book
from streamer.core.streamtime import origin_ns, paid_until_ns
from streamer.pay.engine import Engine
from streamer.service import archived
from streamer.service.explain import explain
from streamer.service.filters import page_size, page_start, parse_stream_filter, term_of_key
from streamer.service.forecast import forecast, payments_per_second, runway_end_ns
from streamer.service.keyring import Keyring
from streamer.service.nodes import Nodes, own_pubkey
from streamer.service.orders import Forecast, StreamOrder
from streamer.service.payments import live, report_payment
from streamer.service.permission import (
    owns,
    require_affordable_stream,
    require_another_stream,
    require_live,
    require_may_pay,
    require_not_revoked,
)
from streamer.service.reports import Event, Events, PaymentReport, StreamReport
from streamer.service.requests import Requests
from streamer.service.terms import (
    PAYMENT_FIELDS,
    changed_terms,
    check_request_id,
    differs,
    terms_of,
)
from streamer.words.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    StreamerError,
)
from streamer.words.model import ENDED, ApiKey, Facts, PaymentQuery, Request, Stream, Terms
from streamer.words.settings import StreamSettings

ID_BYTES = 16
YIELD_EVERY = 5_000
"""Streams that a list looks at before it lets payments go first again."""
GRAPH_PATIENCE_SECONDS = 2.0
"""How long a forecast waits for what the graph says of the receiver."""

_KEY = attrgetter("key")

Act = Callable[[Engine, Stream, int, Facts], None]


class Streams:
    """The use cases of StreamService."""

    def __init__(
        self,
        nodes: Nodes,
        ring: Keyring,
        settings: StreamSettings,
        events: Events,
        stream_keys: Iterator[int],
        request_ids: Requests,
    ) -> None:
        """stream_keys gives the keys of new streams, rising."""
        self._nodes = nodes
        self._ring = ring
        self._settings = settings
        self._events = events
        self._stream_keys = stream_keys
        self._request_ids = request_ids

    # -- open ---------------------------------------------------------------------------------

    async def create(
        self, caller: ApiKey, order: StreamOrder, request_id: str, validate_only: bool
    ) -> StreamReport:
        """Open a stream, once per request_id of a caller; validate_only: forecast it and create
        nothing.
        """
        engine = self._nodes.engine_for(order.node)
        if validate_only:
            check_request_id(request_id)
            # what would be refused is no good order, and every moment in a forecast a guess
            self._nodes.timekeeping.require_known()
            return await self._forecast(caller, order, engine)
        return await self._request_ids.once(
            caller,
            request_id,
            order,
            lambda asked: self._open(caller, order, engine, asked),
            lambda made: self.get(caller, made),
        )

    def _allowed_terms(
        self, caller: ApiKey, order: StreamOrder, engine: Engine, now_ns: int
    ) -> Terms:
        terms = terms_of(order, now_ns, self._settings, engine.name, own_pubkey(engine))
        require_may_pay(caller, terms.destination, now_ns)
        require_affordable_stream(terms, caller, self._nodes.shared.budgets.spend_limit.limit_msat)
        require_another_stream(caller, self._in_memory())
        return terms

    async def _open(
        self, caller: ApiKey, order: StreamOrder, engine: Engine, asked: Request | None
    ) -> StreamReport:
        self._nodes.timekeeping.require_known()
        now_ns = self._nodes.clock.now_ns()
        terms = self._allowed_terms(caller, order, engine, now_ns)
        self._require_room()
        stream_id, key = "st_" + secrets.token_hex(ID_BYTES), next(self._stream_keys)
        stream = lifecycle.new_stream(stream_id, key, terms, now_ns, caller.number)

        def action(now_ns: int, facts: Facts) -> None:
            lifecycle.open_stream(engine.book, stream, now_ns, facts)
            if asked is not None:
                facts.requests.append(replace(asked, resource_id=stream.id))
            engine.wake()

        await self._nodes.desk.make(action)
        return replace(
            self._report(stream), forecast=self._forecast_of(stream, engine, now_ns, new=True)
        )

    async def _forecast(self, caller: ApiKey, order: StreamOrder, engine: Engine) -> StreamReport:
        now_ns = self._nodes.clock.now_ns()
        terms = self._allowed_terms(caller, order, engine, now_ns)
        stream = lifecycle.new_stream("", 0, terms, now_ns)
        found = self._forecast_of(stream, engine, now_ns, new=True)
        try:
            async with asyncio.timeout(GRAPH_PATIENCE_SECONDS):
                accepts = await engine.node.accepts_keysend(terms.destination)
        except (TimeoutError, StreamerError):
            accepts = None
        if accepts is False:
            found = replace(
                found,
                warnings=(
                    *found.warnings,
                    "RECEIVER: the graph says that this node does not accept keysend",
                ),
            )
        return StreamReport(stream, runway_end_ns=found.runway_end_ns or 0, forecast=found)

    def _forecast_of(
        self, stream: Stream, engine: Engine, now_ns: int, new: bool = False
    ) -> Forecast:
        others = self._nodes.wanted_per_second(engine) - (
            0.0 if new else payments_per_second(stream.terms)
        )
        return forecast(stream.terms, now_ns, engine.window.capacity_per_second, max(0.0, others))

    # -- show ---------------------------------------------------------------------------------

    async def get(self, caller: ApiKey, stream_id: str) -> StreamReport:
        """One stream, with forecast and last payment. Raises NotFound, for another key's stream
        too.
        """
        engine, stream = await self._find(caller, stream_id)
        await self._nodes.desk.settled_of(stream_id)
        newest = await self._nodes.history.payments(PaymentQuery(owner=stream_id, limit=1))
        last = report_payment(self._nodes, live(self._nodes, newest[0]), stream) if newest else None
        return replace(
            self._report(stream),
            last_payment=last,
            forecast=self._forecast_of(stream, engine, self._nodes.clock.now_ns()),
        )

    async def page(
        self, caller: ApiKey, filter_text: str, size: int, token: str
    ) -> tuple[list[StreamReport], str]:
        """A page of the caller's streams, newest first, and the token of the next page (empty: this
        is the last).
        """
        wanted, limit, below = parse_stream_filter(filter_text), page_size(size), page_start(token)

        def shown(stream: Stream) -> bool:
            return (
                (not below or stream.key < below)
                and owns(caller, stream.api_key)
                and wanted.matches(stream)
            )

        found: list[Stream] = []
        on_their_way = archived.leaving(self._nodes).values()
        for number, stream in enumerate(chain(on_their_way, self._newest_first())):
            if number % YIELD_EVERY == YIELD_EVERY - 1:
                await asyncio.sleep(0)
            if shown(stream):
                found.append(stream)
                if len(found) > limit + len(on_their_way):
                    break
        older = await archived.newest_first(self._nodes, caller, wanted, below, limit + 1)
        # memory before the archive, and again: one that left while we looked is in both, and one
        # that came back would be in neither
        both = {stream.key: stream for stream in (*older, *found, *filter(shown, self._recalled()))}
        found = [both[key] for key in sorted(both, reverse=True)[: limit + 1]]
        more = len(found) > limit
        return [self._report(stream) for stream in found[:limit]], (
            str(found[limit - 1].key) if more else ""
        )

    def watch(
        self,
        caller: ApiKey,
        filter_text: str,
        cursor: int = 0,
        cut: Callable[[], object] = lambda: None,
    ) -> AsyncIterator[Event]:
        """Events of the caller's matching streams after cursor (0: from now on), and bookmarks; see
        Feed.watch.

        Raises InvalidArgument, OutOfRange, ResourceExhausted.
        """
        if cursor < 0:
            raise InvalidArgument(
                f"cursor is {cursor}: take one that came with an event, or 0 to watch from now on"
            )
        wanted = parse_stream_filter(filter_text)

        def matches(event: Event) -> bool:
            stream = event.stream
            return (
                stream is not None
                and owns(caller, stream.api_key)
                and wanted.matches(stream, event.state, event.reason)
            )

        term = wanted.rarest or ("" if caller.admin else term_of_key(caller.number))
        return self._watched(caller, self._events.watch(matches, cursor, cut, term))

    async def _watched(self, caller: ApiKey, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        async for event in events:
            require_live(caller, self._nodes.known_ns())
            yield event

    def report_event(self, event: Event) -> tuple[StreamReport | None, PaymentReport | None]:
        """The stream (None for a bookmark) and the payment of an event with what follows from the
        books now.
        """
        stream = None if event.stream is None else self._report(event.stream)
        return stream, (
            None
            if event.payment is None
            else report_payment(self._nodes, event.payment, event.stream)
        )

    # -- change -------------------------------------------------------------------------------

    async def update(
        self, caller: ApiKey, stream_id: str, order: StreamOrder, paths: frozenset[str]
    ) -> StreamReport:
        """Replace what paths name; what that does not change is not checked anew, but whether the
        caller may pay always is.

        Raises InvalidArgument, PermissionDenied, NotFound, FailedPrecondition (the stream has
        ended, by its end time too).
        """

        def change(engine: Engine, stream: Stream, now_ns: int, facts: Facts) -> None:
            before = stream.terms
            terms = changed_terms(before, order, paths, now_ns, self._settings)
            if timed(terms) != timed(before):
                self._nodes.timekeeping.require_known()
            require_may_pay(caller, terms.destination, self._nodes.known_ns())
            if differs(before, terms, PAYMENT_FIELDS):
                require_affordable_stream(
                    terms,
                    self._ring.of(stream.api_key),
                    self._nodes.shared.budgets.spend_limit.limit_msat,
                )
            lifecycle.change(engine.book, stream, terms, now_ns, facts)
            if stream.terms != terms:
                # its end was due, and took effect first: nobody must be told that the change was
                # made
                raise FailedPrecondition(
                    f"{stream.id} has ended ({stream.state}, {stream.reason}) and cannot be changed"
                )

        return await self._act(caller, stream_id, change)

    async def pause(self, caller: ApiKey, stream_id: str) -> StreamReport:
        """Stop buying; pausing a paused stream changes nothing."""
        return await self._act(
            caller,
            stream_id,
            lambda engine, stream, now_ns, facts: lifecycle.pause(
                engine.book, stream, now_ns, facts
            ),
        )

    async def resume(self, caller: ApiKey, stream_id: str) -> StreamReport:
        """Go on; a stream that waits after a failure tries now. Raises FailedPrecondition if its
        key has ended.
        """

        def act(engine: Engine, stream: Stream, now_ns: int, facts: Facts) -> None:
            self._nodes.timekeeping.require_known()
            require_not_revoked(self._ring.of(stream.api_key), stream)
            lifecycle.resume(engine.book, stream, now_ns, facts)

        return await self._act(caller, stream_id, act)

    async def cancel(self, caller: ApiKey, stream_id: str) -> StreamReport:
        """Stop for good; cancelling an ended stream changes nothing."""
        return await self._act(
            caller,
            stream_id,
            lambda engine, stream, now_ns, facts: lifecycle.cancel(
                engine.book, stream, now_ns, facts
            ),
        )

    async def renew(self, caller: ApiKey, filter_text: str) -> int:
        """Put expire_time of every matching stream of the caller that has a ttl ahead; how many
        there were.
        """
        wanted, renewed = parse_stream_filter(filter_text), list[str]()

        def action(stream: Stream, now_ns: int, facts: Facts) -> None:
            if (
                stream.terms.ttl_ns is not None
                and owns(caller, stream.api_key)
                and wanted.matches(stream)
            ):
                engine = self._nodes.engines[stream.terms.node]
                if lifecycle.renew(engine.book, stream, now_ns, facts):
                    renewed.append(stream.id)

        await self._nodes.desk.make_in_steps(list(self._in_memory()), action)
        for engine in self._nodes.engines.values():
            engine.wake()
        return len(renewed)

    async def _act(self, caller: ApiKey, stream_id: str, act: Act) -> StreamReport:
        engine, stream = await self._find(caller, stream_id)

        def action(now_ns: int, facts: Facts) -> None:
            try:
                act(engine, stream, now_ns, facts)
            finally:
                engine.wake()

        await self._nodes.desk.make(action)
        return await self.get(caller, stream_id)

    # -- find ---------------------------------------------------------------------------------

    async def _find(self, caller: ApiKey, stream_id: str) -> tuple[Engine, Stream]:
        """A stream that memory has, or a copy of one that has ended for good and which nothing
        changes any more.
        """
        if not stream_id.startswith("st_"):
            raise InvalidArgument(
                f"{stream_id!r} is no stream's id: they look like"
                " st_0123456789abcdef0123456789abcdef"
            )
        held = (engine.book.streams.get(stream_id) for engine in self._nodes.engines.values())
        stream = next(
            (stream for stream in held if stream is not None), None
        ) or await archived.find(self._nodes, stream_id)
        if stream is not None and owns(caller, stream.api_key):
            return self._nodes.engines[stream.terms.node], stream
        raise NotFound(f"no stream {stream_id}: `streamer stream list` shows those there are")

    def _require_room(self) -> None:
        most = self._settings.max_streams
        if sum(len(engine.book.streams) for engine in self._nodes.engines.values()) < most:
            return
        running = sum(stream.state not in ENDED for stream in self._in_memory())
        if running >= most:
            raise ResourceExhausted(
                f"{running:,} streams are open, as many as streams.max_streams allows: end some, or"
                " raise it"
            )

    def _in_memory(self) -> Iterator[Stream]:
        return (
            stream
            for engine in self._nodes.engines.values()
            for stream in engine.book.streams.values()
        )

    def _recalled(self) -> Iterator[Stream]:
        """Those in memory that came from the archive, and those on their way there, perhaps
        again.
        """
        recalled = (
            stream
            for engine in self._nodes.engines.values()
            for stream in engine.book.recalled.values()
        )
        return chain(archived.leaving(self._nodes).values(), recalled)

    def _newest_first(self) -> Iterator[Stream]:
        """As memory is now, also for who reads on when it has changed."""
        books = [engine.book for engine in self._nodes.engines.values()]
        runs = [run for book in books for run in _newest_first_of(book)]
        return merge(*runs, key=_KEY, reverse=True)

    def _report(self, stream: Stream) -> StreamReport:
        engine, now_ns = self._nodes.engines[stream.terms.node], self._nodes.clock.now_ns()
        return StreamReport(
            stream,
            paid_until_ns=origin_ns(stream) + paid_until_ns(stream),
            next_attempt_ns=(
                (engine.book.next_attempt_ns(stream, now_ns) or 0)
                if stream.state not in ENDED
                else 0
            ),
            owed_msat=stream.account.owed_msat,
            runway_end_ns=runway_end_ns(stream, now_ns) or 0,
            explanation=explain(stream, engine.book, engine.obstacle, now_ns),
            key_id=self._ring.of(stream.api_key).id,
        )


def _newest_first_of(book: Book) -> Iterator[Iterator[Stream]]:
    """Two runs, each newest first: those that were never away, which stand in order, and the few
    that came back.
    """
    streams, recalled = list(book.streams.values()), dict(book.recalled)
    yield (
        (stream for stream in reversed(streams) if stream.key not in recalled)
        if recalled
        else reversed(streams)
    )
    yield iter(sorted(recalled.values(), key=_KEY, reverse=True))


def timed(terms: Terms) -> tuple[object, ...]:
    """What of the terms only a clock that is right may change: how much money flows, and from when
    to when.
    """
    return terms.rate, terms.start_time_ns, terms.end_time_ns, terms.ttl_ns
