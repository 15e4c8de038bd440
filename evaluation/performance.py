"""How well the model did on the rows whose target is known, through Evidently's metrics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, MulticlassClassification, Regression, Report
from evidently import metrics as evidently_metrics

from contracts.model_bundle import Manifest
from contracts.schema import Task
from evaluation.columns import PREDICTION, PROBABILITY_PREFIX, TARGET

MIN_LABELLED = 30
"""Fewer labelled rows say nothing about a model."""

MetricFactory = Callable[[], Any]

# Without the plots, which would be computed and thrown away.
REGRESSION: dict[str, MetricFactory] = {
    "mae": lambda: evidently_metrics.MAE(error_distr=False),
    "rmse": lambda: evidently_metrics.RMSE(error_distr=False),
    "r2": lambda: evidently_metrics.R2Score(error_distr=False),
    "mean_error": lambda: evidently_metrics.MeanError(error_plot=False),
}
# Averaged over the classes, each weighing the same (macro).
CLASSIFICATION: dict[str, MetricFactory] = {
    "accuracy": evidently_metrics.Accuracy,
    "precision": lambda: evidently_metrics.Precision(conf_matrix=False),
    "recall": lambda: evidently_metrics.Recall(conf_matrix=False),
    "f1": lambda: evidently_metrics.F1Score(conf_matrix=False),
}
PROBABILISTIC: dict[str, MetricFactory] = {"roc_auc": lambda: evidently_metrics.RocAuc(roc_curve=False)}


@dataclass(frozen=True, slots=True)
class Performance:
    """Measures by name over the labelled rows, and the reason for each that could not be taken."""

    labelled_rows: int
    measures: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


def measure_performance(frame: pd.DataFrame, manifest: Manifest) -> Performance:
    """Performance on the labelled rows of a conformed frame; no measures when they are too few."""
    labelled = frame.dropna(subset=[PREDICTION, TARGET]).reset_index(drop=True)
    if len(labelled) < MIN_LABELLED:
        return Performance(len(labelled))
    if manifest.task == "regression":
        definition = DataDefinition(
            numerical_columns=[PREDICTION, TARGET], regression=[Regression(target=TARGET, prediction=PREDICTION)]
        )
        return _measured(labelled[[PREDICTION, TARGET]], [(definition, REGRESSION)])
    return _measure_classification(labelled, manifest.classes or ())


def _measure_classification(labelled: pd.DataFrame, classes: Sequence[str]) -> Performance:
    """Classes are numbered, because Evidently names probability columns like them, and a class may be 'target'."""
    names = {name: f"class {number}" for number, name in enumerate(classes)}
    frame = pd.DataFrame(
        {
            PREDICTION: labelled[PREDICTION].map(lambda value: names.get(value, value)),
            TARGET: labelled[TARGET].map(lambda value: names.get(value, value)),
        }
    )
    parts = [(_classification(), CLASSIFICATION)]
    probabilities = [f"{PROBABILITY_PREFIX}{name}" for name in classes]
    if classes and set(probabilities) <= set(labelled.columns) and labelled[probabilities].notna().all(axis=None):
        frame[list(names.values())] = labelled[probabilities].astype(float)
        parts.append((_classification(list(names.values())), PROBABILISTIC))
    return _measured(frame, parts)


def _classification(probabilities: list[str] | None = None) -> DataDefinition:
    # With probabilities Evidently decides the class anew from them, so labels are judged without.
    labels = None if probabilities else PREDICTION
    return DataDefinition(
        categorical_columns=[PREDICTION, TARGET],
        numerical_columns=probabilities,
        classification=[
            MulticlassClassification(target=TARGET, prediction_labels=labels, prediction_probas=probabilities)
        ],
    )


def _measured(
    frame: pd.DataFrame, parts: Sequence[tuple[DataDefinition, Mapping[str, MetricFactory]]]
) -> Performance:
    measures: dict[str, float] = {}
    errors: dict[str, str] = {}
    for definition, wanted in parts:
        dataset = Dataset.from_pandas(frame, data_definition=definition)
        found, wrong = _values_or_reasons(dataset, wanted)
        measures |= found
        errors |= wrong
    return Performance(len(frame), measures, errors)


def _values_or_reasons(
    dataset: Dataset, wanted: Mapping[str, MetricFactory]
) -> tuple[dict[str, float], dict[str, str]]:
    """All measures in one report; when one of them makes it raise, each in a report of its own."""
    try:
        return _values(dataset, wanted), {}
    except Exception as error:  # noqa: BLE001  Evidently raises whatever its libraries do
        if len(wanted) == 1:
            return {}, dict.fromkeys(wanted, str(error))
    measures: dict[str, float] = {}
    errors: dict[str, str] = {}
    for name, factory in wanted.items():
        found, wrong = _values_or_reasons(dataset, {name: factory})
        measures |= found
        errors |= wrong
    return measures, errors


def _values(dataset: Dataset, wanted: Mapping[str, MetricFactory]) -> dict[str, float]:
    metrics = {name: factory() for name, factory in wanted.items()}
    with np.errstate(all="ignore"):
        snapshot = Report(list(metrics.values())).run(current_data=dataset, reference_data=None)
    results = {
        name: snapshot.context.get_metric_result(metric.get_metric_id()) for name, metric in metrics.items()
    }
    values = {name: _number(result) for name, result in results.items()}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _number(result: Any) -> float:
    return float(result.mean.value if hasattr(result, "mean") else result.value)


def error_of(performance: Performance, task: Task) -> float | None:
    """The one number that says how wrong the model is: mean absolute error, or the share of wrong classes."""
    if task == "regression":
        return performance.measures.get("mae")
    accuracy = performance.measures.get("accuracy")
    return None if accuracy is None else 1.0 - accuracy


def concept_drift_ratio(now: Performance, reference: Performance, task: Task) -> float | None:
    """(error now - error on the reference) / error on the reference; None when either is unknown or zero."""
    error_now, error_then = error_of(now, task), error_of(reference, task)
    if error_now is None or not error_then:
        return None
    return (error_now - error_then) / error_then
