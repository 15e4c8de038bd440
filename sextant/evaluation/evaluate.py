"""One evaluation of a window against the reference: its verdicts, and the measures that they rest on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from sextant.evaluation.case import Case
from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.drift.column import DRIFT
from sextant.evaluation.frames import TARGET, ConformedFrame
from sextant.evaluation.performance.estimation import ALL_ROWS, PerformanceEstimator
from sextant.evaluation.performance.measures import labelled_errors, measure_performance, prediction_mean
from sextant.evaluation.quality import ColumnQuality, measure_quality
from sextant.evaluation.reference import UNKNOWN, Reference
from sextant.evaluation.verdict import Verdict, detected
from sextant.evaluation.verdicts import DATASET_DRIFT, judge

Measures = Mapping[str, Mapping[str, float]]
"""By segment ("" for all rows) and name; estimated_...: as expected of all rows, before any target."""


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """How many rows of a window a segment holds."""

    rows: int
    labelled_rows: int


@dataclass(frozen=True)
class Evaluation:
    """What one window says about a model; `errors` names each column that could not be judged, and why."""

    rows: int
    labelled_rows: int
    calibrated: bool
    verdicts: Sequence[Verdict]
    measures: Measures
    reference_measures: Measures
    quality: Mapping[str, ColumnQuality]
    segments: Mapping[str, SegmentRows]
    errors: Mapping[str, str]
    undefined: Mapping[str, str] = field(default_factory=dict)
    """Measures that these rows leave undefined, and why."""

    prediction_mean: float | None = None
    """Of a regression model."""

    def of(self, name: str) -> list[Verdict]:
        """The verdicts of one kind."""
        return [verdict for verdict in self.verdicts if verdict.name == name]

    def verdict(self, name: str, *, column: str = "", segment: str = "") -> Verdict | None:
        """The verdict of this kind on the model, or on a column or segment."""
        about = (verdict for verdict in self.of(name) if (verdict.column, verdict.segment) == (column, segment))
        return next(about, None)

    @property
    def drifted_columns(self) -> list[str]:
        """Names of the columns beyond their threshold, the furthest first."""
        return [verdict.column for verdict in detected(self.of(DRIFT))]

    @property
    def drifted_ratio(self) -> float | None:
        """Share of the judged columns that drifted."""
        return self._dataset.value

    @property
    def dataset_drift(self) -> bool | None:
        """Whether any column drifted, at the false-alarm rate of the family; None while nothing is calibrated."""
        return self._dataset.detected

    @property
    def _dataset(self) -> Verdict:
        return self.of(DATASET_DRIFT)[0]

    @property
    def label_coverage(self) -> float:
        """Share of the rows whose target has arrived."""
        return self.labelled_rows / self.rows


def evaluate(
    reference: Reference,
    window: ConformedFrame,
    calibration: Calibration | None = None,
    *,
    segment_calibration: Calibration | None = None,
    estimator: PerformanceEstimator | None = None,
) -> Evaluation:
    """Judge a window of at least one row; a column that fails never stops the others."""
    manifest = reference.manifest
    case = Case(
        reference=reference,
        window=window,
        calibration=calibration,
        segment_calibration=segment_calibration,
        estimator=estimator,
        segments={name: rows for column in reference.segment_columns for name, rows in column.split(window)},
        quality={f.name: measure_quality(window[f.name], f) for f in manifest.feature_schema.features},
        errors=labelled_errors(window, manifest.task),
        expected_errors=estimator.expected_errors(window) if estimator else None,
    )
    parts = {ALL_ROWS: window, **case.segments}
    performance = {name: measure_performance(rows, manifest) for name, rows in parts.items()}
    failures = {verdict.column: verdict.reason for verdict in case.columns if verdict.value is None}
    return Evaluation(
        rows=len(window),
        labelled_rows=int(window[TARGET].notna().sum()),
        calibrated=calibration is not None,
        verdicts=judge(case),
        measures={name: {**performance[name].measures, **_estimated(case, rows)} for name, rows in parts.items()},
        reference_measures={name: _on_reference(case, name) for name in parts},
        quality=case.quality,
        segments={
            name: SegmentRows(len(rows), performance[name].labelled_rows) for name, rows in case.segments.items()
        },
        errors={**(calibration.failures if calibration else {}), **failures},
        undefined=performance[ALL_ROWS].errors,
        prediction_mean=prediction_mean(window, manifest.task),
    )


def _estimated(case: Case, rows: pd.DataFrame) -> Mapping[str, float]:
    if case.estimator is None or case.expected_errors is None:
        return {}
    return case.estimator.measures(case.expected_errors.loc[rows.index])


def _on_reference(case: Case, segment: str) -> Mapping[str, float]:
    reference = case.reference
    part = reference.segments.get(segment, UNKNOWN) if segment else reference.whole
    estimated = case.estimator.reference_measures.get(segment, {}) if case.estimator else {}
    return {**part.performance.measures, **estimated}
