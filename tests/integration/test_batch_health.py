"""`python -m batch_flows.health_summary` against a real store and, where it is installed, a real Prometheus."""

import json
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from batch_flows.health_summary.__main__ import main
from batch_flows.health_summary.facts import choose_days
from batch_flows.health_summary.history import read_history
from batch_flows.health_summary.prometheus_api import PrometheusApi, PrometheusAway, QueryRefused
from sextant.contracts.events import Prediction, Target
from sextant.infrastructure.event_store import EventStore
from tests.processes import Program, Services, answers, free_port, wait_until

PROMETHEUS = shutil.which("prometheus")
needs_prometheus = pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed")
END = datetime(2026, 3, 9, 8, 30, tzinfo=UTC)
DAYS = 7

pytestmark = pytest.mark.usefixtures("environment")


def add_week(store: EventStore, end: datetime, *, model: str = "taxi") -> None:
    """Sixty predictions a day on five days before the end, the first third labelled; one hour is slow."""
    predictions = [
        Prediction(
            prediction_id=f"{model}-{day}-{number}",
            model=model,
            model_version="v1",
            created_at=end - timedelta(days=day, minutes=3 * number + 1),
            features={"trip_distance": 1.0},
            prediction=8.5,
            latency_ms=90.0 if day == 3 and number < 10 else 4.0,
        )
        for day in range(5)
        for number in range(60)
    ]
    assert store.add_predictions(predictions) == []
    labelled = [made for made in predictions if int(made.prediction_id.rpartition("-")[2]) < 20]
    store.add_targets([Target(made.prediction_id, model, 9.0, end) for made in labelled])


def add_report(store: EventStore, end: datetime, drifted: bool) -> None:
    metrics = {
        "dataset_drift": drifted,
        "drifted_features_ratio": 0.5 * drifted,
        "drift": {"trip_distance": {"drifted": drifted}, "PULocationID": {"drifted": False}},
        "performance": {"mae": 3.5},
        "reference_performance": {"mae": 2.5},
    }
    store.add_report(
        {
            "_id": f"drift-report_taxi_{end:%m%d}",
            "flow": "drift-report",
            "model": "taxi",
            "model_version": "v1",
            "window": {"start": end - timedelta(days=1), "end": end},
            "rows": 60,
            "rows_with_target": 20,
            "created_at": end,
            "metrics": metrics,
            "html": f"drift-report_taxi_{end:%m%d}.html",
        }
    )


def summary_of_the_week(*options: str) -> int:
    return main(["--days", str(DAYS), "--end", END.isoformat(), *options])


def only_summary(services: Services, store: EventStore) -> tuple[dict[str, Any], str]:
    (document,) = store.reports("all")
    page = services.data_dir / "reports" / document["html"]
    assert json.loads(page.with_suffix(".json").read_text())["rows"] == document["rows"]
    return document, page.read_text()


