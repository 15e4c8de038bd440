"""Windows that real life brings: each has a defined outcome, and page, JSON and metrics go on telling the rest."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sextant.contracts.events import Prediction
from sextant.evaluation.drift.calibration import calibrate, calibrate_segments
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.infrastructure.settings import load_settings
from tests.bundles import make_flowers, make_trips, publish_flowers, publish_trips
from tests.events import body_of, predictions_from, targets_from
from tests.monitoring_harness import FakeStore, Harness

pytestmark = pytest.mark.usefixtures("few_resamples")

ROWS = 150
COLUMNS = {"PULocationID", "DOLocationID", "trip_distance", "prediction", "target"}


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the calibrator finds out about the trips' reference."""
    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=600)
    reference = Reference.prepare(bundle.manifest, bundle.reference())
    parts = {name: part.values for name, part in reference.segments.items()}
    return {
        "calibration": calibrate(reference.values, reference.columns, false_alarm_rate=0.001),
        "segment_calibration": calibrate_segments(parts, reference.columns, false_alarm_rate=0.001),
        "estimator": PerformanceEstimator.fit(reference),
    }


@pytest.fixture
def judged(tmp_path: Path, learned: dict[str, Any]) -> Callable[[pd.DataFrame], dict[str, Any]]:
    """Posts rows to a service, strikes its beats, and gives the drift JSON once all views were looked at."""
    publish_trips(tmp_path / "models", rows=600)

    def judge(rows: pd.DataFrame) -> dict[str, Any]:
        harness = Harness(load_settings(data_dir=tmp_path, window_size=500, window_min_rows=1), FakeStore())
        harness.learn(**learned)
        predictions = predictions_from(rows.astype(object).where(rows.notna(), None))
        labelled = rows["target"].notna().to_numpy()
        targets = [t for t, known in zip(targets_from(rows, predictions), labelled, strict=True) if known]
        harness.post(body_of(predictions, targets))
        return looked_at(harness)

    return judge


def looked_at(harness: Harness) -> dict[str, Any]:
    harness.evaluator.run()
    harness.together.run()
    assert harness.client.get("/").status_code == 200
    values = [
        sample.value
        for family in text_string_to_metric_families(harness.client.get("/metrics").text)
        for sample in family.samples
    ]
    assert all(map(math.isfinite, values))
    return harness.drift()


def scores(found: dict[str, Any]) -> dict[str, float]:
    return {v["column"]: v["value"] for v in found["verdicts"] if v["name"] == "drift" and v["value"] is not None}


def drifted(found: dict[str, Any]) -> list[str]:
    return [
        verdict["column"] for verdict in found["verdicts"] if verdict["name"] == "drift" and verdict["detected"]
    ]


def test_an_empty_window_has_no_verdict_and_says_why(tmp_path: Path, learned: dict[str, Any]) -> None:
    publish_trips(tmp_path / "models", rows=600)
    found = looked_at(Harness(load_settings(data_dir=tmp_path), FakeStore()))
    assert found["dataset_drift"] is None
    assert "0 of the 200 rows" in found["status"]


def test_one_row_names_a_reason_for_every_column(judged: Any) -> None:
    found = judged(make_trips(1))
    assert set(found["errors"]) == COLUMNS - {"target"}
    assert found["dataset_drift"] is None
    assert found["multivariate_evaluated_at"] is None
    assert "multivariate_drift" not in {verdict["name"] for verdict in found["verdicts"]}
    columns = [verdict for verdict in found["verdicts"] if verdict["name"] == "drift"]
    assert {verdict["column"]: verdict["reason"] for verdict in columns} == found["errors"]


def test_a_column_that_is_all_missing_leaves_the_others_judged(judged: Any) -> None:
    found = judged(make_trips(ROWS).assign(DOLocationID=None))
    assert list(found["errors"]) == ["DOLocationID"]
    assert set(scores(found)) == COLUMNS - {"DOLocationID"}
    assert found["quality"]["DOLocationID"]["missing_ratio"] == 1.0


def test_a_column_that_became_constant_has_drifted(judged: Any) -> None:
    found = judged(make_trips(ROWS).assign(trip_distance=2.0))
    assert drifted(found) == ["trip_distance"]
    assert found["errors"] == {}


