"""One evaluation of a window against the reference: its verdicts, and the measures that they rest on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sextant.evaluation.case import Case
from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.drift.column import DRIFT
from sextant.evaluation.frames import TARGET, ConformedFrame
from sextant.evaluation.in_time.hours import EVENT_HOUR, NO_TIME, in_words
from sextant.evaluation.performance.estimation import ALL_ROWS, PerformanceEstimator
from sextant.evaluation.performance.measures import labelled_errors, measure_performance, prediction_mean
from sextant.evaluation.quality import ColumnQuality, measure_quality
from sextant.evaluation.reference import UNKNOWN, Order, Reference
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

    order: Order = "random"
    """For which order of rows the thresholds hold."""

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
    hours = _Hours.of(reference, window)
    segments = _segments(reference, window)
    judged = ConformedFrame(window[hours.supported]) if not hours.supported.all() else window
    case = Case(
        reference=reference,
        window=judged,
        calibration=calibration,
        segment_calibration=segment_calibration,
        estimator=estimator,
        segments=segments if judged is window else _segments(reference, judged),
        quality={f.name: measure_quality(window[f.name], f) for f in manifest.feature_schema.features},
        errors=labelled_errors(judged, manifest.task),
        expected_errors=estimator.expected_errors(judged) if estimator else None,
    )
    parts = {ALL_ROWS: window, **segments}
    performance = {name: measure_performance(rows, manifest) for name, rows in parts.items()}
    failures = {verdict.column: verdict.reason for verdict in case.columns if verdict.value is None}
    return Evaluation(
        rows=len(window),
        labelled_rows=int(window[TARGET].notna().sum()),
        calibrated=calibration is not None and reference.order != "too short",
        verdicts=judge(case),
        measures={name: {**performance[name].measures, **_estimated(case, rows)} for name, rows in parts.items()},
        reference_measures={name: _on_reference(case, name) for name in parts},
        quality=case.quality,
        segments={
            name: SegmentRows(len(rows), performance[name].labelled_rows) for name, rows in segments.items()
        },
        errors={**(calibration.failures if calibration else {}), **failures},
        undefined=performance[ALL_ROWS].errors,
        prediction_mean=prediction_mean(window, manifest.task),
        order=reference.order,
        rows_without_time=hours.without_time,
        unsupported_rows=int((~hours.supported).sum()),
        unsupported_hours=hours.unsupported,
    )


@dataclass(frozen=True, slots=True)
class _Hours:
    """Which rows of a window have reference rows of their hours."""

    supported: NDArray[np.bool_]
    without_time: int = 0
    unsupported: str = ""

    @classmethod
    def of(cls, reference: Reference, window: ConformedFrame) -> Self:
        hours = reference.whole.hours
        if reference.nulls is None or hours is None:
            return cls(np.ones(len(window), dtype=bool))
        bins = window[EVENT_HOUR].to_numpy()
        supported = hours.supported(bins)
        return cls(supported, int((bins == NO_TIME).sum()), in_words(bins[~supported]))


def _segments(reference: Reference, window: ConformedFrame) -> Mapping[str, pd.DataFrame]:
    return {name: rows for column in reference.segment_columns for name, rows in column.split(window)}


def _estimated(case: Case, rows: pd.DataFrame) -> Mapping[str, float]:
    if case.estimator is None or case.expected_errors is None:
        return {}
    return case.estimator.measures(case.expected_errors.reindex(rows.index))


def _on_reference(case: Case, segment: str) -> Mapping[str, float]:
    reference = case.reference
    part = reference.segments.get(segment, UNKNOWN) if segment else reference.whole
    estimated = case.estimator.reference_measures.get(segment, {}) if case.estimator else {}
    return {**part.performance.measures, **estimated}
