"""Every Prometheus name, in one file. Counting a payment costs about a microsecond; gauges are read
at the scrape.

Labels are few and bounded: never a stream's id, a key or a hash. `group` is a stream's own field;
GROUP_LIMIT distinct ones are counted apart, later ones as "other".
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest

from streamer.service.reports import DaemonReport, NodeReport, Totals
from streamer.watch.series import Labels, Row, Shelf
from streamer.words.money import SECOND_NS

LOOK_SECONDS = 1.0
"""The daemon is looked at no more often for its gauges, however often it is scraped: a look goes
through all streams.
"""
GROUP_LIMIT = 50
OTHER_GROUP = "other"
SAMPLES = 10_000
"""Latenesses kept for the p99: the latest payments."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Histogram bounds, 1 ms … 300 s."""

NODE_GAUGES = {
    "payments_open": "payments that have not ended",
    "payments_in_doubt": "payments open for longer than in_doubt_after",
    "payments_held": "payments whose HTLC the receiver keeps",
    "payments_orphaned": "payments that the node calls IN_FLIGHT without any HTLC",
    "payments_lost_sight": "payments whose history the node has lost",
    "in_doubt_msat": "amount of the payments in doubt",
    "oldest_open_payment_seconds": "age of the oldest open payment",
    "window_limit": "the most payments in flight that are allowed",
}
"""Gauges of a node that its figures give by these names."""

Look = Callable[[], DaemonReport]
Figures = Callable[[], Mapping[str, Mapping[str, float]]]
"""Node name → name of NODE_GAUGES → value."""


