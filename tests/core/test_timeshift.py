"""Our time has followed the wall clock: the difference is bought by nobody, and nothing is bought
twice.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import pytest

from streamer.core.periods import shift_periods
from streamer.core.streamtime import covered_ns, origin_ns
from streamer.core.timeshift import Shift, shift_book, shift_keys
from streamer.words.model import ApiKey, Facts, Payment, Rate, Stream, StreamState
from streamer.words.reasons import Reason
from tests.core.house import HOUR, MINUTE, T0, House, S, run, total_msat
from tests.prove.volumes import seeds

D = 2 * HOUR


def shift(house: House, by_ns: int, since_ns: int = T0) -> Facts:
    """Our time moves at house.now_ns; this run began at since_ns."""
    facts, moved = Facts(), Shift(by_ns, house.now_ns, since_ns)
    shift_periods([house.book], house.book.budgets, moved, facts)
    shift_book(house.book, moved, facts)
    house.book.rounds.move_time()
    house.book.gap = (house.book.gap[0], since_ns + by_ns)
    house.now_ns += by_ns
    house.commit(facts)
    return facts


def of_an_earlier_run(house: House, mark: float = 0, since: float = 0) -> None:
    """The streams are, and this run began at since, in seconds after T0; the journal's mark was set
    at mark.
    """
    house.book.gap = (T0 + int(mark * S), T0 + int(since * S))
    for known in (house.book.opened, house.book.expiries, house.book.paused):
        known.clear()


def ahead_ns(house: House, stream: Stream) -> int:
    return origin_ns(stream) + covered_ns(stream) - house.now_ns


def paid_msat(house: House, seconds: float) -> int:
    """What is paid in so many seconds from now on."""
    return total_msat(run(house, (house.now_ns - T0) / S + seconds))


@pytest.mark.parametrize("catch_up_ns", [None, 0, 5 * MINUTE])
def test_forwards_the_difference_is_no_time_for_a_stream(catch_up_ns: int | None) -> None:
    house = House()
    stream = house.open(catch_up_ns=catch_up_ns)
    run(house, 59)
    ahead = ahead_ns(house, stream)
    shift(house, D)
    assert ahead_ns(house, stream) == ahead, "what it has bought stays bought for as long"
    assert paid_msat(house, 60) == 60_000
    assert stream.skipped_ns == 0


def test_forwards_what_was_owed_stays_owed_and_what_was_impossible_counts_once() -> None:
    house = House()
    stream = house.open(catch_up_ns=MINUTE)
    run(house, 59)
    house.node_down(60, 1_260)
    house.at(1_260)
    shift(house, D)
    paid = paid_msat(house, 0)
    # of twenty minutes without a node one is caught up; the two hours are neither owed nor
    # impossible
    assert (stream.skipped_ns, paid) == (19 * MINUTE, 61_000)


@pytest.mark.parametrize("crash", [False, True])
def test_backwards_impossible_time_counts_once_and_what_comes_then_counts(crash: bool) -> None:
    house = House()
    house.at(4 * 3_600)
    stream = house.open(start_time_ns=house.now_ns, catch_up_ns=MINUTE)
    run(house, 4 * 3_600 + 59)
    house.node_down(4 * 3_600 + 60, 4 * 3_600 + 660)
    house.at(4 * 3_600 + 660)
    shift(house, -D)
    if crash:
        house.crash()
        stream = house.again(stream)
    paid_msat(house, 0)
    assert stream.skipped_ns == 9 * MINUTE
    seconds = (house.now_ns - T0) / S
    house.node_down(seconds + 1, seconds + 601)
    house.now_ns += 601 * S
    paid_msat(house, 0)
    assert stream.skipped_ns == 18 * MINUTE
    run(house, 4 * 3_600 + 59)
    house.at(4 * 3_600 + 670)  # only our own queue was in the way
    paid_msat(house, 0)
    assert stream.skipped_ns == 18 * MINUTE, (
        "the first outage counts no second time when that moment comes"
    )


@pytest.mark.parametrize("by_ns", [D, -D])
@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.NO_ROUTE])
def test_a_row_of_failures_waits_as_long_as_it_would_have(by_ns: int, reason: Reason) -> None:
    house = House(stall_after=2)
    stream = house.open(catch_up_ns=None)
    house.at(5 * 3_600)
    house.fail(house.plan()[0], reason)
    wait_ns = stream.account.next_attempt_ns - house.now_ns
    assert wait_ns > 0
    of_an_earlier_run(house)
    shift(house, by_ns)
    assert stream.account.next_attempt_ns - house.now_ns == wait_ns
    assert stream.account.failing_since_ns == house.now_ns


@pytest.mark.parametrize("by_ns", [D, -D])
def test_a_pause_that_this_run_has_set_lasts_as_long_as_it_lasted(by_ns: int) -> None:
    house = House()
    house.at(4 * 3_600)
    stream = house.open(start_time_ns=house.now_ns)
    run(house, 4 * 3_600 + 59)
    house.at(4 * 3_600 + 120)
    house.pause(stream)
    house.now_ns += 10 * MINUTE
    shift(house, by_ns)
    house.now_ns += 10 * MINUTE
    house.resume(stream)
    assert paid_msat(house, 60) == 61_000 + 60_000, (
        "the minute before the pause, that of the resume, and one"
    )


def test_backwards_a_stream_that_this_run_has_opened_moves_with_it() -> None:
    house = House()
    house.at(4 * 3_600)
    stream = house.open(start_time_ns=house.now_ns)
    run(house, 4 * 3_600 + 59)
    ahead, start_ns = ahead_ns(house, stream), stream.terms.start_time_ns
    shift(house, -D)
    assert (ahead_ns(house, stream), stream.terms.start_time_ns) == (ahead, start_ns - D)
    assert stream.create_time_ns == start_ns - D
    assert paid_msat(house, 60) == 60_000


def test_backwards_a_stream_of_an_earlier_run_is_due_when_now_reaches_what_it_has_bought() -> None:
    house = House()
    house.at(4 * 3_600)
    stream = house.open(start_time_ns=house.now_ns)
    run(house, 4 * 3_600 + 59)
    of_an_earlier_run(house)
    covered_at = origin_ns(stream) + covered_ns(stream)
    shift(house, -D, since_ns=house.now_ns)
    assert origin_ns(stream) + covered_ns(stream) == covered_at
    house.now_ns += MINUTE
    assert paid_msat(house, 7_000) == 0
    house.now_ns = covered_at
    assert paid_msat(house, 59) == 60_000


def test_backwards_a_stream_that_this_run_has_resumed_moves_with_it() -> None:
    house = House()
    stream = house.open()
    run(house, 59)
    house.pause(stream)
    of_an_earlier_run(house, mark=60, since=3 * 3_600)  # a clock that is two hours ahead says so
    house.at(4 * 3_600)
    house.resume(stream)
    run(house, 4 * 3_600 + 59)
    ahead = ahead_ns(house, stream)
    shift(house, -D, since_ns=T0 + 3 * HOUR)
    assert ahead_ns(house, stream) == ahead
    assert paid_msat(house, 60) == 60_000


@pytest.mark.parametrize("by_ns", [D, -D])
@pytest.mark.parametrize("ours", [True, False])
def test_a_ttl_is_as_long_as_before_if_this_run_has_set_it(by_ns: int, ours: bool) -> None:
    house = House()
    house.at(4 * 3_600)
    stream = house.open(start_time_ns=house.now_ns, ttl_ns=10 * MINUTE)
    expire_ns = stream.expire_time_ns
    if not ours:
        of_an_earlier_run(house)
    shift(house, by_ns)
    assert stream.expire_time_ns == expire_ns + by_ns * ours
    assert house.journal.load().streams[0].expire_time_ns == stream.expire_time_ns


def test_what_starts_and_what_ends_goes_by_the_corrected_time() -> None:
    house = House()
    later = house.open(start_time_ns=T0 + HOUR)
    ending = house.open(end_time_ns=T0 + HOUR, catch_up_ns=0)
    run(house, 59)
    shift(house, D)
    since = house.now_ns
    paid_msat(house, 10)
    # its start lay in the difference, which nobody lived: it has come, and owes nothing
    assert (later.state, later.terms.start_time_ns, later.paused_ns) == (
        StreamState.ACTIVE,
        T0 + HOUR,
        since - T0 - HOUR,
    )
    assert later.account.settled_msat == 11_000
    assert (ending.state, ending.reason) == (StreamState.COMPLETED, Reason.END_TIME)


@pytest.mark.parametrize(("by_ns", "moves"), [(-D, True), (D, False)])
def test_the_end_of_a_key_that_this_run_has_made_moves_back_with_it(
    by_ns: int, moves: bool
) -> None:
    before = ApiKey(
        1, "key_1", "", frozenset(), create_time_ns=T0 - HOUR, expire_time_ns=T0 + 9 * HOUR
    )
    made = ApiKey(
        2, "key_2", "", frozenset(), create_time_ns=T0 + HOUR, expire_time_ns=T0 + 9 * HOUR
    )
    forever = ApiKey(3, "key_3", "", frozenset(), create_time_ns=T0 + HOUR)
    keys, back = [before, made, forever], dict[int, int]()
    assert shift_keys(keys, Shift(by_ns, T0 + 2 * HOUR, T0), back) == (
        [made, forever] if moves else []
    )
    assert (before.expire_time_ns, made.expire_time_ns) == (
        T0 + 9 * HOUR,
        T0 + 9 * HOUR - D * moves,
    )
    assert (forever.expire_time_ns, forever.revoke_time_ns) == (0, 0)
    assert shift_keys(keys, Shift(2 * D, T0, T0 - D), back) == ([made, forever] if moves else [])
    assert made.expire_time_ns == T0 + 9 * HOUR, "there and back: as it was ordered, and no later"


@pytest.mark.parametrize("by_ns", [D, -D])
def test_a_payment_under_way_is_as_old_as_it_was(by_ns: int) -> None:
    house = House()
    house.open()
    payment = house.pay(4 * 3_600)
    house.now_ns += MINUTE
    shift(house, by_ns)
    assert house.now_ns - payment.planned_ns == MINUTE


def changes(stream: Stream) -> dict[str, Any]:
    return {
        "state": stream.state,
        "reason": stream.reason,
        "skipped": stream.skipped_ns,
        "settled": stream.account.settled_msat,
    }


def test_streams_that_have_ended_stay_as_they_are() -> None:
    house = House()
    stream = house.open()
    run(house, 10)
    house.cancel(stream)
    state_time_ns, before = stream.state_time_ns, changes(stream)
    facts = shift(house, D)
    assert (stream.state_time_ns, changes(stream), facts.streams) == (state_time_ns, before, [])


@pytest.mark.parametrize("crash", [False, True])
def test_backwards_a_pause_within_bought_time_makes_nothing_due_earlier(crash: bool) -> None:
    """It stood still for nothing: to take the difference off would buy what is bought once more."""
    house = House()
    stream = house.open(rate=Rate(1_000, S, HOUR))
    house.settle(house.pay(0))
    of_an_earlier_run(house)
    house.at(30 * 60)
    house.pause(stream)
    house.now_ns += 10 * S
    house.resume(stream)
    covered_at = origin_ns(stream) + covered_ns(stream)
    shift(house, -30 * MINUTE, since_ns=T0 + 20 * MINUTE)
    if crash:
        house.crash()
        stream = house.again(stream)
    assert origin_ns(stream) + covered_ns(stream) == covered_at == T0 + HOUR


def test_backwards_two_resumes_stood_still_for_their_sum() -> None:
    house = House()
    stream = house.open()
    run(house, 59)
    house.pause(stream)
    of_an_earlier_run(house, mark=60, since=3 * 3_600)
    house.at(4 * 3_600)
    house.resume(stream)
    run(house, 4 * 3_600 + 59)
    house.at(4 * 3_600 + 70)
    house.pause(stream)
    house.at(4 * 3_600 + 80)
    house.resume(stream)
    shift(house, -D, since_ns=T0 + 3 * HOUR)
    assert -15 * S <= ahead_ns(house, stream) <= S, "and not two hours"


def test_backwards_what_a_clock_that_was_ahead_has_skipped_is_not_waited_for() -> None:
    house = House()
    stream = house.open(catch_up_ns=5 * MINUTE)
    run(house, 59)
    of_an_earlier_run(house, mark=60, since=7_260)
    house.node_down(60, 7_260)  # two hours that never passed
    house.at(7_260)
    assert paid_msat(house, 10) == 311_000
    assert stream.skipped_ns == 6_900 * S
    shift(house, -D, since_ns=T0 + 7_260 * S)
    assert ahead_ns(house, stream) == 301 * S, "five minutes too much were bought, and nothing else"
    assert house.book.due_ns(stream) == house.now_ns + 301 * S


def lived(seed: int, follows: list[int], earlier: bool = False) -> list[tuple[int, int, str]]:
    """What has become of streams after random hours; follows: how our time moves, one after the
    other, somewhere in between.
    """
    chance, when, house = Random(seed), Random(seed + 1), House()
    house.at(40 * 3_600)
    for number in range(chance.choice((1, 1, 2))):
        catch_up_ns, rate = (
            chance.choice((None, 0, MINUTE, 5 * MINUTE)),
            Rate(chance.choice((1_000, 700)), S, chance.choice((10, 60, 400)) * S),
        )
        house.open(
            destination=bytes((2, number)) * 16 + b"\x02",
            start_time_ns=house.now_ns,
            catch_up_ns=catch_up_ns,
            rate=rate,
            max_open_payments=chance.choice((1, 1, 2)),
        )
    under_way, left, since_ns = house.plan(), list(follows), house.now_ns
    if earlier:
        house.crash()
        house.book.gap = (since_ns, since_ns)
        under_way = [house.payment(payment.row) for payment in under_way]
    streams = list(house.book.streams.values())
    for _ in range(chance.randint(8, 30)):
        for _ in range(8):
            house.now_ns += chance.choice((1, 5, 20, 60, 300, 900)) * S // 8
            if not house.book.outages.since_ns:
                under_way += house.plan()
        happens(house, chance, under_way, streams)
        if left and when.random() < 0.4:
            shift(house, left[0], since_ns)
            since_ns += left.pop(0)
            house.book.gap = (house.book.gap[0], since_ns)
    get_well(house, streams, under_way, 400)
    return [(stream.account.settled_msat, stream.skipped_ns, stream.state) for stream in streams]


def get_well(house: House, streams: list[Stream], under_way: list[Payment], turns: int) -> None:
    """Nothing is wrong any more, and all that comes settles: so many turns, ten seconds apart."""
    facts = Facts()
    house.book.outages.end(house.now_ns, facts)
    house.commit(facts)
    for stream in streams:
        house.resume(stream)
    for _ in range(turns):
        for payment in [payment for payment in under_way if payment.open]:
            house.settle(payment)
        house.now_ns += 10 * S
        under_way = house.plan()


HAPPENINGS = ("settle", "settle", "fail", "down", "up", "pause", "resume", "rate")


def happens(
    house: House,
    chance: Random,
    under_way: list[Payment],
    streams: list[Stream],
    kinds: tuple[str, ...] = HAPPENINGS,
) -> None:
    what, stream, facts = chance.choice(kinds), chance.choice(streams), Facts()
    payment = (
        under_way.pop(chance.randrange(len(under_way)))
        if under_way and what in ("settle", "fail")
        else None
    )
    if payment is not None and payment.open:
        (
            house.settle(payment)
            if what == "settle"
            else house.fail(payment, chance.choice((Reason.TIMEOUT, Reason.NO_ROUTE)))
        )
    elif what == "down":
        house.book.outages.begin("NODE_DOWN", house.now_ns, facts)
    elif what == "up":
        house.book.outages.end(house.now_ns, facts)
    elif what == "pause":
        house.pause(stream)
    elif what == "resume":
        house.resume(stream)
    elif what == "rate":
        house.change(
            stream, rate=Rate(chance.choice((500, 1_000, 2_000)), S, chance.choice((10, 60)) * S)
        )
    house.commit(facts)


@cache
def unmoved(seed: int, earlier: bool = False) -> list[tuple[int, int, str]]:
    """The same hours while our time moves nowhere."""
    return lived(seed, [], earlier)


@pytest.mark.parametrize("follows", [[D], [-D], [D, -D], [-D, D], [D, -D, 11 * S, -700 * S]])
@pytest.mark.parametrize("part", range(4))
def test_a_stream_of_this_run_does_not_notice_where_our_time_moves(
    follows: list[int], part: int
) -> None:
    for seed in seeds(20, 60)[part::4]:
        assert lived(seed, follows) == unmoved(seed), seed


@pytest.mark.parametrize("follows", [[D], [D, -D], [D, -D, 11 * S, -11 * S]])
@pytest.mark.parametrize("part", range(4))
def test_nor_does_one_of_an_earlier_run_there_and_back(follows: list[int], part: int) -> None:
    for seed in seeds(20, 60)[part::4]:
        assert lived(seed, follows, earlier=True) == unmoved(seed, earlier=True), seed


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("catch_up_ns", [None, 5 * MINUTE])
def test_an_end_that_lies_in_the_difference_comes_now_and_what_was_lived_is_owed(
    catch_up_ns: int | None, earlier: bool
) -> None:
    house = House()
    stream = house.open(end_time_ns=T0 + HOUR, catch_up_ns=catch_up_ns)
    run(house, 59)
    if earlier:
        of_an_earlier_run(house)
    house.at(300)  # nobody has paid since
    shift(house, D)
    assert paid_msat(house, 10) == 300_000 - 60_000
    assert (stream.state, stream.reason) == (StreamState.COMPLETED, Reason.END_TIME)
    assert (stream.account.settled_msat, stream.dropped_msat, stream.skipped_ns) == (300_000, 0, 0)


@pytest.mark.parametrize("by_ns", [D, -D])
def test_the_ttl_of_a_stream_that_has_not_begun_counts_from_its_start(by_ns: int) -> None:
    house = House()
    house.at(4 * 3_600)
    stream = house.open(start_time_ns=T0 + 9 * HOUR, ttl_ns=MINUTE)
    shift(house, by_ns)
    assert (stream.terms.start_time_ns, stream.expire_time_ns) == (
        T0 + 9 * HOUR,
        T0 + 9 * HOUR + MINUTE,
    )


@pytest.mark.parametrize("what", ["pause", "outage"])
def test_backwards_time_that_was_lived_is_no_invented_time(what: str) -> None:
    """A stream of an earlier run that caught up what our clock had invented has paid that much too
    much already, whatever came after.
    """
    house = House()
    stream = house.open(catch_up_ns=None if what == "pause" else HOUR)
    run(house, 59)
    of_an_earlier_run(house, mark=60, since=60 + 7_200)
    house.at(60 + 7_200)  # two hours that nobody lived are paid at once, or an hour of them
    paid_msat(house, 59)
    since = (house.now_ns - T0) / S + 1
    if what == "pause":
        house.pause(stream)
        house.at(since + 7_200)
        house.resume(stream)
    else:
        house.node_down(since, since + 3 * 3_600)
        house.at(since + 3 * 3_600)
    paid_msat(house, 59)
    ahead = ahead_ns(house, stream)
    shift(house, -D, since_ns=T0 + 7_260 * S)
    assert ahead_ns(house, stream) == ahead + D


def test_a_start_that_lay_in_the_difference_is_to_come_again_when_our_time_goes_back() -> None:
    house = House()
    house.at(10)
    stream = house.open(start_time_ns=T0 + HOUR)
    shift(house, D)
    assert paid_msat(house, 100) == 101_000, "it has come, and its time begins now"
    shift(house, -D, since_ns=T0 + D)
    assert stream.terms.start_time_ns == T0 + HOUR
    assert paid_msat(house, 3_590) == 0
    assert paid_msat(house, 60) == 60_000, "it is due again when now has reached what it has bought"


def resumed(mark: float) -> tuple[House, Stream]:
    """Paused by an earlier run at ten, resumed by this one at twelve, and paid for a minute: the
    clock is two hours ahead over both.
    """
    house = House()
    house.at(10 * 3_600 - 60)
    stream = house.open(start_time_ns=house.now_ns)
    run(house, 10 * 3_600 - 1)
    house.at(10 * 3_600)
    house.pause(stream)
    of_an_earlier_run(house, mark=mark, since=11 * 3_600)
    house.at(12 * 3_600)
    house.resume(stream)
    run(house, 12 * 3_600 + 59)
    house.now_ns += S
    return house, stream


@pytest.mark.parametrize("mark", [10 * 3_600, 11 * 3_600 - 10])
def test_backwards_an_earlier_runs_pause_that_this_run_ended_shrinks_whoever_saw_it(
    mark: float,
) -> None:
    house, stream = resumed(mark)
    shift(house, -D, since_ns=T0 + 11 * HOUR)
    assert -S <= ahead_ns(house, stream) <= S
    assert paid_msat(house, 59) == 60_000


def test_backwards_a_pause_shrinks_to_nothing_and_the_rest_was_bought() -> None:
    house, stream = resumed(11 * 3_600 - 10)
    shift(house, -3 * HOUR, since_ns=T0 + 11 * HOUR)
    assert HOUR - S <= ahead_ns(house, stream) <= HOUR + S, "two of the three hours stood still"


@pytest.mark.parametrize("hours", [1, 2, 3])
def test_backwards_a_pause_of_an_earlier_run_is_worth_the_same_whether_it_ends_before_or_after(
    hours: int,
) -> None:
    ahead = []
    for before in (True, False):
        house = House()
        house.at(10 * 3_600 - 60)
        stream = house.open(start_time_ns=house.now_ns)
        run(house, 10 * 3_600 - 1)
        house.at(10 * 3_600)
        house.pause(stream)
        of_an_earlier_run(house, mark=11 * 3_600 - 10, since=11 * 3_600)
        house.at(12 * 3_600)
        if before:
            house.resume(stream)
        shift(house, -hours * HOUR, since_ns=T0 + 11 * HOUR)
        if not before:
            house.resume(stream)
        ahead.append(ahead_ns(house, stream))
    assert ahead == [max(0, hours - 2) * HOUR] * 2


@pytest.mark.parametrize("follows", [[D], [-D], [D, -D], [-D, D], [45 * MINUTE, -D]])
def test_a_stream_that_is_paused_before_its_start_begins_at_its_start(follows: list[int]) -> None:
    house = House()
    house.at(5 * 3_600)
    stream = house.open(start_time_ns=T0 + 10 * HOUR)
    house.now_ns += 10 * S
    house.pause(stream)
    since_ns = T0 + 5 * HOUR
    for by_ns in follows:
        house.now_ns += 10 * S
        shift(house, by_ns, since_ns)
        since_ns += by_ns
    assert house.now_ns - stream.paused_at_ns == 10 * S * len(follows)
    house.resume(stream)
    assert stream.state is StreamState.PENDING
    paid = run(house, 10 * 3_600 + 59)
    assert (paid[0].due_ns, paid[0].planned_ns) == (T0 + 10 * HOUR, T0 + 10 * HOUR)
    assert total_msat(paid) == 60_000


def test_a_stream_paused_before_a_start_that_lies_in_the_difference_owes_nothing_of_it() -> None:
    house = House()
    stream = house.open(start_time_ns=T0 + HOUR)
    house.at(10)
    house.pause(stream)
    shift(house, D)
    house.now_ns += MINUTE
    house.resume(stream)
    assert paid_msat(house, 59) == 60_000


@pytest.mark.parametrize("catch_up_ns", [None, 0, 5 * MINUTE])
@pytest.mark.parametrize("hours", [1, 3])
def test_there_and_back_a_pause_in_between_is_not_paid(hours: int, catch_up_ns: int | None) -> None:
    paid = []
    for follows in (False, True):
        house = House()
        house.at(10 * 3_600 - 60)
        stream = house.open(start_time_ns=house.now_ns, catch_up_ns=catch_up_ns)
        run(house, 10 * 3_600 - 1)
        of_an_earlier_run(house, mark=10 * 3_600 - 30, since=10 * 3_600 - 30)
        house.at(10 * 3_600)
        since_ns, before_msat = T0 + 10 * HOUR - 30 * S, stream.account.settled_msat
        if follows:
            shift(house, -D, since_ns)
        paid_msat(house, 60)
        house.pause(stream)
        house.now_ns += hours * HOUR
        house.resume(stream)
        paid_msat(house, 60)
        if follows:
            shift(house, D, since_ns - D)
        paid_msat(house, 60)
        paid.append(stream.account.settled_msat - before_msat)
    assert abs(paid[0] - 181_000) <= 1_000 and abs(paid[1] - paid[0]) <= 1_000


def test_there_and_back_a_pause_of_an_earlier_run_that_ends_in_between_is_not_paid() -> None:
    house = House()
    house.at(4 * 3_600 - 60)
    stream = house.open(start_time_ns=house.now_ns)
    run(house, 4 * 3_600 - 1)
    house.at(4 * 3_600)
    house.pause(stream)
    of_an_earlier_run(house, mark=4 * 3_600 + 10, since=4 * 3_600 + 20)
    house.at(5 * 3_600)
    since_ns = T0 + (4 * 3_600 + 20) * S
    shift(house, -D, since_ns)
    house.now_ns += 10 * S
    house.resume(stream)
    assert paid_msat(house, 60) == 0, "it has bought until four"
    shift(house, D, since_ns - D)
    assert paid_msat(house, 60) == 121_000


def test_backwards_a_pause_of_this_run_that_goes_on_was_lived_so_far() -> None:
    """The same as if it had ended before, and another had begun."""
    house = House()
    stream = house.open(catch_up_ns=None)
    run(house, 59)
    of_an_earlier_run(house, mark=60, since=7_260)
    house.at(7_260)
    paid_msat(house, 59)
    house.pause(stream)
    house.now_ns += HOUR
    shift(house, -D, since_ns=T0 + 7_260 * S)
    house.resume(stream)
    assert D - S <= ahead_ns(house, stream) <= D + S


def test_forwards_what_a_paused_stream_has_bought_lasts_as_long_whoever_paused_it() -> None:
    for by_this_run in (False, True):
        house = House()
        stream = house.open(rate=Rate(1_000, S, 24 * HOUR), catch_up_ns=0)
        house.settle(house.pay(0))
        house.at(3_000)
        if not by_this_run:
            house.pause(stream)
        of_an_earlier_run(house, mark=3_600, since=3_600)
        house.at(3_660)
        if by_this_run:
            house.pause(stream)
        house.at(3_720)
        left = ahead_ns(house, stream)
        shift(house, D, since_ns=T0 + HOUR)
        assert ahead_ns(house, stream) == left


def test_forwards_a_pause_of_an_earlier_run_counts_the_difference_once() -> None:
    house = House()
    stream = house.open(catch_up_ns=None)
    run(house, 59)
    house.at(70)
    house.pause(stream)
    of_an_earlier_run(house, mark=100, since=110)
    house.at(200)
    shift(house, D, since_ns=T0 + 110 * S)
    house.now_ns += 10 * S
    house.resume(stream)
    assert (stream.paused_ns, stream.stretches) == (D + 140 * S, ((T0 + 70 * S, house.now_ns),))
    assert paid_msat(house, 0) == 11_000, "ten seconds were owed before the pause"


def test_there_and_back_what_was_impossible_over_a_start_is_known_again() -> None:
    paid = []
    for follows in (False, True):
        house = House()
        house.at(10 * 3_600 - 60)
        stream = house.open(start_time_ns=house.now_ns, catch_up_ns=MINUTE)
        run(house, 10 * 3_600 - 1)
        of_an_earlier_run(house, mark=10.5 * 3_600, since=10.5 * 3_600)
        house.node_down(10 * 3_600, 11 * 3_600)
        house.at(11 * 3_600)
        since_ns = T0 + int(10.5 * HOUR)
        if follows:
            shift(house, -D, since_ns)
        house.now_ns += 10 * S
        if follows:
            shift(house, D, since_ns - D)
        paid.append((paid_msat(house, 0), stream.skipped_ns))
    assert paid[0] == paid[1] == (61_000, 3_550 * S)


def test_backwards_a_row_of_failures_of_an_earlier_run_goes_on_now() -> None:
    house = House(stall_after=2)
    stream = house.open(catch_up_ns=0)
    house.at(5 * 3_600)
    house.fail(house.plan()[0])
    of_an_earlier_run(house, mark=5 * 3_600 + 10, since=5 * 3_600 + 20)
    house.at(5 * 3_600 + 60)
    shift(house, -D, since_ns=T0 + (5 * 3_600 + 20) * S)
    assert stream.account.failing_since_ns == house.now_ns, "and not two hours from now"


def lived_behind(
    seed: int, moves: list[int], follows: bool, troubles: bool
) -> list[tuple[int, int, StreamState]]:
    """What has become of streams of an earlier run if our time goes back first, with outages,
    failures and pauses in between.

    follows: whether it moves. If not, the same is lived, and nothing is planned where it would be
    behind: who has bought what is to come again is not due then, and so the two can be compared.
    troubles: with outages and failures; then no pause reaches over the start, for where in such a
    pause the difference lies nobody knows, nor what of it was impossible.
    """
    chance, house = Random(seed), House()
    kinds = (
        "settle",
        "settle",
        "pause",
        "pause",
        "resume",
        "resume",
        *(("fail", "down", "up") if troubles else ()),
    )
    house.at(40 * 3_600)
    for number in range(chance.choice((1, 1, 2))):
        catch_up_ns, rate = (
            chance.choice((None, 0, MINUTE, 5 * MINUTE)),
            Rate(chance.choice((1_000, 700)), S, chance.choice((10, 60)) * S),
        )
        house.open(
            destination=bytes((2, number)) * 16 + b"\x02",
            start_time_ns=house.now_ns,
            catch_up_ns=catch_up_ns,
            rate=rate,
        )
    streams, under_way = list(house.book.streams.values()), list[Payment]()
    some_life(house, chance, under_way, streams, kinds, plans=True)
    for stream in streams if troubles else ():
        house.resume(stream)
    mark_ns = house.now_ns
    house.crash()
    house.now_ns += 10 * S
    since_ns, streams = house.now_ns, [house.again(stream) for stream in streams]
    house.book.gap, under_way = (
        (mark_ns, since_ns),
        [house.payment(payment.row) for payment in under_way if payment.open],
    )
    some_life(house, chance, under_way, streams, kinds, plans=True)
    for number, by_ns in enumerate(moves, start=1):
        if follows:
            shift(house, by_ns, since_ns)
            since_ns += by_ns
        some_life(house, chance, under_way, streams, kinds, plans=sum(moves[:number]) == 0)
    get_well(house, streams, under_way, 200)
    return [(one.account.settled_msat, one.skipped_ns, one.state) for one in streams]


def some_life(
    house: House,
    chance: Random,
    under_way: list[Payment],
    streams: list[Stream],
    kinds: tuple[str, ...],
    plans: bool,
) -> None:
    """Less than half an hour. A rate is not changed while nothing is planned: it would begin where
    the covered time ends.
    """
    for _ in range(chance.randint(2, 6)):
        for _ in range(4):
            house.now_ns += chance.choice((1, 5, 20, 60, 280)) * S // 4
            if plans and not house.book.outages.since_ns:
                under_way += house.plan()
        happens(house, chance, under_way, streams, (*kinds, "rate") if plans else kinds)


BACK_AND_FORTH = [
    [-D, D],
    [-D, -HOUR, 3 * HOUR],
    [-2 * D, HOUR, 2 * D - HOUR],
    [-D, D, -3 * HOUR, 3 * HOUR],
]


@pytest.mark.parametrize("moves", BACK_AND_FORTH)
@pytest.mark.parametrize("troubles", [False, True])
def test_nor_does_one_of_an_earlier_run_back_and_forth(moves: list[int], troubles: bool) -> None:
    for seed in range(40):
        assert lived_behind(seed, moves, True, troubles) == lived_behind(
            seed, moves, False, troubles
        ), seed
