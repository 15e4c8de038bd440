import threading
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from contracts.errors import BundleError, StoreUnavailable
from contracts.events import Prediction, Target
from contracts.model_bundle import ModelBundle
from contracts.schema import Feature, FeatureSchema
from contracts.settings import Settings, load_settings
from evaluation.calibration import Calibration, calibrate
from evaluation.reference import Reference
from monitoring_service.app import create_app
from monitoring_service.beat import Beat
from monitoring_service.evaluator import Evaluator
from monitoring_service.model_monitor import ModelMonitor
from monitoring_service.service import MonitoringService
from tests.bundles import make_trips, publish_bundle, publish_flowers, publish_trips
from tests.events import START, body_of, predictions_from, targets_from

NOW = START + timedelta(hours=1)


class FakeStore:
    """A history in memory that may be away."""

    def __init__(self, predictions: Iterable[Prediction] = (), targets: Iterable[Target] = ()) -> None:
        self.predictions = list(predictions)
        self.targets = {target.prediction_id: target for target in targets}
        self.away = False

    def latest(self, model: str, count: int) -> list[Prediction]:
        if self.away:
            raise StoreUnavailable("MongoDB: refused (configured timeouts: many)")
        return [prediction for prediction in self.predictions if prediction.model == model][-count:]

    def targets_for(self, prediction_ids: Iterable[str]) -> dict[str, Target]:
        return {key: self.targets[key] for key in prediction_ids if key in self.targets}


class Harness:
    """A service whose beats the test strikes itself."""

    def __init__(self, settings: Settings, store: FakeStore) -> None:
        self.service = MonitoringService(settings, store, clock=lambda: NOW)
        self.client: FlaskClient = create_app(settings, self.service).test_client()
        self.evaluator = Evaluator(
            self.service.monitors,
            min_rows=settings.window_min_rows,
            clock=lambda: NOW,
            count_error=self.service.metrics.count_error,
        )

    def monitor(self, name: str = "taxi") -> ModelMonitor:
        monitor = self.service.monitors.get(name)
        assert monitor is not None
        return monitor

    def calibrate_with(self, calibration: Calibration) -> None:
        self.monitor().calibrated(self.monitor().subject, calibration)

    def post(self, body: Any) -> dict[str, Any]:
        response = self.client.post("/events", json=body)
        assert response.status_code == 202, response.text
        answer: dict[str, Any] = response.json
        return answer

    def drift(self, name: str = "taxi") -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get(f"/models/{name}/drift").json
        return answer

    def samples(self) -> dict[tuple[str, str], float]:
        """Metric values by name and the most telling of their labels."""
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        return {
            (s.name, s.labels.get("feature") or s.labels.get("measure") or ""): s.value
            for family in families
            for s in family.samples
            if s.labels.get("model", "taxi") == "taxi"
        }


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    publish_trips(tmp_path / "models")
    return load_settings(data_dir=tmp_path, window_size=300, window_min_rows=100)


@pytest.fixture
def harness(settings: Settings) -> Harness:
    return Harness(settings, FakeStore())


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    bundle = publish_trips(tmp_path_factory.mktemp("models"))
    reference = Reference.prepare(bundle.manifest, bundle.reference())
    return calibrate(reference.values, reference.columns, false_alarm_rate=0.001)


