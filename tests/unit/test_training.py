"""Training, the comparison with ONNX, and the fingerprint, on small made-up months and on iris."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from sextant.training.export import OnnxDiffers, OnnxModel, Predictions, pipeline_input, require_agreement
from sextant.training.fit import TrainedModel, fingerprint, train
from sextant.training.split import Split, clean, split
from sextant.use_cases.iris import USE_CASE as IRIS
from sextant.use_cases.iris import resampled
from sextant.use_cases.synthetic_trips import synthetic_month
from sextant.use_cases.taxi import USE_CASE as TAXI
from sextant.use_cases.use_case import Examples


@cache
def taxi_rows() -> Examples:
    return clean(TAXI.to_examples(synthetic_month("2021-01", rows=4_000)), TAXI.limits)


@cache
def taxi() -> tuple[Split, TrainedModel]:
    return split(taxi_rows()), train(TAXI, split(taxi_rows()), seed=0)


@cache
def iris() -> tuple[Split, TrainedModel]:
    parts = split(clean(IRIS.to_examples(resampled("bundled")), IRIS.limits))
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


def test_numbers_reach_a_pipeline_with_the_precision_of_onnx() -> None:
    _, model = taxi()
    rows = pipeline_input(
        model.schema, pd.DataFrame({"PULocationID": [None], "DOLocationID": ["7"], "trip_distance": [0.1]})
    )
    assert rows["trip_distance"].tolist() == [float(np.float32(0.1))]
    assert rows["PULocationID"].tolist() == [""]
