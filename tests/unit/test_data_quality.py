import numpy as np
import pandas as pd
import pytest

from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.quality import DATA_QUALITY, ColumnQuality, judge_quality
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict
from tests.bundles import evaluated, make_trips, publish_trips

ZONES = ("PULocationID", "DOLocationID")
RATE = Calibration(0.01, {}, {})


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=3_000)
    return Reference.prepare(bundle.manifest, bundle.reference())


def detected(reference: Reference, window: pd.DataFrame) -> set[tuple[str, str]]:
    verdicts = evaluated(reference, window, RATE).of(DATA_QUALITY)
    return {(v.column, v.check) for v in verdicts if v.detected}


def judged(missing: float, rows: int, reference: float, reference_rows: int = 10_000) -> bool | None:
    window, known = {"x": ColumnQuality(missing)}, {"x": ColumnQuality(reference)}
    (verdict,) = judge_quality(window, rows, known, reference_rows, 0.01)
    assert (verdict.value, verdict.reference) == (missing, reference)
    assert verdict.threshold_ratio is not None
    assert verdict.detected is (verdict.threshold_ratio > 1.0)
    return verdict.detected


def test_a_window_like_the_reference_has_no_verdict_against_it(trips: Reference) -> None:
    window = make_trips(500, seed=2)
    assert detected(trips, window) == set()
    checks = {(v.column, v.check) for v in evaluated(trips, window, RATE).of(DATA_QUALITY)}
    numerical = {("trip_distance", "missing"), ("trip_distance", "out_of_range")}
    zones = {(name, check) for name in ZONES for check in ("missing", "unseen_category")}
    assert checks == numerical | zones


def test_each_check_finds_a_twentieth_of_bad_values_in_its_own_feature(trips: Reference) -> None:
    window = make_trips(500, seed=2)
    bad = window.index < 25
    broken = window.assign(
        PULocationID=window["PULocationID"].where(~bad),
        DOLocationID=window["DOLocationID"].where(~bad, "never seen"),
        trip_distance=window["trip_distance"].where(~bad, -1.0),
    )
    assert detected(trips, broken) == {
        ("PULocationID", "missing"),
        ("DOLocationID", "unseen_category"),
        ("trip_distance", "out_of_range"),
    }


def test_what_the_reference_lacks_as_well_is_normal(trips: Reference) -> None:
    random = np.random.default_rng(1)
    gaps = trips.frame["trip_distance"].where(random.random(len(trips.frame)) >= 0.2)
    used_to_it = Reference.prepare(trips.manifest, trips.frame.assign(trip_distance=gaps))
    window = make_trips(500, seed=2)
    window["trip_distance"] = window["trip_distance"].where(random.random(500) >= 0.2)
    assert detected(trips, window) == {("trip_distance", "missing")}
    assert detected(used_to_it, window) == set()


def test_one_percentage_point_more_is_tolerated_and_what_chance_adds_as_well() -> None:
    assert judged(0.11, 100_000, 0.10) is False
    assert judged(0.13, 100, 0.10) is False
    assert judged(0.13, 5_000, 0.10) is True
    assert judged(0.13, 5_000, 0.10, reference_rows=100) is False  # of so few nobody knows that it is 0.10


def test_no_more_false_alarms_than_stated_at_the_edge_of_what_is_tolerated() -> None:
    random, alarms = np.random.default_rng(6), 0
    for _ in range(1_000):
        reference, window = random.binomial(1_000, 0.04) / 1_000, random.binomial(500, 0.05) / 500
        alarms += bool(judged(window, 500, reference, 1_000))
    assert 1 <= alarms <= 19  # a rate of 0.01 allows 10


@pytest.mark.parametrize(
    ("ratio", "reference", "expected"), [(1.0, 0.0, True), (1.0, 0.995, False), (0.0, 0.0, False)]
)
def test_ratios_at_the_ends_have_a_verdict(ratio: float, reference: float, expected: bool) -> None:
    assert judged(ratio, 200, reference) is expected


def test_one_row_is_not_evidence_enough_of_anything_short_of_the_unheard_of() -> None:
    assert judged(1.0, 1, 0.05) is False


def test_without_calibration_there_are_ratios_and_no_verdict(trips: Reference) -> None:
    verdicts = evaluated(trips, make_trips(100).assign(PULocationID=None)).of(DATA_QUALITY)
    assert verdicts[0] == Verdict(
        DATA_QUALITY, 1.0, reason=NOT_CALIBRATED, column="PULocationID", check="missing", reference=0.0
    )
    assert {(verdict.detected, verdict.reason) for verdict in verdicts} == {(None, NOT_CALIBRATED)}
