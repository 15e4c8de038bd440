"""What is kept of a report is read whenever and by whichever release it was written."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from batch_flows.reports.index import INDEX, write_index
from batch_flows.reports.record import ReportRecord, read_records
from batch_flows.time_range import TimeRange
from tests.drift_reports import put_report

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
END = START + timedelta(hours=1)
FIELDS = [
    "_id",
    "flow",
    "model",
    "model_version",
    "window",
    "rows",
    "rows_with_target",
    "created_at",
    "metrics",
    "html",
]


def column(name: str, method: str, score: float, threshold: float | None, drifted: bool | None) -> dict[str, Any]:
    """A column's drift as the first releases wrote it."""
    return {"column": name, "method": method, "score": score, "threshold": threshold, "drifted": drifted}


def document(*columns: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A drift report's document as the first releases wrote it: without `status`, segments or ratios by column."""
    metrics = {
        "dataset_drift": any(each["drifted"] for each in columns),
        "drifted_features": sum(bool(each["drifted"]) for each in columns),
        "drifted_features_ratio": 0.5,
        "drift": {each["column"]: each for each in columns},
        "performance": {"mae": 3.21, "r2": None},
        "reference_performance": {"mae": 2.4},
        "concept_drift_ratio": 0.34,
        "concept_drift": {"ratio": 0.34, "threshold": 0.1, "drifted": True},
        "label_coverage_ratio": 0.2,
        "predictions_in_window": 900,
        "predictions_of_other_versions": 7,
        "errors": {"PULocationID": "only 3 values"},
    }
    return {
        "_id": "drift-report_taxi_v1",
        "flow": "drift-report",
        "model": "taxi",
        "model_version": "v1",
        "window": {"start": START, "end": END},
        "rows": 500,
        "rows_with_target": 100,
        "created_at": END,
        "metrics": metrics,
        "html": "drift-report_taxi_v1.html",
    } | changes


DISTANCE = column("trip_distance", "wasserstein_clipped", 0.3, 0.1, True)
QUIET_P_VALUE = column("PULocationID", "chisquare", 0.4, 0.01, False)
DRIFTED_P_VALUE = column("DOLocationID", "chisquare", 0.0001, 0.01, True)


def record(*columns: dict[str, Any], **changes: Any) -> ReportRecord:
    return ReportRecord.model_validate(document(*columns, **changes))


def test_a_record_is_stored_with_the_fields_of_the_design_and_is_the_same_when_read_again() -> None:
    stored = record(DISTANCE).document()
    assert list(stored) == FIELDS
    assert stored == document(DISTANCE)
    assert ReportRecord.model_validate(stored) == record(DISTANCE)
    assert ReportRecord.model_validate_json(orjson.dumps(stored)) == record(DISTANCE)
    assert record(DISTANCE).window == TimeRange(START, END)


def test_an_old_drift_report_is_read_with_its_verdict_columns_and_performance() -> None:
    old = record(DISTANCE, QUIET_P_VALUE)
    assert (old.dataset_drift, old.drifted_columns, old.drifted_ratio) == (True, ["trip_distance"], 0.5)
    assert (old.status.text, old.status.kind) == ("drift", "bad")
    assert old.measures("performance") == {"mae": 3.21}
    assert old.furthest == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("columns", "furthest"),
    [
        ([QUIET_P_VALUE], 0.199),  # p = 0.4 against 0.01 is no drift, not 40 times its threshold
        ([DRIFTED_P_VALUE], 2.0),
        ([QUIET_P_VALUE, DISTANCE], 3.0),
        ([column("x", "ks", 0.0, 0.05, True)], 230.6),
        ([column("x", "ks", 0.3, None, None)], None),
        ([column("x", "ks", 0.3, 1.0, False)], None),
        ([column("x", "jensenshannon", 0.3, 0.0, False)], None),
        ([column("x", "jensenshannon", float("nan"), 0.1, None)], None),
        ([{**QUIET_P_VALUE, "threshold_ratio": 0.7}], 0.7),
        ([{**DISTANCE, "threshold_ratio": None}], None),
        ([], None),
    ],
)
def test_how_far_a_column_drifted_is_told_in_the_direction_of_its_method(
    columns: list[dict[str, Any]], furthest: float | None
) -> None:
    assert record(*columns).furthest == (None if furthest is None else pytest.approx(furthest, rel=1e-3))


