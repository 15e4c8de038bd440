"""The drift score of one column: Evidently's stat tests by name, and our defaults.

Evidently takes 4 seconds to import, which a service is spared that needs only the defaults.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from sextant.contracts.schema import Feature, Kind

Floats = NDArray[np.float64]

CLIPPED_WASSERSTEIN = "wasserstein_clipped"
CLIP_QUANTILES = (0.005, 0.995)

DEFAULT_METHODS: dict[Kind, str] = {"numerical": CLIPPED_WASSERSTEIN, "categorical": "jensenshannon"}
"""Chosen by measurement on real taxi months: see docs/decisions."""

PERMUTATION_METHODS = frozenset({"TVD", "empirical_mmd"})
"""Methods that resample on every call, for seconds: their p-value is calibrated already, if coarse."""

SMALLEST_NORM = 0.001  # Evidently's, for a constant reference
HUGE = 1e100  # whose square is not far from the largest number


@dataclass(frozen=True, slots=True)
class Clip:
    """The central 99 % of a reference, outside of which a value counts as just outside.

    Where these are one value, only being below or above it counts, and it takes a share of rows to matter.
    """

    low: float
    high: float
    unit: float = 1.0
    """What values are divided by, so that the squares of huge ones are numbers still."""

    @classmethod
    def of(cls, reference: Floats) -> "Clip":
        """The clip of reference values, none of them missing."""
        largest = float(np.max(np.abs(reference)))
        unit = largest if largest > HUGE else 1.0
        low, high = np.quantile(reference / unit, CLIP_QUANTILES)
        return cls(float(low), float(high), unit)

    def __call__(self, values: Floats) -> Floats:
        """The values as they are compared."""
        values = values / self.unit
        clipped: Floats = np.sign(values - self.low) if self._one_value else np.clip(values, self.low, self.high)
        return clipped

    def norm(self, clipped_reference: Floats) -> float:
        """What distances are divided by: the reference's deviation, as Evidently has it."""
        return max(float(np.std(clipped_reference)), 0.1 if self._one_value else SMALLEST_NORM)

    @property
    def _one_value(self) -> bool:
        return self.low == self.high


def _clipped_wasserstein(
    reference: "pd.Series[float]", current: "pd.Series[float]", _: Any, threshold: float
) -> tuple[float, bool]:
    """Evidently's normed Wasserstein distance of values cut to the reference's central 99 %.

    A few absurd values otherwise blow up the standard deviation that the distance is divided by.
    """
    known, now = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    clip = Clip.of(known)
    score = float(wasserstein_distance(clip(known), clip(now))) / clip.norm(clip(known))
    return score, score >= threshold


@cache
def evidently_tests() -> Any:
    """Evidently's registry of stat tests; reports and scores find ours there by its name, like its own."""
    from evidently.legacy.calculations.stattests import registry
    from evidently.legacy.core import ColumnType

    ours = registry.StatTest(
        name=CLIPPED_WASSERSTEIN,
        display_name="Wasserstein distance (normed, outliers clipped)",
        allowed_feature_types=[ColumnType.Numerical],
        default_threshold=0.1,
    )
    registry.register_stattest(ours, _clipped_wasserstein)
    return registry


def _column_type(kind: Kind) -> Any:
    from evidently.legacy.core import ColumnType

    return ColumnType[kind.capitalize()]


def method_of(feature: Feature) -> str:
    """The stat test that the bundle chose for the feature, or the default for its kind."""
    return feature.drift_method or DEFAULT_METHODS[feature.kind]


def drift_score(feature: Feature, reference: "pd.Series[Any]", current: "pd.Series[Any]") -> float:
    """Evidently's score of a column's current values against the reference's (both without missing values).

    Raises ValueError when the method is unknown, does not suit the kind, or gives no number.
    """
    tests, column_type = evidently_tests(), _column_type(feature.kind)
    test = tests.get_registered_stattest(method_of(feature), column_type)
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


def evidently_default_drifted(
    reference: Mapping[str, "pd.Series[Any]"], columns: Sequence[Feature], window: pd.DataFrame
) -> bool:
    """Whether Evidently's own defaults (test, threshold, half of the columns) see dataset drift."""
    drifted = 0
    for column in columns:
        kind, known = _column_type(column.kind), reference[column.name]
        test = evidently_tests().get_stattest(known, window[column.name], kind, None)
        drifted += bool(test(known, window[column.name], kind, None).drifted)
    return drifted / len(columns) >= 0.5
