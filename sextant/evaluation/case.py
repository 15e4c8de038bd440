"""What a window is judged by: its rows, the reference, and what has been found out about the reference so far."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from sextant.contracts.schema import Feature
from sextant.evaluation.beside import ReferenceQuality
from sextant.evaluation.drift.calibration import MIN_VALUES, Calibration, rate_of_each, segment_test
from sextant.evaluation.drift.column import DRIFT, InTime, Thresholds, measure_drift
from sextant.evaluation.drift.stat_tests import method_of
from sextant.evaluation.frames import TARGET, ConformedFrame
from sextant.evaluation.in_time.hours import EVENT_HOUR, Weights
from sextant.evaluation.in_time.matching import Matching
from sextant.evaluation.in_time.null import Nulls
from sextant.evaluation.performance.error_growth import GrowthInTime
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.performance.fairness import FAIRNESS_GAP, GapsInTime
from sextant.evaluation.quality import Qualities
from sextant.evaluation.reference import UNKNOWN, Reference
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict

NO_SUCH_HOURS = "the reference has too few rows of these hours"
NO_THRESHOLD = "no threshold can be told from the reference"


@dataclass(frozen=True)
class Case:
    """What each verdict function gets; calibration and estimator are None until there are any."""

    reference: Reference
    window: ConformedFrame
    """The rows that are compared: those at hours of which the reference has too few are left out."""

    rows: int
    """Of the whole window."""

    calibration: Calibration | None
    segment_calibration: Calibration | None
    estimator: PerformanceEstimator | None
    segments: Mapping[str, pd.DataFrame]
    quality: Qualities
    reference_quality: ReferenceQuality
    errors: "pd.Series[float]"
    """Of the labelled rows."""

    expected_errors: "pd.Series[float] | None"
    """Of all rows, as the estimator expects them."""

    @property
    def rate(self) -> float | None:
        """Accepted share of false alarms of each kind; None while nothing is calibrated."""
        return self.calibration.false_alarm_rate if self.calibration else None

    @property
    def is_of_unknown_hours(self) -> bool:
        """Whether the reference lacks so many of the window's hours that too few rows are left to judge."""
        return len(self.window) < min(self.rows, MIN_VALUES)

    def root_of(self, verdict: Verdict) -> Verdict:
        """A verdict with the reason behind its reason, where nothing is judged."""
        if verdict.detected is not None:
            return verdict
        if self.is_of_unknown_hours:
            return verdict.because(NO_SUCH_HOURS)
        if verdict.reason != NOT_CALIBRATED or self.nulls is None or self.calibration is None:
            return verdict
        return verdict.because(NO_THRESHOLD if self.nulls.judges else self.reference.holds)

    @property
    def nulls(self) -> Nulls | None:
        """What scores are without drift, where rows come in the order of time."""
        return self.reference.nulls

    @cached_property
    def matching(self) -> Matching:
        """The window's rows beside the reference rows of the same hours."""
        whole = self.reference.whole
        if whole.hours is None:
            raise ValueError("the reference has no times")
        return Matching(whole.hours, whole.index, self.window[EVENT_HOUR])

    def growth_in_time(self, name: str, known: "pd.Series[float]") -> GrowthInTime | None:
        """What a kind of mean is compared with in time; None where rows are judged as if in random order."""
        nulls, rate = self.nulls, self.rate
        if nulls is None:
            return None
        return GrowthInTime(
            self.matching, known, lambda rows: nulls.threshold((name, "", ""), rows, rate) if rate else None
        )

    def gaps_in_time(self) -> GapsInTime | None:
        """The same for the gaps between segments."""
        nulls = self.nulls
        if nulls is None:
            return None
        return GapsInTime(
            self.matching, lambda segment, rows, rate: nulls.threshold((FAIRNESS_GAP, "", segment), rows, rate)
        )

    def _thresholds(self, column: Feature, segment: str = "") -> Thresholds | None:
        """Of one column, in one segment or in all rows; columns, and columns of segments, are a family each."""
        calibration = self.segment_calibration if segment else self.calibration
        if calibration is None:
            return None
        if self.nulls is None:
            return calibration.columns.get(segment_test(column.name, segment) if segment else column.name)
        null = self.nulls.of((DRIFT, column.name, segment))
        if null is None:
            return None
        rate = rate_of_each(calibration.false_alarm_rate, self.nulls.family(DRIFT, of_segments=bool(segment)))
        return InTime(method_of(column), null, rate)

    @cached_property
    def columns(self) -> tuple[Verdict, ...]:
        """The verdict on each column; one that fails says why and never stops the others."""
        columns = self.reference.columns
        return tuple(self._column(c) for c in columns if c.name != TARGET or self._enough_targets)

    @property
    def _enough_targets(self) -> bool:
        """Targets come late: that is no error."""
        return int(self.window[TARGET].count()) >= MIN_VALUES

    @cached_property
    def _weights(self) -> Weights | None:
        return self.matching.weights(self.window.index) if self.nulls else None

    def _column(self, column: Feature) -> Verdict:
        try:
            thresholds = self._thresholds(column)
            scorer = self.reference.whole.scorer(column.name, self._weights)
            verdict = measure_drift(column, scorer, self.window[column.name], thresholds)
            failure = self.calibration.failures.get(column.name) if self.calibration else None
            return verdict.because(failure) if failure else verdict
        except Exception as error:  # noqa: BLE001  any stat test may raise anything
            return Verdict(DRIFT, column=column.name, reason=str(error))

    def columns_of(self, segment: str, rows: pd.DataFrame) -> tuple[Verdict, ...]:
        """The verdict on each column of a segment that can be judged: there, too few rows are no error."""
        part = self.reference.segments.get(segment, UNKNOWN)
        weights = part.hours.weights(rows[EVENT_HOUR].to_numpy()) if self.nulls and part.hours else None
        found = []
        for column in self.reference.columns:
            thresholds = self._thresholds(column, segment)
            if thresholds is None or rows[column.name].count() < MIN_VALUES:
                continue
            with suppress(Exception):  # any stat test may raise anything; the whole window says what fails
                scorer = part.scorer(column.name, weights)
                found.append(measure_drift(column, scorer, rows[column.name], thresholds))
        return tuple(found)
