"""How bad a drift score is, whichever way its method points; without Evidently, which takes seconds to import."""

import math

P_VALUE_METHODS = frozenset(
    {
        *("anderson", "chisquare", "cramer_von_mises", "es", "fisher_exact", "g_test"),
        *("ks", "mannw", "t_test", "z", "empirical_mmd", "TVD"),
    }
)
"""Methods whose score is a p-value: small means drift. All others are distances: large means drift."""

LARGEST = {"jensenshannon": math.sqrt(math.log(2)) + 1e-9, "hellinger": 1.0 + 1e-9}
"""Distances that have a largest value, which columns of ids always score: it must not count as drift."""

NEARLY_ALL = 0.9999
SMALLEST_P_VALUE = 1e-300


def severity(method: str, score: float) -> float:
    """The score on a scale where more means more drift: a distance itself, or -log10 of a p-value."""
    return -math.log10(max(score, SMALLEST_P_VALUE)) if method in P_VALUE_METHODS else score


def score_at(method: str, severity: float) -> float:
    """The score that has this severity."""
    return float(10.0**-severity) if method in P_VALUE_METHODS else severity


def to_noise_scale(method: str, severity: float) -> float:
    """A distance on a scale that is proportional to sampling noise, without an upper end."""
    if method not in LARGEST:
        return severity
    share = min((severity / LARGEST[method]) ** 2, 1.0 - 1e-12)
    return math.sqrt(-math.log1p(-share))


def from_noise_scale(method: str, value: float) -> float:
    """The distance that has this place on the noise scale; one that is all but the largest is the largest."""
    if method not in LARGEST:
        return value
    share = -math.expm1(-(value**2))
    return LARGEST[method] * math.sqrt(1.0 if share > NEARLY_ALL else share)


def in_thresholds(method: str, score: float, threshold: float) -> float | None:
    """How far the score is, in thresholds: above 1 it drifted; None for a threshold that is beyond all scores."""
    limit = severity(method, threshold)
    return severity(method, score) / limit if limit > 0 else None
