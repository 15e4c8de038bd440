"""What judges the same windows in `benchmarks.time_order`: Sextant, its shuffled thresholds, NannyML's rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from benchmarks.time_order_rows import Trial
from sextant.evaluation.drift.calibration import Calibration, calibrate, calibrate_segments
from sextant.evaluation.drift.column import InTime, Thresholds
from sextant.evaluation.drift.multivariate import METHOD, MULTIVARIATE_DRIFT, DomainClassifier
from sextant.evaluation.evaluate import evaluate
from sextant.evaluation.frames import PREDICTION, TARGET
from sextant.evaluation.in_time.null import Nulls
from sextant.evaluation.nulls import measure_nulls
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdicts import KINDS

RATE = 0.01
VERDICTS = tuple(kind.name for kind in KINDS if kind.name != "drift")
"""All but that of each column, which dataset drift sums up."""

Alarms = Mapping[str, bool]


class Judge(Protocol):
    """Tells which verdicts alarm."""

    def alarms(self, window: pd.DataFrame, *, together: bool) -> Alarms:
        """By verdict; `together`: also the slow test of all features."""


@dataclass(frozen=True)
class RandomOrder:
    """Thresholds made of shuffled rows: those of columns, of segments, and of all features together."""

    columns: Calibration
    segments: Calibration
    together: Thresholds | None

    @classmethod
    def of(cls, trial: Trial, *, together: bool) -> Self:
        """Some ten seconds, and thirty more for all features together."""
        reference = Reference.prepare(trial.manifest, reference_rows(trial))
        parts = {name: part.values for name, part in reference.segments.items()}
        return cls(
            calibrate(reference.values, reference.columns, false_alarm_rate=RATE),
            calibrate_segments(parts, reference.columns, false_alarm_rate=RATE),
            DomainClassifier(reference).calibrate(false_alarm_rate=RATE) if together else None,
        )


@dataclass(frozen=True)
class Sextant:
    """evaluate() with everything that it is given."""

    reference: Reference
    estimator: PerformanceEstimator
    domain: DomainClassifier
    columns: Calibration
    segments: Calibration
    together: Thresholds | None

    @classmethod
    def in_time(cls, trial: Trial, rate: float) -> Self:
        """With the thresholds that come with the bundle."""
        nulls = Nulls.from_json(measure_nulls(trial.manifest, trial.dense, trial.reference_positions))
        reference = Reference.prepare(trial.manifest, reference_rows(trial), nulls)
        none = Calibration(rate, {}, {})
        null = nulls.of((MULTIVARIATE_DRIFT, "", "")) if nulls else None
        together = InTime(METHOD, null, rate) if null else None
        return cls(
            reference, PerformanceEstimator.fit(reference), DomainClassifier(reference), none, none, together
        )

    @classmethod
    def shuffled(cls, trial: Trial, thresholds: RandomOrder) -> Self:
        """With those of random order."""
        reference = Reference.prepare(trial.manifest, reference_rows(trial))
        estimator, domain = PerformanceEstimator.fit(reference), DomainClassifier(reference)
        return cls(reference, estimator, domain, thresholds.columns, thresholds.segments, thresholds.together)

    def alarms(self, window: pd.DataFrame, *, together: bool) -> Alarms:
        """Every verdict."""
        rows = self.reference.conform(window)
        found = evaluate(
            self.reference, rows, self.columns, segment_calibration=self.segments, estimator=self.estimator
        )
        alarms = {
            name: any(verdict.detected for verdict in found.of(name))
            for name in VERDICTS
            if name != MULTIVARIATE_DRIFT
        }
        if together and self.together is not None:
            alarms[MULTIVARIATE_DRIFT] = bool(self.domain.measure(rows, self.together).detected)
        return alarms


def reference_rows(trial: Trial) -> pd.DataFrame:
    """The rows that a bundle would keep."""
    return trial.dense.iloc[trial.reference_positions].reset_index(drop=True)


@dataclass(frozen=True)
class Distances:
    """How far rows are from a whole reference, by column, and their mean error."""

    numbers: Mapping[str, NDArray[np.float64]]
    shares: Mapping[str, "pd.Series[float]"]

    @classmethod
    def of(cls, trial: Trial) -> Self:
        """From all rows of the reference period."""
        categories = categorical(trial)
        numbers = {name: trial.dense[name].to_numpy() for name in monitored(trial) if name not in categories}
        return cls(numbers, {name: trial.dense[name].value_counts(normalize=True) for name in categories})

    def to(self, rows: pd.DataFrame) -> dict[str, float]:
        """Wasserstein or Jensen-Shannon distances."""
        found = {name: float(wasserstein_distance(whole, rows[name])) for name, whole in self.numbers.items()}
        for name, whole in self.shares.items():
            left, right = whole.align(rows[name].value_counts(normalize=True), fill_value=0.0)
            found[name] = float(jensenshannon(left, right, base=2))
        return {**found, MEAN_ERROR: float((rows[TARGET] - rows[PREDICTION]).abs().mean())}


MEAN_ERROR = "mean absolute error"


@dataclass(frozen=True)
class Chunks:
    """NannyML's rule without NannyML: beyond the mean of consecutive reference chunks plus three deviations."""

    distances: Distances
    highest: Mapping[str, float]

    @classmethod
    def of(cls, trial: Trial, size: int) -> Self:
        """From all reference rows in time order."""
        distances, starts = Distances.of(trial), range(0, len(trial.dense) - size + 1, size)
        scores = pd.DataFrame([distances.to(trial.dense.iloc[start : start + size]) for start in starts])
        return cls(distances, {str(name): float(of.mean() + 3 * of.std(ddof=0)) for name, of in scores.items()})

    def alarms(self, window: pd.DataFrame, *, together: bool) -> Alarms:  # noqa: ARG002
        """Those that NannyML has, but for its own estimate of the error."""
        beyond = {name: score > self.highest[name] for name, score in self.distances.to(window).items()}
        degraded = beyond.pop(MEAN_ERROR)
        return {"dataset_drift": any(beyond.values()), "performance_degradation": degraded}


def monitored(trial: Trial) -> list[str]:
    """The columns that both watch: the features, the prediction and the target."""
    return [*trial.manifest.feature_schema.names, PREDICTION, TARGET]


def categorical(trial: Trial) -> list[str]:
    """Those of them that hold categories."""
    return [feature.name for feature in trial.manifest.feature_schema.features if feature.kind == "categorical"]


def evenly(rows: int, size: int, most: int) -> NDArray[np.intp]:
    """Where so many windows begin, none overlapping another, spread over all rows."""
    windows = rows // size
    if windows == 0:
        return np.empty(0, dtype=np.intp)
    chosen: NDArray[np.intp] = np.unique(np.linspace(0, windows - 1, min(most, windows)).astype(np.intp)) * size
    return chosen
