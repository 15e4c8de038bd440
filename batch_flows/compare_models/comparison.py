"""Which of two models errs less: the difference, its interval, and what the rows can and cannot show.

An error belongs to a row: the absolute error, or 1 for a wrong class and 0 for the right one. A difference is B
less A, so below zero B is better. What was chosen and measured is in docs/decisions/comparing-models.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from sextant.contracts.schema import Task

Errors = NDArray[np.float64]
Better = Literal["a", "b", "none"]

MIN_ROWS = 50
"""Fewer rows on a side are not compared: the bootstrap's interval would be too narrow for skewed errors."""
CONFIDENCE = 0.95
POWER = 0.8
RESAMPLES = 2_000
FEW_DISCORDANT = 25
CHUNK = 1 << 20
Z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
NEAR = 1e-9


@dataclass(frozen=True, slots=True)
class Interval:
    """The 95 % interval of a difference in mean error."""

    low: float
    high: float

    def reaching_zero(self) -> "Interval":
        """The interval, widened to hold zero."""
        return Interval(min(self.low, 0.0), max(self.high, 0.0))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the rows say of the mean errors of A and B.

    `detectable` is the smallest difference that rows like these show four times in five. `effects` may hold
    `cohens_d` and `relative` (the difference as a share of A's error) or `odds_ratio` (of B's errors to A's; in
    pairs, of those that one side alone got wrong). `p_value` is None where the interval alone decides.
    """

    paired: bool
    method: str
    rows_a: int
    rows_b: int
    error_a: float
    error_b: float
    interval: Interval
    detectable: float
    p_value: float | None
    effects: Mapping[str, float]

    @property
    def difference(self) -> float:
        """B's mean error less A's."""
        return self.error_b - self.error_a

    @property
    def verdict(self) -> Better:
        """The better side, where the interval leaves zero out."""
        if self.interval.high < 0:
            return "b"
        return "a" if self.interval.low > 0 else "none"


@dataclass(frozen=True, slots=True)
class _Found:
    """What one method finds: its interval, and its test where it has one."""

    method: str
    interval: Interval
    effects: Mapping[str, float | None]
    p_value: float | None = None


def compare(
    errors_a: Errors, errors_b: Errors, *, task: Task, paired: bool, random: np.random.Generator
) -> Comparison:
    """Compare the rows' errors; paired, the same position is the same row; raises ValueError for too few rows."""
    if min(len(errors_a), len(errors_b)) < MIN_ROWS:
        raise ValueError(f"{len(errors_a)} and {len(errors_b)} rows; at least {MIN_ROWS} of each are needed")
    if paired and len(errors_a) != len(errors_b):
        raise ValueError(f"pairs have two sides, got {len(errors_a)} and {len(errors_b)} rows")
    if task == "regression":
        found = (_paired_means if paired else _separate_means)(errors_a, errors_b, random)
    else:
        found = (_paired_shares if paired else _separate_shares)(errors_a > 0, errors_b > 0)
    mean_a, mean_b = float(errors_a.mean()), float(errors_b.mean())
    effects = {"relative": _ratio(mean_b - mean_a, mean_a), **found.effects}
    return Comparison(
        paired=paired,
        method=found.method,
        rows_a=len(errors_a),
        rows_b=len(errors_b),
        error_a=mean_a,
        error_b=mean_b,
        interval=_as_cautious_as_the_test(found),
        detectable=_detectable(found.interval),
        p_value=found.p_value,
        effects={name: value for name, value in effects.items() if value is not None},
    )


def _as_cautious_as_the_test(found: _Found) -> Interval:
    """Test and interval may disagree by a hair; a page that shows both must not contradict itself."""
    rejected = found.p_value is None or found.p_value < 1 - CONFIDENCE
    return found.interval if rejected else found.interval.reaching_zero()


def _detectable(interval: Interval) -> float:
    """From the interval's half width, which is Z standard errors."""
    return (interval.high - interval.low) / 2 * (Z + float(stats.norm.ppf(POWER))) / Z


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


# --- numbers: bootstrap of the mean -----------------------------------------------------------------------------


def _paired_means(errors_a: Errors, errors_b: Errors, random: np.random.Generator) -> _Found:
    differences = errors_b - errors_a
    interval = _percentiles(_resampled_means(differences, random))
    cohens_d = _ratio(float(differences.mean()), float(differences.std(ddof=1)))
    return _Found("paired bootstrap", interval, {"cohens_d": cohens_d})


