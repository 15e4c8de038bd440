"""Which rows a model learns from, which it is compared with, and which are left for replays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sextant.contracts.errors import Fatal
from sextant.contracts.schema import Feature, FeatureSchema
from sextant.training.days import Span, TimedRows, Untimed, in_time_order
from sextant.use_cases.use_case import Examples

SPLIT_SEED = 20210101
"""Fixed for everybody: were it the run's seed, a replay with another seed would send rows trained on."""

REFERENCE_SHARE = 0.25
HOLDOUT_SHARE = 0.25
HISTORY_SHARE = 2 / 3
"""Of the days, where events have a time: the model learns from the earlier ones, replays send the later ones."""

FOLDS = 4
"""So many pipelines predict the history crosswise. More would see more of it, and each takes its time to train."""

MAX_REFERENCE_ROWS = 10_000
MIN_ROWS = 200


class TooFewRows(Fatal):
    """The rows left after cleaning are too few to train and evaluate a model."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Which days the model learned from, and which later ones are left for replays."""

    history: Span
    holdout: Span


@dataclass(frozen=True, slots=True)
class Split:
    """The rows of a model's own period by what they are for.

    Without event times no row is in two parts. With them, `scored` are the training rows, in time order.
    """

    training: Examples
    scored: Examples
    """Every row with a prediction by a pipeline that has not seen it."""
    reference_positions: npt.NDArray[np.intp]
    """The scored rows that are kept as reference, in their order."""
    holdout: Examples
    folds: npt.NDArray[np.intp] | None = None
    """For each scored row which pipeline predicts it; None: the served model, which never saw it."""
    timing: Timing | None = None
    notes: tuple[str, ...] = ()
    """What a person should know of the times: a line each."""

    @property
    def unseen(self) -> Examples:
        """Rows that the served model never saw."""
        return self.scored if self.folds is None else self.holdout

    @property
    def reference(self) -> Examples:
        """The rows that live ones are compared with."""
        return self.scored.take(self.reference_positions)


def clean(examples: Examples, schema: FeatureSchema) -> Examples:
    """The complete rows with a usable target and no number beyond its limits."""
    examples = examples.complete(schema)
    keep = examples.target.notna()
    for name in schema.numerical:
        feature, values = schema[name], examples.features[name]
        low = -np.inf if feature.minimum is None else feature.minimum
        high = np.inf if feature.maximum is None else feature.maximum
        keep &= values.between(low, high) | values.isna()
    return examples.take(np.flatnonzero(keep))


def split(cleaned: Examples, time: str | None) -> Split:
    """By whole days of the time column, or at random without one: the same for every caller with the same rows."""
    if time is None:
        return _at_random(cleaned, ())
    try:
        return _by_time(in_time_order(cleaned, time))
    except Untimed as reason:
        return _at_random(cleaned, (f"{reason}; the rows are split at random, as if they had no time",))


def _at_random(cleaned: Examples, notes: tuple[str, ...]) -> Split:
    _require_rows(len(cleaned))
    order = np.random.default_rng(SPLIT_SEED).permutation(len(cleaned))
    reference_end = min(MAX_REFERENCE_ROWS, int(len(cleaned) * REFERENCE_SHARE))
    holdout_end = reference_end + int(len(cleaned) * HOLDOUT_SHARE)
    return Split(
        training=cleaned.take(order[holdout_end:]),
        scored=cleaned.take(order[:reference_end]),
        reference_positions=np.arange(reference_end),
        holdout=cleaned.take(order[reference_end:holdout_end]),
        notes=notes,
    )


def _by_time(timed: TimedRows) -> Split:
    """The earlier days teach the model and are its reference too, each predicted without having been seen."""
    _require_rows(len(timed))
    days, day_of_row = np.unique(timed.days, return_inverse=True)
    if len(days) > 1:
        history_days = min(len(days) - 1, round(len(days) * HISTORY_SHARE))
        end = int(np.searchsorted(day_of_row, history_days))
    else:
        end = int(len(timed) * HISTORY_SHARE)
    history = timed.rows.take(np.arange(end))
    return Split(
        training=history,
        scored=history,
        reference_positions=_thinned(end),
        holdout=timed.rows.take(np.arange(end, len(timed))),
        folds=_folds(day_of_row[:end]),
        timing=Timing(timed.span(slice(end)), timed.span(slice(end, None))),
        notes=timed.notes,
    )


def _require_rows(rows: int) -> None:
    if rows < MIN_ROWS:
        raise TooFewRows(f"only {rows} usable rows are left after cleaning; {MIN_ROWS} are needed")


def _thinned(rows: int) -> npt.NDArray[np.intp]:
    kept = np.random.default_rng(SPLIT_SEED).permutation(rows)[:MAX_REFERENCE_ROWS]
    return np.sort(kept)


def _folds(day_of_row: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Whole days in turn, so that every fold has early and late ones; quarters of a period of one day."""
    if day_of_row[-1] > 0:
        return day_of_row % FOLDS
    return np.arange(len(day_of_row)) * FOLDS // len(day_of_row)


def known_schema(limits: FeatureSchema, training: Examples) -> FeatureSchema:
    """The schema that is published: the stated limits, and where there are none, what training rows show."""
    known = (_known(feature, training.features[feature.name].dropna()) for feature in limits.features)
    return FeatureSchema(features=tuple(known))


def _known(feature: Feature, values: "pd.Series[Any]") -> Feature:
    if feature.kind == "categorical":
        return feature.model_copy(update={"categories": tuple(sorted(values.unique()))})
    minimum = float(values.min()) if feature.minimum is None else feature.minimum
    maximum = float(values.max()) if feature.maximum is None else feature.maximum
    return feature.model_copy(update={"minimum": minimum, "maximum": maximum})
