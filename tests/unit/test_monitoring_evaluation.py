from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sextant.evaluation.drift.calibration import Calibration, ColumnThresholds, calibrate, calibrate_segments
from sextant.evaluation.drift.multivariate import METHOD
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.infrastructure.settings import Settings, load_settings
from tests.bundles import make_trips, publish_trips
from tests.events import START, body_of, predictions_from, targets_from
from tests.monitoring_harness import NOW, FakeStore, Harness, trip_events

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


def test_nothing_is_said_before_there_are_rows_enough(harness: Harness) -> None:
    harness.post(trip_events(99))
    harness.evaluator.run()
    drift = harness.drift()
    assert drift["dataset_drift"] is None
    assert drift["evaluated_at"] is None
    assert "99 of the 100 rows" in drift["status"]
    assert ("sextant_drift_score", "trip_distance") not in harness.samples()
    assert harness.samples()["sextant_window_rows", ""] == 99


def test_before_calibration_there_are_scores_and_no_alarm(harness: Harness) -> None:
    harness.post(trip_events(200, factor=3.0))
    harness.evaluator.run()
    drift = harness.drift()
    assert drift["calibrated"] is False
    assert drift["dataset_drift"] is None
    assert {verdict["detected"] for verdict in harness.verdicts("drift")} == {None}
    samples = harness.samples()
    assert samples["sextant_drift_score", "trip_distance"] > 0
    assert ("sextant_drift_threshold", "trip_distance") not in samples
    assert ("sextant_dataset_drift", "") not in samples
    assert samples["sextant_calibrated", ""] == 0


def test_calibration_brings_the_verdict_without_new_rows(harness: Harness, calibration: Calibration) -> None:
    harness.post(trip_events(200, factor=1.5))
    harness.evaluator.run()
    harness.calibrate_with(calibration)
    harness.evaluator.run()
    assert harness.drift()["dataset_drift"] is True


def test_drift_rises_and_falls_with_the_rows_in_the_window(harness: Harness, calibration: Calibration) -> None:
    harness.calibrate_with(calibration)
    seen = []
    for number, factor in enumerate((1.0, 1.5, 1.0)):
        start = START + timedelta(minutes=10 * number)
        harness.post(trip_events(300, factor=factor, prefix=f"{number}-", start=start))
        harness.evaluator.run()
        samples = harness.samples()
        seen.append((harness.drift()["dataset_drift"], samples["sextant_dataset_drift", ""]))
        assert samples["sextant_drift_detected", "trip_distance"] == samples["sextant_dataset_drift", ""]
    assert seen == [(False, 0.0), (True, 1.0), (False, 0.0)]


def test_a_window_that_did_not_change_is_not_judged_again(harness: Harness) -> None:
    harness.post(trip_events(150))
    harness.evaluator.run()
    first = harness.monitor().latest
    harness.evaluator.run()
    assert harness.monitor().latest is first
    harness.post(trip_events(1, prefix="new"))
    harness.evaluator.run()
    assert harness.monitor().latest is not first


