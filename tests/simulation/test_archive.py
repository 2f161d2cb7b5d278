"""Ended streams leave memory a day after their end, are shown as before, and come back when money
of theirs does.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import streamer.books.archive
import streamer.doubt.givenup
import streamer.pay.engine
import streamer.service.archived
from streamer.books.archive import ARCHIVE_AFTER_NS
from streamer.core import ends, lifecycle
from streamer.core.payment import Event
from streamer.core.streamtime import check_conservation
from streamer.ports import ArchiveQuery
from streamer.service import Service
from streamer.service.archived import find as archived_or_here
from streamer.service.orders import StreamOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.lightning_node import CallFate
from streamer.words.errors import AlreadyExists, FailedPrecondition, NotFound, Unavailable
from streamer.words.model import (
    ADMIN,
    Answer,
    Kind,
    Mark,
    Payment,
    PaymentState,
    Stream,
    StreamState,
)
from streamer.words.money import DAY_NS, SECOND_NS
from tests.simulation.served import service_of
from tests.simulation.test_money_rules import PATIENCE, found, known_to_node, one_open, stop
from tests.simulation.test_scenarios import QUICK
from tests.simulation.world import World

MINUTE = 60.0
SOON_NS = 600 * SECOND_NS


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream may leave ten minutes after its end, and a failure is watched for five."""
    monkeypatch.setattr(streamer.books.archive, "ARCHIVE_AFTER_NS", SOON_NS)
    monkeypatch.setattr(streamer.doubt.givenup, "WATCH_NS", SOON_NS // 2)


def archived(world: World) -> list[int]:
    return [key for (key,) in world.store.execute("SELECT key FROM archive ORDER BY key")]


async def ended(world: World, seconds: float = 5, **terms: Any) -> Stream:
    stream = await world.open("1sat/1s", **terms)
    await asyncio.sleep(seconds)
    await world.do(lifecycle.cancel, stream)
    await asyncio.sleep(2)
    assert stream.state is StreamState.CANCELLED
    return stream


def test_it_leaves_a_day_after_its_end_and_no_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamer.pay.engine, "WAKE_AT_LEAST_NS", 3600 * SECOND_NS)

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await ended(world)
            lives = await world.open("1sat/1h")
            left_ns = stream.state_time_ns + ARCHIVE_AFTER_NS - clock.now_ns()
            assert ARCHIVE_AFTER_NS == DAY_NS
            await asyncio.sleep(left_ns / SECOND_NS - 1)
            await world.engine.archive.look()
            assert list(world.book.streams) == [stream.id, lives.id] and archived(world) == []
            await asyncio.sleep(streamer.books.archive.LOOK_SECONDS + 2)
            assert list(world.book.streams) == [lives.id] and archived(world) == [stream.key]
            assert (
                list(world.book.by_key) == [lives.key] and stream.key not in world.book.budgets._own
            )
            assert not world.engine.archive.leaving
        world.crash()
        assert list(world.book.streams) == [lives.id]
        assert world.snapshot.last_stream_key == lives.key

    run_virtual(main)


@pytest.mark.usefixtures("soon")
def test_what_may_still_move_its_money_keeps_it() -> None:
    """Open payments (orphans too), watched failures, a node that is away: each alone."""

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, receivers=2)
        async with world.running():
            world.faults.hold("receiver1")
            orphan = await world.open("1sat/1s", receiver=1)
            await asyncio.sleep(5)
            await world.do(lifecycle.cancel, orphan)
            [payment] = [
                payment for payment in world.book.payments.values() if payment.owner == orphan.id
            ]
            world.engine.defer(
                lambda now_ns, facts: ends.mark(world.book, payment, Mark.ORPHAN, now_ns, facts)
            )
            failed = await ended(world)
            last = await world.store.payment(failed.id, 1)
            assert last is not None
            last.state, last.payment_hash = PaymentState.FAILED, b"x" * 32
            away = await ended(world)
            assert orphan.state is StreamState.CANCELLED and orphan.reserved_msat
            world.faults.take_down("payer")
            await asyncio.sleep(20 * MINUTE)
            assert not world.engine.up and archived(world) == [], (
                "nothing leaves while its node is away"
            )
            world.engine.recovery._given_up.add(last, clock.now_ns())
            world.faults.bring_up("payer")
            await asyncio.sleep(2 * MINUTE)
            assert world.engine.up and archived(world) == [away.key]
            await asyncio.sleep(10 * MINUTE)
            assert archived(world) == [failed.key, away.key], "nobody watches its failure any more"
            world.faults.release("receiver1")
            world.engine.recovery._conclude(
                payment,
                Event.SETTLED,
                Answer(Kind.SETTLED, accepted=True, amount_msat=payment.amount_msat),
            )
            await asyncio.sleep(2 * MINUTE)
            assert archived(world) == [orphan.key, failed.key, away.key]
        assert not world.failures

    run_virtual(main)


