import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from monitoring_service.app import create_app
from monitoring_service.pages.live import card
from monitoring_service.refill import RUNS_BETWEEN
from monitoring_service.service import MonitoringService, PeriodicTask
from monitoring_service.views import drift_view
from sextant.contracts.errors import BundleError
from sextant.contracts.events import Target
from sextant.contracts.model_bundle import MANIFEST, REFERENCE, ModelBundle
from sextant.infrastructure.settings import Settings, load_settings
from tests.bundles import make_trips, publish_trips
from tests.events import body_of, predictions_from, targets_from
from tests.monitoring_harness import NOW, FakeStore, Harness, trip_events
from tests.processes import TOKEN

pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    publish_trips(tmp_path / "models")
    return load_settings(data_dir=tmp_path, window_size=300, window_min_rows=100)


@pytest.fixture
def harness(settings: Settings) -> Harness:
    return Harness(settings, FakeStore())


def test_a_new_version_is_judged_by_its_own_rows_and_the_old_one_leaves_no_metric(
    harness: Harness, settings: Settings
) -> None:
    harness.post(trip_events(150))
    harness.evaluator.run()
    publish_trips(settings.models_dir, version="v2")
    harness.evaluator.run()
    drift = harness.drift()
    assert drift["model_version"] == "v2"
    assert drift["dataset_drift"] is None
    assert "150 more are of other model versions" in drift["status"]
    assert 'version="v1"' not in harness.client.get("/metrics").text
    harness.post(trip_events(120, version="v2", prefix="new"))
    harness.evaluator.run()
    assert harness.drift()["window"]["rows"] == 120


def test_a_corrupt_new_version_leaves_the_old_one_in_place(harness: Harness, settings: Settings) -> None:
    bundle: ModelBundle = publish_trips(settings.models_dir, version="v2")
    bundle.file("reference.parquet").write_bytes(b"broken")
    harness.post(trip_events(150))
    harness.evaluator.run()
    assert harness.drift()["model_version"] == "v1"
    assert harness.drift()["evaluated_at"]


def break_bundle(settings: Settings, name: str = "broken") -> None:
    """Publish a bundle whose manifest knows nothing of a reference, and that has none."""
    bundle = publish_trips(settings.models_dir, name=name)
    bundle.file(REFERENCE).unlink()
    manifest = bundle.path / MANIFEST
    found = json.loads(manifest.read_text())
    del found["files"][REFERENCE]
    manifest.write_text(json.dumps(found))


def test_one_bad_bundle_stops_no_other_model_at_the_start(settings: Settings) -> None:
    break_bundle(settings)
    harness = Harness(settings, FakeStore())
    assert harness.service.monitors.names() == {"taxi"}
    harness.post(trip_events(150))
    harness.evaluator.run()
    assert harness.drift()["evaluated_at"]
    assert "model broken: " in harness.client.get("/").text


def test_one_bad_bundle_that_comes_later_stops_no_other_model_and_no_event(
    harness: Harness, settings: Settings
) -> None:
    break_bundle(settings)
    body = trip_events(150)
    strangers = [{**prediction, "model": "broken"} for prediction in body["predictions"][:3]]
    answer = harness.post({"predictions": body["predictions"] + strangers})
    assert (answer["accepted"], len(answer["rejected"])) == (150, 3)
    harness.evaluator.run()
    assert harness.drift()["evaluated_at"]


def test_page_and_json_hold_together_while_the_version_switches(harness: Harness, settings: Settings) -> None:
    harness.post(trip_events(150))
    harness.evaluator.run()
    state = harness.monitor().state()
    publish_trips(settings.models_dir, version="v2")
    harness.evaluator.run()
    assert card(state, 100, NOW).version == drift_view(state, 100)["model_version"] == "v1"
    assert [before.monitored.manifest.version for before in state.history] == ["v1"]
    after = harness.monitor().state()
    assert (after.latest, after.history, after.snapshot.monitored.manifest.version) == (None, [], "v2")


def test_without_a_bundle_there_is_no_service(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"run: python prepare\.py"):
        MonitoringService(load_settings(data_dir=tmp_path), FakeStore())


def test_a_start_refills_the_window_from_the_store(settings: Settings) -> None:
    trips = make_trips(500, seed=1)
    predictions = predictions_from(trips)
    harness = Harness(settings, FakeStore(predictions, targets_from(trips, predictions)))
    harness.service.refill.run()
    harness.evaluator.run()
    drift = harness.drift()
    assert drift["window"]["rows"] == 300
    assert drift["window"]["label_coverage"] == 1.0


def test_a_refilled_window_is_the_one_that_an_uninterrupted_service_has(settings: Settings) -> None:
    trips = make_trips(400, seed=1)
    predictions = predictions_from(trips)
    targets = targets_from(trips, predictions)[::3]
    uninterrupted, restarted = Harness(settings, FakeStore()), Harness(settings, FakeStore(predictions, targets))
    for start in range(0, 400, 40):
        uninterrupted.post(body_of(predictions[start : start + 40]))
    uninterrupted.post(body_of((), targets))
    restarted.post(body_of(predictions[-20:]))  # live events that overtake the refill
    restarted.service.refill.run()
    for harness in (uninterrupted, restarted):
        harness.evaluator.run()
    assert uninterrupted.drift() == restarted.drift()


