"""A backtest over events in memory: what it judges, when it knows of it, and what it says."""

import csv
import io
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pandas as pd
import pytest

from sextant.backtest.__main__ import main
from sextant.backtest.output import write
from sextant.backtest.plan import BEGINNING, BacktestPlan, make_plan
from sextant.backtest.replay import BacktestResult, Judge, Say, Step, replay
from sextant.backtest.summary import BacktestSummary, Episode, Failure, summarise
from sextant.backtest.text import MOST_EPISODES, as_text
from sextant.contracts.events import Prediction, Target
from sextant.contracts.model_bundle import load_bundle
from sextant.infrastructure.settings import load_settings
from tests.bundles import make_trips, publish_flowers, publish_trips
from tests.events import START, body_of, predictions_from, targets_from
from tests.hostile import HOSTILE, assert_same_structure
from tests.monitoring_harness import FakeStore, Harness

pytestmark = pytest.mark.usefixtures("few_resamples")

RATE = 0.001
PLAN = BacktestPlan(START, START + timedelta(days=1), window=300, min_rows=100, every=100, rate=RATE)


class FakeEvents:
    """MongoDB's part in memory; remembers the largest number of targets that it was asked for at once."""

    def __init__(self, predictions: Iterable[Prediction], targets: Iterable[Target] = ()) -> None:
        self.predictions = list(predictions)
        self.targets = {target.prediction_id: target for target in targets}
        self.taken = 0
        self.most_asked = 0

    def between(self, model: str, start: datetime, end: datetime) -> Iterator[Prediction]:
        for made in sorted(self.predictions, key=lambda prediction: prediction.created_at):
            if made.model == model and start <= made.created_at < end:
                self.taken += 1
                yield made

    def targets_for(self, model: str, prediction_ids: Iterable[str]) -> dict[str, Target]:
        ids = list(prediction_ids)
        self.most_asked = max(self.most_asked, len(ids))
        return {key: self.targets[key] for key in ids if key in self.targets}


def quiet(_: str) -> None:
    return None


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    publish_trips(folder / "models")
    return folder


@pytest.fixture(scope="module")
def judge(data_dir: Path) -> Judge:
    return judge_of(data_dir)


def judge_of(data_dir: Path, model: str = "taxi", say: Say = quiet) -> Judge:
    return Judge.of(load_bundle(data_dir / "models", model), data_dir / "calibration", rate=RATE, say=say)


def trips(*factors: float, rows: int = 600) -> pd.DataFrame:
    """Stretches of trips, one after the other, whose distances are multiplied by these factors."""
    parts = [make_trips(rows, seed=70 + number, distance_factor=f) for number, f in enumerate(factors)]
    return pd.concat(parts, ignore_index=True)


def replayed(judge: Judge, events: FakeEvents, plan: BacktestPlan = PLAN) -> BacktestResult:
    return replay(events, judge, plan, quiet)


def drift_then_calm(judge: Judge) -> tuple[BacktestResult, BacktestSummary]:
    rows = trips(1.0, 1.6, 1.0)
    predictions = predictions_from(rows)
    result = replayed(judge, FakeEvents(predictions, targets_from(rows, predictions, delay=30)))
    return result, summarise(result)


def of_drift(summary: BacktestSummary) -> list[Episode]:
    """The episodes of dataset drift, whatever else alarmed."""
    return [episode for episode in summary.episodes if episode.kind.name == "dataset_drift"]


def times(steps: Sequence[Step]) -> list[int]:
    """The seconds from the start of the stream, which is also the number of each prediction."""
    return [round((step.at - START).total_seconds()) for step in steps]


# --- what is judged, and when --------------------------------------------------------------------------------


