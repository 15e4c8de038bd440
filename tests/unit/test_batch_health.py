"""A health summary states what happened in a week, and says what it could not find out."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from batch_flows.health_summary.facts import (
    Health,
    ModelWeek,
    alarm_lines,
    choose_days,
    drift_episodes,
    drift_reports,
    slowest_hours,
)
from batch_flows.health_summary.figures import figures
from batch_flows.health_summary.history import Count, alarm_step, episodes, read_history
from batch_flows.health_summary.page import render
from batch_flows.health_summary.prometheus_api import PrometheusApi, PrometheusAway, QueryRefused, Series
from batch_flows.health_summary.steps import MOST_PARTS
from batch_flows.health_summary.summary import record_of, sentence, status
from batch_flows.reports.record import read_records
from batch_flows.time_range import TimeRange
from sextant.contracts.errors import Rejected
from sextant.infrastructure.documents import HourlyTraffic
from sextant.pages.words import share, span
from tests.health import HOUR, MINUTE, START, WINDOW, history, report, week

# --- the window --------------------------------------------------------------------------------------------


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


# --- what MongoDB tells ------------------------------------------------------------------------------------


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


# --- what Prometheus tells ---------------------------------------------------------------------------------


class FakePrometheus:
    """Answers each query with the series whose key is part of it; remembers what it was asked."""

    def __init__(self, answers: Mapping[str, list[Series]], refused: str = "nothing") -> None:
        self.answers = answers
        self.refused = refused
        self.asked: list[tuple[str, datetime, datetime, timedelta]] = []

    def instant(self, query: str, at: datetime) -> list[Series]:
        found = self._find(query, at, at, timedelta())
        return [Series(series.labels, series.points[-1:]) for series in found]

    def over(self, query: str, start: datetime, end: datetime, step: timedelta) -> list[Series]:
        found = self._find(query, start, end, step)
        return [Series(s.labels, [p for p in s.points if start <= p[0] <= end]) for s in found]

    def _find(self, query: str, start: datetime, end: datetime, step: timedelta) -> list[Series]:
        self.asked.append((query, start, end, step))
        if self.refused in query:
            raise QueryRefused("Prometheus (fake) refuses a query: because")
        return next((series for key, series in self.answers.items() if key in query), [])


def every_hour(value: float, **labels: str) -> list[Series]:
    ends = [*(START + number * HOUR for number in range(1, 49)), WINDOW.end]
    return [Series(labels, [(end, value) for end in ends])]


def test_each_hour_is_asked_for_whole_and_the_last_one_up_to_the_end() -> None:
    api = FakePrometheus({"(up[": every_hour(0.9, job="relay")})
    found = read_history(api, WINDOW)
    assert list(found.uptime_by_hour["relay"]) == [START + number * HOUR for number in range(49)]
    uptime = [(query.count("up[1200s]"), start, end) for query, start, end, _ in api.asked if "(up[" in query]
    assert uptime == [
        (0, WINDOW.end, WINDOW.end),  # over the whole window
        (0, START + HOUR, START + 48 * HOUR),
        (2, WINDOW.end, WINDOW.end),  # the last twenty minutes
    ]


def test_a_window_of_whole_hours_has_no_rest_and_one_within_an_hour_is_all_rest() -> None:
    for window, asked in ((TimeRange(START, START + 3 * HOUR), 2), (TimeRange(START, START + 5 * MINUTE), 2)):
        api = FakePrometheus({})
        read_history(api, window)
        assert len([query for query, *_ in api.asked if "(up[" in query]) == asked


def test_a_refused_query_becomes_a_note_and_the_others_are_answered() -> None:
    answers = {"(up[": every_hour(1.0, job="relay"), "bucket": every_hour(0.1, model="taxi")}
    found = read_history(FakePrometheus(answers, refused="bucket"), WINDOW)
    assert found.uptime == {"relay": 1.0}
    assert found.p95 == {}
    assert list(found.notes) == ["Not known: latency (Prometheus (fake) refuses a query: because)."]


def test_a_prometheus_that_knows_nothing_of_the_window_says_so() -> None:
    assert list(read_history(FakePrometheus({}), WINDOW).notes) == ["Prometheus remembers nothing of this window."]


def test_errors_are_counted_and_what_did_not_happen_is_left_out() -> None:
    answers = {
        "dead_lettered": [Series({"sink": "mongodb"}, [(WINDOW.end, 2.9)])],
        "failures": [Series({"sink": "mongodb"}, [(WINDOW.end, 0.0)])],
    }
    assert read_history(FakePrometheus(answers), WINDOW).counts == [Count("Events dead-lettered", "mongodb", 3)]


def test_alarms_without_a_break_are_one_and_about_their_model_or_job() -> None:
    step = alarm_step(WINDOW)
    points = [(WINDOW.end - number * step, 1.0) for number in (9, 8, 7, 2)]
    labels = {"alertname": "DatasetDrift", "severity": "warning", "model": "taxi"}
    alarms = read_history(FakePrometheus({"ALERTS": [Series(labels, points)]}), WINDOW).alarms
    assert [(alarm.about, alarm.end - alarm.start) for alarm in alarms] == [("taxi", 3 * step), ("taxi", step)]


def test_a_week_of_alarms_fits_into_one_answer_of_prometheus() -> None:
    for days in (0.01, 7, 366):
        window = TimeRange(START, START + timedelta(days=days))
        assert alarm_step(window) >= MINUTE
        assert (window.end - window.start) / alarm_step(window) <= 2_000


def test_no_moments_make_no_episode() -> None:
    assert episodes([], MINUTE) == []


def test_alarm_lines_sum_up_and_the_longest_comes_first() -> None:
    drift, down = alarm_lines(history())
    assert (drift.name, drift.times, drift.total, drift.last_start) == (
        "DatasetDrift", 2, 150 * MINUTE, START + 9 * HOUR,
    )  # fmt: skip
    assert (down.name, down.about) == ("ServiceDown", "relay")


# --- words, document and page ------------------------------------------------------------------------------


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


def page(health: Health) -> str:
    return render(health, START, "assets/plotly.js")


def test_the_page_shows_the_facts_in_tables_and_the_plots_below() -> None:
    text = page(Health(WINDOW, [week(report(12, True, "trip_distance"))], history()))
    for fact in ("735", "50.0 % (368)", "99.99 %", "12.5 %", "40 of 49", "250 ms", "2 h 30 min", "1,200"):
        assert fact in text
    assert '<a href="r12.html">last report</a>' in text
    assert "mae 3.21 (reference 2.4)" in text
    assert text.index("Slowest hours") < text.index('class="plot"')


def test_without_prometheus_the_page_has_mongodbs_part_and_the_note() -> None:
    text = page(Health(WINDOW, [week()], notes=["Prometheus (here) does not answer: refused."]))
    assert "Prometheus (here) does not answer: refused." in text
    assert "Mean latency by hour" in text
    assert "Availability" not in text


def test_a_week_without_traffic_is_a_finding_and_has_no_empty_plots() -> None:
    text = page(Health(WINDOW, [week(hours=0)]))
    assert "none: zero traffic" in text
    assert "0 of 49" in text
    assert 'class="plot"' not in text


def test_names_from_elsewhere_cannot_leave_their_place() -> None:
    evil = '</script><img src=x onerror="alert(1)">'
    text = page(Health(WINDOW, [week(model=evil)], history(uptime={evil: 0.5}, p95={evil: {START: 1.0}}), [evil]))
    assert "<img" not in text
    (figures_json,) = re.findall(r'id="figures">(.*?)</script>', text)
    assert json.loads(figures_json)[0]["data"][0]["name"] == evil


def test_every_plot_is_one_that_plotly_accepts() -> None:
    from plotly.graph_objects import Figure

    drawn = figures(Health(WINDOW, [week(report(12, True, "trip_distance")), week(model="iris")], history()))
    assert len(drawn) == 6
    for figure in drawn:
        assert Figure(data=figure.data, layout=figure.layout).data


# --- the client --------------------------------------------------------------------------------------------


@contextmanager
def server(status_code: int, body: bytes, *, slowly: bool = False) -> Iterator[str]:
    """A server with one answer; `slowly`: a byte now and then, until the test is over."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status_code)
            self.end_headers()
            while slowly and not over.wait(0.05):
                self.wfile.write(b" ")
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        over.set()
        listener.shutdown()
        listener.server_close()
        thread.join()


