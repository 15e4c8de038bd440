"""Trains a use case's pipeline and evaluates it on rows that it has not seen."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sextant.contracts.schema import FeatureSchema, Task
from sextant.evaluation.in_time.null import RECIPE as BLOCKS_RECIPE
from sextant.training.cross_fit import cross_fitted
from sextant.training.export import (
    OnnxModel,
    Predictions,
    awkward_rows,
    export,
    largest_difference,
    pipeline_input,
    pipeline_predictions,
    require_agreement,
)
from sextant.training.split import Split, known_schema
from sextant.use_cases.use_case import Examples, UseCase

RECIPE = 4
"""Increase it when the way from data to bundle changes, so that the same data give another bundle."""

LIBRARIES = ("numpy", "onnx", "onnxruntime", "pandas", "scikit-learn", "skl2onnx", "skops")


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A fitted pipeline, its ONNX form, and how well it does on rows that were not trained on."""

    pipeline: Any
    onnx: bytes
    onnx_difference: float
    schema: FeatureSchema
    classes: tuple[str, ...] | None
    scored: Predictions
    """Of the split's scored rows, in their order."""
    metrics: Mapping[str, float]
    """On the reference rows."""
    baseline: Mapping[str, float]
    """The same measures for a model that always predicts the median, or the most common class."""
    holdout_metrics: Mapping[str, float]
    """Of the served model on later days; empty where the split is not by time."""


def libraries() -> dict[str, str]:
    """The versions of the libraries that a bundle depends on."""
    return {name: version(name) for name in LIBRARIES}


def fingerprint(use_case: UseCase, cleaned: Examples, seed: int) -> str:
    """Eight hex digits that identify what a model is made from: rows, pipeline, seed and libraries."""
    parameters = use_case.make_pipeline(seed).get_params()
    recipe = {
        "recipe": [RECIPE, BLOCKS_RECIPE],
        "use_case": [use_case.name, use_case.task, use_case.target, use_case.about, *use_case.segments],
        "time": use_case.time,
        "features": [feature.model_dump() for feature in use_case.features],
        "pipeline": sorted(f"{name}={value!r}" for name, value in parameters.items()),
        "seed": seed,
        "libraries": libraries(),
    }
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    beside = dict.fromkeys([*use_case.segments, *([use_case.time] if use_case.time else [])])
    context = cleaned.context[[name for name in beside if name in cleaned.context]]
    rows = pd.concat([cleaned.features, cleaned.target.rename("target"), context], axis=1)
    digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:8]


def train(use_case: UseCase, split: Split, seed: int) -> TrainedModel:
    """Fit, export and evaluate; raises OnnxDiffers when ONNX and scikit-learn disagree."""
    task, schema = use_case.task, known_schema(use_case.limits, split.training)
    pipeline = use_case.make_pipeline(seed)
    pipeline.fit(pipeline_input(schema, split.training.features), split.training.target)
    onnx = export(pipeline, schema, use_case.name, task)
    served = OnnxModel(onnx, schema, task)
    difference = _difference(pipeline, served, schema, task, split.unseen.features)
    classes = tuple(map(str, pipeline.classes_)) if task == "classification" else None
    scored = (
        served.predict(split.scored.features)
        if split.folds is None
        else cross_fitted(use_case, schema, split.scored, split.folds, classes=classes, seed=seed)
    )
    truth = split.reference.target.to_numpy()
    constant = _baseline(task, split.training.target, len(truth))
    return TrainedModel(
        pipeline=pipeline,
        onnx=onnx,
        onnx_difference=difference,
        schema=schema,
        classes=classes,
        scored=scored,
        metrics=measures(task, truth, scored.take(split.reference_positions), classes),
        baseline=measures(task, truth, Predictions(constant, None), classes),
        holdout_metrics=_on_later_days(use_case, split, served, classes),
    )


def _on_later_days(
    use_case: UseCase, split: Split, served: OnnxModel, classes: tuple[str, ...] | None
) -> dict[str, float]:
    if split.timing is None:
        return {}
    later = split.holdout
    return measures(use_case.task, later.target.to_numpy(), served.predict(later.features), classes)


def _difference(
    pipeline: Any, served: OnnxModel, schema: FeatureSchema, task: Task, held_out: pd.DataFrame
) -> float:
    rows = pd.concat([held_out, awkward_rows(schema, held_out)], ignore_index=True)
    ours, theirs = served.predict(rows), pipeline_predictions(pipeline, schema, task, rows)
    require_agreement(ours, theirs)
    return largest_difference(ours, theirs)


def _baseline(task: Task, seen: "pd.Series[Any]", rows: int) -> npt.NDArray[Any]:
    return np.full(rows, seen.median() if task == "regression" else seen.mode()[0])


def measures(
    task: Task, truth: npt.NDArray[Any], predictions: Predictions, classes: tuple[str, ...] | None
) -> dict[str, float]:
    """mae, rmse and r2; or accuracy and the macro averages of precision, recall, f1 and roc_auc."""
    from sklearn import metrics as measure

    values = predictions.values
    if task == "regression":
        found = {
            "mae": measure.mean_absolute_error(truth, values),
            "rmse": measure.root_mean_squared_error(truth, values),
            "r2": measure.r2_score(truth, values),
        }
    else:
        macro = {"average": "macro", "zero_division": 0}
        found = {"accuracy": measure.accuracy_score(truth, values)}
        found |= {
            name: getattr(measure, f"{name}_score")(truth, values, **macro)
            for name in ("precision", "recall", "f1")
        }
        if predictions.probabilities is not None and classes is not None:
            found["roc_auc"] = _roc_auc(truth, predictions.probabilities, classes)
    return {name: round(float(value), 6) for name, value in found.items()}


def _roc_auc(truth: npt.NDArray[Any], probabilities: npt.NDArray[np.float64], classes: tuple[str, ...]) -> float:
    from sklearn.metrics import roc_auc_score

    if len(classes) == 2:
        return float(roc_auc_score(truth == classes[1], probabilities[:, 1]))
    return float(roc_auc_score(truth, probabilities, multi_class="ovr", labels=list(classes)))
