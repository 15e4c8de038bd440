"""One evaluation of a window against the reference: its verdicts, and the measures that they rest on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from sextant.contracts.model_bundle import Manifest
from sextant.evaluation.beside import (
    Measures,
    ReferenceQuality,
    reference_mean_prediction,
    reference_measures,
)
from sextant.evaluation.case import Case
from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.drift.column import DRIFT
from sextant.evaluation.frames import TARGET, ConformedFrame
from sextant.evaluation.in_time.order import Order, in_words
from sextant.evaluation.performance.estimation import ALL_ROWS, PerformanceEstimator
from sextant.evaluation.performance.measures import labelled_errors, measure_performance, prediction_mean
from sextant.evaluation.quality import ColumnQuality, measure_quality
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict, detected
from sextant.evaluation.verdicts import DATASET_DRIFT, judge

THRESHOLDS = "Thresholds"


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

    reference_prediction_mean: float | None = None
    """Of a regression model, on reference rows of the window's hours."""

    order: Order = "random"
    """For which order of rows the thresholds hold."""

    holds: str = in_words("random", 0)
    """The same in words."""

    rows_without_time: int = 0
    unsupported_rows: int = 0
    """Rows at hours of which the reference has too few: no verdict looks at them."""

    unsupported_hours: str = ""
    """These hours in words."""

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
    def notes(self) -> dict[str, str]:
        """What is said wherever thresholds are shown: for which rows they hold, and which were not compared."""
        found = {THRESHOLDS: self.holds}
        if not self.calibrated and self.order != "too short":
            found[THRESHOLDS] = NOT_CALIBRATED
        if self.rows_without_time:
            found["Without a time"] = f"{self.rows_without_time:,} rows, compared with all hours alike"
        if self.unsupported_rows:
            rows = f"{self.unsupported_rows:,} rows {self.unsupported_hours}"
            found["Not compared"] = f"{rows}: the reference has too few of these hours"
        return found

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
    hours = reference.hours_of(window)
    judged = hours.judged(window)
    segments = _segments(reference, window)
    quality = _quality(window, manifest)
    case = Case(
        reference=reference,
        window=judged,
        rows=len(window),
        calibration=calibration,
        segment_calibration=segment_calibration,
        estimator=estimator,
        segments=segments if judged is window else _segments(reference, judged),
        quality=quality if judged is window or judged.empty else _quality(judged, manifest),
        reference_quality=ReferenceQuality.of(reference, judged),
        errors=labelled_errors(judged, manifest.task),
        expected_errors=estimator.expected_errors(judged) if estimator else None,
    )
    parts = {ALL_ROWS: window, **segments}
    performance = {name: measure_performance(rows, manifest) for name, rows in parts.items()}
    return Evaluation(
        rows=len(window),
        labelled_rows=int(window[TARGET].notna().sum()),
        calibrated=calibration is not None and reference.order != "too short",
        verdicts=judge(case),
        measures={name: {**performance[name].measures, **_estimated(case, rows)} for name, rows in parts.items()},
        reference_measures=reference_measures(reference, parts, estimator),
        quality=quality,
        segments={
            name: SegmentRows(len(rows), performance[name].labelled_rows) for name, rows in segments.items()
        },
        errors={**(calibration.failures if calibration else {}), **_failures(case)},
        undefined=performance[ALL_ROWS].errors,
        prediction_mean=prediction_mean(window, manifest.task),
        reference_prediction_mean=reference_mean_prediction(reference, window),
        order=reference.order,
        holds=reference.holds,
        rows_without_time=hours.without_time,
        unsupported_rows=hours.unsupported_rows,
        unsupported_hours=hours.unsupported,
    )


def _quality(window: ConformedFrame, manifest: Manifest) -> Mapping[str, ColumnQuality]:
    return {f.name: measure_quality(window[f.name], f) for f in manifest.feature_schema.features}


def _failures(case: Case) -> Mapping[str, str]:
    """Columns without a score, and why; that the reference lacks the hours is no fault of a column."""
    if case.is_of_unknown_hours:
        return {}
    return {verdict.column: verdict.reason for verdict in case.columns if verdict.value is None}


def _segments(reference: Reference, window: ConformedFrame) -> Mapping[str, pd.DataFrame]:
    return {name: rows for column in reference.segment_columns for name, rows in column.split(window)}


def _estimated(case: Case, rows: pd.DataFrame) -> Mapping[str, float]:
    if case.estimator is None or case.expected_errors is None:
        return {}
    return case.estimator.measures(case.expected_errors.reindex(rows.index))
