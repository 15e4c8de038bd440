"""The reference side of every evaluation, prepared once for a model bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd

from contracts.model_bundle import Manifest
from contracts.schema import Feature
from evaluation.columns import monitored_columns
from evaluation.frames import conform
from evaluation.performance import Performance, measure_performance


@dataclass(frozen=True)
class Reference:
    """Reference rows with the right types, each column's usable values, and how well the model did on them."""

    manifest: Manifest
    frame: pd.DataFrame
    columns: tuple[Feature, ...]
    values: Mapping[str, "pd.Series[Any]"]
    performance: Performance

    @classmethod
    def prepare(cls, manifest: Manifest, rows: pd.DataFrame) -> Self:
        """Type and clean the bundle's reference rows; values outside of a known range do not count."""
        frame = conform(rows, manifest.feature_schema, manifest.task)
        columns = monitored_columns(manifest)
        values = {column.name: _usable(frame[column.name], column) for column in columns}
        return cls(manifest, frame, columns, values, measure_performance(frame, manifest))


def _usable(values: "pd.Series[Any]", column: Feature) -> "pd.Series[Any]":
    present = values.dropna()
    if column.minimum is not None:
        present = present[present >= column.minimum]
    if column.maximum is not None:
        present = present[present <= column.maximum]
    return present.reset_index(drop=True)
