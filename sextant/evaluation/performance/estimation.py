"""Performance estimated before any target arrives: how wrong the model is expected to be on rows like these.

Regression: direct loss estimation, a model of the absolute error. Classification: the confidence in the predicted
class, calibrated. Both are trained on the reference, and neither can see concept drift: they assume that the model
errs on a row as it erred on such rows before.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import KFold
from threadpoolctl import ThreadpoolController

from sextant.contracts.event_times import event_times
from sextant.contracts.model_bundle import Manifest
from sextant.contracts.schema import Task
from sextant.evaluation.encoding import FeatureEncoder, Matrix
from sextant.evaluation.frames import PREDICTION, PROBABILITY_PREFIX, TARGET, ConformedFrame, prediction_column
from sextant.evaluation.performance.error_growth import EstimatedReference
from sextant.evaluation.performance.measures import HEADLINE, MIN_LABELLED, Weights, row_errors
from sextant.evaluation.reference import Reference

ALL_ROWS = ""
"""The segment that holds every row."""

TAIL, MOST_BEYOND = 0.005, 0.025
"""Of the rows it learned from, this share lies beyond either end of the range; of a window's, so much may."""

FEWEST_BEYOND = 5
FEWEST_LABELLED = 200
FOLDS = 5
ESTIMATED = "estimated_"
"""Before the name of the measure that is estimated."""

Errors = NDArray[np.float64]
Days = NDArray[np.datetime64]


def days_of(frame: pd.DataFrame, manifest: Manifest) -> Days | None:
    """The day of each row's event; None where the rows have no times."""
    if manifest.time not in frame:
        return None
    return event_times(frame[manifest.time]).to_numpy().astype("datetime64[D]")


def _folds(rows: int, seed: int, days: Days | None) -> Iterator[tuple[Any, Any]]:
    if days is None or len(np.unique(days)) < FOLDS:
        yield from KFold(FOLDS, shuffle=True, random_state=seed).split(np.arange(rows))
        return
    for group in np.array_split(np.unique(days), FOLDS):
        held_out = np.isin(days, group)
        yield np.flatnonzero(~held_out), np.flatnonzero(held_out)


@dataclass(frozen=True)
class Recipe:
    """How a task's errors are estimated: from which numbers of a row, and by which scikit-learn regressor."""

    inputs: Callable[[pd.DataFrame], Matrix]
    new_model: Callable[[], Any]

    def trained(self, inputs: Matrix, errors: Errors) -> Any:
        """A model of these rows' errors."""
        # scikit-learn cannot bin a column without values
        known = np.where(np.isnan(inputs).all(axis=0), 0.0, inputs)
        return self.new_model().fit(known, errors)

    def cross_validated(self, inputs: Matrix, errors: Errors, seed: int, days: Days | None = None) -> Errors:
        """What is expected of each of these rows by a model of the others: of other days, where days are known."""
        expected = np.empty(len(errors))
        for others, fold in _folds(len(errors), seed, days):
            expected[fold] = self.trained(inputs[others], errors[others]).predict(inputs[fold])
        return np.clip(expected, 0.0, None)


@dataclass(frozen=True)
class PerformanceEstimator:
    """Knows on which rows of the reference the model was how wrong."""

    task: Task
    reference_measures: Mapping[str, Mapping[str, float]]
    """The estimate for the reference itself, by segment ("" for all rows), by folds that had not seen the rows."""

    estimated_reference: EstimatedReference
    recipe: Recipe
    model: Any
    familiar: Mapping[str, tuple[float, float]]
    """Of each numerical feature the range of nearly all rows that it learned from."""

    @classmethod
    def fit(cls, reference: Reference, *, seed: int = 0) -> Self:
        """Train on the reference; raises ValueError when too few of its rows have a target (and probabilities)."""
        task, recipe = reference.manifest.task, _recipe(reference, seed)
        labelled = reference.frame.dropna(subset=[PREDICTION, TARGET])
        inputs = recipe.inputs(labelled)
        told = _told(inputs)
        labelled, inputs = labelled[told], inputs[told]
        if len(labelled) < FEWEST_LABELLED:
            what = "labelled rows" if task == "regression" else "labelled rows with probabilities"
            raise ValueError(f"the reference holds {len(labelled)} {what}, fewer than {FEWEST_LABELLED}")
        errors = np.asarray(row_errors(labelled, task), dtype=np.float64)
        with _one_thread():
            days = days_of(labelled, reference.manifest)
            expected = pd.Series(recipe.cross_validated(inputs, errors, seed, days), index=labelled.index)
            model = recipe.trained(inputs, errors)
        by_segment = _by_segment(reference, task, expected)
        numerical = reference.manifest.feature_schema.numerical if task == "regression" else ()
        ranges = {name: labelled[name].quantile([TAIL, 1.0 - TAIL]) for name in numerical}
        familiar = {name: (float(low), float(high)) for name, (low, high) in ranges.items()}
        return cls(task, by_segment, EstimatedReference.of(errors, expected), recipe, model, familiar)

    def unfamiliar(self, frame: ConformedFrame) -> str:
        """Why rows are not like those that it learned from; empty when they are.

        Where a feature's values lie at or beyond the end of the known ones, the error there cannot be told.
        """
        for name, (low, high) in self.familiar.items():
            for beyond in (int((frame[name] < low).sum()), int((frame[name] > high).sum())):
                if beyond >= FEWEST_BEYOND and beyond > MOST_BEYOND * len(frame):
                    return (
                        f"outside of what the estimator has seen: {name} lies beyond {low:.3g} to {high:.3g} in "
                        f"{beyond / len(frame):.1%} of the rows"
                    )
        return ""

    def expected_errors(self, frame: pd.DataFrame) -> "pd.Series[float]":
        """Of each row of a conformed frame the expected absolute error, or chance of a wrong class, or NaN."""
        inputs = self.recipe.inputs(frame)
        told = _told(inputs)
        expected = np.full(len(frame), np.nan)
        if told.any():
            with _one_thread():
                expected[told] = np.clip(self.model.predict(inputs[told]), 0.0, None)
        return pd.Series(expected, index=frame.index)

    def measures(self, expected_errors: "pd.Series[float]", weights: Weights = None) -> dict[str, float]:
        """The estimated measure by its name over these rows' expected errors; empty when they are too few."""
        return _measures(self.task, expected_errors, weights)


