"""For which rows thresholds hold, and which were not compared: on the live page, in JSON, metrics and reports."""

import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from monitoring_service.calibrator import Calibrator
from sextant.contracts.model_bundle import ModelBundle
from sextant.evaluation.beside import compared_rows
from sextant.evaluation.drift import calibration_cache
from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.evaluation.evaluate import Evaluation, evaluate
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.infrastructure.settings import load_settings
from tests.bundles import TRIP_SCHEMA, make_manifest, make_trips, publish_trips
from tests.events import body_of, predictions_from, targets_from
from tests.monitoring_harness import FakeStore, Harness
from tests.timed_trips import MONDAY, TIME, publish_timed_trips, timed_trips

RATE = Calibration(0.01, {}, {})
NIGHT = MONDAY + pd.Timedelta(hours=23)


@pytest.fixture(autouse=True)
def _nothing_is_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("resampled, though the bundle brought what thresholds are made of")

    monkeypatch.setattr(calibration_cache, "calibrate", refuse)
    monkeypatch.setattr(calibration_cache, "calibrate_segments", refuse)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return publish_timed_trips(tmp_path_factory.mktemp("data") / "models", days=14)


@pytest.fixture(scope="module")
def reference(bundle: ModelBundle) -> Reference:
    return Reference.of(bundle)


def judged(reference: Reference, rows: pd.DataFrame, **more: Any) -> Evaluation:
    return evaluate(reference, reference.conform(rows.reset_index(drop=True)), RATE, **more)


def live(data_dir: Path, rows: pd.DataFrame) -> Harness:
    """A service that has evaluated these rows, with whatever it could find out."""
    harness = Harness(load_settings(data_dir=data_dir, window_size=400, window_min_rows=100), FakeStore())
    cache = CalibrationCache(data_dir / "calibration")
    calibrator = Calibrator(harness.service.monitors, cache, false_alarm_rate=0.01, stop=threading.Event())
    calibrator.run()
    predictions = predictions_from(rows)
    harness.post(body_of(predictions, targets_from(rows, predictions)))
    harness.evaluator.run()
    return harness


def kinds(harness: Harness) -> dict[str, float]:
    text = harness.client.get("/metrics").text.splitlines()
    found = [line for line in text if line.startswith("sextant_calibrated{")]
    return {line.split('kind="')[1].split('"')[0]: float(line.split()[-1]) for line in found}


@pytest.mark.parametrize(
    ("days", "hold", "kind", "calibrated"),
    [
        (8, "hold for consecutive rows: the reference spans 8 days", "time", 1.0),
        (
            4,
            "provisional: the reference spans 4 days, 7 are needed to rely on the stated rate",
            "provisional",
            1.0,
        ),
        (2, "scores only: the reference spans 2 days, 3 are needed", "provisional", 0.0),
    ],
)
def test_page_json_and_metrics_say_for_which_rows_thresholds_hold(
    tmp_path: Path, days: int, hold: str, kind: str, calibrated: float
) -> None:
    publish_timed_trips(tmp_path / "models", days=days, rows=800)
    harness = live(tmp_path, timed_trips(0.5, rows=200, seed=5))
    page, drift = harness.client.get("/").text, harness.drift()
    assert f"<dt>Thresholds</dt><dd>{hold}</dd>" in page
    assert drift["thresholds"]["hold"] == hold
    assert kinds(harness) == {kind: calibrated}
    assert drift["calibrated"] is bool(calibrated)
    assert (drift["dataset_drift"] is None) is not bool(calibrated)
    if not calibrated:
        assert "not calibrated yet" not in page
        assert drift["status"] == f"evaluated, no verdict: {hold}"
        reasons = {verdict["reason"] for verdict in harness.verdicts("drift")}
        assert reasons == {hold}


def test_a_bundle_without_event_times_says_that_its_thresholds_are_for_shuffled_rows(tmp_path: Path) -> None:
    publish_trips(tmp_path / "models", rows=300)
    harness = Harness(load_settings(data_dir=tmp_path, window_size=300, window_min_rows=100), FakeStore())
    harness.calibrate_with(RATE)
    predictions = predictions_from(make_trips(150, seed=2))
    harness.post(body_of(predictions))
    harness.evaluator.run()
    assert "valid for randomly ordered rows only" in harness.client.get("/").text
    assert harness.drift()["thresholds"] == {"order": "random", "hold": "valid for randomly ordered rows only"}
    assert kinds(harness) == {"random": 1.0}


def test_before_the_first_evaluation_the_json_says_it_too(tmp_path: Path) -> None:
    publish_timed_trips(tmp_path / "models", days=8, rows=400)
    harness = Harness(load_settings(data_dir=tmp_path), FakeStore())
    assert harness.drift()["thresholds"]["order"] == "time"
    assert kinds(harness) == {"time": 0.0}


