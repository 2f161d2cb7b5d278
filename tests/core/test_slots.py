"""Who takes up room: the window, HTLC slots, a destination's part, and the shares of what is not
proven.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamer.core import slots as rules
from streamer.core.shares import EVERYBODY, Taken
from streamer.core.slots import Slots
from streamer.words.model import Mark, Payment, PaymentState
from tests.core.house import PEER, S, a_payment

OTHER = b"\x03" * 33
HOLD_AFTER_NS = 30 * S


def payment(
    row: int, destination: bytes = PEER, stream_key: int = 1, api_key: int = 0, invoice: str = ""
) -> Payment:
    at: dict[str, Any] = {
        "row": row,
        "seq": row,
        "destination": destination,
        "stream_key": stream_key,
        "api_key": api_key,
    }
    return a_payment(**at, amount_msat=1, due_ns=0, planned_ns=0, payment_request=invoice)


def slots_of(cap: int = 10) -> Slots:
    return Slots(cap, HOLD_AFTER_NS)


def peer(number: int) -> bytes:
    return b"\x02" + number.to_bytes(32, "big")


def end(
    slots: Slots,
    ended: Payment,
    after_ns: int = S,
    state: PaymentState = PaymentState.SETTLED,
    excused: bool = False,
) -> None:
    ended.state, ended.end_ns = state, ended.planned_ns + after_ns
    slots.end(ended, Mark.NONE, excused)


def shown(slots: Slots, destination: bytes = PEER) -> int:
    """How many payments destination may have under way."""
    probes: list[Payment] = []
    while not slots.full(destination):
        probes.append(payment(10_000 + len(probes), destination))
        slots.take(probes[-1])
    for probe in probes:
        end(slots, probe, state=PaymentState.FAILED)
    return len(probes)


# -- a destination ------------------------------------------------------------------------------


def test_who_is_not_proven_has_one_under_way_and_one_more_for_each_that_settles_in_time() -> None:
    slots = slots_of(cap=3)
    for number, most in enumerate((1, 2, 3, 3)):
        assert shown(slots) == most and slots.proven(PEER) == (number > 0)
        one = payment(number)
        slots.take(one)
        end(slots, one, HOLD_AFTER_NS)
    assert shown(slots, OTHER) == 1, "each for itself"


@pytest.mark.parametrize("most", [1, 2])
def test_the_cap_bounds_who_is_proven(most: int) -> None:
    slots = slots_of(cap=most)
    slots.prove(PEER, 5)
    assert shown(slots) == most


@pytest.mark.parametrize(
    ("after_ns", "state", "excused", "most"),
    [
        (HOLD_AFTER_NS + 1, PaymentState.SETTLED, False, 1),
        (HOLD_AFTER_NS + 1, PaymentState.SETTLED, True, 5),
        (HOLD_AFTER_NS + 1, PaymentState.FAILED, False, 1),
        (HOLD_AFTER_NS, PaymentState.FAILED, False, 5),
        (HOLD_AFTER_NS, PaymentState.SETTLED, False, 6),
        (HOLD_AFTER_NS, PaymentState.WRITTEN_OFF, False, 5),
    ],
)
def test_what_an_end_shows_of_its_receiver(
    after_ns: int, state: PaymentState, excused: bool, most: int
) -> None:
    slots = slots_of()
    slots.prove(PEER, 5)
    one = payment(1)
    slots.take(one)
    end(slots, one, after_ns, state, excused)
    assert shown(slots) == most


def test_a_hold_puts_its_destination_back_to_one_at_its_mark_and_again_after_its_end() -> None:
    slots = slots_of()
    slots.prove(PEER, 5)
    held, later = payment(1), payment(2)
    slots.take(held)
    slots.set_mark(held, Mark.HELD)
    assert shown(slots) == 1 and not slots.proven(PEER)
    slots.take(later)
    end(slots, later)
    assert shown(slots) == 2, "another key's payment has settled in time meanwhile"
    end(slots, held, S, excused=True)
    assert shown(slots) == 1


def test_a_payment_in_doubt_shows_that_its_destination_does_not_settle() -> None:
    slots = slots_of()
    slots.prove(PEER, 5)
    one = payment(1)
    slots.take(one)
    slots.doubt(one)
    assert not slots.proven(PEER)


def test_an_invoice_that_is_held_by_design_shows_nothing_and_blocks_nobody() -> None:
    slots = slots_of()
    slots.prove(PEER, 5)
    held = payment(1, invoice="lnbc1")
    slots.take(held)
    slots.set_mark(held, Mark.HELD)
    assert not slots.holds(PEER, 0) and shown(slots) == 5 and slots.shares.taken.stuck == 1, (
        "it only counts"
    )
    end(slots, held, 3_600 * S)
    assert shown(slots) == 5 and slots.shares.taken.all == 0


def test_a_destination_is_held_for_the_key_whose_payment_is_and_as_long_as_one_is() -> None:
    slots = slots_of()
    one, two, foreign = payment(1), payment(2), payment(3, api_key=7)
    for each in (one, two, foreign):
        slots.take(each)
        slots.set_mark(each, Mark.HELD)
    assert slots.held == 3 and sorted(slots.holders) == [(PEER, 0), (PEER, 7)]
    slots.set_mark(one, Mark.ORPHAN)
    end(slots, foreign)
    assert slots.holds(PEER, 0) and not slots.holds(PEER, 7) and not slots.holds(OTHER, 0)
    slots.set_mark(two, Mark.NONE)
    assert not slots.holds(PEER, 0) and slots.held == 0


def test_the_oldest_proofs_are_forgotten_beyond_their_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "KEPT_PROOFS", 2)
    slots = slots_of()
    for number in (1, 2):
        slots.prove(peer(number), 5)
    flying = payment(1, peer(2))
    slots.take(flying)
    slots.prove(peer(1), 5)
    slots.prove(peer(3), 5)
    assert [slots.proven(peer(number)) for number in (1, 2, 3)] == [True, False, True]
    assert slots.shares.taken.unproven == 1, (
        "what is under way to it counts as to anybody who is not proven"
    )


# -- the window and the slots --------------------------------------------------------------------


def test_what_is_held_or_in_doubt_leaves_the_window_and_keeps_its_slot_an_orphan_has_none() -> None:
    slots = slots_of()
    held, doubtful, orphan, lost, flying = (payment(row) for row in range(1, 6))
    for each in (held, doubtful, orphan, lost, flying):
        slots.take(each)
    slots.set_mark(held, Mark.HELD)
    slots.doubt(doubtful)
    slots.set_mark(orphan, Mark.ORPHAN)
    slots.set_mark(lost, Mark.LOST_SIGHT)
    assert (sorted(slots.window), sorted(slots.stuck)) == ([5], [1, 2])
    slots.see(lost, True)
    assert sorted(slots.stuck) == [1, 2, 4], "out of sight, and a channel has its HTLC"
    slots.see(lost, False)
    slots.set_mark(held, Mark.NONE)
    assert (sorted(slots.window), sorted(slots.stuck)) == ([1, 5], [2])
    slots.set_mark(doubtful, Mark.ORPHAN)
    assert not slots.stuck and not slots.doubtful
    for each in (held, doubtful, orphan, lost, flying):
        end(slots, each)
    assert not slots.window and slots.shares.taken.all == 0 and shown(slots, OTHER) == 1


@pytest.mark.parametrize("mark", [Mark.NONE, Mark.HELD, Mark.ORPHAN])
def test_a_payment_of_the_journal_takes_what_its_mark_says(mark: Mark) -> None:
    slots = slots_of()
    slots.prove(PEER, 5)
    one = payment(1)
    one.mark = mark
    slots.take(one)
    assert one.mark is mark and slots.holds(PEER, 0) == (mark is Mark.HELD) == (
        not slots.proven(PEER)
    )
    assert (list(slots.window), list(slots.stuck)) == (
        [1] * (mark is Mark.NONE),
        [1] * (mark is Mark.HELD),
    )


def test_doubts_are_counted_per_stream() -> None:
    slots = slots_of()
    made = [payment(1), payment(2), payment(3, stream_key=2)]
    for each in made:
        slots.take(each)
    assert [slots.doubt(each) for each in made] == [1, 2, 1]
    assert slots.clear_doubt(made[0]) and not slots.clear_doubt(made[0])
    assert (slots.doubts(1), slots.doubts(2), slots.doubts(3)) == (1, 1, 0)


@pytest.mark.parametrize(
    ("offered", "stuck", "carried"),
    [(None, 9, 100), (483, 0, 100), (483, 383, 50), (12, 3, 4), (5, 3, 1), (5, 4, 0)],
)
def test_what_the_slots_carry_is_half_of_what_is_not_stuck_and_never_the_last(
    offered: int | None, stuck: int, carried: int
) -> None:
    slots = slots_of()
    slots.shares.offered = offered
    for row in range(stuck):
        one = payment(row, peer(row))
        slots.take(one)
        slots.doubt(one)
    assert slots.shares.carried(100) == carried


# -- shares -------------------------------------------------------------------------------------


def fill(slots: Slots, count: int, api_key: int, stuck: bool = True) -> list[Payment]:
    """So many payments to as many destinations that are not proven."""
    made = [
        payment(1_000 * api_key + row, peer(1_000 * api_key + row), api_key=api_key)
        for row in range(count)
    ]
    for each in made:
        slots.take(each)
        if stuck:
            slots.set_mark(each, Mark.HELD)
    return made


@pytest.mark.parametrize("stuck", [False, True])
def test_who_is_not_proven_has_half_of_the_window_and_one_key_half_of_that(stuck: bool) -> None:
    slots = slots_of()
    assert slots.shares.resize(100, 100) is False and slots.shares.resize(100, 101) is True
    slots.shares.resize(100, 100)
    fill(slots, 24, 1, stuck)
    assert slots.admits(PEER, 1)
    [last] = fill(slots, 25, 1, stuck)[24:]
    fill(slots, 24, 2, stuck)
    assert slots.obstacle(PEER, 1) == 1 and slots.admits(PEER, 2)
    fill(slots, 1, 3, stuck)
    assert slots.obstacle(PEER, 2) == slots.obstacle(PEER, 4) == EVERYBODY
    slots.prove(OTHER, 1)
    assert slots.admits(OTHER, 1), "who is proven uses what is left"
    end(slots, last)
    assert slots.admits(PEER, 1)


def test_a_small_window_bounds_what_is_under_way_and_not_what_is_stuck() -> None:
    slots = slots_of()
    slots.shares.resize(100, 8)
    fill(slots, 10, 1)
    assert slots.admits(PEER, 1), "what is held is in the window no more"
    fill(slots, 2, 2, stuck=False)
    assert not slots.admits(PEER, 2) and slots.admits(PEER, 3)
    fill(slots, 2, 3, stuck=False)
    assert not slots.admits(PEER, 4)


def test_even_a_window_of_one_lets_one_go() -> None:
    slots = slots_of()
    slots.shares.resize(1, 1)
    assert slots.admits(PEER, 1)
    fill(slots, 1, 2)
    assert not slots.admits(PEER, 1)


def test_what_is_under_way_counts_as_its_destination_is_known_now() -> None:
    slots = slots_of()
    slots.prove(PEER, 3)
    flying = [payment(row, api_key=row) for row in (1, 2, 3)]
    for each in flying:
        slots.take(each)
    assert slots.shares.taken.all == 0
    slots.set_mark(flying[0], Mark.HELD)
    assert (slots.shares.taken.stuck, slots.shares.taken.unproven) == (1, 2)
    end(slots, flying[1])
    assert (slots.shares.taken.stuck, slots.shares.taken.unproven) == (
        1,
        0,
    ), "it has settled in time: the third is under way to who is proven"
    end(slots, flying[2])
    end(slots, flying[0])
    assert slots.shares.taken == Taken() and slots.admits(OTHER, 1)


def test_an_invoice_is_asked_for_the_share_of_its_key_even_to_who_is_proven() -> None:
    slots = slots_of()
    slots.shares.resize(8, 8)
    slots.prove(PEER, 5)
    held = [payment(row, invoice="lnbc1", api_key=1) for row in (1, 2)]
    for each in held:
        assert slots.admits(PEER, 1, invoice=True)
        slots.take(each)
        slots.set_mark(each, Mark.HELD)
    assert (
        not slots.admits(PEER, 1, invoice=True)
        and slots.admits(PEER, 1)
        and slots.admits(PEER, 2, invoice=True)
    )
    slots.shares.offered = 4
    assert not slots.admits(PEER, 2, invoice=True), "half of the slots are held"


# -- an alarm -----------------------------------------------------------------------------------


def proven_ones(slots: Slots, count: int, first: int = 0, most: int = 9) -> list[bytes]:
    made = [peer(500_000 + number) for number in range(first, first + count)]
    for each in made:
        slots.prove(each, most)
    return made


def keep(
    slots: Slots, destination: bytes, row: int, planned_ns: int = 0, api_key: int = 0
) -> Payment:
    """One to it that is found to be held."""
    one = payment(row, destination, api_key=api_key)
    one.planned_ns = planned_ns
    slots.take(one)
    slots.set_mark(one, Mark.HELD)
    return one


def alarm(slots: Slots) -> None:
    """A quarter of the window is found to be held by receivers that were proven."""
    for number, each in enumerate(proven_ones(slots, max(1, slots.shares.size // 4), first=10_000)):
        keep(slots, each, 50_000 + number, api_key=9)


@pytest.mark.parametrize(("size", "places"), [(8, 2), (100, 25), (3, 1)])
def test_when_the_proven_hold_a_quarter_of_the_window_all_have_to_prove_themselves_again(
    size: int, places: int
) -> None:
    slots = slots_of()
    slots.shares.resize(size, size)
    slots.prove(PEER, 5)
    for number, each in enumerate(proven_ones(slots, places)):
        assert shown(slots) == 5 and slots.proven(PEER) and not slots.dated(PEER)
        keep(slots, each, number)
    assert shown(slots) == 1 and slots.dated(PEER) and not slots.proven(PEER)
    one = payment(99)
    slots.take(one)
    end(slots, one)
    assert shown(slots) == 2 and slots.proven(PEER)
    for number in range(3 * places):
        keep(slots, peer(number), 1_000 + number)
    assert slots.proven(PEER), "who was not proven is no alarm, and has its share"


def test_all_that_is_under_way_to_who_is_found_out_was_kept_from_the_others() -> None:
    slots = slots_of()
    slots.shares.resize(100, 100)
    slots.prove(PEER, 5)
    three = proven_ones(slots, 3)
    for number, each in enumerate(three):
        for row in range(9):
            slots.take(payment(10 * number + row, each))
    for number in range(2):
        slots.set_mark(slots.window[10 * number], Mark.HELD)
    assert slots.proven(PEER), "18 places"
    slots.set_mark(slots.window[1], Mark.HELD)
    assert slots.proven(PEER), "it is known as such already"
    slots.set_mark(slots.window[20], Mark.HELD)
    assert slots.dated(PEER)


@pytest.mark.parametrize(("apart_ns", "dated"), [(HOLD_AFTER_NS, True), (HOLD_AFTER_NS + 1, False)])
def test_what_is_kept_at_different_times_is_no_alarm(apart_ns: int, dated: bool) -> None:
    slots = slots_of()
    slots.shares.resize(8, 8)
    slots.prove(PEER, 5)
    for number, each in enumerate(proven_ones(slots, 2)):
        keep(slots, each, number, number * apart_ns)
    assert slots.dated(PEER) is dated
    for number, each in enumerate(proven_ones(slots, 50, first=100)):
        keep(slots, each, 100 + number, (2 + number) * (HOLD_AFTER_NS + 1))
    assert slots.dated(PEER) is dated and len(slots._found) <= 1, (
        "however many there are in the end"
    )


@pytest.mark.parametrize("how", ["late", "doubt"])
def test_who_ends_it_late_or_leaves_it_in_doubt_has_kept_it_too(how: str) -> None:
    """Else receivers that let go a moment before they are marked would keep the window for ever."""
    slots = slots_of()
    slots.shares.resize(8, 8)
    slots.prove(PEER, 5)
    for number, each in enumerate(proven_ones(slots, 2)):
        one = payment(number, each)
        slots.take(one)
        if how == "late":
            end(slots, one, HOLD_AFTER_NS + 1)
        else:
            slots.doubt(one)
    assert slots.dated(PEER)


def test_after_an_alarm_the_half_of_the_window_is_left_to_who_has_settled_since() -> None:
    """One key alone may have the whole half under way to who has not, and is measured by it; others
    have their part all the same.
    """
    slots = slots_of()
    slots.shares.resize(16, 16)
    crowd, others = proven_ones(slots, 20), proven_ones(slots, 20, first=100)
    flying = payment(1, crowd[0], api_key=1)
    slots.take(flying)
    alarm(slots)
    assert slots.shares.taken.dated == 1, "what was under way before counts"
    for number in range(1, 8):
        assert slots.admits(crowd[number], 1)
        slots.take(payment(10 + number, crowd[number], api_key=1))
    assert slots.obstacle(crowd[8], 1) == 1
    for number in range(4):
        assert slots.admits(others[number], 2)
        slots.take(payment(100 + number, others[number], api_key=2))
    assert slots.obstacle(others[4], 2) == 2 and slots.obstacle(others[4], 3) == EVERYBODY
    end(slots, flying)
    assert slots.proven(crowd[0]) and slots.admits(crowd[0], 1)
    assert slots.obstacle(crowd[8], 1) == 1, "all together still have more than half"


def test_what_a_key_has_beyond_its_part_is_no_other_keys_concern() -> None:
    """Its proven receivers have held all at once; another key's new receivers, and those that were
    proven, find room at once.
    """
    slots = slots_of()
    slots.shares.resize(16, 16)
    for number, each in enumerate(proven_ones(slots, 16)):
        keep(slots, each, number, api_key=1)
    assert (
        slots.shares.taken.stuck == 16 and slots.obstacle(OTHER, 1) == 1 and slots.jammed(OTHER, 1)
    )
    fill(slots, 3, 2)
    assert slots.admits(OTHER, 2) and not slots.jammed(OTHER, 3) and slots.admits(OTHER, 3)
    keep(slots, peer(2_500), 2_500, api_key=2)
    assert slots.obstacle(OTHER, 3) == EVERYBODY and slots.jammed(OTHER, 3), (
        "two keys have the half of all"
    )


def test_who_was_proven_before_the_alarm_gets_no_more_when_its_key_has_three_quarters() -> None:
    """Each may be held; another key has its quarter of the slots yet."""
    slots = slots_of()
    slots.shares.resize(16, 16)
    slots.shares.offered = 40
    [mine, others] = proven_ones(slots, 2, first=200)
    held = [
        keep(slots, each, number, api_key=1) for number, each in enumerate(proven_ones(slots, 29))
    ]
    assert slots.dated(mine) and slots.admits(mine, 1)
    last = keep(slots, peer(77), 77, api_key=1)
    assert slots.obstacle(mine, 1) == 1 and slots.jammed(mine, 1) and slots.admits(others, 2)
    end(slots, last)
    assert slots.admits(mine, 1)
    slots.take(payment(78, peer(78), api_key=1))
    assert slots.obstacle(mine, 1) == 1 and not slots.jammed(mine, 1), (
        "what is under way may come back"
    )
    end(slots, held[0])


def test_an_alarm_is_raised_once_the_window_is_known_and_costs_nothing_before() -> None:
    slots = slots_of()
    for number, each in enumerate(proven_ones(slots, 300)):
        keep(slots, each, number)
    slots.prove(PEER, 5)
    assert slots.proven(PEER), "the window is not known"


def test_a_share_that_only_what_is_under_way_takes_is_no_jam() -> None:
    slots = slots_of()
    slots.shares.resize(8, 8)
    flying = fill(slots, 2, 1, stuck=False)
    assert not slots.admits(PEER, 1) and not slots.jammed(PEER, 1)
    for each in flying:
        slots.set_mark(each, Mark.HELD)
    assert slots.jammed(PEER, 1) and not slots.jammed(PEER, 2)
    fill(slots, 2, 2)
    assert slots.jammed(PEER, 3), "all together"