def test_without_prometheus_the_week_is_told_from_mongodb_and_the_page_says_so(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_week(store, END)
    for day, drifted in ((4, False), (3, True), (2, True), (1, False), (30, True)):
        add_report(store, END - timedelta(days=day), drifted)
    for _ in range(2):  # the same window is one summary
        assert summary_of_the_week() == 0
    assert "300 predictions, 2 model(s); drift reported of taxi; without Prometheus" in capsys.readouterr().out

    document, page = only_summary(services, store)
    assert document["flow"] == "health-summary"
    assert document["window"]["end"] == END
    assert (document["rows"], document["rows_with_target"]) == (300, 100)
    taxi = next(model for model in document["metrics"]["models"] if model["model"] == "taxi")
    assert (taxi["drift_reports"], taxi["drift_episodes"]) == (4, 1)
    slowest = document["metrics"]["slowest_hours"][0]
    assert (slowest["model"], slowest["latency_ms"]) == ("taxi", 90.0)
    assert slowest["start"] == (END - timedelta(days=3)).replace(minute=0)
    assert "does not answer" in page
    assert "33.3 % (100)" in page
    assert "mae 3.5 (reference 2.5)" in page
    assert (services.data_dir / "reports" / "assets").is_dir()
    assert document["html"] in (services.data_dir / "reports" / "index.html").read_text()


def test_a_summary_is_not_replaced_by_one_that_sees_less_since_predictions_were_deleted(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    add_week(store, END)
    assert summary_of_the_week() == 0
    before = only_summary(services, store)
    capsys.readouterr()

    store.delete("taxi", sorted(store.prediction_ids())[:100])
    assert summary_of_the_week() == 0
    said = capsys.readouterr().out
    assert "was made from 300 predictions, of which 200 are still stored, so it stays as it is" in said
    assert only_summary(services, store) == before


def test_a_week_without_traffic_is_a_summary_that_says_so(services: Services, store: EventStore) -> None:
    add_week(store, END - timedelta(days=60))
    assert summary_of_the_week() == 0
    document, page = only_summary(services, store)
    assert document["rows"] == 0
    assert "none: zero traffic" in page


def test_without_any_model_there_is_no_summary(
    services: Services, store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(services.models_dir)
    assert summary_of_the_week() == 0
    assert "there is no model" in capsys.readouterr().out
    assert store.reports() == []


def test_without_mongodb_the_summary_fails_with_one_sentence(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    assert summary_of_the_week() == 1
    said = capsys.readouterr().err
    assert said.startswith("health-summary: MongoDB: ")
    assert len(said.splitlines()) == 1
    assert not (services.data_dir / "reports").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [(["--days", "0"], "days must lie between 0 and 366"), (["--end", "today"], "end is not an ISO 8601 time")],
)
def test_a_wrong_request_is_one_sentence_and_exit_code_2(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert len(said.splitlines()) == 1


# --- with a real Prometheus --------------------------------------------------------------------------------


class Exporter:
    """Metrics as the services show them, with requests of 30 ms going on and a dead letter now and then."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.duration = Histogram(
            "sextant_prediction_duration_seconds",
            "x",
            ["model", "version", "outcome"],
            buckets=(0.01, 0.1, 1.0),
            registry=self.registry,
        )
        drift = Gauge("sextant_dataset_drift", "x", ["model", "version"], registry=self.registry)
        drift.labels("taxi", "v1").set(1)
        backlog = Gauge("sextant_outbox_events", "x", ["sink"], registry=self.registry)
        backlog.labels("mongodb").set(77)
        self.dead = Counter("sextant_events_dead_lettered", "x", ["sink"], registry=self.registry)
        self.dead.labels("mongodb")

    def exposition(self) -> bytes:
        self.dead.labels("mongodb").inc()
        for _ in range(10):
            self.duration.labels("taxi", "v1", "ok").observe(0.03)
        return generate_latest(self.registry)


@pytest.fixture
def exporter_port() -> Iterator[int]:
    exporter = Exporter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(exporter.exposition())

        def log_message(self, format: str, *args: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield listener.server_port
    listener.shutdown()
    listener.server_close()
    thread.join()


CONFIGURATION = """
global: {{scrape_interval: 250ms, scrape_timeout: 200ms, evaluation_interval: 250ms}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: sextant
    static_configs:
      - {{targets: ["127.0.0.1:{port}"], labels: {{job: prediction}}}}
      - {{targets: ["127.0.0.1:{nobody}"], labels: {{job: relay}}}}
"""
RULES = """
groups:
  - name: sextant
    rules:
      - {alert: DatasetDrift, expr: sextant_dataset_drift == 1, labels: {severity: warning}}
      - {alert: Watchdog, expr: vector(1), labels: {severity: none}} # always fires, and is no alarm
"""


@pytest.fixture
def prometheus(services: Services, exporter_port: int, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = services.folder / "prometheus"
    folder.mkdir()
    (folder / "prometheus.yml").write_text(CONFIGURATION.format(port=exporter_port, nobody=free_port()))
    (folder / "rules.yml").write_text(RULES)
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [str(PROMETHEUS), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
    program = Program(command, {}, folder / "log", lambda: answers(f"{url}/-/ready"))
    services.programs.append(program)
    program.start()
    monkeypatch.setenv("PROMETHEUS_URL", url)
    return url


def has_seen_everything(url: str) -> bool:
    window = choose_days(days=0.01, end=None, now=datetime.now(UTC))
    found = read_history(PrometheusApi(url), window)
    return all((len(found.uptime) == 2, found.p95, found.drift, found.alarms, found.counts, found.backlog))


@needs_prometheus
def test_what_a_real_prometheus_remembers_stands_on_the_page(
    services: Services, store: EventStore, prometheus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add_week(store, datetime.now(UTC))
    wait_until(lambda: has_seen_everything(prometheus), "Prometheus to have scraped and alarmed", 30)
    assert main(["--days", "7"]) == 0
    assert "1 alarm(s); lowest availability 0.00 % (relay)" in capsys.readouterr().out

    document, page = only_summary(services, store)
    metrics = document["metrics"]
    assert {row["job"]: row["ratio"] for row in metrics["uptime"]} == {"prediction": 1.0, "relay": 0.0}
    assert metrics["drift_time"] == [{"model": "taxi", "ratio": 1.0}]
    assert metrics["largest_backlog"] == [{"sink": "mongodb", "events": 77.0}]
    assert [(alarm["name"], alarm["about"]) for alarm in metrics["alarms"]] == [("DatasetDrift", "taxi")]
    assert metrics["errors"][0]["what"] == "Events dead-lettered"
    slowest = metrics["slowest_hours"][0]
    assert slowest["model"] == "taxi"
    assert 10 < slowest["latency_ms"] <= 100  # the bucket that holds 30 ms
    assert metrics["notes"] == []
    assert "95th percentile" in page


@needs_prometheus
def test_a_real_prometheus_refuses_a_wrong_query_with_its_reason_and_is_away_on_another_path(
    prometheus: str,
) -> None:
    with pytest.raises(QueryRefused, match="parse error"):
        PrometheusApi(prometheus).instant("up[", END)
    with pytest.raises(PrometheusAway, match="status 404"):
        PrometheusApi(f"{prometheus}/elsewhere").instant("up", END)
