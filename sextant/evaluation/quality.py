"""Data quality of the features in a window: what is missing, out of the known range, or never seen in training."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from sextant.contracts.schema import Feature
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict

DATA_QUALITY = "data_quality"
TOLERATED = 0.01
"""By so much a ratio may exceed the reference's, chance aside."""

SMALLEST_CHANCE = 1e-300


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
    window: Qualities, rows: int, reference: Qualities, reference_rows: int, rate: float | None
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


def _judged(check: Verdict, rows: int, reference_rows: int, rate: float) -> Verdict:
    """Whether so many rows are beyond chance; how far is told on the scale of the chance's logarithm."""
    chance = _chance(check.value or 0.0, rows, check.reference or 0.0, reference_rows)
    ratio = math.log(max(chance, SMALLEST_CHANCE)) / math.log(rate)
    return replace(check, threshold_ratio=max(0.0, ratio), detected=chance <= rate)


def _chance(ratio: float, rows: int, reference_ratio: float, reference_rows: int) -> float:
    """Of so many rows or more: a beta-binomial count, since the reference is a sample too."""
    tolerated = reference_ratio + TOLERATED
    if ratio <= tolerated or tolerated >= 1.0:
        return 1.0
    counts = np.arange(round(ratio * rows), rows + 1)
    share = stats.betabinom.pmf(counts, rows, tolerated * reference_rows, (1.0 - tolerated) * reference_rows)
    return float(share.sum())


def measure_quality(values: "pd.Series[Any]", feature: Feature) -> ColumnQuality:
    """The quality of a feature's values, of which there is at least one row."""
    return ColumnQuality(
        missing_ratio=float(values.isna().mean()),
        out_of_range_ratio=_out_of_range(values, feature),
        unseen_category_ratio=_unseen(values, feature),
    )


def _out_of_range(values: "pd.Series[Any]", feature: Feature) -> float | None:
    if feature.kind != "numerical" or (feature.minimum is None and feature.maximum is None):
        return None
    outside = pd.Series(False, index=values.index)
    if feature.minimum is not None:
        outside |= values < feature.minimum
    if feature.maximum is not None:
        outside |= values > feature.maximum
    return float(outside.mean())


def _unseen(values: "pd.Series[Any]", feature: Feature) -> float | None:
    if feature.kind != "categorical" or feature.categories is None:
        return None
    return float((values.notna() & ~values.isin(feature.categories)).mean())
