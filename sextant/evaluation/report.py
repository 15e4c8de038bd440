"""Evidently's interactive HTML report of a window, with the thresholds that its evaluation used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from evidently import (
    BinaryClassification,
    DataDefinition,
    Dataset,
    MulticlassClassification,
    Regression,
    Report,
)
from evidently.core.report import Snapshot
from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset, RegressionPreset

from sextant.contracts.errors import Rejected
from sextant.contracts.model_bundle import Manifest
from sextant.contracts.schema import Feature
from sextant.evaluation.beside import compared_rows
from sextant.evaluation.drift.column import DRIFT
from sextant.evaluation.drift.stat_tests import evidently_tests
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.frames import PREDICTION, TARGET, ConformedFrame, target_column
from sextant.evaluation.performance.measures import MIN_LABELLED
from sextant.evaluation.reference import Reference
from sextant.evaluation.report_head import with_head

LONGEST_CATEGORY = 100


@dataclass(frozen=True, slots=True)
class RenderedReport:
    """A self-contained HTML page, and the reason for each column or part that it lacks."""

    html: str
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Sides:
    """The two data sets that a report compares."""

    current: Dataset
    reference: Dataset


def render(
    reference: Reference,
    window: ConformedFrame,
    evaluation: Evaluation,
    *,
    title: str | None = None,
    facts: Mapping[str, str] | None = None,
) -> RenderedReport:
    """The report of a window and its evaluation, with a head of title and facts (default: model and rows).

    A part that Evidently cannot make is left out and named; raises Rejected when no part can be made.
    """
    evidently_tests()  # the report names ours
    manifest = reference.manifest
    sides = _sides(reference, window, evaluation)
    problems = dict(evaluation.errors)
    snapshot = _without_failing_parts(manifest, evaluation, sides, problems)
    facts = {**(facts or _facts(manifest, evaluation)), **evaluation.notes, **_beside(reference)}
    if missing := {name: why for name, why in problems.items() if name not in evaluation.errors}:
        facts["Left out of the plots"] = _listed(missing)
    page = snapshot.get_html_str(as_iframe=False)
    title = title or f"Window of {manifest.name}"
    return RenderedReport(with_head(page, title=title, facts=facts, evaluation=evaluation), problems)


def _without_failing_parts(
    manifest: Manifest, evaluation: Evaluation, sides: _Sides, problems: dict[str, str]
) -> Snapshot:
    """A preset keeps what it computed, so each attempt is made of fresh ones."""
    try:
        return _run(list(_parts(manifest, evaluation).values()), sides)
    except Exception:  # noqa: BLE001  Evidently raises whatever its libraries do, for one bad column
        working = [
            name for name in _parts(manifest, evaluation) if _works(name, manifest, evaluation, sides, problems)
        ]
    if not working:
        raise Rejected(f"no part of the report can be created: {problems}")
    return _run([part for name, part in _parts(manifest, evaluation).items() if name in working], sides)


def _works(name: str, manifest: Manifest, evaluation: Evaluation, sides: _Sides, problems: dict[str, str]) -> bool:
    try:
        _run([_parts(manifest, evaluation)[name]], sides)
    except Exception as error:  # noqa: BLE001  as above
        problems[name] = str(error)
        return False
    return True


def _run(parts: list[Any], sides: _Sides) -> Snapshot:
    with np.errstate(all="ignore"):
        return Report(parts).run(current_data=sides.current, reference_data=sides.reference)


def _parts(manifest: Manifest, evaluation: Evaluation) -> dict[str, Any]:
    """The report's parts by name: drift by column, a summary of the data, and performance where labelled."""
    columns = [verdict for verdict in evaluation.of(DRIFT) if verdict.value is not None]
    thresholds = {column.column: column.threshold for column in columns if column.threshold is not None}
    parts: dict[str, Any] = {}
    if columns:
        parts["data drift"] = DataDriftPreset(
            columns=[column.column for column in columns],
            drift_share=1 / len(columns),  # one drifted column is enough
            per_column_method={column.column: column.method for column in columns},
            per_column_threshold=thresholds or None,
        )
    parts["data summary"] = DataSummaryPreset(columns=[*manifest.feature_schema.names, PREDICTION])
    if evaluation.labelled_rows >= MIN_LABELLED:
        regression = manifest.task == "regression"
        parts["performance"] = RegressionPreset() if regression else ClassificationPreset()
    return parts


def _sides(reference: Reference, window: ConformedFrame, evaluation: Evaluation) -> _Sides:
    definition = _definition(reference, labelled=evaluation.labelled_rows >= MIN_LABELLED)
    names = [*(definition.numerical_columns or []), *(definition.categorical_columns or [])]
    compared = compared_rows(reference, window)
    current, frame = (_legible(side[names].reset_index(drop=True)) for side in compared)
    return _Sides(
        current=Dataset.from_pandas(current, data_definition=definition),
        reference=Dataset.from_pandas(frame, data_definition=definition),
    )


def _definition(reference: Reference, *, labelled: bool) -> DataDefinition:
    columns = [column for column in reference.columns if column.name != TARGET]
    tasks: dict[str, Any] = {}
    if labelled:
        columns.append(target_column(reference.manifest))
        tasks = _task(reference.manifest)
    return DataDefinition(
        numerical_columns=_names(columns, "numerical"), categorical_columns=_names(columns, "categorical"), **tasks
    )


def _task(manifest: Manifest) -> dict[str, Any]:
    if manifest.task == "regression":
        return {"regression": [Regression(target=TARGET, prediction=PREDICTION)]}
    if manifest.classes and len(manifest.classes) == 2:
        positive = _legible_category(manifest.classes[1])
        return {
            "classification": [
                BinaryClassification(target=TARGET, prediction_labels=PREDICTION, pos_label=positive)
            ]
        }
    return {"classification": [MulticlassClassification(target=TARGET, prediction_labels=PREDICTION)]}


def _names(columns: list[Feature], kind: str) -> list[str]:
    return [column.name for column in columns if column.kind == kind]


def _legible(frame: pd.DataFrame) -> pd.DataFrame:
    """Categories without '<', which Evidently writes into its page's script as it is, and of bounded length."""
    texts = frame.select_dtypes(object)
    return frame.assign(**{str(name): texts[name].map(_legible_category) for name in texts})


def _legible_category(value: Any) -> Any:
    return value.replace("<", "\u2039")[:LONGEST_CATEGORY] if isinstance(value, str) else value


def _beside(reference: Reference) -> dict[str, str]:
    if reference.nulls is None:
        return {}
    return {
        "Reference in the plots": "as many rows, drawn by the hours of the window; scores may differ in digits"
    }


def _facts(manifest: Manifest, evaluation: Evaluation) -> dict[str, str]:
    facts = {
        "Model": f"{manifest.name}, version {manifest.version}",
        "Rows": f"{evaluation.rows:,}, {evaluation.labelled_rows:,} with target",
    }
    if not evaluation.calibrated:
        facts["Plots"] = "they use Evidently's default thresholds"
    if evaluation.errors:
        facts["Not judged"] = _listed(evaluation.errors)
    return facts


def _listed(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name} ({why[:300]})" for name, why in reasons.items())
