"""What the health summary asks Prometheus, and what it makes of the answers."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from batch_flows.health_summary.facts import (
    alarm_lines,
)
from batch_flows.health_summary.history import Count, alarm_step, episodes, read_history
from batch_flows.health_summary.prometheus_api import PrometheusApi, PrometheusAway, QueryRefused, Series
from batch_flows.time_range import TimeRange
from tests.health import HOUR, MINUTE, START, WINDOW, history


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
