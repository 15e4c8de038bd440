"""Features as a matrix of numbers, for the models that evaluation trains: domain classifier and estimators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sextant.contracts.schema import Feature

KNOWN_CATEGORIES = 240
"""scikit-learn's histogram trees take at most 255 categories of a feature."""

RARE, UNSEEN = KNOWN_CATEGORIES, KNOWN_CATEGORIES + 1

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureEncoder:
    """Numbers as they are; categories by their rank in the reference, the rare ones as one; NaN where missing."""

    features: tuple[Feature, ...]
    codes: Mapping[str, Mapping[str, int]]

    @classmethod
    def fit(cls, features: Sequence[Feature], reference: pd.DataFrame) -> Self:
        """An encoder of these columns of a conformed reference frame."""
        codes = {f.name: _codes(reference[f.name]) for f in features if f.kind == "categorical"}
        return cls(tuple(features), codes)

    @property
    def categorical(self) -> list[bool]:
        """For each column of the matrix whether its numbers are codes of categories."""
        return [feature.kind == "categorical" for feature in self.features]

    def transform(self, frame: pd.DataFrame) -> Matrix:
        """The matrix of a conformed frame: a row each, a column for each feature in order."""
        return np.column_stack([self._column(feature, frame[feature.name]) for feature in self.features])

    def _column(self, feature: Feature, values: "pd.Series[Any]") -> Matrix:
        if feature.kind == "numerical":
            return values.to_numpy(dtype=float)
        known = values.map(self.codes[feature.name]).to_numpy(dtype=float)
        return np.where(np.isnan(known) & values.notna().to_numpy(), UNSEEN, known)


def _codes(values: "pd.Series[Any]") -> dict[str, int]:
    counts = values.value_counts()
    ranked = sorted(counts.index, key=lambda category: (-int(counts[category]), category))
    return {category: min(rank, RARE) for rank, category in enumerate(ranked)}