def test_the_index_draws_a_p_value_far_above_its_threshold_as_no_drift(tmp_path: Path) -> None:
    put_report(tmp_path, document(QUIET_P_VALUE))
    page = (tmp_path / INDEX).read_text()
    assert "newest: 0.199 times its threshold" in page
    assert 'class="drifted"' not in page


def test_a_column_is_named_whether_it_says_drifted_or_detected() -> None:
    found = {name: value for name, value in DISTANCE.items() if name != "drifted"}
    assert record({**DISTANCE}).drifted_columns == ["trip_distance"]
    metrics = {"dataset_drift": True, "drift": {"trip_distance": {**found, "detected": True}}}
    assert record(metrics=metrics).drifted_columns == ["trip_distance"]


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"dataset_drift": True},
        {"dataset_drift": None, "drift": None},
        {"dataset_drift": "yes", "drift": {"a": 3, "b": {"score": "high", "threshold": []}}},
        {"status": {"text": 3, "kind": "good"}, "performance": {"mae": "low"}},
        {"status": "fine", "performance": [1], "predictions_in_window": "many", "sources": "all"},
    ],
)
def test_metrics_of_any_other_form_are_read_without_an_error(metrics: dict[str, Any], tmp_path: Path) -> None:
    odd = record(metrics=metrics)
    assert (odd.drifted_columns, odd.furthest, odd.measures("performance")) == ([], None, {})
    assert odd.why_kept(record()) is None
    put_report(tmp_path, document(metrics=metrics))
    assert "drift-report_taxi_v1.html" in (tmp_path / INDEX).read_text()


@pytest.mark.parametrize(
    "broken",
    [
        {"window": None},
        {"window": {"start": START}},
        {"window": {"start": START.isoformat(), "end": END.isoformat()}},  # MongoDB holds dates
        {"created_at": START.replace(tzinfo=None)},
        {"created_at": 1_772_352_000},
        {"flow": None},
        {"rows": "many"},
        {"metrics": [1]},
        {"model": "x" * 201},
        {"html": None},
    ],
)
def test_a_document_that_is_no_report_is_told_apart_and_kept_as_it_is(broken: dict[str, Any]) -> None:
    other = document(DISTANCE)
    records, unreadable = read_records([document(DISTANCE) | broken, other])
    assert (len(records), len(unreadable)) == (1, 1)
    with pytest.raises(ValidationError):
        ReportRecord.model_validate(unreadable[0])


def test_summaries_of_any_age_are_listed_and_broken_ones_named(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps(document(DISTANCE), default=datetime.isoformat))
    (tmp_path / "year-one.json").write_text(
        json.dumps(document(created_at="0001-01-01T00:00:00+10:00"), default=datetime.isoformat)
    )
    (tmp_path / "list.json").write_text("[1]")
    write_index(tmp_path)
    page = (tmp_path / INDEX).read_text()
    assert 'href="old.json"' in page
    assert "summary: list.json, year-one.json" in page.replace("\n", " ")


def test_a_report_is_kept_where_a_later_one_saw_less_of_its_window() -> None:
    of_900, of_1000, of_300 = (record(metrics={"predictions_in_window": rows}) for rows in (900, 1_000, 300))
    assert of_900.why_kept(of_300) == "was made from 900 predictions, of which 300 are still stored"
    assert of_900.why_kept(of_1000) is None
    assert of_900.why_kept(of_900) is None
    rows_only = record(metrics={}, rows=500)
    assert rows_only.why_kept(of_300) == "was made from 500 predictions, of which 300 are still stored"


def test_a_report_is_kept_where_a_later_one_misses_a_source() -> None:
    whole, part = (record(metrics={"sources": sources}) for sources in (["MongoDB", "Prometheus"], ["MongoDB"]))
    assert whole.why_kept(part) == "also knows what Prometheus could not tell this time"
    assert part.why_kept(whole) is None