def test_a_shift_makes_one_episode_that_begins_after_it_and_ends_when_it_left_the_window(judge: Judge) -> None:
    _, summary = drift_then_calm(judge)
    (episode,) = of_drift(summary)
    assert episode.kind.name == "dataset_drift"
    assert START + timedelta(seconds=600) < episode.start <= START + timedelta(seconds=800)
    assert START + timedelta(seconds=1_200) <= episode.end < START + timedelta(seconds=1_500)
    assert not episode.ongoing
    assert episode.causes[0].worst.column in {"trip_distance", "prediction", "target"}
    assert (
        episode.causes[0].worst.threshold_ratio
        == max(cause.worst.threshold_ratio for cause in episode.causes)
        > 1.0
    )


def test_an_undrifted_stream_raises_no_alarm(judge: Judge) -> None:
    summary = summarise(replayed(judge, FakeEvents(predictions_from(trips(1.0, 1.0)))))
    assert {alarms.kind.name: alarms.alarms for alarms in summary.alarms}["dataset_drift"] == 0
    assert of_drift(summary) == []


def test_drift_that_lasts_is_still_on_at_the_end(judge: Judge) -> None:
    summary = summarise(replayed(judge, FakeEvents(predictions_from(trips(1.0, 1.6)))))
    assert [episode.ongoing for episode in of_drift(summary)] == [True]


def test_windows_are_judged_after_each_so_many_predictions_and_at_the_end(judge: Judge) -> None:
    predictions = predictions_from(make_trips(450, seed=3))
    result = replayed(judge, FakeEvents(predictions), replace(PLAN, min_rows=150))
    assert times(result.steps) == [199, 299, 399, 449]
    assert [step.evaluation.rows for step in result.steps] == [200, 300, 300, 300]
    assert [round((step.window_start - START).total_seconds()) for step in result.steps] == [0, 0, 100, 150]


def test_a_target_is_not_known_before_it_came(judge: Judge) -> None:
    rows = make_trips(600, seed=4)
    predictions = predictions_from(rows)
    result = replayed(judge, FakeEvents(predictions, targets_from(rows, predictions, delay=150)))
    # At second 199 the predictions up to second 49 have theirs.
    assert [step.evaluation.labelled_rows for step in result.steps] == [0, 50, 150, 150, 150, 150]
    assert ["mae" in step.evaluation.measures[""] for step in result.steps] == [False] + [True] * 5


def test_targets_that_come_after_their_rows_left_the_window_are_never_used(judge: Judge) -> None:
    rows = make_trips(900, seed=4)
    predictions = predictions_from(rows)
    result = replayed(judge, FakeEvents(predictions, targets_from(rows, predictions, delay=300)))
    assert {step.evaluation.labelled_rows for step in result.steps} == {0}
    assert "performance degradation: not judged, 0 rows to tell by, fewer than 30" in as_text(
        result, summarise(result)
    )


def test_a_target_that_is_dated_before_its_prediction_counts(judge: Judge) -> None:
    rows = make_trips(300, seed=4)
    predictions = predictions_from(rows)
    result = replayed(judge, FakeEvents(predictions, targets_from(rows, predictions, delay=-3_600)))
    assert result.steps[-1].evaluation.label_coverage == 1.0


def test_wrong_predictions_raise_a_performance_degradation_alarm_of_its_own(judge: Judge) -> None:
    rows = trips(1.0, 1.0)
    rows.loc[600:, "target"] += 8.0 * (-1.0) ** rows.index[600:]
    predictions = predictions_from(rows)
    summary = summarise(replayed(judge, FakeEvents(predictions, targets_from(rows, predictions, delay=1))))
    (episode,) = [e for e in summary.episodes if e.kind.name == "performance_degradation"]
    assert START + timedelta(seconds=600) < episode.start <= START + timedelta(seconds=800)
    assert episode.causes[0].worst.value > 0.5


