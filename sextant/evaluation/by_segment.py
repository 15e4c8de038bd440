"""The same judgement for each segment of a window: drift of its columns, performance, and the estimate of it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import pandas as pd

from sextant.evaluation.drift.calibration import MIN_VALUES, Calibration, segment_test
from sextant.evaluation.drift.column import ColumnDrift, drifted_columns, measure_drift
from sextant.evaluation.performance.error_growth import ErrorGrowth
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.performance.measures import Performance, measure_performance
from sextant.evaluation.reference import Reference, ReferencePart


@dataclass(frozen=True)
class SegmentEvaluation:
    """What one segment of a window says about a model; its reference is the same segment's."""

    rows: int
    drift: Mapping[str, ColumnDrift]
    performance: Performance
    reference_performance: Performance
    estimated: Mapping[str, float]
    reference_estimated: Mapping[str, float]
    fairness_gap: ErrorGrowth | None = None
    """(Error in the segment / error in all other rows) now / the same on the reference - 1."""

    @property
    def drifted_columns(self) -> list[str]:
        """Names of the columns beyond their threshold, the furthest first."""
        return drifted_columns(self.drift.values())

    @property
    def share_of_threshold(self) -> float | None:
        """The column furthest beyond its threshold, or nearest to it: 1 is at the threshold."""
        shares = [c.share_of_threshold for c in self.drift.values() if c.share_of_threshold is not None]
        return max(shares, default=None)

    @property
    def drifted(self) -> bool | None:
        """Whether any column drifted; None where none can be judged."""
        return None if self.share_of_threshold is None else bool(self.drifted_columns)


UNKNOWN = ReferencePart(index=pd.RangeIndex(0), values={}, scorers={}, performance=Performance(0))
"""The reference of a segment whose values the reference does not hold."""


@dataclass(frozen=True)
class SegmentJudge:
    """All that the segments of windows are judged by; calibration and estimator as soon as there are any."""

    reference: Reference
    calibration: Calibration | None
    estimator: PerformanceEstimator | None
    rate: float | None
    """Of false alarms about fairness; None: no verdict yet."""

    def evaluate(
        self, current: pd.DataFrame, errors: "pd.Series[float]", expected_errors: "pd.Series[float] | None"
    ) -> dict[str, SegmentEvaluation]:
        """Every segment that has rows in the conformed window, by its name `column=value`."""
        parts = {name: rows for column in self.reference.segment_columns for name, rows in column.split(current)}
        gaps = self.reference.fairness.measure(
            errors, {name: rows.index for name, rows in parts.items()}, self.rate
        )
        return {name: self._segment(name, rows, expected_errors, gaps.get(name)) for name, rows in parts.items()}

    def _segment(
        self,
        segment: str,
        rows: pd.DataFrame,
        expected_errors: "pd.Series[float] | None",
        fairness_gap: ErrorGrowth | None,
    ) -> SegmentEvaluation:
        part = self.reference.segments.get(segment, UNKNOWN)
        estimated: Mapping[str, float] = {}
        reference_estimated: Mapping[str, float] = {}
        if self.estimator is not None and expected_errors is not None:
            estimated = self.estimator.measures(expected_errors.loc[rows.index])
            reference_estimated = self.estimator.reference_measures.get(segment, {})
        return SegmentEvaluation(
            rows=len(rows),
            drift=self._drift(segment, part, rows),
            performance=measure_performance(rows, self.reference.manifest),
            reference_performance=part.performance,
            estimated=estimated,
            reference_estimated=reference_estimated,
            fairness_gap=fairness_gap,
        )

    def _drift(self, segment: str, part: ReferencePart, rows: pd.DataFrame) -> dict[str, ColumnDrift]:
        """The columns that can be judged: in a segment, too few rows are no error."""
        drift: dict[str, ColumnDrift] = {}
        for column in self.reference.columns:
            test = segment_test(column.name, segment)
            thresholds = self.calibration.columns.get(test) if self.calibration else None
            if thresholds is None or rows[column.name].count() < MIN_VALUES:
                continue
            with suppress(Exception):  # any stat test may raise anything; the whole window says what fails
                drift[column.name] = measure_drift(
                    column, part.scorers.get(column.name), rows[column.name], thresholds
                )
        return drift
