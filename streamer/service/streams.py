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
from streamer.engine import Engine
from streamer.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted, StreamerError
from streamer.model import ENDED, ApiKey, Facts, PaymentQuery, Request, Stream, Terms
from streamer.service import archived
from streamer.service.explain import explain
from streamer.service.filters import page_size, page_start, parse_stream_filter, term_of_key
from streamer.service.forecast import forecast, payments_per_second, runway_end_ns
from streamer.service.once import Once
from streamer.service.orders import Forecast, StreamOrder, digest, fields_of
from streamer.service.payments import live, report_payment
from streamer.service.permission import (
    owns,
    request_id_of,
    request_name,
    require_affordable_stream,
    require_another_stream,
    require_live,
    require_may_pay,
    require_not_revoked,
)
from streamer.service.reports import Event, PaymentReport, StreamReport
from streamer.service.seams import Surroundings, own_pubkey, problem_of
from streamer.service.terms import changed_terms, check_request_id, default_payment_interval_ns, order_of, terms_of

ID_BYTES = 16
YIELD_EVERY = 5_000
"""Streams that a list looks at before it lets payments go first again."""
GRAPH_PATIENCE_SECONDS = 2.0
"""How long a forecast waits for what the graph says of the receiver."""

_KEY = attrgetter("key")

Act = Callable[[Engine, Stream, int, Facts], None]


