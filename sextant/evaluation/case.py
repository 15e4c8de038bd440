"""What a window is judged by: its rows, the reference, and what has been found out about the reference so far."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from sextant.contracts.schema import Feature
from sextant.evaluation.drift.calibration import MIN_VALUES, Calibration, segment_test
from sextant.evaluation.drift.column import DRIFT, measure_drift
from sextant.evaluation.frames import TARGET, ConformedFrame
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.quality import Qualities
from sextant.evaluation.reference import UNKNOWN, Reference
from sextant.evaluation.verdict import Verdict


@dataclass(frozen=True)
class Case:
    """What each verdict function gets; calibration and estimator are None until there are any."""

    reference: Reference
    window: ConformedFrame
    calibration: Calibration | None
    segment_calibration: Calibration | None
    estimator: PerformanceEstimator | None
    segments: Mapping[str, pd.DataFrame]
    quality: Qualities
    errors: "pd.Series[float]"
    """Of the labelled rows."""

    expected_errors: "pd.Series[float] | None"
    """Of all rows, as the estimator expects them."""

    @property
    def rate(self) -> float | None:
        """Accepted share of false alarms of each kind; None while nothing is calibrated."""
        return self.calibration.false_alarm_rate if self.calibration else None

    @cached_property
    def columns(self) -> tuple[Verdict, ...]:
        """The verdict on each column; one that fails says why and never stops the others."""
        columns = self.reference.columns
        return tuple(self._column(c) for c in columns if c.name != TARGET or self._enough_targets)

    @property
    def _enough_targets(self) -> bool:
        """Targets come late: that is no error."""
        return int(self.window[TARGET].count()) >= MIN_VALUES

    def _column(self, column: Feature) -> Verdict:
        try:
            thresholds = self.calibration.columns.get(column.name) if self.calibration else None
            scorer = self.reference.whole.scorers.get(column.name)
            verdict = measure_drift(column, scorer, self.window[column.name], thresholds)
            failure = self.calibration.failures.get(column.name) if self.calibration else None
            return verdict.because(failure) if failure else verdict
        except Exception as error:  # noqa: BLE001  any stat test may raise anything
            return Verdict(DRIFT, column=column.name, reason=str(error))

    def columns_of(self, segment: str, rows: pd.DataFrame) -> tuple[Verdict, ...]:
        """The verdict on each column of a segment that can be judged: there, too few rows are no error."""
        scorers = self.reference.segments.get(segment, UNKNOWN).scorers
        known = self.segment_calibration.columns if self.segment_calibration else {}
        found = []
        for column in self.reference.columns:
            thresholds = known.get(segment_test(column.name, segment))
            if thresholds is None or rows[column.name].count() < MIN_VALUES:
                continue
            with suppress(Exception):  # any stat test may raise anything; the whole window says what fails
                found.append(measure_drift(column, scorers.get(column.name), rows[column.name], thresholds))
        return tuple(found)