def test_the_last_evaluation_is_the_one_that_the_live_service_would_have_made(
    judge: Judge, data_dir: Path
) -> None:
    rows = trips(1.0, 1.3, rows=250)
    predictions = predictions_from(rows)
    targets = targets_from(rows, predictions, delay=120)
    settings = load_settings(data_dir=data_dir, window_size=PLAN.window, window_min_rows=PLAN.min_rows)
    harness = Harness(settings, FakeStore())
    harness.learn(calibration=judge.calibration, estimator=judge.estimator)
    known = [target for target in targets if target.received_at <= predictions[-1].created_at]
    harness.post(body_of(predictions, known))
    harness.evaluator.run()

    result = replayed(judge, FakeEvents(predictions, targets))
    latest = harness.monitor().latest
    assert latest is not None
    found, live = result.steps[-1].evaluation, latest.evaluation
    assert found.verdicts == tuple(verdict for verdict in live.verdicts if not verdict.segment)
    assert found.measures == {"": live.measures[""]}
    assert "mae" in result.steps[-1].evaluation.measures[""]


def test_the_order_in_which_predictions_of_one_moment_are_stored_changes_nothing(judge: Judge) -> None:
    rows = make_trips(600, seed=8)
    together = [
        replace(made, created_at=START + timedelta(seconds=number // 150))
        for number, made in enumerate(predictions_from(rows))
    ]
    targets = targets_from(rows, together, delay=1)
    shuffled = Random(1).sample(together, len(together))
    first, second = (replayed(judge, FakeEvents(stored, targets)) for stored in (together, shuffled))
    assert first.steps == second.steps
    assert times(first.steps) == [0, 1, 2, 3]


def test_rows_of_other_versions_take_up_the_window_and_are_not_judged(judge: Judge) -> None:
    mine = predictions_from(make_trips(300, seed=1))
    others = predictions_from(
        make_trips(200, seed=2), version="v0", prefix="o", start=START + timedelta(seconds=300)
    )
    result = replayed(judge, FakeEvents([*mine, *others]))
    assert [step.evaluation.rows for step in result.steps] == [100, 200, 300, 200, 100]
    assert result.versions == {"v1": 300, "v0": 200}
    assert "300 predictions and 200 of other versions" in as_text(result, summarise(result))


def test_predictions_outside_of_the_period_do_not_count(judge: Judge) -> None:
    plan = replace(PLAN, start=START + timedelta(seconds=100), end=START + timedelta(seconds=300))
    result = replayed(judge, FakeEvents(predictions_from(make_trips(600, seed=1))), plan)
    assert result.versions.total() == 200


def test_events_are_read_in_chunks_while_the_replay_goes_on(judge: Judge) -> None:
    events = FakeEvents(predictions_from(make_trips(1_100, seed=1)))
    taken: list[int] = []
    replay(events, judge, replace(PLAN, every=20), lambda _: taken.append(events.taken))
    assert taken[0] == 1_000
    assert events.most_asked <= 1_000


def test_progress_names_the_columns_that_are_calibrated_once(tmp_path: Path) -> None:
    publish_trips(tmp_path / "models")
    said: list[str] = []
    judge_of(tmp_path, say=said.append)
    assert "calibrating trip_distance (3 of 5)" in said
    said.clear()
    judge_of(tmp_path, say=said.append)
    assert not [line for line in said if "calibrating" in line]


# --- what is said --------------------------------------------------------------------------------------------


def test_the_text_begins_with_the_summary_and_names_the_worst_column_of_each_episode(judge: Judge) -> None:
    result, summary = drift_then_calm(judge)
    text = as_text(result, summary)
    lines = text.splitlines()
    assert lines[0] == "Backtest of taxi, version v1"
    assert (
        "window of 300 rows, at least 100; evaluated after every 100 predictions; false-alarm rate 0.001" in text
    )
    assert f"1,800 predictions, {len(result.steps)} evaluations" in lines
    drift = summary.alarms[0]
    assert f"dataset drift: {drift.alarms} alarms in 18 evaluations ({drift.share:.1%}; 0.018 expected" in text
    (episode,) = of_drift(summary)
    assert f"1. dataset drift, {episode.start:%Y-%m-%d %H:%M:%S} to " in text
    heading = next(number for number, line in enumerate(lines) if line.lstrip().startswith("at its worst"))
    assert lines[heading + 1].split()[0] == episode.causes[0].worst.column


def test_a_replay_without_a_full_enough_window_says_why_there_is_nothing(judge: Judge, tmp_path: Path) -> None:
    result = replayed(judge, FakeEvents(predictions_from(make_trips(99, seed=1))))
    summary = summarise(result)
    assert "99 predictions, 0 evaluations: no window held 100 rows of this version" in as_text(result, summary)
    for name in ("nothing.csv", "nothing.html"):
        write(tmp_path / name, result, summary)
    assert (tmp_path / "nothing.csv").read_text().splitlines()[0].startswith("at,window_start,rows")
    assert "no window held 100 rows" in (tmp_path / "nothing.html").read_text()


def test_a_column_that_cannot_be_judged_is_named_with_the_reason(judge: Judge) -> None:
    rows = make_trips(400, seed=1).assign(trip_distance=None)
    result = replayed(judge, FakeEvents(predictions_from(rows)))
    text = as_text(result, summarise(result))
    assert "trip_distance not judged in 4 evaluations: only 0 values in the window" in text
    assert sum(v.value is not None for v in result.steps[-1].evaluation.of("drift")) == 3


def test_of_very_many_episodes_the_text_shows_the_first_ones(judge: Judge) -> None:
    result, summary = drift_then_calm(judge)
    many = replace(summary, episodes=of_drift(summary) * (MOST_EPISODES + 5))
    text = as_text(result, many)
    assert f"{MOST_EPISODES}. dataset drift" in text
    assert f"{MOST_EPISODES + 1}. dataset drift" not in text
    assert "and 5 more episodes" in text


def test_the_csv_has_a_row_for_each_evaluation_with_score_and_threshold_of_each_column(
    judge: Judge, tmp_path: Path
) -> None:
    result, summary = drift_then_calm(judge)
    write(tmp_path / "backtest.CSV", result, summary)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "backtest.CSV").read_text())))
    assert [row["at"] for row in rows] == [step.at.isoformat() for step in result.steps]
    assert sum(row["dataset_drift"] == "1" for row in rows) == summary.alarms[0].alarms
    for row, step in zip(rows, result.steps, strict=True):
        for verdict in step.evaluation.of("drift"):
            assert float(row[f"drift:{verdict.column}_value"]) == verdict.value
            assert float(row[f"drift:{verdict.column}_threshold"]) == verdict.threshold
            assert row[f"drift:{verdict.column}"] == str(int(verdict.detected))
    assert float(rows[-1]["mae"]) == result.steps[-1].evaluation.measures[""]["mae"]


