"""The catalogue of metrics: name, unit, meaning, labels. Nothing is measured that is not in it.

No label holds a user or an id; every label's values are bounded.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import prometheus_client as prometheus
from prometheus_client import CollectorRegistry, Gauge, Histogram

from schemas.kafka import CountedAs

MetricT = TypeVar("MetricT", prometheus.Counter, Gauge, Histogram)

_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)


class Metrics:
    """All metrics of one worker, on a registry of its own."""

    def __init__(self, *, role: str, slot: int) -> None:
        self.registry = CollectorRegistry()
        self._labels = {"role": role, "slot": str(slot)}
        self._children: dict[tuple[object, ...], Any] = {}
        """By metric and labels: to have one found takes longer than to count with it."""
        self.told: Counter[CountedAs] = Counter()
        """Receipts committed since `refresh` was called."""
        self.read: Counter[str] = Counter()
        """Records taken since then, by topic."""
        self.records_in = self._counter("records_in", "Records taken from a source topic.", "topic")
        self.records_forwarded = self._counter(
            "records_forwarded", "Records of another partition, sent to the right one.", "topic"
        )
        self.deliveries = self._counter(
            "deliveries",
            "Facts about deliveries, as committed receipts tell them.",
            "channel",
            "status",
            "reason",
        )
        self.dead_letters = self._counter(
            "dead_letters", "Records or deliveries given up.", "stage", "cause"
        )
        self.stage_errors = self._counter(
            "stage_errors", "Exceptions that a stage raised; each is a bug.", "stage"
        )
        self.transactions = self._counter("transactions", "Transactions committed.")
        self.rows = self._counter("rows", "Rows committed.", "kind")
        self.records_out = self._counter("records_out", "Records committed.", "topic")
        self.records_lost = self._counter(
            "records_lost", "Records that retention removed before they were read.", "topic"
        )
        self.ignored_fields = self._counter(
            "ignored_fields", "Fields of a newer schema version, ignored.", "topic"
        )
        self.calls = self._counter(
            "provider_calls", "Provider calls by outcome.", "provider", "outcome"
        )
        self.call_seconds = self._histogram(
            "provider_call_seconds", "How long a provider call took.", _LATENCY_BUCKETS, "provider"
        )
        self.breaker_open = self._gauge(
            "breaker_open", "1 while a provider's circuit breaker is open.", "provider"
        )
        self.misconfigured = self._counter(
            "provider_misconfigured", "Calls refused for our credentials or account.", "provider"
        )
        self.commit_seconds = self._histogram(
            "commit_seconds", "One transaction, from its begin to its commit.", _COMMIT_BUCKETS
        )
        self.restored_rows = self._counter("restored_rows", "Rows restored from changelogs.")
        self.restore_seconds = self._gauge(
            "restore_seconds", "How long the last restore of a partition took.", "partition"
        )
        self.open_records = self._gauge(
            "open_records", "Records taken from a topic and not finished.", "topic"
        )
        self.oldest_seconds = self._gauge(
            "oldest_record_seconds", "Age of the oldest record that is not finished.", "topic"
        )
        self.is_ready = self._gauge("ready", "1 when partitions are taken over and served.")

    def refresh(self) -> None:
        """To be called before a scrape: what is counted too often for a metric each time."""
        for (channel, status, reason), count in self.told.items():
            self.own(self.deliveries, channel=channel, status=status, reason=reason).inc(count)
        self.told.clear()
        for topic, count in self.read.items():
            self.own(self.records_in, topic=topic).inc(count)
        self.read.clear()

    def observe(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """A gauge that is read when it is scraped."""
        self._gauge(name, meaning).set_function(read)

    def _counter(self, name: str, meaning: str, *labels: str) -> prometheus.Counter:
        counter = prometheus.Counter(
            f"postrider_{name}", meaning, [*self._labels, *labels], registry=self.registry
        )
        return counter if labels else counter.labels(**self._labels)

    def _gauge(self, name: str, meaning: str, *labels: str) -> "Gauge":
        gauge = Gauge(
            f"postrider_{name}", meaning, [*self._labels, *labels], registry=self.registry
        )
        return gauge if labels else gauge.labels(**self._labels)

    def _histogram(
        self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str
    ) -> "Histogram":
        histogram = Histogram(
            f"postrider_{name}",
            meaning,
            [*self._labels, *labels],
            buckets=buckets,
            registry=self.registry,
        )
        return histogram if labels else histogram.labels(**self._labels)

    def own(self, metric: MetricT, **labels: str) -> MetricT:
        """The child of a labelled metric for this worker."""
        key = (metric, *labels.items())
        child: MetricT | None = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(**self._labels, **labels)
        return child
