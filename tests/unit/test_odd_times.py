"""Odd event times and odd reference periods: each window is judged, or one clear word says why it is not."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

from sextant.contracts.events import Prediction
from sextant.evaluation.drift.calibration import Calibration
from sextant.evaluation.evaluate import Evaluation, evaluate
from sextant.evaluation.frames import to_frame
from sextant.evaluation.in_time.null import FEWEST_DAYS
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from tests.bundles import TRIP_SCHEMA, make_manifest
from tests.events import predictions_from
from tests.timed_trips import COLUMNS, MONDAY, TIME, nulls_of, timed_trips

RATE = Calibration(0.01, {}, {})
MANIFEST = make_manifest(TRIP_SCHEMA, segments=("payment_type",), time=TIME)
NO_SUCH_HOURS = "the reference has too few rows of these hours"

Change = Callable[[pd.DataFrame], pd.DataFrame]


@cache
def reference_of(days: float) -> Reference:
    return Reference.prepare(MANIFEST, timed_trips(days, rows=1_000), nulls_of(max(round(days), 1)))


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of(14)


@pytest.fixture(scope="module")
def estimator(reference: Reference) -> PerformanceEstimator:
    return PerformanceEstimator.fit(reference)


def judged(
    reference: Reference,
    predictions: list[Prediction],
    targets: pd.DataFrame,
    estimator: PerformanceEstimator | None,
) -> Evaluation:
    """As live: from events, whose targets stand in a frame."""
    window = to_frame(predictions, {}, reference.manifest)
    window["target"] = targets["target"].to_numpy()
    return evaluate(reference, window, RATE, segment_calibration=RATE, estimator=estimator)


def found(
    reference: Reference,
    change: Change,
    estimator: PerformanceEstimator | None = None,
    *,
    days: float = 0.5,
    start: pd.Timestamp = MONDAY,
) -> Evaluation:
    rows = timed_trips(days, rows=300, start=start, seed=11)
    return judged(reference, predictions_from(change(rows)), rows, estimator)


def told_times(*texts: object) -> Change:
    return lambda rows: rows.assign(**{TIME: np.resize(np.array(texts, dtype=object), len(rows))})


def columns_judged(evaluation: Evaluation) -> set[str]:
    return {verdict.column for verdict in evaluation.of("drift") if verdict.detected is not None}


@pytest.mark.parametrize(
    ("change", "without_time"),
    [
        (told_times("soon"), 300),
        (told_times(None), 300),
        (told_times(""), 300),
        (told_times(17, 1e300, float("nan")), 300),
        (lambda rows: rows.drop(columns=TIME), 300),
        (told_times("2031-01-01T00:00:00"), 300),
        (told_times("9999-12-31T23:59:59", "2021-01-05T12:00:00"), 150),
        (told_times("soon", "2021-01-05T12:00:00", "2021-01-05 13:00"), 100),
        (told_times("2021-01-05T12:00:30"), 0),
        (told_times("2021-01-05T12:00:00Z", "2021-01-05T12:00:00-05:00"), 0),
    ],
    ids=[
        "words",
        "null",
        "empty",
        "numbers",
        "missing",
        "future",
        "year 9999",
        "mixed",
        "one minute",
        "two zones",
    ],
)
def test_whatever_the_times_of_live_rows_are_every_column_is_judged(
    reference: Reference, estimator: PerformanceEstimator, change: Change, without_time: int
) -> None:
    evaluation = found(reference, change, estimator)
    assert columns_judged(evaluation) == set(COLUMNS)
    assert evaluation.errors == {}
    assert (evaluation.rows_without_time, evaluation.unsupported_rows) == (without_time, 0)
    assert ("Without a time" in evaluation.notes) is (without_time > 0)
    for name in ("performance_degradation", "concept_drift", "estimated_degradation"):
        verdict = evaluation.verdict(name)
        assert verdict is not None
        assert verdict.detected is not None, verdict.reason


def test_a_window_that_spans_a_change_of_clocks_is_judged_by_what_the_clock_showed(reference: Reference) -> None:
    sunday = pd.Timestamp("2021-10-31")
    for offset in ("", "+02:00"):
        evaluation = found(
            reference, lambda rows, zone=offset: rows.assign(**{TIME: rows[TIME] + zone}), days=0.2, start=sunday
        )
        assert columns_judged(evaluation) == set(COLUMNS)
        assert evaluation.notes.keys() == {"Thresholds"}


def test_rows_of_a_day_that_no_reference_knows_are_not_judged_and_the_hours_are_named() -> None:
    working_days = reference_of(4)
    evaluation = found(working_days, told_times("2021-01-09T12:00:00"))
    assert columns_judged(evaluation) == set()
    assert evaluation.errors == {}
    assert evaluation.dataset_drift is None
    assert {v.reason for v in evaluation.verdicts if v.detected is None} == {NO_SUCH_HOURS}
    assert not any(verdict.detected for verdict in evaluation.verdicts)
    hours = "300 rows on weekends from 12:00 to 12:59: the reference has too few of these hours"
    assert evaluation.notes["Not compared"] == hours
    assert evaluation.measures[""]["mae"] > 0.0


def test_a_few_rows_of_unknown_hours_do_not_keep_the_others_from_being_judged() -> None:
    evaluation = found(reference_of(4), told_times(*["2021-01-05T12:00:00"] * 9, "2021-01-09T12:00:00"))
    assert columns_judged(evaluation) == set(COLUMNS)
    assert (evaluation.rows, evaluation.unsupported_rows) == (300, 30)


@pytest.mark.parametrize(("days", "span"), [(1, "1 day"), (1 / 24, "1 day"), (2, "2 days")])
def test_a_reference_of_a_day_or_an_hour_gives_scores_and_says_what_is_needed(days: float, span: str) -> None:
    evaluation = found(reference_of(days), told_times("2021-01-04T00:30:00"))
    words = f"scores only: the reference spans {span}, {FEWEST_DAYS} are needed"
    assert evaluation.notes["Thresholds"] == words
    assert {verdict.value is not None for verdict in evaluation.of("drift")} == {True}
    assert evaluation.dataset_drift is None
    reasons = {verdict.reason for verdict in evaluation.verdicts if verdict.detected is None}
    assert words in reasons
    assert "not calibrated yet" not in reasons


def test_a_reference_of_ten_years_is_one_of_every_hour(reference: Reference) -> None:
    decade = reference_of(3_650)
    evaluation = found(decade, lambda rows: rows)
    assert evaluation.notes == {"Thresholds": "hold for consecutive rows: the reference spans 3,650 days"}
    assert columns_judged(evaluation) == set(COLUMNS) == columns_judged(found(reference, lambda rows: rows))


def test_a_reference_whose_times_cannot_be_read_is_compared_as_a_whole() -> None:
    rows = timed_trips(7).assign(**{TIME: "once"})
    reference = Reference.prepare(MANIFEST, rows, nulls_of(7))
    evaluation = found(reference, lambda rows: rows)
    assert evaluation.unsupported_rows == 300
    assert {v.reason for v in evaluation.verdicts if v.detected is None} == {NO_SUCH_HOURS}
