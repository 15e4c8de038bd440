"""Every kind of verdict in the table appears in metrics, JSON, live page, report, stored document and backtest."""

import csv
import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from batch_flows.drift_report.rows import EvaluatedRows
from batch_flows.drift_report.summary import DriftSummary
from batch_flows.time_range import TimeRange
from monitoring_service.metrics import metric_name
from sextant.backtest.output import as_csv
from sextant.backtest.plan import BacktestPlan
from sextant.backtest.replay import BacktestResult, Step
from sextant.backtest.summary import summarise
from sextant.backtest.text import as_text
from sextant.evaluation.drift.calibration import ColumnThresholds, calibrate, calibrate_segments
from sextant.evaluation.drift.multivariate import METHOD
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.report_head import with_head
from sextant.evaluation.verdicts import KINDS, Kind
from sextant.infrastructure.settings import load_settings
from tests.bundles import TRIP_SCHEMA, make_trips, publish_bundle
from tests.events import START, body_of, predictions_from, targets_from
from tests.monitoring_harness import FakeStore, Harness

pytestmark = pytest.mark.usefixtures("few_resamples")

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
judged_in_one_go = pytest.mark.parametrize("kind", [k for k in KINDS if k.judge], ids=lambda kind: kind.name)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """A service that has judged a window in which everything is wrong."""
    folder: Path = tmp_path_factory.mktemp("everywhere")
    names = {"name": "taxi", "version": "v1", "task": "regression"}
    publish_bundle(folder / "models", harder_when_longer(make_trips(2_000, seed=1)), TRIP_SCHEMA, **names)
    harness = Harness(load_settings(data_dir=folder, window_size=600, window_min_rows=100), FakeStore())
    reference = harness.monitor().monitored.reference
    parts = {name: part.values for name, part in reference.segments.items()}
    harness.learn(
        calibration=calibrate(reference.values, reference.columns, false_alarm_rate=0.01),
        segment_calibration=calibrate_segments(parts, reference.columns, false_alarm_rate=0.01),
        multivariate_calibration=ColumnThresholds(METHOD, 2_000, (100,), (0.05,)),
        estimator=PerformanceEstimator.fit(reference),
    )
    trips = harder_when_longer(make_trips(600, seed=5, distance_factor=1.5)).assign(DOLocationID="nowhere")
    trips["target"] += trips["payment_type"].map({"1": 30.0, "2": 300.0, "3": 30.0})
    predictions = predictions_from(trips)
    harness.post(body_of(predictions, targets_from(trips, predictions)))
    harness.evaluator.run()
    harness.together.run()
    return harness


def harder_when_longer(trips: pd.DataFrame) -> pd.DataFrame:
    """The model errs more on longer trips, which an estimator can learn."""
    error = (trips["target"] - trips["prediction"]) * trips["trip_distance"]
    return trips.assign(target=trips["prediction"] + error)


@pytest.fixture(scope="module")
def summary(harness: Harness) -> DriftSummary:
    state = harness.monitor().state()
    frame, latest = state.snapshot.frame(), state.latest
    assert latest is not None
    window = TimeRange(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    return DriftSummary(latest.monitored.manifest, window, EvaluatedRows(frame, len(frame), {}), latest.evaluation)


@pytest.fixture(scope="module")
def backtest(harness: Harness) -> BacktestResult:
    latest = harness.monitor().latest
    assert latest is not None
    plan = BacktestPlan(START, START + timedelta(days=1), 600, 100, 100, 0.01)
    steps = [Step(START + timedelta(hours=hour), START, latest.evaluation) for hour in range(2)]
    return BacktestResult(plan, latest.monitored.manifest, Counter({"v1": 600}), steps)


@every_kind
def test_something_of_each_kind_is_detected_in_this_window(harness: Harness, kind: Kind) -> None:
    assert any(verdict["detected"] for verdict in harness.verdicts(kind.name))


@every_kind
def test_each_kind_has_its_metrics(harness: Harness, kind: Kind) -> None:
    text = harness.client.get("/metrics").text
    for suffix in kind.metrics:
        assert f"\nsextant_{metric_name(kind, suffix)}{{" in text


@every_kind
def test_the_live_page_shows_each_kind(harness: Harness, kind: Kind) -> None:
    assert kind.title.lower() in harness.client.get("/").text.lower()


@judged_in_one_go
def test_a_reports_facts_status_and_document_hold_each_kind(summary: DriftSummary, kind: Kind) -> None:
    document = summary.record(START).metrics
    assert any(verdict["name"] == kind.name for verdict in document["verdicts"])
    assert any(row["name"] == kind.name for row in summary.scores())
    if not kind.summed_up_by:
        assert kind.title in summary.facts
        assert kind.title.lower() in document["status"]["text"]


@judged_in_one_go
def test_the_head_of_a_report_holds_each_kind(summary: DriftSummary, kind: Kind) -> None:
    page = with_head("<body></body>", title="t", facts=summary.facts, evaluation=summary.evaluation)
    assert (f"<td>{summary.evaluation.drifted_columns[0]}</td>" if kind.summed_up_by else kind.title) in page


@judged_in_one_go
def test_a_backtest_sums_up_and_lists_each_kind(backtest: BacktestResult, kind: Kind) -> None:
    assert f"{(kind.summed_up_by or kind.title).replace('_', ' ').lower()}: 2 alarms" in as_text(
        backtest, summarise(backtest)
    )
    (first, *_) = csv.DictReader(io.StringIO(as_csv(backtest)))
    assert any(name == kind.name or name.startswith(f"{kind.name}:") for name in first)
