"""How often a verdict alarms on windows that did not drift, against the rate that was asked for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier

from sextant.contracts.schema import Feature, Task
from sextant.evaluation.drift import multivariate, null_scores
from sextant.evaluation.drift.calibration import calibrate_column, calibrate_segments
from sextant.evaluation.drift.multivariate import DomainClassifier
from sextant.evaluation.drift.scorers import scorer_of
from sextant.evaluation.drift.stat_tests import drift_score
from sextant.evaluation.frames import conform
from sextant.evaluation.performance.error_growth import Moments, measure_performance_degradation
from sextant.evaluation.performance.fairness import FairnessReference
from sextant.evaluation.reference import Reference
from tests.bundles import evaluated, make_trips, publish_trips
from tests.errors import heavy, rare, wrong

DISTANCE = Feature(name="trip_distance", kind="numerical")
Draw = Callable[[np.random.Generator, int], np.ndarray]


def test_undrifted_windows_of_a_column_alarm_about_as_rarely_as_stated() -> None:
    # Windows and reference are drawn from one population; at a rate of 0.05, 20 of 400 are expected.
    population = make_trips(60_000, seed=11)["trip_distance"]
    reference, rest = population[:5_000].reset_index(drop=True), population[5_000:].to_numpy()
    thresholds = calibrate_column(DISTANCE, reference, 0.05, np.random.default_rng(0))
    random = np.random.default_rng(1)
    windows = [pd.Series(random.choice(rest, 300, replace=False)) for _ in range(400)]
    alarms = sum(drift_score(DISTANCE, reference, window) > thresholds.at(300) for window in windows)
    assert 4 <= alarms <= 44


@pytest.mark.parametrize("categories", [5, 500])
def test_undrifted_windows_of_many_rare_categories_alarm_about_as_rarely_as_stated(
    categories: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At a rate of 0.05, 6 of 120 windows are expected; half as large as the reference, whose tail is long.
    monkeypatch.setattr(null_scores, "RESAMPLES", 200)
    weights = 1 / np.arange(1, categories + 1) ** 1.5
    random, zone = np.random.default_rng(5), Feature(name="zone", kind="categorical")

    def draw(rows: int) -> pd.Series:
        return pd.Series(random.choice(categories, rows, p=weights / weights.sum()).astype(str))

    alarms = 0
    for _ in range(4):
        reference = draw(2_000)
        threshold = calibrate_column(zone, reference, 0.05, random).at(1_000)
        alarms += sum(scorer_of(zone, reference).score(draw(1_000)) > threshold for _ in range(30))
    assert alarms <= 18


def test_undrifted_segments_alarm_about_as_rarely_as_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(null_scores, "RESAMPLES", 200)
    # At a rate of 0.1 over all segments and columns, 20 of 200 windows are expected.
    bundle = publish_trips(tmp_path, rows=3_000)
    trips = Reference.prepare(bundle.manifest, bundle.reference())
    parts = {name: part.values for name, part in trips.segments.items()}
    calibration = calibrate_segments(parts, trips.columns, false_alarm_rate=0.1)
    population = make_trips(60_000, seed=77)
    random = np.random.default_rng(3)
    alarms = 0
    for _ in range(200):
        window = population.iloc[random.choice(len(population), 500, replace=False)]
        found = evaluated(trips, window, segment_calibration=calibration).of("segment_drift")
        alarms += any(segment.detected for segment in found)
    assert 6 <= alarms <= 42


def test_undrifted_windows_alarm_over_all_features_together_about_as_rarely_as_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At a rate of 0.1, 4 of 40 are expected; beyond 11 comes with probability 0.0007.
    trees = HistGradientBoostingClassifier(max_iter=4, max_leaf_nodes=8, early_stopping=False, random_state=0)
    monkeypatch.setattr(multivariate, "_trees", lambda: clone(trees))
    monkeypatch.setattr(multivariate, "GRID_POINTS", 2)
    monkeypatch.setattr(multivariate, "BATCHES", 1)
    bundle = publish_trips(tmp_path, rows=800)
    domain = DomainClassifier(Reference.prepare(bundle.manifest, bundle.reference()))
    thresholds = domain.calibrate(false_alarm_rate=0.1)
    windows = [conform(make_trips(300, seed=seed), bundle.manifest) for seed in range(100, 140)]
    assert sum(bool(domain.measure(window, thresholds).detected) for window in windows) <= 11


@pytest.mark.parametrize("errors", [heavy, rare])
@pytest.mark.parametrize(("known", "rows"), [(300, 600), (10_000, 30), (10_000, 2_000)])
def test_errors_that_did_not_grow_alarm_about_as_rarely_as_stated(errors: Draw, known: int, rows: int) -> None:
    # A new reference each time; at a rate of 0.05, 20 of 400 windows are expected.
    random = np.random.default_rng(1)
    alarms = [
        measure_performance_degradation(pd.Series(errors(random, rows)), Moments.of(errors(random, known)), 0.05)
        for _ in range(400)
    ]
    assert 5 <= sum(bool(found.detected) for found in alarms) <= 35


def sides(inside: np.ndarray, outside: np.ndarray) -> tuple["pd.Series[float]", dict[str, "pd.Index[int]"]]:
    """The errors of all rows, and which of them are the segment's."""
    return pd.Series(np.concatenate([inside, outside])), {"payment_type=1": pd.RangeIndex(len(inside))}


@pytest.mark.parametrize(("task", "draw"), [("regression", heavy), ("classification", wrong)])
@pytest.mark.parametrize("rows", [(100, 2_000, 50, 400), (1_000, 1_000, 300, 300)])
def test_a_segment_that_is_served_as_before_alarms_no_more_often_than_stated(
    task: Task, draw: Draw, rows: tuple[int, int, int, int]
) -> None:
    # A new reference each time, and a window that errs by a third more in all segments alike.
    random, alarms = np.random.default_rng(3), 0
    for _ in range(300):
        errors = [draw(random, number) for number in rows]
        now = (1.3 * errors[2], 1.3 * errors[3]) if task == "regression" else (errors[2], errors[3])
        reference = FairnessReference.of(task, *sides(*errors[:2]))
        (found,) = reference.measure(*sides(*now), 0.05)
        alarms += bool(found.detected)
    assert 1 <= alarms <= 26  # a rate of 0.05 allows 15
