"""Every metric of the monitoring service: read from the monitors at each scrape, so that none is stale."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from monitoring_service.model_monitor import ModelMonitor, MonitorState, Snapshot, WindowEvaluation
from sextant.contracts.model_bundle import Manifest
from sextant.evaluation.beside import Measures
from sextant.evaluation.in_time.order import Order
from sextant.evaluation.performance.estimation import ALL_ROWS
from sextant.evaluation.verdict import Verdict
from sextant.evaluation.verdicts import BY_NAME, KINDS, Kind

MODEL = ("model", "version")
FEATURE = (*MODEL, "feature")
SEGMENT = (*MODEL, "segment")
MEASURE = (*MODEL, "measure", "segment")


Gauges = dict[str, tuple[str, tuple[str, ...]]]


def _of_kind(kind: Kind) -> Gauges:
    helps = {"value": kind.value, "threshold": kind.chance, "detected": kind.found}
    helps |= {"threshold_ratio": kind.ratio}
    labels = (*MODEL, *kind.labels)
    return {metric_name(kind, suffix): (helps[field], labels) for suffix, field in kind.metrics.items()}


def metric_name(kind: Kind, suffix: str) -> str:
    """Without the prefix `sextant_`."""
    return f"{kind.name}_{suffix}".rstrip("_")


GAUGES: Gauges = {
    "model_info": ("The monitored model version; always 1.", (*MODEL, "task")),
    "calibrated": (
        "Whether the version has thresholds (0 or 1), by the rows for which they hold: in the order of time, the "
        "same but provisional (0: the reference spans fewer than 3 days), or in random order.",
        (*MODEL, "kind"),
    ),
    **{name: gauge for kind in KINDS for name, gauge in _of_kind(kind).items()},
    "drifted_features": ("Columns beyond their threshold, the prediction included.", MODEL),
    "drifted_features_ratio": ("Share of the judged columns beyond their threshold.", MODEL),
    "missing_values_ratio": ("Share of the window's rows without the feature.", FEATURE),
    "out_of_range_ratio": ("Share of the window's rows outside the feature's known range.", FEATURE),
    "unseen_category_ratio": ("Share of the window's rows with a category not seen in training.", FEATURE),
    "segment_rows": ("Rows of a segment in the window.", SEGMENT),
    "performance": ("Performance on the window's labelled rows; estimated_...: estimated for all rows.", MEASURE),
    "reference_performance": ("The same measure on the reference rows, those of the window's hours.", MEASURE),
    "prediction_mean": ("Mean prediction in the window (regression).", MODEL),
    "reference_prediction_mean": ("The same on the reference rows of the window's hours.", MODEL),
    "label_coverage_ratio": ("Share of the window's rows whose target has arrived.", MODEL),
    "label_delay_seconds": ("Median time from a prediction to its target, in the window.", MODEL),
    "duplicate_rows_ratio": ("Share of the window's rows that repeat another's features and context.", MODEL),
    "window_rows": ("Rows of this version in the window.", MODEL),
    "window_rows_without_time": ("Rows of the window without a time of their event.", MODEL),
    "window_unsupported_rows": ("Rows not judged: of hours of which the reference has too few rows.", MODEL),
    "window_rows_per_second": ("Rate at which the window's rows were predicted.", MODEL),
    "window_oldest_timestamp_seconds": ("When the window's oldest prediction was made.", MODEL),
    "last_evaluation_timestamp_seconds": ("When the window was last evaluated.", MODEL),
    "evaluation_duration_seconds": ("How long the last evaluation took.", MODEL),
}

KIND_OF_THRESHOLDS: Mapping[Order, str] = {
    "time": "time",
    "provisional": "provisional",
    "too short": "provisional",
    "random": "random",
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
            'Columns that could not be evaluated; feature "" is the whole evaluation.',
            ("model", "feature"),
            registry=self.registry,
        )
        self._events = Counter(
            "sextant_monitoring_events",
            "Events received, by outcome.",
            ("outcome",),
            registry=self.registry,
        )

    def count_error(self, model: str, feature: str) -> None:
        """One column (or "" for all) could not be evaluated."""
        self._errors.labels(model, feature).inc()

    def count_events(self, outcome: str, number: int) -> None:
        """So many events were accepted, duplicate, too_old, in_future or rejected."""
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
            state = monitor.state()
            _add_window(families, state.snapshot)
            _add_reference(families, state)
            if state.latest:
                _add_evaluation(families, state.latest)
            for verdict in state.verdicts:
                _add_verdict(families, state.snapshot.monitored.manifest, verdict)
        yield from families.values()


def _add_window(families: Families, snapshot: Snapshot) -> None:
    manifest = snapshot.monitored.manifest
    labels = [manifest.name, manifest.version]
    families["model_info"].add_metric([*labels, manifest.task], 1)
    order = snapshot.monitored.reference.order
    calibrated = snapshot.monitored.calibration is not None and order != "too short"
    families["calibrated"].add_metric([*labels, KIND_OF_THRESHOLDS[order]], calibrated)
    families["window_rows"].add_metric(labels, len(snapshot.rows.predictions))
    if start := snapshot.rows.start:
        families["window_oldest_timestamp_seconds"].add_metric(labels, start.timestamp())


def _add_reference(families: Families, state: MonitorState) -> None:
    """The reference's numbers: those beside the window, or of all its rows where there is no evaluation."""
    monitored, latest = state.snapshot.monitored, state.latest
    reference, estimator = monitored.reference, monitored.estimator
    labels = [monitored.manifest.name, monitored.manifest.version]
    mean = latest.evaluation.reference_prediction_mean if latest else reference.prediction_mean
    _add(families, "reference_prediction_mean", labels, mean)
    parts = {ALL_ROWS: reference.whole, **reference.segments}
    known = {segment: dict(part.performance.measures) for segment, part in parts.items()}
    for measures in (estimator.reference_measures if estimator else {}, _beside_the_window(latest)):
        for segment, of_segment in measures.items():
            known.setdefault(segment, {}).update(of_segment)
    _add_measures(families, "reference_performance", labels, known)


