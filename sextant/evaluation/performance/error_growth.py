"""How far a mean error stands above the reference's, and how far it may stand there by chance."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from sextant.evaluation.performance.measures import MIN_LABELLED

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
class ErrorGrowth:
    """By what share an error is higher than the reference makes expect; threshold and verdict once calibrated."""

    ratio: float
    threshold: float | None
    drifted: bool | None

    @classmethod
    def judged(cls, ratio: float, threshold: float | None) -> Self | None:
        """The ratio by its threshold; None for numbers too large to compare."""
        if not math.isfinite(ratio):
            return None
        if threshold is None or not math.isfinite(threshold):
            return cls(ratio, None, None)
        threshold = max(threshold, SMALLEST_GROWTH)
        return cls(ratio, threshold, ratio > threshold)


def measure_growth(
    values: "pd.Series[float]", reference: Moments, *, error: float, rate: float | None
) -> ErrorGrowth | None:
    """The mean of a window's values less the reference's, as a share of the reference's mean `error`.

    None for fewer than 30 values, or for a reference without error.
    """
    if len(values) < MIN_LABELLED or error <= 0.0:
        return None
    now = Moments.of(values)
    highest = None if rate is None else reference.pooled(now).threshold(now.rows, rate)
    threshold = None if highest is None else (highest - reference.mean) / error
    return ErrorGrowth.judged((now.mean - reference.mean) / error, threshold)
