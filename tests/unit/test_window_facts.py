from dataclasses import replace
from datetime import timedelta

import pytest

from monitoring_service.window_facts import WindowFacts
from sextant.contracts.events import Prediction
from sextant.evaluation.window import WindowRows
from tests.bundles import make_trips
from tests.events import START, predictions_from, targets_from


def facts_of(predictions: list[Prediction]) -> WindowFacts:
    return WindowFacts.of(WindowRows(tuple(predictions), {}, 0))


def test_the_pace_is_that_of_the_rows_between_the_first_and_the_last() -> None:
    facts = facts_of(predictions_from(make_trips(61)))
    assert facts.rows_per_second == pytest.approx(1.0)
    assert (facts.start, facts.end) == (START, START + timedelta(seconds=60))


def test_one_row_and_rows_of_one_moment_have_no_pace() -> None:
    one = predictions_from(make_trips(2))
    assert facts_of(one[:1]).rows_per_second is None
    assert facts_of([replace(row, created_at=START) for row in one]).rows_per_second is None


def test_a_clock_that_ran_backwards_leaves_the_bounds_in_order() -> None:
    rows = predictions_from(make_trips(10))
    facts = facts_of([*rows[5:], *rows[:5]])
    assert facts.start < facts.end
    assert facts.rows_per_second == pytest.approx(1.0)


def test_a_record_sent_under_two_ids_is_a_duplicate() -> None:
    rows = predictions_from(make_trips(40))
    again = [replace(row, prediction_id=f"again {row.prediction_id}") for row in rows[:10]]
    assert facts_of([*rows, *again]).duplicate_ratio == pytest.approx(10 / 50)


def test_rows_that_differ_in_their_context_alone_are_two_events() -> None:
    row = predictions_from(make_trips(1))[0]
    other = replace(row, prediction_id="other", context={"payment_type": "9"})
    assert facts_of([row, other]).duplicate_ratio == 0.0


def test_context_of_any_kind_can_be_compared() -> None:
    row = predictions_from(make_trips(1))[0]
    odd = {"when": START, "nested": {"list": [1, None, float("inf")]}, "bytes": b"x"}
    rows = [replace(row, prediction_id=str(number), context=odd) for number in range(2)]
    assert facts_of(rows).duplicate_ratio == 0.5


def test_the_label_delay_comes_along() -> None:
    trips = make_trips(10)
    predictions = predictions_from(trips)
    targets = {target.prediction_id: target for target in targets_from(trips, predictions, delay=90.0)}
    assert WindowFacts.of(WindowRows(tuple(predictions), targets, 0)).label_delay == 90.0
