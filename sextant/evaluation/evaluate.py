"""One evaluation of a window against the reference: drift and quality by column, performance, both by segment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sextant.evaluation.by_segment import SegmentEvaluation, SegmentJudge
from sextant.evaluation.columns import TARGET
from sextant.evaluation.drift.calibration import MIN_VALUES, Calibration
from sextant.evaluation.drift.column import ColumnDrift, drifted_columns, measure_drift
from sextant.evaluation.frames import conform
from sextant.evaluation.performance.degradation import (
    measure_concept_drift,
    measure_estimated_degradation,
    measure_performance_degradation,
)
from sextant.evaluation.performance.error_growth import ErrorGrowth
from sextant.evaluation.performance.estimation import ALL_ROWS, PerformanceEstimator
from sextant.evaluation.performance.measures import (
    Performance,
    labelled_errors,
    measure_performance,
    prediction_mean,
)
from sextant.evaluation.quality import ColumnQuality, QualityVerdict, judge_quality, measure_quality
from sextant.evaluation.reference import Reference


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
    performance_degradation: ErrorGrowth | None
    """(Error now - error on the reference) / error on the reference."""
    errors: Mapping[str, str]
    estimated: Mapping[str, float] = field(default_factory=dict)
    """The performance that is expected of all rows, before any target: estimated_mae or estimated_accuracy."""
    reference_estimated: Mapping[str, float] = field(default_factory=dict)
    concept_drift: ErrorGrowth | None = None
    """(Error now - estimated error of the same rows) / error on the reference: concept drift proper."""
    estimated_degradation: ErrorGrowth | None = None
    """(Estimated error now - estimated on the reference) / the latter."""
    data_quality: tuple[QualityVerdict, ...] = ()
    prediction_mean: float | None = None
    """Of a regression model."""
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
    rate = calibration.false_alarm_rate if calibration else None
    drift, failures = _drift_by_column(reference, current, calibration)
    quality = {f.name: measure_quality(current[f.name], f) for f in manifest.feature_schema.features}
    performance, errors = measure_performance(current, manifest), labelled_errors(current, manifest.task)
    expected = estimator.expected_errors(current) if estimator else None
    return Evaluation(
        rows=len(current),
        labelled_rows=int(current[TARGET].notna().sum()),
        calibrated=calibration is not None,
        drift=drift,
        quality=quality,
        performance=performance,
        reference_performance=reference.performance,
        performance_degradation=measure_performance_degradation(errors, reference.errors, rate),
        errors=failures,
        data_quality=judge_quality(quality, len(current), reference.quality, len(reference.frame), rate),
        prediction_mean=prediction_mean(current, manifest.task),
        segments=SegmentJudge(reference, segment_calibration, estimator, rate).evaluate(current, errors, expected),
        **_estimates(estimator, errors, expected, rate),
    )


def _estimates(
    estimator: PerformanceEstimator | None,
    errors: "pd.Series[float]",
    expected: "pd.Series[float] | None",
    rate: float | None,
) -> dict[str, Any]:
    """The fields of an evaluation that need the estimator."""
    if estimator is None or expected is None:
        return {}
    reference = estimator.estimated_reference
    return {
        "estimated": estimator.measures(expected),
        "reference_estimated": estimator.reference_measures[ALL_ROWS],
        "concept_drift": measure_concept_drift(errors, expected, reference, rate),
        "estimated_degradation": measure_estimated_degradation(expected, reference, rate),
    }


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
