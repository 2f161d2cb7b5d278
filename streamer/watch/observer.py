"""Tells metrics and watchers what the engines do. Never waits, and never fails a payment."""

from __future__ import annotations

from streamer.core.shared import Moment
from streamer.ports import Clock
from streamer.watch.feed import Feed
from streamer.watch.metrics import Metrics
from streamer.words.model import Payment, PaymentState, Stream
from streamer.words.reasons import Reason

NO_GROUP = ""
WATCHERS, WEBHOOK = "watch", "webhook"
"""The sinks of events that can be dropped, as the metrics call them."""


class Telling:
    """The engine's observer: counts in the metrics, then publishes to the feed."""

    def __init__(self, metrics: Metrics, feed: Feed, clock: Clock) -> None:
        self._metrics = metrics
        self._feed = feed
        self._clock = clock
        feed.on_dropped = lambda: metrics.dropped(WATCHERS)

    def sent(self, node: str, lateness_seconds: float) -> None:
        """A payment was handed to the node, so long after it was due."""
        self._metrics.sent(node, lateness_seconds)

    def ended(
        self,
        payment: Payment,
        stream: Stream | None,
        moment: Moment | None,
        seconds: float,
        late: bool,
    ) -> None:
        """A payment ended, so long after it was planned."""
        metrics, node = self._metrics, payment.node
        if payment.state is PaymentState.SETTLED:
            metrics.settled(
                node,
                NO_GROUP if stream is None else stream.terms.group,
                payment.settled_msat,
                payment.fee_msat,
                seconds,
            )
            if late:
                metrics.late(node)
        elif payment.state is PaymentState.WRITTEN_OFF:
            metrics.written_off(node)
        elif payment.reason is Reason.NONE:
            metrics.withdrawn(node)
        else:
            metrics.failed(node, payment.reason, seconds)
        if stream is not None:
            self._feed.publish(self._clock.now_ns(), stream, payment, moment)

    def changed(self, stream: Stream, moment: Moment) -> None:
        """A stream changed its state."""
        self._feed.publish(self._clock.now_ns(), stream, None, moment)

    def skipped(self, group: str, cause: str, msat: int) -> None:
        """Time of this price was skipped."""
        self._metrics.skipped(group, cause, msat)
