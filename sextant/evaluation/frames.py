"""Predictions and targets as a DataFrame with the types that evaluation relies on, the same for both sides."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NewType

import numpy as np
import pandas as pd

from sextant.contracts.event_times import event_times
from sextant.contracts.events import Prediction, Target
from sextant.contracts.model_bundle import CREATED_AT, Manifest
from sextant.contracts.schema import Feature, Kind
from sextant.evaluation.in_time.hours import EVENT_HOUR, LATEST, hour_bins

PREDICTION = "prediction"
TARGET = "target"
PROBABILITY_PREFIX = "probability_"

ConformedFrame = NewType("ConformedFrame", pd.DataFrame)
"""With every column of the model: numbers as finite floats or NaN, categories as strings or None."""

NUMBERS = (int, float, np.integer, np.floating)


def to_frame(
    predictions: Iterable[Prediction], targets: Mapping[str, Target], manifest: Manifest
) -> ConformedFrame:
    """One row a prediction, by prediction_id: features, `prediction`, `target`, probabilities if any, segments.

    A feature that a prediction lacks is missing, like a target that has not arrived; probabilities are in columns
    `probability_<class>`; a segment column that is no feature comes from the context.
    """
    names = manifest.feature_schema.names
    beside = [name for name in manifest.segments if name not in names]
    rows, ids, made, written = [], [], [], []
    for prediction in predictions:
        ids.append(prediction.prediction_id)
        made.append(prediction.created_at)
        written.append(_written_time(prediction, manifest))
        rows.append(_row(prediction, targets.get(prediction.prediction_id), manifest, beside))
    frame = pd.DataFrame(rows, index=pd.Index(ids, name="prediction_id", dtype=object))
    wanted = [*names, PREDICTION, TARGET, *beside]
    for name in wanted:
        if name not in frame:
            frame[name] = None
    probabilities = sorted(name for name in frame.columns if name.startswith(PROBABILITY_PREFIX))
    frame = frame[[*wanted, *(name for name in probabilities if name not in wanted)]]
    if manifest.time:
        frame = frame.assign(**{EVENT_HOUR: _hours(written, made, manifest)})
    return conform(frame, manifest)


def _written_time(prediction: Prediction, manifest: Manifest) -> Any:
    if manifest.time is None or manifest.time == CREATED_AT:
        return None
    return prediction.features.get(manifest.time, prediction.context.get(manifest.time))


def _hours(written: Sequence[Any], made: Sequence[datetime], manifest: Manifest) -> Any:
    """The hour of each event; none for a time that lies in the future of its own prediction."""
    moments = pd.Series(pd.DatetimeIndex(list(made))).dt.tz_localize(None).astype("datetime64[s]")
    if manifest.time == CREATED_AT:
        return hour_bins(moments)
    times = event_times(pd.Series(written, dtype=object))
    return hour_bins(times.where(times <= moments + LATEST))


def _row(
    prediction: Prediction, target: Target | None, manifest: Manifest, beside: Sequence[str]
) -> dict[str, Any]:
    """Only columns that the manifest names: one event of a thousand other fields would make as many columns."""
    features, probabilities, classes = prediction.features, prediction.probabilities or {}, manifest.classes or ()
    return {
        **{f"{PROBABILITY_PREFIX}{name}": probabilities[name] for name in classes if name in probabilities},
        **{name: category_of(features.get(name, prediction.context.get(name))) for name in beside},
        **{name: features[name] for name in manifest.feature_schema.names if name in features},
        PREDICTION: prediction.prediction,
        TARGET: None if target is None else target.target,
    }


def conform(frame: pd.DataFrame, manifest: Manifest) -> ConformedFrame:
    """Give the features, `prediction` and `target` their types; what cannot be read as a number is missing."""
    kinds: dict[str, Kind] = {feature.name: feature.kind for feature in manifest.feature_schema.features}
    outcome: Kind = "numerical" if manifest.task == "regression" else "categorical"
    kinds |= dict.fromkeys((PREDICTION, TARGET), outcome)
    if manifest.time in frame and EVENT_HOUR not in frame:
        frame = frame.assign(**{EVENT_HOUR: hour_bins(event_times(frame[manifest.time]))})
    columns: dict[str, pd.Series[Any]] = {}
    for name in dict.fromkeys((*frame.columns, *kinds)):
        values = frame[name] if name in frame else pd.Series(None, index=frame.index, dtype=object)
        columns[str(name)] = _as_kind(values, kinds[name]) if name in kinds else values
    return ConformedFrame(pd.DataFrame(columns, index=frame.index))


def _as_kind(values: "pd.Series[Any]", kind: Kind) -> "pd.Series[Any]":
    if kind == "categorical":
        return pd.Series([category_of(value) for value in values], index=values.index, dtype=object)
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return numbers.replace([np.inf, -np.inf], np.nan)


def category_of(value: Any) -> str | None:
    """The category's text; 41 and 41.0 are the same one, since Parquet turns integers with gaps to floats."""
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, NUMBERS) and not isinstance(value, bool):
        if not np.isfinite(value):
            return None
        return str(int(value)) if float(value).is_integer() else str(value)
    return str(value)


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
