"""What `stream show` says in each state: what it waits for, since when, and how to try now."""

from __future__ import annotations

from dataclasses import dataclass

from streamer.core import ends, lifecycle
from streamer.core.book import Book
from streamer.core.obstacle import Obstacle, to_plan
from streamer.core.payment import Event
from streamer.core.switch import Switch
from streamer.pay.link import NOBODY
from streamer.service.explain import explain
from streamer.words.model import Answer, ApiKey, BudgetTerms, Facts, Kind, Mark, Stream
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt, Reason
from tests.service.given import NOW_NS, book, opened


@dataclass
class Reached:
    """A connection that is up, unless there is a problem."""

    problem: str
    blocked: Reason | None = None

    @property
    def up(self) -> bool:
        return not self.problem


def above(mine: Book, problem: str = "") -> Obstacle | None:
    """What keeps the node of this book from paying; problem: of its connection."""
    return to_plan(mine.shared, Switch(mine.node), Reached(problem), stopping=False)


def fail(into: object, stream: Stream, reason: Reason, times: int) -> int:
    now_ns = NOW_NS
    for _ in range(times):
        now_ns = max(now_ns, into.due_ns(stream) or 0)  # type: ignore[attr-defined]
        payment = into.plan(now_ns, 1, Facts())[0]  # type: ignore[attr-defined]
        answer = Answer(Kind.FAILED, reason=reason)
        ends.resolve(into, payment, Event.FAILED, answer, now_ns, Facts())  # type: ignore[arg-type]
    return now_ns


def test_paid_ahead_and_waiting_for_an_open_payment() -> None:
    mine = book()
    stream = opened(mine)
    payment = mine.plan(NOW_NS, 1, Facts())[0]
    assert (
        explain(stream, mine, above(mine), NOW_NS)
        == "waits for the end of 1 open payment(s) of 1 sat"
    )
    ends.resolve(
        mine, payment, Event.SETTLED, Answer(Kind.SETTLED, amount_msat=1_000), NOW_NS, Facts()
    )
    assert explain(stream, mine, above(mine), NOW_NS) == "paid ahead for 1s; next payment in 1s"
    assert (
        explain(stream, mine, above(mine), NOW_NS + 3 * SECOND_NS)
        == "due since 2s: waits for room at its node, which is busy"
    )


def test_pending_paused_cancelled() -> None:
    mine = book()
    stream = opened(mine, start_time_ns=NOW_NS + 90 * SECOND_NS)
    assert explain(stream, mine, above(mine), NOW_NS) == "starts in 1m30s"
    lifecycle.pause(mine, stream, NOW_NS, Facts())
    assert (
        explain(stream, mine, above(mine), NOW_NS + 5 * SECOND_NS)
        == "paused for 5s; `streamer stream resume st_1` goes on"
    )
    lifecycle.cancel(mine, stream, NOW_NS, Facts())
    assert (
        explain(stream, mine, above(mine), NOW_NS + 125 * SECOND_NS)
        == "cancelled 2m ago (USER); nothing more will be paid"
    )


def test_ttl_says_why_it_paused() -> None:
    mine = book()
    stream = opened(mine, ttl_ns=SECOND_NS)
    mine.tick(stream, NOW_NS + 2 * SECOND_NS, Facts())
    assert "because nobody renewed it in time (ttl)" in explain(
        stream, mine, above(mine), NOW_NS + 2 * SECOND_NS
    )


def test_who_waits_for_a_receiver_that_holds_or_for_the_unproven_share_is_told_so() -> None:
    mine = book()
    mine.gate.resize(4, 4)
    stream, same = opened(mine), opened(mine)
    other = opened(mine, destination=NOBODY)
    [payment] = mine.plan(NOW_NS, 5, Facts())
    assert payment.stream_key == stream.key
    later_ns = NOW_NS + 30 * SECOND_NS
    told = explain(other, mine, above(mine), later_ns)
    assert told.startswith(
        "due since 30s: payments that receivers hold, or that are under way to receivers who have"
        " not settled one"
    )
    assert "(NO_SLOTS)" in told
    ends.mark(mine, payment, Mark.HELD, later_ns, Facts())
    assert (
        explain(same, mine, above(mine), later_ns)
        == "waits for its receiver, who keeps a payment open without settling it"
    )


