"""Use case taxi: how many minutes will a green-taxi trip take, from its zones and its distance?"""

from typing import Any

import numpy as np
import pandas as pd

from sextant.contracts.schema import Feature
from sextant.use_cases.taxi_months import open_source
from sextant.use_cases.use_case import Examples, UseCase

SHORTEST_TRIP, LONGEST_TRIP = 1.0, 60.0
"""Minutes; outside them the trip was cancelled or its meter left running, and its duration is no target."""

FARTHEST_TRIP = 100.0
"""Miles; within an hour, more is a meter fault (the months hold distances up to 244,152)."""

ZONES = ["PULocationID", "DOLocationID"]


def make_pipeline(seed: int) -> Any:
    """Zones encoded by their mean duration, then gradient boosting.

    Classic gradient boosting, not the histogram one: it compares float32 values, as ONNX does, so that no
    row takes a different branch there; and skl2onnx 1.20 with onnx 1.23 cannot convert the histogram one.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.model_selection import KFold
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import TargetEncoder

    folds = KFold(n_splits=5, shuffle=True, random_state=seed)
    zones = TargetEncoder(target_type="continuous", cv=folds)
    trees = GradientBoostingRegressor(
        n_estimators=100, max_depth=5, min_samples_leaf=20, subsample=0.5, random_state=seed
    )
    columns = [("zones", zones, ZONES), ("distance", "passthrough", ["trip_distance"])]
    return Pipeline([("columns", ColumnTransformer(columns)), ("trees", trees)])


def to_examples(raw: pd.DataFrame) -> Examples:
    """Trips as TLC publishes them, whatever types the month has, as examples."""
    distance = pd.to_numeric(raw["trip_distance"], errors="coerce").astype("float64")
    pickup, dropoff = (
        pd.to_datetime(raw[f"lpep_{end}_datetime"], errors="coerce") for end in ("pickup", "dropoff")
    )
    minutes = (dropoff - pickup).dt.total_seconds() / 60
    features = {zone: _codes(raw[zone]) for zone in ZONES}
    context = {
        "payment_type": _codes(raw["payment_type"]).fillna("missing"),
        "passenger_count": pd.to_numeric(raw["passenger_count"], errors="coerce").astype("float64"),
        "lpep_pickup_datetime": pickup.dt.strftime("%Y-%m-%dT%H:%M:%S"),
    }
    return Examples(
        pd.DataFrame({**features, "trip_distance": distance.where(np.isfinite(distance))}).reset_index(drop=True),
        minutes.where(minutes.between(SHORTEST_TRIP, LONGEST_TRIP)).reset_index(drop=True),
        pd.DataFrame(context).reset_index(drop=True),
    )


def _codes(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Codes as strings, the same for 7, 7.0 and "7"; None where missing."""
    numbers = pd.to_numeric(column, errors="coerce").round().astype("Int64")
    return numbers.astype("string").astype(object).where(numbers.notna(), None)


USE_CASE = UseCase(
    name="taxi",
    task="regression",
    target="duration in minutes",
    about="How long a New York green-taxi trip takes, from where to where and how far it goes.",
    features=(
        Feature(name="PULocationID", kind="categorical", description="TLC zone where the trip starts"),
        Feature(name="DOLocationID", kind="categorical", description="TLC zone where the trip ends"),
        Feature(
            name="trip_distance",
            kind="numerical",
            minimum=0,
            maximum=FARTHEST_TRIP,
            description="miles, by the taximeter",
        ),
    ),
    segments=("payment_type",),
    time="lpep_pickup_datetime",
    make_pipeline=make_pipeline,
    open_source=open_source,
    to_examples=to_examples,
)
