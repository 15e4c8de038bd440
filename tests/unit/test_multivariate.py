from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from sextant.contracts.schema import Feature, FeatureSchema
from sextant.evaluation.drift import multivariate
from sextant.evaluation.drift.calibration import ColumnThresholds
from sextant.evaluation.drift.multivariate import METHOD, REFERENCE_ROWS, WINDOW_ROWS, DomainClassifier
from sextant.evaluation.frames import ConformedFrame, conform
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict
from tests.bundles import make_manifest, publish_bundle

SCHEMA = FeatureSchema(
    features=(
        Feature(name="zone", kind="categorical"),
        Feature(name="distance", kind="numerical"),
        Feature(name="hour", kind="numerical"),
    )
)
CHANCE_BAND = 0.05
THRESHOLDS = ColumnThresholds(METHOD, 2_000, (30, 1_000), (0.15, 0.03))


def make_rows(rows: int, *, seed: int) -> pd.DataFrame:
    """Distances that depend on the zone, so that there is a dependence to lose."""
    random = np.random.default_rng(seed)
    zone = random.integers(1, 9, rows)
    return pd.DataFrame(
        {
            "zone": zone.astype(str),
            "distance": zone + random.normal(0.0, 0.5, rows),
            "hour": random.uniform(0.0, 24.0, rows),
            "prediction": random.normal(10.0, 1.0, rows),
            "target": random.normal(10.0, 1.0, rows),
        }
    )


def conformed(rows: pd.DataFrame) -> ConformedFrame:
    return conform(rows, make_manifest(SCHEMA))


def measured(domain: DomainClassifier, rows: pd.DataFrame, thresholds: ColumnThresholds | None) -> Verdict:
    return domain.measure(conformed(rows), thresholds)


def reference_of(folder: Path, rows: pd.DataFrame, schema: FeatureSchema = SCHEMA) -> Reference:
    bundle = publish_bundle(folder / "models", rows, schema, name="taxi", version="v1", task="regression")
    return Reference.prepare(bundle.manifest, bundle.reference())


