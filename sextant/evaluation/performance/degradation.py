"""Whether the model errs more than chance allows: against the reference, against the estimate, or as estimated."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sextant.evaluation.performance.error_growth import ErrorGrowth, Moments, measure_growth


@dataclass(frozen=True, slots=True)
class EstimatedReference:
    """The reference's labelled rows as judged by estimators that had not seen them."""

    expected: Moments
    unexplained: Moments
    """Of each row the error less the expected one."""

    error: float
    """The mean that was realised on the same rows."""

    @classmethod
    def of(cls, errors: NDArray[np.float64], expected: "pd.Series[float]") -> Self:
        """From the same rows' errors, realised and expected."""
        return cls(Moments.of(expected), Moments.of(errors - expected), float(errors.mean()))


def measure_performance_degradation(
    errors: "pd.Series[float]", reference: Moments | None, rate: float | None
) -> ErrorGrowth | None:
    """The labelled rows' error against the reference's; None while either is unknown."""
    return None if reference is None else measure_growth(errors, reference, error=reference.mean, rate=rate)


def measure_concept_drift(
    errors: "pd.Series[float]", expected: "pd.Series[float]", reference: EstimatedReference, rate: float | None
) -> ErrorGrowth | None:
    """The error beyond what the labelled rows' own features make expect: concept drift proper."""
    unexplained = (errors - expected.reindex(errors.index)).dropna()
    return measure_growth(unexplained, reference.unexplained, error=reference.error, rate=rate)


def measure_estimated_degradation(
    expected: "pd.Series[float]", reference: EstimatedReference, rate: float | None
) -> ErrorGrowth | None:
    """The expected error of all rows against the reference's."""
    return measure_growth(expected.dropna(), reference.expected, error=reference.expected.mean, rate=rate)