def test_the_page_holds_what_the_text_says_and_needs_nothing_from_elsewhere(judge: Judge, tmp_path: Path) -> None:
    result, summary = drift_then_calm(judge)
    write(tmp_path / "backtest.html", result, summary)
    page = (tmp_path / "backtest.html").read_text()
    for line in as_text(result, summary).splitlines()[:8]:
        assert line in page.replace("&#39;", "'")
    for signal in summary.signals:
        assert f'aria-label="{signal.name} over time; the dashed line is the threshold"' in page
    assert page.count("<polyline") >= len(summary.signals) + 1
    assert "://" not in page
    assert "<script" not in page


def test_hostile_text_is_shown_as_text(judge: Judge, tmp_path: Path) -> None:
    result, summary = drift_then_calm(judge)

    def page_with(text: str) -> str:
        odd = replace(result, manifest=result.manifest.model_copy(update={"name": text, "version": text}))
        write(tmp_path / "page.html", odd, replace(summary, failures=[Failure("column", text, 3)]))
        return (tmp_path / "page.html").read_text()

    harmless = page_with("harmless")
    for text in HOSTILE.values():
        assert_same_structure(page_with(text), harmless)


def test_a_classifier_is_backtested_too(tmp_path: Path) -> None:
    publish_flowers(tmp_path / "models")
    judge = judge_of(tmp_path, "iris")
    rows = judge.reference.frame.head(400)[["petal_length", "petal_width", "prediction", "target"]]
    predictions = predictions_from(rows, model="iris")
    result = replayed(judge, FakeEvents(predictions, targets_from(rows, predictions, delay=1)))
    summary = summarise(result)
    write(tmp_path / "iris.html", result, summary)
    assert {measure.name for measure in summary.measures} >= {"accuracy", "f1"}
    assert (
        'aria-label="accuracy over time; the dashed line is the reference"' in (tmp_path / "iris.html").read_text()
    )


