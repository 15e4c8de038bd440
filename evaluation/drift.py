"""Whether one column of a window drifted: its score against its calibrated threshold."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from contracts.schema import Feature
from evaluation.calibration import MIN_VALUES, ColumnThresholds
from evaluation.stat_tests import drift_score, method_of, severity


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """A column's drift score; threshold and verdict are None while it is not calibrated."""

    column: str
    method: str
    score: float
    severity: float
    threshold: float | None
    threshold_severity: float | None
    drifted: bool | None


def measure_drift(
    column: Feature,
    reference: "pd.Series[Any]",
    current: "pd.Series[Any]",
    thresholds: ColumnThresholds | None,
) -> ColumnDrift:
    """Compare a column's present values with the reference's; raises ValueError when either has too few."""
    present = current.dropna()
    if len(present) < MIN_VALUES:
        raise ValueError(f"only {len(present)} values in the window, at least {MIN_VALUES} are needed")
    if reference.empty:
        raise ValueError("the reference holds no values")
    method = method_of(column)
    score = drift_score(column, reference, present)
    badness = severity(method, score)
    if thresholds is None:
        return ColumnDrift(column.name, method, score, badness, None, None, None)
    threshold = thresholds.at(len(present))
    limit = severity(method, threshold)
    return ColumnDrift(column.name, method, score, badness, threshold, limit, badness > limit)
