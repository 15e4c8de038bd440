"""Scores of blocks of consecutive rows, and windows that are judged by them."""

from collections import Counter

import numpy as np
import orjson
import pandas as pd
import pytest

from sextant.contracts.model_bundle import Manifest
from sextant.contracts.schema import Feature, FeatureSchema
from sextant.evaluation import nulls as nulls_module
from sextant.evaluation.drift.calibration import Calibration, calibrate
from sextant.evaluation.evaluate import Evaluation, evaluate
from sextant.evaluation.in_time.null import Nulls
from sextant.evaluation.nulls import Collected, measure_nulls
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference

A_DAY = 240
SCHEMA = FeatureSchema(
    features=(
        Feature(name="length", kind="numerical"),
        Feature(name="zone", kind="categorical", categories=("centre", "edge")),
    )
)
RATE = 0.01


def trips(days: int, *, first: int = 0, longer: float = 1.0) -> pd.DataFrame:
    """Trips in the order of time: longer at night and on some days, so that neighbours are alike."""
    random = np.random.default_rng((7, first))
    day = np.repeat(np.arange(first, first + days), A_DAY)
    hour = np.tile(np.sort(np.arange(A_DAY) * 24 // A_DAY), days)
    at_night = (hour < 6) | (hour > 21)
    of_day = random.normal(0.0, 0.1, days)[day - first]
    length = np.exp(random.normal(0.5 * at_night + of_day, 0.4)) * longer
    zone = np.where(random.random(len(day)) < 0.2 + 0.5 * at_night, "edge", "centre")
    moments = pd.Timestamp("2021-01-04") + pd.to_timedelta(day * 24 + hour, unit="h")
    prediction = 3.0 * length
    return pd.DataFrame(
        {
            "length": length,
            "zone": zone,
            "prediction": prediction,
            "target": prediction + random.normal(0.0, 1.0 + at_night),
            "when": moments.strftime("%Y-%m-%dT%H:%M:%S"),
        }
    )


def manifest() -> Manifest:
    return Manifest(
        name="taxi",
        version="v1",
        task="regression",
        feature_schema=SCHEMA,
        target="minutes",
        segments=("zone",),
        time="when",
        metrics={},
        data_source="made up",
        data_period="2021-01",
        libraries={},
        files={},
    )


@pytest.fixture(scope="module", autouse=True)
def quick() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nulls_module, "SIZES", (100, 300))
        patch.setattr(nulls_module, "BLOCKS", 40)
        patch.setattr(nulls_module, "MULTIVARIATE_SIZES", (300,))
        patch.setattr(nulls_module, "BLOCKS_OF_SLOW_TESTS", 5)
        yield


def reference_of(dense: pd.DataFrame) -> Reference:
    kept = np.sort(np.random.default_rng(1).choice(len(dense), len(dense) * 2 // 3, replace=False))
    measured = Nulls.from_json(measure_nulls(manifest(), dense, kept))
    return Reference.prepare(manifest(), dense.iloc[kept].reset_index(drop=True), measured)


@pytest.fixture(scope="module")
def reference(quick: None) -> Reference:
    return reference_of(trips(20))


@pytest.fixture(scope="module")
def estimator(reference: Reference) -> PerformanceEstimator:
    return PerformanceEstimator.fit(reference)


def judged(reference: Reference, rows: pd.DataFrame, estimator: PerformanceEstimator | None = None) -> Evaluation:
    calibration = Calibration(RATE, {}, {})
    window = reference.conform(rows.reset_index(drop=True))
    return evaluate(reference, window, calibration, segment_calibration=calibration, estimator=estimator)


def windows(rows: pd.DataFrame, size: int = 100) -> list[pd.DataFrame]:
    return [rows.iloc[start : start + size] for start in range(0, len(rows) - size + 1, size)]


def test_nights_and_days_are_no_drift_though_shuffled_thresholds_say_so(
    reference: Reference, estimator: PerformanceEstimator
) -> None:
    later = windows(trips(14, first=20))
    found = [judged(reference, window, estimator) for window in later]
    alarms = Counter(name for each in found for name in {v.name for v in each.verdicts if v.detected})
    assert max(alarms.values(), default=0) <= len(later) / 10, alarms
    shuffled = calibrate(reference.values, reference.columns, false_alarm_rate=RATE)
    as_before = Reference.prepare(manifest(), reference.frame)
    naive = [evaluate(as_before, as_before.conform(w.reset_index(drop=True)), shuffled) for w in later]
    assert sum(bool(each.dataset_drift) for each in naive) > len(later) / 2


def test_longer_trips_are_drift_and_the_verdict_says_by_how_much(reference: Reference) -> None:
    found = judged(reference, trips(5, first=40, longer=2.5)[:300])
    assert found.dataset_drift
    verdict = found.verdict("drift", column="length")
    assert verdict is not None
    assert verdict.effect is not None
    assert verdict.effect.now > 2 * verdict.effect.before
    assert verdict.effect.size == pytest.approx(verdict.effect.now - verdict.effect.before, rel=0.05)


def test_larger_errors_are_found_by_the_hour(reference: Reference, estimator: PerformanceEstimator) -> None:
    rows = trips(5, first=60)[:300]
    worse = rows.assign(target=rows["prediction"] + 4.0 * (rows["target"] - rows["prediction"]))
    found = judged(reference, worse, estimator)
    alarms = {verdict.name for verdict in found.verdicts if verdict.detected}
    assert {"performance_degradation", "concept_drift"} <= alarms
    assert "estimated_degradation" not in alarms


def test_hours_that_the_reference_lacks_are_said_and_not_judged() -> None:
    dense = trips(20)
    working = dense[pd.to_datetime(dense["when"]).dt.dayofweek < 5].reset_index(drop=True)
    reference = reference_of(working)
    found = judged(reference, trips(7, first=21)[4 * A_DAY :])  # from Friday to Sunday
    assert found.unsupported_rows == 2 * A_DAY
    assert found.unsupported_hours == "on weekends from 00:00 to 23:59"
    assert found.dataset_drift is False


def test_rows_without_a_time_are_judged_and_counted(reference: Reference) -> None:
    rows = trips(3, first=20)
    rows.loc[rows.index[:200], "when"] = "some day"
    found = judged(reference, rows)
    assert found.rows_without_time == 200
    assert found.verdict("drift", column="length").threshold is not None


def test_fewer_than_three_days_give_scores_only_and_fewer_than_seven_are_provisional() -> None:
    found = {days: judged(reference_of(trips(days)), trips(3, first=30)[:100]) for days in (2, 5)}
    assert found[2].order == "too short"
    assert found[2].dataset_drift is None
    assert not found[2].calibrated
    assert found[2].verdict("drift", column="length").value is not None
    assert found[5].order == "provisional"
    assert found[5].dataset_drift is not None


def test_what_was_measured_is_kept_with_every_test(reference: Reference) -> None:
    assert reference.nulls is not None
    kinds = {(kind, bool(column), bool(segment)) for kind, column, segment in reference.nulls.tests}
    assert kinds == {
        ("drift", True, False),
        ("drift", True, True),
        ("fairness_gap", False, True),
        ("multivariate_drift", False, False),
        ("performance_degradation", False, False),
        ("concept_drift", False, False),
        ("estimated_degradation", False, False),
    }
    again = Nulls.from_json(reference.nulls.to_json())
    assert again == reference.nulls
    older = orjson.loads(reference.nulls.to_json()) | {"recipe": 0}
    assert Nulls.from_json(orjson.dumps(older)) is None


def test_overlapping_blocks_of_few_days_spread_no_less_than_the_days_do() -> None:
    days = [1.0, 2.0, 4.0, 3.0, 5.0]
    apart, overlapping = (
        Collected({100: days * copies}, {100: [100.0] * 5 * copies}, {100: 20.0}).null(days=5)
        for copies in (1, 20)
    )
    assert overlapping.deviations == pytest.approx([np.std(days, ddof=1)])
    assert overlapping.threshold(100, RATE) == pytest.approx(apart.threshold(100, RATE), rel=1e-6)
