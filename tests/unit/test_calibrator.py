import threading
from pathlib import Path

import numpy as np
import pytest

from monitoring_service.calibrator import Calibrator
from sextant.evaluation.drift import multivariate, null_scores
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.infrastructure.settings import load_settings
from tests.bundles import TRIP_SCHEMA, make_trips, publish_bundle, publish_trips
from tests.monitoring_harness import FakeStore, Harness


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found out matters here, not how well."""
    monkeypatch.setattr(multivariate, "BATCHES", 1)
    monkeypatch.setattr(multivariate, "BATCH", 2)
    monkeypatch.setattr(null_scores, "RESAMPLES", 50)


def harness_in(folder: Path) -> Harness:
    return Harness(load_settings(data_dir=folder, window_size=300, window_min_rows=100), FakeStore())


def calibrator_of(harness: Harness, folder: Path, stop: threading.Event | None = None) -> Calibrator:
    return Calibrator(
        harness.service.monitors,
        CalibrationCache(folder / "calibration"),
        false_alarm_rate=0.01,
        stop=stop or threading.Event(),
    )


def test_a_run_finds_thresholds_estimator_segments_and_the_multivariate_test(tmp_path: Path) -> None:
    publish_trips(tmp_path / "models", rows=300)
    harness = harness_in(tmp_path)
    calibrator_of(harness, tmp_path).run()
    monitored = harness.monitor().monitored
    assert monitored.calibration is not None
    assert set(monitored.calibration.columns) == {column.name for column in monitored.reference.columns}
    assert monitored.segment_calibration is not None
    assert "trip_distance where payment_type=1" in monitored.segment_calibration.columns
    assert monitored.estimator is not None
    assert monitored.multivariate_calibration is not None
    assert monitored.unknowable == {}


def test_a_second_run_and_a_second_start_find_nothing_to_do(tmp_path: Path) -> None:
    publish_trips(tmp_path / "models", rows=300)
    harness = harness_in(tmp_path)
    calibrator = calibrator_of(harness, tmp_path)
    calibrator.run()
    known = harness.monitor().monitored
    calibrator.run()
    assert harness.monitor().monitored is known
    again = harness_in(tmp_path)
    calibrator_of(again, tmp_path).run()
    assert again.monitor().monitored.calibration == known.calibration
    assert again.monitor().monitored.multivariate_calibration == known.multivariate_calibration


def test_what_a_reference_without_targets_cannot_tell_is_said_and_not_tried_again(tmp_path: Path) -> None:
    trips = make_trips(300).assign(target=np.nan)
    publish_bundle(tmp_path / "models", trips, TRIP_SCHEMA, name="taxi", version="v1", task="regression")
    harness = harness_in(tmp_path)
    calibrator_of(harness, tmp_path).run()
    monitored = harness.monitor().monitored
    assert monitored.estimator is None
    assert "labelled" in monitored.unknowable["estimator"]
    assert monitored.calibration is not None
    assert not monitored.lacks("estimator")


def test_a_service_that_stops_gives_up_what_it_is_doing(tmp_path: Path) -> None:
    publish_trips(tmp_path / "models", rows=300)
    harness, stop = harness_in(tmp_path), threading.Event()
    stop.set()
    calibrator_of(harness, tmp_path, stop).run()
    assert harness.monitor().monitored.calibration is None


@pytest.mark.parametrize("name", ["calibration", "estimator"])
def test_what_was_found_for_a_bundle_is_not_taken_for_the_next_one(tmp_path: Path, name: str) -> None:
    publish_trips(tmp_path / "models", rows=300)
    harness = harness_in(tmp_path)
    old = harness.monitor().monitored
    publish_trips(tmp_path / "models", version="v2", rows=300)
    harness.service.monitors.follow()
    harness.monitor().learn(old, **{name: object()})
    assert getattr(harness.monitor().monitored, name) is None
