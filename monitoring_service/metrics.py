"""Every metric of the monitoring service: read from the monitors at each scrape, so that none is stale."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from monitoring_service.model_monitor import ModelMonitor, MultivariateOutcome, Outcome
from sextant.evaluation.by_segment import SegmentEvaluation
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.performance.error_growth import ErrorGrowth
from sextant.evaluation.performance.estimation import ALL_ROWS

MODEL = ("model", "version")
FEATURE = (*MODEL, "feature")
DRIFT = (*FEATURE, "method")
SEGMENT = (*MODEL, "segment")
MEASURE = (*MODEL, "measure", "segment")
CHECK = (*FEATURE, "check")

GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "model_info": ("The monitored model version; always 1.", (*MODEL, "task")),
    "calibrated": ("Whether the drift thresholds of the version are known (0 or 1).", MODEL),
    "drift_score": ("Drift score of a column, in the method's own scale.", DRIFT),
    "drift_threshold": ("Calibrated threshold of the score for a window of this size.", DRIFT),
    "drift_threshold_ratio": (
        "Score on its way to the threshold: beyond 1 it drifted, in any method.",
        DRIFT,
    ),
    "drift_detected": ("Whether the column is beyond its threshold (0 or 1).", DRIFT),
    "drifted_features": ("Columns beyond their threshold, the prediction among them.", MODEL),
    "drifted_features_ratio": ("Share of the judged columns beyond their threshold.", MODEL),
    "dataset_drift": ("Whether any column drifted, at the stated false-alarm rate (0 or 1).", MODEL),
    "missing_values_ratio": ("Share of the window's rows that lack the feature.", FEATURE),
    "out_of_range_ratio": ("Share of the window's rows outside of the feature's known range.", FEATURE),
    "unseen_category_ratio": ("Share of the window's rows with a category that training never saw.", FEATURE),
    "data_quality_detected": (
        "Whether missing, out_of_range or unseen_category is beyond the reference by 0.01 and chance (0 or 1).",
        CHECK,
    ),
    "multivariate_drift_score": ("ROC AUC of a classifier that tells window from reference; 0.5: alike.", MODEL),
    "multivariate_drift_threshold": ("Calibrated threshold of that score.", MODEL),
    "multivariate_drift_detected": ("Whether all features together drifted (0 or 1).", MODEL),
    "segment_rows": ("Rows of a segment in the window.", SEGMENT),
    "segment_drift_score": ("Largest drift of the segment's columns, as a share of its threshold.", SEGMENT),
    "segment_drift_detected": ("Whether any column of the segment drifted (0 or 1).", SEGMENT),
    "performance": ("Performance on the window's labelled rows; estimated_...: as expected of all rows.", MEASURE),
    "reference_performance": ("The same measure on the reference rows.", MEASURE),
    "performance_degradation_ratio": ("(Error now - error on the reference) / error on the reference.", MODEL),
    "performance_degradation_threshold": ("What the ratio may reach by chance with so many labelled rows.", MODEL),
    "performance_degradation_detected": ("Whether the error grew beyond that (0 or 1).", MODEL),
    "concept_drift_ratio": (
        "(Error now - estimated error of the same rows) / error on the reference.",
        MODEL,
    ),
    "concept_drift_threshold": ("What that ratio may reach by chance with so many labelled rows.", MODEL),
    "concept_drift_detected": ("Whether the features fail to explain the error (0 or 1).", MODEL),
    "estimated_degradation_ratio": (
        "(Estimated error now - estimated error on the reference) / the latter.",
        MODEL,
    ),
    "estimated_degradation_threshold": ("What that ratio may reach by chance with so many rows.", MODEL),
    "estimated_degradation_detected": ("Whether the estimated error grew beyond that (0 or 1).", MODEL),
    "fairness_gap_ratio": (
        "(Error of a segment / error of all other rows) now / the same on the reference - 1.",
        SEGMENT,
    ),
    "fairness_gap_threshold": ("What that ratio may reach by chance with so many labelled rows.", SEGMENT),
    "fairness_gap_detected": ("Whether the segment is served worse beyond that (0 or 1).", SEGMENT),
    "prediction_mean": ("Mean prediction in the window (regression).", MODEL),
    "reference_prediction_mean": ("Mean prediction on the reference rows (regression).", MODEL),
    "label_coverage_ratio": ("Share of the window's rows whose target has arrived.", MODEL),
    "label_delay_seconds": ("Median time from a prediction to its target, in the window.", MODEL),
    "duplicate_rows_ratio": ("Share of the window's rows that repeat another's features and context.", MODEL),
    "window_rows": ("Rows of this version in the window.", MODEL),
    "window_rows_per_second": ("Pace at which the window's rows were predicted.", MODEL),
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
            if together := monitor.multivariate:
                _add_multivariate(families, together)
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
    reference = snapshot.subject.reference
    _add(families, "reference_prediction_mean", labels, reference.prediction_mean)
    _add_measures(families, "reference_performance", labels, ALL_ROWS, reference.performance.measures)
    for segment, part in reference.segments.items():
        _add_measures(families, "reference_performance", labels, segment, part.performance.measures)
    if estimator := snapshot.subject.estimator:
        for segment, measures in estimator.reference_measures.items():
            _add_measures(families, "reference_performance", labels, segment, measures)


def _add_outcome(families: Families, outcome: Outcome) -> None:
    manifest, evaluation, window = outcome.subject.manifest, outcome.evaluation, outcome.window
    labels = [manifest.name, manifest.version]
    _add_drift(families, labels, evaluation)
    _add_quality(families, labels, evaluation)
    _add_measures(families, "performance", labels, ALL_ROWS, evaluation.performance.measures)
    _add_measures(families, "performance", labels, ALL_ROWS, evaluation.estimated)
    for segment, found in evaluation.segments.items():
        _add_segment(families, labels, segment, found)
    values = {
        "prediction_mean": evaluation.prediction_mean,
        "label_coverage_ratio": evaluation.label_coverage,
        "label_delay_seconds": window.label_delay,
        "duplicate_rows_ratio": window.duplicate_ratio,
        "window_rows_per_second": window.rows_per_second,
        "last_evaluation_timestamp_seconds": outcome.evaluated_at.timestamp(),
        "evaluation_duration_seconds": outcome.seconds,
    }
    for name, number in values.items():
        _add(families, name, labels, number)
    _add_growth(families, "performance_degradation", labels, evaluation.performance_degradation)
    _add_growth(families, "concept_drift", labels, evaluation.concept_drift)
    _add_growth(families, "estimated_degradation", labels, evaluation.estimated_degradation)


def _add_growth(families: Families, name: str, labels: list[str], growth: ErrorGrowth | None) -> None:
    if growth is not None:
        _add(families, f"{name}_ratio", labels, growth.ratio)
        _add(families, f"{name}_threshold", labels, growth.threshold)
        _add(families, f"{name}_detected", labels, growth.drifted)


def _add_multivariate(families: Families, outcome: MultivariateOutcome) -> None:
    labels = [outcome.subject.manifest.name, outcome.subject.manifest.version]
    _add(families, "multivariate_drift_score", labels, outcome.drift.score)
    _add(families, "multivariate_drift_threshold", labels, outcome.drift.threshold)
    _add(families, "multivariate_drift_detected", labels, outcome.drift.drifted)


def _add_segment(families: Families, labels: list[str], segment: str, found: SegmentEvaluation) -> None:
    _add(families, "segment_rows", [*labels, segment], found.rows)
    _add(families, "segment_drift_score", [*labels, segment], found.share_of_threshold)
    _add(families, "segment_drift_detected", [*labels, segment], found.drifted)
    _add_growth(families, "fairness_gap", [*labels, segment], found.fairness_gap)
    _add_measures(families, "performance", labels, segment, found.performance.measures)
    _add_measures(families, "performance", labels, segment, found.estimated)


def _add_measures(
    families: Families, name: str, labels: list[str], segment: str, measures: Mapping[str, float]
) -> None:
    for measure, value in measures.items():
        families[name].add_metric([*labels, measure, segment], value)


def _add_drift(families: Families, labels: list[str], evaluation: Evaluation) -> None:
    for column in evaluation.drift.values():
        of_column = [*labels, column.column, column.method]
        _add(families, "drift_score", of_column, column.score)
        _add(families, "drift_threshold", of_column, column.threshold)
        _add(families, "drift_threshold_ratio", of_column, column.share_of_threshold)
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
    for verdict in evaluation.data_quality:
        _add(families, "data_quality_detected", [*labels, verdict.feature, verdict.check], verdict.detected)


def _add(families: Families, name: str, labels: list[str], value: float | None) -> None:
    if value is not None:
        families[name].add_metric(labels, value)
