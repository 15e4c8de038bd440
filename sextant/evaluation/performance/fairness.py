"""Whether a segment is served worse, beside all other rows, than it was on the reference."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import gammaln

from sextant.contracts.schema import Task
from sextant.evaluation.in_time.matching import Matching
from sextant.evaluation.performance.error_growth import Moments, judge_growth
from sextant.evaluation.performance.measures import MIN_LABELLED
from sextant.evaluation.verdict import Verdict

FAIRNESS_GAP = "fairness_gap"
TOO_FEW = "too few labelled rows in it or beside it"
LARGEST_LOGARITHM = 100.0  # of a threshold, so that none is infinite


@dataclass(frozen=True, slots=True)
class Sides:
    """The errors of a segment's labelled rows and those of all others."""

    inside: Moments
    outside: Moments

    @classmethod
    def of(cls, errors: "pd.Series[float]", segment: "pd.Index[Any]") -> Self | None:
        """None where either side has fewer than 30 labelled rows."""
        inside = errors.index.isin(segment)
        if min(inside.sum(), (~inside).sum()) < MIN_LABELLED:
            return None
        return cls(Moments.of(errors[inside]), Moments.of(errors[~inside]))


@dataclass(frozen=True, slots=True)
class FairnessReference:
    """How the errors of segments stand to those of the others on the reference."""

    task: Task
    whole: Moments | None
    segments: Mapping[str, Sides]
    errors: "pd.Series[float]"
    rows: Mapping[str, "pd.Index[Any]"]
    """Of the reference, by segment."""

    @classmethod
    def of(cls, task: Task, errors: "pd.Series[float]", segments: Mapping[str, "pd.Index[Any]"]) -> Self:
        """From the labelled rows' errors and the rows of each segment."""
        return cls(task, Moments.of(errors) if len(errors) else None, _sides(errors, segments), errors, segments)

    def log_gap(self, segment: str, now: Sides, index: "pd.Index[Any]", weights: Any) -> float | None:
        """The logarithm of the gap to the weighted reference; None where there is no error to compare with."""
        of_known = weights[index.get_indexer(self.errors.index)]
        inside, errors = self.errors.index.isin(self.rows[segment]), self.errors.to_numpy()
        smallest = 0.5 / max(min(now.inside.rows, now.outside.rows), 1) if self.task == "classification" else 0.0
        means = [now.inside.mean, now.outside.mean]
        for side in (inside, ~inside):
            total = of_known[side].sum()
            if total <= 0.0:
                return None
            means.append(float(errors[side] @ of_known[side] / total))
        if min(means) + smallest <= 0.0:
            return None
        ours, others, reference_ours, reference_others = (math.log(mean + smallest) for mean in means)
        return ours - others - reference_ours + reference_others

    def measure(
        self,
        errors: "pd.Series[float]",
        segments: Mapping[str, "pd.Index[Any]"],
        rate: float | None,
        in_time: "GapsInTime | None" = None,
    ) -> list[Verdict]:
        """The gap of each segment; all that have enough labelled rows hold the rate together."""
        now = _sides(errors, segments)
        judged = now.keys() & self.segments.keys()
        each = None if rate is None or not judged else rate / len(judged)
        if in_time is not None:
            index, weights = in_time.matching.index, in_time.matching.weights(errors.index)
            gaps = {name: self.log_gap(name, now[name], index, weights) for name in judged}
            return [
                _judged_in_time(segment, gaps[segment], now[segment], each, in_time)
                if segment in gaps
                else Verdict(FAIRNESS_GAP, segment=segment, reason=TOO_FEW)
                for segment in segments
            ]
        return [
            self._gap(segment, now[segment], self.segments[segment], each)
            if segment in judged
            else Verdict(FAIRNESS_GAP, segment=segment, reason=TOO_FEW)
            for segment in segments
        ]

    def _gap(self, segment: str, now: Sides, reference: Sides, rate: float | None) -> Verdict:
        if self.task == "classification":
            found = _counted(now, reference, rate)
        elif self.whole is None or min(now.outside.mean, reference.inside.mean, reference.outside.mean) <= 0.0:
            found = None
        else:
            ratio = now.inside.mean / now.outside.mean / (reference.inside.mean / reference.outside.mean) - 1.0
            found = ratio, None if rate is None else _chance(now, reference, self.whole, rate)
        if found is None:
            return Verdict(FAIRNESS_GAP, segment=segment, reason="there is no error to compare with")
        return judge_growth(FAIRNESS_GAP, *found, segment=segment)


