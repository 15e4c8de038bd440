"""A backtest as CSV: a row for each evaluation, for a notebook or a spreadsheet."""

import csv
import io
from typing import Any

from sextant.backtest.replay import BacktestResult, Step
from sextant.backtest.summary import performance


def as_csv(result: BacktestResult) -> str:
    """The evaluations in their order; verdicts are 1 or 0, and what is unknown is empty.

    The columns `score_<column>` and `threshold_<column>` make pairs; times are ISO 8601 in UTC.
    """
    rows = [_row(step) for step in result.steps]
    names = dict.fromkeys([*_FIRST, *(name for row in rows for name in row)])
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


_FIRST = (
    *("at", "window_start", "rows", "labelled_rows", "dataset_drift", "drifted_columns"),
    *("performance_degradation", "performance_degradation_ratio", "performance_degradation_threshold"),
)


def _row(step: Step) -> dict[str, Any]:
    evaluation, concept = step.evaluation, step.evaluation.performance_degradation
    row: dict[str, Any] = {
        "at": step.at.isoformat(),
        "window_start": step.window_start.isoformat(),
        "rows": evaluation.rows,
        "labelled_rows": evaluation.labelled_rows,
        "dataset_drift": _verdict(evaluation.dataset_drift),
        "drifted_columns": " ".join(evaluation.drifted_columns),
        "performance_degradation": _verdict(concept.drifted if concept else None),
        "performance_degradation_ratio": concept.ratio if concept else None,
        "performance_degradation_threshold": concept.threshold if concept else None,
    }
    for name, column in evaluation.drift.items():
        row |= {f"score_{name}": column.score, f"threshold_{name}": column.threshold}
    return row | performance(evaluation)


def _verdict(value: bool | None) -> int | None:
    return None if value is None else int(value)
