"""Drift scores when nothing drifted: windows and references drawn from one reference, without replacement.

Drawing with replacement loses rare categories and so underestimates the scores of columns that have many
(measured on the taxi zones: four times the stated false-alarm rate).
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sextant.contracts.schema import Feature
from sextant.evaluation.drift.severity import severity, to_noise_scale
from sextant.evaluation.drift.stat_tests import CLIPPED_WASSERSTEIN, Clip, Floats, drift_score, method_of

RESAMPLES = 1_000
RESAMPLES_OF_EXPONENT = 50
RESAMPLES_OF_EVIDENTLY = 200  # milliseconds each, where the two defaults take microseconds


def null_severities(
    feature: Feature, reference: "pd.Series[Any]", rows: int, random: np.random.Generator
) -> Floats:
    """Severities of undrifted windows of `rows` rows; the default methods are vectorised, the others called."""
    method = method_of(feature)
    if method == CLIPPED_WASSERSTEIN:
        return _wasserstein(reference.to_numpy(dtype=float), rows, RESAMPLES, random)
    if method == "jensenshannon" and feature.kind == "categorical":
        return jensen_shannon(reference.value_counts().to_numpy(), rows, RESAMPLES, random)
    scores = [_called(feature, reference, rows, random) for _ in range(RESAMPLES_OF_EVIDENTLY)]
    return np.array([severity(method, score) for score in scores])


def _called(feature: Feature, reference: "pd.Series[Any]", rows: int, random: np.random.Generator) -> float:
    order = random.permutation(len(reference))
    return drift_score(feature, reference.iloc[order[rows:]], reference.iloc[order[:rows]])


def _wasserstein(values: Floats, rows: int, resamples: int, random: np.random.Generator) -> Floats:
    clip = Clip.of(values)
    ordered = np.sort(clip(values))
    gaps = np.diff(ordered)
    windows = (random.choice(len(ordered), rows, replace=False, shuffle=False) for _ in range(resamples))
    return np.array([window_distance(ordered, gaps, window, clip) for window in windows])


def window_distance(ordered: Floats, gaps: Floats, window: NDArray[np.intp], clip: Clip) -> float:
    """Normed Wasserstein distance of the window at these positions of the clipped values to all the others.

    `gaps` lie between the values in order.
    """
    count = len(ordered)
    drawn = np.bincount(window, minlength=count)
    share_of_window = np.cumsum(drawn) / len(window)
    share_of_all = np.arange(1, count + 1) / count
    # The others' distribution is all less the window, so that only the window has to be counted.
    difference = np.abs(share_of_window - share_of_all) * (count / (count - len(window)))
    distance = float(difference[:-1] @ gaps)
    return distance / clip.norm(ordered)  # the whole reference's, as a window's distance is divided by


def jensen_shannon(
    counts: NDArray[np.integer[Any]], rows: int, resamples: int, random: np.random.Generator
) -> Floats:
    """Jensen-Shannon distances of windows drawn from these category counts to what remains."""
    drawn = random.multivariate_hypergeometric(counts, rows, size=resamples)
    return _jensen_shannon(drawn, counts - drawn)


def reference_exponent(
    feature: Feature, reference: "pd.Series[Any]", rows: int, random: np.random.Generator
) -> float:
    """How scores shrink as the reference grows: with the sampling noise to this power, at this window size.

    1 for most columns. Where many categories are rare, a larger reference hardly holds more of those that a window
    brings, and scores shrink less. Measured for the default method of categories, between half of the rows that a
    window leaves and all of them.
    """
    if method_of(feature) != "jensenshannon" or feature.kind != "categorical":
        return 1.0
    counts = reference.value_counts().to_numpy()
    drawn = random.multivariate_hypergeometric(counts, rows, size=RESAMPLES_OF_EXPONENT)
    others = counts - drawn
    half = np.array([random.multivariate_hypergeometric(each, (len(reference) - rows) // 2) for each in others])
    more, fewer = (
        np.mean([to_noise_scale("jensenshannon", score) for score in _jensen_shannon(drawn, each)])
        for each in (others, half)
    )
    noise = sampling_noise(rows, len(reference) - rows) / sampling_noise(rows, (len(reference) - rows) // 2)
    exponent = math.log(more / fewer) / math.log(noise) if more > 0.0 and fewer > 0.0 else 1.0
    return min(max(exponent, 0.0), 1.0)


def sampling_noise(window_rows: int, reference_rows: int) -> float:
    """What the distance of two samples of one distribution is proportional to, where each value is frequent."""
    return math.sqrt(1 / window_rows + 1 / reference_rows)


def _jensen_shannon(window_counts: NDArray[np.integer[Any]], other_counts: NDArray[np.integer[Any]]) -> Floats:
    """The distance of each row of counts to the same row of the others."""
    window = window_counts / window_counts.sum(axis=1, keepdims=True)
    others = other_counts / other_counts.sum(axis=1, keepdims=True)
    middle = (window + others) / 2
    divergence = (_relative_entropy(window, middle) + _relative_entropy(others, middle)) / 2
    distances: Floats = np.sqrt(np.maximum(divergence, 0.0))
    return distances


def _relative_entropy(share: Floats, middle: Floats) -> Floats:
    ratio = np.divide(share, middle, out=np.ones_like(share), where=share > 0)
    entropy: Floats = (share * np.log(ratio)).sum(axis=1)
    return entropy