def test_while_mongodb_is_away_events_are_kept_and_readiness_says_so(settings: Settings) -> None:
    store = FakeStore(predictions_from(make_trips(50), prefix="stored"))
    store.away = True
    harness = Harness(settings, store)
    harness.service.refill.run()
    harness.post(trip_events(30))
    assert harness.service.problems()["window of taxi"] == "not refilled yet, MongoDB: refused"
    store.away = False
    harness.service.refill.run()
    assert "window of taxi" not in harness.service.problems()
    assert harness.drift()["window"]["rows"] == 80


def test_an_event_that_reached_only_mongodb_is_picked_up_before_long(settings: Settings) -> None:
    store = FakeStore(predictions_from(make_trips(50)))
    harness = Harness(settings, store)
    harness.service.refill.run()
    store.predictions += predictions_from(make_trips(20), prefix="later")
    for _ in range(RUNS_BETWEEN):
        harness.service.refill.run()
    assert harness.drift()["window"]["rows"] == 70


def test_a_row_that_mongodb_has_at_another_time_is_taken_from_there(settings: Settings) -> None:
    """Its first answer reached monitoring alone before a power cut; the retry was answered anew."""
    stored = predictions_from(make_trips(50), start=NOW - timedelta(minutes=20))
    harness = Harness(settings, FakeStore(stored))
    harness.post(body_of(predictions_from(make_trips(50), start=NOW - timedelta(minutes=30))))
    harness.service.refill.run()
    rows = harness.monitor().snapshot().rows
    assert (len(rows.predictions), rows.start) == (50, NOW - timedelta(minutes=20))


def test_rows_dated_in_the_future_keep_no_row_of_the_present_out(settings: Settings) -> None:
    """The window holds 300: as many from the future, live and stored, once filled it for good."""
    ahead = predictions_from(make_trips(300), start=NOW + timedelta(days=1), prefix="ahead")
    stored = predictions_from(make_trips(200), start=NOW - timedelta(minutes=30), prefix="stored")
    harness = Harness(settings, FakeStore([*stored, *ahead]))
    assert harness.post(body_of(ahead))["in_future"] == 300
    harness.service.refill.run()
    assert harness.drift()["window"]["rows"] == 200
    assert harness.post(body_of(predictions_from(make_trips(100), start=NOW)))["accepted"] == 100
    for _ in range(RUNS_BETWEEN):
        harness.service.refill.run()
    assert harness.drift()["window"]["rows"] == 300


def test_rows_that_came_while_the_clock_was_ahead_leave_when_it_is_set_right(settings: Settings) -> None:
    """The window holds 300: as many, made and taken by a clock a day ahead, froze it for that day."""
    ahead = predictions_from(make_trips(300), start=NOW + timedelta(days=1), prefix="ahead")
    harness = Harness(settings, FakeStore(ahead))
    harness.service.clock = lambda: NOW + timedelta(days=1, minutes=1)
    assert harness.post(body_of(ahead))["accepted"] == 300
    harness.service.clock = lambda: NOW
    present = predictions_from(make_trips(100), start=NOW - timedelta(minutes=5))
    assert harness.post(body_of(present))["accepted"] == 100
    harness.service.refill.run()
    assert harness.drift()["window"]["rows"] == 100


def test_a_target_dated_in_the_future_does_not_keep_a_later_one_out(harness: Harness) -> None:
    (made,) = predictions_from(make_trips(1))
    harness.post(body_of([made], [Target(made.prediction_id, "taxi", 9.0, NOW + timedelta(days=1))]))
    harness.post(body_of((), [Target(made.prediction_id, "taxi", 5.0, NOW)]))
    (target,) = harness.monitor().snapshot().rows.targets.values()
    assert target.target == 5.0


def test_a_store_that_fails_after_the_refill_leaves_the_service_ready(settings: Settings) -> None:
    store = FakeStore(predictions_from(make_trips(50)))
    harness = Harness(settings, store)
    harness.service.refill.run()
    store.away = True
    for _ in range(RUNS_BETWEEN):
        harness.service.refill.run()
    assert "window of taxi" not in harness.service.problems()
    assert harness.drift()["window"]["rows"] == 50


def test_readiness_names_what_is_missing_and_liveness_does_not_care(harness: Harness) -> None:
    response = harness.client.get("/readyz")
    assert response.status_code == 503
    assert "window of taxi" in response.json["detail"]
    assert harness.client.get("/healthz").status_code == 200


def test_a_started_service_becomes_ready_calibrates_and_stops(settings: Settings) -> None:
    service = MonitoringService(settings, FakeStore(), clock=lambda: NOW)
    client = create_app(settings, service, TOKEN).test_client()
    service.start()
    try:
        assert _soon(lambda: client.get("/readyz").status_code == 200)
        assert _soon(lambda: client.get("/readyz").json["calibrated"] == {"taxi": True})
        assert client.get("/readyz").json["thresholds"] == {"taxi": "valid for randomly ordered rows only"}
    finally:
        service.stop()
    tasks = {"refill", "calibration", "evaluation", "multivariate evaluation"}
    assert _soon(lambda: set(service.problems()) == tasks)  # on a slow machine one is still at its last step


def _soon(condition: Any, attempts: int = 3_000) -> bool:
    pause = threading.Event()
    for _ in range(attempts):
        if condition():
            return True
        pause.wait(0.05)
    return False


def test_a_periodic_task_goes_on_after_its_work_failed() -> None:
    stop, runs = threading.Event(), []

    def work() -> None:
        runs.append(len(runs))
        if len(runs) >= 3:
            stop.set()
        raise RuntimeError("this is a test")

    task = PeriodicTask("test", 0.0, work, stop)
    task.start()
    task.join(30)
    assert runs == [0, 1, 2]
