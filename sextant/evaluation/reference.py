"""The reference side of every evaluation, prepared once for a model bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd

from sextant.contracts.model_bundle import Manifest
from sextant.contracts.schema import Feature
from sextant.evaluation.drift.scorers import Scorer, scorer_of
from sextant.evaluation.frames import TARGET, ConformedFrame, conform, monitored_columns, target_column
from sextant.evaluation.performance.error_growth import Moments
from sextant.evaluation.performance.fairness import FairnessReference
from sextant.evaluation.performance.measures import (
    MIN_LABELLED,
    Performance,
    labelled_errors,
    measure_performance,
    prediction_mean,
)
from sextant.evaluation.quality import ColumnQuality, measure_quality
from sextant.evaluation.segments import SegmentColumn


@dataclass(frozen=True)
class ReferencePart:
    """All reference rows, or one segment's: each column's usable values, ready to score, and performance."""

    index: "pd.Index[Any]"
    values: Mapping[str, "pd.Series[Any]"]
    scorers: Mapping[str, Scorer]
    performance: Performance

    @classmethod
    def of(cls, frame: pd.DataFrame, columns: Sequence[Feature], manifest: Manifest) -> Self:
        """The part that these conformed rows are."""
        values = {column.name: _usable(frame[column.name], column) for column in columns}
        scorers = {c.name: scorer_of(c, values[c.name]) for c in columns if not values[c.name].empty}
        return cls(frame.index, values, scorers, measure_performance(frame, manifest))


UNKNOWN = ReferencePart(index=pd.RangeIndex(0), values={}, scorers={}, performance=Performance(0))
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
    errors: Moments | None
    """Of the labelled rows; None when they are too few."""

    fairness: FairnessReference
    quality: Mapping[str, ColumnQuality]
    prediction_mean: float | None

    @classmethod
    def prepare(cls, manifest: Manifest, rows: pd.DataFrame) -> Self:
        """Type and clean the bundle's reference rows; values outside of a known range do not count."""
        frame = conform(rows, manifest)
        columns = monitored_columns(manifest)
        if frame[TARGET].notna().any():
            columns = (*columns, target_column(manifest))
        by = tuple(SegmentColumn.of(name, frame[name]) for name in manifest.segments if name in frame)
        segments = {segment: part for column in by for segment, part in column.split(frame)}
        errors = labelled_errors(frame, manifest.task)
        return cls(
            manifest=manifest,
            frame=frame,
            columns=columns,
            whole=ReferencePart.of(frame, columns, manifest),
            segment_columns=by,
            segments={name: ReferencePart.of(part, columns, manifest) for name, part in segments.items()},
            errors=Moments.of(errors) if len(errors) >= MIN_LABELLED else None,
            fairness=FairnessReference.of(
                manifest.task, errors, {name: part.index for name, part in segments.items()}
            ),
            quality={f.name: measure_quality(frame[f.name], f) for f in manifest.feature_schema.features},
            prediction_mean=prediction_mean(frame, manifest.task),
        )

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


def _usable(values: "pd.Series[Any]", column: Feature) -> "pd.Series[Any]":
    present = values.dropna()
    if column.minimum is not None:
        present = present[present >= column.minimum]
    if column.maximum is not None:
        present = present[present <= column.maximum]
    return present.reset_index(drop=True)
