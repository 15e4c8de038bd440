from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sextant.evaluation.drift.calibration import Calibration, calibrate_segments, segment_test
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import Verdict, detected
from tests.bundles import evaluated, make_trips, publish_trips

pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=3_000)
    return Reference.prepare(bundle.manifest, bundle.reference())


@pytest.fixture(scope="module")
def thresholds(trips: Reference) -> Calibration:
    parts = {name: part.values for name, part in trips.segments.items()}
    return calibrate_segments(parts, trips.columns, false_alarm_rate=0.001)


def drift_in(found: Evaluation, segment: str) -> Verdict:
    verdict = found.verdict("segment_drift", segment=segment)
    assert verdict is not None
    return verdict


def why_not_judged(found: Verdict) -> str:
    assert found == Verdict("segment_drift", segment=found.segment, reason=found.reason)
    return found.reason


def test_drift_of_one_segment_is_found_there_and_only_there(trips: Reference, thresholds: Calibration) -> None:
    window = make_trips(600, seed=21)
    by_cash = window["payment_type"] == "2"
    window.loc[by_cash, "trip_distance"] *= 2
    found = evaluated(trips, window, segment_calibration=thresholds)
    drifted, still = drift_in(found, "payment_type=2"), drift_in(found, "payment_type=1")
    assert [cause.column for cause in detected(drifted.causes)] == ["trip_distance"]
    assert drifted.detected is True
    assert still.detected is False
    assert still.threshold_ratio == max(cause.threshold_ratio or 0.0 for cause in still.causes)
    assert 0 < still.threshold_ratio < 1


def test_performance_is_told_for_each_segment_beside_its_own_reference(trips: Reference) -> None:
    window = make_trips(600, seed=21)
    by_cash = window["payment_type"] == "2"
    window.loc[by_cash, "target"] = window["prediction"] + 10.0
    found = evaluated(trips, window)
    assert found.measures["payment_type=2"]["mae"] == pytest.approx(10.0)
    assert found.measures["payment_type=1"]["mae"] < 4.0
    reference = trips.frame[trips.frame["payment_type"] == "2"]
    expected = (reference["prediction"] - reference["target"]).abs().mean()
    assert found.reference_measures["payment_type=2"]["mae"] == pytest.approx(expected)


def test_the_estimate_is_told_for_each_segment_too(trips: Reference) -> None:
    estimator = PerformanceEstimator.fit(trips)
    evaluation = evaluated(trips, make_trips(600, seed=21).assign(target=np.nan), estimator=estimator)
    for segment in ("payment_type=1", "payment_type=2"):
        assert 1.0 < evaluation.measures[segment]["estimated_mae"] < 4.0
        assert 1.0 < evaluation.reference_measures[segment]["estimated_mae"] < 4.0
    assert set(evaluation.measures["payment_type=1"]) == {"estimated_mae"}
    assert 1.0 < evaluation.measures[""]["estimated_mae"] < 4.0


def test_a_value_that_the_reference_never_held_is_other_and_breaks_nothing(
    trips: Reference, thresholds: Calibration
) -> None:
    window = make_trips(600, seed=21)
    window.loc[:99, "payment_type"] = "7"
    found, other = evaluated(trips, window, segment_calibration=thresholds), "payment_type=other"
    assert found.segments[other].rows == 100
    assert "too few rows" in why_not_judged(drift_in(found, other))
    assert found.measures[other]["mae"] > 0
    assert found.reference_measures[other] == {}


def test_a_segment_with_few_rows_is_counted_and_not_judged(trips: Reference, thresholds: Calibration) -> None:
    window = make_trips(600, seed=21).assign(payment_type="1")
    window.loc[:9, "payment_type"] = "3"
    found, few = evaluated(trips, window, segment_calibration=thresholds), "payment_type=3"
    assert found.segments[few].rows == 10
    assert "too few rows" in why_not_judged(drift_in(found, few))
    assert found.measures[few] == {}


def test_a_window_without_the_segment_column_is_one_segment(trips: Reference) -> None:
    segments = evaluated(trips, make_trips(100).drop(columns="payment_type")).segments
    assert {name: segment.rows for name, segment in segments.items()} == {"payment_type=other": 100}


def test_a_bundle_without_segments_has_none(trips: Reference) -> None:
    plain = Reference.prepare(trips.manifest.model_copy(update={"segments": ()}), trips.frame)
    found = evaluated(plain, make_trips(100))
    assert found.segments == {}
    assert found.of("segment_drift") == found.of("fairness_gap") == []


def test_all_segments_together_are_one_family_of_tests(trips: Reference, thresholds: Calibration) -> None:
    test = segment_test("trip_distance", "payment_type=1")
    whole = trips.segments["payment_type=1"].values
    alone = calibrate_segments({"payment_type=1": whole}, trips.columns, false_alarm_rate=0.001).columns[test]
    assert len(thresholds.columns) == len(trips.segments) * len(trips.columns)
    assert thresholds.columns[test].at(100) > alone.at(100)


def test_segment_thresholds_are_kept_beside_those_of_the_columns(tmp_path: Path, trips: Reference) -> None:
    cache = CalibrationCache(tmp_path)
    small = Reference.prepare(trips.manifest, trips.frame[:400])
    made = cache.segments(small, "sha", false_alarm_rate=0.01)

    def fail(*_: object) -> None:
        raise AssertionError("calibrated again")

    assert cache.segments(small, "sha", false_alarm_rate=0.01, progress=fail) == made
    with pytest.raises(AssertionError, match="again"):
        cache.columns(small, "sha", false_alarm_rate=0.01, progress=fail)


def test_an_unusual_index_of_the_window_does_not_matter(trips: Reference) -> None:
    window = make_trips(200, seed=5)
    named = window.set_axis(pd.Index([f"p{number}" for number in range(200)], name="prediction_id"))
    assert evaluated(trips, window).segments.keys() == evaluated(trips, named).segments.keys()
