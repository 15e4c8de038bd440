"""The drift score of one column: Evidently's stat tests by name, which way each points, and our defaults."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests import wasserstein_stat_test
from evidently.legacy.calculations.stattests.registry import (
    StatTest,
    get_registered_stattest,
    get_stattest,
    register_stattest,
)
from evidently.legacy.core import ColumnType

from contracts.schema import Feature, Kind

CLIPPED_WASSERSTEIN = "wasserstein_clipped"
CLIP_QUANTILES = (0.005, 0.995)

DEFAULT_METHODS: dict[Kind, str] = {"numerical": CLIPPED_WASSERSTEIN, "categorical": "jensenshannon"}
"""Chosen by measurement on real taxi months: see docs/decisions."""

P_VALUE_METHODS = frozenset(
    {
        *("anderson", "chisquare", "cramer_von_mises", "es", "fisher_exact", "g_test"),
        *("ks", "mannw", "t_test", "z", "empirical_mmd", "TVD"),
    }
)
"""Methods whose score is a p-value: small means drift. All others are distances: large means drift."""

PERMUTATION_METHODS = frozenset({"TVD", "empirical_mmd"})
"""Methods that resample on every call, for seconds: their p-value is calibrated already, if coarse."""

SMALLEST_P_VALUE = 1e-300
COLUMN_TYPES = {"numerical": ColumnType.Numerical, "categorical": ColumnType.Categorical}


def clip_bounds(reference: Any) -> tuple[float, float]:
    """The central 99 % of the reference, outside of which a value counts as just outside."""
    low, high = np.quantile(np.asarray(reference, dtype=float), CLIP_QUANTILES)
    return float(low), float(high)


def _clipped_wasserstein(
    reference: "pd.Series[float]", current: "pd.Series[float]", column_type: ColumnType, threshold: float
) -> tuple[float, bool]:
    """Evidently's normed Wasserstein distance of values cut to the reference's central 99 %.

    A few absurd values otherwise blow up the standard deviation that the distance is divided by.
    """
    low, high = clip_bounds(reference)
    clipped = (reference.clip(low, high), current.clip(low, high))
    score, drifted = wasserstein_stat_test.func(*clipped, column_type, threshold)
    return float(score), bool(drifted)


# Evidently's own extension point: reports and scores find the method by its name, like the built-in ones.
register_stattest(
    StatTest(
        name=CLIPPED_WASSERSTEIN,
        display_name="Wasserstein distance (normed, outliers clipped)",
        allowed_feature_types=[ColumnType.Numerical],
        default_threshold=0.1,
    ),
    _clipped_wasserstein,
)


def method_of(feature: Feature) -> str:
    """The stat test that the bundle chose for the feature, or the default for its kind."""
    return feature.drift_method or DEFAULT_METHODS[feature.kind]


def drift_score(feature: Feature, reference: "pd.Series[Any]", current: "pd.Series[Any]") -> float:
    """Evidently's score of a column's current values against the reference's (both without missing values).

    Raises ValueError when the method is unknown, does not suit the kind, or gives no number.
    """
    column_type = COLUMN_TYPES[feature.kind]
    test = get_registered_stattest(method_of(feature), column_type)
    if feature.kind == "categorical":
        reference, current = _numbered(reference, current)
    with np.errstate(all="ignore"):
        score = float(test(reference, current, column_type, None).drift_score)
    if not math.isfinite(score):
        raise ValueError(f"{method_of(feature)} gave {score} instead of a number")
    return score


def _numbered(reference: "pd.Series[Any]", current: "pd.Series[Any]") -> "tuple[pd.Series[Any], pd.Series[Any]]":
    """Categories as numbers, which Evidently's sets hold in the same order in every process, unlike texts.

    So a restarted service repeats the last digit of a score; it is also quicker.
    """
    codes, _ = pd.factorize(pd.concat([reference, current], ignore_index=True))
    return pd.Series(codes[: len(reference)]), pd.Series(codes[len(reference) :])


def severity(method: str, score: float) -> float:
    """The score on a scale where more means more drift: a distance itself, or -log10 of a p-value."""
    return -math.log10(max(score, SMALLEST_P_VALUE)) if method in P_VALUE_METHODS else score


def score_at(method: str, severity: float) -> float:
    """The score that has this severity."""
    return float(10.0**-severity) if method in P_VALUE_METHODS else severity


def evidently_default_drifted(
    reference: Mapping[str, "pd.Series[Any]"], columns: Sequence[Feature], window: pd.DataFrame
) -> bool:
    """Whether Evidently's own defaults (test, threshold, half of the columns) see dataset drift."""
    drifted = 0
    for column in columns:
        kind, known = COLUMN_TYPES[column.kind], reference[column.name]
        test = get_stattest(known, window[column.name], kind, None)
        drifted += bool(test(known, window[column.name], kind, None).drifted)
    return drifted / len(columns) >= 0.5
