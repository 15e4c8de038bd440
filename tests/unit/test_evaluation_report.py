import pandas as pd
import pytest

from evaluation.calibration import Calibration, calibrate
from evaluation.evaluate import evaluate
from evaluation.reference import Reference
from evaluation.report import RenderedReport, render
from tests.bundles import make_flowers, make_trips, publish_flowers, publish_trips


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=600)
    return Reference.prepare(bundle.manifest, bundle.reference())


@pytest.fixture(scope="module")
def thresholds(trips: Reference) -> Calibration:
    return calibrate(trips.values, trips.columns, false_alarm_rate=0.01)


def rendered(reference: Reference, window: pd.DataFrame, thresholds: Calibration | None = None) -> RenderedReport:
    return render(reference, window, evaluate(reference, window, thresholds))


def test_the_report_says_what_it_is_about_and_shows_the_calibrated_threshold(
    trips: Reference, thresholds: Calibration
) -> None:
    report = rendered(trips, make_trips(200, seed=2), thresholds)
    assert report.problems == {}
    assert "taxi, version v1: 200 rows, 200 with target" in report.html
    assert f"{thresholds.columns['trip_distance'].at(200):.3f}" in report.html
    assert "Wasserstein distance (normed, outliers clipped)" in report.html


def test_a_report_before_calibration_says_so(trips: Reference) -> None:
    assert "Not calibrated yet" in rendered(trips, make_trips(100, seed=2).drop(columns="target")).html


def test_a_hostile_category_cannot_leave_its_place_in_the_page(trips: Reference) -> None:
    window = make_trips(100, seed=2)
    window.loc[:9, "PULocationID"] = "</script><script>alert(1)</script>"
    page = rendered(trips, window).html
    assert "alert(1)" in page
    assert "<script>alert" not in page


def test_one_empty_column_is_named_and_the_rest_is_reported(trips: Reference, thresholds: Calibration) -> None:
    report = rendered(trips, make_trips(100, seed=2).assign(trip_distance=None), thresholds)
    assert list(report.problems) == ["trip_distance"]
    assert "only 0 values" in report.html
    assert "PULocationID" in report.html


def test_one_row_still_gives_a_report(trips: Reference, thresholds: Calibration) -> None:
    report = rendered(trips, make_trips(1), thresholds)
    assert set(report.problems) == {"PULocationID", "DOLocationID", "trip_distance", "prediction"}
    assert "1 rows" in report.html


def test_a_classification_report_shows_its_performance(tmp_path_factory: pytest.TempPathFactory) -> None:
    bundle = publish_flowers(tmp_path_factory.mktemp("models"), rows=400)
    report = rendered(Reference.prepare(bundle.manifest, bundle.reference()), make_flowers(150, seed=2))
    assert report.problems == {}
    assert "Accuracy" in report.html
