"""Whether one column of a window drifted: its score against its calibrated threshold."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import pandas as pd

from sextant.contracts.schema import Feature
from sextant.evaluation.drift.calibration import CONSTANT_SCORE, MIN_VALUES
from sextant.evaluation.drift.scorers import Scorer
from sextant.evaluation.drift.severity import P_VALUE_METHODS, score_at, severity
from sextant.evaluation.drift.stat_tests import method_of
from sextant.evaluation.in_time.null import Null
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict

DRIFT = "drift"


class Thresholds(Protocol):
    """A test's threshold at any window size."""

    def at(self, rows: int) -> float:
        """The threshold, as a score, for a window with this many values of the column."""


@dataclass(frozen=True, slots=True)
class InTime:
    """The threshold for consecutive rows."""

    method: str
    null: Null
    rate: float

    def at(self, rows: int) -> float:
        """The score that so many undrifted consecutive rows exceed at the rate."""
        found = self.null.threshold(rows, self.rate)
        floor = severity(self.method, self.rate) if self.method in P_VALUE_METHODS else CONSTANT_SCORE
        return score_at(self.method, found if found > 0.0 else floor)


def measure_drift(
    column: Feature, scorer: Scorer | None, current: "pd.Series[Any]", thresholds: Thresholds | None
) -> Verdict:
    """Compare a column's present values with the reference's; raises ValueError when either has too few."""
    present = current.dropna()
    if len(present) < MIN_VALUES:
        raise ValueError(f"only {len(present)} values in the window, at least {MIN_VALUES} are needed")
    if scorer is None:
        raise ValueError("the reference holds no values")
    method = method_of(column)
    score = scorer.score(present)
    effect = replace(scorer.effect(present, score), smallest=column.smallest_effect)
    if thresholds is None:
        return Verdict(DRIFT, score, column=column.name, method=method, reason=NOT_CALIBRATED, effect=effect)
    threshold = thresholds.at(len(present))
    badness, limit = severity(method, score), severity(method, threshold)
    return Verdict(
        DRIFT,
        score,
        threshold,
        threshold_ratio=badness / limit if limit else None,
        detected=badness > limit and effect.matters,
        reason=""
        if effect.matters
        else f"smaller than the smallest effect of interest, {column.smallest_effect:g}",
        column=column.name,
        method=method,
        effect=effect,
    )
