import math
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from scipy import stats

from sextant.contracts.schema import Feature
from sextant.evaluation.drift import null_scores
from sextant.evaluation.drift.calibration import calibrate, calibrate_column, rate_of_each, tail_quantile
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.evaluation.drift.null_scores import null_severities
from sextant.evaluation.drift.scorers import scorer_of
from sextant.evaluation.reference import Reference
from tests.bundles import make_trips, publish_trips

DISTANCE = Feature(name="trip_distance", kind="numerical")
ZONE = Feature(name="PULocationID", kind="categorical")


@pytest.fixture(scope="module")
def trips() -> pd.DataFrame:
    return make_trips(3_000, seed=3)


@pytest.fixture
def a_fifth_of_the_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what holds however well the tail is known."""
    monkeypatch.setattr(null_scores, "RESAMPLES", 200)
    monkeypatch.setattr(null_scores, "RESAMPLES_OF_EVIDENTLY", 60)


coarse = pytest.mark.usefixtures("a_fifth_of_the_resamples")


@coarse
def test_the_same_seed_gives_the_same_thresholds(trips: pd.DataFrame) -> None:
    first, again, other = (
        calibrate(trips, [DISTANCE, ZONE], false_alarm_rate=0.01, seed=seed).columns for seed in (1, 1, 2)
    )
    assert first == again
    assert first["trip_distance"] != other["trip_distance"]


@coarse
def test_a_column_keeps_its_threshold_when_another_is_added(trips: pd.DataFrame) -> None:
    rate = rate_of_each(0.01, 2)
    alone = calibrate(trips, [ZONE], false_alarm_rate=rate).columns["PULocationID"]
    beside = calibrate(trips, [DISTANCE, ZONE], false_alarm_rate=0.01).columns["PULocationID"]
    assert alone.severities == pytest.approx(beside.severities)


@coarse
def test_thresholds_fall_as_windows_grow(trips: pd.DataFrame) -> None:
    for column in calibrate(trips, [DISTANCE, ZONE], false_alarm_rate=0.01).columns.values():
        thresholds = [column.at(rows) for rows in (30, 50, 100, 300, 1_000, 1_500, 5_000, 50_000)]
        assert thresholds == sorted(thresholds, reverse=True)


def test_a_threshold_between_grid_points_is_what_resampling_there_gives(trips: pd.DataFrame) -> None:
    for column in (DISTANCE, ZONE):
        random = np.random.default_rng(9)
        rows = 700
        calibrated = calibrate_column(column, trips[column.name], 0.01, random).at(rows)
        resampled = tail_quantile(null_severities(column, trips[column.name], rows, random), 0.01)
        assert calibrated == pytest.approx(resampled, rel=0.12)


def test_the_family_of_columns_alarms_as_often_as_one_column_of_the_whole_rate() -> None:
    rate = rate_of_each(0.01, 11)
    assert 1 - (1 - rate) ** 11 == pytest.approx(0.01)


def test_the_tail_of_a_gamma_is_found_from_few_samples() -> None:
    scores = stats.gamma(4.0).rvs(1_000, random_state=1)
    assert tail_quantile(scores, 0.001) == pytest.approx(stats.gamma(4.0).isf(0.001), rel=0.08)


def test_scores_that_differ_by_rounding_alone_have_no_tail() -> None:
    largest = math.sqrt(math.log(2))  # as every window of a column of ids scores
    scores = np.array([largest, np.nextafter(largest, 1.0)] * 100)
    assert tail_quantile(scores, 0.01) == pytest.approx(largest)


@coarse
@pytest.mark.parametrize(("column", "value", "other"), [(DISTANCE, 7.0, 7.001), (ZONE, "a", "b")])
def test_a_constant_column_alarms_once_a_share_of_the_rows_has_another_value(
    column: Feature, value: Any, other: Any
) -> None:
    constant = pd.Series([value] * 500)
    threshold = calibrate_column(column, constant, 0.01, np.random.default_rng(0)).at(400)
    for odd, alarm in ((0, False), (1, False), (40, True), (400, True)):
        window = pd.Series([value] * (400 - odd) + [other] * odd)
        assert (scorer_of(column, constant).score(window) > threshold) is alarm, odd


def test_a_reference_that_is_too_small_fails_alone(trips: pd.DataFrame) -> None:
    reference = {"PULocationID": trips["PULocationID"], "trip_distance": trips["trip_distance"][:20]}
    calibration = calibrate(reference, [DISTANCE, ZONE], false_alarm_rate=0.01)
    assert set(calibration.columns) == {"PULocationID"}
    assert "20 values" in calibration.failures["trip_distance"]


def test_a_kept_calibration_is_read_back_instead_of_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = _reference(tmp_path)
    monkeypatch.setattr(null_scores, "RESAMPLES", 20)
    cache = CalibrationCache(tmp_path / "calibration")
    made = cache.columns(reference, "sha", false_alarm_rate=0.01)

    def fail(*_: object) -> None:
        raise AssertionError("calibrated again")

    assert cache.columns(reference, "sha", false_alarm_rate=0.01, progress=fail) == made
    with pytest.raises(AssertionError, match="again"):
        cache.columns(reference, "another reference", false_alarm_rate=0.01, progress=fail)
    with pytest.raises(AssertionError, match="again"):
        cache.columns(reference, "sha", false_alarm_rate=0.02, progress=fail)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"columns": {"x": 1}}', orjson.dumps({"columns": {}})])
def test_a_torn_cache_file_is_made_again(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(null_scores, "RESAMPLES", 20)
    reference = _reference(tmp_path)
    folder = tmp_path / "calibration"
    made = CalibrationCache(folder).columns(reference, "sha", false_alarm_rate=0.01)
    (kept,) = folder.iterdir()
    kept.write_bytes(content)
    assert CalibrationCache(folder).columns(reference, "sha", false_alarm_rate=0.01) == made
    assert orjson.loads(kept.read_bytes())["columns"]


def _reference(folder: Path) -> Reference:
    bundle = publish_trips(folder / "models", rows=300)
    return Reference.prepare(bundle.manifest, bundle.reference())


@coarse
@pytest.mark.parametrize(("reference_rows", "rows", "share"), [(60, 30, 0.01), (2_000, 500, 0.001)])
def test_a_few_rare_values_more_than_the_reference_holds_are_no_drift(
    reference_rows: int, rows: int, share: float
) -> None:
    """A reference of 60 rows with one rare value, or none, alarmed in 13 to 57 % of undrifted windows."""
    column, alarms = Feature(name="x", kind="numerical"), []
    for seed in range(8):
        random = np.random.default_rng(seed)
        reference = pd.Series((random.random(reference_rows) < share).astype(float))
        threshold = calibrate_column(column, reference, 0.01, random).at(rows)
        scorer = scorer_of(column, reference)
        windows = [pd.Series((random.random(rows) < share).astype(float)) for _ in range(30)]
        alarms += [scorer.score(window) > threshold for window in windows]
        assert scorer.score(pd.Series((random.random(rows) < 0.3).astype(float))) > threshold
    assert np.mean(alarms) <= 0.04
