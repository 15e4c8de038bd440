"""What the health summary takes for its window, finds in MongoDB, and says in words and in its document."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batch_flows.health_summary.facts import (
    Health,
    ModelWeek,
    choose_days,
    drift_episodes,
    drift_reports,
    slowest_hours,
)
from batch_flows.health_summary.page import tables
from batch_flows.health_summary.steps import MOST_PARTS
from batch_flows.health_summary.summary import record_of, sentence, status
from batch_flows.reports.record import read_records
from batch_flows.time_range import TimeRange
from sextant.contracts.errors import Rejected
from sextant.infrastructure.documents import HourlyTraffic
from sextant.pages.words import share, span
from tests.health import HOUR, MINUTE, START, WINDOW, history, report, week


def test_the_window_begins_at_a_full_hour_and_ends_where_it_was_asked_to() -> None:
    end = datetime(2026, 3, 9, 10, 17, 5, 999, tzinfo=UTC)
    assert choose_days(days=7, end=None, now=end) == TimeRange(
        datetime(2026, 3, 2, 10, tzinfo=UTC), end.replace(microsecond=0)
    )


@pytest.mark.parametrize("days", [0, -7, float("nan"), float("inf"), 367])
def test_days_that_make_no_window_are_rejected(days: float) -> None:
    with pytest.raises(Rejected, match="days must lie between 0 and 366"):
        choose_days(days=days, end=None, now=START)


def test_an_end_without_a_zone_is_rejected() -> None:
    with pytest.raises(Rejected, match="end has no time zone"):
        choose_days(days=7, end="2026-03-01T08:00:00", now=START)


def test_reports_in_a_row_that_found_drift_are_one_episode() -> None:
    reports = [report(12, True, "trip_distance"), report(13, None), report(14, True, "PULocationID")]
    reports += [report(15, False), report(20, True, "trip_distance")]
    first, second = drift_episodes(week(*reversed(reports)))
    assert (first.start, first.end, first.reports) == (START + 6 * HOUR, START + 14 * HOUR, 2)
    assert list(first.columns) == ["trip_distance", "PULocationID"]
    assert (second.end, second.html) == (START + 20 * HOUR, "r20.html")


def test_reports_outside_of_the_window_and_of_other_flows_do_not_count() -> None:
    others = report(12, True, metrics={"difference": 0.1})
    records, _ = read_records([report(0, True), report(50, True), others, report(1, False)])
    assert [found.html for found in drift_reports(WINDOW, records)] == ["r1.html"]


@pytest.mark.parametrize("broken", [{"window": None}, {"created_at": "yesterday"}, {"metrics": None}])
def test_a_report_of_another_form_is_counted_and_left_out(broken: dict[str, Any]) -> None:
    records, unreadable = read_records([report(12, True) | broken, report(13, True)])
    assert (len(records), len(unreadable)) == (1, 1)


def test_the_page_says_for_which_rows_the_newest_report_says_that_thresholds_hold() -> None:
    hold = "hold for consecutive rows: the reference spans 21 days"
    timed = {"dataset_drift": False, "thresholds": {"order": "time", "hold": hold}}
    models = [week(report(12, False), report(14, False, metrics=timed)), week(report(12, True), model="iris")]
    (drift,) = (table for table in tables(Health(WINDOW, models)) if table.title == "Drift episodes")
    assert drift.remark == f"Drift reports in a row that found drift. Thresholds of taxi: {hold}."


def test_latency_is_the_mean_over_predictions_and_coverage_over_rows() -> None:
    traffic = {START: HourlyTraffic(60, 30, 2.0), START + HOUR: HourlyTraffic(10, 10, 6.0)}
    model = ModelWeek("taxi", traffic | {START + 2 * HOUR: HourlyTraffic(5, 0, None)}, {START: 0.2}, [])
    assert model.latency_ms == 3.0
    assert (model.rows_with_target, model.coverage) == (12, 12 / 75)
    assert ModelWeek("taxi", {START: HourlyTraffic(5, 0, None)}, {}, []).latency_ms is None
    assert ModelWeek("idle", {}, {}, []).coverage is None


def test_the_slowest_hours_are_prometheus_percentiles_where_it_has_any() -> None:
    slowest = slowest_hours(Health(WINDOW, [week()], history()))
    assert [(hour.start, hour.latency_ms, hour.rows) for hour in slowest] == [
        (START + 5 * HOUR, 250.0, 15),
        (START, 4.0, 10),
    ]


def test_without_prometheus_the_slowest_hours_are_mongodbs_means() -> None:
    for nothing in (None, history(p95={})):
        slowest = slowest_hours(Health(WINDOW, [week()], nothing))
        assert [hour.latency_ms for hour in slowest] == [31.0, 30.0, 29.0, 28.0, 27.0]


@pytest.mark.parametrize("days", [0.02, 1, 2, 7, 366])
def test_labels_are_looked_up_in_few_parts_of_full_hours_that_make_up_the_window(days: float) -> None:
    window = choose_days(days=days, end=None, now=START + timedelta(minutes=20))
    parts = list(window.parts(MOST_PARTS, HOUR))
    assert 1 <= len(parts) <= 30
    assert (parts[0].start, parts[-1].end) == (window.start, window.end)
    assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]
    assert {part.start.minute for part in parts} == {0}


@pytest.mark.parametrize(
    ("value", "said"), [(1.0, "100.00 %"), (0.99996, "99.99 %"), (0.29, "29.00 %"), (0.0, "0.00 %")]
)
def test_only_what_is_whole_reads_100_per_cent(value: float, said: str) -> None:
    assert share(value, 2) == said


def test_spans_of_time_are_said_in_two_units() -> None:
    spans = (timedelta(days=2, hours=3, minutes=4), timedelta(hours=1), 5 * MINUTE, timedelta(seconds=5))
    assert [span(length) for length in spans] == ["2 d 3 h", "1 h", "5 min", "0 min"]


def test_the_document_has_the_fields_of_the_design_and_no_name_of_others_as_a_key() -> None:
    health = Health(WINDOW, [week(report(12, True, "trip_distance")), week(model="iris")], history())
    found = record_of(health, START).document()
    who_and_when = {"_id", "flow", "model", "model_version", "window", "created_at"}
    assert set(found) == who_and_when | {"rows", "rows_with_target", "metrics", "html"}
    assert (found["model"], found["model_version"]) == ("all", "")
    assert found["rows"] == health.rows == 2 * sum(range(10, 40))
    assert found["rows_with_target"] == 2 * 368  # 367.5 of each model
    assert found["_id"] == "health-summary_all_20260302T000000Z_20260304T002000Z"
    assert found["metrics"]["uptime"][1] == {"job": "relay", "ratio": 0.99996}
    json.dumps(found, default=str)


def test_the_verdict_is_the_worst_of_what_was_found() -> None:
    quiet = Health(WINDOW, [week()], history(alarms=[]))
    drifted = [week(report(12, True, "trip_distance"))]
    assert status(quiet) == {"text": "no alarm", "kind": "good"}
    assert status(replace(quiet, history=None))["text"] == "without Prometheus"
    assert status(replace(quiet, models=drifted)) == {"text": "drift", "kind": "bad"}
    assert status(replace(quiet, history=history())) == {"text": "3 alarms", "kind": "bad"}
    assert status(replace(quiet, models=[week(hours=0)])) == {"text": "zero traffic", "kind": "bad"}


def test_the_sentence_names_volume_drift_alarms_and_the_least_available() -> None:
    said = sentence(Health(WINDOW, [week(report(12, True, "trip_distance"))], history()))
    assert "735 predictions" in said
    assert "drift reported of taxi" in said
    assert "3 alarm(s); lowest availability 99.99 % (relay)" in said
    assert "zero traffic" in sentence(Health(WINDOW, [week(hours=0)]))
