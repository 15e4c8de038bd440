from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sextant.contracts.schema import Feature, FeatureSchema
from sextant.evaluation.drift.calibration import Calibration, calibrate
from sextant.evaluation.drift.scorers import scorer_of
from sextant.evaluation.evaluate import Evaluation, evaluate
from sextant.evaluation.performance.measures import measure_performance
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import NOT_CALIBRATED, Verdict
from tests.bundles import evaluated, make_flowers, make_manifest, make_trips, publish_flowers, publish_trips

pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=3_000)
    return Reference.prepare(bundle.manifest, bundle.reference())


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = publish_flowers(tmp_path_factory.mktemp("models"))
    return Reference.prepare(bundle.manifest, bundle.reference())


@pytest.fixture(scope="module")
def thresholds(trips: Reference) -> Calibration:
    return calibrate(trips.values, trips.columns, false_alarm_rate=0.001)


def scored(evaluation: Evaluation) -> dict[str, Verdict]:
    """The columns that have a score, with their verdicts."""
    return {verdict.column: verdict for verdict in evaluation.of("drift") if verdict.value is not None}


def test_an_undrifted_window_raises_no_alarm(trips: Reference, thresholds: Calibration) -> None:
    evaluation = evaluated(trips, make_trips(500, seed=21), thresholds)
    assert evaluation.dataset_drift is False
    assert evaluation.drifted_ratio == 0.0
    assert evaluation.errors == {}


def test_a_shifted_feature_is_named_and_takes_the_prediction_along(
    trips: Reference, thresholds: Calibration
) -> None:
    evaluation = evaluated(trips, make_trips(500, seed=21, distance_factor=1.5), thresholds)
    assert evaluation.dataset_drift is True
    assert set(evaluation.drifted_columns) == {"trip_distance", "prediction", "target"}
    assert evaluation.drifted_ratio == 0.6


def test_what_drifted_is_told_with_the_furthest_first(trips: Reference, thresholds: Calibration) -> None:
    window = make_trips(500, seed=21, distance_factor=1.5).assign(DOLocationID="7")
    evaluation = evaluated(trips, window, thresholds)
    shares = [scored(evaluation)[name].threshold_ratio for name in evaluation.drifted_columns]
    assert evaluation.drifted_columns[0] == "DOLocationID"
    assert shares == sorted(shares, reverse=True)


def test_the_target_is_watched_as_soon_as_there_are_labels_enough(
    trips: Reference, thresholds: Calibration
) -> None:
    window = make_trips(500, seed=21)
    window["target"] *= 2
    assert evaluated(trips, window, thresholds).drifted_columns == ["target"]
    unlabelled = evaluated(trips, window.assign(target=np.nan), thresholds)
    assert unlabelled.dataset_drift is False
    assert unlabelled.errors == {}


def test_a_reference_without_targets_judges_all_other_columns(trips: Reference) -> None:
    blind = Reference.prepare(trips.manifest, trips.frame.assign(target=np.nan))
    evaluation = evaluated(blind, make_trips(500, seed=21))
    assert set(scored(evaluation)) == {"PULocationID", "DOLocationID", "trip_distance", "prediction"}
    assert evaluation.verdict("drift", column="target") is None
    assert evaluation.errors == {}
    assert evaluation.of("performance_degradation") == [
        Verdict("performance_degradation", reason="the reference has fewer than 30 labelled rows")
    ]


def test_a_single_shifted_column_is_data_set_drift(trips: Reference, thresholds: Calibration) -> None:
    window = make_trips(500, seed=21).assign(DOLocationID="7")
    evaluation = evaluated(trips, window, thresholds)
    assert evaluation.drifted_columns == ["DOLocationID"]
    assert evaluation.dataset_drift is True


def test_without_calibration_there_are_scores_but_no_verdict(trips: Reference) -> None:
    evaluation = evaluated(trips, make_trips(500, seed=21, distance_factor=3))
    assert not evaluation.calibrated
    assert evaluation.dataset_drift is None
    assert evaluation.drifted_ratio is None
    assert len(scored(evaluation)) == 5
    assert {(column.detected, column.reason) for column in evaluation.of("drift")} == {(None, NOT_CALIBRATED)}


