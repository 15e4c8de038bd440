"""The real monitoring process: drift appears in its metrics, and what it lacks or cannot use is said."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from sextant.contracts.model_bundle import set_current
from tests.bundles import make_trips, publish_trips
from tests.events import body_of, predictions_from, targets_from
from tests.processes import Program, Services, post_events, wait_until

WINDOW = {"WINDOW_SIZE": "400", "WINDOW_MIN_ROWS": "100", "EVALUATE_EVERY": "0.2"}
NO_FALSE_ALARM = {"FALSE_ALARM_RATE": "0.0001"}  # the test is about the way, not about the rate


def trips(rows: int, *, seed: int, factor: float = 1.0, labelled: bool = True) -> dict[str, Any]:
    frame = make_trips(rows, seed=seed, distance_factor=factor)
    start = datetime.now(UTC) - timedelta(seconds=rows)
    predictions = predictions_from(frame, start=start, prefix=f"{seed}-")
    return body_of(predictions, targets_from(frame, predictions) if labelled else ())


def metric(services: Services, name: str, **labels: str) -> float | None:
    text = requests.get(f"{services.monitoring_url}/metrics", timeout=10).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


def alive(services: Services, **more: str) -> Program:
    """A monitoring process that serves, though MongoDB may be away, so that it is not ready."""
    program = services.monitoring(**WINDOW, **NO_FALSE_ALARM, **more)
    program.ready = lambda: _serves(services)
    return program.start()


def _serves(services: Services) -> bool:
    try:
        return requests.get(f"{services.monitoring_url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


def post(services: Services, body: dict[str, Any]) -> dict[str, Any]:
    response = post_events(services.monitoring_url, body)
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_drifted_traffic_flips_dataset_drift_and_undrifted_traffic_does_not(services: Services) -> None:
    program = alive(services)
    post(services, trips(400, seed=1))
    wait_until(lambda: metric(services, "sextant_dataset_drift", model="taxi") is not None, "a first verdict")
    assert metric(services, "sextant_dataset_drift", model="taxi") == 0
    assert metric(services, "sextant_label_coverage_ratio", model="taxi") == 1.0
    post(services, trips(400, seed=2, factor=1.6))
    wait_until(lambda: metric(services, "sextant_dataset_drift", model="taxi") == 1, "dataset drift")
    assert metric(services, "sextant_drift_detected", model="taxi", feature="trip_distance") == 1
    assert metric(services, "sextant_drift_detected", model="taxi", feature="DOLocationID") == 0
    report = requests.get(f"{services.monitoring_url}/models/taxi/report", timeout=60)
    assert report.status_code == 200
    assert "<dt>Rows</dt><dd>400, 400 with target</dd>" in report.text
    began = time.monotonic()
    assert program.stop() == 0
    assert time.monotonic() - began < 20  # a bound against hanging, not a measurement


def test_mongodb_that_comes_later_is_used_and_events_are_kept_meanwhile(services: Services) -> None:
    alive(services)
    post(services, trips(50, seed=8))
    ready = requests.get(f"{services.monitoring_url}/readyz", timeout=10)
    assert ready.status_code == 503
    assert "window of taxi" in ready.json()["detail"]
    services.mongo().start()
    wait_until(lambda: requests.get(f"{services.monitoring_url}/readyz", timeout=10).ok, "readiness")
    assert metric(services, "sextant_window_rows", model="taxi") == 50


def test_a_new_live_version_is_taken_up_without_a_restart(services: Services) -> None:
    alive(services)
    post(services, trips(150, seed=9))
    wait_until(lambda: metric(services, "sextant_drift_score", version="v1") is not None, "an evaluation of v1")
    publish_trips(services.models_dir, version="v2")
    wait_until(lambda: metric(services, "sextant_model_info", model="taxi", version="v2") == 1, "version v2")
    assert metric(services, "sextant_drift_score", model="taxi", version="v1") is None
    set_current(services.models_dir, "taxi", "v1")
    wait_until(lambda: metric(services, "sextant_drift_score", model="taxi", version="v1") is not None, "v1 again")


@pytest.mark.parametrize("broken", ["no bundle", "corrupt bundle", "wrong setting"])
def test_what_cannot_work_stops_with_one_line(services: Services, broken: str) -> None:
    more = {"WINDOW_SIZE": "many"} if broken == "wrong setting" else {}
    if broken == "no bundle":
        (services.models_dir / "taxi" / "current").unlink()
        (services.models_dir / "iris" / "current").unlink()
    elif broken == "corrupt bundle":
        for model in ("taxi", "iris"):  # one that is whole would be monitored
            (services.models_dir / model / "v1" / "reference.parquet").write_bytes(b"broken")
    program = services.monitoring(**more).start(wait=False)
    assert program.process is not None
    assert program.process.wait(60) == 2
    (line,) = program.log.read_text().splitlines()
    assert line.startswith("monitoring service: ")
    assert ("WINDOW_SIZE" in line) if broken == "wrong setting" else ("prepare.py" in line)
