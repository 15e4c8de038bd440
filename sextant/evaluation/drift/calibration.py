"""Thresholds that hold a stated false-alarm rate: the tail of the score's distribution when nothing drifted."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.interpolate import PchipInterpolator

from sextant.contracts.schema import Feature
from sextant.evaluation.drift.null_scores import null_severities, reference_exponent, sampling_noise
from sextant.evaluation.drift.scorers import scorer_of
from sextant.evaluation.drift.severity import P_VALUE_METHODS, from_noise_scale, score_at, severity, to_noise_scale
from sextant.evaluation.drift.stat_tests import PERMUTATION_METHODS, Floats, method_of

MIN_VALUES = 30
"""Fewer values of a column are not compared with the reference: no score of so few means anything."""

GRID_POINTS = 6
CONSTANT_SCORE = 0.05
"""The threshold of a distance that is always 0 under no drift: half a percent of other values."""
MOST_SKEWED = 3.0
NEARLY_ALL_ROWS = 0.9
ROUNDING = 1e-12

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ColumnThresholds:
    """A column's threshold at each window size of a grid, in severity (see stat_tests), for one method."""

    method: str
    reference_rows: int
    sizes: tuple[int, ...]
    severities: tuple[float, ...]

    def at(self, rows: int) -> float:
        """The threshold, as a score, for a window with this many values of the column."""
        if self.method in P_VALUE_METHODS:
            return score_at(self.method, float(np.interp(math.log(rows), np.log(self.sizes), self.severities)))
        return self._distance(rows)

    def _distance(self, rows: int) -> float:
        """Distances shrink with the sampling noise of both sides, nearly along a line in double logarithms.

        Beyond the largest size the line goes on, no steeper than noise shrinks.
        """
        noise = [math.log(sampling_noise(size, self.reference_rows)) for size in reversed(self.sizes)]
        here = math.log(sampling_noise(rows, self.reference_rows))
        inside = min(max(here, noise[0]), noise[-1])
        heights = [math.log(to_noise_scale(self.method, severity)) for severity in reversed(self.severities)]
        # Bent for columns with many categories: a straight line would be 1 % low, a third more false alarms.
        height = float(PchipInterpolator(noise, heights)(inside)) if len(noise) > 1 else float(heights[0])
        slope = 1.0
        if here < inside and len(noise) > 1:
            slope = min(max((heights[1] - heights[0]) / (noise[1] - noise[0]), 0.0), 1.0)
        return from_noise_scale(self.method, math.exp(height + slope * (here - inside)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds of a family of tests, by name, and why the others could not be calibrated."""

    false_alarm_rate: float
    columns: Mapping[str, ColumnThresholds]
    failures: Mapping[str, str]


def calibrate(
    reference: Mapping[str, "pd.Series[Any]"],
    columns: Sequence[Feature],
    *,
    false_alarm_rate: float,
    seed: int = 0,
    progress: Progress | None = None,
) -> Calibration:
    """Thresholds that together raise a false alarm in `false_alarm_rate` of the evaluations of a model.

    `reference` holds each column's values without the missing ones; the same seed gives the same thresholds.
    """
    tests = {column.name: (column, reference[column.name]) for column in columns}
    return _calibrate_family(tests, false_alarm_rate, seed, progress)


def calibrate_segments(
    segments: Mapping[str, Mapping[str, "pd.Series[Any]"]],
    columns: Sequence[Feature],
    *,
    false_alarm_rate: float,
    seed: int = 0,
    progress: Progress | None = None,
) -> Calibration:
    """The same for every column of every segment: one family of tests, named by segment_test().

    Segments with too few reference rows of a column are left out of the family.
    """
    tests = {
        segment_test(column.name, segment): (column, values[column.name])
        for segment, values in segments.items()
        for column in columns
        if len(values[column.name]) >= 2 * MIN_VALUES
    }
    return _calibrate_family(tests, false_alarm_rate, seed, progress)


def segment_test(column: str, segment: str) -> str:
    """The name of one column's test in one segment."""
    return f"{column} where {segment}"


def _calibrate_family(
    tests: Mapping[str, tuple[Feature, "pd.Series[Any]"]], family_rate: float, seed: int, progress: Progress | None
) -> Calibration:
    rate = rate_of_each(family_rate, max(len(tests), 1))
    found: dict[str, ColumnThresholds] = {}
    failures: dict[str, str] = {}
    for done, (name, (column, values)) in enumerate(tests.items()):
        if progress:
            progress(name, done, len(tests))
        # Its own stream for each test, so that adding one leaves the others' thresholds alone.
        random = np.random.default_rng((seed, zlib.crc32(name.encode())))
        try:
            found[name] = calibrate_column(column, values, rate, random)
        except Exception as error:  # noqa: BLE001  any stat test may raise anything; the others go on
            failures[name] = f"not calibrated: {error}"
    return Calibration(family_rate, found, failures)


def rate_of_each(family_rate: float, columns: int) -> float:
    """The false-alarm rate of one column that gives the family's over all of them (Sidak)."""
    return float(-math.expm1(math.log1p(-family_rate) / columns))


def calibrate_column(
    column: Feature, reference: "pd.Series[Any]", rate: float, random: np.random.Generator
) -> ColumnThresholds:
    """The column's thresholds at each size of the grid; raises ValueError for a reference that is too small."""
    method, rows = method_of(column), len(reference)
    if rows < 2 * MIN_VALUES:
        raise ValueError(f"the reference holds {rows} values, fewer than {2 * MIN_VALUES}")
    if method in PERMUTATION_METHODS:
        return ColumnThresholds(method, rows, (MIN_VALUES,), (severity(method, rate),))
    sizes = size_grid(rows)
    floor = severity(method, rate) if method in P_VALUE_METHODS else CONSTANT_SCORE
    thresholds = [_threshold(null_severities(column, reference, size, random), rate, floor) for size in sizes]
    if method not in P_VALUE_METHODS:
        # The resampled window was held against the remaining rows, the real one is against all of them.
        noise = [
            (sampling_noise(size, rows) / sampling_noise(size, rows - size))
            ** reference_exponent(column, reference, size, random)
            for size in sizes
        ]
        thresholds = [
            from_noise_scale(method, to_noise_scale(method, threshold) * factor)
            for threshold, factor in zip(thresholds, noise, strict=True)
        ]
    if (common := _commonest(reference)) is not None:
        scores = [_score_of_rare_values(column, reference, common, size, rate) for size in sizes]
        thresholds = [max(pair) for pair in zip(thresholds, scores, strict=True)]
    return ColumnThresholds(method, rows, sizes, tuple(thresholds))


def _commonest(reference: "pd.Series[Any]") -> Any:
    """The value that nearly all rows hold, if there is one."""
    shares = reference.value_counts(normalize=True)
    return shares.index[0] if shares.iloc[0] >= NEARLY_ALL_ROWS else None


def _score_of_rare_values(
    column: Feature, reference: "pd.Series[Any]", common: Any, rows: int, rate: float
) -> float:
    """The severity of a window with as many other values as chance allows; the reference holds few or none.

    Windows that are drawn from the reference cannot hold more of them than the reference, so that their scores say
    nothing of it. The share is not known better than the reference's rows tell it (Jeffreys' prior).
    """
    others = reference[reference != common]
    known = len(others)
    most = int(stats.betabinom.ppf(1.0 - rate, rows, known + 0.5, len(reference) - known + 0.5))
    strange = others if known else pd.Series([common + 1.0 if column.kind == "numerical" else f"not {common}"])
    window = pd.Series([common] * (rows - most) + [strange.iloc[at % len(strange)] for at in range(most)])
    return severity(method_of(column), scorer_of(column, reference).score(window))


def size_grid(reference_rows: int) -> tuple[int, ...]:
    """Window sizes to resample at: geometric, up to half of the reference."""
    sizes = np.geomspace(MIN_VALUES, reference_rows // 2, GRID_POINTS)
    return tuple(sorted({round(size) for size in sizes}))


def _threshold(severities: Floats, rate: float, floor: float) -> float:
    quantile = tail_quantile(severities, rate)
    return quantile if quantile > 0.0 else floor


def tail_quantile(severities: Floats, rate: float) -> float:
    """The severity exceeded with this probability, from a Pearson III curve through the first three moments.

    Of 1,000 resamples only two or three lie beyond a quantile of 0.0025: the moments know it three times better.
    """
    mean, spread = float(severities.mean()), float(severities.std())
    if spread <= ROUNDING * abs(mean):  # the skewness of what differs by rounding alone is no number
        return mean
    skewness = float(np.clip(stats.skew(severities), 0.0, MOST_SKEWED))
    return mean + spread * float(stats.pearson3.ppf(1.0 - rate, skewness))
