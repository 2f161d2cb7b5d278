"""What `stream show` says in each state: what it waits for, since when, and how to try now."""

from __future__ import annotations

from streamer.core import ends, lifecycle
from streamer.core.payment import Event
from streamer.model import Answer, BudgetTerms, Facts, Kind, Stream
from streamer.money import SECOND_NS
from streamer.reasons import Halt, Reason
from streamer.service.explain import explain
from tests.service.given import NOW_NS, book, opened


def fail(into: object, stream: Stream, reason: Reason, times: int) -> int:
    now_ns = NOW_NS
    for _ in range(times):
        now_ns = max(now_ns, into.due_ns(stream) or 0)  # type: ignore[attr-defined]
        payment = into.plan(now_ns, 1, Facts())[0]  # type: ignore[attr-defined]
        ends.resolve(into, payment, Event.FAILED, Answer(Kind.FAILED, reason=reason), now_ns, Facts())  # type: ignore[arg-type]
    return now_ns


def test_paid_ahead_and_waiting_for_an_open_payment() -> None:
    mine = book()
    stream = opened(mine)
    payment = mine.plan(NOW_NS, 1, Facts())[0]
    assert explain(stream, mine, "", NOW_NS) == "waits for the end of 1 open payment(s) of 1 sat"
    ends.resolve(mine, payment, Event.SETTLED, Answer(Kind.SETTLED, amount_msat=1_000), NOW_NS, Facts())
    assert explain(stream, mine, "", NOW_NS) == "paid ahead for 1s; next payment in 1s"
    assert explain(stream, mine, "", NOW_NS + 3 * SECOND_NS) == "due since 2s: waits for room at its node, which is busy"


def test_pending_paused_cancelled() -> None:
    mine = book()
    stream = opened(mine, start_time_ns=NOW_NS + 90 * SECOND_NS)
    assert explain(stream, mine, "", NOW_NS) == "starts in 1m30s"
    lifecycle.pause(mine, stream, NOW_NS, Facts())
    assert explain(stream, mine, "", NOW_NS + 5 * SECOND_NS) == "paused for 5s; `streamer stream resume st_1` goes on"
    lifecycle.cancel(mine, stream, NOW_NS, Facts())
    assert explain(stream, mine, "", NOW_NS + 125 * SECOND_NS) == "cancelled 2m ago (USER); nothing more will be paid"


def test_ttl_says_why_it_paused() -> None:
    mine = book()
    stream = opened(mine, ttl_ns=SECOND_NS)
    mine.tick(stream, NOW_NS + 2 * SECOND_NS, Facts())
    assert "because nobody renewed it in time (ttl)" in explain(stream, mine, "", NOW_NS + 2 * SECOND_NS)


def test_failing_then_stalled_with_the_next_attempt() -> None:
    mine = book()
    stream = opened(mine)
    now_ns = fail(mine, stream, Reason.RECEIVER_REJECTED, 1)
    text = explain(stream, mine, "", now_ns)
    assert "the receiver refuses the payment: keysend is probably off there" in text
    assert "next attempt in" in text
    assert "`streamer stream resume st_1` tries now" in text
    while stream.state != "STALLED":
        now_ns = fail(mine, stream, Reason.NO_ROUTE, 1)
    text = explain(stream, mine, "", now_ns)
    assert text.startswith("stalled for ")
    assert "`streamer stream resume st_1` tries now" in text


def test_a_spent_period_names_the_way_out() -> None:
    mine = book()
    stream = opened(mine, budget=BudgetTerms(6_000, 3_600 * SECOND_NS))
    payment = mine.plan(NOW_NS, 1, Facts())[0]
    ends.resolve(mine, payment, Event.SETTLED, Answer(Kind.SETTLED, amount_msat=1_000, fee_msat=5_000), NOW_NS, Facts())
    mine.plan(NOW_NS + SECOND_NS, 1, Facts())
    text = explain(stream, mine, "", NOW_NS + SECOND_NS)
    assert "the budget of this period is spent" in text
    assert "`streamer stream set st_1 --budget" in text


def test_what_is_wrong_above_the_stream_comes_first() -> None:
    mine = book()
    stream = opened(mine)
    assert explain(stream, mine, "the wallet is locked", NOW_NS) == "waits for its node main: the wallet is locked"
    mine.shared.switch.stop(Halt.OPERATOR, "stopped by hand: start it by hand")
    told = explain(stream, mine, "the wallet is locked", NOW_NS)
    assert told == "waits because sending is stopped: stopped by hand: start it by hand"
