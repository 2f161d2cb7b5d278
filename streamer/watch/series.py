"""Counters, gauges and histograms of plain numbers: a fraction of a microsecond each, for one
thread.

prometheus_client locks at each count, which the event loop does not need: counting one payment cost
5 µs with it and costs 1 µs here. Its text format is used at the scrape.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

Labels = tuple[str, ...]
Row = tuple[Labels, float]


class Count:
    """A counter by label values; read `values` for what was counted."""

    def __init__(self, name: str, doc: str, labels: Labels = ()) -> None:
        self.name, self.doc, self.labels = name, doc, labels
        self.values: dict[Labels, float] = {}

    def add(self, labels: Labels, amount: float = 1) -> None:
        """Count amount for these label values."""
        values = self.values
        values[labels] = values.get(labels, 0) + amount

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is shown."""
        family = CounterMetricFamily(self.name, self.doc, labels=self.labels)
        for labels, value in self.values.items():
            family.add_metric(labels, value)
        yield family


class Spread:
    """A histogram by label values, with the same bounds for all of them."""

    def __init__(self, name: str, doc: str, bounds: Sequence[float], labels: Labels = ()) -> None:
        self.name, self.doc, self.labels = name, doc, labels
        self._bounds = bounds
        self._series: dict[Labels, list[float]] = {}

    def add(self, labels: Labels, value: float) -> None:
        """Count one value (the last entry of a series is the sum of its values)."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = [0] * (len(self._bounds) + 2)
        series[bisect_left(self._bounds, value)] += 1
        series[-1] += value

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is shown: counts up to each bound."""
        family = HistogramMetricFamily(self.name, self.doc, labels=self.labels)
        for labels, series in self._series.items():
            total, buckets = 0.0, []
            for bound, count in zip(
                (*map(str, map(float, self._bounds)), "+Inf"), series[:-1], strict=True
            ):
                total += count
                buckets.append((bound, total))
            family.add_metric(labels, buckets, series[-1])
        yield family


class Gauges:
    """Gauges that are read when somebody looks."""

    def __init__(
        self, name: str, doc: str, labels: Labels, read: Callable[[], Iterable[Row]]
    ) -> None:
        self.name, self.doc, self.labels = name, doc, labels
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is shown."""
        family = GaugeMetricFamily(self.name, self.doc, labels=self.labels)
        for labels, value in self._read():
            family.add_metric(labels, value)
        yield family


class Shelf(Collector):
    """All series of a daemon, in the order in which they are shown."""

    def __init__(self) -> None:
        self._series: list[Count | Spread | Gauges] = []

    def count(self, name: str, doc: str, labels: Labels = ()) -> Count:
        """Add a counter."""
        series = Count(name, doc, labels)
        self._series.append(series)
        return series

    def spread(self, name: str, doc: str, bounds: Sequence[float], labels: Labels = ()) -> Spread:
        """Add a histogram."""
        series = Spread(name, doc, bounds, labels)
        self._series.append(series)
        return series

    def gauge(self, name: str, doc: str, labels: Labels, read: Callable[[], Iterable[Row]]) -> None:
        """Add a gauge; read gives its rows at each scrape."""
        self._series.append(Gauges(name, doc, labels, read))

    def collect(self) -> Iterator[Metric]:
        """Every series."""
        for series in self._series:
            yield from series.collect()
