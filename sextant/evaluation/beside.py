"""What the reference shows beside a window: its measures, means and data quality, of the window's own hours.

Without event times, of all its rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from sextant.evaluation.drift.scorers import by_weight
from sextant.evaluation.frames import PREDICTION, TARGET, ConformedFrame
from sextant.evaluation.in_time.hours import EVENT_HOUR, Weights
from sextant.evaluation.performance.estimation import ALL_ROWS, PerformanceEstimator
from sextant.evaluation.performance.measures import MIN_LABELLED, measure_labelled
from sextant.evaluation.quality import Qualities
from sextant.evaluation.reference import UNKNOWN, Reference, ReferencePart

Measures = Mapping[str, Mapping[str, float]]
"""By segment ("" for all rows) and name; estimated_...: as expected of all rows, before any target."""


@dataclass(frozen=True)
class ReferenceQuality:
    """Shares of the reference's values that fail a check, and from how many rows they are known."""

    shares: Qualities
    rows: float

    @classmethod
    def of(cls, reference: Reference, window: ConformedFrame) -> Self:
        """At the hours of a window's rows."""
        weights = weights_of(reference, reference.whole, window)
        if weights is None:
            return cls(reference.quality, len(reference.frame))
        shares = {name: checks.weighted(weights) for name, checks in reference.checks.items()}
        return cls(shares, float(weights.sum() ** 2 / (weights**2).sum()))


def weights_of(reference: Reference, part: ReferencePart, rows: pd.DataFrame) -> Weights | None:
    """The weight of each of a part's rows at the hours of a window's rows; None where all weigh the same."""
    if reference.nulls is None or part.hours is None or rows.empty:
        return None
    weights = part.hours.weights(rows[EVENT_HOUR].to_numpy())
    return weights if weights.any() else None


def compared_rows(reference: Reference, window: ConformedFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that are judged, and the reference rows: of the same hours, where there are any."""
    judged = reference.hours_of(window).judged(window)
    weights = weights_of(reference, reference.whole, judged)
    if weights is None:
        return window, reference.frame
    return judged, reference.frame.iloc[by_weight(weights, len(reference.frame))]


def reference_mean_prediction(reference: Reference, window: ConformedFrame) -> float | None:
    """The reference's mean prediction at the hours of a window's rows; None of a classifier's."""
    weights = weights_of(reference, reference.whole, window)
    if weights is None or reference.prediction_mean is None:
        return reference.prediction_mean
    known = reference.frame[PREDICTION].notna().to_numpy()
    return float(np.average(reference.frame[PREDICTION][known], weights=weights[known]))


def reference_measures(
    reference: Reference, parts: Mapping[str, pd.DataFrame], estimator: PerformanceEstimator | None
) -> Measures:
    """The reference's measures beside those of a window's parts, realised and estimated."""
    return {name: _measures(reference, name, rows, estimator) for name, rows in parts.items()}


def _measures(
    reference: Reference, segment: str, rows: pd.DataFrame, estimator: PerformanceEstimator | None
) -> Mapping[str, float]:
    part = reference.segments.get(segment, UNKNOWN) if segment != ALL_ROWS else reference.whole
    return {**_realised(reference, part, rows), **_estimated(reference, part, segment, rows, estimator)}


def _realised(reference: Reference, part: ReferencePart, rows: pd.DataFrame) -> Mapping[str, float]:
    labelled = rows.dropna(subset=[PREDICTION, TARGET])
    weights = weights_of(reference, part, labelled if len(labelled) >= MIN_LABELLED else rows)
    if weights is None:
        return part.performance.measures
    of_labelled = weights[part.index.get_indexer(part.labelled.index)]
    return measure_labelled(part.labelled, reference.manifest, of_labelled).measures


def _estimated(
    reference: Reference,
    part: ReferencePart,
    segment: str,
    rows: pd.DataFrame,
    estimator: PerformanceEstimator | None,
) -> Mapping[str, float]:
    if estimator is None:
        return {}
    weights = weights_of(reference, part, rows)
    if weights is None:
        return estimator.reference_measures.get(segment, {})
    everywhere = np.zeros(len(reference.frame))
    everywhere[reference.frame.index.get_indexer(part.index)] = weights
    expected = estimator.estimated_reference.expected_rows
    return estimator.measures(expected, everywhere[reference.frame.index.get_indexer(expected.index)])
