"""Every metric of the monitoring service: read from the monitors at each scrape, so that none is stale."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from evaluation.evaluate import Evaluation
from monitoring_service.model_monitor import ModelMonitor, Outcome

MODEL = ("model", "version")
FEATURE = (*MODEL, "feature")
DRIFT = (*FEATURE, "method")
MEASURE = (*MODEL, "measure", "segment")
ALL_ROWS = ""  # the segment that holds every row

GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "model_info": ("The monitored model version; always 1.", (*MODEL, "task")),
    "calibrated": ("Whether the drift thresholds of the version are known (0 or 1).", MODEL),
    "drift_score": ("Drift score of a column, in the method's own scale.", DRIFT),
    "drift_threshold": ("Calibrated threshold of the score for a window of this size.", DRIFT),
    "drift_detected": ("Whether the column is beyond its threshold (0 or 1).", DRIFT),
    "drifted_features": ("Columns beyond their threshold, the prediction among them.", MODEL),
    "drifted_features_ratio": ("Share of the judged columns beyond their threshold.", MODEL),
    "dataset_drift": ("Whether any column drifted, at the stated false-alarm rate (0 or 1).", MODEL),
    "missing_values_ratio": ("Share of the window's rows that lack the feature.", FEATURE),
    "out_of_range_ratio": ("Share of the window's rows outside of the feature's known range.", FEATURE),
    "unseen_category_ratio": ("Share of the window's rows with a category that training never saw.", FEATURE),
    "performance": ("Performance on the window's labelled rows.", MEASURE),
    "reference_performance": ("The same measure on the reference rows.", MEASURE),
    "concept_drift_ratio": ("(Error now - error on the reference) / error on the reference.", MODEL),
    "label_coverage_ratio": ("Share of the window's rows whose target has arrived.", MODEL),
    "label_delay_seconds": ("Median time from a prediction to its target, in the window.", MODEL),
    "window_rows": ("Rows of this version in the window.", MODEL),
    "window_oldest_timestamp_seconds": ("When the window's oldest prediction was made.", MODEL),
    "last_evaluation_timestamp_seconds": ("When the window was last evaluated.", MODEL),
    "evaluation_duration_seconds": ("How long the last evaluation took.", MODEL),
}

Families = dict[str, GaugeMetricFamily]


class MonitoringMetrics:
    """The registry of one service, and the counters that its parts increase."""

    def __init__(self, monitors: Iterable[ModelMonitor]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.registry.register(WindowCollector(monitors))
        self._errors = Counter(
            "sextant_evaluation_errors",
            'Columns that could not be evaluated; feature "" is the evaluation as a whole.',
            ("model", "feature"),
            registry=self.registry,
        )
        self._events = Counter(
            "sextant_monitoring_events",
            "Events received, by what became of them.",
            ("outcome",),
            registry=self.registry,
        )

    def count_error(self, model: str, feature: str) -> None:
        """One column (or "" for all) could not be evaluated."""
        self._errors.labels(model, feature).inc()

    def count_events(self, outcome: str, number: int) -> None:
        """So many events were accepted, duplicate, too_old or rejected."""
        self._events.labels(outcome).inc(number)


class WindowCollector(Collector):
    """Gauges of the windows and their last evaluations; a version that is no longer live leaves no trace."""

    def __init__(self, monitors: Iterable[ModelMonitor]) -> None:
        self._monitors = monitors

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge that has a value now."""
        families = {
            name: GaugeMetricFamily(f"sextant_{name}", text, labels=labels)
            for name, (text, labels) in GAUGES.items()
        }
        for monitor in self._monitors:
            _add_window(families, monitor)
            if latest := monitor.latest:
                _add_outcome(families, latest)
        yield from families.values()


def _add_window(families: Families, monitor: ModelMonitor) -> None:
    snapshot = monitor.snapshot()
    manifest = snapshot.subject.manifest
    labels = [manifest.name, manifest.version]
    families["model_info"].add_metric([*labels, manifest.task], 1)
    families["calibrated"].add_metric(labels, snapshot.subject.calibration is not None)
    families["window_rows"].add_metric(labels, len(snapshot.rows.predictions))
    if start := snapshot.rows.start:
        families["window_oldest_timestamp_seconds"].add_metric(labels, start.timestamp())
    for measure, value in snapshot.subject.reference.performance.measures.items():
        families["reference_performance"].add_metric([*labels, measure, ALL_ROWS], value)


def _add_outcome(families: Families, outcome: Outcome) -> None:
    manifest = outcome.subject.manifest
    labels = [manifest.name, manifest.version]
    evaluation = outcome.evaluation
    _add_drift(families, labels, evaluation)
    _add_quality(families, labels, evaluation)
    for measure, value in evaluation.performance.measures.items():
        families["performance"].add_metric([*labels, measure, ALL_ROWS], value)
    values = {
        "concept_drift_ratio": evaluation.concept_drift_ratio,
        "label_coverage_ratio": evaluation.label_coverage,
        "label_delay_seconds": outcome.label_delay,
        "last_evaluation_timestamp_seconds": outcome.evaluated_at.timestamp(),
        "evaluation_duration_seconds": outcome.seconds,
    }
    for name, number in values.items():
        _add(families, name, labels, number)


def _add_drift(families: Families, labels: list[str], evaluation: Evaluation) -> None:
    for column in evaluation.drift.values():
        of_column = [*labels, column.column, column.method]
        _add(families, "drift_score", of_column, column.score)
        _add(families, "drift_threshold", of_column, column.threshold)
        _add(families, "drift_detected", of_column, column.drifted)
    if evaluation.judged:
        _add(families, "drifted_features", labels, len(evaluation.drifted_columns))
        _add(families, "drifted_features_ratio", labels, evaluation.drifted_ratio)
        _add(families, "dataset_drift", labels, evaluation.dataset_drift)


def _add_quality(families: Families, labels: list[str], evaluation: Evaluation) -> None:
    for feature, quality in evaluation.quality.items():
        _add(families, "missing_values_ratio", [*labels, feature], quality.missing_ratio)
        _add(families, "out_of_range_ratio", [*labels, feature], quality.out_of_range_ratio)
        _add(families, "unseen_category_ratio", [*labels, feature], quality.unseen_category_ratio)


def _add(families: Families, name: str, labels: list[str], value: float | None) -> None:
    if value is not None:
        families[name].add_metric(labels, value)