@pytest.fixture
def domain(tmp_path: Path) -> DomainClassifier:
    return DomainClassifier(reference_of(tmp_path, make_rows(2_000, seed=1)))


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multivariate, "BATCHES", 2)
    monkeypatch.setattr(multivariate, "BATCH", 2)


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds of any classifier holds of a quick one."""
    trees = HistGradientBoostingClassifier(max_iter=4, max_leaf_nodes=8, early_stopping=False, random_state=0)
    monkeypatch.setattr(multivariate, "_trees", lambda: clone(trees))


def permuted(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    return rows.assign(**{name: np.random.default_rng(5).permutation(rows[name].to_numpy())})


def test_rows_like_the_reference_cannot_be_told_apart(domain: DomainClassifier) -> None:
    drift = measured(domain, make_rows(1_000, seed=2), THRESHOLDS)
    assert drift.value == pytest.approx(0.5, abs=CHANCE_BAND)
    assert drift.detected is False


def test_a_lost_dependence_is_drift_though_every_column_is_as_it_was(domain: DomainClassifier) -> None:
    drift = measured(domain, permuted(make_rows(1_000, seed=2), "distance"), THRESHOLDS)
    assert drift.value > 0.8
    assert drift.detected is True
    assert drift.threshold_ratio == (drift.value - 0.5) / THRESHOLDS.at(1_000) > 1.0


def test_prediction_and_target_do_not_count(domain: DomainClassifier) -> None:
    window = make_rows(1_000, seed=2)
    moved = window.assign(prediction=window["prediction"] + 100.0, target=np.nan)
    assert measured(domain, moved, None) == measured(domain, window, None)


def test_without_thresholds_there_is_a_score_but_no_verdict(domain: DomainClassifier) -> None:
    drift = measured(domain, make_rows(200, seed=2), None)
    assert 0.0 <= drift.value <= 1.0
    assert (drift.threshold, drift.threshold_ratio, drift.detected) == (None, None, None)
    assert drift.reason == NOT_CALIBRATED


def test_the_threshold_is_that_of_the_windows_size_around_chance(domain: DomainClassifier) -> None:
    drift = measured(domain, make_rows(300, seed=2), THRESHOLDS)
    assert drift.threshold == 0.5 + THRESHOLDS.at(300)


def test_a_large_window_costs_no_more_than_its_share(
    domain: DomainClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    def separability(_: Any, window: Any, _weights: Any) -> float:
        compared.append(len(window))
        return 0.5

    monkeypatch.setattr(multivariate, "separability", separability)
    drift = measured(domain, make_rows(WINDOW_ROWS + 1_000, seed=2), THRESHOLDS)
    assert compared == [WINDOW_ROWS]
    assert drift.threshold == 0.5 + THRESHOLDS.at(WINDOW_ROWS)


def test_a_large_reference_is_compared_in_part_and_always_the_same_one(tmp_path: Path) -> None:
    reference = reference_of(tmp_path, make_rows(2 * REFERENCE_ROWS + 500, seed=1))
    first, again = DomainClassifier(reference), DomainClassifier(reference)
    assert len(first._compared) == REFERENCE_ROWS
    np.testing.assert_array_equal(first._compared, again._compared)


def test_too_few_rows_are_refused_with_their_number(domain: DomainClassifier) -> None:
    with pytest.raises(ValueError, match="window holds 29 rows"):
        measured(domain, make_rows(29, seed=2), THRESHOLDS)


def test_too_small_a_reference_is_refused_with_its_number(tmp_path: Path) -> None:
    domain = DomainClassifier(reference_of(tmp_path, make_rows(59, seed=1)))
    with pytest.raises(ValueError, match="reference holds 59 rows"):
        measured(domain, make_rows(200, seed=2), None)
    with pytest.raises(ValueError, match="fewer than 60"):
        domain.calibrate(false_alarm_rate=0.01)


EDGES = {
    "a numerical column is missing": lambda window: window.assign(distance=np.nan),
    "a category is missing": lambda window: window.assign(zone=None),
    "everything is missing": lambda window: window.assign(zone=None, distance=np.nan, hour=np.nan),
    "a column is not there at all": lambda window: window.drop(columns="distance"),
    "only unseen categories": lambda window: window.assign(zone="new"),
    "texts that are no numbers": lambda window: window.assign(distance="far"),
}


@pytest.mark.parametrize("edge", EDGES.values(), ids=EDGES.keys())
def test_a_window_that_lost_its_values_is_drift_and_no_error(domain: DomainClassifier, edge: object) -> None:
    drift = measured(domain, edge(make_rows(300, seed=2)), THRESHOLDS)  # type: ignore[operator]
    assert drift.value > 0.95
    assert drift.detected is True


def test_missing_values_that_the_reference_has_too_are_no_drift(tmp_path: Path) -> None:
    def with_gaps(seed: int) -> pd.DataFrame:
        rows = make_rows(1_500, seed=seed)
        gaps = np.random.default_rng(seed).random(len(rows)) < 0.3
        return rows.assign(distance=rows["distance"].mask(gaps), zone=rows["zone"].mask(gaps))

    domain = DomainClassifier(reference_of(tmp_path, with_gaps(1)))
    assert measured(domain, with_gaps(2), None).value == pytest.approx(0.5, abs=CHANCE_BAND)


@pytest.mark.parametrize("constant", ["alike", "missing"])
def test_a_reference_of_constant_columns_tells_nothing_until_they_change(
    tmp_path: Path, few_resamples: None, constant: str
) -> None:
    rows = make_rows(300, seed=1)
    same = {"zone": "1", "distance": 2.0, "hour": 3.0}
    rows = rows.assign(**(same if constant == "alike" else dict.fromkeys(same, None)))
    domain = DomainClassifier(reference_of(tmp_path, rows))
    thresholds = domain.calibrate(false_alarm_rate=0.01)
    still = measured(domain, rows[:100], thresholds)
    assert (still.value, still.detected) == (0.5, False)
    assert measured(domain, make_rows(100, seed=2), thresholds).detected is True


def test_identifiers_that_never_repeat_are_no_drift(tmp_path: Path) -> None:
    def with_ids(rows: int, first: int) -> pd.DataFrame:
        return make_rows(rows, seed=first).assign(zone=[f"trip-{first + row}" for row in range(rows)])

    domain = DomainClassifier(reference_of(tmp_path, with_ids(2_000, 0)))
    # Distance no longer depends on what zone says, but nothing drifted: only the identifiers are new.
    assert measured(domain, with_ids(1_000, 5_000), None).value == pytest.approx(0.5, abs=CHANCE_BAND)


def test_rare_categories_that_come_and_go_are_no_drift(tmp_path: Path) -> None:
    # Of 3,000 categories after Zipf, each draw of rows misses many and brings others.
    def with_tail(rows: int, seed: int) -> pd.DataFrame:
        weights = 1.0 / np.arange(1, 3_001)
        zone = np.random.default_rng(seed).choice(3_000, rows, p=weights / weights.sum())
        return make_rows(rows, seed=seed).assign(zone=zone.astype(str), distance=1.0)

    domain = DomainClassifier(reference_of(tmp_path, with_tail(2_000, 1)))
    assert measured(domain, with_tail(1_000, 2), None).value == pytest.approx(0.5, abs=CHANCE_BAND)


def test_thresholds_fall_as_windows_grow(
    domain: DomainClassifier, few_trees: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multivariate, "BATCHES", 1)
    monkeypatch.setattr(multivariate, "BATCH", 12)
    found = domain.calibrate(false_alarm_rate=0.01)
    assert (found.method, found.reference_rows, found.sizes[-1]) == (METHOD, 1_000, 1_000)
    assert found.at(30) > found.at(200) > found.at(1_000) > 0.0


def test_thresholds_repeat_with_the_seed(
    domain: DomainClassifier, few_trees: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multivariate, "GRID_POINTS", 2)
    monkeypatch.setattr(multivariate, "BATCH", 1)
    first, again, other = (domain.calibrate(false_alarm_rate=0.01, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_calibration_tells_its_progress_and_can_be_stopped_by_it(
    domain: DomainClassifier, few_resamples: None
) -> None:
    told: list[tuple[str, int, int]] = []

    def progress(test: str, done: int, total: int) -> None:
        told.append((test, done, total))
        if done == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        domain.calibrate(false_alarm_rate=0.01, progress=progress)
    assert told == [(METHOD, done, 8) for done in range(4)]


def test_the_score_repeats_to_the_last_digit_whatever_the_number_of_threads(domain: DomainClassifier) -> None:
    window = permuted(make_rows(900, seed=3), "hour")
    scores = set()
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="openmp"):
            scores |= {measured(domain, window, None).value, measured(domain, window.copy(), None).value}
    assert len(scores) == 1


def test_the_trees_use_one_thread_and_give_the_others_back(
    domain: DomainClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[set[int]] = []

    def openmp_threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}

    def separability(*_: object) -> float:
        inside.append(openmp_threads())
        return 0.5

    monkeypatch.setattr(multivariate, "separability", separability)
    with threadpool_limits(2, user_api="openmp"):
        measured(domain, make_rows(100, seed=2), None)
        assert openmp_threads() == {2}
    assert inside == [{1}]
