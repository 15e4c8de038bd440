"""One evaluation of a window against the reference: drift and quality by column, performance, both by segment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from evaluation.by_segment import SegmentEvaluation, SegmentJudge
from evaluation.calibration import MIN_VALUES, Calibration
from evaluation.columns import TARGET
from evaluation.concept_drift import ConceptDrift, measure_concept_drift
from evaluation.drift import ColumnDrift, drifted_columns, measure_drift
from evaluation.estimation import ALL_ROWS, PerformanceEstimator
from evaluation.frames import conform
from evaluation.performance import Performance, measure_performance
from evaluation.quality import ColumnQuality, measure_quality
from evaluation.reference import Reference


@dataclass(frozen=True)
class Evaluation:
    """What one window says about a model; `errors` names each column that could not be judged, and why."""

    rows: int
    labelled_rows: int
    calibrated: bool
    drift: Mapping[str, ColumnDrift]
    quality: Mapping[str, ColumnQuality]
    performance: Performance
    reference_performance: Performance
    concept_drift: ConceptDrift | None
    errors: Mapping[str, str]
    estimated: Mapping[str, float] = field(default_factory=dict)
    """The performance that is expected of all rows, before any target: estimated_mae or estimated_accuracy."""
    reference_estimated: Mapping[str, float] = field(default_factory=dict)
    segments: Mapping[str, SegmentEvaluation] = field(default_factory=dict)

    @property
    def judged(self) -> list[ColumnDrift]:
        """The columns that have a verdict."""
        return [column for column in self.drift.values() if column.drifted is not None]

    @property
    def drifted_columns(self) -> list[str]:
        """Names of the columns beyond their threshold, the furthest first."""
        return drifted_columns(self.judged)

    @property
    def drifted_ratio(self) -> float | None:
        """Share of the judged columns that drifted."""
        return len(self.drifted_columns) / len(self.judged) if self.judged else None

    @property
    def dataset_drift(self) -> bool | None:
        """Whether any column drifted, at the false-alarm rate of the family; None while nothing is calibrated."""
        return bool(self.drifted_columns) if self.judged else None

    @property
    def label_coverage(self) -> float:
        """Share of the rows whose target has arrived."""
        return self.labelled_rows / self.rows


def evaluate(
    reference: Reference,
    window: pd.DataFrame,
    calibration: Calibration | None = None,
    *,
    segment_calibration: Calibration | None = None,
    estimator: PerformanceEstimator | None = None,
) -> Evaluation:
    """Judge a window of at least one row (see frames.to_frame); a column that fails never stops the others."""
    manifest = reference.manifest
    current = conform(window, manifest.feature_schema, manifest.task)
    drift, errors = _drift_by_column(reference, current, calibration)
    performance = measure_performance(current, manifest)
    expected = estimator.expected_errors(current) if estimator else None
    return Evaluation(
        rows=len(current),
        labelled_rows=int(current[TARGET].notna().sum()),
        calibrated=calibration is not None,
        drift=drift,
        quality={f.name: measure_quality(current[f.name], f) for f in manifest.feature_schema.features},
        performance=performance,
        reference_performance=reference.performance,
        concept_drift=measure_concept_drift(
            performance, reference.errors, manifest.task, calibration.false_alarm_rate if calibration else None
        ),
        errors=errors,
        estimated={} if estimator is None or expected is None else estimator.measures(expected),
        reference_estimated={} if estimator is None else estimator.reference_measures[ALL_ROWS],
        segments=SegmentJudge(reference, segment_calibration, estimator).evaluate(current, expected),
    )


def _drift_by_column(
    reference: Reference, current: pd.DataFrame, calibration: Calibration | None
) -> tuple[dict[str, ColumnDrift], dict[str, str]]:
    drift: dict[str, ColumnDrift] = {}
    errors: dict[str, str] = dict(calibration.failures) if calibration else {}
    for column in reference.columns:
        values = current[column.name]
        if column.name == TARGET and values.count() < MIN_VALUES:
            continue  # targets come late: that is no error
        try:
            thresholds = calibration.columns.get(column.name) if calibration else None
            drift[column.name] = measure_drift(
                column, reference.whole.scorers.get(column.name), values, thresholds
            )
        except Exception as error:  # noqa: BLE001  any stat test may raise anything; the others go on
            errors[column.name] = str(error)
    return drift, errors
