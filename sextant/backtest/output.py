"""A backtest as a file: HTML for people, CSV for a notebook or a spreadsheet."""

import csv
import io
from pathlib import Path
from typing import Any

from sextant.backtest.page import as_html
from sextant.backtest.replay import BacktestResult, Step
from sextant.backtest.summary import BacktestSummary
from sextant.contracts.errors import Fatal
from sextant.evaluation.performance.estimation import ALL_ROWS


def write(path: Path, result: BacktestResult, summary: BacktestSummary) -> None:
    """Write CSV or HTML in UTF-8; raises Fatal when the disk refuses it."""
    page = as_csv(result) if path.suffix.lower() == ".csv" else as_html(result, summary)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Fatal(f"could not write {path}: {error.strerror or error}") from None


def as_csv(result: BacktestResult) -> str:
    """The evaluations in their order; verdicts are 1 or 0, and what is unknown is empty.

    Each verdict has up to three columns: its name, with what it is about after a colon, holds the judgement; the
    same with `_value` and `_threshold` the numbers. Times are ISO 8601 in UTC.
    """
    rows = [_row(step) for step in result.steps]
    names = dict.fromkeys([*_FIRST, *(name for row in rows for name in row)])
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


_FIRST = ("at", "window_start", "rows", "labelled_rows", "thresholds_hold", "dataset_drift", "drifted_columns")


def _row(step: Step) -> dict[str, Any]:
    evaluation = step.evaluation
    row: dict[str, Any] = {
        "at": step.at.isoformat(),
        "window_start": step.window_start.isoformat(),
        "rows": evaluation.rows,
        "labelled_rows": evaluation.labelled_rows,
        "thresholds_hold": evaluation.order,
        "drifted_columns": " ".join(evaluation.drifted_columns),
    }
    for verdict in evaluation.verdicts:
        name = f"{verdict.name}:{verdict.subject}".rstrip(":").replace(" ", "_")
        row[name] = None if verdict.detected is None else int(verdict.detected)
        row |= {f"{name}_value": verdict.value, f"{name}_threshold": verdict.threshold}
    return {**row, **evaluation.measures[ALL_ROWS]}