def test_every_metric_of_an_evaluation_is_there(harness: Harness, calibration: Calibration) -> None:
    harness.calibrate_with(calibration)
    harness.post(trip_events(200))
    harness.evaluator.run()
    samples = harness.samples()
    for name in (
        *(
            "drifted_features",
            "drifted_features_ratio",
            "dataset_drift",
            "performance_degradation_ratio",
            "model_info",
        ),
        *("label_coverage_ratio", "label_delay_seconds", "window_rows", "window_oldest_timestamp_seconds"),
        *("last_evaluation_timestamp_seconds", "evaluation_duration_seconds"),
        *("window_rows_per_second", "duplicate_rows_ratio"),
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


def test_segments_have_metrics_of_their_own(harness: Harness) -> None:
    parts = {name: part.values for name, part in harness.monitor().monitored.reference.segments.items()}
    columns = harness.monitor().monitored.reference.columns
    harness.learn(segment_calibration=calibrate_segments(parts, columns, false_alarm_rate=0.001))
    harness.post(trip_events(300, factor=2.0))
    harness.evaluator.run()
    found = harness.segment_samples("payment_type=1")
    assert found["sextant_segment_drift_detected", ""] == 1
    assert found["sextant_segment_drift_score", ""] > 1
    assert found["sextant_segment_rows", ""] > 100
    assert found["sextant_performance", "mae"] > 0
    assert found["sextant_reference_performance", "mae"] > 0
    few = harness.segment_samples("payment_type=3")
    assert few["sextant_segment_rows", ""] < 30
    assert ("sextant_segment_drift_detected", "") not in few


def test_the_estimate_is_a_measure_before_there_is_any_target(harness: Harness) -> None:
    harness.learn(estimator=PerformanceEstimator.fit(harness.monitor().monitored.reference))
    harness.post({"predictions": trip_events(200)["predictions"]})
    harness.evaluator.run()
    samples = harness.samples()
    assert samples["sextant_performance", "estimated_mae"] > 0
    assert samples["sextant_reference_performance", "estimated_mae"] > 0
    assert ("sextant_performance", "mae") not in samples
    assert harness.segment_samples("payment_type=1")["sextant_performance", "estimated_mae"] > 0


def test_all_features_together_are_judged_on_their_own_beat(harness: Harness) -> None:
    harness.post(trip_events(200, factor=2.0))
    harness.together.run()
    assert harness.samples()["sextant_multivariate_drift_score", ""] > 0.6
    assert ("sextant_multivariate_drift_detected", "") not in harness.samples()
    harness.learn(multivariate_calibration=ColumnThresholds(METHOD, 2_000, (100,), (0.05,)))
    harness.together.run()
    assert harness.samples()["sextant_multivariate_drift_threshold", ""] > 0.5
    assert harness.samples()["sextant_multivariate_drift_detected", ""] == 1


def test_a_window_that_shrank_below_its_minimum_is_not_judged_together_either(
    harness: Harness, settings: Settings
) -> None:
    harness.post(trip_events(200))
    harness.together.run()
    publish_trips(settings.models_dir, version="v2")
    harness.service.monitors.follow()
    harness.together.run()
    assert ("sextant_multivariate_drift_score", "") not in harness.samples()


def test_a_failure_of_the_test_of_all_features_is_counted(harness: Harness) -> None:
    harness.learn(domain=None)
    harness.post(trip_events(200))
    harness.together.run()
    assert harness.samples()["sextant_evaluation_errors_total", "multivariate"] == 1


def test_performance_degradation_has_a_threshold_and_a_verdict(harness: Harness, calibration: Calibration) -> None:
    harness.calibrate_with(calibration)
    harness.post(trip_events(200))
    harness.evaluator.run()
    samples = harness.samples()
    assert (
        samples["sextant_performance_degradation_ratio", ""]
        < samples["sextant_performance_degradation_threshold", ""]
    )
    assert samples["sextant_performance_degradation_detected", ""] == 0


@pytest.mark.parametrize("name", ["concept_drift", "estimated_degradation"])
def test_what_the_estimate_adds_has_a_ratio_a_threshold_and_a_verdict(
    harness: Harness, calibration: Calibration, name: str
) -> None:
    harness.calibrate_with(calibration)
    harness.learn(estimator=PerformanceEstimator.fit(harness.monitor().monitored.reference))
    harness.post(trip_events(300))
    harness.evaluator.run()
    (told,) = harness.verdicts(name)
    fields = {"ratio": "value", "threshold": "threshold", "detected": "detected"}
    samples = {part: harness.samples()[f"sextant_{name}_{part}", ""] for part in fields}
    assert samples == pytest.approx({part: float(told[field]) for part, field in fields.items()})
    assert told["value"] < told["threshold"]
    assert told["detected"] is False


def test_the_mean_prediction_stands_beside_the_references(harness: Harness) -> None:
    harness.post(trip_events(200, factor=2.0))
    harness.evaluator.run()
    samples, told = harness.samples(), harness.drift()
    assert samples["sextant_prediction_mean", ""] == pytest.approx(told["prediction_mean"])
    assert samples["sextant_reference_prediction_mean", ""] == pytest.approx(told["reference_prediction_mean"])
    assert told["prediction_mean"] > 1.3 * told["reference_prediction_mean"]


def test_a_segment_that_is_served_worse_has_a_fairness_gap(harness: Harness, calibration: Calibration) -> None:
    harness.calibrate_with(calibration)
    trips = make_trips(300, seed=5)
    error = (trips["target"] - trips["prediction"]) * trips["payment_type"].map({"1": 1.0, "2": 3.0, "3": 1.0})
    harness.post(labelled_events(trips.assign(target=trips["prediction"] + error)))
    harness.evaluator.run()
    worse, other = (harness.segment_samples(f"payment_type={value}") for value in ("2", "1"))
    assert worse["sextant_fairness_gap_ratio", ""] > worse["sextant_fairness_gap_threshold", ""] > 0
    assert (worse["sextant_fairness_gap_detected", ""], other["sextant_fairness_gap_detected", ""]) == (1, 0)
    segments = {verdict["segment"]: verdict for verdict in harness.verdicts("fairness_gap")}
    assert segments["payment_type=2"]["detected"] is True
    assert segments["payment_type=3"]["detected"] is None
    assert "too few labelled rows" in segments["payment_type=3"]["reason"]


def labelled_events(trips: pd.DataFrame) -> dict[str, Any]:
    predictions = predictions_from(trips)
    return body_of(predictions, targets_from(trips, predictions))


def test_data_quality_has_a_verdict_for_each_feature_and_check(harness: Harness, calibration: Calibration) -> None:
    harness.calibrate_with(calibration)
    body = trip_events(200)
    for prediction in body["predictions"][:20]:
        prediction["features"]["PULocationID"] = "nowhere"
    harness.post(body)
    harness.evaluator.run()
    families = text_string_to_metric_families(harness.client.get("/metrics").text)
    samples = [s for family in families for s in family.samples if s.name == "sextant_data_quality_detected"]
    told = {(s.labels["feature"], s.labels["check"]): bool(s.value) for s in samples}
    assert {key for key, detected in told.items() if detected} == {("PULocationID", "unseen_category")}
    assert told == {(v["column"], v["check"]): v["detected"] for v in harness.verdicts("data_quality")}


def test_every_metric_has_a_help_text(harness: Harness) -> None:
    families = list(text_string_to_metric_families(harness.client.get("/metrics").text))
    assert {family.name for family in families if not family.documentation} == set()


def test_a_column_that_fails_is_counted_and_the_others_go_on(harness: Harness, calibration: Calibration) -> None:
    harness.calibrate_with(calibration)
    body = trip_events(200)
    for prediction in body["predictions"]:
        prediction["features"]["trip_distance"] = None
    harness.post(body)
    harness.evaluator.run()
    drift = harness.drift()
    assert list(drift["errors"]) == ["trip_distance"]
    judged = {verdict["column"] for verdict in harness.verdicts("drift") if verdict["detected"] is not None}
    assert judged == {"PULocationID", "DOLocationID", "prediction", "target"}
    samples = harness.samples()
    assert samples["sextant_evaluation_errors_total", "trip_distance"] == 1
    assert samples["sextant_missing_values_ratio", "trip_distance"] == 1.0
