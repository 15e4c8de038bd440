"""Data quality of one feature in a window: what is missing, out of the known range, or never seen in training."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from contracts.schema import Feature


@dataclass(frozen=True, slots=True)
class ColumnQuality:
    """Shares of the window's rows; None where the schema knows no range or categories."""

    missing_ratio: float
    out_of_range_ratio: float | None = None
    unseen_category_ratio: float | None = None


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