@pytest.mark.parametrize(
    ("values", "reason"), [(None, "only 0 values"), ("a category each", None), ("one category", None)]
)
def test_an_odd_column_never_stops_the_others(
    trips: Reference, thresholds: Calibration, values: str | None, reason: str | None
) -> None:
    window = make_trips(500, seed=21)
    window["PULocationID"] = [f"{n}-{values}" for n in window.index] if values == "a category each" else values
    evaluation = evaluated(trips, window, thresholds)
    assert set(scored(evaluation)) >= {"DOLocationID", "trip_distance", "prediction"}
    if reason:
        assert reason in evaluation.errors["PULocationID"]
        assert evaluation.verdict("drift", column="PULocationID") == Verdict(
            "drift", column="PULocationID", reason=evaluation.errors["PULocationID"]
        )
        assert evaluation.dataset_drift is False
    else:
        assert evaluation.drifted_columns == ["PULocationID"]


def test_one_row_gives_reasons_instead_of_scores(trips: Reference, thresholds: Calibration) -> None:
    evaluation = evaluated(trips, make_trips(1), thresholds)
    assert scored(evaluation) == {}
    assert set(evaluation.errors) == {"PULocationID", "DOLocationID", "trip_distance", "prediction"}
    assert evaluation.dataset_drift is None


def test_values_far_out_of_range_are_drift_but_do_not_blow_up_the_score(
    trips: Reference, thresholds: Calibration
) -> None:
    near, far = make_trips(500, seed=21), make_trips(500, seed=21)
    near.loc[:200, "trip_distance"] = 101.0
    far.loc[:200, "trip_distance"] = 1e12
    scores = [scored(evaluated(trips, window, thresholds))["trip_distance"] for window in (near, far)]
    assert scores[0].detected
    assert scores[0].value == scores[1].value is not None
    assert scores[0].value < 10


def test_a_few_absurd_values_do_not_hide_a_shift_in_the_reference() -> None:
    reference = pd.Series(np.random.default_rng(0).lognormal(0.8, 0.7, 5_000))
    spoiled = reference.copy()
    spoiled[:3] = 1e6
    column = Feature(name="x", kind="numerical")
    assert scorer_of(column, spoiled).score(reference * 1.5) == pytest.approx(
        scorer_of(column, reference).score(reference * 1.5), rel=0.05
    )


def test_the_reference_leaves_out_what_is_outside_of_the_known_range(trips: Reference) -> None:
    rows = make_trips(100)
    rows.loc[:9, "trip_distance"] = 500.0
    assert len(Reference.prepare(trips.manifest, rows).values["trip_distance"]) == 90


