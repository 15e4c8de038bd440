from pathlib import Path
from typing import Any

import pytest

from sextant.contracts.schema import Feature, FeatureSchema
from sextant.evaluation.drift.calibration import Calibration, ColumnThresholds, calibrate
from sextant.evaluation.drift.multivariate import METHOD
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.infrastructure.settings import Settings, load_settings
from tests.bundles import make_trips, publish_bundle, publish_trips
from tests.events import body_of, predictions_from, targets_from
from tests.monitoring_harness import FakeStore, Harness, trip_events

pytestmark = pytest.mark.usefixtures("few_resamples")


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


def test_an_unknown_model_is_a_404_problem(harness: Harness) -> None:
    for route in ("drift", "report"):
        response = harness.client.get(f"/models/nobody/{route}")
        assert (response.status_code, response.mimetype) == (404, "application/problem+json")


def test_a_report_of_no_rows_is_a_409_problem(harness: Harness) -> None:
    response = harness.client.get("/models/taxi/report")
    assert response.status_code == 409
    assert "no predictions" in response.json["detail"]


def test_the_live_page_is_legible_without_any_data(harness: Harness) -> None:
    page = harness.client.get("/").text
    assert "0 of the 100 rows that an evaluation needs" in page
    assert "no evaluation yet" in page


def test_the_live_page_shows_scores_thresholds_coverage_and_performance(
    harness: Harness, calibration: Calibration
) -> None:
    harness.calibrate_with(calibration)
    harness.post(trip_events(200, factor=1.5))
    harness.evaluator.run()
    page = harness.client.get("/").text
    for text in ("<polyline", "drifted", "50% (100 rows)", "mae", "wasserstein_clipped", "200 rows"):
        assert text in page, text


def test_the_live_page_shows_the_estimate_beside_what_was_realised_and_each_segment(harness: Harness) -> None:
    harness.learn(estimator=PerformanceEstimator.fit(harness.monitor().monitored.reference))
    for number in range(2):
        harness.post(trip_events(200, prefix=f"{number}-"))
        harness.evaluator.run()
    page = harness.client.get("/").text
    for text in ("estimated mae", 'class="realised"', 'class="estimated"', "payment_type=1", "not calibrated yet"):
        assert text in page, text


def test_the_live_page_says_when_the_features_drifted_together(harness: Harness) -> None:
    harness.learn(multivariate_calibration=ColumnThresholds(METHOD, 2_000, (100,), (0.05,)))
    harness.post(trip_events(200, factor=2.0))
    harness.evaluator.run()
    assert "Drift of all features together" not in harness.client.get("/").text
    harness.together.run()
    page = harness.client.get("/").text
    assert "drift of all features together</span>" in page
    assert "Drift of all features together" in page


def test_the_live_page_says_when_the_model_errs_more_than_chance_allows(
    harness: Harness, calibration: Calibration
) -> None:
    harness.calibrate_with(calibration)
    trips = make_trips(200, seed=3).assign(target=1.0)
    predictions = predictions_from(trips)
    harness.post(body_of(predictions, targets_from(trips, predictions)))
    harness.evaluator.run()
    assert "performance degradation</span>" in harness.client.get("/").text


def test_the_live_page_names_each_verdict_where_one_would_look(harness: Harness, calibration: Calibration) -> None:
    harness.calibrate_with(calibration)
    harness.learn(estimator=PerformanceEstimator.fit(harness.monitor().monitored.reference))
    trips = make_trips(300, seed=5).assign(DOLocationID="nowhere")
    harsh = trips["payment_type"].map({"1": 0.0, "2": 40.0, "3": 0.0})
    predictions = predictions_from(trips)
    harness.post(body_of(predictions, targets_from(trips.assign(target=trips["target"] + harsh), predictions)))
    harness.evaluator.run()
    page = harness.client.get("/").text
    for text in (
        "concept drift",
        "fairness gap",
        "data quality",
        "Concept drift",
        "Data quality of DOLocationID unseen category",
        "Reports",
    ):
        assert text in page, text
    assert '<small class="bad">100.0% unseen</small>' in page
    assert "too few labelled rows" in page  # payment_type=3


def test_hostile_reasons_are_escaped_on_the_live_page(tmp_path: Path, tmp_path_factory: Any) -> None:
    odd = Feature(name="trip_distance", kind="numerical", drift_method="<script>alert(1)</script>")
    schema = FeatureSchema(features=(odd,))
    rows = make_trips(200)[["trip_distance", "prediction", "target"]]
    publish_bundle(tmp_path / "models", rows, schema, name="taxi", version="v1", task="regression")
    harness = Harness(load_settings(data_dir=tmp_path, window_min_rows=30), FakeStore())
    harness.post(body_of(predictions_from(rows[:60])))
    harness.evaluator.run()
    page = harness.client.get("/").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page
