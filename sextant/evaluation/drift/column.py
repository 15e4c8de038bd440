"""Whether one column of a window drifted: its score against its calibrated threshold."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sextant.contracts.schema import Feature
from sextant.evaluation.drift.calibration import MIN_VALUES, ColumnThresholds
from sextant.evaluation.drift.scorers import Scorer
from sextant.evaluation.drift.severity import severity
from sextant.evaluation.drift.stat_tests import method_of


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

    @property
    def share_of_threshold(self) -> float | None:
        """How near the score is to its threshold: beyond 1 it drifted, whichever way the method points."""
        return self.severity / self.threshold_severity if self.threshold_severity else None


def measure_drift(
    column: Feature, scorer: Scorer | None, current: "pd.Series[Any]", thresholds: ColumnThresholds | None
) -> ColumnDrift:
    """Compare a column's present values with the reference's; raises ValueError when either has too few."""
    present = current.dropna()
    if len(present) < MIN_VALUES:
        raise ValueError(f"only {len(present)} values in the window, at least {MIN_VALUES} are needed")
    if scorer is None:
        raise ValueError("the reference holds no values")
    method = method_of(column)
    score = scorer.score(present)
    badness = severity(method, score)
    if thresholds is None:
        return ColumnDrift(column.name, method, score, badness, None, None, None)
    threshold = thresholds.at(len(present))
    limit = severity(method, threshold)
    return ColumnDrift(column.name, method, score, badness, threshold, limit, badness > limit)


def drifted_columns(columns: Iterable[ColumnDrift]) -> list[str]:
    """Names of the columns beyond their threshold, the furthest beyond it first."""
    drifted = [column for column in columns if column.drifted]
    return [column.column for column in sorted(drifted, key=lambda c: -(c.share_of_threshold or 0.0))]
