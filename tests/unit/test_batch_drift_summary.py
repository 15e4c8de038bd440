"""What a report says of itself: about which rows, what was found, and what was left out."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from batch_flows.drift_report.rows import EvaluatedRows
from batch_flows.drift_report.summary import DriftSummary, nothing_found, of_all_models
from batch_flows.time_range import TimeRange
from sextant.evaluation.drift.calibration import calibrate, calibrate_segments
from sextant.evaluation.evaluate import evaluate
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.evaluation.report_head import with_head
from tests.bundles import make_trips, publish_trips

pytestmark = pytest.mark.usefixtures("few_resamples")

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
WINDOW = TimeRange(START, START + timedelta(hours=1))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = publish_trips(tmp_path_factory.mktemp("models"), name="green_taxi")
    return Reference.prepare(bundle.manifest, bundle.reference())


@pytest.fixture(scope="module")
def summary_of(reference: Reference) -> Any:
    """Makes the summary of a frame."""
    calibration = calibrate(reference.values, reference.columns, false_alarm_rate=0.01)
    parts = {name: part.values for name, part in reference.segments.items()}
    segments = calibrate_segments(parts, reference.columns, false_alarm_rate=0.01)
    estimator = PerformanceEstimator.fit(reference)

    def make(frame: pd.DataFrame, *, no_estimate: str | None = None, **counts: Any) -> DriftSummary:
        found = evaluate(
            reference,
            reference.conform(frame),
            calibration,
            segment_calibration=segments,
            estimator=None if no_estimate else estimator,
        )
        rows = EvaluatedRows(frame, **{"predictions": len(frame), "other_versions": {}} | counts)
        return DriftSummary(reference.manifest, WINDOW, rows, found, no_estimate)

    return make


def trips(rows: int, labelled: int, factor: float = 1.0) -> pd.DataFrame:
    frame = make_trips(rows, seed=5, distance_factor=factor)
    return frame.assign(target=frame["target"].where(frame.index < labelled))


def test_the_document_has_the_fields_of_the_design_and_counts_that_agree(summary_of: Any) -> None:
    document = (
        summary_of(trips(500, 100, factor=1.6), predictions=900, other_versions={"v0": 7}).record(START).document()
    )
    who_and_when = {"_id", "flow", "model", "model_version", "window", "created_at"}
    assert set(document) == who_and_when | {"rows", "rows_with_target", "metrics", "html"}
    assert (document["rows"], document["rows_with_target"]) == (500, 100)
    assert document["metrics"]["label_coverage_ratio"] == 0.2
    assert document["metrics"]["predictions_in_window"] == 900
    assert document["metrics"]["predictions_of_other_versions"] == 7
    assert document["metrics"]["dataset_drift"] is True
    assert document["html"] == f"{document['_id']}.html"


def test_the_facts_name_window_version_sample_coverage_and_what_is_left_out(summary_of: Any) -> None:
    facts = summary_of(trips(500, 100), predictions=900, other_versions={"v0": 7}).facts
    assert facts["Model"] == "green_taxi, version v1"
    assert facts["Window"] == "2026-03-01 08:00:00 to 2026-03-01 09:00:00 UTC"
    assert facts["Predictions"] == "900"
    assert facts["Evaluated"] == "a uniform sample of 500"
    assert facts["Label coverage"] == "20.0% of the sample (100 targets)"
    assert facts["Left out"] == "predictions of other versions: 7 of version v0"


def test_a_window_that_fits_is_reported_whole_and_nothing_is_left_out(summary_of: Any) -> None:
    facts = summary_of(trips(500, 0)).facts
    assert facts["Evaluated"] == "all of them"
    assert facts["Label coverage"] == "0.0% (0 targets)"
    assert {"Left out", "Skipped", "Not judged", "Performance"}.isdisjoint(facts)


def test_documents_that_are_no_predictions_are_counted_and_the_first_is_named(summary_of: Any) -> None:
    summary = summary_of(trips(100, 0), skipped=12, skipped_example="p7: no features")
    assert summary.facts["Skipped"] == "12 document(s) that are no predictions or targets (first: p7: no features)"
    assert summary.record(START).metrics["documents_skipped"] == 12


def test_the_facts_hold_the_command_that_makes_the_same_report_again(summary_of: Any) -> None:
    words = summary_of(trips(100, 0)).facts["Make it again"].split()
    assert words[:3] == ["python", "-m", "batch_flows.drift_report"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert (options["--model"], options["--model-version"]) == ("green_taxi", "v1")
    assert TimeRange(*(datetime.fromisoformat(options[name]) for name in ("--start", "--end"))) == WINDOW


@pytest.mark.parametrize(
    ("rows", "factor", "text", "kind"),
    [
        (500, 1.6, "dataset drift; segment drift", "bad"),
        (500, 1.0, "no drift", "good"),
        (10, 1.0, "not judged", "quiet"),
    ],
)
def test_the_status_is_the_verdict_in_a_few_words(
    summary_of: Any, rows: int, factor: float, text: str, kind: str
) -> None:
    status = summary_of(trips(rows, 0, factor)).record(START).metrics["status"]
    assert status == {"text": text, "kind": kind}


def test_performance_is_estimated_before_any_target_and_measured_where_there_are_some(summary_of: Any) -> None:
    early, late = (summary_of(trips(500, labelled)) for labelled in (0, 500))
    assert set(early.record(START).metrics["performance"]) == {"estimated_mae"}
    metrics = late.record(START).metrics
    assert set(metrics["performance"]) == {"mae", "rmse", "r2", "mean_error", "estimated_mae"}
    assert set(metrics["reference_performance"]) == set(metrics["performance"])
    assert metrics["performance"]["estimated_mae"] == pytest.approx(metrics["performance"]["mae"], rel=0.2)
    assert re.match(r"mae [\d.]+ \(reference [\d.]+\), rmse", late.facts["Performance"])
    assert re.fullmatch(r"estimated_mae [\d.]+ \(reference [\d.]+\)", early.facts["Estimated performance"])


def test_a_reference_that_allows_no_estimate_is_said_to(summary_of: Any) -> None:
    summary = summary_of(trips(100, 0), no_estimate="the reference holds 3 labelled rows, fewer than 200")
    assert summary.facts["Estimated performance"].startswith("none: the reference holds 3 labelled rows")
    assert summary.record(START).metrics["performance"] == {}


def test_each_segment_has_its_rows_verdict_and_measures(summary_of: Any) -> None:
    frame = trips(900, 900)
    cash = frame["payment_type"] == "2"
    frame.loc[cash, "trip_distance"] *= 2.0
    summary = summary_of(frame)
    metrics = summary.record(START).metrics
    segments = {segment["segment"]: segment for segment in metrics["segments"]}
    assert set(segments) == {"payment_type=1", "payment_type=2", "payment_type=3"}
    assert segments["payment_type=2"]["rows"] == int(cash.sum())
    assert segments["payment_type=1"]["performance"].keys() >= {"mae", "estimated_mae"}
    verdicts = {v["segment"]: v for v in metrics["verdicts"] if v["name"] == "segment_drift"}
    assert [v["column"] for v in verdicts["payment_type=2"]["causes"] if v["detected"]] == ["trip_distance"]
    assert verdicts["payment_type=1"]["detected"] is False
    assert summary.facts["Segment drift"] == "payment_type=2: drift: trip_distance"


def test_the_head_of_the_page_has_a_table_of_segments(summary_of: Any) -> None:
    frame = trips(900, 900)
    frame.loc[frame["payment_type"] == "2", "trip_distance"] *= 2.0
    page = with_head("<body></body>", title="t", facts={}, evaluation=summary_of(frame).evaluation)
    drifted = (
        r"<tr class='drifted'><td>payment_type=2</td><td>\d+</td><td>drift: trip_distance</td><td>no gap</td>"
    )
    assert re.search(drifted + r"<td>mae [\d.]+ \(reference [\d.]+\)</td><td>estimated_mae [\d.]+ ", page)
    assert re.search(r"<tr><td>payment_type=1</td><td>\d+</td><td>no drift</td>", page)


def test_an_empty_window_says_what_lies_there_instead(reference: Reference) -> None:
    rows = EvaluatedRows(pd.DataFrame(), 0, {"v0": 1_200}, skipped=3)
    said = nothing_found(reference.manifest, WINDOW, rows)
    assert said.startswith("no predictions of green_taxi version v1 from 2026-03-01 08:00:00 to ")
    assert said.endswith("UTC (1,200 of other versions, 3 skipped), so there is no report")


def test_the_message_about_all_models_names_each_and_begins_with_those_that_failed() -> None:
    said = of_all_models({"iris": "no drift", "taxi": "its file is corrupt"}, ["taxi"])
    assert said == "1 of 2 models done. taxi failed: its file is corrupt; iris: no drift"


def test_a_column_that_could_not_be_judged_is_named(summary_of: Any) -> None:
    frame = trips(500, 0)
    frame["trip_distance"] = None
    assert "trip_distance (only 0 values" in summary_of(frame).facts["Not judged"]


def test_the_sentence_names_the_drifted_columns(summary_of: Any) -> None:
    assert "dataset drift: yes (trip_distance, prediction)" in summary_of(trips(500, 0, factor=1.6)).sentence()
    assert "dataset drift: no" in summary_of(trips(500, 0)).sentence()


def test_scores_have_a_row_for_each_column_and_the_prediction(summary_of: Any) -> None:
    rows = [row for row in summary_of(trips(500, 100)).scores() if row["name"] == "drift"]
    assert [row["subject"] for row in rows] == [
        "PULocationID",
        "DOLocationID",
        "trip_distance",
        "prediction",
        "target",
    ]
    assert all(row["threshold"] is not None for row in rows)


def test_verdicts_beside_drift_are_facts_with_what_chance_allows(summary_of: Any) -> None:
    worse, missing = trips(500, 500), trips(500, 0).astype({"trip_distance": float})
    worse["target"] = worse["prediction"] + 3.0 * (worse["target"] - worse["prediction"])
    missing.loc[missing.index[:100], "trip_distance"] = None

    facts, metrics = summary_of(worse).facts, summary_of(worse).record(START).metrics
    beyond = r"\+\d+\.\d%, beyond the threshold of \+\d+\.\d%"
    assert re.fullmatch(beyond, facts["Performance degradation"])
    assert re.fullmatch(beyond, facts["Concept drift"])
    assert "within the threshold" in facts["Estimated degradation"]
    assert re.fullmatch(r"no gap in \d judged", facts["Fairness gap"])
    assert re.fullmatch(r"not detected in \d judged", facts["Data quality"])
    found = {v["name"] for v in metrics["verdicts"] if v["detected"] and not v.get("column")}
    assert found == {"dataset_drift", "segment_drift", "concept_drift", "performance_degradation"}
    assert summary_of(worse).status() == {
        "text": "dataset drift; segment drift; performance degradation; concept drift",
        "kind": "bad",
    }

    assert summary_of(missing).facts["Data quality"] == "trip_distance missing: 20.0% (reference 0.0%)"
    checks = [v for v in summary_of(missing).record(START).metrics["verdicts"] if v["name"] == "data_quality"]
    assert [(v["column"], v["check"]) for v in checks if v["detected"]] == [("trip_distance", "missing")]
    assert summary_of(missing).facts["Performance degradation"].startswith("not judged: 0 rows to tell by")
    assert summary_of(missing).status() == {"text": "data quality", "kind": "bad"}