def test_regression_measures_are_those_of_the_labelled_rows(trips: Reference) -> None:
    rows = make_trips(400, seed=4)
    rows.loc[200:, "target"] = np.nan
    evaluation = evaluated(trips, rows)
    error = rows["prediction"][:200] - rows["target"][:200]
    assert evaluation.labelled_rows == 200
    assert evaluation.label_coverage == 0.5
    assert evaluation.measures[""]["mae"] == pytest.approx(error.abs().mean())
    assert evaluation.measures[""]["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert evaluation.measures[""]["mean_error"] == pytest.approx(error.mean())
    assert evaluation.reference_measures[""] == trips.performance.measures


def test_performance_degradation_is_the_growth_of_the_error(trips: Reference) -> None:
    rows = make_trips(400, seed=4)
    worse = rows.assign(target=rows["prediction"] + 2 * trips.performance.measures["mae"])
    found = evaluated(trips, worse).verdict("performance_degradation")
    assert found is not None
    assert found.value == pytest.approx(1.0)


def test_too_few_labels_give_no_performance(trips: Reference) -> None:
    rows = make_trips(400, seed=4)
    rows.loc[10:, "target"] = np.nan
    evaluation = evaluated(trips, rows)
    assert evaluation.measures[""] == {}
    assert evaluation.of("performance_degradation") == [
        Verdict("performance_degradation", reason="10 rows to tell by, fewer than 30")
    ]


def test_classification_measures_judge_the_classes_that_were_answered(flowers: Reference) -> None:
    rows = make_flowers(400, seed=5)
    measures = evaluated(flowers, rows).measures[""]
    assert measures["accuracy"] == pytest.approx((rows["prediction"] == rows["target"]).mean())
    assert set(measures) == {"accuracy", "precision", "recall", "f1"}


def test_probabilities_add_the_area_under_the_curve_and_leave_accuracy_alone(flowers: Reference) -> None:
    rows = make_flowers(400, seed=5)
    for name in flowers.manifest.classes or ():
        rows[f"probability_{name}"] = np.where(rows["target"] == name, 0.8, 0.1)
    measures = evaluated(flowers, rows).measures[""]
    assert measures["roc_auc"] == pytest.approx(1.0)
    assert measures["log_loss"] == pytest.approx(-np.log(0.8))
    assert measures["accuracy"] == pytest.approx((rows["prediction"] == rows["target"]).mean())


def test_a_window_with_a_single_class_still_has_an_accuracy(flowers: Reference) -> None:
    rows = make_flowers(400, seed=5)
    rows = rows[rows["target"] == "setosa"].assign(prediction="setosa")
    for name in flowers.manifest.classes or ():
        rows[f"probability_{name}"] = 0.5
    evaluation = evaluated(flowers, rows)
    assert evaluation.measures[""]["accuracy"] == 1.0
    assert "one class" in evaluation.undefined["roc_auc"]


def test_targets_that_are_all_equal_leave_only_r2_unknown(trips: Reference) -> None:
    evaluation = evaluated(trips, make_trips(100).assign(target=5.0))
    assert set(evaluation.measures[""]) == {"mae", "rmse", "mean_error"}
    assert list(evaluation.undefined) == ["r2"]


def test_a_class_may_be_called_target() -> None:
    schema = FeatureSchema(features=(Feature(name="x", kind="numerical"),))
    manifest = make_manifest(schema, task="classification", classes=("target", "prediction"))
    rows = pd.DataFrame({"x": 1.0, "prediction": ["target", "prediction"] * 20, "target": "target"})
    assert measure_performance(rows, manifest).measures["accuracy"] == 0.5


def test_the_package_knows_no_service_and_no_store() -> None:
    sources = "".join(path.read_text() for path in Path("sextant/evaluation").rglob("*.py"))
    for forbidden in ("monitoring_service", "batch_flows", "pymongo", "event_store", "datetime.now", "time.time"):
        assert forbidden not in sources


def test_drift_below_the_smallest_effect_of_interest_is_shown_and_not_detected(
    trips: Reference, thresholds: Calibration
) -> None:
    def judged(smallest: float | None) -> Verdict | None:
        features = tuple(
            feature.model_copy(update={"smallest_effect": smallest})
            if feature.name == "trip_distance"
            else feature
            for feature in trips.manifest.feature_schema.features
        )
        schema = FeatureSchema(features=features)
        manifest = trips.manifest.model_copy(update={"feature_schema": schema})
        reference = Reference.prepare(manifest, trips.frame)
        moved = make_trips(2_000, seed=5).assign(trip_distance=lambda rows: rows["trip_distance"] + 1.0)
        return evaluate(reference, reference.conform(moved), thresholds).verdict("drift", column="trip_distance")

    without, small, large = (judged(smallest) for smallest in (None, 0.5, 2.0))
    assert without is not None
    assert small is not None
    assert large is not None
    assert (without.detected, small.detected, large.detected) == (True, True, False)
    assert large.threshold_ratio == without.threshold_ratio > 1.0
    assert large.reason == "smaller than the smallest effect of interest, 2"
    assert large.as_dict()["effect"]["smallest"] == 2.0
