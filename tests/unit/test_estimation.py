from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from sextant.contracts.schema import Feature, FeatureSchema
from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.evaluate import evaluate
from sextant.evaluation.performance.estimation import PerformanceEstimator, Recipe
from sextant.evaluation.reference import Reference
from tests.bundles import make_flowers, make_manifest, make_trips, publish_bundle, publish_flowers, publish_trips


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Trips whose error grows with their distance, and whose long ones are all paid in the same way."""
    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=3_000)
    rows = uneven(bundle.reference(), seed=101)
    payment = np.where(rows["trip_distance"] > 3.0, "1", "2")
    return Reference.prepare(bundle.manifest, rows.assign(payment_type=payment))


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = publish_flowers(tmp_path_factory.mktemp("models"))
    return Reference.prepare(bundle.manifest, with_confidence(bundle.reference(), seed=1))


@pytest.fixture(scope="module")
def estimator(trips: Reference) -> PerformanceEstimator:
    return PerformanceEstimator.fit(trips)


@pytest.fixture(scope="module")
def flower_estimator(flowers: Reference) -> PerformanceEstimator:
    return PerformanceEstimator.fit(flowers)


def uneven(rows: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    noise = np.random.default_rng(seed).normal(0.0, 1.0, len(rows)) * (0.5 + rows["trip_distance"])
    return rows.assign(target=rows["prediction"] + noise)


def with_confidence(rows: pd.DataFrame, *, seed: int, sure: float = 0.5) -> pd.DataFrame:
    """Overconfident answers: they are right in 15 of 100 rows fewer than their probability says."""
    random = np.random.default_rng(seed)
    confidence = np.where(random.random(len(rows)) < sure, 0.95, 0.55)
    right = random.random(len(rows)) < confidence - 0.15
    wrong = rows["target"].map({"setosa": "versicolor", "versicolor": "virginica", "virginica": "setosa"})
    rows = rows.assign(prediction=np.where(right, rows["target"], wrong))
    shares = {
        f"probability_{name}": np.where(rows["prediction"] == name, confidence, (1 - confidence) / 2)
        for name in ("setosa", "versicolor", "virginica")
    }
    return rows.assign(**shares)


def mae(rows: pd.DataFrame) -> float:
    return float((rows["prediction"] - rows["target"]).abs().mean())


def test_the_error_of_rows_like_those_of_the_reference_is_estimated(estimator: PerformanceEstimator) -> None:
    window = uneven(make_trips(2_000, seed=7), seed=8)
    estimated = estimator.measures(estimator.expected_errors(window))["estimated_mae"]
    assert estimated == pytest.approx(mae(window), rel=0.1)


def test_a_shift_to_rows_that_the_model_is_worse_at_shows_before_any_target(
    estimator: PerformanceEstimator,
) -> None:
    window = uneven(make_trips(2_000, seed=7, distance_factor=2.0), seed=8)
    unlabelled = window.assign(target=np.nan)
    estimated = estimator.measures(estimator.expected_errors(unlabelled))["estimated_mae"]
    reference = estimator.reference_measures[""]["estimated_mae"]
    assert mae(window) > 1.5 * reference
    assert estimated > 1.4 * reference


def test_performance_degradation_is_what_it_cannot_see(estimator: PerformanceEstimator) -> None:
    window = make_trips(1_000, seed=7)
    worse = window.assign(target=window["prediction"] + 50)
    before, after = (estimator.measures(estimator.expected_errors(rows)) for rows in (window, worse))
    assert before == after


def test_the_references_own_estimate_is_unbiased_and_told_by_segment(
    trips: Reference, estimator: PerformanceEstimator
) -> None:
    measures = estimator.reference_measures
    assert measures[""]["estimated_mae"] == pytest.approx(mae(trips.frame), rel=0.03)
    for payment, rows in trips.frame.groupby("payment_type"):
        assert measures[f"payment_type={payment}"]["estimated_mae"] == pytest.approx(mae(rows), rel=0.1)


def test_overconfident_probabilities_are_calibrated_before_they_count(
    flower_estimator: PerformanceEstimator,
) -> None:
    for sure in (0.1, 0.9):
        window = with_confidence(make_flowers(3_000, seed=9), seed=10, sure=sure)
        realised = (window["prediction"] == window["target"]).mean()
        estimated = flower_estimator.measures(flower_estimator.expected_errors(window.assign(target=None)))
        assert estimated["estimated_accuracy"] == pytest.approx(realised, abs=0.04)


def test_rows_without_probabilities_are_left_out_and_a_window_of_them_has_no_estimate(
    flower_estimator: PerformanceEstimator,
) -> None:
    window = with_confidence(make_flowers(200, seed=9), seed=10)
    window.loc[:99, "probability_setosa"] = np.nan
    window.loc[:99, "prediction"] = "setosa"
    expected = flower_estimator.expected_errors(window)
    assert expected.isna().sum() == 100
    assert "estimated_accuracy" in flower_estimator.measures(expected)
    bare = flower_estimator.expected_errors(make_flowers(200, seed=9))
    assert flower_estimator.measures(bare) == {}


def test_two_fits_agree_to_the_last_digit(trips: Reference, estimator: PerformanceEstimator) -> None:
    window = make_trips(500, seed=3)
    again = PerformanceEstimator.fit(trips)
    assert again.expected_errors(window).equals(estimator.expected_errors(window))
    assert again.reference_measures == estimator.reference_measures


def test_odd_rows_have_an_expected_error_too(estimator: PerformanceEstimator) -> None:
    odd = make_trips(50).assign(PULocationID="never seen", DOLocationID=None, trip_distance=np.nan)
    assert estimator.expected_errors(odd).between(0.0, 100.0).all()


def test_a_row_without_a_prediction_has_no_expected_error(estimator: PerformanceEstimator) -> None:
    window = make_trips(40)
    window.loc[:9, "prediction"] = np.nan
    expected = estimator.expected_errors(window)
    assert expected.index[expected.isna()].tolist() == list(range(10))


def test_an_empty_window_has_no_estimate(estimator: PerformanceEstimator) -> None:
    assert estimator.measures(estimator.expected_errors(make_trips(0))) == {}


@pytest.mark.parametrize("known", [0, 1])
def test_a_feature_that_the_reference_hardly_knows_stops_nothing(trips: Reference, known: int) -> None:
    distance = trips.frame["trip_distance"].where(trips.frame.index < known)
    bare = Reference.prepare(trips.manifest, trips.frame.assign(trip_distance=distance, DOLocationID=None))
    estimator = PerformanceEstimator.fit(bare)
    assert estimator.expected_errors(make_trips(50)).gt(0.0).all()


class Memory:
    """A model that says 1 of rows it was trained on and -1 of others."""

    def fit(self, inputs: NDArray[np.float64], _: NDArray[np.float64]) -> "Memory":
        self.seen = inputs
        return self

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(np.isin(inputs[:, 0], self.seen[:, 0]), 1.0, -1.0)


def test_what_is_expected_of_the_reference_comes_from_models_that_had_not_seen_the_row() -> None:
    inputs = np.arange(100.0).reshape(-1, 1)
    recipe = Recipe(inputs=lambda frame: frame.to_numpy(), new_model=Memory)
    assert recipe.cross_validated(inputs, np.zeros(100), seed=0).max() == 0.0


def test_no_row_has_an_expected_error_below_zero(estimator: PerformanceEstimator) -> None:
    stranger = Memory().fit(np.array([[-1.0]]), np.zeros(1))
    assert replace(estimator, model=stranger).expected_errors(make_trips(50)).eq(0.0).all()


@dataclass
class ThreadCounter:
    """A model that notes how many OpenMP threads it may use."""

    threads: set[int] = field(default_factory=set)

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        self.threads |= {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}
        return np.zeros(len(inputs))


def test_one_thread_is_used_and_the_callers_setting_comes_back(estimator: PerformanceEstimator) -> None:
    inside, outside = ThreadCounter(), ThreadCounter()
    with threadpool_limits(2, user_api="openmp"):
        replace(estimator, model=inside).expected_errors(make_trips(50))
        outside.predict(np.zeros((1, 1)))
    assert inside.threads == {1}
    assert outside.threads == {2}


def test_a_model_without_error_is_expected_to_have_none(trips: Reference) -> None:
    perfect = Reference.prepare(trips.manifest, trips.frame.assign(target=trips.frame["prediction"]))
    estimator = PerformanceEstimator.fit(perfect)
    assert estimator.measures(estimator.expected_errors(make_trips(100))) == {"estimated_mae": pytest.approx(0.0)}


def test_too_few_labelled_rows_are_refused_with_their_number(trips: Reference) -> None:
    few = Reference.prepare(
        trips.manifest, trips.frame.assign(target=trips.frame["target"].where(trips.frame.index < 150))
    )
    with pytest.raises(ValueError, match="holds 150 labelled rows, fewer than 200"):
        PerformanceEstimator.fit(few)


def test_a_classifier_without_probabilities_is_refused(flowers: Reference) -> None:
    bare = Reference.prepare(flowers.manifest, make_flowers(500))
    with pytest.raises(ValueError, match="holds 0 labelled rows with probabilities"):
        PerformanceEstimator.fit(bare)


@pytest.mark.parametrize("share", [np.inf, "high", None])
def test_a_confidence_that_is_no_number_tells_nothing(
    flower_estimator: PerformanceEstimator, share: float | str | None
) -> None:
    window = with_confidence(make_flowers(60, seed=9), seed=10).assign(probability_setosa=share)
    expected = flower_estimator.expected_errors(window)
    assert expected.isna().equals(window["prediction"] == "setosa")


def test_a_reference_of_one_class_that_is_always_right_expects_no_error(flowers: Reference) -> None:
    setosa = flowers.frame.assign(prediction="setosa", target="setosa", probability_setosa=0.9)
    estimator = PerformanceEstimator.fit(Reference.prepare(flowers.manifest, setosa))
    window = with_confidence(make_flowers(100, seed=9), seed=10)
    assert estimator.measures(estimator.expected_errors(window)) == {"estimated_accuracy": 1.0}


def test_a_few_rows_have_no_estimate(estimator: PerformanceEstimator) -> None:
    assert estimator.measures(estimator.expected_errors(make_trips(29))) == {}


def test_a_reference_of_constant_features_gives_the_mean_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    schema = FeatureSchema(features=(Feature(name="x", kind="numerical"), Feature(name="c", kind="categorical")))
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"x": 1.0, "c": "only", "prediction": 5.0, "target": random.normal(5.0, 2.0, 400)})
    folder = tmp_path_factory.mktemp("models")
    bundle = publish_bundle(folder, rows, schema, name="flat", version="v1", task="regression")
    estimator = PerformanceEstimator.fit(Reference.prepare(bundle.manifest, bundle.reference()))
    assert estimator.measures(estimator.expected_errors(rows))["estimated_mae"] == pytest.approx(mae(rows))


def test_where_rows_lie_outside_of_what_the_estimator_has_seen_concept_drift_is_not_judged() -> None:
    """Errors that grow with a feature were called concept drift when only the feature had moved."""

    def rows(count: int, shift: float, seed: int) -> pd.DataFrame:
        random = np.random.default_rng((3, seed))
        size = random.normal(shift, 1.0, count)
        errors = random.normal(0.0, 1.0, count) * np.exp(1.5 * size)
        return pd.DataFrame({"size": size, "prediction": size, "target": size + errors})

    schema = FeatureSchema(features=(Feature(name="size", kind="numerical"),))
    reference = Reference.prepare(make_manifest(schema), rows(5_000, 0.0, 0))
    estimator = PerformanceEstimator.fit(reference)
    for shift in (1.0, 2.0):
        for seed in (1, 2, 3):
            window = reference.conform(rows(1_000, shift, seed))
            found = evaluate(reference, window, Calibration(0.01, {}, {}), estimator=estimator)
            concept, estimated = found.verdict("concept_drift"), found.verdict("estimated_degradation")
            assert concept is not None
            assert concept.detected is None
            assert concept.reason.startswith("outside of what the estimator has seen: size lies beyond")
            assert estimated is not None
            assert estimated.detected  # too low an estimate, and still far above the reference's
    at_home = reference.conform(rows(1_000, 0.0, 9))
    found = evaluate(reference, at_home, Calibration(0.01, {}, {}), estimator=estimator)
    assert [found.verdict(name).detected for name in ("concept_drift", "estimated_degradation")] == [False, False]
