"""Data quality of the features in a window: what is missing, out of the known range, or never seen in training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from sextant.contracts.schema import Feature

TOLERATED = 0.01
"""By so much a ratio may exceed the reference's, chance aside."""


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


@dataclass(frozen=True, slots=True)
class QualityVerdict:
    """One check of one feature against the same on the reference."""

    feature: str
    check: str
    ratio: float
    reference_ratio: float
    detected: bool | None
    """None until the thresholds are calibrated."""


Qualities = Mapping[str, ColumnQuality]


def judge_quality(
    window: Qualities, rows: int, reference: Qualities, reference_rows: int, rate: float | None
) -> tuple[QualityVerdict, ...]:
    """A verdict for each check of each feature; all of them together hold the rate."""
    checks = [
        (feature, check, ratio, reference[feature].checks[check])
        for feature, quality in window.items()
        for check, ratio in quality.checks.items()
    ]
    each = None if rate is None else rate / len(checks)
    return tuple(
        QualityVerdict(*found, None if each is None else _worse(found[2], rows, found[3], reference_rows, each))
        for found in checks
    )


def _worse(ratio: float, rows: int, reference_ratio: float, reference_rows: int, rate: float) -> bool:
    """Whether so many rows are beyond chance: a beta-binomial count, since the reference is a sample too."""
    tolerated = reference_ratio + TOLERATED
    if ratio <= tolerated or tolerated >= 1.0:
        return False
    counts = np.arange(round(ratio * rows), rows + 1)
    share = stats.betabinom.pmf(counts, rows, tolerated * reference_rows, (1.0 - tolerated) * reference_rows)
    return bool(share.sum() <= rate)


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
