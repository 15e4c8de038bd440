"""The predictions of `benchmarks.batch_million`, and what is done with them, each by a process of its own.

python -m benchmarks.batch_arms ARM ROWS OF: the first ROWS of the OF predictions that the store holds.
"""

import json
import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pymongo import MongoClient

from benchmarks.synthetic_rows import CATEGORIES, NUMERICAL, synthetic_rows
from sextant.contracts.model_bundle import load_bundle
from sextant.infrastructure.settings import load_settings

BATCH = 10_000
START = datetime(2026, 3, 1, tzinfo=UTC)
HOURS = 24
FEATURES = (*NUMERICAL, *CATEGORIES)
READING = "reading the cursor"
SLOWER = 1.3  # waits are this much longer than the reference's, so that there is a drift to score

Numbers = dict[str, float]


def window_rows(batch: int, rows: int) -> pd.DataFrame:
    """The batch's predictions as a frame: every arm that needs them all makes the same ones."""
    frame = synthetic_rows(rows, np.random.default_rng((1, batch)), labelled=0.5)
    return frame.assign(wait=frame["wait"] * SLOWER)


def all_rows(rows: int) -> pd.DataFrame:
    """Every prediction of the window, as they were loaded."""
    return pd.concat([window_rows(batch, BATCH) for batch in range(rows // BATCH)], ignore_index=True)


def end_of(rows: int, of: int) -> datetime:
    """When the first `rows` of a day's `of` predictions were made."""
    return START + timedelta(hours=HOURS) * rows / of


def documents(batch: int, rows: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A batch as it is stored: predictions, and the targets that are known."""
    predictions, targets = [], []
    for place, row in enumerate(window_rows(batch, BATCH).to_dict("records")):
        number = batch * BATCH + place
        made_at, name = end_of(number, rows), f"{number:08}"
        who = {"_id": f"synthetic/{name}", "prediction_id": name, "model": "synthetic"}
        features = {name: row[name] for name in FEATURES}
        made = {"model_version": "v1", "created_at": made_at, "features": features, "context": {}}
        predictions.append({**who, **made, "prediction": row["prediction"], "latency_ms": 1.0})
        if not np.isnan(row["target"]):
            targets.append({**who, "target": row["target"], "received_at": made_at})
    return predictions, targets


def run_flow(rows: int, of: int) -> Numbers:
    """The drift report of the first `rows` predictions; the seconds of its stages, from its log."""
    from batch_flows.drift_report.__main__ import main as drift_report

    stages = Stages()
    logging.getLogger("batch_flows").addHandler(stages)
    logging.getLogger("batch_flows").setLevel(logging.INFO)
    began = time.perf_counter()
    window = ["--start", START.isoformat(), "--end", end_of(rows, of).isoformat()]
    if drift_report(["--model", "synthetic", *window]):
        sys.exit("the report failed")
    return {"seconds": time.perf_counter() - began, **stages.seconds}


class Stages(logging.Handler):
    """Collects what `timed` logs."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: Numbers = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a stage's seconds."""
        if record.msg == "%s took %.2f s" and isinstance(record.args, tuple):
            self.seconds[str(record.args[0])] = float(str(record.args[1]))


def run_sampling(rows: int, _of: int) -> Numbers:
    """The sampling alone, of a stream that costs nothing: it is part of the reading above."""
    from batch_flows.drift_report.rows import sample_uniformly

    began = time.perf_counter()
    sample_uniformly((f"{number:08}" for number in range(rows)), load_settings().report_max_rows, key=str, seed=0)
    return {"seconds": time.perf_counter() - began}


def run_scores(rows: int, _of: int) -> Numbers:
    """Each column's drift score over all rows, without sample, store or report."""
    from sextant.evaluation.evaluate import evaluate
    from sextant.evaluation.reference import Reference

    bundle = load_bundle(load_settings().models_dir, "synthetic")
    reference = Reference.prepare(bundle.manifest, bundle.reference())
    found = evaluate(reference, reference.conform(all_rows(rows)))
    return {verdict.column: verdict.value for verdict in found.of("drift") if verdict.value is not None}


def run_tutorial(rows: int, of: int) -> Numbers:
    """All documents in a list, the list in a DataFrame, all of it in one report."""
    from evidently import DataDefinition, Dataset, Regression, Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset, RegressionPreset

    settings, began = load_settings(), time.perf_counter()
    client: MongoClient[dict[str, Any]] = MongoClient(settings.mongodb_uri)
    database = client.get_database(settings.mongodb_database)
    made_at = {"$gte": START, "$lt": end_of(rows, of)}
    found = list(database.predictions.find({"created_at": made_at}))
    truth = {target["_id"]: target["target"] for target in database.targets.find()}
    frame = pd.DataFrame([{**d["features"], **d, "target": truth.get(d["_id"])} for d in found])
    read = time.perf_counter() - began
    definition = DataDefinition(
        numerical_columns=[*NUMERICAL, "prediction", "target"],
        categorical_columns=list(CATEGORIES),
        regression=[Regression(target="target", prediction="prediction")],
    )
    names = [*FEATURES, "prediction", "target"]
    reference = load_bundle(settings.models_dir, "synthetic").reference()[names]
    current, known = (Dataset.from_pandas(side, data_definition=definition) for side in (frame[names], reference))
    report = Report([DataDriftPreset(), DataSummaryPreset(), RegressionPreset()])
    page = report.run(current_data=current, reference_data=known).get_html_str(as_iframe=False)
    (settings.data_dir / "tutorial.html").write_text(page)
    return {"seconds": time.perf_counter() - began, READING: read}


ARMS = {"flow": run_flow, "sampling": run_sampling, "scores": run_scores, "tutorial": run_tutorial}


def run_arm(name: str, rows: int, of: int) -> None:
    """Run one arm in this process; its numbers are the last line that is printed."""
    numbers = ARMS[name](rows, of)
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024
    print(json.dumps({"peak": peak, **numbers}))


if __name__ == "__main__":
    run_arm(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
