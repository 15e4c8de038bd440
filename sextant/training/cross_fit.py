"""Predictions for the rows that a model learns from, each by a pipeline that has not seen its day."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sextant.contracts.schema import FeatureSchema
from sextant.training.export import Predictions, pipeline_input
from sextant.use_cases.use_case import Examples, UseCase


def cross_fitted(
    use_case: UseCase,
    schema: FeatureSchema,
    rows: Examples,
    folds: npt.NDArray[np.intp],
    *,
    classes: tuple[str, ...] | None,
    seed: int,
) -> Predictions:
    """For each fold the predictions of a pipeline that was fitted on the others; probabilities by `classes`."""
    inputs = pipeline_input(schema, rows.features)
    values: npt.NDArray[Any] = np.empty(len(rows), dtype=object if classes else np.float64)
    chances = np.zeros((len(rows), len(classes))) if classes else None
    for fold in np.unique(folds):
        here = folds == fold
        pipeline = use_case.make_pipeline(seed)
        pipeline.fit(inputs[~here], rows.target[~here])
        values[here] = pipeline.predict(inputs[here])
        if chances is not None and classes is not None:
            known = np.array([classes.index(str(name)) for name in pipeline.classes_])
            chances[np.ix_(np.flatnonzero(here), known)] = pipeline.predict_proba(inputs[here])
    return Predictions(values.astype(str) if classes else values, chances)