class Metrics:
    """The counters, and what reads the gauges. One object per daemon, with a registry of its
    own.
    """

    def __init__(self, version: str, node_kind: str) -> None:
        self._shelf = shelf = Shelf()
        self._payments = shelf.count(
            "streamer_payments_total", "payments that ended", ("node", "outcome", "reason")
        )
        self._paid = shelf.count("streamer_paid_msat_total", "settled amounts", ("group",))
        self._fees = shelf.count("streamer_fee_msat_total", "settled fees", ("group",))
        self._skipped = shelf.count(
            "streamer_skipped_msat_total", "price of time that was not bought", ("group", "cause")
        )
        self._seconds = shelf.spread(
            "streamer_payment_seconds", "from sent to its end", SECONDS, ("node",)
        )
        self._lateness = shelf.spread(
            "streamer_lateness_seconds", "from due to sent", SECONDS, ("node",)
        )
        self._commit = shelf.spread("streamer_store_commit_seconds", "one durable commit", SECONDS)
        self._rpc_seconds = shelf.spread(
            "streamer_node_rpc_seconds", "calls to the node", SECONDS, ("node", "method")
        )
        self._rpc_errors = shelf.count(
            "streamer_node_rpc_errors_total",
            "calls to the node that failed",
            ("node", "method", "code"),
        )
        self._api_requests = shelf.count(
            "streamer_api_requests_total", "calls to the API", ("method", "code")
        )
        self._api_seconds = shelf.spread(
            "streamer_api_seconds", "calls to the API", SECONDS, ("method",)
        )
        self._dropped = shelf.count(
            "streamer_events_dropped_total",
            "events that a slow reader missed, or a webhook never took",
            ("sink",),
        )
        self.recovery_seconds = 0.0
        self.config_reload_success = True
        reloaded = "0 if the configuration that SIGHUP asked for was wrong, and the old one is used"
        shelf.gauge(
            "streamer_config_reload_success",
            reloaded,
            (),
            lambda: [((), self.config_reload_success)],
        )
        self.webhook_waiting: Callable[[], int] = lambda: 0
        waiting = "events that the webhook has not taken yet"
        shelf.gauge(
            "streamer_webhook_events_waiting", waiting, (), lambda: [((), self.webhook_waiting())]
        )
        self.webhook_problem: Callable[[], str] = lambda: ""
        failing = "1 while the webhook does not take events: the last attempt failed"
        shelf.gauge(
            "streamer_webhook_failing", failing, (), lambda: [((), bool(self.webhook_problem()))]
        )
        self.loop_lag_seconds = 0.0
        shelf.gauge(
            "streamer_recovery_seconds",
            "how long the last recovery took",
            (),
            lambda: [((), self.recovery_seconds)],
        )
        shelf.gauge(
            "streamer_loop_lag_seconds",
            "how late the event loop ran last",
            (),
            lambda: [((), self.loop_lag_seconds)],
        )
        shelf.gauge(
            "streamer_build_info",
            "always 1",
            ("version", "node"),
            lambda: [((version, node_kind), 1)],
        )
        self._groups: dict[str, Labels] = {}
        self._nodes: dict[str, tuple[Labels, Labels]] = {}
        self._latenesses: deque[float] = deque(maxlen=SAMPLES)
        self._look: Look | None = None
        self._looked_at = 0.0
        self._seen = DaemonReport(problems=(), stopped_by=(), nodes=())
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(shelf)

    # -- told by the engine -----------------------------------------------------------------------

    def settled(
        self, node: str, group: str, amount_msat: int, fee_msat: int, seconds: float
    ) -> None:
        """A payment settled, so many seconds after it was sent."""
        outcome, name = self._nodes.get(node) or self._know(node)
        label = self._groups.get(group) or self._group(group)
        self._payments.add(outcome)
        self._seconds.add(name, seconds)
        self._paid.add(label, amount_msat)
        self._fees.add(label, fee_msat)

    def failed(self, node: str, reason: str, seconds: float | None = None) -> None:
        """A payment failed (or was refused); reason is one of the closed list."""
        self._payments.add((node, "failed", reason))
        if seconds is not None:
            self._seconds.add((node,), seconds)

    def written_off(self, node: str) -> None:
        """A payment was written off."""
        self._payments.add((node, "written_off", ""))

    def withdrawn(self, node: str) -> None:
        """A payment was planned, but stopped before it was handed to the node."""
        self._payments.add((node, "withdrawn", ""))

    def late(self, node: str) -> None:
        """A payment that had failed settled after all: never expected, always worth an alarm."""
        self._payments.add((node, "settled_late", ""))

    def sent(self, node: str, lateness_seconds: float) -> None:
        """A payment was handed to the node, so long after it was due."""
        self._lateness.add((node,), lateness_seconds)
        self._latenesses.append(lateness_seconds)

    def skipped(self, group: str, cause: str, msat: int) -> None:
        """Time of this price was skipped."""
        self._skipped.add((*(self._groups.get(group) or self._group(group)), cause), msat)

    def committed(self, seconds: float) -> None:
        """One durable commit took so long."""
        self._commit.add((), seconds)

    def node_called(self, node: str, method: str, seconds: float, error_code: str = "") -> None:
        """A call to the node ended; error_code empty: well."""
        self._rpc_seconds.add((node, method), seconds)
        if error_code:
            self._rpc_errors.add((node, method, error_code))

    def called(self, method: str, code: str, seconds: float) -> None:
        """A call to the API ended."""
        self._api_requests.add((method, code))
        self._api_seconds.add((method,), seconds)

    def dropped(self, sink: str, count: int = 1) -> None:
        """Events were not delivered because their reader was too slow."""
        self._dropped.add((sink,), count)

    def _know(self, node: str) -> tuple[Labels, Labels]:
        labels = self._nodes[node] = ((node, "settled", ""), (node,))
        return labels

    def _group(self, group: str) -> Labels:
        if len(self._groups) >= GROUP_LIMIT:
            return (OTHER_GROUP,)
        label = self._groups[group] = (group,)
        return label

    # -- asked for --------------------------------------------------------------------------------

    def p99_lateness_seconds(self) -> float:
        """Of the latest payments; 0 before the first."""
        ordered = sorted(self._latenesses)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] if ordered else 0.0

    def totals(self) -> Totals:
        """What was counted since the start."""
        outcomes: dict[str, int] = {}
        for (_, outcome, _), count in self._payments.values.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + int(count)
        return Totals(
            payments_settled=outcomes.get("settled", 0),
            payments_failed=outcomes.get("failed", 0),
            paid_msat=int(sum(self._paid.values.values())),
            fee_msat=int(sum(self._fees.values.values())),
            skipped_msat=int(sum(self._skipped.values.values())),
            p99_lateness_seconds=self.p99_lateness_seconds(),
        )

    def watch(self, look: Look, figures: Figures) -> None:
        """Read the gauges from these, once a scrape, look at most once in LOOK_SECONDS; called when
        the daemon is put together.
        """
        self._look, self._looked_at = look, 0.0
        gauge = self._shelf.gauge
        by_state = "streams by state; of those that ended, the last day's"
        gauge("streamer_streams", by_state, ("state",), lambda: _pairs(self._seen.streams_by_state))
        gauge(
            "streamer_streams_stalled",
            "stalled streams by reason",
            ("reason",),
            lambda: _pairs(self._seen.stalled_by_reason),
        )
        stopped = "1 while this reason stops sending; node empty: the daemon"
        gauge("streamer_sending_stopped", stopped, ("node", "reason"), lambda: _stops(self._seen))
        left = (
            "share of a budget that is neither spent nor reserved: of the daemon, and of the 50"
            " keys (by id) with least"
        )
        gauge(
            "streamer_budget_remaining_ratio",
            left,
            ("key",),
            lambda: _pairs(self._seen.budgets_left),
        )
        ahead = (
            "how far the wall clock is ahead of the daemon's time; what stays the same for a"
            " minute, beyond 10 s, is followed"
        )
        gauge(
            "streamer_clock_difference_seconds",
            ahead,
            (),
            lambda: [((), self._seen.clock_difference_ns / SECOND_NS)],
        )
        gauge(
            "streamer_store_bytes",
            "bytes of the journal",
            (),
            lambda: [((), self._seen.store_bytes)],
        )
        gauge(
            "streamer_store_free_bytes",
            "bytes free beside it",
            (),
            lambda: [((), self._seen.store_free_bytes)],
        )
        self._of_nodes("streamer_node_up", "1 while the node can be used", lambda node: node.up)
        self._of_nodes(
            "streamer_window", "payments that may be in flight now", lambda node: node.window
        )
        self._of_nodes(
            "streamer_ready_streams",
            "streams that are due and wait",
            lambda node: node.ready_streams,
        )
        capacity = "what the node manages, measured"
        self._of_nodes(
            "streamer_node_capacity_payments_per_second",
            capacity,
            lambda node: node.capacity_per_second,
        )
        self._of_nodes(
            "streamer_wanted_payments_per_second",
            "what is asked of it",
            lambda node: node.wanted_per_second,
        )
        for name, doc in NODE_GAUGES.items():
            gauge(f"streamer_{name}", doc, ("node",), _column(figures, name))

    def _of_nodes(self, name: str, doc: str, value: Callable[[NodeReport], float]) -> None:
        self._shelf.gauge(
            name, doc, ("node",), lambda: [((node.name,), value(node)) for node in self._seen.nodes]
        )

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        now = time.monotonic()
        if self._look is not None and (
            not self._looked_at or now - self._looked_at >= LOOK_SECONDS
        ):
            self._seen, self._looked_at = self._look(), now
        return generate_latest(self._registry)


def _column(figures: Figures, name: str) -> Callable[[], Iterable[Row]]:
    return lambda: [((node,), had[name]) for node, had in figures().items()]


def _pairs(counts: Mapping[str, float]) -> Iterable[Row]:
    return [((name,), count) for name, count in counts.items()]


def _stops(report: DaemonReport) -> Iterable[Row]:
    stopped: list[Row] = [(("", reason), 1) for reason in report.stopped_by]
    return stopped + [
        ((node.name, reason), 1) for node in report.nodes for reason in node.stopped_by
    ]
