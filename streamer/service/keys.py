"""Use cases of API keys: make, take over, list, revoke.

A revoked key is refused at once, and in the same commit its running streams pause with KEY_REVOKED.
A key that expires is revoked at that moment. What it reserved and spent stays counted.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass

from streamer.core import lifecycle
from streamer.core.book import RUNNING
from streamer.service.keyring import Keyring
from streamer.service.nodes import Nodes, own_pubkey
from streamer.service.terms import LONGEST_INTERVAL_NS, check_amount, check_destination
from streamer.words.apikey import Scope
from streamer.words.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted
from streamer.words.model import ENDED, ApiKey, BudgetTerms, Facts, Stream
from streamer.words.money import SECOND_NS, format_duration
from streamer.words.reasons import Reason

_KEY = "key_"
ID_BYTES = 8
SECRET_BYTES = 32
MAX_KEYS = 10_000
"""Keys that are good at once."""
MAX_SHOWN = 50
"""Keys whose budgets the metrics show."""
MAX_NAME_CHARS = 64
MAX_DESTINATIONS = 1_000
SHORTEST_IMPORT_CHARS = 16
"""What is shorter can be found by trying."""
LONGEST_IMPORT_CHARS = 512


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """A key as somebody orders it, unchecked; destinations empty: anybody, expire_time_ns None:
    never.
    """

    name: str
    scopes: tuple[str, ...]
    budget: BudgetTerms | None = None
    destinations: tuple[bytes, ...] = ()
    max_streams: int | None = None
    expire_time_ns: int | None = None


@dataclass(frozen=True, slots=True)
class KeyReport:
    """A key and what it has spent in the present period of its budget; streams: those that have not
    ended.
    """

    key: ApiKey
    spent_msat: int = 0
    reserved_msat: int = 0
    period_start_ns: int = 0
    streams: int = 0


class Keys:
    """The use cases of keys in AdminService."""

    def __init__(self, nodes: Nodes, ring: Keyring) -> None:
        self._nodes = nodes
        self._ring = ring
        self._swept = False

    async def create(self, order: KeyOrder) -> tuple[KeyReport, str]:
        """Make a key; the text is shown this once and kept nowhere."""
        text = secrets.token_hex(SECRET_BYTES)
        return await self._add(order, text), text

    async def take(self, order: KeyOrder, text: str) -> KeyReport:
        """Take over a key that clients use already. Raises AlreadyExists if it is known here."""
        if not SHORTEST_IMPORT_CHARS <= len(text) <= LONGEST_IMPORT_CHARS:
            raise InvalidArgument(
                f"key has {len(text)} characters: {SHORTEST_IMPORT_CHARS} to"
                f" {LONGEST_IMPORT_CHARS}; shorter ones can be found by trying"
            )
        if not (text.isascii() and text.isprintable() and " " not in text):
            raise InvalidArgument(
                "key has characters that no header can carry: printable ASCII without spaces is"
                " needed"
            )
        known = self._ring.find(text)
        if known is not None:
            raise AlreadyExists(f"this key is here already, as {known.id}", "KEY_KNOWN")
        return await self._add(order, text)

    async def _add(self, order: KeyOrder, text: str) -> KeyReport:
        now_ns, ring = self._nodes.clock.now_ns(), self._ring
        if sum(not key.ended(now_ns) for key in ring.all()) >= MAX_KEYS:
            raise ResourceExhausted(
                f"{MAX_KEYS:,} keys are good at once, and so many there are: revoke some"
            )
        key = self._checked(order, now_ns)
        key.digest = ring.digest(text)
        ring.add(key)
        self._nodes.shared.budgets.add_key(key)
        await self._nodes.desk.durable(Facts(keys=[key]))
        return self._report(key, 0)

    def _checked(self, order: KeyOrder, now_ns: int) -> ApiKey:
        scopes = _scopes(order.scopes)
        if Scope.ADMIN in scopes and (
            order.budget or order.destinations or order.max_streams is not None
        ):
            raise InvalidArgument(
                "an admin key cannot be bound by a budget, destinations or max_streams: it could"
                " make itself another key"
            )
        if len(order.name) > MAX_NAME_CHARS or not order.name.isprintable():
            raise InvalidArgument(f"name: at most {MAX_NAME_CHARS} printable characters")
        if order.budget is not None:
            _check_budget(order.budget)
        if len(order.destinations) > MAX_DESTINATIONS:
            raise InvalidArgument(
                f"destinations: {len(order.destinations)} are too many: at most {MAX_DESTINATIONS}"
            )
        for destination in order.destinations:
            check_destination(destination, own_pubkey(self._nodes.engine_for("")))
        if order.max_streams is not None and order.max_streams < 1:
            raise InvalidArgument("max_streams is below 1: leave out streams:write to allow none")
        if order.expire_time_ns is not None:
            self._nodes.timekeeping.require_known()
        if order.expire_time_ns is not None and order.expire_time_ns <= now_ns:
            raise InvalidArgument("expire_time is in the past")
        return ApiKey(
            number=self._ring.next_number(),
            id=_KEY + secrets.token_hex(ID_BYTES),
            name=order.name,
            scopes=scopes,
            budget=order.budget,
            destinations=frozenset(order.destinations),
            max_streams=order.max_streams,
            create_time_ns=now_ns,
            expire_time_ns=order.expire_time_ns or 0,
        )

    def page(self) -> list[KeyReport]:
        """Every key, newest first, revoked ones too."""
        counts = self._streams()
        return [self._report(key, counts[key.number]) for key in self._ring.all()]

    async def revoke(self, key_id: str) -> KeyReport:
        """End a key for good, and pause its streams; revoking a revoked key changes nothing."""
        if key_id == "admin":
            raise InvalidArgument(
                "the admin key is the file admin.key: delete the file, and the next start makes a"
                " new one"
            )
        key = self._ring.get(key_id)
        if key is None and not key_id.startswith(_KEY):
            raise InvalidArgument(f"{key_id!r} is no key's id: they look like key_0123456789abcdef")
        if key is None:
            raise NotFound(f"no key {key_id}: `streamer key list` shows those there are")
        if key.revoke_time_ns:
            await self._nodes.desk.settled()  # another call's end is durable then, too
        else:
            await self._end([key], self._nodes.clock.now_ns())
        return self._report(key, self._streams()[key.number])

    async def end_expired(self) -> None:
        """Revoke the keys that have expired; called once a second. That is for good, so the time
        must be known.
        """
        now_ns = self._nodes.known_ns()
        if not self._swept:  # a run before may have died between two steps of a revocation
            self._swept = True
            await self._pause_all({key.number for key in self._ring.all() if key.revoke_time_ns})
        expired = [key for key in self._ring.all() if not key.revoke_time_ns and key.ended(now_ns)]
        if expired:
            await self._end(expired, now_ns)

    async def _end(self, keys: list[ApiKey], now_ns: int) -> None:
        """From the first step on nothing of them pays: whatever of theirs comes due stops by itself
        (Book.pass_time).
        """

        def revoke(_: int, facts: Facts) -> None:
            facts.keys += keys
            for key in keys:
                key.revoke_time_ns = now_ns

        await self._nodes.desk.make(revoke)
        await self._pause_all({key.number for key in keys})

    async def _pause_all(self, ended: Container[int]) -> None:
        engines = self._nodes.engines

        def pause(stream: Stream, now_ns: int, facts: Facts) -> None:
            if stream.api_key in ended and stream.state in RUNNING:
                lifecycle.pause(
                    engines[stream.terms.node].book, stream, now_ns, facts, Reason.KEY_REVOKED
                )

        streams = [stream for engine in engines.values() for stream in engine.book.streams.values()]
        await self._nodes.desk.make_in_steps(streams, pause)
        for engine in engines.values():
            engine.wake()

    def _streams(self) -> Counter[int]:
        """How many streams that have not ended each key has."""
        books = (engine.book for engine in self._nodes.engines.values())
        return Counter(
            stream.api_key
            for book in books
            for stream in book.streams.values()
            if stream.state not in ENDED
        )

    def _report(self, key: ApiKey, streams: int) -> KeyReport:
        budget = self._nodes.shared.budgets.of_key(key.number, self._nodes.clock.now_ns())
        if budget is None:
            return KeyReport(key, streams=streams)
        return KeyReport(
            key, budget.spent_msat, budget.reserved_msat, budget.period_start_ns, streams
        )


def budgets_left(nodes: Nodes, ring: Keyring, now_ns: int) -> dict[str, float]:
    """What share is left of the daemon's spend limit ("daemon") and of those keys' budgets that
    have least left, by id.
    """
    budgets = nodes.shared.budgets
    found = []
    for key in ring.all():
        budget = None if key.revoke_time_ns else budgets.of_key(key.number, now_ns)
        if budget is not None:
            found.append((max(0.0, budget.room_msat() / budget.limit_msat), key.id))
    limit = budgets.spend_limit
    return {"daemon": max(0.0, limit.room_msat() / limit.limit_msat)} | {
        key_id: left for left, key_id in sorted(found)[:MAX_SHOWN]
    }


def _scopes(names: Iterable[str]) -> frozenset[Scope]:
    found = set()
    for name in names:
        if name not in set(Scope):
            raise InvalidArgument(f"scopes: no scope {name!r}; there are: {' '.join(Scope)}")
        found.add(Scope(name))
    if not found:
        raise InvalidArgument(
            f"scopes is empty: a key without any may do nothing; there are: {' '.join(Scope)}"
        )
    return frozenset(found)


def _check_budget(budget: BudgetTerms) -> None:
    check_amount("budget.amount_msat", budget.amount_msat)
    if budget.period_ns is not None and not SECOND_NS <= budget.period_ns <= LONGEST_INTERVAL_NS:
        raise InvalidArgument(
            f"budget.period is {format_duration(budget.period_ns)}: 1s to"
            f" {format_duration(LONGEST_INTERVAL_NS)}, or total"
        )