class Streams:
    """The use cases of StreamService."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._opening = Once()

    # -- open ---------------------------------------------------------------------------------

    async def create(self, caller: ApiKey, order: StreamOrder, request_id: str, validate_only: bool) -> StreamReport:
        """Open a stream, once per request_id of a caller; validate_only: forecast it and create nothing."""
        check_request_id(request_id)
        engine = self._around.engine_for(order.node)
        if validate_only:
            return await self._forecast(caller, order, engine)
        if not request_id:
            return await self._open(caller, order, engine, None)
        asked = Request(request_name(caller, request_id), "", digest(order))
        return await self._opening.only(asked.request_id, lambda: self._asked(caller, order, engine, asked))

    async def _asked(self, caller: ApiKey, order: StreamOrder, engine: Engine, asked: Request) -> StreamReport:
        known = await self._around.store.request(asked.request_id)
        if known is None:
            return await self._open(caller, order, engine, asked)
        require_same(asked, known)
        return await self.get(caller, known[0])

    def _allowed_terms(self, caller: ApiKey, order: StreamOrder, engine: Engine, now_ns: int) -> Terms:
        around = self._around
        terms = terms_of(order, now_ns, around.settings, engine.name, own_pubkey(engine))
        require_may_pay(caller, terms.destination, now_ns)
        require_affordable_stream(terms, caller, around.shared.budgets.spend_limit.limit_msat)
        require_another_stream(caller, self._in_memory())
        return terms

    async def _open(self, caller: ApiKey, order: StreamOrder, engine: Engine, asked: Request | None) -> StreamReport:
        around = self._around
        now_ns = around.clock.now_ns()
        terms = self._allowed_terms(caller, order, engine, now_ns)
        self._require_room()
        facts = Facts()
        stream_id, key = "st_" + secrets.token_hex(ID_BYTES), next(around.stream_keys)
        stream = lifecycle.new_stream(stream_id, key, terms, now_ns, caller.number)
        lifecycle.open_stream(engine.book, stream, now_ns, facts)
        if asked is not None:
            facts.requests.append(replace(asked, resource_id=stream.id))
        await around.store.append(facts)
        engine.wake()
        return replace(self._report(stream), forecast=self._forecast_of(stream, engine, now_ns, new=True))

    async def _forecast(self, caller: ApiKey, order: StreamOrder, engine: Engine) -> StreamReport:
        now_ns = self._around.clock.now_ns()
        terms = self._allowed_terms(caller, order, engine, now_ns)
        stream = lifecycle.new_stream("", 0, terms, now_ns)
        found = self._forecast_of(stream, engine, now_ns, new=True)
        try:
            async with asyncio.timeout(GRAPH_PATIENCE_SECONDS):
                accepts = await engine.node.accepts_keysend(terms.destination)
        except (TimeoutError, StreamerError):
            accepts = None
        if accepts is False:
            found = replace(found, warnings=(*found.warnings, "RECEIVER: the graph says that this node does not accept keysend"))
        return StreamReport(stream, runway_end_ns=found.runway_end_ns or 0, forecast=found)

    def _forecast_of(self, stream: Stream, engine: Engine, now_ns: int, new: bool = False) -> Forecast:
        others = self._around.wanted_per_second(engine) - (0.0 if new else payments_per_second(stream.terms))
        return forecast(stream.terms, now_ns, engine.window.capacity_per_second, max(0.0, others))

    # -- show ---------------------------------------------------------------------------------

    async def get(self, caller: ApiKey, stream_id: str) -> StreamReport:
        """One stream, with forecast and last payment. Raises NotFound, for another key's stream too."""
        engine, stream = await self._find(caller, stream_id)
        newest = await self._around.store.payments(PaymentQuery(owner=stream_id, limit=1))
        last = report_payment(self._around, live(self._around, newest[0]), stream) if newest else None
        return replace(self._report(stream), last_payment=last, forecast=self._forecast_of(stream, engine, self._around.clock.now_ns()))

    async def page(self, caller: ApiKey, filter_text: str, size: int, token: str) -> tuple[list[StreamReport], str]:
        """A page of the caller's streams, newest first, and the token of the next page (empty: this is the last)."""
        wanted, limit, below = parse_stream_filter(filter_text), page_size(size), page_start(token)

        def shown(stream: Stream) -> bool:
            return (not below or stream.key < below) and owns(caller, stream.api_key) and wanted.matches(stream)

        found: list[Stream] = []
        on_their_way = archived.leaving(self._around).values()
        for number, stream in enumerate(chain(on_their_way, self._newest_first())):
            if number % YIELD_EVERY == YIELD_EVERY - 1:
                await asyncio.sleep(0)
            if shown(stream):
                found.append(stream)
                if len(found) > limit + len(on_their_way):
                    break
        older = await archived.newest_first(self._around, caller, wanted, below, limit + 1)
        # memory before the archive, and again: one that left while we looked is in both, and one that came back would be in neither
        both = {stream.key: stream for stream in (*older, *found, *filter(shown, self._recalled()))}
        found = [both[key] for key in sorted(both, reverse=True)[: limit + 1]]
        more = len(found) > limit
        return [self._report(stream) for stream in found[:limit]], str(found[limit - 1].key) if more else ""

    def watch(self, caller: ApiKey, filter_text: str, cursor: int = 0, cut: Callable[[], object] = lambda: None) -> AsyncIterator[Event]:
        """Events of the caller's matching streams after cursor (0: from now on), and bookmarks; see Feed.watch.

        Raises InvalidArgument, OutOfRange, ResourceExhausted.
        """
        if cursor < 0:
            raise InvalidArgument(f"cursor is {cursor}: take one that came with an event, or 0 to watch from now on")
        wanted = parse_stream_filter(filter_text)

        def matches(event: Event) -> bool:
            stream = event.stream
            return stream is not None and owns(caller, stream.api_key) and wanted.matches(stream, event.state, event.reason)

        term = wanted.rarest or ("" if caller.admin else term_of_key(caller.number))
        return self._watched(caller, self._around.events.watch(matches, cursor, cut, term))

    async def _watched(self, caller: ApiKey, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        async for event in events:
            require_live(caller, self._around.clock.now_ns())
            yield event

    def report_event(self, event: Event) -> tuple[StreamReport | None, PaymentReport | None]:
        """The stream (None for a bookmark) and the payment of an event with what follows from the books now."""
        stream = None if event.stream is None else self._report(event.stream)
        return stream, None if event.payment is None else report_payment(self._around, event.payment, event.stream)

    # -- change -------------------------------------------------------------------------------

    async def update(self, caller: ApiKey, stream_id: str, order: StreamOrder, paths: frozenset[str]) -> StreamReport:
        """Replace what paths name; a derived payment_interval follows a new rate."""
        settings = self._around.settings

        def change(engine: Engine, stream: Stream, now_ns: int, facts: Facts) -> None:
            replaced = {field: getattr(order, field) for path in paths for field in fields_of(path)}
            if paths & {"amount_msat", "interval"} and "payment_interval" not in paths:
                rate = stream.terms.rate
                if rate.payment_interval_ns == default_payment_interval_ns(rate.amount_msat, rate.interval_ns, settings):
                    replaced["payment_interval_ns"] = None
            terms = changed_terms(stream.terms, replace(order_of(stream.terms), **replaced), now_ns, settings)
            require_may_pay(caller, terms.destination, now_ns)
            owner, limit = self._around.keys.of(stream.api_key), self._around.shared.budgets.spend_limit.limit_msat
            require_affordable_stream(terms, owner, limit)
            lifecycle.change(engine.book, stream, terms, now_ns, facts)

        return await self._act(caller, stream_id, change)

    async def pause(self, caller: ApiKey, stream_id: str) -> StreamReport:
        """Stop buying; pausing a paused stream changes nothing."""
        return await self._act(caller, stream_id, lambda engine, stream, now_ns, facts: lifecycle.pause(engine.book, stream, now_ns, facts))

    async def resume(self, caller: ApiKey, stream_id: str) -> StreamReport:
        """Go on; a stream that waits after a failure tries now. Raises FailedPrecondition if its key has ended."""

        def act(engine: Engine, stream: Stream, now_ns: int, facts: Facts) -> None:
            require_not_revoked(self._around.keys.of(stream.api_key), stream)
            lifecycle.resume(engine.book, stream, now_ns, facts)

        return await self._act(caller, stream_id, act)

    async def cancel(self, caller: ApiKey, stream_id: str) -> StreamReport:
        """Stop for good; cancelling an ended stream changes nothing."""
        return await self._act(
            caller, stream_id, lambda engine, stream, now_ns, facts: lifecycle.cancel(engine.book, stream, now_ns, facts)
        )

    async def renew(self, caller: ApiKey, filter_text: str) -> int:
        """Put expire_time of every matching stream of the caller that has a ttl ahead; how many there were."""
        wanted, now_ns, facts, renewed = parse_stream_filter(filter_text), self._around.clock.now_ns(), Facts(), 0
        for engine in self._around.engines.values():
            for stream in engine.book.streams.values():
                if stream.terms.ttl_ns is not None and owns(caller, stream.api_key) and wanted.matches(stream):
                    renewed += lifecycle.renew(engine.book, stream, now_ns, facts)
            engine.wake()
        if facts:
            await self._around.store.append(facts)
        return renewed

    async def _act(self, caller: ApiKey, stream_id: str, act: Act) -> StreamReport:
        engine, stream = await self._find(caller, stream_id)
        facts = Facts()
        try:
            act(engine, stream, self._around.clock.now_ns(), facts)
        finally:
            # even if it was refused: time took effect before that; even without facts: another call's are durable then, too
            await self._around.store.append(facts)
            engine.wake()
        return await self.get(caller, stream_id)

    # -- find ---------------------------------------------------------------------------------

    async def _find(self, caller: ApiKey, stream_id: str) -> tuple[Engine, Stream]:
        """A stream that memory has, or a copy of one that has ended for good and which nothing changes any more."""
        if not stream_id.startswith("st_"):
            raise InvalidArgument(f"{stream_id!r} is no stream's id: they look like st_0123456789abcdef0123456789abcdef")
        held = (engine.book.streams.get(stream_id) for engine in self._around.engines.values())
        stream = next((stream for stream in held if stream is not None), None) or await archived.find(self._around, stream_id)
        if stream is not None and owns(caller, stream.api_key):
            return self._around.engines[stream.terms.node], stream
        raise NotFound(f"no stream {stream_id}: `streamer stream list` shows those there are")

    def _require_room(self) -> None:
        most = self._around.settings.max_streams
        if sum(len(engine.book.streams) for engine in self._around.engines.values()) < most:
            return
        running = sum(stream.state not in ENDED for stream in self._in_memory())
        if running >= most:
            raise ResourceExhausted(f"{running:,} streams are open, as many as streams.max_streams allows: end some, or raise it")

    def _in_memory(self) -> Iterator[Stream]:
        return (stream for engine in self._around.engines.values() for stream in engine.book.streams.values())

    def _recalled(self) -> Iterator[Stream]:
        """Those in memory that came from the archive, and those on their way there, perhaps again."""
        recalled = (stream for engine in self._around.engines.values() for stream in engine.book.recalled.values())
        return chain(archived.leaving(self._around).values(), recalled)

    def _newest_first(self) -> Iterator[Stream]:
        """As memory is now, also for who reads on when it has changed."""
        books = [engine.book for engine in self._around.engines.values()]
        runs = [run for book in books for run in _newest_first_of(book)]
        return merge(*runs, key=_KEY, reverse=True)

    def _report(self, stream: Stream) -> StreamReport:
        engine, now_ns = self._around.engines[stream.terms.node], self._around.clock.now_ns()
        return StreamReport(
            stream,
            paid_until_ns=origin_ns(stream) + paid_until_ns(stream),
            next_attempt_ns=(engine.book.due_ns(stream) or 0) if stream.state not in ENDED else 0,
            owed_msat=stream.account.owed_msat,
            runway_end_ns=runway_end_ns(stream, now_ns) or 0,
            explanation=explain(stream, engine.book, problem_of(engine), now_ns),
            key_id=self._around.keys.of(stream.api_key).id,
        )


def _newest_first_of(book: Book) -> Iterator[Iterator[Stream]]:
    """Two runs, each newest first: those that were never away, which stand in order, and the few that came back."""
    streams, recalled = list(book.streams.values()), dict(book.recalled)
    yield (stream for stream in reversed(streams) if stream.key not in recalled) if recalled else reversed(streams)
    yield iter(sorted(recalled.values(), key=_KEY, reverse=True))


def require_same(asked: Request, known: tuple[str, bytes]) -> None:
    """Raise AlreadyExists unless the request_id was used for the same content."""
    if known[1] != asked.digest:
        raise AlreadyExists(
            f"request_id {request_id_of(asked.request_id)!r} was used for {known[0]}, with other content:"
            " take a new request_id for a new request"
        )
