"""Every metric of the relay: read from the outbox file at each scrape, so that a restart loses none."""

import threading
import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from prediction_service.outbox import Outbox
from prediction_service.outbox_types import SINKS, SinkCounts


class RelayMetrics:
    """The registry of one relay, and the counter that its deliveries increase."""

    def __init__(self, open_outbox: Callable[[], Outbox], limit_bytes: int) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._outbox = OutboxCollector(open_outbox)
        self.registry.register(self._outbox)
        self._failures = Counter(
            "sextant_delivery_failures_total",
            "Failed deliveries of a batch, which is then retried.",
            ["sink"],
            registry=self.registry,
        )
        for sink in SINKS:
            self._failures.labels(sink)
        limit = Gauge(
            "sextant_outbox_limit_bytes",
            "Size of the outbox at which /predict answers 503 (OUTBOX_MAX_BYTES).",
            registry=self.registry,
        )
        limit.set(limit_bytes)

    def count_failure(self, sink: str) -> None:
        """A sink did not take a batch."""
        self._failures.labels(sink).inc()

    def close(self) -> None:
        """Close the outbox, after the last scrape."""
        self._outbox.close()


class OutboxCollector(Collector):
    """The accounts; accepted = delivered + queued + dead-lettered + skipped, for each sink at any time."""

    def __init__(self, open_outbox: Callable[[], Outbox]) -> None:
        self._open_outbox = open_outbox
        self._outbox = open_outbox()
        self._lock = threading.Lock()  # two scrapes may come at once

    def close(self) -> None:
        """Close the outbox."""
        with self._lock:
            self._outbox.close()

    def _read(self) -> tuple[dict[str, SinkCounts], int]:
        with self._lock:
            if self._outbox.replaced:
                old, self._outbox = self._outbox, self._open_outbox()
                old.close()
            return self._outbox.counts(), self._outbox.bytes_used() - self._outbox.dead_letter_bytes()

    def collect(self) -> Iterator[Metric]:
        """The counts of one consistent view of the file."""
        counts, used = self._read()
        accepted = CounterMetricFamily("sextant_events_accepted", "Acknowledged events.", labels=["sink"])
        delivered = CounterMetricFamily(
            "sextant_events_delivered", "Events delivered to the sink.", labels=["sink"]
        )
        dead = CounterMetricFamily(
            "sextant_events_dead_lettered", "Events that the sink rejected, kept with the reason.", labels=["sink"]
        )
        skipped = CounterMetricFamily(
            "sextant_events_skipped", "Events not delivered because the sink was too far behind.", labels=["sink"]
        )
        queued = GaugeMetricFamily("sextant_outbox_events", "Events waiting for the sink.", labels=["sink"])
        age = GaugeMetricFamily(
            "sextant_outbox_oldest_age_seconds", "Age of the oldest waiting event.", labels=["sink"]
        )
        now = time.time()
        for sink, count in counts.items():
            accepted.add_metric([sink], count.accepted)
            delivered.add_metric([sink], count.delivered)
            dead.add_metric([sink], count.dead_lettered)
            skipped.add_metric([sink], count.skipped)
            queued.add_metric([sink], count.queued)
            age.add_metric([sink], max(0.0, now - count.oldest_at) if count.oldest_at else 0.0)
        yield from (accepted, delivered, dead, skipped, queued, age)
        yield GaugeMetricFamily(
            "sextant_outbox_bytes", "Bytes of the outbox, less its dead letters; limited.", used
        )
