"""Whether one column of a window drifted: its score against its calibrated threshold."""

from typing import Any

import pandas as pd

from sextant.contracts.schema import Feature
from sextant.evaluation.drift.calibration import MIN_VALUES, ColumnThresholds
from sextant.evaluation.drift.scorers import Scorer
from sextant.evaluation.drift.severity import severity
from sextant.evaluation.drift.stat_tests import method_of
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict

DRIFT = "drift"


def measure_drift(
    column: Feature, scorer: Scorer | None, current: "pd.Series[Any]", thresholds: ColumnThresholds | None
) -> Verdict:
    """Compare a column's present values with the reference's; raises ValueError when either has too few."""
    present = current.dropna()
    if len(present) < MIN_VALUES:
        raise ValueError(f"only {len(present)} values in the window, at least {MIN_VALUES} are needed")
    if scorer is None:
        raise ValueError("the reference holds no values")
    method = method_of(column)
    score = scorer.score(present)
    if thresholds is None:
        return Verdict(DRIFT, score, column=column.name, method=method, reason=NOT_CALIBRATED)
    threshold = thresholds.at(len(present))
    badness, limit = severity(method, score), severity(method, threshold)
    return Verdict(
        DRIFT,
        score,
        threshold,
        threshold_ratio=badness / limit if limit else None,
        detected=badness > limit,
        column=column.name,
        method=method,
    )