def trip_events(rows: int, *, factor: float = 1.0, **options: Any) -> dict[str, Any]:
    trips = make_trips(rows, seed=33, distance_factor=factor)
    predictions = predictions_from(trips, **options)
    return body_of(predictions, targets_from(trips, predictions)[: rows // 2])


# --- events --------------------------------------------------------------------------------------------------


def test_events_are_taken_once_however_often_they_are_sent(harness: Harness) -> None:
    body = trip_events(50)
    assert harness.post(body) == {"accepted": 75, "duplicates": 0, "too_old": 0, "rejected": []}
    assert harness.post(body) == {"accepted": 0, "duplicates": 75, "too_old": 0, "rejected": []}
    assert harness.drift()["window"]["rows"] == 50


def test_a_rejected_event_is_named_and_the_others_are_taken(harness: Harness) -> None:
    body = trip_events(3)
    body["predictions"][0]["model"] = "nobody"
    answer = harness.post(body)
    assert answer["rejected"] == [{"prediction_id": "p000000", "reason": "unknown model 'nobody'"}]
    assert harness.drift()["window"]["rows"] == 2


def test_a_model_that_was_published_a_moment_ago_is_known(harness: Harness, settings: Settings) -> None:
    publish_flowers(settings.models_dir)
    body = trip_events(3, model="iris")
    assert harness.post(body)["rejected"] == []


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 422),
        (b'{"predictions": [NaN]}', "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"[" * 100_000, "application/json", 400),
    ],
)
def test_a_wrong_body_is_a_problem_and_never_our_fault(
    harness: Harness, content: bytes, content_type: str, status: int
) -> None:
    response = harness.client.post("/events", data=content, content_type=content_type)
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"


# --- evaluation ----------------------------------------------------------------------------------------------


def test_nothing_is_said_before_there_are_rows_enough(harness: Harness) -> None:
    harness.post(trip_events(99))
    harness.evaluator.beat()
    drift = harness.drift()
    assert drift["dataset_drift"] is None
    assert drift["evaluated_at"] is None
    assert "99 of the 100 rows" in drift["status"]
    assert ("sextant_drift_score", "trip_distance") not in harness.samples()
    assert harness.samples()["sextant_window_rows", ""] == 99


def test_before_calibration_there_are_scores_and_no_alarm(harness: Harness) -> None:
    harness.post(trip_events(200, factor=3.0))
    harness.evaluator.beat()
    drift = harness.drift()
    assert drift["calibrated"] is False
    assert drift["dataset_drift"] is None
    assert {feature["drifted"] for feature in drift["features"]} == {None}
    samples = harness.samples()
    assert samples["sextant_drift_score", "trip_distance"] > 0
    assert ("sextant_drift_threshold", "trip_distance") not in samples
    assert ("sextant_dataset_drift", "") not in samples
    assert samples["sextant_calibrated", ""] == 0


def test_calibration_brings_the_verdict_without_new_rows(harness: Harness, calibration: Calibration) -> None:
    harness.post(trip_events(200, factor=1.5))
    harness.evaluator.beat()
    harness.calibrate_with(calibration)
    harness.evaluator.beat()
    assert harness.drift()["dataset_drift"] is True


def test_drift_rises_and_falls_with_the_rows_in_the_window(harness: Harness, calibration: Calibration) -> None:
    harness.calibrate_with(calibration)
    seen = []
    for number, factor in enumerate((1.0, 1.5, 1.0)):
        start = START + timedelta(minutes=10 * number)
        harness.post(trip_events(300, factor=factor, prefix=f"{number}-", start=start))
        harness.evaluator.beat()
        samples = harness.samples()
        seen.append((harness.drift()["dataset_drift"], samples["sextant_dataset_drift", ""]))
        assert samples["sextant_drift_detected", "trip_distance"] == samples["sextant_dataset_drift", ""]
    assert seen == [(False, 0.0), (True, 1.0), (False, 0.0)]


def test_a_window_that_did_not_change_is_not_judged_again(harness: Harness) -> None:
    harness.post(trip_events(150))
    harness.evaluator.beat()
    first = harness.monitor().latest
    harness.evaluator.beat()
    assert harness.monitor().latest is first
    harness.post(trip_events(1, prefix="new"))
    harness.evaluator.beat()
    assert harness.monitor().latest is not first


def test_every_metric_of_an_evaluation_is_there(harness: Harness, calibration: Calibration) -> None:
    harness.calibrate_with(calibration)
    harness.post(trip_events(200))
    harness.evaluator.beat()
    samples = harness.samples()
    for name in (
        *("drifted_features", "drifted_features_ratio", "dataset_drift", "concept_drift_ratio", "model_info"),
        *("label_coverage_ratio", "label_delay_seconds", "window_rows", "window_oldest_timestamp_seconds"),
        *("last_evaluation_timestamp_seconds", "evaluation_duration_seconds"),
    ):
        assert (f"sextant_{name}", "") in samples, name
    for name in ("drift_score", "drift_threshold", "drift_detected", "missing_values_ratio", "out_of_range_ratio"):
        assert (f"sextant_{name}", "trip_distance") in samples, name
    assert ("sextant_unseen_category_ratio", "PULocationID") in samples
    assert ("sextant_drift_score", "prediction") in samples
    assert ("sextant_performance", "mae") in samples
    assert ("sextant_reference_performance", "rmse") in samples
    assert samples["sextant_label_coverage_ratio", ""] == 0.5
    assert samples["sextant_label_delay_seconds", ""] == 60.0
    assert samples["sextant_last_evaluation_timestamp_seconds", ""] == NOW.timestamp()
    assert samples["sextant_window_oldest_timestamp_seconds", ""] == START.timestamp()


def test_every_metric_has_a_help_text(harness: Harness) -> None:
    families = list(text_string_to_metric_families(harness.client.get("/metrics").text))
    assert {family.name for family in families if not family.documentation} == set()


def test_a_column_that_fails_is_counted_and_the_others_go_on(harness: Harness, calibration: Calibration) -> None:
    harness.calibrate_with(calibration)
    body = trip_events(200)
    for prediction in body["predictions"]:
        prediction["features"]["trip_distance"] = None
    harness.post(body)
    harness.evaluator.beat()
    drift = harness.drift()
    assert list(drift["errors"]) == ["trip_distance"]
    assert {feature["name"] for feature in drift["features"]} == {"PULocationID", "DOLocationID", "prediction"}
    samples = harness.samples()
    assert samples["sextant_evaluation_errors_total", "trip_distance"] == 1
    assert samples["sextant_missing_values_ratio", "trip_distance"] == 1.0


# --- versions ------------------------------------------------------------------------------------------------


def test_a_new_version_is_judged_by_its_own_rows_and_the_old_one_leaves_no_metric(
    harness: Harness, settings: Settings
) -> None:
    harness.post(trip_events(150))
    harness.evaluator.beat()
    publish_trips(settings.models_dir, version="v2")
    harness.evaluator.beat()
    drift = harness.drift()
    assert drift["model_version"] == "v2"
    assert drift["dataset_drift"] is None
    assert "150 more are of other model versions" in drift["status"]
    assert 'version="v1"' not in harness.client.get("/metrics").text
    harness.post(trip_events(120, version="v2", prefix="new"))
    harness.evaluator.beat()
    assert harness.drift()["window"]["rows"] == 120


def test_a_corrupt_new_version_leaves_the_old_one_in_place(harness: Harness, settings: Settings) -> None:
    bundle: ModelBundle = publish_trips(settings.models_dir, version="v2")
    bundle.file("reference.parquet").write_bytes(b"broken")
    harness.post(trip_events(150))
    harness.evaluator.beat()
    assert harness.drift()["model_version"] == "v1"
    assert harness.drift()["evaluated_at"]


def test_without_a_bundle_there_is_no_service(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"run: python prepare\.py"):
        MonitoringService(load_settings(data_dir=tmp_path), FakeStore())


# --- refill and readiness ------------------------------------------------------------------------------------


def test_a_start_refills_the_window_from_the_store(settings: Settings) -> None:
    trips = make_trips(500, seed=1)
    predictions = predictions_from(trips)
    harness = Harness(settings, FakeStore(predictions, targets_from(trips, predictions)))
    harness.service.refill.beat()
    harness.evaluator.beat()
    drift = harness.drift()
    assert drift["window"]["rows"] == 300
    assert drift["performance"]["label_coverage"] == 1.0


def test_a_refilled_window_is_the_one_that_an_uninterrupted_service_has(settings: Settings) -> None:
    trips = make_trips(400, seed=1)
    predictions = predictions_from(trips)
    targets = targets_from(trips, predictions)[::3]
    uninterrupted, restarted = Harness(settings, FakeStore()), Harness(settings, FakeStore(predictions, targets))
    for start in range(0, 400, 40):
        uninterrupted.post(body_of(predictions[start : start + 40]))
    uninterrupted.post(body_of((), targets))
    restarted.post(body_of(predictions[-20:]))  # live events that overtake the refill
    restarted.service.refill.beat()
    for harness in (uninterrupted, restarted):
        harness.evaluator.beat()
    assert uninterrupted.drift() == restarted.drift()


def test_while_mongodb_is_away_events_are_kept_and_readiness_says_so(settings: Settings) -> None:
    store = FakeStore(predictions_from(make_trips(50), prefix="stored"))
    store.away = True
    harness = Harness(settings, store)
    harness.service.refill.beat()
    harness.post(trip_events(30))
    assert harness.service.problems()["window of taxi"] == "not refilled yet, MongoDB: refused"
    store.away = False
    harness.service.refill.beat()
    assert "window of taxi" not in harness.service.problems()
    assert harness.drift()["window"]["rows"] == 80


def test_readiness_names_what_is_missing_and_liveness_does_not_care(harness: Harness) -> None:
    response = harness.client.get("/readyz")
    assert response.status_code == 503
    assert "window of taxi" in response.json["detail"]
    assert harness.client.get("/healthz").status_code == 200


def test_a_started_service_becomes_ready_calibrates_and_stops(settings: Settings) -> None:
    service = MonitoringService(settings, FakeStore(), clock=lambda: NOW)
    client = create_app(settings, service).test_client()
    service.start()
    try:
        assert _soon(lambda: client.get("/readyz").status_code == 200)
        assert _soon(lambda: client.get("/readyz").json["calibrated"] == {"taxi": True})
    finally:
        service.stop()
    assert set(service.problems()) == {"refill", "calibration", "evaluation"}


def _soon(condition: Any, attempts: int = 600) -> bool:
    pause = threading.Event()
    for _ in range(attempts):
        if condition():
            return True
        pause.wait(0.05)
    return False


def test_a_beat_goes_on_after_its_work_failed() -> None:
    stop, beats = threading.Event(), []

    def work() -> None:
        beats.append(len(beats))
        if len(beats) >= 3:
            stop.set()
        raise RuntimeError("this is a test")

    beat = Beat("test", 0.0, work, stop)
    beat.start()
    beat.join(30)
    assert beats == [0, 1, 2]


# --- pages ---------------------------------------------------------------------------------------------------


def test_an_unknown_model_is_a_404_problem(harness: Harness) -> None:
    for route in ("drift", "report"):
        response = harness.client.get(f"/models/nobody/{route}")
        assert (response.status_code, response.mimetype) == (404, "application/problem+json")


def test_a_report_of_no_rows_is_a_409_problem(harness: Harness) -> None:
    response = harness.client.get("/models/taxi/report")
    assert response.status_code == 409
    assert "no predictions" in response.json["detail"]


def test_the_report_is_of_the_window_as_it_is_now(harness: Harness) -> None:
    harness.post(trip_events(60))
    assert "60 rows, 30 with target" in harness.client.get("/models/taxi/report").text
    harness.post(trip_events(1, prefix="new"))
    assert "61 rows, 30 with target" in harness.client.get("/models/taxi/report").text


def test_the_live_page_is_legible_without_any_data(harness: Harness) -> None:
    page = harness.client.get("/").text
    assert "0 of the 100 rows that an evaluation needs" in page
    assert "no evaluation yet" in page


def test_the_live_page_shows_scores_thresholds_coverage_and_performance(
    harness: Harness, calibration: Calibration
) -> None:
    harness.calibrate_with(calibration)
    harness.post(trip_events(200, factor=1.5))
    harness.evaluator.beat()
    page = harness.client.get("/").text
    for text in ("<polyline", "drifted", "50% (100 rows)", "mae", "wasserstein_clipped", "200 rows"):
        assert text in page, text


def test_hostile_reasons_are_escaped_on_the_live_page(tmp_path: Path, tmp_path_factory: Any) -> None:
    odd = Feature(name="trip_distance", kind="numerical", drift_method="<script>alert(1)</script>")
    schema = FeatureSchema(features=(odd,))
    rows = make_trips(200)[["trip_distance", "prediction", "target"]]
    publish_bundle(tmp_path / "models", rows, schema, name="taxi", version="v1", task="regression")
    harness = Harness(load_settings(data_dir=tmp_path, window_min_rows=30), FakeStore())
    harness.post(body_of(predictions_from(rows[:60])))
    harness.evaluator.beat()
    page = harness.client.get("/").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("DATA_DIR", "WINDOW_SIZE", "WINDOW_MIN_ROWS", "EVALUATE_EVERY", "FALSE_ALARM_RATE"):
        monkeypatch.delenv(name, raising=False)
    yield