# --- what it can be asked for --------------------------------------------------------------------------------


def plan_of(*, window_size: int = 1_000, **given: str | int) -> BacktestPlan:
    options = Namespace(**{"start": None, "end": None, "every": None, "output": None} | given)
    return make_plan(options, load_settings(window_size=window_size), now=START)


def test_what_is_not_given_comes_from_the_settings() -> None:
    settings = load_settings()
    plan = plan_of()
    assert (plan.start, plan.end) == (BEGINNING, START)
    assert (plan.window, plan.every) == (1_000, 250)
    assert (plan.min_rows, plan.rate) == (settings.window_min_rows, settings.false_alarm_rate)


def test_a_window_may_be_bounded_by_time_too(judge: Judge) -> None:
    plan = replace(PLAN, window_seconds=149.5)
    result = replayed(judge, FakeEvents(predictions_from(trips(1.0))), plan)
    assert [step.evaluation.rows for step in result.steps] == [100, 150, 150, 150, 150, 150]
    text = as_text(result, summarise(result))
    assert "window of 300 rows of the last 150 s" in text
    assert "thresholds: valid for randomly ordered rows only" in text


def test_a_date_alone_is_its_midnight_in_utc() -> None:
    plan = plan_of(start="2025-12-01", end="2025-12-31T23:30:00-01:00")
    assert plan.start == datetime(2025, 12, 1, tzinfo=UTC)
    assert plan.end == datetime(2026, 1, 1, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "2026-02-01", "--end", "2026-01-01"], "the end must come after the start"),
        (["--start", "2026-01-01", "--end", "2026-01-01"], "the end must come after the start"),
        (["--start", "2026-01-01T08:00:00"], "start has no time zone"),
        (["--end", "yesterday"], "end is not an ISO 8601 time"),
        (["--end", "0001-01-01T00:00:00+10:00"], "end is not an ISO 8601 time"),
        (["--model", "bus"], "there is no model 'bus'"),
        (["--version", "v9"], "v9 has no readable manifest.json"),
        (["--window", "150"], "a window of 150 rows never holds the 200 rows"),
        (["--window", "1"], "WINDOW_SIZE"),
        (["--window-seconds", "0"], "WINDOW_SECONDS"),
        (["--min-rows", "0"], "WINDOW_MIN_ROWS"),
        (["--rate", "1"], "FALSE_ALARM_RATE"),
        (["--rate", "nan"], "FALSE_ALARM_RATE"),
        (["--every", "0"], "--every must be at least 1"),
        (["--output", "alarms.pdf"], "end it with .html or .csv"),
        (["--output", "no/such/folder/alarms.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: list[str],
    message: str,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATA_DIR", str(data_dir))
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1")  # where nobody answers, and nobody is asked
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("backtest: ")
    assert err.count("\n") == 1
    assert message in err


def test_a_data_folder_without_a_bundle_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert main([]) == 2
    assert capsys.readouterr().err.count("python prepare.py") == 1
