"""What a person does to a stream, and when it is paid (docs/streams.md)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streamer.core import lifecycle
from streamer.core.streamtime import origin_ns, paid_until_ns
from streamer.words.errors import FailedPrecondition
from streamer.words.model import Facts, Payment, Rate, Stream, StreamState
from streamer.words.reasons import Reason
from tests.core.house import (
    HOUR,
    MINUTE,
    T0,
    House,
    S,
    budget_of,
    run,
    stream_of,
    terms_of,
    total_msat,
)

DAYS = 86_400


# -- start ----------------------------------------------------------------------------------------


def test_the_first_payment_falls_due_at_start_time() -> None:
    house = House()
    stream = house.open(start_time_ns=T0 + 60 * S)
    assert stream.state is StreamState.PENDING
    house.idle(59.9)
    payment = house.pay(60)
    assert (stream.state, payment.due_ns, payment.seq) == (StreamState.ACTIVE, T0 + 60 * S, 1)


def test_payments_fall_due_on_the_grid_without_drift() -> None:
    house = House()
    house.open(rate=Rate(50_000, MINUTE, 2 * S))
    late = house.pay(0.3)
    house.settle(late)
    paid = [late, *run(house, 20)]
    assert [payment.due_ns - T0 for payment in paid] == [2 * S * number for number in range(11)]
    assert total_msat(paid) == 22 * 50_000 // 60


def test_a_stream_is_nobodys_unless_a_key_opened_it() -> None:
    assert lifecycle.new_stream("st_1", 1, terms_of(), T0).api_key == 0


# -- pause and resume ------------------------------------------------------------------------------


@pytest.mark.parametrize("pauses", [0, 1, 19])
def test_nineteen_pauses_never_cost_more_than_none(pauses: int) -> None:
    house, paid = House(), list[Payment]()
    stream = house.open(rate=Rate(60_000, MINUTE, MINUTE))
    for number in range(pauses):
        paid += run(house, number * 30 + 5)
        house.pause(stream)
        house.at(number * 30 + 7)
        house.resume(stream)
    paid += run(house, 600)
    assert total_msat(paid) <= 11 * 60_000


def test_what_is_bought_runs_out_while_paused() -> None:
    house = House()
    stream = house.open(rate=Rate(60_000, MINUTE, MINUTE))
    house.settle(house.pay(0))
    house.at(10)
    house.pause(stream)
    house.at(100)
    house.resume(stream)
    again = house.pay(100)
    assert (again.due_ns, again.amount_msat, stream.paused_ns) == (T0 + 100 * S, 60_000, 40 * S)
    house.settle(again)
    assert origin_ns(stream) + paid_until_ns(stream) == T0 + 160 * S


def test_a_pause_within_bought_time_changes_nothing() -> None:
    house = House()
    stream = house.open(rate=Rate(60_000, MINUTE, MINUTE))
    house.settle(house.pay(0))
    house.at(10)
    house.pause(stream)
    house.at(50)
    house.resume(stream)
    house.idle(59.9)
    assert house.pay(60).due_ns == T0 + 60 * S


def test_time_unpaid_before_the_pause_stays_owed_and_the_pause_adds_nothing() -> None:
    house = House()
    stream = house.open()
    house.at(100)
    house.pause(stream)
    house.idle(DAYS)
    house.resume(stream)
    assert house.pay(DAYS).amount_msat == 101_000


def test_outages_before_a_pause_are_not_forgotten_and_those_in_it_not_counted() -> None:
    house = House()
    stream = house.open(catch_up_ns=0)
    house.node_down(0, 40)
    house.at(100)
    house.pause(stream)
    house.node_down(200, 300)
    house.crash()
    house.at(500)
    house.resume(house.again(stream))
    payment = house.pay(500)
    assert (payment.skip_ns, payment.amount_msat) == (40 * S, 61_000)
    house.settle(payment)
    house.crash()
    assert house.pay(501).skip_ns == 0


def test_an_outage_that_a_plan_saw_and_did_not_skip_is_counted_all_the_same_after_a_crash() -> None:
    house = House()
    stream = house.open(catch_up_ns=60 * S, max_payment_msat=5_000)
    house.node_down(0, 40)
    house.at(50)
    house.pause(stream)
    house.resume(stream)
    payment = house.pay(50)
    assert payment.skip_ns == 0
    house.settle(payment)
    house.crash()
    later = house.pay(300)
    assert later.skip_ns == 0, "its forty seconds were counted by the plan before"


def test_resume_of_a_stalled_stream_means_try_now() -> None:
    house = House(stall_after=1)
    stream = house.open()
    house.fail(house.pay(0))
    house.idle(1)
    assert stream.state is StreamState.STALLED
    house.resume(stream)
    house.crash()
    assert house.pay(1).probe


def test_resume_of_a_stream_that_waits_after_a_failure_means_try_now() -> None:
    house = House()
    stream = house.open()
    house.fail(house.pay(0), Reason.NO_ROUTE)
    house.idle(1)
    assert stream.state is StreamState.ACTIVE
    house.resume(stream)
    house.crash()
    assert house.pay(1).seq == 2
    assert stream.account.streak == 1, "the failure is not forgotten"


def test_resume_of_a_stream_that_waits_for_nothing_changes_nothing() -> None:
    house = House()
    stream = house.open()
    house.settle(house.pay(0))
    house.at(0.5)
    house.resume(stream)
    assert stream.account.next_attempt_ns == 0
    house.fail(house.pay(1))
    house.now_ns = stream.account.next_attempt_ns
    facts = Facts()
    lifecycle.resume(house.book, stream, house.now_ns, facts)
    assert not facts, "it tries now in any case"


def test_a_stream_stalled_when_it_was_paused_is_stalled_when_resumed_and_tries_now() -> None:
    house = House(stall_after=1)
    stream = house.open(catch_up_ns=0)
    house.fail(house.pay(0))
    house.at(50)
    house.pause(stream)
    assert (stream.state, stream.reason) == (StreamState.PAUSED, Reason.USER)
    house.at(100)
    house.resume(stream)
    assert (stream.state, stream.reason, stream.account.streak) == (
        StreamState.STALLED,
        Reason.TIMEOUT,
        1,
    )
    probe = house.pay(100)
    assert (probe.probe, probe.skip_ns, probe.amount_msat) == (True, 0, 1_000)
    house.settle(probe)
    assert house.pay(101).skip_ns == 49 * S, (
        "fifty seconds failed, and one of them the probe has paid; the pause is none of them"
    )


def test_a_stream_paused_before_its_start_waits_for_it_again() -> None:
    house = House()
    stream = house.open(start_time_ns=T0 + 100 * S)
    house.pause(stream)
    house.at(10)
    house.resume(stream)
    assert stream.state is StreamState.PENDING
    house.at(20)
    house.pause(stream)
    house.at(150)
    house.resume(stream)
    assert (stream.state, house.pay(150).amount_msat) == (StreamState.ACTIVE, 1_000)


def test_what_fails_in_a_pause_is_owed_after_it() -> None:
    house = House()
    stream = house.open()
    payment = house.pay(0)
    house.at(10)
    house.pause(stream)
    house.fail(payment)
    house.idle(1_000)
    house.resume(stream)
    assert house.pay(1_000).amount_msat == 11_000


Act = Callable[[House, Stream], None]


@pytest.mark.parametrize(
    "act", [House.pause, House.resume, House.cancel], ids=["pause", "resume", "cancel"]
)
def test_doing_it_twice_changes_nothing(act: Act) -> None:
    house = House()
    stream = house.open()
    house.at(5)
    act(house, stream)
    facts = Facts()
    house.at(9)
    before = (stream.state, stream.state_time_ns, stream.paused_at_ns, stream.paused_ns)
    getattr(lifecycle, act.__name__)(house.book, stream, house.now_ns, facts)
    assert (
        stream.state,
        stream.state_time_ns,
        stream.paused_at_ns,
        stream.paused_ns,
    ) == before and not facts


@pytest.mark.parametrize(
    "act", [House.pause, House.resume, House.change], ids=["pause", "resume", "change"]
)
def test_what_has_ended_stays_ended(act: Act) -> None:
    house = House()
    stream = house.open()
    house.cancel(stream)
    with pytest.raises(FailedPrecondition, match="has ended"):
        act(house, stream)


# -- changes ------------------------------------------------------------------------------------


def test_a_new_rate_while_behind_keeps_the_price_of_unpaid_time() -> None:
    house = House()
    stream = house.open()
    house.at(100)
    house.change(stream, rate=Rate(5_000, S, S))
    assert house.pay(100).amount_msat == 100_000 + 5_000


def test_a_new_rate_starts_where_bought_time_ends() -> None:
    house = House()
    stream = house.open(rate=Rate(60_000, MINUTE, MINUTE))
    house.settle(house.pay(0))
    house.at(10)
    house.change(stream, rate=Rate(2_000, S, S))
    house.idle(59)
    house.crash()
    payment = house.pay(60)
    assert (payment.amount_msat, payment.due_ns) == (2_000, T0 + 60 * S)


def test_a_new_rate_after_a_failure_keeps_the_old_price_of_what_failed() -> None:
    house = House()
    stream = house.open(rate=Rate(60_000, MINUTE, MINUTE))
    house.fail(house.pay(0))
    house.at(30)
    house.change(stream, rate=Rate(1_000, MINUTE, MINUTE))
    assert house.pay(30).amount_msat == 30_000 + 1_000
    assert [segment.start_ns for segment in stream.segments] == [0, 30 * S]


def test_rates_that_are_paid_are_forgotten_rates_that_are_owed_are_not() -> None:
    house = House()
    stream = house.open()
    house.settle(house.pay(0))
    for second, sat in ((10, 2), (20, 3)):
        house.at(second)
        house.change(stream, rate=Rate(sat * 1_000, S, S))
    payment = house.pay(20)
    assert (payment.amount_msat, len(stream.segments)) == (9_000 + 20_000 + 3_000, 3)
    house.settle(payment)
    assert len(stream.segments) == 1


def test_a_change_that_is_refused_changes_nothing() -> None:
    house = House()
    stream = house.open(budget=budget_of(100_000, HOUR))
    house.pay(0)
    house.at(0.5)
    segments, terms, account = list(stream.segments), stream.terms, stream.account.bought_until_ns
    with pytest.raises(FailedPrecondition, match="period of a budget"):
        house.change(stream, rate=Rate(7_000, S, S), budget=budget_of(100_000))
    assert (stream.segments, stream.terms, stream.account.bought_until_ns) == (
        segments,
        terms,
        account,
    )


def test_a_total_budget_knows_what_was_paid_before_it() -> None:
    house = House()
    stream = house.open()
    house.settle(house.pay(0), fee_msat=40)
    house.change(stream, budget=budget_of(3_000))
    own = house.book.budgets.own(stream, house.now_ns)
    assert own is not None and own.room_msat() == 3_000 - 1_040


def test_more_budget_is_used_at_once() -> None:
    house = House()
    stream = house.open(budget=budget_of(1_100, HOUR))
    house.settle(house.pay(0), fee_msat=100)
    house.idle(1)
    assert stream.reason is Reason.BUDGET_PERIOD
    house.at(10)
    house.change(stream, budget=budget_of(50_000, HOUR))
    assert house.pay(10).amount_msat == 10_000
    assert stream.state is StreamState.ACTIVE


# -- a ttl and a start ---------------------------------------------------------------------------


def renewed(
    expire_time_ns: int, ttl_ns: int | None = 30 * S, state: StreamState = StreamState.ACTIVE
) -> Stream:
    stream = stream_of(terms_of(ttl_ns=ttl_ns, start_time_ns=T0 - 10 * HOUR))
    stream.create_time_ns = T0 - 10 * HOUR
    stream.state, stream.expire_time_ns = state, expire_time_ns
    return stream


@pytest.mark.parametrize(
    ("expire", "ttl", "after"),
    [
        (T0 + 1, 30 * S, T0 + 30 * S),
        (T0 + 1, HOUR, T0 + 60 * S),
        (T0 - 5 * S + 1, HOUR, T0 + 60 * S),
        (T0 + 30 * S - 1, 30 * S, T0 + 30 * S),
        (T0 + 60 * S - 1, HOUR, T0 + 60 * S),
    ],
)
def test_renewers_have_a_minute_after_a_start_or_a_ttl_if_that_is_less(
    expire: int, ttl: int, after: int
) -> None:
    """The doors were last open five seconds ago."""
    stream = renewed(expire, ttl)
    assert lifecycle.outlast_start([stream], T0 - 5 * S, T0) == [stream]
    assert stream.expire_time_ns == after


@pytest.mark.parametrize(
    ("since", "start", "created", "given"),
    [
        (1, -HOUR, -HOUR, HOUR),
        (0, -HOUR, -HOUR, 60 * S),
        (1, 1, -HOUR, 60 * S),
        (2, 1, -HOUR, HOUR),
        (1, 1, 1, HOUR),
        (1, 1, 0, 60 * S),
    ],
    ids=["renewed", "renewed before", "its start", "renewed since", "opened", "opened before"],
)
def test_who_was_renewed_or_opened_after_the_doors_were_last_open_has_a_whole_ttl(
    since: int, start: int, created: int, given: int
) -> None:
    """Moments from when the doors were last open; what comes later is of a run that did not know
    the time.
    """
    last = T0 - 2 * HOUR
    stream = stream_of(terms_of(ttl_ns=HOUR, start_time_ns=last + start))
    stream.create_time_ns, stream.state = last + created, StreamState.ACTIVE
    stream.expire_time_ns = last + since + HOUR
    assert lifecycle.outlast_start([stream], last, T0) == [stream]
    assert stream.expire_time_ns == T0 + given


@pytest.mark.parametrize(
    "stream",
    [
        renewed(T0 - 5 * S),
        renewed(T0 - HOUR),
        renewed(T0 + 30 * S),
        renewed(T0 + HOUR),
        renewed(T0 + 1, None),
        renewed(T0 + 1, state=StreamState.PAUSED),
        renewed(T0 + 1, state=StreamState.COMPLETED),
    ],
    ids=["at the last moment", "before", "as long", "longer", "no ttl", "paused", "ended"],
)
def test_a_start_gives_no_time_to_what_ran_out_before_or_has_enough_or_does_not_run(
    stream: Stream,
) -> None:
    before = stream.expire_time_ns
    assert lifecycle.outlast_start([stream], T0 - 5 * S, T0) == []
    assert stream.expire_time_ns == before
