"""What /metrics shows is what was counted, under the documented names, with bounded labels."""

from __future__ import annotations

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamer.service.reports import DaemonReport, NodeReport
from streamer.watch.metrics import GROUP_LIMIT, NODE_GAUGES, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_payments_are_counted_by_outcome_and_money_by_group() -> None:
    metrics = Metrics("9.9", "lnd")
    metrics.settled("main", "radio", 1_000, 3, 0.09)
    metrics.settled("main", "radio", 2_000, 0, 0.3)
    metrics.failed("main", "NO_ROUTE", 2.0)
    metrics.written_off("main")
    metrics.skipped("radio", "NODE_DOWN", 77)
    got = samples(metrics)
    assert (
        got["streamer_payments_total", (("node", "main"), ("outcome", "settled"), ("reason", ""))]
        == 2
    )
    assert (
        got[
            "streamer_payments_total",
            (("node", "main"), ("outcome", "failed"), ("reason", "NO_ROUTE")),
        ]
        == 1
    )
    assert got["streamer_paid_msat_total", (("group", "radio"),)] == 3_000
    assert got["streamer_fee_msat_total", (("group", "radio"),)] == 3
    assert got["streamer_skipped_msat_total", (("cause", "NODE_DOWN"), ("group", "radio"))] == 77
    assert got["streamer_build_info", (("node", "lnd"), ("version", "9.9"))] == 1
    assert got["streamer_payment_seconds_bucket", (("le", "0.1"), ("node", "main"))] == 1
    assert got["streamer_payment_seconds_bucket", (("le", "+Inf"), ("node", "main"))] == 3
    assert got["streamer_payment_seconds_sum", (("node", "main"),)] == pytest.approx(2.39)
    totals = metrics.totals()
    assert (
        totals.payments_settled,
        totals.payments_failed,
        totals.paid_msat,
        totals.fee_msat,
        totals.skipped_msat,
    ) == (2, 1, 3_000, 3, 77)


def test_a_value_on_a_bound_belongs_to_that_bucket() -> None:
    metrics = Metrics("1", "lnd")
    metrics.sent("main", 0.001)
    metrics.sent("main", 0.0011)
    got = samples(metrics)
    assert got["streamer_lateness_seconds_bucket", (("le", "0.001"), ("node", "main"))] == 1
    assert got["streamer_lateness_seconds_bucket", (("le", "0.0025"), ("node", "main"))] == 2


def test_groups_beyond_the_limit_are_counted_as_other() -> None:
    metrics = Metrics("1", "lnd")
    for number in range(GROUP_LIMIT + 5):
        metrics.settled("main", f"g{number}", 10, 1, 0.1)
    got = {
        labels: value
        for (name, labels), value in samples(metrics).items()
        if name == "streamer_paid_msat_total"
    }
    assert len(got) == GROUP_LIMIT + 1
    assert got[(("group", "other"),)] == 50


def test_p99_lateness() -> None:
    metrics = Metrics("1", "lnd")
    assert metrics.p99_lateness_seconds() == 0
    for value in range(200):
        metrics.sent("main", value / 1000)
    assert metrics.totals().p99_lateness_seconds == 0.198


def test_gauges_come_from_one_look_per_scrape() -> None:
    looks = []

    def look() -> DaemonReport:
        looks.append(1)
        node = NodeReport(
            "main",
            True,
            stopped_by=("CREDENTIALS",),
            window=7,
            ready_streams=3,
            capacity_per_second=35.5,
            wanted_per_second=2,
        )
        return DaemonReport(
            problems=("bad",),
            stopped_by=("OPERATOR",),
            nodes=(node,),
            streams_by_state={"ACTIVE": 4},
            stalled_by_reason={"NO_ROUTE": 1},
            store_bytes=5,
            store_free_bytes=6,
        )

    metrics = Metrics("1", "lnd")
    metrics.watch(look, lambda: {"main": dict.fromkeys(NODE_GAUGES, 9.0)})
    got = samples(metrics)
    assert len(looks) == 1
    assert got["streamer_streams", (("state", "ACTIVE"),)] == 4
    assert got["streamer_streams_stalled", (("reason", "NO_ROUTE"),)] == 1
    assert got["streamer_sending_stopped", (("node", ""), ("reason", "OPERATOR"))] == 1
    assert got["streamer_sending_stopped", (("node", "main"), ("reason", "CREDENTIALS"))] == 1
    node = (("node", "main"),)
    assert (
        got["streamer_node_up", node],
        got["streamer_window", node],
        got["streamer_ready_streams", node],
    ) == (1, 7, 3)
    assert got["streamer_node_capacity_payments_per_second", node] == 35.5
    assert {name for name, labels in got if labels == node} >= {
        f"streamer_{name}" for name in NODE_GAUGES
    }


def test_scrapes_in_a_row_share_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, now = list[int](), [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def look() -> DaemonReport:
        looks.append(1)
        return DaemonReport(
            problems=(), stopped_by=(), nodes=(), streams_by_state={"ACTIVE": len(looks)}
        )

    metrics = Metrics("1", "lnd")
    metrics.watch(look, dict)
    for seconds, count in ((0, 1), (0.9, 1), (0.1, 2), (0.5, 2), (0.5, 3)):
        now[0] += seconds
        assert samples(metrics)["streamer_streams", (("state", "ACTIVE"),)] == count == len(looks)
    metrics.failed("main", "NO_ROUTE")
    assert 'outcome="failed"' in metrics.render().decode()