class Seen:
    """What the doors show of streams."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def all(self, ids: list[str]) -> list[object]:
        streams, payments = self.service.streams, self.service.payments
        shown: list[object] = []
        for stream_id in ids:
            report = await streams.get(ADMIN, stream_id)
            shown += [
                report.stream,
                report.paid_until_ns,
                report.owed_msat,
                report.last_payment and report.last_payment.bought_until_ns,
            ]
            listed, _ = await payments.page(ADMIN, f"stream={stream_id}", 0, "")
            shown += [(one.payment.id, one.payment.state, one.bought_until_ns) for one in listed]
            one = await payments.get(ADMIN, f"{stream_id}.{report.stream.account.seq}")
            shown.append((one.payment.settled_msat, one.bought_until_ns))
        for filter_text in (
            "",
            "state=CANCELLED",
            "state=ACTIVE",
            "group=b",
            "labels.n=1",
            f"id={ids[0]}",
            "reason=USER group=a",
        ):
            for size in (1, 2, 3, 100):
                shown.append((filter_text, size, await self.pages(filter_text, size)))
        return shown

    async def pages(self, filter_text: str, size: int) -> list[list[str]]:
        """The ids of each page."""
        pages, token = list[list[str]](), ""
        while True:
            page, token = await self.service.streams.page(ADMIN, filter_text, size, token)
            pages.append([report.stream.id for report in page])
            if not token:
                return pages


@pytest.mark.usefixtures("soon")
def test_what_is_shown_and_listed_is_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamer.service.archived, "WINDOW_KEYS", 2)

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            streams = [
                await ended(world, group="ab"[n % 2], labels=(("n", str(n)),)) for n in range(3)
            ]
            streams.append(await world.open("1sat/1h", group="b"))
            streams += [await ended(world, group="ab"[n % 2]) for n in range(2)]
            await asyncio.sleep(5)
            seen = Seen(service_of(world))
            ids = [stream.id for stream in streams]
            before = await seen.all(ids)
            assert (await seen.pages("", 4)) == [ids[:1:-1], ids[1::-1]]
            await asyncio.sleep(13 * MINUTE)
            assert len(archived(world)) == 5 and list(world.book.streams) == [ids[3]]
            for shown, was in zip(await seen.all(ids), before, strict=True):
                assert shown == was
            streams_of = seen.service.streams
            assert "cancelled 1" in (await streams_of.get(ADMIN, ids[0])).explanation
            assert (await streams_of.cancel(ADMIN, ids[0])).stream.state is StreamState.CANCELLED
            for refused in (streams_of.pause, streams_of.resume):
                with pytest.raises(
                    FailedPrecondition,
                    match=rf"{ids[0]} has ended \(CANCELLED, USER\) and cannot be",
                ):
                    await refused(ADMIN, ids[0])
            with pytest.raises(FailedPrecondition, match="cannot be changed; open a new stream"):
                await streams_of.update(
                    ADMIN,
                    ids[0],
                    StreamOrder(destination=b"", amount_msat=2_000, interval_ns=0),
                    frozenset({"amount_msat"}),
                )
            with pytest.raises(NotFound):
                await streams_of.get(ADMIN, "st_" + "9" * 32)
            assert len(archived(world)) == 5, "nothing of that was written"

    run_virtual(main)


@pytest.mark.usefixtures("soon")
def test_while_it_is_on_its_way_it_is_shown_once() -> None:
    """Memory has it no more, and the disk has not answered yet."""

    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream, other = await ended(world), await world.open("1sat/1h")
            seen = Seen(service_of(world))

            async def commit() -> None:
                await asyncio.sleep(30)

            await asyncio.sleep(9 * MINUTE)
            world.store.commit = commit
            while stream.id in world.book.streams:
                await asyncio.sleep(1)
            assert archived(world) == [] and list(world.engine.archive.leaving) == [stream.id]
            assert (await seen.pages("", 1)) == [[other.id], [stream.id]]
            assert (await seen.service.streams.get(ADMIN, stream.id)).stream is stream
            assert (await seen.service.payments.page(ADMIN, f"stream={stream.id}", 1, ""))[0][
                0
            ].bought_until_ns
            while world.engine.archive.leaving:
                await asyncio.sleep(1)
            assert archived(world) == [stream.key] and (await seen.pages("", 1)) == [
                [other.id],
                [stream.id],
            ]

    run_virtual(main)


@pytest.mark.usefixtures("soon")
def test_a_repeated_request_id_shows_the_stream_that_it_made() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        streams = service_of(world).streams
        order = StreamOrder(
            destination=world.network.named["receiver0"].pubkey,
            amount_msat=1_000,
            interval_ns=SECOND_NS,
        )
        async with world.running():
            await asyncio.sleep(1)  # no stream begins before the clock is checked
            made = await streams.create(ADMIN, order, "r1", False)
            await streams.cancel(ADMIN, made.stream.id)
            await asyncio.sleep(12 * MINUTE)
            assert not world.book.streams
            again = await streams.create(ADMIN, order, "r1", False)
            assert (again.stream.id, again.stream.state) == (
                made.stream.id,
                StreamState.CANCELLED,
            ) and not world.book.streams
            with pytest.raises(AlreadyExists):
                await streams.create(
                    ADMIN,
                    StreamOrder(
                        destination=order.destination, amount_msat=2_000, interval_ns=SECOND_NS
                    ),
                    "r1",
                    False,
                )

    run_virtual(main)


# -- money that comes later than all patience -----------------------------------------------------


async def given_up(world: World, late_seconds: float) -> tuple[Stream, Payment]:
    """An archived stream with a payment that failed, and whose call the node will execute so long
    after it was made.
    """
    stream = await world.open("1sat/1s")
    await asyncio.sleep(3.5)
    payment = await one_open(world, stream, CallFate.LATE, int(late_seconds * SECOND_NS), stop)
    await asyncio.sleep(60)
    assert payment.state is PaymentState.FAILED
    await world.do(lifecycle.cancel, stream)
    await asyncio.sleep(12 * MINUTE)
    assert archived(world) == [stream.key] and payment.payment_hash not in known_to_node(world)
    return stream, payment


async def posted(world: World, stream: Stream, payment: Payment, before_msat: int) -> None:
    """It is settled everywhere, and once; its stream may have left again by now."""
    kept = await archived_or_here(service_of(world).streams._nodes, stream.id)
    assert kept is not None
    check_conservation(kept)
    assert (
        kept is not stream
        and kept.account.settled_msat == stream.account.settled_msat + payment.amount_msat
    )
    assert world.book.budgets.spend_limit.spent_msat == before_msat + payment.amount_msat
    assert [late.id for late in world.observer.late] == [payment.id]


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("crashes", [False, True])
def test_a_ghost_of_a_stream_that_left_is_posted_to_it_when_it_is_found(crashes: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            stream, payment = await given_up(world, 20 * MINUTE)
            before = world.book.budgets.spend_limit.spent_msat
            await asyncio.sleep(10 * MINUTE)
            assert known_to_node(world)[payment.payment_hash].preimage
            if not crashes:
                world.faults.cut_connections("payer")
                await asyncio.sleep(30)
                await posted(world, stream, payment, before)
        if crashes:
            world.crash()
            async with world.running():
                await asyncio.sleep(30)
                await posted(world, stream, payment, before)
        assert (await found(world, payment)).state is PaymentState.SETTLED
        world.crash()
        async with world.running():
            await asyncio.sleep(2 * MINUTE)
            assert not world.book.streams and archived(world) == [stream.key], (
                "and it may leave again"
            )
            [again] = await world.store.archived(ArchiveQuery())
            assert again.account.settled_msat == stream.account.settled_msat + payment.amount_msat

    run_virtual(main)


@pytest.mark.usefixtures("soon")
def test_while_the_journal_cannot_be_read_it_waits_and_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            stream, payment = await given_up(world, 20 * MINUTE)
            before = world.book.budgets.spend_limit.spent_msat
            await asyncio.sleep(10 * MINUTE)
            read, asked = world.store.archived, list[ArchiveQuery]()

            async def busy(query: ArchiveQuery) -> list[Stream]:
                if not query.id:
                    return await read(query)
                asked.append(query)
                raise Unavailable("busy")

            monkeypatch.setattr(world.store, "archived", busy)
            world.faults.cut_connections("payer")
            await asyncio.sleep(3 * MINUTE)
            assert len(asked) >= 2 and not world.observer.late and not world.book.streams
            assert (await found(world, payment)).state is PaymentState.FAILED
            monkeypatch.undo()
            await asyncio.sleep(2 * MINUTE)
            await posted(world, stream, payment, before)

    run_virtual(main)


@pytest.mark.usefixtures("soon")
def test_what_a_failed_disk_did_not_take_is_still_shown_and_there_at_the_next_start() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await ended(world)
            await asyncio.sleep(9 * MINUTE)
            world.store.fail()
            await asyncio.sleep(3 * MINUTE)
            assert world.failures and archived(world) == [] and not world.book.streams
            assert (await service_of(world).streams.get(ADMIN, stream.id)).stream is stream
        world.crash()
        assert list(world.book.streams) == [stream.id]

    run_virtual(main)


@pytest.mark.usefixtures("soon")
def test_what_was_written_off_and_failed_is_given_back_to_a_stream_that_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK, patience=PATIENCE)
        async with world.running():
            world.faults.hold("receiver0")
            stream = await world.open("1sat/1s")
            await asyncio.sleep(5)
            [payment] = world.book.payments.values()
            world.engine.recovery._conclude(
                payment, Event.WRITE_OFF, Answer(Kind.IN_FLIGHT, accepted=True)
            )
            other = await world.open("1sat/1h", start_time_ns=clock.now_ns() + DAY_NS)
            for one in (stream, other):
                await world.do(lifecycle.cancel, one)
            await asyncio.sleep(12 * MINUTE)
            back = payment.amount_msat + payment.fee_limit_msat
            assert (
                archived(world) == [stream.key, other.key]
                and world.book.budgets.spend_limit.spent_msat == back
            )
            track = world.engine.node.track

            async def told(payment_hash: bytes, patience_seconds: float) -> Answer:
                return (
                    Answer(Kind.FAILED)
                    if payment_hash == payment.payment_hash
                    else await track(payment_hash, patience_seconds)
                )

            monkeypatch.setattr(world.engine.node, "track", told)
            world.faults.cut_connections("payer")
            await asyncio.sleep(3 * MINUTE)
            assert world.book.budgets.spend_limit.spent_msat == 0
            kept = await archived_or_here(service_of(world).streams._nodes, stream.id)
            assert kept is not None and (kept.refunded_msat, stream.refunded_msat) == (back, 0)

    run_virtual(main)


@pytest.mark.usefixtures("soon")
def test_a_recalled_stream_is_one_of_memory_after_a_crash_too_and_may_leave_again() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, QUICK)
        async with world.running():
            stream = await ended(world)
            await asyncio.sleep(12 * MINUTE)
            assert archived(world) == [stream.key]
            recalled = await asyncio.gather(
                *(world.engine.archive.recall(stream.id) for _ in range(3))
            )
            assert recalled[0] == stream and all(one is recalled[0] for one in recalled), "once"
            assert await world.engine.archive.recall("st_none") is None
            await world.engine.durable()
        world.crash()
        assert list(world.book.streams.values()) == [stream] and archived(world) == []
        async with world.running():
            await asyncio.sleep(2 * MINUTE)
            assert not world.book.streams and archived(world) == [stream.key]

    run_virtual(main)
