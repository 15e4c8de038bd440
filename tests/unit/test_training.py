"""Training, the comparison with ONNX, and the fingerprint, on small made-up months and on iris."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sextant.contracts.schema import Feature
from sextant.training.cross_fit import cross_fitted
from sextant.training.export import OnnxDiffers, OnnxModel, Predictions, pipeline_input, require_agreement
from sextant.training.fit import TrainedModel, fingerprint, train
from sextant.training.split import Split, clean, split
from sextant.use_cases.iris import USE_CASE as IRIS
from sextant.use_cases.iris import resampled
from sextant.use_cases.synthetic_trips import synthetic_month
from sextant.use_cases.taxi import USE_CASE as TAXI
from sextant.use_cases.use_case import Examples


def one_day_at_a_time(_: int) -> Any:
    """Learns each day's own value by heart, and knows nothing of any other day."""
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    return make_pipeline(OneHotEncoder(handle_unknown="ignore"), LinearRegression())


DAY_READER = replace(
    TAXI, features=(Feature(name="day", kind="categorical"),), make_pipeline=one_day_at_a_time, time=None
)


@cache
def taxi_rows() -> Examples:
    return clean(TAXI.to_examples(synthetic_month("2021-01", rows=2_500)), TAXI.limits)


@cache
def taxi() -> tuple[Split, TrainedModel]:
    return split(taxi_rows(), TAXI.time), train(TAXI, split(taxi_rows(), TAXI.time), seed=0)


@cache
def iris() -> tuple[Split, TrainedModel]:
    parts = split(clean(IRIS.to_examples(resampled("bundled")), IRIS.limits), None)
    return parts, train(IRIS, parts, seed=0)


def test_the_taxi_model_is_much_better_than_the_median() -> None:
    _, model = taxi()
    assert model.metrics["mae"] < 0.7 * model.baseline["mae"]
    assert set(model.metrics) == {"mae", "rmse", "r2"}


def test_the_iris_model_tells_the_species_apart() -> None:
    _, model = iris()
    assert model.metrics["accuracy"] > 0.9 > model.baseline["accuracy"]
    assert set(model.metrics) == {"accuracy", "precision", "recall", "f1", "roc_auc"}
    assert model.classes == ("setosa", "versicolor", "virginica")


def test_onnx_answers_as_the_prediction_service_asks() -> None:
    _, model = taxi()
    import onnxruntime

    session = onnxruntime.InferenceSession(model.onnx, providers=["CPUExecutionProvider"])
    rows = {
        "PULocationID": np.array([["74"], ["never seen"]], dtype=object),
        "DOLocationID": np.array([["75"], [""]], dtype=object),
        "trip_distance": np.array([[2.5], [1e6]], dtype=np.float32),
    }
    (minutes,) = session.run(None, rows)
    assert minutes.shape == (2, 1)
    assert np.isfinite(minutes).all()


def test_onnx_gives_labels_and_probabilities_in_the_order_of_the_classes() -> None:
    parts, model = iris()
    predictions = OnnxModel(model.onnx, model.schema, "classification").predict(parts.holdout.features)
    assert predictions.probabilities is not None
    assert model.classes is not None
    assert predictions.probabilities.shape == (len(parts.holdout), 3)
    best = predictions.probabilities.argmax(axis=1)
    assert [model.classes[position] for position in best] == predictions.values.tolist()


def test_onnx_follows_scikit_learn_on_rows_that_were_never_compared() -> None:
    parts, model = taxi()
    theirs = model.pipeline.predict(pipeline_input(model.schema, parts.holdout.features))
    ours = OnnxModel(model.onnx, model.schema, "regression").predict(parts.holdout.features).values
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_the_same_rows_and_seed_give_the_same_model_byte_for_byte() -> None:
    parts, model = taxi()
    again = train(TAXI, parts, seed=0)
    assert again.onnx == model.onnx
    assert train(TAXI, parts, seed=1).onnx != model.onnx


