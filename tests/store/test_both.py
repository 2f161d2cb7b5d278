"""What every store must do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings

from streamer.books.desk import Desk
from streamer.service.filters import MAX_PAGE
from streamer.words.clock import BootClock
from streamer.words.errors import StoreFailed
from streamer.words.model import (
    OPEN,
    WRITTEN_OFF,
    ApiKey,
    Facts,
    Mark,
    Outage,
    Outgoing,
    Payment,
    PaymentQuery,
    PaymentState,
    Request,
    Spend,
    Stream,
    StreamState,
)
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from tests.service.given import book
from tests.store import given as some
from tests.store.both import KINDS, Bench, Story, play
from tests.store.given import DESTINATION, NOW, a_payment, a_single, a_stream, same


@pytest.mark.parametrize("kind", KINDS)
@given(stream=some.streams)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_stream_comes_back_with_every_field(kind: str, stream: Stream) -> None:
    async def story(bench: Bench) -> None:
        await bench.store.append(Facts(streams=[stream]))
        snapshot = await bench.reopened()
        assert snapshot.streams == [stream]
        assert snapshot.last_stream_key == stream.key

    play(kind, story)


@pytest.mark.parametrize("kind", KINDS)
@given(payment=some.payments)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_payment_comes_back_with_every_field(kind: str, payment: Payment) -> None:
    async def story(bench: Bench) -> None:
        stream = a_stream(1, id="st_00")
        stream.account.seq = payment.seq
        await bench.store.append(Facts(streams=[stream], intents=[payment]))
        found = await bench.store.payment(payment.owner, payment.seq)
        assert found is not None and same(found, payment)
        snapshot = await bench.reopened()
        assert len(snapshot.open_payments) == (payment.state in OPEN)
        assert all(same(one, payment) for one in snapshot.open_payments)
        assert snapshot.last_row == payment.row
        assert snapshot.last_index == ({payment.node: payment.index} if payment.index else {})

    play(kind, story)


def test_the_largest_page_of_the_doors_and_the_row_that_tells_of_the_next_are_one_query(
    on: Callable[[Story], None],
) -> None:
    async def story(bench: Bench) -> None:
        stream = a_stream(1)
        stream.account.seq = MAX_PAGE + 2
        await bench.store.append(
            Facts(
                streams=[stream],
                intents=[a_payment(stream, row, row) for row in range(1, MAX_PAGE + 3)],
            )
        )
        found = await bench.store.payments(PaymentQuery(limit=MAX_PAGE + 1))
        assert [payment.row for payment in found] == list(range(MAX_PAGE + 2, 1, -1))

    on(story)


def test_an_empty_journal_has_nothing(on: Callable[[Story], None]) -> None:
    async def story(bench: Bench) -> None:
        snapshot = await bench.reopened()
        assert (snapshot.streams, snapshot.open_payments, snapshot.spends, snapshot.outages) == (
            [],
            [],
            [],
            [],
        )
        assert (
            snapshot.settings,
            snapshot.last_row,
            snapshot.last_stream_key,
            snapshot.last_index,
        ) == ({}, 0, 0, {})

    on(story)


def test_an_outcome_closes_its_payment_and_moves_the_account(on: Callable[[Story], None]) -> None:
    async def story(bench: Bench) -> None:
        stream = a_stream()
        await bench.store.append(Facts(streams=[stream]))
        stream.account.seq = 2
        first, second = a_payment(stream, 1, 1), a_payment(stream, 2, 2)
        await bench.store.append(
            Facts(intents=[first, second], accounts=[stream], spends=[Spend("daemon", NOW, 12_000)])
        )
        first.state, first.settled_msat, first.fee_msat, first.index, first.end_ns = (
            PaymentState.SETTLED,
            1_000,
            3,
            77,
            NOW + 9,
        )
        second.state, second.mark, second.accepted, second.message = (
            PaymentState.UNKNOWN,
            Mark.HELD,
            True,
            "läuft \x00 noch",
        )
        stream.account.settled_msat, stream.account.fee_msat = 1_000, 3
        await bench.store.append(
            Facts(ends=[first, second], accounts=[stream], spends=[Spend("daemon", NOW, 7_003)])
        )
        snapshot = await bench.reopened()
        assert [payment.seq for payment in snapshot.open_payments] == [2] and same(
            snapshot.open_payments[0], second
        )
        assert snapshot.streams[0].account == stream.account
        assert snapshot.spends == [Spend("daemon", NOW, 7_003)]
        assert snapshot.last_index == {"main": 77}
        found = await bench.store.payment(stream.id, 1)
        assert found is not None and same(found, first) and not found.open

    on(story)


@pytest.mark.parametrize("together", [True, False])
def test_the_periods_to_which_a_reserve_belongs_are_replaced_and_nothing_else(
    on: Callable[[Story], None], together: bool
) -> None:
    async def story(bench: Bench) -> None:
        stream, key = a_stream(), ApiKey(7, "key_7", "", frozenset())
        stream.account.seq = 2
        payment, other = a_payment(stream, 1, 1, api_key=7), a_payment(stream, 2, 2)
        first = bench.store.append(Facts(streams=[stream], intents=[payment, other], keys=[key]))
        if not together:
            await first
        payment.period_start_ns, payment.key_period_ns, payment.daemon_period_ns = 1, 2, 3
        payment.accepted = True
        await bench.store.append(Facts(restamped=[payment], ends=[payment]))
        found = (await bench.reopened()).open_payments
        assert len(found) == 2 and same(found[0], payment) and same(found[1], other)

    on(story)


def test_objects_may_change_once_append_has_begun(on: Callable[[Story], None]) -> None:
    async def story(bench: Bench) -> None:
        stream = a_stream()
        stream.account.seq = 1
        payment = a_payment(stream, 1, 1)
        before, before_payment = deepcopy(stream), deepcopy(payment)
        waiting = asyncio.ensure_future(
            bench.store.append(Facts(streams=[stream], intents=[payment]))
        )
        await asyncio.sleep(0)
        stream.account.settled_msat = stream.skipped_ns = 99
        stream.segments[0].start_msat = 5
        payment.amount_msat = 1
        await waiting
        snapshot = await bench.reopened()
        assert snapshot.streams == [before]
        assert same(snapshot.open_payments[0], before_payment)

    on(story)


def test_appends_are_in_order_and_the_last_one_stands(on: Callable[[Story], None]) -> None:
    async def story(bench: Bench) -> None:
        stream = a_stream()
        await bench.store.append(Facts(streams=[stream]))
        ended: list[int] = []

        async def one(number: int) -> None:
            stream.account.seq = number
            await bench.store.append(
                Facts(
                    intents=[a_payment(stream, number, number)],
                    accounts=[stream],
                    settings=[("n", str(number))],
                )
            )
            ended.append(number)

        await asyncio.gather(*(one(number) for number in range(1, 301)))
        assert ended == list(range(1, 301))
        snapshot = await bench.reopened()
        assert snapshot.streams[0].account.seq == 300 and snapshot.settings == {"n": "300"}
        assert [payment.row for payment in snapshot.open_payments] == list(range(1, 301))

    on(story)


def test_the_setting_of_what_comes_and_goes_leaves_nothing_behind_when_it_is_emptied(
    on: Callable[[Story], None],
) -> None:
    """Each receiver that ever held a payment has had one."""

    async def story(bench: Bench) -> None:
        await bench.store.append(
            Facts(
                settings=[
                    ("outage.node/7/02aa", "1 x"),
                    ("outage.node/7/02bb", "1 x"),
                    ("outage.node", "1 x"),
                ]
            )
        )
        emptied = [
            ("outage.node/7/02aa", ""),
            ("outage.node/7/02bb", ""),
            ("outage.node/7/02bb", "2 y"),
            ("outage.node", ""),
        ]
        await bench.store.append(Facts(settings=emptied))
        assert (await bench.reopened()).settings == {"outage.node/7/02bb": "2 y", "outage.node": ""}
        await bench.store.append(Facts(settings=[("outage.node/7/02bb", "")]))
        assert (await bench.reopened()).settings == {"outage.node": ""}

    on(story)


def test_cancelling_the_wait_does_not_undo_it(on: Callable[[Story], None]) -> None:
    async def story(bench: Bench) -> None:
        waiting = asyncio.ensure_future(
            bench.store.append(Facts(settings=[("halt.OPERATOR", "now")]))
        )
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await bench.store.append(Facts(settings=[("other", "x")]))
        assert (await bench.reopened()).settings == {"halt.OPERATOR": "now", "other": "x"}

    on(story)


@pytest.mark.parametrize("what", ["seq", "row", "single", "end", "period"])
def test_a_payment_that_cannot_be_fails_the_store_and_the_whole_append(
    on: Callable[[Story], None], what: str
) -> None:
    async def story(bench: Bench) -> None:
        stream = a_stream()
        stream.account.seq = 9
        await bench.store.append(
            Facts(streams=[stream], intents=[a_payment(stream, 1, 1), a_single(2)])
        )
        wrong = {
            "seq": Facts(intents=[a_payment(stream, 3, 2), a_payment(stream, 4, 1)]),
            "row": Facts(intents=[a_payment(stream, 1, 2)]),
            "single": Facts(intents=[a_single(5, owner=a_single(2).owner)]),
            "end": Facts(ends=[a_payment(stream, 8, 8)], settings=[("no", "no")]),
            "period": Facts(restamped=[a_payment(stream, 8, 8)], settings=[("no", "no")]),
        }[what]
        with pytest.raises(StoreFailed):
            await bench.store.append(wrong)
        with pytest.raises(StoreFailed):
            await bench.store.append(Facts(settings=[("later", "never")]))
        snapshot = await bench.reopened()
        assert [payment.row for payment in snapshot.open_payments] == [1, 2]
        assert snapshot.settings == {}
        await bench.store.append(Facts(settings=[("again", "yes")]))

    on(story)


def test_pages_of_payments(on: Callable[[Story], None]) -> None:
    async def story(bench: Bench) -> None:
        one, two = a_stream(1), a_stream(2)
        one.account.seq = two.account.seq = 40
        made = [
            a_payment((one, two)[n % 2], n + 1, n // 2 + 1, node="ab"[n % 3 == 0])
            for n in range(60)
        ] + [a_single(61)]
        for payment in made[::4]:
            payment.state = PaymentState.FAILED
        for payment in made[1::6]:
            payment.state = PaymentState.WRITTEN_OFF
        await bench.store.append(Facts(streams=[one, two], intents=made))

        async def rows(**query: object) -> list[int]:
            return [payment.row for payment in await bench.store.payments(PaymentQuery(**query))]  # type: ignore[arg-type]

        assert await rows(limit=3) == [61, 60, 59]
        assert await rows(before_row=10, limit=2) == [9, 8]
        assert await rows(owner=one.id, limit=1000) == list(range(59, 0, -2))
        assert await rows(owner=one.id, before_row=31, limit=2) == [29, 27]
        assert await rows(owner=one.id, before_row=30, limit=2) == [29, 27]
        assert await rows(owner=made[60].owner) == [61]
        assert await rows(owner="st_none") == []
        assert await rows(states=frozenset({PaymentState.FAILED}), limit=2) == [61, 57]
        assert await rows(node="b", states=frozenset({PaymentState.PLANNED}), limit=2) == [58, 55]
        assert await rows(node="a", states=WRITTEN_OFF, limit=2) == [56, 50]
        assert await rows(node="a", states=WRITTEN_OFF, before_row=50, limit=2) == [44, 38]
        assert (
            await rows(node="b", states=WRITTEN_OFF)
            == await rows(owner=one.id, states=WRITTEN_OFF)
            == []
        )
        assert await rows(owner=two.id, states=WRITTEN_OFF, limit=2) == [56, 50]
        assert await rows(limit=0) == []
        assert (
            await bench.store.payment(one.id, 41) is None
            and await bench.store.payment("st_none", 1) is None
        )
        found = await bench.store.payment(made[60].owner, 0)
        assert found is not None and same(found, made[60])

    on(story)


def test_what_failed_lately_is_found_by_its_end_however_long_ago_it_was_planned(
    on: Callable[[Story], None],
) -> None:
    async def story(bench: Bench) -> None:
        stream = a_stream(1)
        stream.account.seq = 9
        made = [a_payment(stream, row, row, node="ab"[row == 6]) for row in range(1, 10)]
        states = [
            PaymentState.FAILED,
            PaymentState.REFUSED,
            PaymentState.SETTLED,
            PaymentState.WRITTEN_OFF,
            *[PaymentState.FAILED] * 4,
        ]
        for payment, state, end_s in zip(
            made, states, (50, 20, 40, 40, 30, 35, 20, 19), strict=False
        ):
            payment.state, payment.end_ns = state, NOW + end_s * SECOND_NS
        await bench.store.append(Facts(streams=[stream], intents=made))

        async def rows(since_s: int, limit: int = 1000) -> list[int]:
            query = PaymentQuery(node="a", unpaid_since_ns=NOW + since_s * SECOND_NS, limit=limit)
            return [payment.row for payment in await bench.store.payments(query)]

        assert await rows(20) == [1, 5, 7, 2], "the last to end first"
        assert await rows(20, limit=2) == [1, 5]
        assert await rows(50) == [1] and await rows(51) == []

    on(story)


def test_a_request_id_keeps_what_it_made_first(on: Callable[[Story], None]) -> None:
    async def story(bench: Bench) -> None:
        await bench.store.append(Facts(requests=[Request("r1", "st_1", b"\x00\xff")]))
        await bench.store.append(Facts(requests=[Request("r1", "st_2", b"other")]))
        await bench.reopened()
        assert await bench.store.request("r1") == ("st_1", b"\x00\xff")
        assert await bench.store.request("r2") is None

    on(story)


def test_only_outages_that_a_living_stream_still_needs_come_back(
    on: Callable[[Story], None],
) -> None:
    async def story(bench: Bench) -> None:
        stream, gone = a_stream(1), a_stream(2, state=StreamState.COMPLETED)
        stream.account.counted_until_ns = NOW + 100
        old, new = (
            Outage("", "daemon", NOW, NOW + 100),
            Outage("main", "NODE_DOWN", NOW + 50, NOW + 150),
        )
        longer = Outage("main", "NODE_DOWN", NOW + 50, NOW + 250)
        await bench.store.append(Facts(streams=[stream, gone], outages=[old, new]))
        await bench.store.append(Facts(outages=[longer]))
        assert (await bench.reopened()).outages == [longer]

    on(story)


def test_retention_deletes_ended_payments_only_and_keeps_the_rows_used(
    on: Callable[[Story], None],
) -> None:
    async def story(bench: Bench) -> None:
        stream = a_stream()
        stream.account.seq = 600
        made = [a_payment(stream, n, n, planned_ns=NOW + n) for n in range(1, 601)]
        for payment in made:
            payment.state, payment.settled_msat = PaymentState.SETTLED, 1_000
        made[3].state = PaymentState.UNKNOWN
        await bench.store.append(Facts(streams=[stream], intents=made))
        assert await bench.store.purge(NOW + 11, 5) == 5
        assert await bench.store.purge(NOW + 11, 100) == 4
        assert await bench.store.purge(NOW + 11, 100) == 0
        assert await bench.store.payment(stream.id, 10) is None
        assert await bench.store.payment(stream.id, 11) is not None
        assert await bench.store.purge(NOW + 10_000, 10_000) == 590
        snapshot = await bench.reopened()
        assert [payment.seq for payment in snapshot.open_payments] == [4]
        assert snapshot.last_row == 600

    on(story)


def test_reasons_and_states_survive(on: Callable[[Story], None]) -> None:
    async def story(bench: Bench) -> None:
        stream = a_stream(1, state=StreamState.STALLED, reason=Reason.NO_ROUTE)
        await bench.store.append(Facts(streams=[stream]))
        stream.state, stream.reason = StreamState.CLOSING, Reason.USER
        await bench.store.append(Facts(streams=[stream]))
        found = (await bench.reopened()).streams[0]
        assert (found.state, found.reason) == (StreamState.CLOSING, Reason.USER)
        assert type(found.reason) is Reason and found.terms.destination == DESTINATION

    on(story)


def test_events_for_the_webhook_wait_in_order_until_they_arrived(
    on: Callable[[Story], None],
) -> None:
    async def story(bench: Bench) -> None:
        events = [Outgoing(number, NOW + number, b"\x00%d" % number) for number in (5, 7, 8)]
        await bench.store.append(Facts(outgoing=events))
        assert await bench.store.outgoing(0, 10) == events
        assert await bench.store.outgoing(5, 1) == events[1:2]
        await bench.store.append(Facts(delivered=[7, 9]))
        snapshot = await bench.reopened()
        assert (snapshot.outgoing, snapshot.last_outgoing) == (2, 8)
        assert await bench.store.outgoing(0, 10) == [events[0], events[2]]

    on(story)


def test_what_also_adds_is_durable_with_the_facts_of_the_same_append() -> None:
    async def story(bench: Bench) -> None:
        desk = Desk(bench.store, BootClock(), book().shared, lambda _: None)
        desk.also = lambda facts: facts.settings.append(("also", str(len(facts.settings))))
        await desk.durable(Facts(settings=[("a", "b")]))
        assert (await bench.reopened()).settings == {"a": "b", "also": "1"}

    play("sqlite", story)
