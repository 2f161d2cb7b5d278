"""The book: what is due and when, what waits for what, and what each plan tells."""

from __future__ import annotations

import pytest

from streamer.core.book import MOST_LOOKS
from streamer.core.shared import Tally
from streamer.core.streamtime import covered_ns
from streamer.words.model import Facts, Mark, Rate, Single, Stream, StreamState
from streamer.words.reasons import Halt, Reason
from tests.core.house import HOUR, MINUTE, PEER, T0, House, S, budget_of

OTHER = b"\x03" * 33


def due(house: House, stream: Stream) -> float | None:
    """When stream is due, in seconds after T0."""
    moment = house.book.due_ns(stream)
    return None if moment is None else (moment - T0) / S


def next_one(house: House) -> float | None:
    """When any stream is due, in seconds after T0; -1: now, one waits already."""
    moment = house.book.next_ns()
    return None if moment is None else -1 if moment == 0 else (moment - T0) / S


# -- when ---------------------------------------------------------------------------------------


def test_nothing_is_due_where_nothing_is() -> None:
    house = House()
    assert next_one(house) is None and house.book.ready_streams == 0 and house.plan() == []


def test_a_stream_is_due_at_its_start_then_where_its_covered_time_ends() -> None:
    house = House()
    stream = house.open(start_time_ns=T0 + 5 * S, rate=Rate(1_000, S, 3 * S))
    assert (due(house, stream), next_one(house)) == (5, 5)
    payment = house.pay(5)
    assert due(house, stream) is None, "one payment at a time"
    house.settle(payment)
    assert (due(house, stream), next_one(house)) == (8, 8)
    house.pause(stream)
    assert (due(house, stream), next_one(house)) == (None, None)


def test_payments_keep_the_least_distance_and_none_is_due_before_its_next_attempt() -> None:
    house = House()
    stream = house.open(min_payment_interval_ns=4 * S)
    house.settle(house.pay(0))
    assert due(house, stream) == 4
    house.fail(house.pay(4))
    assert due(house, stream) == 9, "five seconds after it failed"
    house.settle(house.pay(9))
    assert due(house, stream) == 13


def test_at_its_end_a_stream_is_due_once_more_and_no_distance_holds_that_back() -> None:
    house = House()
    stream = house.open(
        end_time_ns=T0 + int(2.5 * S), rate=Rate(1_000, S, 2 * S), min_payment_interval_ns=10 * S
    )
    house.settle(house.pay(0))
    assert due(house, stream) == 2.5 and stream.account.settled_msat == 2_500
    house.idle(2.5)
    assert (stream.state, stream.reason) == (StreamState.COMPLETED, Reason.END_TIME)


@pytest.mark.parametrize("slots", [2, 3])
def test_so_many_payments_may_be_open_and_one_while_it_fails(slots: int) -> None:
    house = House()
    stream = house.open(max_open_payments=slots)
    payments = [house.pay(number) for number in range(slots)]
    house.idle(slots + 1)
    house.fail(payments[0])
    house.idle(120)
    for payment in payments[1:]:
        house.fail(payment)
    assert house.pay(10_000).probe is False and house.plan() == [] and stream.open_payments == 1


def test_a_paused_or_stalled_stream_waits_for_its_end_and_its_ttl() -> None:
    house = House()
    paused = house.open(end_time_ns=T0 + HOUR)
    house.settle(house.pay(0))
    house.pause(paused)
    assert next_one(house) == 3_600
    house = House(stall_after=1)
    stalled = house.open(end_time_ns=T0 + 3 * S)
    house.fail(house.pay(0))
    assert (stalled.state, next_one(house)) == (StreamState.STALLED, 3), (
        "not five seconds, after which it would be tried"
    )
    house.idle(3)
    assert (stalled.state, stalled.reason, stalled.dropped_msat) == (
        StreamState.COMPLETED,
        Reason.END_TIME,
        3_000,
    )


def test_a_ttl_falls_due_before_the_next_payment_and_while_one_is_open() -> None:
    house = House()
    stream = house.open(ttl_ns=90 * S, rate=Rate(1_000, MINUTE, MINUTE))
    payment = house.pay(0)
    assert next_one(house) == 90
    house.settle(payment)
    assert next_one(house) == 60
    house.settle(house.pay(60))
    assert next_one(house) == 90
    house.idle(90)
    assert (stream.state, stream.reason, next_one(house)) == (
        StreamState.PAUSED,
        Reason.TTL_EXPIRED,
        None,
    )


# -- room ---------------------------------------------------------------------------------------


