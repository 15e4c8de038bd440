"""How well the model did on the rows whose target is known.

Measured to the values of Evidently's metrics, for classes with the scikit-learn functions that those call:
Evidently's make a page of plots beside, and raise for a window that holds two of three classes or whose errors are
all equal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import metrics

from sextant.contracts.model_bundle import Manifest
from sextant.contracts.schema import Task
from sextant.evaluation.frames import PREDICTION, PROBABILITY_PREFIX, TARGET

MIN_LABELLED = 30
"""Fewer labelled rows say nothing about a model."""

HEADLINE: Mapping[Task, str] = {"regression": "mae", "classification": "accuracy"}
"""The one measure that says how wrong the model is, or how right."""

Weights = NDArray[np.float64] | None
"""Of the rows; None: all weigh the same."""

Measure = Callable[[pd.DataFrame, Weights], float]


@dataclass(frozen=True, slots=True)
class Performance:
    """Measures by name over the labelled rows, and the reason for each that could not be taken."""

    labelled_rows: int
    measures: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


def measure_performance(frame: pd.DataFrame, manifest: Manifest) -> Performance:
    """Performance on the labelled rows of a conformed frame; no measures when they are too few."""
    return measure_labelled(frame.dropna(subset=[PREDICTION, TARGET]), manifest)


def measure_labelled(labelled: pd.DataFrame, manifest: Manifest, weights: Weights = None) -> Performance:
    """The same of rows that all are labelled, which may have weights."""
    if weights is not None and not weights.all():
        labelled, weights = labelled[weights > 0.0], weights[weights > 0.0]
    if len(labelled) < MIN_LABELLED:
        return Performance(len(labelled))
    wanted = REGRESSION if manifest.task == "regression" else _classification(labelled, manifest.classes or ())
    measures: dict[str, float] = {}
    errors: dict[str, str] = {}
    for name, measure in wanted.items():
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                measures[name] = float(measure(labelled, weights))
        except ValueError as error:
            errors[name] = str(error)
    return Performance(len(labelled), measures, errors)


def _scored(function: Callable[..., float], **options: object) -> Measure:
    return lambda rows, weights: function(rows[TARGET], rows[PREDICTION], sample_weight=weights, **options)


def _errors(rows: pd.DataFrame) -> NDArray[np.float64]:
    errors: NDArray[np.float64] = rows[PREDICTION].to_numpy() - rows[TARGET].to_numpy()
    return errors


def _mean(values: NDArray[np.float64], weights: Weights) -> float:
    return float(np.average(values, weights=weights))


def _r2(rows: pd.DataFrame, weights: Weights) -> float:
    targets = rows[TARGET].to_numpy()
    if (targets == targets[0]).all():
        raise ValueError("r2 is undefined while all targets are equal")
    spread = _mean((targets - _mean(targets, weights)) ** 2, weights)
    return 1.0 - _mean(_errors(rows) ** 2, weights) / spread


REGRESSION: Mapping[str, Measure] = {
    "mae": lambda rows, weights: _mean(np.abs(_errors(rows)), weights),
    "rmse": lambda rows, weights: _mean(_errors(rows) ** 2, weights) ** 0.5,
    "r2": _r2,
    "mean_error": lambda rows, weights: _mean(_errors(rows), weights),
}
"""Errors are prediction less target, so a positive mean error means that the model predicts too much."""

# Averaged over the classes, each weighing the same.
_MACRO = {"average": "macro", "zero_division": 0}
CLASSIFICATION: Mapping[str, Measure] = {
    "accuracy": _scored(metrics.accuracy_score),
    "precision": _scored(metrics.precision_score, **_MACRO),
    "recall": _scored(metrics.recall_score, **_MACRO),
    "f1": _scored(metrics.f1_score, **_MACRO),
}


def _classification(labelled: pd.DataFrame, classes: Sequence[str]) -> dict[str, Measure]:
    wanted = dict(CLASSIFICATION)
    probabilities = [f"{PROBABILITY_PREFIX}{name}" for name in classes]
    if classes and set(probabilities) <= set(labelled.columns) and labelled[probabilities].notna().all(axis=None):
        wanted |= {"roc_auc": partial(_roc_auc, classes=classes), "log_loss": partial(_log_loss, classes=classes)}
    return wanted


def _log_loss(rows: pd.DataFrame, weights: Weights, classes: Sequence[str]) -> float:
    ordered = sorted(classes)  # as scikit-learn takes the columns, whatever order the labels are given in
    probabilities = rows[[f"{PROBABILITY_PREFIX}{name}" for name in ordered]]
    return float(metrics.log_loss(rows[TARGET], probabilities, labels=ordered, sample_weight=weights))


def _roc_auc(rows: pd.DataFrame, weights: Weights, classes: Sequence[str]) -> float:
    """Each class against the rest, averaged over the classes that the targets hold."""
    present = [name for name in classes if 0 < int((rows[TARGET] == name).sum()) < len(rows)]
    if not present:
        raise ValueError("roc_auc is undefined while all targets are of one class")
    return float(np.mean([_area(rows, name, weights) for name in present]))


def _area(rows: pd.DataFrame, name: str, weights: Weights) -> float:
    scores = rows[f"{PROBABILITY_PREFIX}{name}"]
    return float(metrics.roc_auc_score(rows[TARGET] == name, scores, sample_weight=weights))


def labelled_errors(frame: pd.DataFrame, task: Task) -> "pd.Series[float]":
    """The errors of a conformed frame's labelled rows; one too large for a float is left out."""
    errors = row_errors(frame.dropna(subset=[PREDICTION, TARGET]), task)
    return errors[np.isfinite(errors)]


def prediction_mean(frame: pd.DataFrame, task: Task) -> float | None:
    """The mean prediction of a conformed frame; None for a classifier's, or where there is none."""
    if task != "regression" or not frame[PREDICTION].notna().any():
        return None
    return float(frame[PREDICTION].mean())


def row_errors(labelled: pd.DataFrame, task: Task) -> "pd.Series[float]":
    """How wrong each labelled row is: its absolute error, or 1 for a wrong class."""
    if task == "regression":
        return (labelled[PREDICTION] - labelled[TARGET]).abs()
    return (labelled[PREDICTION] != labelled[TARGET]).astype(float)
