"""Data quality of the features in a window: what is missing, out of the known range, or never seen in training."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from sextant.contracts.schema import Feature
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict

DATA_QUALITY = "data_quality"
TOLERATED = 0.01
"""By so much a ratio may exceed the reference's, chance aside."""

SMALLEST_CHANCE = 1e-300

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ColumnQuality:
    """Shares of the window's rows; None where the schema knows no range or categories."""

    missing_ratio: float
    out_of_range_ratio: float | None = None
    unseen_category_ratio: float | None = None

    @property
    def checks(self) -> dict[str, float]:
        """The shares that are known, by the name of the check."""
        ratios = {
            "missing": self.missing_ratio,
            "out_of_range": self.out_of_range_ratio,
            "unseen_category": self.unseen_category_ratio,
        }
        return {check: ratio for check, ratio in ratios.items() if ratio is not None}


Qualities = Mapping[str, ColumnQuality]


def judge_quality(
    window: Qualities, rows: int, reference: Qualities, reference_rows: float, rate: float | None
) -> list[Verdict]:
    """A verdict for each check of each feature; all of them together hold the rate."""
    checks = [
        Verdict(DATA_QUALITY, ratio, column=feature, check=check, reference=reference[feature].checks[check])
        for feature, quality in window.items()
        for check, ratio in quality.checks.items()
    ]
    if rate is None:
        return [check.because(NOT_CALIBRATED) for check in checks]
    return [_judged(check, rows, reference_rows, rate / len(checks)) for check in checks]


def _judged(check: Verdict, rows: int, reference_rows: float, rate: float) -> Verdict:
    """Whether so many rows are beyond chance; how far is told on the scale of the chance's logarithm."""
    chance = _chance(check.value or 0.0, rows, check.reference or 0.0, reference_rows)
    ratio = math.log(max(chance, SMALLEST_CHANCE)) / math.log(rate)
    return replace(check, threshold_ratio=max(0.0, ratio), detected=chance <= rate)


def _chance(ratio: float, rows: int, reference_ratio: float, reference_rows: float) -> float:
    """Of so many rows or more: a beta-binomial count, since the reference is a sample too."""
    tolerated = reference_ratio + TOLERATED
    if ratio <= tolerated or tolerated >= 1.0:
        return 1.0
    counts = np.arange(round(ratio * rows), rows + 1)
    share = stats.betabinom.pmf(counts, rows, tolerated * reference_rows, (1.0 - tolerated) * reference_rows)
    return float(share.sum())


@dataclass(frozen=True, slots=True)
class Checks:
    """Which of a feature's values fail each check; None where the schema knows no range or categories."""

    missing: Mask
    out_of_range: Mask | None = None
    unseen_category: Mask | None = None

    @classmethod
    def of(cls, values: "pd.Series[Any]", feature: Feature) -> Self:
        """Of a feature's values."""
        return cls(values.isna().to_numpy(), _out_of_range(values, feature), _unseen(values, feature))

    def weighted(self, weights: NDArray[np.float64]) -> ColumnQuality:
        """The shares where each value weighs so much, none of them all."""
        failing = (self.missing, self.out_of_range, self.unseen_category)
        shares = [None if mask is None else float(np.average(mask, weights=weights)) for mask in failing]
        return ColumnQuality(shares[0] or 0.0, *shares[1:])


def measure_quality(values: "pd.Series[Any]", feature: Feature) -> ColumnQuality:
    """The quality of a feature's values, of which there is at least one row."""
    return Checks.of(values, feature).weighted(np.ones(len(values)))


def _out_of_range(values: "pd.Series[Any]", feature: Feature) -> Mask | None:
    if feature.kind != "numerical" or (feature.minimum is None and feature.maximum is None):
        return None
    outside = pd.Series(False, index=values.index)
    if feature.minimum is not None:
        outside |= values < feature.minimum
    if feature.maximum is not None:
        outside |= values > feature.maximum
    return outside.to_numpy()


def _unseen(values: "pd.Series[Any]", feature: Feature) -> Mask | None:
    if feature.kind != "categorical" or feature.categories is None:
        return None
    return (values.notna() & ~values.isin(feature.categories)).to_numpy()