def _separate_means(errors_a: Errors, errors_b: Errors, random: np.random.Generator) -> _Found:
    interval = _percentiles(_resampled_means(errors_b, random) - _resampled_means(errors_a, random))
    weighted = (len(errors_a) - 1) * errors_a.var(ddof=1) + (len(errors_b) - 1) * errors_b.var(ddof=1)
    pooled = math.sqrt(weighted / (len(errors_a) + len(errors_b) - 2))
    cohens_d = _ratio(float(errors_b.mean() - errors_a.mean()), pooled)
    return _Found("unpaired bootstrap", interval, {"cohens_d": cohens_d})


def _percentiles(means: Errors) -> Interval:
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return Interval(low, high)


def _resampled_means(values: Errors, random: np.random.Generator) -> Errors:
    """The means of RESAMPLES resamples, drawn in chunks so that memory is bounded."""
    step = max(1, CHUNK // len(values))
    sizes = [min(step, RESAMPLES - start) for start in range(0, RESAMPLES, step)]
    chunks = [values[random.integers(len(values), size=(size, len(values)))].mean(axis=1) for size in sizes]
    return np.concatenate(chunks)


# --- classes: right or wrong ------------------------------------------------------------------------------------

Wrong = NDArray[np.bool_]


def _paired_shares(wrong_a: Wrong, wrong_b: Wrong) -> _Found:
    only_a, only_b = int((wrong_a & ~wrong_b).sum()), int((wrong_b & ~wrong_a).sum())
    interval = Interval(*(_score_bound(only_a, only_b, len(wrong_a), side) for side in (-1.0, 1.0)))
    few = only_a + only_b < FEW_DISCORDANT
    method = "exact McNemar test" if few else "mid-p McNemar test"
    effects = {"odds_ratio": (only_b + 0.5) / (only_a + 0.5)}  # the halves keep it finite
    return _Found(method, interval, effects, _mcnemar(only_a, only_b, exact=few))


def _mcnemar(only_a: int, only_b: int, *, exact: bool) -> float:
    """Two-sided p-value of the pairs that one side alone got wrong; mid-p counts the observed case by half."""
    if only_a + only_b == 0:
        return 1.0
    p_value = float(stats.binomtest(only_b, only_a + only_b).pvalue)
    return p_value if exact else p_value - float(stats.binom.pmf(only_b, only_a + only_b, 0.5))


def _score_bound(only_a: int, only_b: int, rows: int, side: float) -> float:
    """One end of Tango's score interval of a difference of paired proportions (Statistics in Medicine, 1998)."""
    observed = (only_b - only_a) / rows

    def excess(delta: float) -> float:
        linear = (2 * rows - only_b + only_a) * delta - only_b - only_a
        root = math.sqrt(max(0.0, linear**2 + 8 * rows * only_a * delta * (1 - delta)))
        share_only_a = (root - linear) / (4 * rows)  # the likeliest one, were delta the true difference
        variance = rows * (2 * share_only_a + delta * (1 - delta))
        return (rows * (observed - delta)) ** 2 - Z**2 * variance

    near, far = observed + side * NEAR, side * (1 - NEAR)
    if side * (far - near) <= 0 or excess(far) <= 0:
        return side
    return float(optimize.brentq(excess, near, far))


def _separate_shares(wrong_a: Wrong, wrong_b: Wrong) -> _Found:
    (a, low_a, high_a), (b, low_b, high_b) = _wilson(wrong_a), _wilson(wrong_b)
    low = b - a - math.hypot(b - low_b, high_a - a)
    high = b - a + math.hypot(high_b - b, a - low_a)
    odds_a, odds_b = _odds(wrong_a), _odds(wrong_b)
    p_value = _two_proportions(wrong_a, wrong_b)
    return _Found("two-proportion test", Interval(low, high), {"odds_ratio": odds_b / odds_a}, p_value)


def _wilson(wrong: Wrong) -> tuple[float, float, float]:
    """The share of wrong rows between the ends of its interval, from which Newcombe's of a difference is made."""
    ends = stats.binomtest(int(wrong.sum()), len(wrong)).proportion_ci(CONFIDENCE, method="wilson")
    return float(wrong.mean()), float(ends.low), float(ends.high)


def _odds(wrong: Wrong) -> float:
    return float((wrong.sum() + 0.5) / ((~wrong).sum() + 0.5))


def _two_proportions(wrong_a: Wrong, wrong_b: Wrong) -> float:
    pooled = float(np.concatenate([wrong_a, wrong_b]).mean())
    error = math.sqrt(pooled * (1 - pooled) * (1 / len(wrong_a) + 1 / len(wrong_b)))
    if error == 0:
        return 1.0
    return float(2 * stats.norm.sf(abs(wrong_b.mean() - wrong_a.mean()) / error))