def test_who_found_no_room_waits_in_front() -> None:
    house = House()
    streams = [house.open(start_time_ns=T0 + number) for number in range(3)]
    house.at(1)
    [first] = house.plan(room=1)
    assert (
        first.stream_key == streams[0].key
        and house.book.ready_streams == 2
        and next_one(house) == -1
    )
    assert house.plan(room=0) == [] and house.book.ready_streams == 2
    assert [payment.stream_key for payment in house.plan(room=5)] == [
        streams[1].key,
        streams[2].key,
    ]
    assert house.book.ready_streams == 0 and next_one(house) is None


def test_while_sending_is_stopped_who_is_due_stays_due() -> None:
    house = House()
    house.open()
    house.switch.stop(Halt.OPERATOR, "maintenance")
    house.idle(5)
    assert house.book.ready_streams == 1 and next_one(house) == -1
    house.switch.lift(Halt.OPERATOR)
    assert house.plan()[0].amount_msat == 6_000


def test_a_queued_stream_is_queued_once() -> None:
    house = House()
    stream = house.open()
    house.at(1)
    house.plan(room=0)
    house.pause(stream)
    house.resume(stream)
    assert house.book.ready_streams == 1 and len(house.plan()) == 1 and house.plan() == []


def test_a_held_destination_lets_the_next_stream_go_when_free_and_nobody_looks_before() -> None:
    house = House()
    first, second = house.open(), house.open(start_time_ns=T0 + 1)
    held = house.plan()[0]
    house.mark(held, Mark.HELD)
    house.idle(1)
    assert (
        next_one(house) is None and house.book.ready_streams == 0 and second.key in house.book.gate
    )
    house.mark(held, Mark.NONE)
    house.idle(6)  # it is the one payment that may be under way to who is not proven any more
    house.settle(held)
    assert {payment.stream_key for payment in house.plan()} == {first.key, second.key}, (
        "it has proved itself, and may have two"
    )


@pytest.mark.parametrize("leave", ["orphan", "doubt", "fail"])
def test_what_leaves_the_window_leaves_its_place_to_the_stream_that_is_parked(leave: str) -> None:
    house = House(per_destination=1)
    house.open()
    second = house.open(start_time_ns=T0 + 1)
    house.at(1)
    [flying] = house.plan()
    if leave == "orphan":
        house.mark(flying, Mark.ORPHAN)
    elif leave == "doubt":
        house.doubt(flying)
    else:
        house.fail(flying)
    assert second.key in [payment.stream_key for payment in house.plan()]


# -- what a plan tells --------------------------------------------------------------------------


