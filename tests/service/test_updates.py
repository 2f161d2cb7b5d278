"""An update checks what it changes and what follows from it, however much else could not be ordered
today.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from streamer.core import lifecycle
from streamer.service import Service
from streamer.service.keys import KeyOrder
from streamer.service.orders import CHANGEABLE, StreamOrder, fields_of
from streamer.simulator.clock import VIRTUAL_START_NS as T0_NS
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from streamer.words.model import ADMIN, ApiKey, BudgetTerms, Facts, Rate, Stream, StreamState, Terms
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from streamer.words.settings import StreamSettings
from tests.simulation.served import service_of
from tests.simulation.world import World

S = SECOND_NS
RAN_SECONDS = 1_000
"""So long the streams of this page have been open, as seen by an update."""
FAR_NS = 4_000_000_000 * S
SLOWER = StreamSettings(min_payment_interval_ns=15 * S)

GOOD: dict[str, dict[str, Any]] = {
    "amount_msat": {"amount_msat": 50_000},
    "interval": {"interval_ns": 20 * S},
    "payment_interval": {"payment_interval_ns": 120 * S},
    "end_time": {"end_time_ns": FAR_NS},
    "budget": {"budget": BudgetTerms(10**12, None)},
    "fee_floor_msat": {"fee_floor_msat": 4_000},
    "fee_limit_ppm": {"fee_limit_ppm": 9_000},
    "max_payment_msat": {"max_payment_msat": 10**8},
    "catch_up": {"catch_up_ns": 7 * S},
    "catch_up_forever": {"catch_up_forever": True},
    "ttl": {"ttl_ns": 9 * S},
    "max_open_payments": {"max_open_payments": 3},
    "group": {"group": "other"},
    "labels": {"labels": (("a", "1"),)},
    "tlv_records": {"records": ((70_000, b"x"),)},
}
"""By path, a change of it that could always be ordered."""
RATE = ("amount_msat", "interval", "payment_interval")
USUAL = Rate(10_000, 10 * S, 10 * S)
"""Its payment interval follows from the least payment of 1 sat and the least interval of 1 s."""
ASKED = replace(USUAL, payment_interval_ns=20 * S)
"""Somebody asked for this payment interval."""
BUYS = "buys .* less than the minimum payment"
ONE = "budget of 14,99. msat is smaller than one payment"
LIMIT = "more than the daemon's whole spend limit"

Refused = dict[str, tuple[dict[str, Any], str]]


def refused(paths: str, says: str, **change: Any) -> Refused:
    """Each of these paths: with this change of it, or else the good one, and in which words it is
    refused.
    """
    return {path: (change or GOOD[path], says) for path in paths.split()}


@dataclass(frozen=True)
class Since:
    """What is stricter than when a stream was opened with the terms of was. refused: of other paths
    the good change is taken.
    """

    was: dict[str, Any]
    refused: Refused
    settings: StreamSettings = field(default_factory=StreamSettings)
    limit_msat: int = 10**15


STRICTER = {
    "streams.min_payment_msat": Since(
        {},
        refused("payment_interval", BUYS, payment_interval_ns=11 * S),
        StreamSettings(min_payment_msat=20_000),
    ),
    "streams.min_payment_msat, and the payment interval was asked for": Since(
        {"rate": ASKED},
        refused("payment_interval", BUYS, payment_interval_ns=19 * S)
        | refused("amount_msat", BUYS, amount_msat=9_000)
        | refused("interval", BUYS, interval_ns=11 * S),
        StreamSettings(min_payment_msat=20_000),
    ),
    "streams.min_payment_msat, above the largest payment": Since(
        {"max_payment_msat": 10_000},
        refused(" ".join(RATE), "max_payment_msat is 10 sat: at least 20 sat is needed"),
        StreamSettings(min_payment_msat=20_000),
    ),
    "streams.min_payment_msat, above what is paid until the end": Since(
        {"end_time_ns": T0_NS + 2 * RAN_SECONDS * S},
        refused("amount_msat", "until end_time the stream would pay", amount_msat=11_000)
        | refused("interval", "until end_time the stream would pay")
        | refused(
            "payment_interval",
            "until end_time the stream would pay",
            payment_interval_ns=3 * RAN_SECONDS * S,
        ),
        StreamSettings(min_payment_msat=3_000_000),
    ),
    "streams.min_payment_interval": Since(
        {}, refused("payment_interval", "is 11s: from 15s", payment_interval_ns=11 * S), SLOWER
    ),
    "streams.min_payment_interval, and the payment interval was asked for": Since(
        {"rate": replace(USUAL, payment_interval_ns=14 * S)},
        refused("amount_msat interval", "is 14s: from 15s")
        | refused("payment_interval", "is 13s: from 15s", payment_interval_ns=13 * S),
        SLOWER,
    ),
    "streams.max_payment_msat": Since({}, {}, StreamSettings(max_payment_msat=30_000)),
    "streams.max_open_payments": Since(
        {"max_open_payments": 5}, {}, StreamSettings(max_open_payments=1)
    ),
    "streams.catch_up": Since({"catch_up_ns": 3_600 * S}, {}, StreamSettings(catch_up_ns=0)),
    "streams.fee_limit_ppm": Since(
        {"fee_limit_ppm": 500_000}, {}, StreamSettings(fee_floor_msat=1, fee_limit_ppm=1_000)
    ),
    "spend_limit": Since(
        {"rate": replace(USUAL, payment_interval_ns=3_600 * S)},
        refused("amount_msat interval fee_floor_msat fee_limit_ppm max_payment_msat", LIMIT)
        | refused("payment_interval", LIMIT, payment_interval_ns=3_599 * S),
        limit_msat=1_000_000,
    ),
    "the budget, smaller than one payment": Since(
        {"budget": BudgetTerms(14_999, None)},
        refused("amount_msat interval payment_interval fee_limit_ppm max_payment_msat", ONE)
        | refused("fee_floor_msat", ONE, fee_floor_msat=6_000)
        | refused("budget", ONE, budget=BudgetTerms(14_998, None)),
    ),
    "the shortest period of a budget": Since(
        {"budget": BudgetTerms(10**9, S // 2)},
        refused("budget", "budget.period is 400ms", budget=BudgetTerms(10**9, S * 2 // 5)),
    ),
    "the end, which has passed": Since(
        {"end_time_ns": T0_NS + 900 * S},
        refused("end_time", "end_time is in the past", end_time_ns=T0_NS + 901 * S),
    ),
    "the letters of labels": Since(
        {"labels": (("a b", "c d"),)}, refused("labels", "'e f' is no name", labels=(("e f", ""),))
    ),
    "the letters of a group": Since(
        {"group": "a b"}, refused("group", "group is 'e f'", group="e f")
    ),
    "the types of records": Since(
        {"records": ((5, b""),)}, refused("tlv_records", "type 6 is reserved", records=((6, b""),))
    ),
    "the longest token": Since({"token": bytes(65)}, {}),
    "the most open payments": Since(
        {"max_open_payments": 200},
        refused("max_open_payments", "is 199: from", max_open_payments=199),
    ),
    "the shortest ttl": Since(
        {"ttl_ns": S // 2}, refused("ttl", "ttl is 400ms: from 1s", ttl_ns=S * 2 // 5)
    ),
    "the highest fee limit": Since(
        {"fee_limit_ppm": 2 * 10**6},
        refused("fee_limit_ppm", "is 1999999: from", fee_limit_ppm=1_999_999),
    ),
    "the lowest fee floor": Since(
        {"fee_floor_msat": -1}, refused("fee_floor_msat", "is negative", fee_floor_msat=-2)
    ),
    "a fee limit of nothing": Since(
        {"fee_floor_msat": 0, "fee_limit_ppm": 1},
        refused("fee_limit_ppm", "allow no fee", fee_limit_ppm=2),
    ),
    "the smallest largest payment": Since(
        {"max_payment_msat": 999}, refused("max_payment_msat", "is 998 msat", max_payment_msat=998)
    ),
    "the shortest catch-up": Since(
        {"catch_up_ns": -1}, refused("catch_up", "catch_up is negative", catch_up_ns=-2)
    ),
    "the highest rate": Since(
        {"rate": Rate(10**9, S // 10, S)},
        refused("payment_interval", "absurd")
        | refused("amount_msat", "absurd", amount_msat=10**9 - 1),
    ),
}


def update(
    service: Service, stream: Stream, paths: str, caller: ApiKey = ADMIN, **change: Any
) -> Awaitable[object]:
    order = StreamOrder(**{"destination": b"", "amount_msat": 0, "interval_ns": 0, **change})
    return service.streams.update(caller, stream.id, order, frozenset(paths.split()))


Opened = Callable[[], Awaitable[Stream]]


def in_world(since: Since, test: Callable[[World, Service, Opened], Awaitable[None]]) -> None:
    """test gets a function that makes another stream which was opened long ago. No engine runs, so
    nothing is paid.
    """
    keys = itertools.count(1)

    async def main(clock: VirtualClock) -> None:
        assert clock.now_ns() == T0_NS
        world = World(clock, spend_limit_msat=since.limit_msat)
        world.shared.know_time(True)
        await asyncio.sleep(RAN_SECONDS)
        terms = replace(
            world.terms("1sat/1s"), **{"rate": USUAL, "start_time_ns": T0_NS, **since.was}
        )

        async def opened() -> Stream:
            key, facts = next(keys), Facts()
            stream = lifecycle.new_stream(f"st_{key:032x}", key, terms, T0_NS)
            lifecycle.open_stream(world.book, stream, T0_NS, facts)
            await world.store.append(facts)
            return stream

        await test(world, service_of(world, since.settings), opened)

    run_virtual(main)


def expected(path: str, before: Terms) -> Terms:
    """The terms after the good change of a path that is none of the rate."""
    [name] = [name for name in fields_of(path) if name in Terms.__dataclass_fields__]
    change: dict[str, Any] = {name: None if path == "catch_up_forever" else GOOD[path][name]}
    return replace(before, **change)


@pytest.mark.parametrize("name", STRICTER)
def test_what_an_update_does_not_change_is_not_checked_anew(name: str) -> None:
    since = STRICTER[name]

    async def test(world: World, service: Service, opened: Opened) -> None:
        for path in sorted(CHANGEABLE - since.refused.keys()):
            stream = await opened()
            before = stream.terms
            await update(service, stream, path, **GOOD[path])
            if path not in RATE:
                assert stream.terms == expected(path, before), path
            else:
                assert stream.terms.rate != before.rate, path
                least = (since.settings.min_payment_msat, since.settings.min_payment_interval_ns)
                assert (
                    stream.terms.min_payment_msat,
                    stream.terms.min_payment_interval_ns,
                ) == least, path
                same = {
                    name: getattr(before, name)
                    for name in ("rate", "min_payment_msat", "min_payment_interval_ns")
                }
                assert replace(stream.terms, **same) == before, path

    in_world(since, test)


@pytest.mark.parametrize("name", [name for name in STRICTER if STRICTER[name].refused])
def test_what_an_update_changes_is_checked_and_what_follows_from_it(name: str) -> None:
    since = STRICTER[name]

    async def test(world: World, service: Service, opened: Opened) -> None:
        stream = await opened()
        before = stream.terms
        for path, (change, says) in since.refused.items():
            with pytest.raises(InvalidArgument, match=says):
                await update(service, stream, path, **change)
            assert stream.terms == before, path

    in_world(since, test)


@pytest.mark.parametrize("name", STRICTER)
def test_what_is_named_and_stays_as_it_is_is_no_change(name: str) -> None:
    async def test(world: World, service: Service, opened: Opened) -> None:
        stream = await opened()
        before = stream.terms
        rate = before.rate
        same: dict[str, Any] = {
            "payment_interval_ns": rate.payment_interval_ns,
            **{
                field: getattr(before, field)
                for path in CHANGEABLE
                for field in fields_of(path)
                if hasattr(before, field)
            },
        }
        order = StreamOrder(
            destination=b"",
            amount_msat=rate.amount_msat,
            interval_ns=rate.interval_ns,
            catch_up_forever=before.catch_up_ns is None,
            **same,
        )
        paths = CHANGEABLE - ({"max_payment_msat"} if before.max_payment_msat is None else set())
        await service.streams.update(ADMIN, stream.id, order, frozenset(paths))
        assert stream.terms == before

    in_world(STRICTER[name], test)


def test_a_new_rate_takes_the_minima_of_today_and_a_derived_payment_interval_follows() -> None:
    raised = Since({}, {}, StreamSettings(min_payment_msat=20_000, min_payment_interval_ns=25 * S))

    async def test(world: World, service: Service, opened: Opened) -> None:
        stream = await opened()
        await update(service, stream, "group", group="a")
        assert (
            stream.terms.rate,
            stream.terms.min_payment_msat,
            stream.terms.min_payment_interval_ns,
        ) == (USUAL, 1_000, S)
        await update(service, stream, "amount_msat", amount_msat=9_000)
        assert stream.terms.rate == Rate(9_000, 10 * S, 30 * S)
        assert (stream.terms.min_payment_msat, stream.terms.min_payment_interval_ns) == (
            20_000,
            25 * S,
        )
        asked = await opened()
        await update(service, asked, "payment_interval", payment_interval_ns=40 * S)
        await update(service, asked, "amount_msat", amount_msat=9_000)
        assert asked.terms.rate == Rate(9_000, 10 * S, 40 * S), "what was asked for stays"
        await update(service, asked, "payment_interval")
        assert asked.terms.rate == Rate(9_000, 10 * S, 30 * S), (
            "named without a value, it is derived again"
        )

    in_world(raised, test)


def test_what_is_named_without_a_value_takes_the_default_of_today() -> None:
    since = Since(
        {"max_payment_msat": 50_000, "fee_floor_msat": 7},
        {},
        StreamSettings(max_payment_msat=30_000, fee_floor_msat=8),
    )

    async def test(world: World, service: Service, opened: Opened) -> None:
        stream = await opened()
        before = stream.terms
        await update(service, stream, "max_payment_msat fee_floor_msat")
        assert stream.terms == replace(before, max_payment_msat=30_000, fee_floor_msat=8)

    in_world(since, test)


def test_who_asks_is_always_checked() -> None:
    async def test(world: World, service: Service, opened: Opened) -> None:
        other = world.network.named["payer"].pubkey
        for order, says in (
            (KeyOrder("a", ("streams:write",), destinations=(other,)), "may not pay"),
            (KeyOrder("b", ("streams:write",)), ""),
        ):
            key = (await service.keys.create(order))[0].key
            stream = await opened()
            stream.api_key = key.number
            if not says:
                await update(service, stream, "group", key, group="a")
                assert stream.terms.group == "a"
                await service.keys.revoke(key.id)
            with pytest.raises(PermissionDenied, match=says or "was revoked"):
                await update(service, stream, "group", key, group="b")

    in_world(Since({}, {}), test)


def test_a_change_of_a_stream_whose_end_was_due_is_refused_and_not_dropped() -> None:
    async def test(world: World, service: Service, opened: Opened) -> None:
        stream = await opened()
        await world.do(
            lambda book, it, now_ns, facts: lifecycle.pause(book, it, T0_NS + 100 * S, facts),
            stream,
        )
        with pytest.raises(
            FailedPrecondition,
            match=rf"{stream.id} has ended \(COMPLETED, END_TIME\) and cannot be changed",
        ):
            await update(service, stream, "labels", labels=(("a", "1"),))
        assert (stream.state, stream.reason) == (
            StreamState.COMPLETED,
            Reason.END_TIME,
        ) and not stream.terms.labels

    in_world(Since({"end_time_ns": T0_NS + 900 * S}, {}), test)
