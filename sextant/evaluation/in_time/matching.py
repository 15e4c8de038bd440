"""A window's rows beside the reference rows of the same hours."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sextant.evaluation.frames import ConformedFrame
from sextant.evaluation.in_time.hours import EVENT_HOUR, NO_TIME, Hours, Weights, in_words


@dataclass(frozen=True)
class Matching:
    """The hours of a window's rows, and the reference's."""

    hours: Hours
    index: "pd.Index[Any]"
    """Of the reference rows."""

    bins: "pd.Series[Any]"
    """Of the window's rows."""

    left_out: NDArray[np.intp] | None = None
    """Reference rows that are not compared with: those of the block that is scored."""

    def weights(self, rows: "pd.Index[Any]") -> Weights:
        """The weight of each reference row for these rows of the window."""
        weights = self.hours.weights(self.bins.loc[rows].to_numpy())
        if self.left_out is not None:
            weights[self.left_out] = 0.0
        return weights

    def mean(self, known: "pd.Series[float]", rows: "pd.Index[Any]") -> float:
        """The mean of the reference's values at the hours of these rows; NaN where none are of these hours."""
        return weighted_mean(known, self.index, self.weights(rows))


def weighted_mean(known: "pd.Series[float]", index: "pd.Index[Any]", weights: Weights) -> float:
    """The mean of values that are known of some rows, where all rows have weights; NaN without any weight."""
    of_known = weights[index.get_indexer(known.index)]
    total = float(of_known.sum())
    return float(known.to_numpy() @ of_known) / total if total > 0.0 else float("nan")


@dataclass(frozen=True, slots=True)
class WindowHours:
    """Which rows of a window have reference rows of their hours, and what is said of the others."""

    supported: NDArray[np.bool_]
    without_time: int = 0
    unsupported: str = ""
    """The hours of which the reference has too few rows, in words."""

    @classmethod
    def of(cls, hours: Hours | None, window: pd.DataFrame) -> Self:
        """Of a window beside a reference with these hours; with None all rows are compared."""
        if hours is None:
            return cls(np.ones(len(window), dtype=bool))
        bins = window[EVENT_HOUR].to_numpy()
        supported = hours.supported(bins)
        return cls(supported, int((bins == NO_TIME).sum()), in_words(bins[~supported]))

    @property
    def unsupported_rows(self) -> int:
        """How many rows are not compared."""
        return int((~self.supported).sum())

    def judged(self, window: ConformedFrame) -> ConformedFrame:
        """The rows that are compared."""
        return window if self.supported.all() else ConformedFrame(window[self.supported])
