import numpy as np
import pandas as pd
import pytest

from contracts.schema import Feature, FeatureSchema
from evaluation.estimation import PerformanceEstimator
from evaluation.reference import Reference
from tests.bundles import make_flowers, make_trips, publish_bundle, publish_flowers, publish_trips


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Trips whose error grows with their distance, so that there is something to estimate."""
    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=3_000)
    return Reference.prepare(bundle.manifest, uneven(bundle.reference(), seed=101))


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = publish_flowers(tmp_path_factory.mktemp("models"))
    return Reference.prepare(bundle.manifest, with_confidence(bundle.reference(), seed=1))


def uneven(rows: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    noise = np.random.default_rng(seed).normal(0.0, 1.0, len(rows)) * (0.5 + rows["trip_distance"])
    return rows.assign(target=rows["prediction"] + noise)


def with_confidence(rows: pd.DataFrame, *, seed: int, sure: float = 0.5) -> pd.DataFrame:
    """Overconfident answers: the chance of being right is only half of what the probability says above a third."""
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


def test_the_error_of_rows_like_those_of_the_reference_is_estimated(trips: Reference) -> None:
    window = uneven(make_trips(2_000, seed=7), seed=8)
    estimator = PerformanceEstimator.fit(trips)
    estimated = estimator.measures(estimator.expected_errors(window))["estimated_mae"]
    assert estimated == pytest.approx(mae(window), rel=0.1)


def test_a_shift_to_rows_that_the_model_is_worse_at_shows_before_any_target(trips: Reference) -> None:
    window = uneven(make_trips(2_000, seed=7, distance_factor=2.0), seed=8)
    estimator = PerformanceEstimator.fit(trips)
    unlabelled = window.assign(target=np.nan)
    estimated = estimator.measures(estimator.expected_errors(unlabelled))["estimated_mae"]
    reference = estimator.reference_measures[""]["estimated_mae"]
    assert mae(window) > 1.5 * reference
    assert estimated > 1.4 * reference


def test_concept_drift_is_what_it_cannot_see(trips: Reference) -> None:
    window = make_trips(1_000, seed=7)
    worse = window.assign(target=window["prediction"] + 50)
    estimator = PerformanceEstimator.fit(trips)
    before, after = (estimator.measures(estimator.expected_errors(rows)) for rows in (window, worse))
    assert before == after


def test_the_references_own_estimate_is_unbiased_and_told_by_segment(trips: Reference) -> None:
    measures = PerformanceEstimator.fit(trips).reference_measures
    assert measures[""]["estimated_mae"] == pytest.approx(mae(trips.frame), rel=0.03)
    of_segment = trips.frame[trips.frame["payment_type"] == "1"]
    assert measures["payment_type=1"]["estimated_mae"] == pytest.approx(mae(of_segment), rel=0.1)


def test_overconfident_probabilities_are_calibrated_before_they_count(flowers: Reference) -> None:
    estimator = PerformanceEstimator.fit(flowers)
    for sure in (0.1, 0.9):
        window = with_confidence(make_flowers(3_000, seed=9), seed=10, sure=sure)
        realised = (window["prediction"] == window["target"]).mean()
        estimated = estimator.measures(estimator.expected_errors(window.assign(target=None)))
        assert estimated["estimated_accuracy"] == pytest.approx(realised, abs=0.04)


def test_rows_without_probabilities_are_left_out_and_a_window_of_them_has_no_estimate(flowers: Reference) -> None:
    estimator = PerformanceEstimator.fit(flowers)
    window = with_confidence(make_flowers(200, seed=9), seed=10)
    window.loc[:99, "probability_setosa"] = np.nan
    window.loc[:99, "prediction"] = "setosa"
    expected = estimator.expected_errors(window)
    assert expected.isna().sum() == 100
    assert "estimated_accuracy" in estimator.measures(expected)
    bare = estimator.expected_errors(make_flowers(200, seed=9))
    assert estimator.measures(bare) == {}


def test_two_fits_agree_to_the_last_digit(trips: Reference) -> None:
    window = make_trips(500, seed=3)
    first, second = (PerformanceEstimator.fit(trips).expected_errors(window) for _ in range(2))
    assert first.equals(second)


def test_odd_rows_have_an_expected_error_too(trips: Reference) -> None:
    estimator = PerformanceEstimator.fit(trips)
    odd = make_trips(50).assign(PULocationID="never seen", DOLocationID=None, trip_distance=np.nan)
    assert estimator.expected_errors(odd).between(0.0, 100.0).all()


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


def test_a_few_rows_have_no_estimate(trips: Reference) -> None:
    estimator = PerformanceEstimator.fit(trips)
    assert estimator.measures(estimator.expected_errors(make_trips(29))) == {}


def test_a_reference_of_constant_features_gives_the_mean_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    schema = FeatureSchema(features=(Feature(name="x", kind="numerical"), Feature(name="c", kind="categorical")))
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"x": 1.0, "c": "only", "prediction": 5.0, "target": random.normal(5.0, 2.0, 400)})
    folder = tmp_path_factory.mktemp("models")
    bundle = publish_bundle(folder, rows, schema, name="flat", version="v1", task="regression")
    estimator = PerformanceEstimator.fit(Reference.prepare(bundle.manifest, bundle.reference()))
    assert estimator.measures(estimator.expected_errors(rows))["estimated_mae"] == pytest.approx(mae(rows))
