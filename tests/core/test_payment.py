"""The table of a payment's life, walked whole."""

from __future__ import annotations

import itertools

import pytest

from streamer.core.payment import TABLE, Event, Money, move
from streamer.words.model import OPEN
from streamer.words.model import PaymentState as S

PAIRS = list(itertools.product(S, Event))
ENDED = frozenset(S) - OPEN


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_move_is_in_the_table_or_refused(state: S, event: Event) -> None:
    if (state, event) in TABLE:
        assert move(state, event) == TABLE[state, event]
    else:
        with pytest.raises(
            AssertionError,
            match=rf"^a payment that is {state} cannot become known as {event.value}$",
        ):
            move(state, event)


@pytest.mark.parametrize(("state", "event"), sorted(TABLE, key=str))
def test_what_the_money_does_follows_from_the_states(state: S, event: Event) -> None:
    after, money = move(state, event)
    if state in OPEN and after in OPEN:
        assert money is Money.HOLD, "no reserve is freed while the payment may be alive"
    elif state in OPEN:
        assert money is (Money.VOID if after in {S.FAILED, S.REFUSED} else Money.POST)
    elif after is state:
        assert money in {Money.NOTHING, Money.REFUND}
    else:
        assert (after, money) == (S.SETTLED, Money.LATE)


def test_nothing_leaves_settled_and_nothing_ended_opens_again() -> None:
    assert {move(state, event)[0] for state, event in TABLE if state is S.SETTLED} == {S.SETTLED}
    assert all(after not in OPEN for (state, _), (after, _) in TABLE.items() if state in ENDED)


def test_losing_sight_of_a_payment_never_frees_its_money() -> None:
    assert all(move(state, Event.LOST) == (S.UNKNOWN, Money.HOLD) for state in OPEN)


def test_only_a_payment_that_was_never_handed_out_is_withdrawn() -> None:
    assert [state for state, event in TABLE if event is Event.WITHDRAWN] == [S.PLANNED]


def test_what_the_node_accepted_is_not_refused() -> None:
    assert (S.IN_FLIGHT, Event.REFUSED) not in TABLE


def test_failed_then_settled_is_late_and_alarmed() -> None:
    assert (
        move(S.FAILED, Event.SETTLED) == move(S.REFUSED, Event.SETTLED) == (S.SETTLED, Money.LATE)
    )


def test_a_write_off_stays_and_gives_back_to_the_budgets_what_failed() -> None:
    assert move(S.WRITTEN_OFF, Event.SETTLED) == (S.WRITTEN_OFF, Money.NOTHING)
    assert move(S.WRITTEN_OFF, Event.FAILED) == (S.WRITTEN_OFF, Money.REFUND)
    assert all(move(state, Event.WRITE_OFF) == (S.WRITTEN_OFF, Money.POST) for state in OPEN)
