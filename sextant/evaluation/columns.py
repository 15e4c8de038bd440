"""The columns that are evaluated: a model's features and, beside them, its prediction and the target."""

from sextant.contracts.model_bundle import Manifest
from sextant.contracts.schema import Feature

PREDICTION = "prediction"
TARGET = "target"
PROBABILITY_PREFIX = "probability_"


def prediction_column(manifest: Manifest) -> Feature:
    """The prediction described like a feature: a number, or one of the model's classes."""
    if manifest.task == "regression":
        return Feature(name=PREDICTION, kind="numerical")
    return Feature(name=PREDICTION, kind="categorical", categories=manifest.classes)


def target_column(manifest: Manifest) -> Feature:
    """The target described like a feature; of the prediction's kind."""
    return prediction_column(manifest).model_copy(update={"name": TARGET})


def monitored_columns(manifest: Manifest) -> tuple[Feature, ...]:
    """The columns whose drift can always be watched: the features in their order, then the prediction."""
    return (*manifest.feature_schema.features, prediction_column(manifest))
