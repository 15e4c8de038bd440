"""Where our own code stands in for Evidently's, both say the same; and what Evidently makes, we can use.

Evidently is imported by the tests: it takes seconds, and every process that runs tests reads this file.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_flows.reports.files import share_scripts
from sextant.contracts.schema import Feature
from sextant.evaluation.drift import null_scores
from sextant.evaluation.drift.calibration import calibrate, calibrate_column
from sextant.evaluation.drift.null_scores import jensen_shannon, window_distance
from sextant.evaluation.drift.scorers import scorer_of
from sextant.evaluation.drift.severity import P_VALUE_METHODS, severity
from sextant.evaluation.drift.stat_tests import Clip, drift_score, evidently_default_drifted
from sextant.evaluation.evaluate import evaluate
from sextant.evaluation.reference import Reference
from sextant.infrastructure.settings import load_settings
from tests.bundles import make_trips, publish_flowers, publish_trips
from tests.monitoring_harness import FakeStore, Harness, trip_events

NUMBER = Feature(name="x", kind="numerical")
ZONE = Feature(name="PULocationID", kind="categorical")

numbers = st.lists(st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3)), min_size=2, max_size=60)


categories = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=60)


@pytest.mark.parametrize(
    "method", ["ks", "psi", "hellinger", "jensenshannon", "cramer_von_mises", "wasserstein", "ed"]
)
def test_a_method_of_evidently_may_be_chosen_in_the_schema(method: str) -> None:
    column = Feature(name="trip_distance", kind="numerical", drift_method=method)
    reference = make_trips(400, seed=1)["trip_distance"]
    same, moved = (
        severity(method, drift_score(column, reference, window["trip_distance"]))
        for window in (make_trips(400, seed=2), make_trips(400, seed=2, distance_factor=2.0))
    )
    assert moved > same


@pytest.mark.parametrize(
    "method", ["ks", "t_test", "mannw", "cramer_von_mises", "wasserstein", "psi", "ed", "kl_div"]
)
def test_methods_point_the_way_that_evidently_says(method: str) -> None:
    from evidently.legacy.calculations.stattests.registry import get_registered_stattest
    from evidently.legacy.core import ColumnType

    # Evidently's verdict between two thresholds tells whether small scores or large ones are drift.
    test = get_registered_stattest(method, ColumnType.Numerical)
    reference, current = (make_trips(300, seed=seed)["trip_distance"] for seed in (1, 2))
    small_threshold_drifts = test(reference, current, ColumnType.Numerical, 1e-12).drifted
    assert small_threshold_drifts == (method not in P_VALUE_METHODS)


def test_measures_are_those_of_evidently(tmp_path: Path) -> None:
    from evidently import metrics

    trips, flowers = (
        Reference.prepare(bundle.manifest, bundle.reference())
        for bundle in (publish_trips(tmp_path), publish_flowers(tmp_path))
    )
    trip_metrics = [metrics.MAE(), metrics.RMSE(), metrics.R2Score(), metrics.MeanError()]
    flower_metrics = [metrics.Accuracy(), metrics.Precision(), metrics.Recall(), metrics.F1Score()]
    expected = {
        **_by_evidently(trips, ("mae", "rmse", "r2", "mean_error"), trip_metrics),
        **_by_evidently(flowers, ("accuracy", "precision", "recall", "f1"), flower_metrics),
    }
    ours = {**trips.performance.measures, **flowers.performance.measures}
    assert ours == pytest.approx(expected)


def _by_evidently(reference: Reference, names: tuple[str, ...], metrics: list[Any]) -> dict[str, float]:
    from evidently import DataDefinition, Dataset, MulticlassClassification, Regression, Report

    columns = ["prediction", "target"]
    definition = (
        DataDefinition(numerical_columns=columns, regression=[Regression()])
        if reference.manifest.task == "regression"
        else DataDefinition(
            categorical_columns=columns,
            classification=[MulticlassClassification(target="target", prediction_labels="prediction")],
        )
    )
    dataset = Dataset.from_pandas(reference.frame[columns], data_definition=definition)
    results = Report(metrics).run(current_data=dataset, reference_data=None).dict()["metrics"]
    values = (result["value"] for result in results)
    return dict(zip(names, (v["mean"] if isinstance(v, dict) else v for v in values), strict=True))


def test_resampled_wasserstein_scores_are_those_of_evidently() -> None:
    trips = make_trips(3_000, seed=3)
    clip = Clip.of(trips["trip_distance"].to_numpy())
    ordered = clip(np.sort(trips["trip_distance"].to_numpy()))
    drawn = np.random.default_rng(1).choice(len(ordered), 400, replace=False)
    others = np.delete(ordered, drawn)
    unclipped = Feature(name="x", kind="numerical", drift_method="wasserstein")
    expected = drift_score(unclipped, pd.Series(others), pd.Series(ordered[drawn]))
    by_all = expected * np.std(others) / np.std(ordered)  # a live window's distance is divided by the reference's
    assert window_distance(ordered, np.diff(ordered), drawn, clip) == pytest.approx(by_all, rel=1e-9)


def test_resampled_jensen_shannon_scores_are_those_of_evidently() -> None:
    counts = np.array([50, 30, 15, 4, 1])
    drawn = np.random.default_rng(5).multivariate_hypergeometric(counts, 40)
    expected = drift_score(ZONE, _repeated(counts - drawn), _repeated(drawn))
    assert jensen_shannon(counts, 40, 1, np.random.default_rng(5))[0] == pytest.approx(expected, rel=1e-9)


def _repeated(counts: np.ndarray) -> "pd.Series[str]":
    return pd.Series(np.repeat([f"zone {number}" for number in range(len(counts))], counts))


def test_a_method_from_the_schema_is_evidentlys_own() -> None:
    random = np.random.default_rng(2)
    column = NUMBER.model_copy(update={"drift_method": "ks"})
    known, now = pd.Series(random.normal(size=500)), pd.Series(random.normal(0.1, size=100))
    assert scorer_of(column, known).score(now) == drift_score(column, known, now)


def test_evidently_counts_drifted_columns_by_its_own_thresholds():
    columns = [Feature(name="trip_distance", kind="numerical"), Feature(name="prediction", kind="numerical")]
    reference: dict[str, pd.Series] = {
        name: make_trips(2_000, seed=1)[name] for name in ("trip_distance", "prediction")
    }
    assert not evidently_default_drifted(reference, columns, make_trips(2_000, seed=2))
    assert evidently_default_drifted(reference, columns, make_trips(2_000, seed=2, distance_factor=2.0))


@pytest.fixture(scope="module")
def evidently_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    from sextant.evaluation.report import render

    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=300)
    reference = Reference.prepare(bundle.manifest, bundle.reference())
    window = reference.conform(make_trips(100, seed=2))
    return render(reference, window, evaluate(reference, window)).html


def test_a_page_of_evidently_shrinks_to_what_is_its_own(tmp_path: Path, evidently_page: str) -> None:
    shared = share_scripts(evidently_page, tmp_path)
    (asset,) = (tmp_path / "assets").iterdir()
    assert f'src="assets/{asset.name}"' in shared
    assert len(shared) < len(evidently_page) / 5
    assert len(shared) + asset.stat().st_size > 0.9 * len(evidently_page)
    before = asset.stat().st_mtime_ns
    assert share_scripts(evidently_page, tmp_path) == shared
    assert asset.stat().st_mtime_ns == before


@given(numbers, numbers)
def test_the_prepared_wasserstein_score_is_evidentlys(reference: list[float], current: list[float]) -> None:
    known, now = pd.Series(reference), pd.Series(current)
    expected = drift_score(NUMBER, known, now)
    assert scorer_of(NUMBER, known).score(now) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(categories, categories)
def test_the_prepared_jensen_shannon_score_is_evidentlys(reference: list[str], current: list[str]) -> None:
    known, now = pd.Series(reference), pd.Series(current)
    expected = drift_score(ZONE, known, now)
    assert scorer_of(ZONE, known).score(now) == pytest.approx(expected, rel=1e-9, abs=1e-7)


def test_on_long_columns_both_agree_to_nine_digits() -> None:
    random = np.random.default_rng(1)
    known, now = pd.Series(random.lognormal(1, 1, 10_000)), pd.Series(random.lognormal(1.2, 1, 2_000))
    assert scorer_of(NUMBER, known).score(now) == pytest.approx(drift_score(NUMBER, known, now), rel=1e-9)
    zones, later = (pd.Series(random.zipf(1.5, rows).clip(0, 300).astype(str)) for rows in (10_000, 2_000))
    assert scorer_of(ZONE, zones).score(later) == pytest.approx(drift_score(ZONE, zones, later), rel=1e-9)


def test_the_report_of_the_live_page_is_of_the_window_as_it_is_now(tmp_path: Path) -> None:
    publish_trips(tmp_path / "models")
    harness = Harness(load_settings(data_dir=tmp_path, window_size=300, window_min_rows=100), FakeStore())
    harness.post(trip_events(60))
    assert "<dt>Rows</dt><dd>60, 30 with target</dd>" in harness.client.get("/models/taxi/report").text
    harness.post(trip_events(1, prefix="new"))
    assert "<dt>Rows</dt><dd>61, 30 with target</dd>" in harness.client.get("/models/taxi/report").text


def test_p_value_methods_are_calibrated_towards_small_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(null_scores, "RESAMPLES_OF_EVIDENTLY", 60)
    column = Feature(name="trip_distance", kind="numerical", drift_method="ks")
    reference = make_trips(400, seed=3)["trip_distance"]
    thresholds = calibrate_column(column, reference, 0.01, np.random.default_rng(0))
    threshold = thresholds.at(100)
    assert 0.0005 < threshold < 0.08
    moved = drift_score(column, reference, reference[:100] * 3)
    assert moved < threshold
    assert severity("ks", moved) > severity("ks", threshold)


def test_an_unknown_method_fails_alone() -> None:
    trips = make_trips(400, seed=3)
    odd = Feature(name="trip_distance", kind="numerical", drift_method="astrology")
    calibration = calibrate(trips, [odd, ZONE], false_alarm_rate=0.01)
    assert set(calibration.columns) == {"PULocationID"}
    assert "astrology" in calibration.failures["trip_distance"]
