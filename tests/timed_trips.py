"""Trips in the order of time, whose nights are longer and predicted worse, and bundles of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from sextant.contracts.events import Prediction, Target
from sextant.contracts.model_bundle import ModelBundle
from sextant.evaluation.in_time.null import Key, Null, Nulls
from tests.bundles import TRIP_SCHEMA, make_trips, publish_bundle
from tests.events import predictions_from, targets_from

TIME = "pickup"
MONDAY = pd.Timestamp("2021-01-04")
AN_HOUR = pd.Timedelta(hours=1)

COLUMNS = (*TRIP_SCHEMA.names, "prediction", "target")
GROWTHS = ("performance_degradation", "concept_drift", "estimated_degradation")


def timed_trips(days: float, *, rows: int = 2_000, start: pd.Timestamp = MONDAY, seed: int = 1) -> pd.DataFrame:
    """Rows evenly spread over so many days; at night distances are half as long again, and errors are doubled."""
    frame = make_trips(rows, seed=seed)
    moments = pd.Series(start + pd.to_timedelta(np.arange(rows) * (days * 86_400 / rows), unit="s"))
    night = (moments.dt.hour >= 22) | (moments.dt.hour < 6)
    distance = frame["trip_distance"] * np.where(night, 1.5, 1.0)
    errors = (frame["target"] - frame["prediction"]) * np.where(night, 2.0, 1.0)
    prediction = 4.0 + 4.5 * distance
    told = moments.dt.strftime("%Y-%m-%dT%H:%M:%S")
    return frame.assign(trip_distance=distance, prediction=prediction, target=prediction + errors, **{TIME: told})


def nulls_of(days: int) -> Nulls:
    """Made-up scores of so many days, with thresholds that undrifted trips stay below."""
    null = Null((100.0, 1_000.0), (0.15, 0.08), (0.05, 0.03), (0.5, 0.5), (float(max(days, 2)),) * 2)
    keys: list[Key] = [("drift", name, "") for name in COLUMNS]
    keys += [("drift", name, f"payment_type={value}") for name in COLUMNS for value in "12"]
    keys += [(name, "", "") for name in (*GROWTHS, "multivariate_drift")]
    return Nulls(days, 50_000, dict.fromkeys(keys, null))


def publish_timed_trips(models_dir: Path, days: int = 14, **more: int) -> ModelBundle:
    """A bundle whose reference spans so many days from a Monday on."""
    return publish_bundle(
        models_dir,
        timed_trips(days, **more),
        TRIP_SCHEMA,
        name="taxi",
        version="v1",
        task="regression",
        time=TIME,
        nulls=nulls_of(days).to_json(),
    )


def events_of(frame: pd.DataFrame) -> tuple[list[Prediction], list[Target]]:
    """The events of rows, whose times stand in the context."""
    predictions = predictions_from(frame)
    return predictions, targets_from(frame, predictions)