def expected_on_other_days(
    reference: Reference, frame: ConformedFrame, days: Days, *, seed: int = 0
) -> "pd.Series[float]":
    """Of each row of a frame of the reference's period, the error that models of other days expect, or NaN.

    Raises ValueError as fit() does.
    """
    task, recipe = reference.manifest.task, _recipe(reference, seed)
    labelled = reference.frame.dropna(subset=[PREDICTION, TARGET])
    inputs = recipe.inputs(labelled)
    known_days = days_of(labelled, reference.manifest)
    told = _told(inputs)
    if told.sum() < FEWEST_LABELLED or known_days is None:
        raise ValueError(f"the reference holds {int(told.sum())} labelled rows of known days")
    errors, inputs, known_days = row_errors(labelled, task).to_numpy()[told], inputs[told], known_days[told]
    ours = recipe.inputs(frame)
    expected, can = np.full(len(frame), np.nan), _told(ours)
    with _one_thread():
        for group in np.array_split(np.unique(days), FOLDS):
            others, fold = ~np.isin(known_days, group), np.isin(days, group) & can
            if fold.any() and others.any():
                expected[fold] = recipe.trained(inputs[others], errors[others]).predict(ours[fold])
    return pd.Series(np.clip(expected, 0.0, None), index=frame.index)


def _measures(task: Task, expected_errors: "pd.Series[float]", weights: Weights = None) -> dict[str, float]:
    told = expected_errors.notna().to_numpy()
    if weights is not None:
        told &= weights > 0.0
    if told.sum() < MIN_LABELLED:
        return {}
    mean = float(np.average(expected_errors[told], weights=None if weights is None else weights[told]))
    return {ESTIMATED + HEADLINE[task]: mean if task == "regression" else 1.0 - mean}


def _by_segment(reference: Reference, task: Task, expected: "pd.Series[float]") -> dict[str, Mapping[str, float]]:
    parts = {name: expected[expected.index.isin(part.index)] for name, part in reference.segments.items()}
    return {segment: _measures(task, part) for segment, part in {ALL_ROWS: expected, **parts}.items()}


def _told(inputs: Matrix) -> Any:
    """Rows with a prediction, or a confidence in it: the last column of either task's inputs."""
    return np.isfinite(inputs[:, -1])


@cache
def _threadpools() -> ThreadpoolController:
    """Looking the libraries up takes 4 ms, and scikit-learn's are loaded once and for all."""
    return ThreadpoolController()


def _one_thread() -> Any:
    """A context with one OpenMP thread: the service that this runs in answers requests meanwhile."""
    return _threadpools().limit(limits=1, user_api="openmp")


def _recipe(reference: Reference, seed: int) -> Recipe:
    manifest = reference.manifest
    if manifest.task == "classification":
        return Recipe(
            lambda frame: _confidence(frame, manifest),
            lambda: IsotonicRegression(increasing=False, y_min=0.0, y_max=1.0, out_of_bounds="clip"),
        )
    columns = (*manifest.feature_schema.features, prediction_column(manifest))
    encoder = FeatureEncoder.fit(columns, reference.frame)
    return Recipe(encoder.transform, lambda: _trees(encoder, seed))


def _trees(encoder: FeatureEncoder, seed: int) -> HistGradientBoostingRegressor:
    """Squared loss, so that the mean over many rows is unbiased; few and small, since errors are mostly noise."""
    return HistGradientBoostingRegressor(
        max_iter=50,
        learning_rate=0.1,
        max_leaf_nodes=8,
        min_samples_leaf=50,
        categorical_features=encoder.categorical,
        early_stopping=False,
        random_state=seed,
    )


def _confidence(frame: pd.DataFrame, manifest: Manifest) -> Matrix:
    """The probability of each row's predicted class, as one column."""
    confidence = pd.Series(np.nan, index=frame.index)
    for name in manifest.classes or ():
        share = f"{PROBABILITY_PREFIX}{name}"
        if share in frame:
            confidence = confidence.mask(frame[PREDICTION] == name, pd.to_numeric(frame[share], errors="coerce"))
    return np.asarray(confidence, dtype=np.float64).reshape(len(frame), 1)
