"""What the engine tells is counted under the right name, and watchers hear of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from streamer.core.shared import Moment
from streamer.watch.feed import Feed
from streamer.watch.metrics import Metrics
from streamer.watch.observer import Telling
from streamer.words.clock import BootClock
from streamer.words.model import Facts, Payment, PaymentState, StreamState
from streamer.words.reasons import Reason
from tests.service.given import NOW_NS, book, opened

MOMENT = Moment(StreamState.PAUSED, Reason.USER, NOW_NS)


def told() -> tuple[Telling, Metrics, Feed]:
    metrics, feed = Metrics("0", "lnd"), Feed()
    return Telling(metrics, feed, BootClock()), metrics, feed


def planned(group: str = "g") -> tuple[Payment, object]:
    mine = book()
    stream = opened(mine, group=group)
    return mine.plan(NOW_NS, 1, Facts())[0], stream


def counted(metrics: Metrics, outcome: str, reason: str = "") -> bool:
    return (
        f'streamer_payments_total{{node="main",outcome="{outcome}",reason="{reason}"}} 1.0'
        in metrics.render().decode()
    )


def test_each_end_has_its_outcome() -> None:
    payment, stream = planned()
    for state, reason, outcome in (
        (PaymentState.SETTLED, Reason.NONE, "settled"),
        (PaymentState.FAILED, Reason.NO_ROUTE, "failed"),
        (PaymentState.REFUSED, Reason.NODE_REFUSED, "failed"),
        (PaymentState.FAILED, Reason.NONE, "withdrawn"),
        (PaymentState.WRITTEN_OFF, Reason.NONE, "written_off"),
    ):
        telling, metrics, _ = told()
        telling.ended(replace(payment, state=state, reason=reason), stream, None, 0.1, False)  # type: ignore[arg-type]
        assert counted(metrics, outcome, reason if outcome == "failed" else "")


def test_money_goes_to_the_group_and_a_late_settlement_is_marked() -> None:
    payment, stream = planned("radio")
    telling, metrics, _ = told()
    telling.ended(
        replace(payment, state=PaymentState.SETTLED, settled_msat=900, fee_msat=3),
        stream,  # type: ignore[arg-type]
        None,
        0.1,
        True,
    )
    text = metrics.render().decode()
    assert 'streamer_paid_msat_total{group="radio"} 900.0' in text
    assert 'streamer_fee_msat_total{group="radio"} 3.0' in text
    assert counted(metrics, "settled")
    assert counted(metrics, "settled_late")


def test_watchers_hear_of_changes_and_ends_and_the_dropped_are_counted() -> None:
    async def run() -> None:
        payment, stream = planned()
        telling, metrics, feed = told()
        events = feed.watch()
        await anext(events)
        telling.changed(stream, MOMENT)  # type: ignore[arg-type]
        telling.ended(replace(payment, state=PaymentState.SETTLED), stream, None, 0.1, False)  # type: ignore[arg-type]
        telling.ended(
            replace(payment, state=PaymentState.SETTLED, owner="pay_1", seq=0),
            None,
            None,
            0.1,
            False,
        )
        first, second = await anext(events), await anext(events)
        assert (first.stream, first.payment) == (stream, None)
        assert (first.state, first.reason, first.state_time_ns) == MOMENT, (
            "as it was when that became durable, not as it is"
        )
        assert second.payment is not None
        feed.on_dropped()
        assert 'streamer_events_dropped_total{sink="watch"} 1.0' in metrics.render().decode()

    asyncio.run(run())
