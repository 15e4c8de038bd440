"""Whether the model errs more than chance allows: against the reference, the estimate, or as estimated."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sextant.evaluation.in_time.matching import Matching
from sextant.evaluation.performance.measures import MIN_LABELLED
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict

PERFORMANCE_DEGRADATION, CONCEPT_DRIFT = "performance_degradation", "concept_drift"
ESTIMATED_DEGRADATION = "estimated_degradation"
SMALLEST_GROWTH = 0.001
"""No threshold is lower: errors that are all alike differ by no more than rounding."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Some rows' values in three moments, from which the spread of another sample's mean follows."""

    rows: int
    mean: float
    deviation: float
    skewness: float

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """The moments of at least one number, none of them NaN."""
        numbers = np.asarray(values, dtype=np.float64)
        mean, deviation = float(numbers.mean()), float(numbers.std())
        if deviation <= 1e-9 * float(np.abs(numbers).max()):
            return cls(len(numbers), mean, 0.0, 0.0)
        return cls(len(numbers), mean, deviation, float((((numbers - mean) / deviation) ** 3).mean()))

    @property
    def relative(self) -> "Moments":
        """The same in units of the mean; without spread where the mean is not above 0."""
        spread = self.deviation / self.mean if self.mean > 0.0 else 0.0
        return Moments(self.rows, 1.0, spread, self.skewness)

    def pooled(self, now: "Moments") -> "Moments":
        """These rows and mean, with the shape of both samples: a few hundred alone do not know a heavy tail."""
        rows = self.rows + now.rows
        deviation = math.hypot(
            self.deviation * math.sqrt(self.rows / rows), now.deviation * math.sqrt(now.rows / rows)
        )
        if deviation == 0.0:
            return self
        # Shares first: the third power of a large error would be too large for a float.
        ours, theirs = (moments.deviation / deviation for moments in (self, now))
        skewness = (self.rows * self.skewness * ours**3 + now.rows * now.skewness * theirs**3) / rows
        return Moments(self.rows, self.mean, deviation, skewness)

    def threshold(self, rows: int, rate: float) -> float:
        """The mean that so many rows of the same kind exceed with this probability."""
        spread = math.sqrt(1 / rows + 1 / self.rows)
        skewness = self.skewness * (1 / rows**2 - 1 / self.rows**2) / spread**3
        return self.mean + self.deviation * spread * float(stats.pearson3.ppf(1.0 - rate, skewness))


@dataclass(frozen=True, slots=True)
class EstimatedReference:
    """The reference's labelled rows as judged by estimators that had not seen them."""

    expected: Moments
    unexplained: Moments
    """Of each row the error less the expected one."""

    error: float
    """The mean that was realised on the same rows."""

    expected_rows: "pd.Series[float]"
    unexplained_rows: "pd.Series[float]"

    @classmethod
    def of(cls, errors: NDArray[np.float64], expected: "pd.Series[float]") -> Self:
        """From the same rows' errors, realised and expected."""
        unexplained = pd.Series(errors - expected, index=expected.index)
        return cls(Moments.of(expected), Moments.of(unexplained), float(errors.mean()), expected, unexplained)


@dataclass(frozen=True, slots=True)
class GrowthInTime:
    """What a mean is compared with where rows come in the order of time: reference rows of the same hours."""

    matching: Matching
    known: "pd.Series[float]"
    """The reference's values, by row."""

    threshold: Callable[[int], float | None]
    """Of so many values, as a growth."""


def measure_performance_degradation(
    errors: "pd.Series[float]", reference: Moments | None, rate: float | None, in_time: GrowthInTime | None = None
) -> Verdict:
    """The labelled rows' error against the reference's."""
    name = PERFORMANCE_DEGRADATION
    if reference is None:
        return Verdict(name, reason=f"the reference has fewer than {MIN_LABELLED} labelled rows")
    return measure_growth(name, errors, reference, error=reference.mean, rate=rate, in_time=in_time)


def measure_concept_drift(
    errors: "pd.Series[float]",
    expected: "pd.Series[float]",
    reference: EstimatedReference,
    rate: float | None,
    in_time: GrowthInTime | None = None,
) -> Verdict:
    """The error beyond what the labelled rows' own features lead to expect."""
    unexplained = (errors - expected.reindex(errors.index)).dropna()
    return measure_growth(
        CONCEPT_DRIFT, unexplained, reference.unexplained, error=reference.error, rate=rate, in_time=in_time
    )


def measure_estimated_degradation(
    expected: "pd.Series[float]",
    reference: EstimatedReference,
    rate: float | None,
    in_time: GrowthInTime | None = None,
) -> Verdict:
    """The expected error of all rows against the reference's."""
    known, mean = expected.dropna(), reference.expected.mean
    return measure_growth(ESTIMATED_DEGRADATION, known, reference.expected, error=mean, rate=rate, in_time=in_time)


def growth(now: float, before: float, error: float) -> float:
    """How much a mean grew, as a share of the reference's mean error."""
    return (now - before) / error


def measure_growth(
    name: str,
    values: "pd.Series[float]",
    reference: Moments,
    *,
    error: float,
    rate: float | None,
    in_time: GrowthInTime | None = None,
) -> Verdict:
    """The mean of a window's values less the reference's, as a share of the reference's mean `error`."""
    if len(values) < MIN_LABELLED:
        return Verdict(name, reason=f"{len(values)} rows to tell by, fewer than {MIN_LABELLED}")
    if error <= 0.0:
        return Verdict(name, reason="the reference has no error")
    now = Moments.of(values)
    if in_time is not None:
        before = in_time.matching.mean(in_time.known, values.index)
        threshold = None if rate is None else in_time.threshold(now.rows)
        return judge_growth(name, growth(now.mean, before, error), threshold)
    highest = None if rate is None else reference.pooled(now).threshold(now.rows, rate)
    threshold = None if highest is None else growth(highest, reference.mean, error)
    return judge_growth(name, growth(now.mean, reference.mean, error), threshold)


def judge_growth(name: str, ratio: float, threshold: float | None, *, segment: str = "") -> Verdict:
    """A ratio by its threshold, which is no lower than 0.001."""
    if not math.isfinite(ratio):
        return Verdict(name, segment=segment, reason="the numbers are too large to compare")
    if threshold is None or not math.isfinite(threshold):
        reason = NOT_CALIBRATED if threshold is None else "no threshold can be told from the reference"
        return Verdict(name, ratio, segment=segment, reason=reason)
    threshold = max(threshold, SMALLEST_GROWTH)
    return Verdict(name, ratio, threshold, ratio / threshold, ratio > threshold, segment=segment)