def test_labels_that_are_all_equal_leave_only_r2_unknown(judged: Any) -> None:
    found = judged(make_trips(ROWS).assign(target=5.0))
    assert set(found["measures"][""]) == {"mae", "rmse", "mean_error", "estimated_mae"}
    assert list(found["undefined"]) == ["r2"]


def test_ten_thousand_categories_are_unseen_and_drift(judged: Any) -> None:
    rows = make_trips(500)
    rows["PULocationID"] = [f"zone {number}" for number in np.random.default_rng(1).integers(0, 10_000, 500)]
    found = judged(rows)
    assert "PULocationID" in drifted(found)
    assert found["quality"]["PULocationID"]["unseen_category_ratio"] == 1.0


def test_a_reference_of_ten_thousand_categories_is_calibrated_and_compared(tmp_path: Path) -> None:
    trips = make_trips(10_000, seed=1).assign(PULocationID=[f"zone {number}" for number in range(10_000)])
    bundle = publish_trips(tmp_path / "models", rows=600)
    reference = Reference.prepare(bundle.manifest, trips)
    column = next(c for c in reference.columns if c.name == "PULocationID")
    thresholds = calibrate(reference.values, [column], false_alarm_rate=0.01).columns["PULocationID"]
    unseen = pd.Series([f"new {number}" for number in range(500)])
    for rows in (30, 500, 5_000, 50_000):
        assert reference.whole.scorers["PULocationID"].score(unseen) <= thresholds.at(rows)  # ids say nothing


def test_infinite_and_nested_values_in_the_context_are_kept_and_judged(
    tmp_path: Path, learned: dict[str, Any]
) -> None:
    publish_trips(tmp_path / "models", rows=600)
    made = predictions_from(make_trips(ROWS))
    odd: list[Any] = [float("inf"), float("nan"), {"nested": [1]}, None, "never seen"]
    stored: list[Prediction] = [
        replace(prediction, context={"payment_type": odd[number % len(odd)]})
        for number, prediction in enumerate(made)
    ]
    harness = Harness(load_settings(data_dir=tmp_path, window_min_rows=50), FakeStore(stored))
    harness.learn(**learned)
    harness.service.refill.run()
    found = looked_at(harness)
    assert {name: rows["rows"] for name, rows in found["segments"].items()} == {"payment_type=other": ROWS}
    assert found["dataset_drift"] is False


def test_a_clock_that_runs_backwards_changes_the_order_and_nothing_else(judged: Any, tmp_path: Path) -> None:
    rows = make_trips(ROWS)
    forwards, backwards = judged(rows), judged(rows[::-1])
    assert set(scores(forwards)) == COLUMNS
    assert scores(forwards) == pytest.approx(scores(backwards))


def test_a_single_class_still_has_an_accuracy(tmp_path: Path) -> None:
    publish_flowers(tmp_path / "models", rows=600)
    harness = Harness(load_settings(data_dir=tmp_path, window_min_rows=30), FakeStore())
    rows = make_flowers(300, seed=3)
    rows = rows[rows["target"] == "setosa"].assign(prediction="setosa")
    predictions = predictions_from(rows, model="iris")
    with_shares = [
        replace(made, probabilities={"setosa": 0.8, "versicolor": 0.1, "virginica": 0.1}) for made in predictions
    ]
    harness.post(body_of(with_shares, targets_from(rows, predictions)))
    harness.evaluator.run()
    found = harness.drift("iris")
    assert found["measures"][""]["accuracy"] == 1.0
    assert found["measures"][""]["log_loss"] == pytest.approx(-math.log(0.8))
    assert "one class" in found["undefined"]["roc_auc"]


def test_events_of_an_unknown_model_are_refused_alone(tmp_path: Path) -> None:
    publish_trips(tmp_path / "models", rows=600)
    harness = Harness(load_settings(data_dir=tmp_path), FakeStore())
    rows = make_trips(2)
    answer = harness.post(
        body_of([*predictions_from(rows), *predictions_from(rows, model="unheard_of", prefix="x")])
    )
    assert answer["accepted"] == 2
    assert [rejected["reason"] for rejected in answer["rejected"]] == ["unknown model 'unheard_of'"] * 2
