"""One evaluation of a window against the reference: drift and quality by column, performance where labelled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from contracts.schema import Feature
from evaluation.calibration import Calibration
from evaluation.columns import TARGET
from evaluation.drift import ColumnDrift, measure_drift
from evaluation.frames import conform
from evaluation.performance import Performance, concept_drift_ratio, measure_performance
from evaluation.quality import ColumnQuality, measure_quality
from evaluation.reference import Reference


@dataclass(frozen=True)
class Evaluation:
    """What one window says about a model; `errors` names each column that could not be judged, and why."""

    rows: int
    labelled_rows: int
    calibrated: bool
    drift: Mapping[str, ColumnDrift]
    quality: Mapping[str, ColumnQuality]
    performance: Performance
    reference_performance: Performance
    concept_drift_ratio: float | None
    errors: Mapping[str, str]

    @property
    def judged(self) -> list[ColumnDrift]:
        """The columns that have a verdict."""
        return [column for column in self.drift.values() if column.drifted is not None]

    @property
    def drifted_columns(self) -> list[str]:
        """Names of the columns beyond their threshold, the prediction among them."""
        return [column.column for column in self.judged if column.drifted]

    @property
    def drifted_ratio(self) -> float | None:
        """Share of the judged columns that drifted."""
        return len(self.drifted_columns) / len(self.judged) if self.judged else None

    @property
    def dataset_drift(self) -> bool | None:
        """Whether any column drifted, at the false-alarm rate of the family; None while nothing is calibrated."""
        return bool(self.drifted_columns) if self.judged else None

    @property
    def label_coverage(self) -> float:
        """Share of the rows whose target has arrived."""
        return self.labelled_rows / self.rows


def evaluate(reference: Reference, window: pd.DataFrame, calibration: Calibration | None = None) -> Evaluation:
    """Judge a window of at least one row (see frames.to_frame); a column that fails never stops the others."""
    manifest = reference.manifest
    current = conform(window, manifest.feature_schema, manifest.task)
    drift, errors = _drift_by_column(reference, current, calibration)
    performance = measure_performance(current, manifest)
    return Evaluation(
        rows=len(current),
        labelled_rows=int(current[TARGET].notna().sum()),
        calibrated=calibration is not None,
        drift=drift,
        quality={f.name: measure_quality(current[f.name], f) for f in manifest.feature_schema.features},
        performance=performance,
        reference_performance=reference.performance,
        concept_drift_ratio=concept_drift_ratio(performance, reference.performance, manifest.task),
        errors=errors,
    )


def _drift_by_column(
    reference: Reference, current: pd.DataFrame, calibration: Calibration | None
) -> tuple[dict[str, ColumnDrift], dict[str, str]]:
    drift: dict[str, ColumnDrift] = {}
    errors: dict[str, str] = dict(calibration.failures) if calibration else {}
    for column in reference.columns:
        try:
            drift[column.name] = _drift(column, reference, current[column.name], calibration)
        except Exception as error:  # noqa: BLE001  any stat test may raise anything; the others go on
            errors[column.name] = str(error)
    return drift, errors


def _drift(
    column: Feature, reference: Reference, values: "pd.Series[Any]", calibration: Calibration | None
) -> ColumnDrift:
    thresholds = calibration.columns.get(column.name) if calibration else None
    return measure_drift(column, reference.values[column.name], values, thresholds)