def test_failing_then_stalled_with_the_next_attempt() -> None:
    mine = book()
    stream = opened(mine)
    now_ns = fail(mine, stream, Reason.RECEIVER_REJECTED, 1)
    text = explain(stream, mine, above(mine), now_ns)
    assert "the receiver refuses the payment: keysend is probably off there" in text
    assert "next attempt in" in text
    assert "`streamer stream resume st_1` tries now" in text
    while stream.state != "STALLED":
        now_ns = fail(mine, stream, Reason.NO_ROUTE, 1)
    text = explain(stream, mine, above(mine), now_ns)
    assert text.startswith("stalled for ")
    assert "`streamer stream resume st_1` tries now" in text


def test_a_stalled_stream_says_why_also_while_its_probe_is_under_way() -> None:
    mine = book()
    stream = opened(mine)
    now_ns = NOW_NS
    while stream.state != "STALLED":
        now_ns = fail(mine, stream, Reason.RECEIVER_REJECTED, 1)
    now_ns = max(now_ns, mine.due_ns(stream) or 0)
    why = "the receiver refuses the payment: keysend is probably off there (RECEIVER_REJECTED)"
    assert (
        explain(stream, mine, above(mine), now_ns)
        == f"stalled for 10m: {why}; due since 0s: waits for room at its node, which is busy"
    )
    mine.plan(now_ns, 1, Facts())
    assert (
        explain(stream, mine, above(mine), now_ns)
        == f"stalled for 10m: {why}; waits for the end of 1 open payment(s) of 1 sat"
    )


def test_a_spent_period_names_the_way_out() -> None:
    mine = book()
    stream = opened(mine, budget=BudgetTerms(6_000, 3_600 * SECOND_NS))
    payment = mine.plan(NOW_NS, 1, Facts())[0]
    ends.resolve(
        mine,
        payment,
        Event.SETTLED,
        Answer(Kind.SETTLED, amount_msat=1_000, fee_msat=5_000),
        NOW_NS,
        Facts(),
    )
    mine.plan(NOW_NS + SECOND_NS, 1, Facts())
    text = explain(stream, mine, above(mine), NOW_NS + SECOND_NS)
    assert "the budget of this period is spent" in text
    assert "`streamer stream set st_1 --budget" in text


def test_what_is_wrong_above_the_stream_comes_first() -> None:
    mine = book()
    stream = opened(mine)
    assert (
        explain(stream, mine, above(mine, "the wallet is locked"), NOW_NS)
        == "waits for its node main: the wallet is locked"
    )
    mine.shared.switch.stop(Halt.OPERATOR, "stopped by hand: start it by hand")
    told = explain(stream, mine, above(mine, "the wallet is locked"), NOW_NS)
    assert told == "waits because sending is stopped: stopped by hand: start it by hand"


def test_a_stream_that_waits_for_its_turn_says_so() -> None:
    mine = book()
    mine.budgets.add_key(ApiKey(1, "key_1", "", frozenset(), budget=BudgetTerms(30_000, None)))
    first, second = opened(mine), opened(mine, "st_2")
    first.api_key = second.api_key = 1
    mine.plan(NOW_NS, 1, Facts())
    mine.rounds.refuse(mine, second, NOW_NS, NOW_NS, Facts())
    words = "due since 2s: waits for its turn at the budget of its API key, which is short"
    assert explain(second, mine, above(mine), NOW_NS + 2 * SECOND_NS) == words
    assert (
        explain(first, mine, above(mine), NOW_NS)
        == "waits for the end of 1 open payment(s) of 1 sat"
    )


def test_an_unchecked_clock_is_waited_for() -> None:
    mine = book()
    stream = opened(mine)
    mine.shared.know_time(False)
    assert explain(stream, mine, above(mine), NOW_NS).startswith(
        "waits until the clock is known to be right"
    )
    assert "nothing listens" in explain(stream, mine, above(mine, "nothing listens"), NOW_NS), (
        "which is why it is unchecked"
    )
