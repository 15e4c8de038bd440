"""The drift score of one column against a reference that is prepared once, not at every evaluation.

The two default methods give Evidently's values to the last digits (a test compares them); any other method that
a schema names is Evidently's own function.
"""

import math
from copy import copy
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sextant.contracts.schema import Feature
from sextant.evaluation.drift.stat_tests import (
    CLIPPED_WASSERSTEIN,
    Clip,
    Floats,
    drift_score,
    method_of,
)
from sextant.evaluation.verdict import Effect

ROUNDING = 1e-12


class Scorer(Protocol):
    """Knows one column's reference values."""

    def score(self, current: "pd.Series[Any]") -> float:
        """The drift score of current values, none of them missing; raises ValueError when there is no number."""

    def weighted(self, weights: Floats) -> "Scorer":
        """The same where each reference value weighs so much, none of them all; 0 leaves it out."""

    def effect(self, current: "pd.Series[Any]", score: float) -> Effect:
        """How much values with this score moved, in their own unit."""


def scorer_of(column: Feature, reference: "pd.Series[Any]") -> Scorer:
    """The scorer of a column, whose reference holds at least one value and none that is missing."""
    method = method_of(column)
    if method == CLIPPED_WASSERSTEIN and column.kind == "numerical":
        return ClippedWasserstein(reference.to_numpy(dtype=float))
    if method == "jensenshannon" and column.kind == "categorical":
        return JensenShannon(reference)
    return EvidentlyScorer(column, reference)


def by_weight(weights: Floats, count: int) -> NDArray[np.intp]:
    """So many positions, each as often as its weight says, as evenly as can be: no chance is in it."""
    steps = (np.arange(count) + 0.5) * (weights.sum() / count)
    positions: NDArray[np.intp] = np.minimum(np.searchsorted(np.cumsum(weights), steps), len(weights) - 1)
    return positions


class EvidentlyScorer:
    """Any stat test that Evidently knows, called as it is."""

    def __init__(self, column: Feature, reference: "pd.Series[Any]") -> None:
        self._column = column
        self._reference = reference

    def score(self, current: "pd.Series[Any]") -> float:
        """Evidently's score."""
        return drift_score(self._column, self._reference, current)

    def effect(self, current: "pd.Series[Any]", score: float) -> Effect:
        """As the default method of the kind has it."""
        if self._column.kind == "numerical":
            moved = ClippedWasserstein(self._reference.to_numpy(dtype=float))
            return moved.effect(current, moved.score(current))
        return JensenShannon(self._reference).effect(current, score)

    def weighted(self, weights: Floats) -> "EvidentlyScorer":
        """With as many reference values, each repeated or left out by its weight."""
        return EvidentlyScorer(self._column, self._reference.iloc[by_weight(weights, len(weights))])


class ClippedWasserstein:
    """The area between two distribution functions, over the reference's deviation, within its central 99 %."""

    def __init__(self, reference: Floats) -> None:
        self._clip = Clip.of(reference)
        clipped = self._clip(reference)
        self._order = np.argsort(clipped, kind="stable")
        self._ordered = clipped[self._order]
        self._norm = self._clip.norm(clipped)
        self._below = np.arange(len(clipped) + 1) / len(clipped)
        self._sums = np.concatenate([[0.0], np.cumsum(self._ordered)]) / len(clipped)

    def weighted(self, weights: Floats) -> Self:
        """The distance to the weighted reference, in deviations of the whole one."""
        scorer = copy(self)
        share = weights[self._order]
        share /= share.sum()
        scorer._below = np.concatenate([[0.0], np.cumsum(share)])
        scorer._sums = np.concatenate([[0.0], np.cumsum(share * self._ordered)])
        return scorer

    def effect(self, current: "pd.Series[Any]", score: float) -> Effect:
        """The clipped means, and the distance in the column's unit."""
        now = float(np.mean(self._clip(current.to_numpy(dtype=float))))
        unit = self._clip.unit
        return Effect(float(self._sums[-1]) * unit, now * unit, score * self._norm * unit)

    def score(self, current: "pd.Series[Any]") -> float:
        """The clipped, normed Wasserstein distance."""
        points = np.sort(self._clip(current.to_numpy(dtype=float)))
        low, high = min(points[0], self._ordered[0]), max(points[-1], self._ordered[-1])
        starts, ends = np.concatenate([[low], points]), np.concatenate([points, [high]])
        below = np.arange(len(points) + 1) / len(points)  # the current distribution between start and end
        # The reference's distribution only grows, so that between two points it crosses the current one once.
        crossing = np.clip(self._quantile(below), starts, ends)
        under = below * (crossing - starts) - (self._area(crossing) - self._area(starts))
        over = (self._area(ends) - self._area(crossing)) - below * (ends - crossing)
        return float(np.sum(under + over)) / self._norm

    def _area(self, at: Floats) -> Floats:
        """The integral of the reference's distribution function up to each point."""
        count = np.searchsorted(self._ordered, at, side="right")
        area: Floats = self._below[count] * at - self._sums[count]
        return area

    def _quantile(self, share: Floats) -> Floats:
        rank = np.searchsorted(self._below, share - ROUNDING) - 1
        quantile: Floats = self._ordered[np.clip(rank, 0, len(self._ordered) - 1)]
        return quantile


class JensenShannon:
    """The Jensen-Shannon distance of two sets of category shares, in natural units."""

    def __init__(self, reference: "pd.Series[Any]") -> None:
        self._codes, categories = pd.factorize(reference)
        self._places = {category: place for place, category in enumerate(categories)}
        self._share = np.bincount(self._codes) / len(reference)

    def weighted(self, weights: Floats) -> Self:
        """The distance to the weighted shares."""
        scorer = copy(self)
        scorer._share = np.bincount(self._codes, weights, minlength=len(self._places)) / weights.sum()
        return scorer

    def effect(self, current: "pd.Series[Any]", score: float) -> Effect:  # noqa: ARG002 - as the others
        """The category whose share changed most."""
        counts = current.value_counts(sort=False)
        now = dict(zip(counts.index, counts.to_numpy() / counts.sum(), strict=True))
        before = {category: float(self._share[place]) for category, place in self._places.items()}
        most = max({**before, **now}, key=lambda category: abs(now.get(category, 0.0) - before.get(category, 0.0)))
        was, became = before.get(most, 0.0), float(now.get(most, 0.0))
        return Effect(was, became, abs(became - was), category=str(most))

    def score(self, current: "pd.Series[Any]") -> float:
        """0 for equal shares, about 0.83 for no category in common."""
        counts = current.value_counts(sort=False)
        window = counts.to_numpy() / counts.sum()
        places = [self._places.get(category, -1) for category in counts.index]
        reference = np.append(self._share, 0.0)[places]
        middle = (window + reference) / 2
        shared = reference > 0
        entropy = float(np.sum(window * np.log(window / middle)))
        entropy += float(np.sum(reference[shared] * np.log(reference[shared] / middle[shared])))
        entropy += math.log(2) * max(1.0 - float(reference.sum()), 0.0)  # categories that the window lacks
        return math.sqrt(max(entropy / 2, 0.0))
