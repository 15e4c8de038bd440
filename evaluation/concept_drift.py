"""Whether the model errs more than chance allows: its error on labelled rows against that on the reference."""

import math
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from contracts.schema import Task
from evaluation.columns import PREDICTION, TARGET
from evaluation.performance import HEADLINE, MIN_LABELLED, Performance, row_errors


@dataclass(frozen=True, slots=True)
class ReferenceErrors:
    """The reference rows' errors in three moments, from which the spread of a window's mean error follows."""

    rows: int
    mean: float
    deviation: float
    skewness: float

    @classmethod
    def of(cls, frame: pd.DataFrame, task: Task) -> "ReferenceErrors | None":
        """The moments of a conformed frame's labelled rows; None when they are too few."""
        errors = row_errors(frame.dropna(subset=[PREDICTION, TARGET]), task)
        if len(errors) < MIN_LABELLED:
            return None
        deviation = float(errors.std(ddof=0))
        skewness = float(stats.skew(errors)) if deviation > 0 else 0.0
        return cls(len(errors), float(errors.mean()), deviation, skewness)

    def threshold(self, rows: int, rate: float) -> float:
        """The mean error that so many undrifted rows exceed with this probability."""
        spread = math.sqrt(1 / rows + 1 / self.rows)
        skewness = self.skewness * (1 / rows**2 - 1 / self.rows**2) / spread**3
        return self.mean + self.deviation * spread * float(stats.pearson3.ppf(1.0 - rate, skewness))


@dataclass(frozen=True, slots=True)
class ConceptDrift:
    """(error now - error on the reference) / error on the reference; threshold and verdict once calibrated."""

    ratio: float
    threshold: float | None
    drifted: bool | None


def measure_concept_drift(
    now: Performance, reference: ReferenceErrors | None, task: Task, rate: float | None
) -> ConceptDrift | None:
    """The error's growth, and whether it is beyond chance at this rate; None while either error is unknown."""
    error = error_of(now, task)
    if error is None or reference is None or reference.mean == 0.0:
        return None
    ratio = (error - reference.mean) / reference.mean
    if rate is None:
        return ConceptDrift(ratio, None, None)
    threshold = (reference.threshold(now.labelled_rows, rate) - reference.mean) / reference.mean
    return ConceptDrift(ratio, threshold, ratio > threshold)


def error_of(performance: Performance, task: Task) -> float | None:
    """The one number that says how wrong the model is: mean absolute error, or the share of wrong classes."""
    headline = performance.measures.get(HEADLINE[task])
    return headline if headline is None or task == "regression" else 1.0 - headline