def _beside_the_window(latest: WindowEvaluation | None) -> Measures:
    return latest.evaluation.reference_measures if latest else {}


def _add_evaluation(families: Families, outcome: WindowEvaluation) -> None:
    manifest, evaluation, window = outcome.monitored.manifest, outcome.evaluation, outcome.window
    labels = [manifest.name, manifest.version]
    values = {
        "prediction_mean": evaluation.prediction_mean,
        "label_coverage_ratio": evaluation.label_coverage,
        "label_delay_seconds": window.label_delay,
        "duplicate_rows_ratio": window.duplicate_ratio,
        "window_rows_per_second": window.rows_per_second,
        "window_rows_without_time": evaluation.rows_without_time,
        "window_unsupported_rows": evaluation.unsupported_rows,
        "last_evaluation_timestamp_seconds": outcome.evaluated_at.timestamp(),
        "evaluation_duration_seconds": outcome.seconds,
    }
    if evaluation.dataset_drift is not None:
        values["drifted_features"] = len(evaluation.drifted_columns)
        values["drifted_features_ratio"] = evaluation.drifted_ratio
    for name, number in values.items():
        _add(families, name, labels, number)
    _add_measures(families, "performance", labels, evaluation.measures)
    for segment, size in evaluation.segments.items():
        _add(families, "segment_rows", [*labels, segment], size.rows)
    for feature, quality in evaluation.quality.items():
        _add(families, "missing_values_ratio", [*labels, feature], quality.missing_ratio)
        _add(families, "out_of_range_ratio", [*labels, feature], quality.out_of_range_ratio)
        _add(families, "unseen_category_ratio", [*labels, feature], quality.unseen_category_ratio)


def _add_verdict(families: Families, manifest: Manifest, verdict: Verdict) -> None:
    kind = BY_NAME[verdict.name]
    labels = [manifest.name, manifest.version, *(getattr(verdict, field) for field in kind.labels.values())]
    for suffix, field in kind.metrics.items():
        _add(families, metric_name(kind, suffix), labels, getattr(verdict, field))


def _add_measures(families: Families, name: str, labels: list[str], measures: Measures) -> None:
    for segment, of_segment in measures.items():
        for measure, value in of_segment.items():
            families[name].add_metric([*labels, measure, segment], value)


def _add(families: Families, name: str, labels: list[str], value: float | None) -> None:
    if value is not None:
        families[name].add_metric(labels, value)
