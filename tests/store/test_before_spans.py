"""Streams of journals from before streams kept spans: one pair and one sum for all that was
impossible.
"""

from __future__ import annotations

from typing import Any

from streamer.stores.before_spans import bring_up
from streamer.words.model import Account, StreamState
from streamer.words.reasons import Reason


def brought_up(
    state: str, reason: str, carried_ns: int = 0, ended_ns: int = 0, **account: int
) -> tuple[dict[str, Any], Account]:
    read: dict[str, Any] = {
        "state": state,
        "reason": reason,
        "state_time_ns": 77,
        "carried_outage_ns": carried_ns,
    }
    kept = Account(**account)
    bring_up(read, kept, ended_ns)
    return read, kept


def test_what_was_counted_or_carried_is_not_counted_again() -> None:
    read, account = brought_up("ACTIVE", "", 5, 40, failing_since_ns=10, counted_until_ns=30)
    assert read["spans"] == [[25, 30], [30, 40]] and account.failing_since_ns == 0
    read, _ = brought_up("ACTIVE", "", 0, 20, failing_since_ns=10, counted_until_ns=30)
    assert read["spans"] == []


def test_a_row_goes_on() -> None:
    read, account = brought_up("STALLED", "NO_ROUTE", failing_since_ns=10, streak=6)
    assert (read["stalled_by"], read["failing"], account.failing_since_ns) == (
        Reason.NO_ROUTE,
        Reason.NO_ROUTE,
        10,
    )
    read, account = brought_up("PAUSED", "USER", failing_since_ns=10, streak=6)
    assert (read["stalled_by"], read["failing"], account.failing_since_ns) == (
        Reason.NONE,
        Reason.TIMEOUT,
        10,
    )


def test_a_stall_for_doubt_whose_pair_had_ended_goes_on_all_the_same() -> None:
    read, _ = brought_up("STALLED", "IN_DOUBT", 0, 20, failing_since_ns=10)
    assert (read["doubt_since_ns"], read["stalled_by"]) == (77, Reason.NONE)
    read, _ = brought_up("STALLED", "IN_DOUBT", failing_since_ns=10)
    assert read["doubt_since_ns"] == 10


def test_a_stall_for_a_budget_waits_for_its_renewal() -> None:
    read, account = brought_up(
        StreamState.STALLED, "BUDGET_PERIOD", failing_since_ns=10, next_attempt_ns=90
    )
    assert (read["short_of"], read["short_since_ns"], read["short_until_ns"]) == (
        Reason.BUDGET_PERIOD,
        10,
        90,
    )
    assert account.failing_since_ns == 0
