"""Every metric of the prediction service, each with its type, unit, labels and meaning."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sextant.contracts.model_bundle import Manifest
from sextant.infrastructure.settings import multiprocess_dir

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counts what is asked and answered; `outcome` is ok, invalid, unavailable or error."""

    def __init__(self, registry: CollectorRegistry | None = None, *, at_scrape: Iterable[Collector] = ()) -> None:
        """`at_scrape`: read once for all workers, by the one that is scraped."""
        self.registry = registry or CollectorRegistry()
        self._at_scrape = tuple(at_scrape)
        self._keys: dict[tuple[str, str], Counter] = {}
        self._known: dict[tuple[str, str, str], tuple[Counter, Histogram, Counter]] = {}
        self.predictions = Counter(
            "sextant_predictions_total",
            "Predictions requested, by outcome; one per record, or one for an invalid request.",
            ["model", "version", "outcome"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "sextant_prediction_duration_seconds",
            "Time from the start of a prediction request to its response, the write to disk included.",
            ["model", "version", "outcome"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.cpu_seconds = Counter(
            "sextant_prediction_cpu_seconds_total",
            "CPU time of prediction requests, from validation to the event on disk; without HTTP.",
            ["model", "version"],
            registry=self.registry,
        )
        self.rejected_values = Counter(
            "sextant_rejected_values_total",
            "Invalid values of a feature in rejected requests: missing, of the wrong type, or beyond float32.",
            ["model", "version", "feature"],
            registry=self.registry,
        )
        self.keys = Counter(
            "sextant_key_requests_total",
            "Requests where keys are asked for, by the key's name (empty: no valid one) and what became of them.",
            ["key", "outcome"],
            registry=self.registry,
        )
        self.feedback = Counter(
            "sextant_feedback_total",
            "Targets sent to /feedback, by outcome.",
            ["model", "outcome"],
            registry=self.registry,
        )

    def count_key(self, name: str, outcome: str) -> None:
        """Count a request that named a key, or should have; the names are the operator's, so they are few."""
        if (name, outcome) not in self._keys:
            self._keys[name, outcome] = self.keys.labels(name, outcome)
        self._keys[name, outcome].inc()

    def observe(
        self, model: str, version: str, outcome: str, *, records: int, seconds: float, cpu_seconds: float
    ) -> None:
        """Count one request for predictions; model and version are empty where none was found."""
        predictions, duration, cpu = self._children(model, version, outcome)
        predictions.inc(records)
        duration.observe(seconds)
        cpu.inc(cpu_seconds)

    def count_refused(self, path: str) -> None:
        """Count a request that was refused because too many waited."""
        if path.startswith("/feedback"):
            self.feedback.labels("", "unavailable").inc()
        else:
            self.observe("", "", "unavailable", records=1, seconds=0.0, cpu_seconds=0.0)

    def count_rejected(self, manifest: Manifest, errors: Iterable[Mapping[str, Any]]) -> None:
        """Count the wrong fields of a refused request; only features, since other names are the client's."""
        features = frozenset(manifest.feature_schema.names)
        for error in errors:
            if error["field"] in features:
                self.rejected_values.labels(manifest.name, manifest.version, error["field"]).inc()

    def _children(self, *labels: *tuple[str, str, str]) -> tuple[Counter, Histogram, Counter]:
        # labels() validates and locks at every call; this is on the request path.
        if labels not in self._known:
            model, version, _ = labels
            self._known[labels] = (
                self.predictions.labels(*labels),
                self.duration.labels(*labels),
                self.cpu_seconds.labels(model, version),
            )
        return self._known[labels]

    def exposition(self, manifests: list[Manifest]) -> bytes:
        """All metrics of all workers in Prometheus' text format."""
        registry = self.registry
        if directory := multiprocess_dir():
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]
        at_scrape = CollectorRegistry()
        for collector in (ModelInfo(manifests), *self._at_scrape):
            at_scrape.register(collector)
        return generate_latest(registry) + generate_latest(at_scrape)


class ModelInfo(Collector):
    """Which model versions are live."""

    def __init__(self, manifests: list[Manifest]) -> None:
        self._manifests = manifests

    def collect(self) -> Iterator[Metric]:
        """One sample for each model."""
        info = GaugeMetricFamily(
            "sextant_model_info", "Live model versions; always 1.", labels=["model", "version", "task"]
        )
        for manifest in self._manifests:
            info.add_metric([manifest.name, manifest.version, manifest.task], 1)
        yield info


class CpuPrice(Collector):
    """What an hour of one CPU core costs, so that rules can tell what predictions cost; silent while it is 0."""

    def __init__(self, per_hour: float) -> None:
        self._per_hour = per_hour

    def collect(self) -> Iterator[Metric]:
        """The price, where one is set."""
        if self._per_hour > 0:
            yield GaugeMetricFamily(
                "sextant_cpu_price_per_hour",
                "Price of one CPU core for an hour (CPU_PRICE_PER_HOUR).",
                self._per_hour,
            )