def test_values_that_are_no_numbers_are_left_out() -> None:
    result = [{"metric": {"model": "taxi"}, "values": [[60, "NaN"], [120, "0.25"], [180, "+Inf"]]}]
    body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()
    with server(200, body) as url:
        (series,) = PrometheusApi(url).over("x", START, START, MINUTE)
    assert series.labels == {"model": "taxi"}
    assert series.points == [(datetime(1970, 1, 1, 0, 2, tzinfo=UTC), 0.25)]


@pytest.mark.parametrize(
    ("status_code", "body", "error", "said"),
    [
        (400, b'{"status":"error","error":"parse error"}', QueryRefused, "refuses a query: parse error"),
        (422, b"not JSON", QueryRefused, "refuses a query: status 422"),
        (503, b'{"status":"error","error":"timed out"}', PrometheusAway, "status 503"),
        (404, b"", PrometheusAway, "status 404"),
        (200, b"<html>", PrometheusAway, "does not respond like Prometheus"),
        (200, b'{"data":{"result":[{"metric":{}}]}}', PrometheusAway, "does not respond like Prometheus"),
        (200, b'{"data":{"result":[{"metric":{},"value":[1e99,"1"]}]}}', PrometheusAway, "like Prometheus"),
    ],
)
def test_an_answer_that_is_an_error_is_one_sentence(
    status_code: int, body: bytes, error: type[Exception], said: str
) -> None:
    with server(status_code, body) as url, pytest.raises(error, match=said):
        PrometheusApi(url).instant("up", START)


def test_a_server_that_trickles_its_answer_is_given_up() -> None:
    with server(200, b"", slowly=True) as url, pytest.raises(PrometheusAway, match="does not answer: timed out"):
        PrometheusApi(url, timeout=0.3).instant("up", START)


def test_nobody_there_is_one_sentence_without_the_password() -> None:
    with pytest.raises(PrometheusAway) as caught:
        PrometheusApi("http://user:secret@127.0.0.1:1").instant("up", START)
    assert str(caught.value).startswith("Prometheus (127.0.0.1:1) does not answer")
    assert "secret" not in str(caught.value)
