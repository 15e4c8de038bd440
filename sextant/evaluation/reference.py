"""The reference side of every evaluation, prepared once for a model bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sextant.contracts.model_bundle import NULLS, Manifest, ModelBundle
from sextant.contracts.schema import Feature
from sextant.evaluation.drift.scorers import Scorer, scorer_of
from sextant.evaluation.frames import PREDICTION, TARGET, ConformedFrame, conform, monitored_columns, target_column
from sextant.evaluation.in_time.hours import EVENT_HOUR, Hours, Weights
from sextant.evaluation.in_time.matching import WindowHours
from sextant.evaluation.in_time.null import Nulls
from sextant.evaluation.in_time.order import Order, in_words, order_of
from sextant.evaluation.performance.error_growth import Moments
from sextant.evaluation.performance.fairness import FairnessReference
from sextant.evaluation.performance.measures import (
    MIN_LABELLED,
    Performance,
    labelled_errors,
    measure_labelled,
    prediction_mean,
)
from sextant.evaluation.quality import Checks, ColumnQuality
from sextant.evaluation.segments import SegmentColumn


@dataclass(frozen=True)
class ReferencePart:
    """All reference rows, or one segment's: each column's usable values, ready to score, and performance."""

    index: "pd.Index[Any]"
    values: Mapping[str, "pd.Series[Any]"]
    scorers: Mapping[str, Scorer]
    labelled: pd.DataFrame
    performance: Performance
    """On the labelled rows."""

    places: Mapping[str, NDArray[np.intp]]
    """Of each column's usable values, among the part's rows."""

    hours: Hours | None
    """None where the model's events have no time."""

    @classmethod
    def of(cls, frame: pd.DataFrame, columns: Sequence[Feature], manifest: Manifest) -> Self:
        """The part that these conformed rows are."""
        places = {column.name: _usable(frame[column.name], column) for column in columns}
        values = {name: frame[name].iloc[usable].reset_index(drop=True) for name, usable in places.items()}
        scorers = {c.name: scorer_of(c, values[c.name]) for c in columns if not values[c.name].empty}
        hours = Hours.of(frame[EVENT_HOUR].to_numpy()) if EVENT_HOUR in frame else None
        labelled = frame.dropna(subset=[PREDICTION, TARGET])
        performance = measure_labelled(labelled, manifest)
        return cls(frame.index, values, scorers, labelled, performance, places, hours)

    def scorer(self, column: str, weights: Weights | None) -> Scorer | None:
        """The scorer of a column whose rows weigh so much; None where the part holds no values of it."""
        scorer = self.scorers.get(column)
        if scorer is None or weights is None:
            return scorer
        of_values = weights[self.places[column]]
        return scorer.weighted(of_values) if of_values.any() else None


UNKNOWN = ReferencePart(
    index=pd.RangeIndex(0),
    values={},
    scorers={},
    labelled=pd.DataFrame(),
    performance=Performance(0),
    places={},
    hours=None,
)
"""The reference of a segment whose values the reference does not hold."""


@dataclass(frozen=True)
class Reference:
    """Reference rows with the right types, and what is derived from them, whole and by segment."""

    manifest: Manifest
    frame: ConformedFrame
    columns: tuple[Feature, ...]
    whole: ReferencePart
    segment_columns: tuple[SegmentColumn, ...]
    segments: Mapping[str, ReferencePart]
    row_errors: "pd.Series[float]"
    """Of the labelled rows."""

    errors: Moments | None
    """Of the labelled rows; None when they are too few."""

    fairness: FairnessReference
    checks: Mapping[str, Checks]
    """Of each feature's values."""

    quality: Mapping[str, ColumnQuality]
    prediction_mean: float | None
    nulls: Nulls | None
    """What scores are without drift, for rows in the order of time; None: thresholds hold in random order only."""

    @classmethod
    def of(cls, bundle: ModelBundle) -> Self:
        """The reference of a bundle; raises OSError or ValueError when it cannot be read."""
        nulls = bundle.file(NULLS).read_bytes() if NULLS in bundle.manifest.files else None
        return cls.prepare(bundle.manifest, bundle.reference(), Nulls.from_json(nulls))

    @classmethod
    def prepare(cls, manifest: Manifest, rows: pd.DataFrame, nulls: Nulls | None = None) -> Self:
        """Type and clean the bundle's reference rows; values outside of a known range do not count."""
        frame = conform(rows, manifest)
        columns = monitored_columns(manifest)
        if frame[TARGET].notna().any():
            columns = (*columns, target_column(manifest))
        by = tuple(SegmentColumn.of(name, frame[name]) for name in manifest.segments if name in frame)
        segments = {segment: part for column in by for segment, part in column.split(frame)}
        errors = labelled_errors(frame, manifest.task)
        checks = {f.name: Checks.of(frame[f.name], f) for f in manifest.feature_schema.features}
        return cls(
            manifest=manifest,
            frame=frame,
            columns=columns,
            whole=ReferencePart.of(frame, columns, manifest),
            segment_columns=by,
            segments={name: ReferencePart.of(part, columns, manifest) for name, part in segments.items()},
            row_errors=errors,
            errors=Moments.of(errors) if len(errors) >= MIN_LABELLED else None,
            fairness=FairnessReference.of(
                manifest.task, errors, {name: part.index for name, part in segments.items()}
            ),
            checks=checks,
            quality={name: of_one.weighted(np.ones(len(frame))) for name, of_one in checks.items()},
            prediction_mean=prediction_mean(frame, manifest.task),
            nulls=nulls if EVENT_HOUR in frame else None,
        )

    @property
    def order(self) -> Order:
        """For which order of rows the thresholds hold."""
        return order_of(self.nulls)

    @property
    def holds(self) -> str:
        """The same in words."""
        return in_words(self.order, self.nulls.days if self.nulls else 0)

    def hours_of(self, window: ConformedFrame) -> WindowHours:
        """Which rows of a window have reference rows of their hours."""
        return WindowHours.of(self.whole.hours if self.nulls else None, window)

    def conform(self, rows: pd.DataFrame) -> ConformedFrame:
        """Rows of the same model, with the types of the reference's."""
        return conform(rows, self.manifest)

    @property
    def values(self) -> Mapping[str, "pd.Series[Any]"]:
        """The usable values of every column."""
        return self.whole.values

    @property
    def performance(self) -> Performance:
        """How well the model did on the reference rows."""
        return self.whole.performance


def _usable(values: "pd.Series[Any]", column: Feature) -> NDArray[np.intp]:
    usable = values.notna()
    if column.minimum is not None:
        usable &= values >= column.minimum
    if column.maximum is not None:
        usable &= values <= column.maximum
    return np.flatnonzero(usable)
