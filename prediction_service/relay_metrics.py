"""Every metric of the relay: read from the outbox file at each scrape, so that a restart forgets nothing."""

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from prediction_service.outbox import Outbox
from prediction_service.outbox_types import SINKS


def relay_registry(open_outbox: Callable[[], Outbox]) -> tuple[CollectorRegistry, Counter]:
    """A registry with all relay metrics, and the counter of failed deliveries (label sink)."""
    registry = CollectorRegistry()
    registry.register(OutboxCollector(open_outbox))
    failures = Counter(
        "sextant_delivery_failures_total",
        "Batches that a sink did not take and that were sent again.",
        ["sink"],
        registry=registry,
    )
    for sink in SINKS:
        failures.labels(sink)
    return registry, failures


class OutboxCollector(Collector):
    """The accounts; accepted = delivered + queued + dead-lettered + skipped, for each sink at any time."""

    def __init__(self, open_outbox: Callable[[], Outbox]) -> None:
        self._open_outbox = open_outbox

    def collect(self) -> Iterator[Metric]:
        """The counts of one consistent view of the file."""
        outbox = self._open_outbox()
        try:
            counts, used = outbox.counts(), outbox.bytes_used()
        finally:
            outbox.close()
        accepted = CounterMetricFamily(
            "sextant_events_accepted", "Events that were acknowledged.", labels=["sink"]
        )
        delivered = CounterMetricFamily(
            "sextant_events_delivered", "Events that the sink has taken.", labels=["sink"]
        )
        dead = CounterMetricFamily(
            "sextant_events_dead_lettered", "Events that the sink refuses, kept with the reason.", labels=["sink"]
        )
        skipped = CounterMetricFamily(
            "sextant_events_skipped",
            "Events not sent because the sink was too far behind.",
            labels=["sink"],
        )
        queued = GaugeMetricFamily("sextant_outbox_events", "Events that wait for the sink.", labels=["sink"])
        age = GaugeMetricFamily(
            "sextant_outbox_oldest_age_seconds",
            "Age of the oldest event that waits.",
            labels=["sink"],
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
            "sextant_outbox_bytes", "Bytes that events and dead letters take in the outbox.", used
        )
