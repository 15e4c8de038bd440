"""What a report says of itself: about which rows, what was found, and what was left out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batch_flows.window import Window
from tests.bundles import make_trips, publish_trips

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(hours=1))


@pytest.fixture
def summary_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the summary of a frame; Prefect, which the steps import, is kept quiet and at home in tmp_path."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    from batch_flows.drift_summary import DriftSummary
    from batch_flows.steps import WindowRows
    from evaluation.calibration import calibrate
    from evaluation.evaluate import evaluate
    from evaluation.reference import Reference

    bundle = publish_trips(tmp_path / "models", name="green_taxi")
    reference = Reference.prepare(bundle.manifest, bundle.reference())
    calibration = calibrate(reference.values, reference.columns, false_alarm_rate=0.01)

    def make(frame: pd.DataFrame, *, predictions: int | None = None, **others: int) -> DriftSummary:
        rows = WindowRows(frame, predictions or len(frame), others)
        return DriftSummary(bundle.manifest, WINDOW, rows, evaluate(reference, frame, calibration))

    return make


def trips(rows: int, labelled: int, factor: float = 1.0) -> pd.DataFrame:
    frame = make_trips(rows, seed=5, distance_factor=factor)
    frame.loc[labelled:, "target"] = None
    return frame


def test_the_document_has_the_fields_of_the_design_and_counts_that_agree(summary_of: Any) -> None:
    document = summary_of(trips(500, 100, factor=1.6), predictions=900, v0=7).document(START)
    who_and_when = {"_id", "flow", "model", "model_version", "window", "created_at"}
    assert set(document) == who_and_when | {"rows", "rows_with_target", "metrics", "html"}
    assert (document["rows"], document["rows_with_target"]) == (500, 100)
    assert document["metrics"]["label_coverage_ratio"] == 0.2
    assert document["metrics"]["predictions_in_window"] == 900
    assert document["metrics"]["predictions_of_other_versions"] == 7
    assert document["metrics"]["dataset_drift"] is True
    assert document["html"] == f"{document['_id']}.html"


def test_the_facts_name_window_version_sample_coverage_and_what_is_left_out(summary_of: Any) -> None:
    facts = summary_of(trips(500, 100), predictions=900, v0=7).facts
    assert facts["Model"] == "green_taxi, version v1"
    assert facts["Window"] == "2026-03-01 08:00:00 to 2026-03-01 09:00:00 UTC"
    assert facts["Predictions"] == "900"
    assert facts["Evaluated"] == "a uniform sample of 500"
    assert facts["Label coverage"] == "20.0% (100 targets)"
    assert facts["Left out"] == "predictions of other versions: 7 of version v0"


def test_a_window_that_fits_is_reported_whole_and_nothing_is_left_out(summary_of: Any) -> None:
    facts = summary_of(trips(500, 0)).facts
    assert facts["Evaluated"] == "all of them"
    assert "Left out" not in facts


def test_a_column_that_could_not_be_judged_is_named(summary_of: Any) -> None:
    frame = trips(500, 0)
    frame["trip_distance"] = None
    assert "trip_distance (only 0 values" in summary_of(frame).facts["Not judged"]


def test_the_sentence_names_the_drifted_columns(summary_of: Any) -> None:
    assert "dataset drift: yes (trip_distance, prediction)" in summary_of(trips(500, 0, factor=1.6)).sentence()
    assert "dataset drift: no" in summary_of(trips(500, 0)).sentence()


def test_scores_have_a_row_for_each_column_and_the_prediction(summary_of: Any) -> None:
    rows = summary_of(trips(500, 100)).scores()
    assert [row["column"] for row in rows] == [
        "PULocationID",
        "DOLocationID",
        "trip_distance",
        "prediction",
        "target",
    ]
    assert all(row["threshold"] is not None for row in rows)


def test_the_artifact_key_is_one_that_prefect_takes(summary_of: Any) -> None:
    assert summary_of(trips(100, 0)).artifact_key == "drift-report-green-taxi"