def test_an_intent_has_all_that_is_sent() -> None:
    house = House()
    house.at(0.5)
    stream = house.open(
        fee_floor_msat=10, fee_limit_ppm=50_000, budget=budget_of(10**6, HOUR), destination=OTHER
    )
    [payment] = house.plan()
    assert (payment.row, payment.id, payment.stream_key, payment.node, payment.destination) == (
        1,
        "st_1.1",
        stream.key,
        "node",
        OTHER,
    )
    assert (
        payment.amount_msat,
        payment.fee_limit_msat,
        payment.cltv_limit,
        payment.timeout_seconds,
    ) == (1_000, 50, 288, 30)
    assert (payment.due_ns, payment.planned_ns, payment.bought_until_ns) == (T0, T0 + S // 2, S)
    assert (payment.skip_ns, payment.skip_msat, payment.probe, payment.records) == (
        0,
        0,
        False,
        b"records",
    )
    assert (payment.period_start_ns, payment.daemon_period_ns) == (T0, T0)
    assert (stream.reserved_msat, stream.reserved_fee_msat, stream.open_payments) == (1_000, 50, 1)
    assert (stream.account.seq, stream.account.due_ns, stream.account.counted_until_ns) == (
        1,
        T0,
        T0 + S // 2,
    )


def test_a_skip_is_told_with_its_price_and_durable_at_once() -> None:
    house = House()
    stream = house.open(catch_up_ns=10 * S)
    house.settle(house.pay(0))
    house.book.take_tally()
    house.node_down(1, 101)
    payment = house.pay(101)
    assert (payment.skip_ns, payment.skip_msat, stream.skipped_ns, stream.skipped_msat) == (
        90 * S,
        90_000,
        90 * S,
        90_000,
    )
    assert payment.amount_msat == 11_000 and house.book.take_tally().skipped == [(stream, 90_000)]
    house.crash()
    again = house.again(stream)
    assert (again.skipped_ns, again.skipped_msat, covered_ns(again)) == (90 * S, 90_000, 12 * S)


def test_skips_add_up() -> None:
    house = House()
    stream = house.open(catch_up_ns=0)
    for start in (1, 201):
        house.settle(house.pay(start - 1))
        house.node_down(start, start + 100)
        house.settle(house.pay(start + 100))
    assert (stream.skipped_ns, stream.skipped_msat) == (200 * S, 200_000)


def test_a_probe_counts_no_outage_and_skips_none() -> None:
    house = House(stall_after=1)
    stream = house.open(catch_up_ns=0)
    house.settle(house.pay(0))
    house.fail(house.pay(1))
    assert stream.state is StreamState.STALLED
    counted = stream.account.counted_until_ns
    probe = house.pay(100)
    assert (probe.probe, probe.amount_msat, probe.skip_ns, stream.account.counted_until_ns) == (
        True,
        1_000,
        0,
        counted,
    )
    house.settle(probe)
    whole = house.pay(101)
    assert (whole.probe, whole.skip_ns > 0, stream.account.failing_since_ns) == (False, True, 0)


def test_the_spend_limit_stops_everything_and_says_what_to_do() -> None:
    house = House(spend_limit_msat=2_500)
    streams = [house.open(), house.open(start_time_ns=T0 + 1)]
    house.at(1)
    facts = Facts()
    planned = house.book.plan(house.now_ns, 5, facts)
    house.commit(facts)
    assert [payment.stream_key for payment in planned] == [streams[0].key]
    text = (
        "the spend limit of 2,500 msat is reached: find what spends, then `streamer sending start`"
    )
    assert house.switch.halts == {Halt.SPEND_LIMIT: text} and (
        house.outages.since_ns,
        house.outages.cause,
    ) == (T0 + S, "SPEND_LIMIT")
    assert house.book.ready_streams == 1, "it is still due"
    house.crash()
    assert house.switch.halts == {Halt.SPEND_LIMIT: text} and house.outages.cause == "SPEND_LIMIT"


def test_a_single_payment_is_planned_only_while_sending_and_within_the_spend_limit() -> None:
    house = House(spend_limit_msat=5_000)
    facts = Facts()
    house.switch.stop(Halt.OPERATOR, "maintenance")
    assert (
        house.book.single(Single("pay_1", PEER, 1_000, 100), house.now_ns, facts) is None
        and not facts
    )
    house.switch.lift(Halt.OPERATOR)
    exact = house.book.single(Single("pay_1", PEER, 4_900, 100), house.now_ns, facts)
    assert exact is not None and facts.intents == [exact]
    assert (
        exact.owner,
        exact.seq,
        exact.stream_key,
        exact.node,
        exact.due_ns,
        exact.planned_ns,
    ) == ("pay_1", 0, 0, "node", T0, T0)
    assert (exact.cltv_limit, exact.timeout_seconds, exact.probe, exact.daemon_period_ns) == (
        288,
        30,
        False,
        T0,
    )
    assert (exact.bought_until_ns, exact.skip_ns, exact.skip_msat, exact.period_start_ns) == (
        0,
        0,
        0,
        0,
    ), "it buys no time"
    assert (
        house.book.single(Single("pay_2", PEER, 1, 0), house.now_ns, facts) is None
        and Halt.SPEND_LIMIT in house.switch.halts
    )
    assert not house.book.may_send(exact, house.now_ns)


@pytest.mark.parametrize("state", list(StreamState))
def test_a_payment_may_be_handed_out_while_its_stream_runs(state: StreamState) -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    stream.state = state
    assert house.book.may_send(payment, house.now_ns) is (
        state in (StreamState.ACTIVE, StreamState.STALLED)
    )


# -- ends ---------------------------------------------------------------------------------------


def test_what_is_bought_to_the_end_waits_for_it() -> None:
    house = House()
    stream = house.open(end_time_ns=T0 + 10 * S, rate=Rate(1_000, S, 10 * S))
    house.settle(house.pay(0))
    assert next_one(house) == 10
    house.idle(9.9)
    assert stream.state is StreamState.ACTIVE
    house.idle(10)
    assert (stream.state, stream.reason, stream.state_time_ns, stream.dropped_msat) == (
        StreamState.COMPLETED,
        Reason.END_TIME,
        T0 + 10 * S,
        0,
    )
    assert next_one(house) is None


def test_an_end_waits_for_what_is_open_and_pays_what_fails() -> None:
    house = House()
    stream = house.open(end_time_ns=T0 + 2 * S, max_open_payments=2)
    first, second = house.pay(0), house.pay(1)
    house.idle(10)
    assert stream.state is StreamState.ACTIVE
    house.settle(second)
    house.idle(11)
    house.fail(first)
    again = house.pay(60)
    assert again.amount_msat == 1_000
    house.settle(again)
    house.idle(70)
    assert (stream.state, stream.account.settled_msat) == (StreamState.COMPLETED, 2_000)


def test_a_stream_ends_once_and_with_what_closed_it() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    house.cancel(stream)
    assert (stream.state, stream.reason, stream.ends_as) == (
        StreamState.CLOSING,
        Reason.USER,
        StreamState.CANCELLED,
    )
    house.at(5)
    house.settle(payment)
    assert (stream.state, stream.reason, stream.state_time_ns) == (
        StreamState.CANCELLED,
        Reason.USER,
        T0 + 5 * S,
    )
    house.at(9)
    facts = Facts()
    house.book.settle_closing(stream, house.now_ns, facts)
    assert stream.state_time_ns == T0 + 5 * S and not facts


def test_a_tally_is_something_if_anything_happened() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    assert not Tally()
    for tally in (
        Tally(changed=[stream]),
        Tally(ended=[payment]),
        Tally(late=[payment]),
        Tally(skipped=[(stream, 1)]),
    ):
        assert tally


# -- what a plan is made of ---------------------------------------------------------------------


def test_the_stamp_knows_stream_seq_and_amount() -> None:
    house, asked = House(), list[tuple[Stream | None, str, int, int]]()

    def stamp(
        stream: Stream | None, owner: str, seq: int, amount_msat: int
    ) -> tuple[bytes, bytes, bytes]:
        asked.append((stream, owner, seq, amount_msat))
        return bytes([seq]) * 32, b"records", b"preimage"

    house.book._stamp = stamp
    stream = house.open()
    house.settle(house.pay(2))
    assert house.pay(3).preimage == b"preimage" and asked == [
        (stream, "st_1", 1, 3_000),
        (stream, "st_1", 2, 1_000),
    ]


def test_half_of_what_the_largest_channel_can_send_bounds_a_payment() -> None:
    house = House()
    house.book.largest_spendable_msat = 9_001
    house.open()
    assert house.pay(60).amount_msat == 4_500


def test_a_plan_writes_a_stream_only_when_something_but_its_account_changed() -> None:
    house = House()
    stream = house.open(catch_up_ns=HOUR, max_open_payments=2)
    facts = Facts()
    house.book.plan(T0, 5, facts)
    assert not facts.streams and len(facts.intents) == 1
    house.commit(facts)
    house.at(1)
    house.fail(house.book.payments[facts.intents[0].row])
    house.settle(house.pay(7))
    assert stream.spans == () and stream.account.failing_since_ns == 0, (
        "settled money has passed the row"
    )
    house.node_down(9, 10)
    facts = Facts()
    house.at(11)
    house.book.plan(house.now_ns, 5, facts)
    assert not facts.streams, "an outage that lies in the gap is counted, and nothing of it stays"


def test_open_payments_add_up() -> None:
    house = House()
    stream = house.open(max_open_payments=3)
    for second in range(3):
        house.pay(second)
    assert (stream.reserved_msat, stream.reserved_fee_msat, stream.open_payments) == (3_000, 300, 3)


def test_very_many_that_stop_at_once_stop_in_many_plans() -> None:
    house = House()
    streams = [
        house.open(ttl_ns=10 * S, catch_up_ns=0) for _ in range(2 * MOST_LOOKS + MOST_LOOKS // 2)
    ]
    house.now_ns = T0 + 60 * S
    for number in range(1, 4):
        facts = Facts()
        assert house.book.plan(house.now_ns, 10**6, facts) == []
        assert 0 < len(facts.streams) <= MOST_LOOKS
        assert sum(stream.state is StreamState.PAUSED for stream in streams) == min(
            number * MOST_LOOKS, len(streams)
        )


def test_a_stream_of_a_key_that_has_ended_stops_by_itself_when_it_is_looked_at() -> None:
    """The streams of a revoked key are paused a thousand at a time, and the daemon may die in
    between.
    """
    house = House()
    key = house.add_key(1, 10**9)
    mine, other = house.open(api_key=1), house.open()
    for payment in house.plan():
        house.settle(payment)
    key.revoke_time_ns = T0 + S // 2
    house.at(1)
    assert [payment.stream_key for payment in house.plan()] == [other.key]
    assert (mine.state, mine.reason, mine.state_time_ns) == (
        StreamState.PAUSED,
        Reason.KEY_REVOKED,
        T0 + S // 2,
    )