@dataclass(frozen=True, slots=True)
class GapsInTime:
    """What gaps are compared with where rows come in the order of time."""

    matching: Matching
    threshold: Callable[[str, float, float], float | None]
    """The logarithm of a segment's gap that so many rows exceed with this probability."""


def told_by(sides: Sides) -> float:
    """How many rows a gap rests on: those of the smaller side count most."""
    return 1.0 / (1.0 / sides.inside.rows + 1.0 / sides.outside.rows)


def _judged_in_time(
    segment: str, gap: float | None, sides: Sides, rate: float | None, in_time: GapsInTime
) -> Verdict:
    if gap is None:
        return Verdict(FAIRNESS_GAP, segment=segment, reason="there is no error to compare with")
    highest = None if rate is None else in_time.threshold(segment, told_by(sides), rate)
    threshold = None if highest is None else math.expm1(min(highest, LARGEST_LOGARITHM))
    return judge_growth(FAIRNESS_GAP, math.expm1(min(gap, LARGEST_LOGARITHM)), threshold, segment=segment)


def _sides(errors: "pd.Series[float]", segments: Mapping[str, "pd.Index[Any]"]) -> dict[str, Sides]:
    found = {name: Sides.of(errors, rows) for name, rows in segments.items()}
    return {name: sides for name, sides in found.items() if sides is not None}


def _chance(now: Sides, reference: Sides, whole: Moments, rate: float) -> float:
    """What the gap exceeds with this probability: the logarithm's first three cumulants, by the delta method."""
    inside = _log_mean(now.inside, reference.inside, whole)
    outside = _log_mean(now.outside, reference.outside, whole)
    bias, variance, third = inside[0] - outside[0], inside[1] + outside[1], inside[2] - outside[2]
    if variance == 0.0:
        return 0.0
    skewness = max(third / variance**1.5, 0.0)
    highest = bias + math.sqrt(variance) * float(stats.pearson3.ppf(1.0 - rate, skewness))
    return math.expm1(min(highest, LARGEST_LOGARITHM))


def _log_mean(now: Moments, reference: Moments, whole: Moments) -> tuple[float, float, float]:
    """Mean, variance and third cumulant of log(mean now / mean on the reference) when nothing changed."""
    shape, least = reference.relative.pooled(now.relative), whole.relative
    # No narrower than all rows: a heavy tail may not show in a segment's few.
    spread, skewness = max(shape.deviation, least.deviation), max(shape.skewness, least.skewness)
    first = -(spread**2) / 2 * (1 / now.rows - 1 / reference.rows)
    third = spread**3 * (skewness - 3 * spread) * (1 / now.rows**2 - 1 / reference.rows**2)
    return first, spread**2 * (1 / now.rows + 1 / reference.rows), third


def _counted(now: Sides, reference: Sides, rate: float | None) -> tuple[float, float | None] | None:
    """Ratio and threshold of wrong answers, by an exact test.

    Of as many on each side and in the segment: how many may be in both?
    """
    sides = (now.inside, now.outside, reference.inside, reference.outside)
    rows = np.array([side.rows for side in sides])
    wrong = np.array([round(side.mean * side.rows) for side in sides])
    if not wrong.any():
        return None
    most = wrong if rate is None else wrong + (_most(wrong, rows, rate) - wrong[0]) * np.array([1, -1, -1, 1])
    half = 0.0 if wrong.all() and most.all() else 0.5  # Haldane's, so that no ratio is infinite
    ratio, threshold = (_odds((counts + half) / rows) for counts in (wrong, most))
    return ratio, None if rate is None else threshold


def _odds(shares: Any) -> float:
    inside, outside, reference_inside, reference_outside = shares
    return float(inside / outside / (reference_inside / reference_outside) - 1.0)


def _most(wrong: Any, rows: Any, rate: float) -> int:
    """Of the window's wrong answers so many may be the segment's: beyond, less than `rate` is left.

    Fisher's noncentral hypergeometric distribution; exact where wrong answers are rare, and careful where not.
    """
    ours, segment, total = wrong[0] + wrong[1], wrong[0] + wrong[2], wrong.sum()
    counts = np.arange(max(0, ours + segment - total), min(ours, segment) + 1)
    odds = math.log(rows[0] / rows[1] / (rows[2] / rows[3]))
    weights = _log_choose(segment, counts) + _log_choose(total - segment, ours - counts) + counts * odds
    chances = np.exp(weights - weights.max())
    beyond = 1.0 - np.cumsum(chances) / chances.sum()
    return int(counts[np.argmax(beyond <= rate)])


def _log_choose(of: int, counts: Any) -> Any:
    return gammaln(of + 1) - gammaln(counts + 1) - gammaln(of - counts + 1)
