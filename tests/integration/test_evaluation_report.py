import re
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from sextant.evaluation.drift.calibration import Calibration, calibrate
from sextant.evaluation.evaluate import evaluate
from sextant.evaluation.reference import Reference
from sextant.evaluation.report_head import with_head
from tests.bundles import evaluated, make_flowers, make_trips, publish_flowers, publish_trips
from tests.hostile import HOSTILE, Skeleton

if TYPE_CHECKING:
    from sextant.evaluation.report import RenderedReport

pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = publish_trips(tmp_path_factory.mktemp("models"), rows=600)
    return Reference.prepare(bundle.manifest, bundle.reference())


@pytest.fixture(scope="module")
def thresholds(trips: Reference) -> Calibration:
    return calibrate(trips.values, trips.columns, false_alarm_rate=0.01)


def rendered(
    reference: Reference, window: pd.DataFrame, thresholds: Calibration | None = None
) -> "RenderedReport":
    from sextant.evaluation.report import render  # imports Evidently, which takes seconds

    conformed = reference.conform(window)
    return render(reference, conformed, evaluate(reference, conformed, thresholds))


def test_the_report_says_what_it_is_about_and_shows_the_calibrated_threshold(
    trips: Reference, thresholds: Calibration
) -> None:
    report = rendered(trips, make_trips(200, seed=2), thresholds)
    assert report.problems == {}
    assert "<dt>Model</dt><dd>taxi, version v1</dd>" in report.html
    assert "<dt>Rows</dt><dd>200, 200 with target</dd>" in report.html
    threshold = f"{thresholds.columns['trip_distance'].at(200):.3g}"
    assert re.search(rf"<td>trip_distance</td><td>[\d.]+</td><td>{threshold}</td>", report.html)
    assert "Wasserstein distance (normed, outliers clipped)" in report.html


def test_a_report_before_calibration_says_so(trips: Reference) -> None:
    assert "not calibrated yet" in rendered(trips, make_trips(100, seed=2).drop(columns="target")).html


def test_a_hostile_category_cannot_leave_its_place_in_the_page(trips: Reference) -> None:
    window = make_trips(100, seed=2)
    window.loc[: len(HOSTILE) - 1, "PULocationID"] = list(HOSTILE.values())
    page = rendered(trips, window).html
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "img" not in {tag for tag, _ in Skeleton(page).elements}


def test_one_empty_column_is_named_and_the_rest_is_reported(trips: Reference, thresholds: Calibration) -> None:
    report = rendered(trips, make_trips(100, seed=2).assign(trip_distance=None), thresholds)
    assert list(report.problems) == ["trip_distance"]
    assert "only 0 values" in report.html
    assert "PULocationID" in report.html


def test_one_row_still_gives_a_report(trips: Reference, thresholds: Calibration) -> None:
    report = rendered(trips, make_trips(1), thresholds)
    assert set(report.problems) == {"PULocationID", "DOLocationID", "trip_distance", "prediction"}
    assert "<dt>Rows</dt><dd>1, 1 with target</dd>" in report.html


def test_a_classification_report_shows_its_performance(tmp_path_factory: pytest.TempPathFactory) -> None:
    bundle = publish_flowers(tmp_path_factory.mktemp("models"), rows=400)
    report = rendered(Reference.prepare(bundle.manifest, bundle.reference()), make_flowers(150, seed=2))
    assert report.problems == {}
    assert "Accuracy" in report.html


def test_the_head_shows_facts_as_text_and_keeps_the_rest_of_the_page(trips: Reference) -> None:
    evaluation = evaluated(trips, make_trips(100))
    page = with_head(
        "<html><head></head><body class='x'><p>plots</p></body></html>",
        title="A & B",
        facts={"Not <b>": "<script>"},
        evaluation=evaluation,
    )
    assert page.startswith('<html><head><meta http-equiv="Content-Security-Policy"')
    assert "<link rel='icon' href='data:,'></head><body class='x'><style>" in page
    assert page.endswith("</header><p>plots</p></body></html>")
    assert "<h1>A &amp; B</h1>" in page
    assert "<dt>Not &lt;b&gt;</dt><dd>&lt;script&gt;</dd>" in page


def test_what_is_no_page_is_refused(trips: Reference) -> None:
    with pytest.raises(ValueError, match="no body"):
        with_head("plots", title="A", facts={}, evaluation=evaluated(trips, make_trips(100)))