@pytest.mark.parametrize("wrong", [10.01, 9.99, np.nan, np.inf])
def test_a_regression_that_differs_is_refused(wrong: float) -> None:
    right = Predictions(np.array([1.0, 10.0]), None)
    require_agreement(right, right)
    with pytest.raises(OnnxDiffers, match="nothing was published"):
        require_agreement(Predictions(np.array([1.0, wrong]), None), right)


def test_other_classes_or_probabilities_are_refused() -> None:
    right = Predictions(np.array(["a"]), np.array([[0.6, 0.4]]))
    require_agreement(right, right)
    for wrong in (
        Predictions(np.array(["b"]), np.array([[0.6, 0.4]])),
        Predictions(np.array(["a"]), np.array([[0.59, 0.41]])),
    ):
        with pytest.raises(OnnxDiffers):
            require_agreement(wrong, right)


def test_the_fingerprint_changes_with_the_rows_the_seed_and_the_pipeline_only() -> None:
    rows = taxi_rows()
    first = fingerprint(TAXI, rows, 0)
    assert fingerprint(TAXI, rows.take(np.arange(len(rows))), 0) == first
    another_pipeline = replace(
        TAXI, make_pipeline=lambda seed: TAXI.make_pipeline(seed).set_params(trees__max_depth=4)
    )
    others = {
        fingerprint(TAXI, rows, 1),
        fingerprint(TAXI, rows.take(np.arange(len(rows) - 1)), 0),
        fingerprint(TAXI, Examples(rows.features, rows.target + 1, rows.context), 0),
        fingerprint(another_pipeline, rows, 0),
    }
    assert len(others | {first}) == 5


def test_the_fingerprint_changes_with_the_times_of_the_rows_and_with_their_column() -> None:
    rows = taxi_rows()
    times = rows.context["lpep_pickup_datetime"]
    later = Examples(
        rows.features, rows.target, rows.context.assign(lpep_pickup_datetime=times.iloc[::-1].to_numpy())
    )
    others = {fingerprint(TAXI, later, 0), fingerprint(replace(TAXI, time=None), rows, 0)}
    assert len(others | {fingerprint(TAXI, rows, 0)}) == 3


def test_each_row_is_predicted_by_a_pipeline_that_has_not_seen_its_day() -> None:
    """Targets that only their own day could teach: a pipeline that saw it would be right."""
    days = np.repeat(np.arange(6), 100)
    features = pd.DataFrame({"day": pd.Series(days.astype(str), dtype=object)})
    rows = Examples(features, pd.Series(days * 10.0), pd.DataFrame(index=features.index))
    predicted = cross_fitted(DAY_READER, DAY_READER.limits, rows, days % 4, classes=None, seed=0).values
    assert (np.abs(predicted - rows.target) > 1).all()


def test_a_class_that_a_fold_never_saw_has_no_probability_there() -> None:
    parts, model = iris()
    assert model.classes is not None
    species = parts.training.target.to_numpy()
    folds = np.where(species == "setosa", 0, np.arange(len(species)) % 2 + 1)
    found = cross_fitted(IRIS, model.schema, parts.training, folds, classes=model.classes, seed=0)
    assert found.probabilities is not None
    assert (found.probabilities[species == "setosa", model.classes.index("setosa")] == 0).all()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert "setosa" not in found.values[species == "setosa"]


def test_errors_without_having_seen_the_day_are_like_those_on_later_days() -> None:
    _, model = taxi()
    assert model.metrics["mae"] == pytest.approx(model.holdout_metrics["mae"], rel=0.2)


def test_numbers_reach_a_pipeline_with_the_precision_of_onnx() -> None:
    _, model = taxi()
    rows = pipeline_input(
        model.schema, pd.DataFrame({"PULocationID": [None], "DOLocationID": ["7"], "trip_distance": [0.1]})
    )
    assert rows["trip_distance"].tolist() == [float(np.float32(0.1))]
    assert rows["PULocationID"].tolist() == [""]
