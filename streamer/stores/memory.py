"""The Store port in memory: for tests and the demo's throw-away folder. No threads, no clock.

It keeps the same rows as the SQLite store, so that a later change of an object never changes what
was durable, and both stores agree on every field. A test may give `commit`, which is awaited where
the disk would be: until it returns nothing is durable, and if it raises the store has failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import islice

from streamer.ports import ArchiveQuery
from streamer.stores.archive import ENDED_NS, PAGE_STREAMS, matches, stream_of
from streamer.stores.batch import INDEX, SPEND, Batch, goes_when_empty
from streamer.stores.document import stream_from
from streamer.stores.keyrows import key_from
from streamer.stores.reader import PAGE_ROWS
from streamer.stores.replay import needed_since
from streamer.stores.rows import (
    FRESH,
    INTENT_WIDTH,
    Row,
    payment_from,
    plain,
    take_invoice,
    with_stamps,
)
from streamer.words.errors import StoreFailed
from streamer.words.model import (
    OPEN,
    UNPAID,
    Facts,
    Outage,
    Outgoing,
    Payment,
    PaymentQuery,
    Snapshot,
    Spend,
    Stream,
)
from streamer.words.money import DAY_NS

_OPEN_TEXTS = frozenset(state.value for state in OPEN)
_UNPAID_TEXTS = frozenset(state.value for state in UNPAID)
_STATE, _SETTLED, _FEE, _END = 0, 3, 4, 7
_KEY, _SEQ, _OWNER, _PLANNED = 1, 2, 3, 13


class _Durable:
    """What a disk would hold."""

    def __init__(self) -> None:
        self.intents: dict[int, Row] = {}
        self.ends: dict[int, Row] = {}
        self.invoices: dict[int, Row] = {}
        self.by_name: dict[tuple[int, int, str], int] = {}
        self.open: set[int] = set()
        self.streams: dict[int, Row] = {}
        self.accounts: dict[int, Row] = {}
        self.archive: dict[int, Row] = {}
        self.figures: dict[str, Row] = {}
        self.outages: dict[Row, Row] = {}
        self.requests: dict[str, Row] = {}
        self.settings: dict[str, Row] = {}
        self.keys: dict[int, Row] = {}
        self.outgoing: dict[int, Row] = {}
        self.daily: dict[tuple[int, int], list[int]] = {}
        self.last_row = self.last_stream_key = 0
        self.last_index: dict[str, int] = {}


class MemoryStore:
    """A journal that lives as long as the process; `reopen` is what a crash leaves of it."""

    def __init__(self, commit: Callable[[], Awaitable[None]] | None = None) -> None:
        self.commit = commit
        self.failure: StoreFailed | None = None
        self._durable = _Durable()
        self._order: asyncio.Lock | None = None
        self._seen_index: dict[str, int] = {}

    def fail(self, message: str = "the disk is gone") -> None:
        """Make every append from now on raise StoreFailed."""
        self.failure = StoreFailed(message)

    def reopen(self) -> MemoryStore:
        """A new store with what is durable now; this one is dead, as the process that crashed."""
        other = MemoryStore(self.commit)
        other._durable = self._durable
        self._durable = _Durable()
        self.fail("this store was reopened elsewhere")
        return other

    def load(self) -> Snapshot:
        """Everything durable; see ports.Store."""
        kept = self._durable
        self._seen_index = dict(kept.last_index)
        streams = [self._stream(key) for key in sorted(kept.streams)]
        since = needed_since(streams)
        outages = sorted(kept.outages.values(), key=lambda row: (row[2], row[0], row[1]))
        return Snapshot(
            streams=streams,
            open_payments=[self._payment(row) for row in sorted(kept.open)],
            spends=[
                Spend(name[len(SPEND) :], *row[1:])
                for name, row in sorted(kept.figures.items())
                if name.startswith(SPEND)
            ],
            outages=[Outage(*row) for row in outages if since is not None and row[3] > since],
            settings=dict(kept.settings.values()),
            last_row=kept.last_row,
            last_stream_key=kept.last_stream_key,
            last_index=dict(kept.last_index),
            keys=[key_from(row) for _, row in sorted(kept.keys.items())],
            outgoing=len(kept.outgoing),
            last_outgoing=max(kept.outgoing, default=0),
        )

    def append(self, facts: Facts) -> asyncio.Future[None]:
        """Make facts durable; see ports.Store. Always gives the loop one turn, as a disk would."""
        if self.failure is not None:
            raise self.failure
        batch = Batch()
        batch.add(facts, self._seen_index)
        loop = asyncio.get_running_loop()
        if self.commit is not None:
            # not cancelled with its caller: cancelling the wait does not undo an append
            return asyncio.shield(loop.create_task(self._slowly(batch, self.commit)))
        self._apply(batch)
        done = loop.create_future()
        loop.call_soon(_finish, done)
        return done

    async def payment(self, owner: str, seq: int) -> Payment | None:
        """One payment, open or ended; seq 0 is a single payment's."""
        streams = self._durable.streams | self._durable.archive
        found = next((key for key, row in streams.items() if row[1] == owner), None) if seq else 0
        row = (
            None
            if found is None
            else self._durable.by_name.get((found, seq, "" if seq else plain(owner)))
        )
        return None if row is None else self._payment(row)

    async def payments(self, query: PaymentQuery) -> list[Payment]:
        """A page of payments, newest first, at most 1,000."""
        page: list[Payment] = []
        states = {state.value for state in query.states}
        for row in (
            self._unpaid(query.unpaid_since_ns)
            if query.unpaid_since_ns
            else sorted(self._durable.intents, reverse=True)
        ):
            if len(page) >= min(query.limit, PAGE_ROWS):
                break
            if (query.before_row and row >= query.before_row) or (
                states and self._durable.ends[row][_STATE] not in states
            ):
                continue
            found = self._payment(row)
            if (
                (not query.owner or found.owner == query.owner)
                and (not query.node or found.node == query.node)
                and (
                    not query.payment_hash
                    or (row in self._durable.invoices and found.payment_hash == query.payment_hash)
                )
                and (
                    not query.payment_request
                    or found.payment_request == plain(query.payment_request)
                )
                and (not query.api_key or found.api_key == query.api_key)
            ):
                page.append(found)
        return page

    def _unpaid(self, since_ns: int) -> list[int]:
        ended = (
            (end[_END], row)
            for row, end in self._durable.ends.items()
            if end[_STATE] in _UNPAID_TEXTS
        )
        return [row for end_ns, row in sorted(ended, reverse=True) if end_ns >= since_ns]

    async def request(self, request_id: str) -> tuple[str, bytes] | None:
        """(resource id, digest) of a request_id that was used."""
        row = self._durable.requests.get(plain(request_id))
        return None if row is None else (row[1], row[2])

    async def outgoing(self, after: int, limit: int) -> list[Outgoing]:
        """Events that wait for the webhook, with a higher number than after, in order."""
        return [
            Outgoing(*row)
            for number, row in sorted(self._durable.outgoing.items())
            if number > after
        ][:limit]

    async def archived(self, query: ArchiveQuery) -> list[Stream]:
        """A page of the streams that have left memory, newest first, at most 1,000."""
        found = (
            row
            for _, row in sorted(self._durable.archive.items(), reverse=True)
            if matches(row, query)
        )
        return [stream_of(row) for row in islice(found, min(query.limit, PAGE_STREAMS))]

    async def purge(self, before_ns: int, limit: int) -> int:
        """Delete at most limit ended payments planned before before_ns, or archived streams that
        ended then; and older outages.
        """
        if self.failure is not None:
            raise self.failure
        kept = self._durable
        old = [
            row
            for row in kept.intents.values()
            if row[_PLANNED] < before_ns and row[0] not in kept.open
        ]
        chosen = sorted(old, key=lambda row: (row[_PLANNED], row[0]))[:limit]
        self._forget({row[_OWNER] for row in chosen if not row[_SEQ]})
        for row in chosen:
            self._count(row, kept.ends[row[0]])
            del (
                kept.intents[row[0]],
                kept.ends[row[0]],
                kept.by_name[row[_KEY], row[_SEQ], row[_OWNER]],
            )
            kept.invoices.pop(row[0], None)
        if len(chosen) < limit:
            kept.outages = {name: row for name, row in kept.outages.items() if row[3] >= before_ns}
        return len(chosen) + self._purge_streams(before_ns, limit - len(chosen))

    def _purge_streams(self, before_ns: int, limit: int) -> int:
        kept = self._durable
        paid = {row[_KEY] for row in kept.intents.values()}
        old = [
            row for row in kept.archive.values() if row[ENDED_NS] < before_ns and row[0] not in paid
        ]
        gone = sorted(old, key=lambda row: row[ENDED_NS])[:limit]
        self._forget({row[1] for row in gone})
        for row in gone:
            del kept.archive[row[0]]
        return len(gone)

    def _forget(self, made: set[str]) -> None:
        kept = self._durable
        kept.requests = {name: row for name, row in kept.requests.items() if row[1] not in made}

    def daily_totals(self, stream_key: int, day: int) -> tuple[int, ...]:
        """(settled_msat, fee_msat, settled_count, failed_count) of purged payments of a stream and
        UTC day since 1970.
        """
        return tuple(self._durable.daily.get((stream_key, day), (0, 0, 0, 0)))

    def space(self) -> tuple[int, int]:
        """Nothing taken, plenty free."""
        return 0, 1 << 50

    async def close(self) -> None:
        """End; what was appended stays for reopen."""
        if self.failure is None:
            self.failure = StoreFailed("the journal is closed")

    async def _slowly(self, batch: Batch, commit: Callable[[], Awaitable[None]]) -> None:
        if self._order is None:
            self._order = asyncio.Lock()
        async with self._order:
            if self.failure is None:
                try:
                    await commit()
                except Exception as problem:
                    self.fail(str(problem))
            if self.failure is not None:
                raise self.failure
            self._apply(batch)

    def _apply(self, batch: Batch) -> None:
        kept = self._durable
        names = {(row[_KEY], row[_SEQ], row[_OWNER]): row[0] for row in batch.intents}
        numbers = {row[0] for row in batch.intents}
        if (
            len(numbers) < len(batch.intents)
            or len(names) < len(batch.intents)
            or any(number in kept.intents for number in numbers)
            or any(name in kept.by_name for name in names)
        ):
            self.fail("a payment is there already: no seq is used twice")
        elif not all(
            number in kept.intents or number in numbers for number in (*batch.ends, *batch.stamps)
        ):
            self.fail("an outcome belongs to a payment that the journal does not have")
        if self.failure is not None:
            raise self.failure
        kept.by_name.update(names)
        for row in batch.intents:
            kept.intents[row[0]] = row
            kept.ends[row[0]] = FRESH
            kept.open.add(row[0])
        for number, row in batch.stamps.items():
            kept.intents[number] = with_stamps(kept.intents[number], row)
        for number, row in batch.ends.items():
            kept.ends[number] = row[1:]
            (kept.open.add if row[1] in _OPEN_TEXTS else kept.open.discard)(number)
        self._apply_rest(batch)
        kept.last_row = max(kept.last_row, max(numbers, default=0))

    def _apply_rest(self, batch: Batch) -> None:
        kept = self._durable
        kept.invoices.update(batch.invoices)
        kept.streams.update(batch.streams)
        kept.accounts.update(batch.accounts)
        kept.last_stream_key = max((kept.last_stream_key, *batch.streams))
        for key, row in batch.archived.items():
            kept.archive[key] = row
            kept.streams.pop(key, None)
            kept.accounts.pop(key, None)
        for key in batch.recalled:
            kept.archive.pop(key, None)
        kept.figures.update(batch.figures)
        kept.outages.update(batch.outages)
        kept.requests = batch.requests | kept.requests if batch.requests else kept.requests
        if batch.settings:
            kept.settings = {
                name: row
                for name, row in (kept.settings | batch.settings).items()
                if not goes_when_empty(row)
            }
        kept.keys.update(batch.keys)
        kept.outgoing.update({row[0]: row for row in batch.outgoing})
        for row in batch.delivered:
            kept.outgoing.pop(row[0], None)
        for name, row in batch.figures.items():
            if name.startswith(INDEX):
                kept.last_index[name[len(INDEX) :]] = row[2]

    def _stream(self, key: int) -> Stream:
        row = self._durable.streams[key]
        return stream_from(key, row[1], row[3], self._durable.accounts[key][1:])

    def _payment(self, number: int) -> Payment:
        row = self._durable.intents[number]
        stream = self._durable.streams.get(row[_KEY]) or self._durable.archive.get(row[_KEY])
        payment = payment_from(
            row[:5]
            + tuple(bytes(v) for v in row[5:7])
            + row[7:11]
            + (bytes(row[11]),)
            + row[12:INTENT_WIDTH]
            + self._durable.ends[number],
            stream[1] if stream else "",
        )
        if invoice := self._durable.invoices.get(number):
            take_invoice(payment, bytes(invoice[1]), invoice[2], bytes(invoice[3]), invoice[4])
        return payment

    def _count(self, row: Row, end: Row) -> None:
        totals = self._durable.daily.setdefault((row[_KEY], row[_PLANNED] // DAY_NS), [0, 0, 0, 0])
        paid = end[_STATE] in {"SETTLED", "WRITTEN_OFF"}
        totals[0] += end[_SETTLED] if paid else 0
        totals[1] += end[_FEE]
        totals[2] += paid
        totals[3] += end[_STATE] in {"FAILED", "REFUSED"}


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