def test_rows_without_a_time_and_rows_of_unknown_hours_are_counted_on_page_json_and_metrics(
    tmp_path: Path,
) -> None:
    publish_timed_trips(tmp_path / "models", days=4, rows=800)  # Monday to Thursday
    rows = timed_trips(0.5, rows=300, seed=6)
    rows.loc[:9, TIME] = "soon"
    rows.loc[100:149, TIME] = "2021-01-03T03:15:00"
    harness = live(tmp_path, rows)
    page, window = harness.client.get("/").text, harness.drift()["window"]
    assert "<dt>Without a time</dt><dd>10 rows, compared with all hours alike</dd>" in page
    told = "50 rows on weekends from 03:00 to 03:59: the reference has too few of these hours"
    assert f"<dt>Not compared</dt><dd>{told}</dd>" in page
    assert (window["rows"], window["rows_without_time"], window["unsupported_rows"]) == (300, 10, 50)
    assert window["unsupported_hours"] == "on weekends from 03:00 to 03:59"
    assert harness.samples()["sextant_window_rows_without_time", ""] == 10
    assert harness.samples()["sextant_window_unsupported_rows", ""] == 50


def test_thresholds_that_came_with_a_bundle_wait_for_no_other_models_calibration(tmp_path: Path) -> None:
    publish_timed_trips(tmp_path / "models", days=8, rows=400)
    publish_trips(tmp_path / "models", name="another", rows=300)
    harness = Harness(load_settings(data_dir=tmp_path), FakeStore())
    cache = CalibrationCache(tmp_path / "calibration")
    calibrator = Calibrator(harness.service.monitors, cache, false_alarm_rate=0.01, stop=threading.Event())
    with pytest.raises(AssertionError, match="resampled"):  # when the turn is the other one's
        calibrator.run()
    monitored = harness.monitor().monitored
    assert not any(monitored.lacks(name) for name in ("calibration", "estimator", "multivariate_calibration"))


def test_where_every_row_is_compared_nothing_is_said_of_it(reference: Reference) -> None:
    assert list(judged(reference, timed_trips(1, rows=200, seed=7)).notes) == ["Thresholds"]


# --- the reference of these hours ----------------------------------------------------------------------------


def test_the_reference_shown_beside_a_window_is_that_of_its_hours(reference: Reference) -> None:
    at_night = judged(reference, timed_trips(0.25, rows=300, start=NIGHT, seed=8))
    by_day = judged(reference, timed_trips(0.25, rows=300, start=MONDAY + pd.Timedelta(hours=10), seed=8))
    night, day = (found.reference_measures[""] for found in (at_night, by_day))
    assert night["mae"] == pytest.approx(2.0 * day["mae"], rel=0.1)
    assert day["mae"] < reference.performance.measures["mae"] < night["mae"]
    assert night["rmse"] > 1.7 * day["rmse"]
    assert at_night.reference_prediction_mean is not None
    assert by_day.reference_prediction_mean is not None
    assert at_night.reference_prediction_mean > 1.2 * by_day.reference_prediction_mean


def test_estimates_and_segments_are_shown_beside_the_reference_of_their_hours_too(reference: Reference) -> None:
    estimator = PerformanceEstimator.fit(reference)
    found = judged(reference, timed_trips(0.25, rows=300, start=NIGHT, seed=8), estimator=estimator)
    whole = estimator.reference_measures
    for segment in ("", "payment_type=1"):
        assert found.reference_measures[segment]["estimated_mae"] > 1.01 * whole[segment]["estimated_mae"]
    part = reference.segments["payment_type=1"].performance.measures
    assert found.reference_measures["payment_type=1"]["mae"] > 1.2 * part["mae"]


def test_what_is_missing_at_night_is_no_fault_of_a_night(tmp_path: Path) -> None:
    def silent_at_night(frame: pd.DataFrame) -> pd.DataFrame:
        hour = pd.to_datetime(frame[TIME]).dt.hour
        kept = (hour >= 6) & (hour < 22) | (frame.index % 5 > 0)
        return frame.assign(trip_distance=frame["trip_distance"].where(kept))

    bundle = publish_timed_trips(tmp_path, days=14)
    history = silent_at_night(timed_trips(14))
    timed = Reference.prepare(bundle.manifest, history, Reference.of(bundle).nulls)
    shuffled = Reference.prepare(bundle.manifest, history)
    window = silent_at_night(timed_trips(0.25, rows=300, start=NIGHT, seed=9))
    for reference, detected in ((timed, False), (shuffled, True)):
        verdicts = judged(reference, window).of("data_quality")
        (missing,) = (v for v in verdicts if (v.column, v.check) == ("trip_distance", "missing"))
        assert missing.detected is detected


def test_a_report_plots_the_rows_that_are_judged_beside_reference_rows_of_their_hours(
    reference: Reference,
) -> None:
    rows = timed_trips(0.25, rows=300, start=NIGHT, seed=8)
    window, beside = compared_rows(reference, reference.conform(rows))
    assert (len(window), len(beside)) == (300, len(reference.frame))
    hours = pd.to_datetime(beside[TIME]).dt.hour
    assert ((hours >= 21) | (hours < 8)).mean() > 0.95


def test_without_event_times_a_report_plots_all_of_both() -> None:
    frame = make_trips(200, seed=3)
    bundle_less = Reference.prepare(make_manifest(TRIP_SCHEMA, segments=("payment_type",)), frame)
    window, beside = compared_rows(bundle_less, bundle_less.conform(frame[:50]))
    assert (len(window), len(beside)) == (50, 200)
